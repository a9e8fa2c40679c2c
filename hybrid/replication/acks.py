"""How far one store's log is known to be applied on the other, and those who wait for it."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Final

from hybrid.core.authority import Authority, Position
from hybrid.core.tokens import Seal

__all__ = ["NEVER", "Acks"]

NEVER: Final[Position] = (2**63, 0)
"""A place that no log gets to."""


class Acks:
    """Progress through one log. Positions only grow, until it begins anew; waiting costs one lock per waiter and no
    polling."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # re-entrant, because the garbage collector may come here while it is held
        self._order = itertools.count()
        self._waiters: list[tuple[Position, int, threading.Lock]] = []
        self.applied: Position = (0, 0)
        self.epoch = 0
        """In which the store began to take writes, see `begin`."""
        self._awaited: Position = (0, 0)
        self._known_before: Position = (0, 0)
        self.listeners: set[Callable[[], None]] = set()
        self._seal: Seal | None = None
        self.sealed_s = 0.0
        """When the seal was heard (monotonic clock)."""

    @property
    def is_awaited(self) -> bool:
        """Whether something is on its way to the other store that somebody here waits for."""
        return self._awaited > self.applied

    @property
    def known(self) -> Position:
        """The last place of which this process knows that the log has reached it."""
        return max(self.applied, self._awaited, self._known_before)

    def begin(self, epoch: int) -> None:
        """The store takes writes from this epoch on, perhaps in a new log: that of one which lost its data, and whose
        clock is behind, begins before the old one's end. So nothing counts as applied, and no seal is known."""
        with self._lock:
            self.epoch = epoch
            self._known_before = self.known
            self.applied = self._awaited = (0, 0)
            self._seal = None
        self.wake()

    def begin_anew(self) -> None:
        """The log is a new one."""
        self.begin(self.epoch)
        self._known_before = (0, 0)

    def has(self, place: Position, epoch: int) -> bool:
        """Whether what was written at `place` in this epoch is on the other store. In an earlier one than that in which
        the store began, it went to another log, of which the progress in this one says nothing."""
        return self.applied >= place and epoch >= self.epoch  # in this order: `begin` may come between

    def expect(self, place: Position) -> bool:
        """Everything up to `place` is on its way, or waited for. The result says whether nothing was until now."""
        began = not self.is_awaited
        if place > self._awaited:
            self._awaited = place
        return began and self.is_awaited

    def advance(self, place: Position) -> None:
        """Everything up to `place` is on the other store."""
        if place <= self.applied:
            return
        with self._lock:
            self.applied = max(self.applied, place)
            while self._waiters and self._waiters[0][0] <= place:
                heapq.heappop(self._waiters)[2].release()
        self._tell()

    def seal(self, seal: Seal) -> None:
        """The log's store is lost, and this is how far it was shipped."""
        self.advance(seal.place)
        self._seal, self.sealed_s = seal, time.monotonic()
        self.wake()

    def sealed(self, authority: Authority) -> Seal | None:
        """The seal, if it is valid under `authority`."""
        seal = self._seal
        return seal if seal and seal.is_valid(authority, time.monotonic() - self.sealed_s) else None

    def allows(self, record: Authority | None) -> bool:
        """Whether what the seal says was not shipped may be run again under `record`."""
        seal = self._seal
        return seal is not None and record is not None and record.epoch == seal.epoch

    def wake(self) -> None:
        """Let every waiter look at the world again."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for _, _, gate in waiters:
            gate.release()
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self.listeners):
            listener()

    def wait(self, place: Position, timeout_s: float) -> bool:
        """Whether `place` is applied, after at most `timeout_s`; may return early, see `wake`."""
        if self.applied >= place:
            return True
        gate = threading.Lock()
        gate.acquire()
        with self._lock:
            if self.applied >= place:
                return True
            heapq.heappush(self._waiters, (place, next(self._order), gate))
        gate.acquire(timeout=timeout_s)
        return self.applied >= place
