"""Connections to a store whose replies stay as the store sent them; hiredis only counts them."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Mapping
from typing import Any, Final

from hybrid.core.authority import Position
from hybrid.proxy.replies import Block, opened, value_end
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.idle import Kept, Kind
from hybrid.stores.wire import SocketWire, TlsWire, UnixWire, Wire

__all__ = ["ClientGone", "RawEndpoint", "waiting"]

GONE: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR if hasattr(select, "POLLRDHUP") else select.POLLHUP


class ClientGone(Exception):
    """The client closed its connection while a store was asked to wait for it."""


class _Waiting(threading.local):
    """The client for whom this thread waits at a store, perhaps for ever; None while it serves as usual."""

    client: socket.socket | None = None


waiting = _Waiting()


class _Tee:
    """hiredis's reader, keeping what it is fed."""

    def __init__(self, reader: Any) -> None:
        self._feed = reader.feed
        self.gets = reader.gets
        self.has_data = reader.has_data
        self.fed: list[bytes] = []

    def feed(self, data: bytearray, start: int, size: int) -> None:
        self.fed.append(bytes(memoryview(data)[start : start + size]))
        self._feed(data, start, size)


class RawWire(Wire):
    """`receive` returns a `Block` in place of a list."""

    _replies: Any
    _rest: bytes = b""

    def open(self) -> None:
        super().open()
        self._replies = _Tee(self._replies)

    def receive(self, count: int, *, decode: bool = True, timeout_s: float | None = None) -> Block:  # type: ignore[override]
        self._replies.fed.clear()
        super().receive(count, decode=False, timeout_s=timeout_s)
        return Block(b"".join(self._replies.fed), count, self._parser.parse_error)

    def replayed(self, raw: bytes, count: int, *, decode: bool) -> Block:  # type: ignore[override]
        return Block(raw, count, self._parser.parse_error)

    def error_of(self, replies: Block) -> Exception | None:
        """As that of `Wire`; others are not parsed for it."""
        return super().error_of(replies) if replies.raw.startswith(b"-") else None

    def messages(self, *, readable: bool) -> list[tuple[list[Any], bytes]]:
        """The messages that are there: each parsed, and in its own bytes."""
        parsed = self.arrived(readable=readable)
        data, at = self._rest + b"".join(self._replies.fed), 0
        self._replies.fed.clear()
        found = []
        for message in parsed:
            stop = value_end(data, at)
            found.append((message, data[at:stop]))
            at = stop
        self._rest = data[at:]
        return found

    def _fill(self) -> None:
        client = waiting.client
        if client is not None and not self.has_replies():
            self._wait(client)
        super()._fill()

    def _wait(self, client: socket.socket) -> None:
        """Until the store answers or its time is up. Raises ClientGone when the client goes first."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        poll.register(client.fileno(), GONE)
        ready = poll.poll(None if self._timeout_s is None else self._timeout_s * 1000)
        if any(file != self.fileno() for file, _ in ready):
            self.disconnect()
            raise ClientGone


class RawSocketWire(RawWire, SocketWire):
    pass


class RawTlsWire(RawWire, TlsWire):
    pass


class RawUnixWire(RawWire, UnixWire):
    pass


_RAW: Final[dict[Any, Any]] = {SocketWire: RawSocketWire, TlsWire: RawTlsWire, UnixWire: RawUnixWire}


class RawEndpoint(Endpoint):
    """A store reached over wires that keep its replies. They are counted, time out and are retired as those of
    `endpoint`: who saw the store fail there has seen it for these too."""

    def __init__(self, endpoint: Endpoint, options: Mapping[str, Any]) -> None:
        super().__init__(endpoint.store, endpoint.url, endpoint.names, timeout_s=endpoint.timeout_s, options=options)
        self.is_last = endpoint.is_last
        self.known_place = endpoint.known_place
        self.pace = endpoint.pace
        self._class = _RAW[self._class]
        self.meter = endpoint.meter
        self.lost = endpoint.lost
        self.hears_flushes = False  # clients would get to read it
        self._followed = endpoint
        self._followed_to = endpoint.generation

    def is_older(self, marks: Any, described: Any, known: Position) -> bool:
        return self._followed.is_older(marks, opened(described), known)

    def _kept(self, kind: Kind) -> Kept | None:
        followed = self._followed
        if self._followed_to != followed.generation:
            self._followed_to = followed.generation
            self.set_timeout(followed.timeout_s)  # which retires them
        return super()._kept(kind)
