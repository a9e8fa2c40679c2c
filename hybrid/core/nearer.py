"""Which of the two stores answers faster: who reads by `fastest` asks it first."""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final

from hybrid.types import Store

__all__ = ["Nearer"]

CLEARLY: Final = 0.8
"""Of two stores that are about as fast, the one that reads go to stays."""

REMEMBERED: Final = 5


class Nearer:
    """`store` is the faster one; at first, the local one."""

    def __init__(self) -> None:
        self.store = Store.LOCAL
        self._round_trips_s: dict[Store, deque[float]] = {store: deque(maxlen=REMEMBERED) for store in Store}

    def measure(self, store: Store, round_trip_s: float) -> None:
        """Take into account how long `store` has just taken to answer. The shortest of the last few times counts: a
        longer one was this machine's doing."""
        self._round_trips_s[store].append(round_trip_s)
        best_s = {each: min(times_s, default=inf) for each, times_s in self._round_trips_s.items()}
        if best_s[self.store.other] < CLEARLY * best_s[self.store]:
            self.store = self.store.other
