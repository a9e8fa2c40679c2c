"""How many requests a store is given at a time: enough that it always has one to go on with, however long the way to it
is, and not many more, for whoever else asks it something waits behind them.

As TCP Vegas does it (Brakmo and Peterson, 1995): what a request takes longer than the quickest one it has waited behind
others, and that share of the requests is not on the way but in a queue. The shortest queue of a round counts, for
requests that were sent together wait for each other even where the store has little to do.
"""

from __future__ import annotations

from math import inf
from typing import Final

__all__ = ["LEAST", "MOST", "Window"]

LEAST: Final = 2
"""So that the store need not wait for this process even where there is no way between them."""

MOST: Final = 32
FEW_WAIT, MANY_WAIT = 1.0, 2.0
"""With a shorter queue than that a store gets one more for the next round, with a longer one as many less as wait."""


class Window:
    """`size` is how many. It doubles with each round until a queue shows for the first time."""

    def __init__(self) -> None:
        self.size = LEAST
        self._quickest_s = inf
        self._is_starting = True
        self._begin_round()

    def _begin_round(self) -> None:
        self._round, self._answers, self._best_s = self.size, 0, inf

    def took(self, took_s: float) -> None:
        """A request, one of `size` at a time, was answered after so long."""
        self._quickest_s = min(self._quickest_s, took_s)
        self._best_s = min(self._best_s, took_s)
        self._answers += 1
        if self._is_starting:
            self.size = min(MOST, self.size + 1)
        if self._answers < self._round:
            return
        waiting = self._round * (1 - self._quickest_s / self._best_s) if self._best_s > 0 else 0.0
        if waiting >= FEW_WAIT and self._is_starting:
            self._is_starting, self.size = False, self._round
        elif waiting < FEW_WAIT and not self._is_starting:
            self.size = min(MOST, self.size + 1)
        elif waiting > MANY_WAIT:
            self.size = max(LEAST, self.size - max(1, int(waiting - MANY_WAIT)))
        self._begin_round()
