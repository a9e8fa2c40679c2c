"""One connection through a delayed link: two ends, each holding what it received until the other may have it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from typing import TYPE_CHECKING

from hybrid.stores.reset import reset_at_close

if TYPE_CHECKING:
    from hybrid.stores.proxy import Proxy

__all__ = ["End", "ends_whole"]

_HELD_BYTES = 8 << 20  # per direction of a connection; beyond it the sender is held back, as a full window would
_GREETING = re.compile(rb"\*\d+\r\n\$\d+\r\n(HELLO|AUTH|CLIENT|SELECT)\r\n", re.IGNORECASE)


class End(asyncio.Protocol):
    """One socket of a connection. What it receives waits here until its peer may have it."""

    def __init__(self, proxy: Proxy, *, is_client: bool) -> None:
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self.is_client = is_client
        self.peer: End
        self.transport: asyncio.Transport | None = None
        self._queue: deque[tuple[float, memoryview]] = deque()  # (arrival, data); empty data: end of stream
        self._held_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writable = True
        self._lost = False
        self._ended = False  # our end of stream has been passed on
        self._doomed: bytearray | None = None  # a client end: requests passed on since its replies are being lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=1 << 20)
        if self.is_client:
            self._proxy.accepted(self)

    def data_received(self, data: bytes) -> None:
        self._hold(memoryview(data))

    def eof_received(self) -> bool:
        self._hold(memoryview(b""))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._proxy.has(self):  # else we closed it
            self.advance()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self.peer.advance()

    def _hold(self, data: memoryview) -> None:
        self._queue.append((self._loop.time(), data))
        self._held_bytes += len(data)
        if self._held_bytes > _HELD_BYTES and self.transport is not None:
            self.transport.pause_reading()
        if self._timer is None:
            self.advance()

    def advance(self) -> None:
        """Pass on all that is due now, and come back when the next is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._proxy.faults.hang:
            return
        if self._lost:
            return self.cut()
        while self._queue and self.peer.transport is not None and self.peer._writable:
            wait_s = self._proxy.wait_s(self._queue[0][0], self.is_client)
            if wait_s > 0:
                self._timer = self._loop.call_later(wait_s, self.advance)
                return
            self._pass_on(self._next_slice())

    def _next_slice(self) -> memoryview:
        arrived, data = self._queue.popleft()
        size = self._proxy.slice_bytes(len(data), self.is_client)
        if size < len(data):
            self._queue.appendleft((arrived, data[size:]))
        self._held_bytes -= size
        if self._held_bytes <= _HELD_BYTES and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        return data[:size]

    def _pass_on(self, data: memoryview) -> None:
        if self.peer._doomed is not None:  # a reply that is to be lost; its end says that the store has run the request
            return None if data else self.cut()
        if self._ended:  # sent after the request whose reply is lost
            return None
        if not data:
            return self._pass_end_on()
        assert self.peer.transport is not None
        if self.peer.transport.is_closing():  # it was reset, and is about to hear of it
            return None
        self.peer.transport.write(data)
        self._proxy.count(len(data), self.is_client)
        if self.is_client:
            self._lose_reply(data)

    def _lose_reply(self, request: memoryview) -> None:
        if self._doomed is None and not _GREETING.match(request) and self._proxy.take_lost_reply():
            self._doomed = bytearray()
        if self._doomed is None:
            return
        self._doomed += request
        if ends_whole(self._doomed):
            assert self.peer.transport is not None
            rest_of_pipeline = [data for _, data in self._queue]
            self.peer.transport.writelines(rest_of_pipeline)
            self._queue.clear()
            self._pass_end_on()  # the store runs all it received before it sees the end; a reset could overtake it

    def _pass_end_on(self) -> None:
        assert self.peer.transport is not None
        self._ended = True
        if self.peer._ended:
            self._proxy.forget(self)
            for end in (self, self.peer):
                if end.transport is not None:
                    end.transport.close()
        elif not self.peer.transport.is_closing():
            with contextlib.suppress(OSError):  # it was reset, and the loop has not come to hear of it
                self.peer.transport.write_eof()

    def cut(self) -> None:
        """Reset both sockets now; what waits is lost."""
        self._proxy.forget(self)
        for end in (self, self.peer):
            end._queue.clear()
            if end._timer is not None:
                end._timer.cancel()
            if end.transport is not None and not end._lost:
                reset_at_close(end.transport.get_extra_info("socket"))
                end.transport.abort()


def ends_whole(requests: bytes | bytearray) -> bool:
    """Whether `requests`, read from the start of one, end with a complete command and outside of a transaction.

    What is no array of the protocol is taken as complete.
    """
    at, in_transaction = 0, False
    while requests[at : at + 1] == b"*":
        count, at = _header(requests, at)
        for index in range(count):
            size_bytes, at = _header(requests, at)
            if index == 0:
                name = bytes(requests[at : at + size_bytes]).upper()
                in_transaction = name == b"MULTI" or (in_transaction and name not in (b"EXEC", b"DISCARD"))
            at += size_bytes + 2
    return at <= len(requests) and not in_transaction


def _header(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """The number in the header line at `at`, and where the next line starts: past the end when it is not all there."""
    end = data.find(b"\r\n", at)
    digits = data[at + 1 : max(end, 0)]
    return (int(digits), end + 2) if digits.isdigit() else (0, len(data) + 1)
