"""How often something that is billed is done because somebody asks: a few times at once, then now and then."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """`burst` times, and once more each `every_s` seconds (the token bucket)."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst, self._every_s = burst, every_s
        self._left, self._at_s = float(burst), 0.0

    def take(self, now_s: float) -> bool:
        """Whether it may be done at this moment of a monotonic clock; then it counts as done."""
        self._left = min(self._left + (now_s - self._at_s) / self._every_s, self._burst)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
