"""The delayed link's core: an asyncio TCP proxy that puts a distance, and faults on request, before one store.

Everything changes live and healthy connections stay. Delay is applied when data leaves, not when it arrives, so that a
new delay, a new rate or a heal also holds for what is already under way; order within a connection is always kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
import socket
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hybrid.errors import EmbeddedServerError
from hybrid.stores.ports import LOOPBACK, free_port, port_is_free
from hybrid.stores.relay import End

__all__ = ["Faults", "LinkState", "Proxy"]

BIND_TRIES = 50
PORTS_TRIED = 20
_SLICES_PER_S = 50  # how finely `slow` spreads a chunk


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a link now. The defaults are a healthy link of 60 ms.

    round_trip_s  delay, half each way
    refuse        new connections are refused, existing ones reset
    hang          connections are accepted and stay open; nothing passes until healed, and nothing is lost
    lose_reply    the next N requests reach the store, their replies do not come back, and the connection is then reset;
                  a request is a command, a transaction, or what there is of a pipeline, and not a connection's greeting
                  (HELLO, AUTH, CLIENT, SELECT)
    slow          bytes per second and direction over all connections; 0 for no limit
    """

    round_trip_s: float = 0.060
    refuse: bool = False
    hang: bool = False
    lose_reply: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class LinkState:
    """A snapshot: where the link leads, its faults, connections open now and ever, bytes that passed each way."""

    port: int
    target: str
    faults: Faults
    connections: int
    connections_total: int
    bytes_to_store: int
    bytes_to_client: int


