"""Contenders take turns in short rounds, so that what disturbs the machine disturbs them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

__all__ = ["Call", "Rounds", "rounds_of"]

Call = Callable[[], object]


class Rounds:
    """The median of each contender in each round, in seconds."""

    def __init__(self, names: list[str]) -> None:
        self.medians_s: dict[str, list[float]] = {name: [] for name in names}

    def add(self, name: str, took_s: Sequence[float]) -> None:
        """One round of `name`: what each call took."""
        self.medians_s[name].append(median(took_s))

    def median_s(self, name: str) -> float:
        return median(self.medians_s[name])

    def ratio(self, name: str, baseline: str) -> float:
        """How many times as long `name` took as `baseline`: the median of the rounds' ratios."""
        pairs = zip(self.medians_s[name], self.medians_s[baseline], strict=True)
        return median(mine / theirs for mine, theirs in pairs)

    def surplus_s(self, name: str, baseline: str) -> float:
        """How much longer `name` took than `baseline`: the median of the rounds' differences."""
        pairs = zip(self.medians_s[name], self.medians_s[baseline], strict=True)
        return median(mine - theirs for mine, theirs in pairs)


def rounds_of(contenders: Mapping[str, Call], rounds: int, calls: int, between: Call = lambda: None) -> Rounds:
    """`calls` calls of each contender in turn, `rounds` times, in an order that reverses each time. `between` runs
    after each turn and is not measured."""
    result = Rounds(list(contenders))
    for call in contenders.values():
        call()  # connects and warms up
    order = list(contenders)
    for _ in range(rounds):
        for name in order:
            result.add(name, _took_s(contenders[name], calls))
            between()
        order.reverse()
    return result


def _took_s(call: Call, calls: int) -> list[float]:
    took_s = []
    clock = time.perf_counter
    for _ in range(calls):
        started_s = clock()
        call()
        took_s.append(clock() - started_s)
    return took_s
