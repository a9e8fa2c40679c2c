"""How long commands wait when no store is left, before they raise AllStoresDown: once, and only where one may be back
soon."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hybrid.types import Store

__all__ = ["LAST_TRY_S", "RETURN_S", "Hope"]

LAST_TRY_S: Final = 1.0
"""For stores that are down: one that came back lately is not noticed before it is tried again. Over a way of 80 ms, TLS
and the greeting take 0.4 s; this is time for a second attempt after one on which no answer came."""

RETURN_S: Final = 2.0
"""For a local store that catches up or is refilled, where this process cannot reach the cloud store: others may be
about to give it the authority back."""


class Hope:
    """Moments are seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._untried: set[Store] = set()
        self._returning = False
        self._has_writer = True
        self._until_s = 0.0

    def is_alive(self, now_s: float) -> bool:
        return self.left_s(now_s) > 0

    def left_s(self, now_s: float) -> float:
        """How long to wait at most; none when nothing is left to wait for."""
        return self._until_s - now_s if self._untried or self._returning else 0.0

    def tried(self, store: Store) -> None:
        """It is still down."""
        self._untried.discard(store)

    def take_in(self, has_writer: bool, down: Iterable[Store], is_returning: bool, now_s: float) -> tuple[Store, ...]:
        """What the stores are like now: whether one takes writes, which ones are down, and whether the local one
        catches up or is refilled. The stores to try once more."""
        was_last, was_returning = self._has_writer and not has_writer, self._returning
        self._has_writer, self._returning = has_writer, is_returning and not has_writer
        if has_writer:
            self._untried.clear()
        elif was_last:
            self._untried = set(down)
            self._until_s = now_s + LAST_TRY_S
        if self._returning and not was_returning:
            self._until_s = now_s + RETURN_S
        return tuple(down) if was_last else ()