class Proxy:
    """The link's core, on the running event loop. `apply` and `heal` are documented at `Link`."""

    def __init__(
        self, target_host: str, target_port: int, *, host: str = LOOPBACK, port: int = 0, round_trip_s: float = 0.06
    ) -> None:
        self._target = (target_host, target_port)
        self._host = host
        self.port = port
        self._healthy = Faults(round_trip_s=round_trip_s)
        self.faults = self._healthy
        self._guard: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._listening = asyncio.Lock()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._clients: set[End] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends_at: dict[str, asyncio.TimerHandle] = {}
        self._free_at = [0.0, 0.0]  # when `slow` lets the next slice go, to the client and to the store
        self._bytes = [0, 0]
        self._accepted = 0

    async def start(self) -> None:
        """Listen. Raises EmbeddedServerError when the port is taken."""
        self._guard = self._guard_of(self.port) if self.port else self._guard_of_any_port()
        self.port = self._guard.getsockname()[1]
        await self._listen_or_refuse()

    async def apply(self, *, cut: bool = False, for_s: float | None = None, **changes: Any) -> None:
        changes = {name: value for name, value in changes.items() if value is not None}
        self._set(changes)
        for name in changes:
            self._cancel_end(name)
            if for_s is not None:
                self._ends_at[name] = asyncio.get_running_loop().call_later(for_s, self._expire, name)
        if for_s is None and "round_trip_s" in changes:
            self._healthy = dataclasses.replace(self._healthy, round_trip_s=changes["round_trip_s"])
        if cut or self.faults.refuse:
            self._cut_all()
        await self._listen_or_refuse()

    async def heal(self) -> None:
        for name in list(self._ends_at):
            self._cancel_end(name)
        self._set(dataclasses.asdict(self._healthy))
        await self._listen_or_refuse()

    @property
    def state(self) -> LinkState:
        target = f"{self._target[0]}:{self._target[1]}"
        return LinkState(
            self.port, target, self.faults, len(self._clients), self._accepted, self._bytes[1], self._bytes[0]
        )

    async def close(self) -> None:
        """Reset every connection and free the port."""
        for name in list(self._ends_at):
            self._cancel_end(name)
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        self._cut_all()
        if self._guard is not None:
            self._guard.close()
        await asyncio.sleep(0)  # aborted transports close their sockets in the loop's next turn

    # What the ends of the connections ask

    def accepted(self, client: End) -> None:
        self._accepted += 1
        self._clients.add(client)
        store = End(self, is_client=False)
        client.peer, store.peer = store, client
        if self.faults.refuse:  # it was waiting in the backlog when the listener closed
            client.cut()
        else:
            self._do(self._connect(client, store))

    def has(self, end: End) -> bool:
        return (end if end.is_client else end.peer) in self._clients

    def forget(self, end: End) -> None:
        self._clients.discard(end if end.is_client else end.peer)

    def wait_s(self, arrived: float, to_store: bool) -> float:
        """How long data that arrived then has still to wait."""
        due = arrived + self.faults.round_trip_s / 2
        if self.faults.slow:
            due = max(due, self._free_at[to_store])
        return due - asyncio.get_running_loop().time()

    def slice_bytes(self, size: int, to_store: bool) -> int:
        """How many of the next `size` bytes may pass now; the rate's next slot is booked."""
        if not self.faults.slow:
            return size
        size = min(size, max(1, self.faults.slow // _SLICES_PER_S))
        self._free_at[to_store] = asyncio.get_running_loop().time() + size / self.faults.slow
        return size

    def count(self, size_bytes: int, to_store: bool) -> None:
        self._bytes[to_store] += size_bytes

    def take_lost_reply(self) -> bool:
        """Whether the request that passes now is one whose reply is to be lost."""
        left = self.faults.lose_reply
        if left:
            self.faults = dataclasses.replace(self.faults, lose_reply=left - 1)
        return left > 0

    # Inside

    def _guard_of_any_port(self) -> socket.socket:
        """One that a server has just left looks free, and is not: its last connections share it with nobody."""
        for _ in range(PORTS_TRIED - 1):
            with suppress(EmbeddedServerError):
                return self._guard_of(free_port(self._host))
        return self._guard_of(free_port(self._host))

    def _guard_of(self, port: int) -> socket.socket:
        """A socket that keeps the port ours while `refuse` has closed the listener. Raises EmbeddedServerError."""
        try:
            if port_is_free(port, self._host):
                return self._bound(port)
        except OSError:
            pass  # taken in between
        raise EmbeddedServerError(f"port {port} is taken by another process; stop it or choose another port")

    def _bound(self, port: int) -> socket.socket:
        bound = socket.socket()
        # For the guard that keeps the port while it refuses; with SO_REUSEADDR a stranger could listen beside it.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            bound.bind((self._host, port))
        except OSError:
            bound.close()
            raise
        return bound

    async def _listen_or_refuse(self) -> None:
        async with self._listening:
            if self.faults.refuse and self._server is not None:
                self._server.close()
                self._server = None
            elif not self.faults.refuse and self._server is None:
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(
                    lambda: End(self, is_client=True), sock=await self._bound_again(), backlog=512
                )

    async def _bound_again(self) -> socket.socket:
        """Connections that are just being closed can hold the port for a moment."""
        for _ in range(BIND_TRIES):
            try:
                return self._bound(self.port)
            except OSError:
                await asyncio.sleep(0.02)
        return self._bound(self.port)

    async def _connect(self, client: End, store: End) -> None:
        await self._flowing.wait()
        try:
            await asyncio.get_running_loop().create_connection(lambda: store, *self._target)
        except OSError:
            client.cut()
            return
        if client in self._clients:
            client.advance()
        else:  # cut while it connected
            store.cut()

    def _set(self, changes: dict[str, Any]) -> None:
        self.faults = dataclasses.replace(self.faults, **changes)
        self._free_at = [0.0, 0.0]
        if self.faults.hang:
            self._flowing.clear()
        else:
            self._flowing.set()
        for client in list(self._clients):
            client.advance()
            client.peer.advance()

    def _expire(self, name: str) -> None:
        self._do(self.apply(**{name: getattr(self._healthy, name)}))

    def _cancel_end(self, name: str) -> None:
        if timer := self._ends_at.pop(name, None):
            timer.cancel()

    def _cut_all(self) -> None:
        for client in list(self._clients):
            client.cut()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself keeps tasks only weakly
        task.add_done_callback(self._tasks.discard)
