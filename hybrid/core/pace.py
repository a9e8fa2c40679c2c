"""How slowly a store answers lately: on a machine that has more to do than it can, a timeout that fits a quiet one
would find stores down that are not, and two of them at once would fail commands."""

from __future__ import annotations

from typing import Final

__all__ = ["Pace"]

SPAN_S: Final = 5.0
SLACK: Final = 2.0


class Pace:
    """Remembers the slowest reply of the last five to ten seconds. Times are those of the monotonic clock.

    What took longer than `timeout_s`, because nobody else could answer, tells of a fault and not of the machine.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._slowest_s = self._before_s = 0.0
        self._until_s = 0.0

    def took(self, waited_s: float, now_s: float) -> None:
        """A reply has come after `waited_s`."""
        self._turn(now_s)
        if waited_s <= self.timeout_s:
            self._slowest_s = max(self._slowest_s, waited_s)

    def patience_s(self, now_s: float) -> float:
        """How long to wait for a reply: `timeout_s`, or twice as long as for the slowest one lately."""
        self._turn(now_s)
        return max(self.timeout_s, SLACK * max(self._slowest_s, self._before_s))

    def _turn(self, now_s: float) -> None:
        if now_s >= self._until_s:
            is_recent = now_s < self._until_s + SPAN_S
            self._before_s, self._slowest_s = self._slowest_s if is_recent else 0.0, 0.0
            self._until_s = now_s + SPAN_S
