"""Tasks that wait for a position in one store's log to be confirmed, woken together from another thread."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import Final

from hybrid.core.authority import Position
from hybrid.replication.acks import Acks

__all__ = ["Progress"]

LOOK_S: Final = 0.05


class Progress:
    """Hears of `acks` in whichever thread it moves, and calls into the loop once, however many tasks wait."""

    def __init__(self, acks: Acks) -> None:
        self._acks = acks
        self._loop = asyncio.get_running_loop()
        self._order = itertools.count()
        self._waiters: list[tuple[Position, int, asyncio.Future[None], float]] = []
        self._called = False
        self._timer: asyncio.TimerHandle | None = None
        acks.listeners.add(self._hear)

    def close(self) -> None:
        self._acks.listeners.discard(self._hear)

    async def reached(self, place: Position, timeout_s: float) -> bool:
        """Whether `place` is confirmed; may return early when the world has changed, and late by `LOOK_S`."""
        if self._acks.applied >= place:
            return True
        woken = self._loop.create_future()
        heapq.heappush(self._waiters, (place, next(self._order), woken, self._loop.time() + timeout_s))
        if self._timer is None:
            self._timer = self._loop.call_later(LOOK_S, self._look)
        await woken
        return self._acks.applied >= place

    def _hear(self) -> None:
        if not self._called:
            self._called = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:  # the loop is closed
                self.close()

    def _wake(self) -> None:
        self._called = False  # before looking, so that what comes from now on calls again
        applied, waiters = self._acks.applied, self._waiters
        while waiters and waiters[0][0] <= applied:
            _release(heapq.heappop(waiters)[2])

    def _look(self) -> None:
        """Release those whose time is up."""
        self._timer = None
        now_s = self._loop.time()
        due = [waiter for waiter in self._waiters if waiter[3] <= now_s]
        if due:
            self._waiters = [waiter for waiter in self._waiters if waiter[3] > now_s]
            heapq.heapify(self._waiters)
            for waiter in due:
                _release(waiter[2])
        if self._waiters:
            self._timer = self._loop.call_later(LOOK_S, self._look)


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
