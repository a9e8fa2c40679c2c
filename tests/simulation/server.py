"""A simulated server: sessions, transactions, WATCH, channels and blocking reads on a `Keyspace`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import hiredis

from hybrid.core.connections import FLUSHES_CHANNEL

from . import commands, streams
from .keyspace import COMMANDS, Error, Keyspace, Status, Value, name_of
from .scheduler import Host, Scheduler
from .scripts import evaluate, sha
from .threads import EPOCH_S

__all__ = ["MARK", "Server", "Session"]

assert commands.__all__ == streams.__all__ == []  # they are in COMMANDS once imported
OK: Final = Status(b"OK")
QUEUED: Final = Status(b"QUEUED")
MARK: Final = b"hybrid:identity"
"""A store that was wiped has it again once it is refilled: `Server.marked_at_s`."""

PROBED: Final = frozenset({"FUNCTION", "HPEXPIRETIME", "JSON.GET"})
"""Commands that the library asks for to learn that they are not there."""


def encoded(reply: Any) -> bytes:
    kind = type(reply)
    if kind is bytes:
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if kind is int:
        return b":%d\r\n" % reply
    if kind is Status:
        return b"+%b\r\n" % reply
    if reply is None:
        return b"$-1\r\n"
    if reply is NullArray:
        return b"*-1\r\n"
    if isinstance(reply, Error):
        return b"-%b\r\n" % str(reply).encode()
    replies = b"".join(map(encoded, reply))
    return replies if isinstance(reply, Several) else b"*%d\r\n" % len(reply) + replies


class Several(list[Any]):
    """The replies of a SUBSCRIBE, one for each channel."""


class NullArray:
    """The reply of an EXEC that did nothing, and of an XREAD whose time is over."""


class Session:
    """One connection as the server sees it. `send` and `hang_up` lead to the client."""

    def __init__(self, number: int, address: bytes, send: Callable[[bytes], None], hang_up: Callable[[], None]) -> None:
        self.number, self.address = number, address
        self.send, self.hang_up = send, hang_up
        self.reader = hiredis.Reader()
        self.waiting: deque[list[bytes]] = deque()
        self.queue: list[list[bytes]] | None = None
        self.spoiled = False
        self.dirty = False
        self.channels: set[bytes] = set()
        self.blocked: list[bytes] | None = None
        self.tells_flushes_to: int | None = None


class Server(Host):
    """`heard` is told of every command that is run."""

    def __init__(self, name: str, scheduler: Scheduler, skew_s: float = 0.0) -> None:
        super().__init__(name, skew_s)
        self.scheduler = scheduler
        self.up = True
        self.heard: Callable[[Session, list[bytes], Any], None] | None = None
        self.sessions: dict[int, Session] = {}
        self.unknown: set[str] = set()
        self.refused = frozenset[bytes]()
        """What services, or the rights of a user, refuse of `CLIENT`."""
        self.commands = 0
        self.marked_at_s = float("inf")
        self._numbers = 0
        self.boots = 1
        self._inbox: list[tuple[Session, bytes]] = []
        self._scripts: dict[bytes, bytes] = {}
        self._watching: dict[bytes, set[Session]] = {}
        self._blocked: dict[bytes, list[Session]] = {}
        self._stirred: list[bytes] = []
        self.data = Keyspace(self.clock_ms, self._touched)

    def clock_ms(self) -> int:
        return int((EPOCH_S + self.scheduler.now_s + self.skew_s) * 1000)

    # -- life

    def crash(self) -> None:
        """As kill -9. What was sent and not read is gone with it."""
        self.up = self.frozen = False
        self._inbox.clear()
        for session in list(self.sessions.values()):
            self.drop(session)

    def boot(self, values: dict[bytes, Value]) -> None:
        """Start again with this data."""
        self.up = True
        self.boots += 1
        self._scripts.clear()
        self._numbers = 0
        self.data = Keyspace(self.clock_ms, self._touched, values)
        if MARK not in values:
            self.marked_at_s = float("inf")

    def empty(self) -> None:
        """As FLUSHALL by hand: connections stay, and those that asked for it are told."""
        self.data.run([b"FLUSHALL"])
        self.marked_at_s = float("inf")
        for session in list(self.sessions.values()):
            hearer = self.sessions.get(session.tells_flushes_to or 0)
            if hearer is not None:
                hearer.send(encoded([b"message", FLUSHES_CHANNEL, None]))

    def stop(self) -> None:
        """As SIGSTOP: the kernel still accepts connections, and keeps what arrives."""
        self.frozen = True

    def resume(self) -> None:
        self.frozen = False
        inbox, self._inbox = self._inbox, []
        for session, payload in inbox:
            self.receive(session, payload)

    # -- connections

    def accept(self, address: bytes, send: Callable[[bytes], None], hang_up: Callable[[], None]) -> Session:
        self._numbers += 1
        session = self.sessions[self._numbers] = Session(self._numbers, address, send, hang_up)
        return session

    def drop(self, session: Session) -> None:
        """Close a connection from this side."""
        if self.sessions.get(session.number) is session:
            del self.sessions[session.number]
            session.hang_up()

    def receive(self, session: Session, payload: bytes) -> None:
        """Bytes from the client; none means that it hung up."""
        if self.frozen:
            self._inbox.append((session, payload))
            return
        if self.sessions.get(session.number) is not session:
            return
        if not payload:
            self.drop(session)
            return
        session.reader.feed(payload)
        while (args := session.reader.gets()) is not False:
            session.waiting.append(args)
        self._serve(session)

    def _serve(self, session: Session) -> None:
        out: list[bytes] = []
        while session.waiting and session.blocked is None and self.sessions.get(session.number) is session:
            args = session.waiting.popleft()
            reply = self._answer(session, args)
            self.commands += 1
            if self.heard is not None:
                self.heard(session, args, reply)
            if session.blocked is None:
                out.append(encoded(reply))
        if out:
            session.send(b"".join(out))
        self._unblock()

    # -- commands

    def _answer(self, session: Session, args: list[bytes]) -> Any:
        name = name_of(args[0])
        try:
            if session.queue is not None and name not in ("EXEC", "DISCARD", "MULTI", "WATCH"):
                return self._queued(session, name, args)
            if session.channels and name == "PING":
                return [b"pong", b""]
            return self._run(session, name, args)
        except Error as error:
            return error

    def _queued(self, session: Session, name: str, args: list[bytes]) -> Any:
        if name not in COMMANDS and name not in self._own:
            session.spoiled = True
            self.unknown.add(name)
            raise Error(f"ERR unknown command '{name}'")
        assert session.queue is not None
        session.queue.append(args)
        return QUEUED

    def _run(self, session: Session, name: str, args: list[bytes]) -> Any:
        own = self._own.get(name)
        if own is not None:
            return own(self, session, args)
        if name == "XREAD":
            return self._xread(session, args)
        try:
            return self.data.run(args)
        except Error as error:
            if "unknown command" in str(error) and name not in PROBED:
                self.unknown.add(name)
            raise

    def _multi(self, session: Session, _: list[bytes]) -> Any:
        if session.queue is not None:
            raise Error("ERR MULTI calls can not be nested")
        session.queue, session.spoiled = [], False
        return OK

    def _discard(self, session: Session, _: list[bytes]) -> Any:
        if session.queue is None:
            raise Error("ERR DISCARD without MULTI")
        session.queue = None
        return self._unwatch(session, [])

    def _exec(self, session: Session, _: list[bytes]) -> Any:
        if session.queue is None:
            raise Error("ERR EXEC without MULTI")
        queue, session.queue = session.queue, None
        self.data.look()
        dirty = session.dirty
        self._unwatch(session, [])
        if session.spoiled:
            raise Error("EXECABORT Transaction discarded because of previous errors.")
        if dirty:
            return NullArray
        return [self._answer(session, args) for args in queue]

    def _watch(self, session: Session, args: list[bytes]) -> Any:
        if session.queue is not None:
            raise Error("ERR WATCH inside MULTI is not allowed")
        self.data.look()
        for key in args[1:]:
            self._watching.setdefault(key, set()).add(session)
        return OK

    def _unwatch(self, session: Session, _: list[bytes]) -> Any:
        for sessions in self._watching.values():
            sessions.discard(session)
        session.dirty = False
        return OK

    def _touched(self, key: bytes) -> None:
        if key == MARK:
            self.marked_at_s = self.scheduler.now_s
        for session in self._watching.pop(key, ()):
            session.dirty = True
        if key in self._blocked:
            self._stirred.append(key)

    def _ping(self, _: Session, args: list[bytes]) -> Any:
        return Status(b"PONG")

    def _time(self, _: Session, args: list[bytes]) -> Any:
        ms = self.clock_ms()
        return [b"%d" % (ms // 1000), b"%d" % (ms % 1000 * 1000)]

    def _info(self, _: Session, args: list[bytes]) -> Any:
        return b"# Server\r\nredis_version:7.2.4\r\nredis_build_id:1\r\nrun_id:%040d\r\n" % self.boots

    def _client(self, session: Session, args: list[bytes]) -> Any:
        what = args[1].upper()
        if what in self.refused:
            raise Error(f"ERR unknown subcommand '{what.decode()}'")
        if what == b"INFO":
            return b"id=%d addr=%b" % (session.number, session.address)
        if what == b"ID":
            return session.number
        if what == b"TRACKING":
            session.tells_flushes_to = int(args[args.index(b"REDIRECT") + 1])
        if what == b"KILL":
            return self._kill(dict(zip((word.upper() for word in args[2::2]), args[3::2], strict=True)))
        return OK

    def _kill(self, marks: dict[bytes, bytes]) -> int:
        found = [
            session
            for session in self.sessions.values()
            if marks.get(b"ID", b"%d" % session.number) == b"%d" % session.number
            and marks.get(b"ADDR", session.address) == session.address
        ]
        for session in found:
            self.drop(session)
        return len(found)

    def _subscribe(self, session: Session, args: list[bytes]) -> Any:
        before = len(session.channels)
        session.channels.update(args[1:])
        return Several([b"subscribe", channel, before + number] for number, channel in enumerate(args[1:], 1))

    def _publish(self, _: Session, args: list[bytes]) -> Any:
        hearers = [session for session in self.sessions.values() if args[1] in session.channels]
        for session in hearers:
            session.send(encoded([b"message", args[1], args[2]]))
        return len(hearers)

    def _script(self, _: Session, args: list[bytes]) -> Any:
        self._scripts[sha(args[2])] = args[2]
        return sha(args[2])

    def _eval(self, session: Session, args: list[bytes]) -> Any:
        return self._evaluate(session, args[1], args)

    def _evalsha(self, session: Session, args: list[bytes]) -> Any:
        if args[1] not in self._scripts:
            raise Error("NOSCRIPT No matching script. Please use EVAL.")
        return self._evaluate(session, self._scripts[args[1]], args)

    def _evaluate(self, session: Session, script: bytes, args: list[bytes]) -> Any:
        self._scripts[sha(script)] = script
        count = int(args[2])
        run = partial(self._from_script, session)
        return evaluate(script, args[3 : 3 + count], args[3 + count :], run)

    def _from_script(self, session: Session, args: list[bytes]) -> Any:
        return self._run(session, name_of(args[0]), args)

    # -- blocking

    def _xread(self, session: Session, args: list[bytes]) -> Any:
        found = self.data.run(args)
        words = [arg.upper() for arg in args]
        if found is not None:
            return found
        if b"BLOCK" not in words:
            return NullArray
        session.blocked = args
        self._blocked.setdefault(args[words.index(b"STREAMS") + 1], []).append(session)
        self.scheduler.at(int(args[words.index(b"BLOCK") + 1]) / 1000, partial(self._expired, session, args))
        return None

    def _expired(self, session: Session, args: list[bytes]) -> None:
        if session.blocked is args and self.sessions.get(session.number) is session:
            if self.frozen:
                self.scheduler.at(0.05, partial(self._expired, session, args))
                return
            session.blocked = None
            session.send(b"*-1\r\n")
            self._serve(session)

    def _unblock(self) -> None:
        while self._stirred:
            key = self._stirred.pop()
            for session in self._blocked.pop(key, ()):
                if session.blocked is None or self.sessions.get(session.number) is not session:
                    continue
                found = self.data.run(session.blocked)
                if found is None:
                    self._blocked.setdefault(key, []).append(session)
                    continue
                session.blocked = None
                session.send(encoded(found))
                self._serve(session)

    _own: Final[dict[str, Callable[[Server, Session, list[bytes]], Any]]] = {
        "MULTI": _multi, "EXEC": _exec, "DISCARD": _discard, "WATCH": _watch, "UNWATCH": _unwatch,
        "PING": _ping, "TIME": _time, "INFO": _info, "CLIENT": _client, "SUBSCRIBE": _subscribe,
        "PUBLISH": _publish, "SCRIPT": _script, "EVAL": _eval, "EVALSHA": _evalsha,
    }  # fmt: skip
