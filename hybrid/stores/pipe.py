"""Many requests on the way at once over one wire, without a thread: push, flush, and collect what has come back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from hybrid.stores.wire import Wire

__all__ = ["Done", "Pipe", "ignore"]

Done = Callable[[list[Any]], None]


class _Flight:
    """Requests that go out together."""

    __slots__ = ("sent_s",)

    def __init__(self) -> None:
        self.sent_s: float | None = None


class Pipe:
    """Not thread-safe: one thread owns it, because a TLS connection must not be read and written at the same time.

    All methods raise NotSent or ReplyLost when the connection fails; what was on the way is then in doubt.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._outgoing: list[bytes] = []
        self._outgoing_commands = 0
        self._expected: deque[tuple[int, int, _Flight, Done]] = deque()
        self._flight = _Flight()
        self._replies: list[Any] = []
        self._heard_s = time.monotonic()
        self.in_flight_bytes = 0
        self.in_flight = 0

    def push(self, payload: bytes, count: int, done: Done) -> None:
        """Queue `payload`; `done` gets its `count` replies, error replies among them."""
        self._outgoing.append(payload)
        self._outgoing_commands += count
        self._expected.append((count, len(payload), self._flight, done))
        self.in_flight_bytes += len(payload)
        self.in_flight += count

    def flush(self) -> None:
        if self._outgoing:
            self._flight.sent_s = time.monotonic()
            if len(self._expected) == len(self._outgoing):
                self._heard_s = self._flight.sent_s
            self._flight = _Flight()
            payload = b"".join(self._outgoing)
            commands, self._outgoing, self._outgoing_commands = self._outgoing_commands, [], 0
            self.wire.send(payload, commands)

    def collect(self, *, readable: bool) -> None:
        """Take what has arrived; with `readable` False only what was read before."""
        if readable:
            self._heard_s = time.monotonic()
        self._replies += self.wire.arrived(readable=readable)
        taken = 0
        try:
            while self._expected and len(self._replies) - taken >= self._expected[0][0]:
                count, size, _, done = self._expected.popleft()
                self.in_flight_bytes -= size
                self.in_flight -= count
                taken += count
                done(self._replies[taken - count : taken])
        finally:
            del self._replies[:taken]

    @property
    def is_flushed(self) -> bool:
        """Whether all that was pushed was sent."""
        return not self._outgoing

    @property
    def silent_s(self) -> float:
        """How long an answer has been due; 0 when nothing is. What is pushed but not flushed is not due."""
        return time.monotonic() - self._heard_s if len(self._expected) > len(self._outgoing) else 0.0

    @property
    def waiting_s(self) -> float:
        """How long the oldest request that was sent has waited for its answer; 0 when nothing is due."""
        sent_s = self._expected[0][2].sent_s if self._expected else None
        return 0.0 if sent_s is None else time.monotonic() - sent_s


def ignore(_: list[Any]) -> None:
    """The reply says nothing that matters here; a lost connection shows elsewhere."""
