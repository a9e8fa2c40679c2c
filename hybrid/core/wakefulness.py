"""Whether a loop that has nothing else to do stays awake for a reply.

A core that falls asleep takes longer to wake up than a near store to answer. But where loop and store have to share a
core, who stays awake keeps the store from answering. So both are tried, and what took less is done.
"""

from __future__ import annotations

from typing import Final

__all__ = ["AWAKE_S", "Wakefulness"]

AWAKE_S: Final = 200e-6
"""How long at most: about as long as redis-py computes for a command."""

LOOK_AGAIN: Final = 64
"""One request in so many is waited for the other way."""

LONGEST_S: Final = 2 * AWAKE_S
"""More is a delay of another kind, and says nothing of the way to wait."""

WEIGHT: Final = 1 / 8


class Wakefulness:
    """Of one connection. `choose` before a request that is alone on its way, `took` after its reply."""

    __slots__ = ("_awake", "_chosen", "_took_s")

    def __init__(self) -> None:
        self._took_s = [0.0, 0.0]  # asleep, awake: both are tried first
        self._awake = False
        self._chosen = 0

    def choose(self) -> bool:
        """Whether to stay awake for the reply to the next request."""
        self._chosen += 1
        asleep_s, awake_s = self._took_s
        better = awake_s < min(asleep_s, AWAKE_S)
        self._awake = not better if self._chosen % LOOK_AGAIN == 0 else better
        return self._awake

    def took(self, seconds: float) -> None:
        """The reply came after `seconds`."""
        before_s = self._took_s[self._awake]
        self._took_s[self._awake] = before_s + (min(seconds, LONGEST_S) - before_s) * WEIGHT
