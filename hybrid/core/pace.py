"""How slowly a store answers lately: on a machine that has more to do than it can, a timeout that fits a quiet one
would find stores down that are not, and two of them at once would fail commands."""

from __future__ import annotations

from typing import Final

__all__ = ["Pace"]

SPAN_S: Final = 5.0
SLACK: Final = 3.0
AT_MOST_S: Final = 0.5
"""A timeout longer than that stays as it is."""


class Pace:
    """Remembers the slowest reply of the last five to ten seconds. Times are those of the monotonic clock."""

    def __init__(self) -> None:
        self._slowest_s = self._before_s = 0.0
        self._until_s = 0.0

    def took(self, waited_s: float, now_s: float) -> None:
        """A reply has come after `waited_s`."""
        self._turn(now_s)
        self._slowest_s = max(self._slowest_s, waited_s)

    def patience_s(self, timeout_s: float, now_s: float) -> float:
        """How long to wait for a reply: `timeout_s`, or three times as long as for the slowest one lately, up to half a
        second."""
        self._turn(now_s)
        slowest_s = max(self._slowest_s, self._before_s)
        return max(timeout_s, min(slowest_s * SLACK, AT_MOST_S))

    def _turn(self, now_s: float) -> None:
        if now_s >= self._until_s:
            is_recent = now_s < self._until_s + SPAN_S
            self._before_s, self._slowest_s = self._slowest_s if is_recent else 0.0, 0.0
            self._until_s = now_s + SPAN_S
