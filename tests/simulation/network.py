"""Links between simulated processes and servers, and the sockets that go over them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .scheduler import Host, Scheduler
from .server import Server, Session
from .threads import File, Files

__all__ = ["Link", "Network", "SimSocket"]


class Link:
    """The way from one process to one server. Bytes of one connection never overtake each other."""

    def __init__(self, scheduler: Scheduler, round_trip_s: float) -> None:
        self._scheduler = scheduler
        self.round_trip_s = round_trip_s
        self.slow_s = 0.0
        self.refuse = False
        self.hang = False
        self.swallow = False
        self.lose_replies = 0
        self.sockets: dict[int, SimSocket] = {}
        self._held: list[Callable[[], None]] = []

    @property
    def delay_s(self) -> float:
        return (self.round_trip_s / 2 + self.slow_s) * (0.9 + 0.4 * self._scheduler.random.random())

    def carry(self, at_s: float, action: Callable[..., None], *what: bytes) -> None:
        self._scheduler.at_time(at_s, partial(self._arrive, action, *what))

    def _arrive(self, action: Callable[..., None], *what: bytes) -> None:
        if self.hang:
            self._held.append(partial(action, *what))
        else:
            action(*what)

    def cut(self) -> None:
        """Reset every connection; what is on its way is lost."""
        for socket in list(self.sockets.values()):
            socket.reset()

    def forget(self, some: float) -> None:
        """Of so many of its connections nothing arrives any more, and neither end is told."""
        for socket in list(self.sockets.values()):
            socket.lost = socket.lost or self._scheduler.random.random() < some

    def heal(self) -> None:
        """Nothing is wrong any more. What a hanging link held back arrives now, late."""
        self.refuse = self.hang = self.swallow = False
        self.lose_replies, self.slow_s = 0, 0.0
        held, self._held = self._held, []
        for action in held:
            action()


class SimSocket(File):
    """The client's end of a connection."""

    def __init__(self, files: Files, scheduler: Scheduler, link: Link, server: Server) -> None:
        super().__init__(files)
        self._scheduler, self._link, self._server = scheduler, link, server
        self._timeout_s: float | None = None
        self._inbox = bytearray()
        self._ended = self._broken = self.lost = False
        self._session: Session | None = None
        self._out_s = self._in_s = 0.0
        self._key = self.fileno()

    # -- what redis-py and the library use

    def connect(self, timeout_s: float | None) -> None:
        scheduler, link, server = self._scheduler, self._link, self._server
        if link.hang or link.swallow:
            scheduler.block(timeout_s)
            raise TimeoutError("timed out")
        delay_s = 2 * link.delay_s
        if timeout_s is not None and delay_s > timeout_s:
            scheduler.block(timeout_s)
            raise TimeoutError("timed out")
        scheduler.block(delay_s)
        if link.refuse or not server.up:
            raise ConnectionRefusedError("Connection refused")
        self._session = server.accept(b"%s:%d" % (b"sim", self._key), self._from_server, self._hung_up)
        link.sockets[self._key] = self

    def settimeout(self, timeout_s: float | None) -> None:
        self._timeout_s = timeout_s

    def setsockopt(self, *_: object) -> None:
        """That a close resets the connection. What is on its way may arrive all the same."""

    def setblocking(self, blocking: bool) -> None:
        self._timeout_s = None if blocking else 0.0

    def sendall(self, data: bytes | memoryview) -> None:
        self.send(data)

    def send(self, data: bytes | memoryview) -> int:
        self._scheduler.pause()
        if self._broken or self.fileno() < 0:
            raise ConnectionResetError("Connection reset by peer")
        payload, random = bytes(data), self._scheduler.random
        if len(payload) > 1 and random.random() < 0.05:
            cut = random.randrange(1, len(payload))
            self._to_server(payload[:cut])
            self._to_server(payload[cut:])
        elif payload:
            self._to_server(payload)
        self._scheduler.pause()
        return len(payload)

    def recv_into(self, buffer: bytearray, _: int = 0) -> int:
        data = self._received(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def recv(self, size: int, _: int = 0) -> bytes:
        return self._received(size)

    def shutdown(self, _: int) -> None:
        """`close` follows."""

    def close(self) -> None:
        if self.fileno() >= 0:
            self.forget()
            if not self._scheduler.over:
                self._to_server(b"")

    @property
    def readable(self) -> bool:
        return bool(self._inbox) or self._ended or self._broken

    def _received(self, size: int) -> bytes:
        scheduler = self._scheduler
        scheduler.pause()
        if not self.readable and self.fileno() >= 0:
            if self._timeout_s == 0 or scheduler.current is None:
                raise BlockingIOError
            self.watchers.append(scheduler.current)
            task, deadline_s = scheduler.current, scheduler.now_s + (self._timeout_s or 1e9)
            while not self.readable and self.fileno() >= 0 and scheduler.now_s < deadline_s:
                scheduler.block(deadline_s - scheduler.now_s)
            self.watchers.remove(task)
        if self._inbox:
            data = bytes(self._inbox[:size])
            del self._inbox[:size]
            return data
        if self.fileno() < 0:
            raise OSError("Bad file descriptor")
        if self._broken:
            raise ConnectionResetError("Connection reset by peer")
        if self._ended:
            return b""
        raise TimeoutError("timed out")

    # -- what happens on the way

    def _to_server(self, payload: bytes) -> None:
        self._out_s = max(self._out_s, self._scheduler.now_s + self._link.delay_s)
        self._link.carry(self._out_s, self._deliver, payload)

    def _deliver(self, payload: bytes) -> None:
        if not payload:
            self._link.sockets.pop(self._key, None)
        if not self._swallowed() and not self._broken and self._session is not None:
            self._server.receive(self._session, payload)

    def _from_server(self, payload: bytes) -> None:
        self._in_s = max(self._in_s, self._scheduler.now_s + self._link.delay_s)
        self._link.carry(self._in_s, self._take, payload)

    def _take(self, payload: bytes) -> None:
        if self._swallowed() or self._broken or self.fileno() < 0:
            return
        if self._link.lose_replies:
            self._link.lose_replies -= 1
            self.reset()
            return
        self._inbox += payload
        self.notify()

    def _hung_up(self) -> None:
        self._in_s = max(self._in_s, self._scheduler.now_s + self._link.delay_s)
        self._link.carry(self._in_s, self._end)

    def _swallowed(self) -> bool:
        """Whether what is on its way vanishes: once a part did, all that follows does."""
        self.lost = self.lost or self._link.swallow
        return self.lost

    def _end(self) -> None:
        if self._swallowed():
            return
        self._ended = True
        self.notify()

    def reset(self) -> None:
        """The connection breaks, for both ends, at once."""
        self._broken = True
        self._link.sockets.pop(self._key, None)
        if self._session is not None:
            session, self._session = self._session, None
            if self._server.sessions.get(session.number) is session:
                del self._server.sessions[session.number]
        self.notify()


class Network:
    """Who reaches which server, by host and port."""

    def __init__(self, scheduler: Scheduler, files: Files) -> None:
        self._scheduler, self._files = scheduler, files
        self.links: dict[tuple[Host, Server], Link] = {}
        self.servers: dict[str, Server] = {}

    def connect(self, name: str, connect_timeout_s: float | None, timeout_s: float | None) -> Any:
        """What `socket.create_connection` does, for the process whose task asks."""
        task = self._scheduler.current
        assert task is not None, "connections are made by tasks"
        server = self.servers[name]
        socket = SimSocket(self._files, self._scheduler, self.links[task.host, server], server)
        try:
            socket.connect(connect_timeout_s)
        except OSError:
            socket.forget()
            raise
        socket.settimeout(timeout_s)
        return socket

    def abandon(self, host: Host) -> None:
        """The process died: its system closes its sockets."""
        for (owner, _), link in self.links.items():
            if owner is host:
                for socket in list(link.sockets.values()):
                    socket.close()
