"""Whether the loop itself was held up, by a callback that computes: then a timeout says nothing of a store."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

__all__ = ["Pulse"]

STEP_S: Final = 0.02


class Pulse:
    """Beats on the running loop within its `with` block; `held_up_s` is how late the latest beat came at most."""

    def __init__(self) -> None:
        self.held_up_s = 0.0
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        self._next = self._loop.call_later(STEP_S, self._beat)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._next.cancel()

    def _beat(self) -> None:
        self.held_up_s = max(self.held_up_s, self._loop.time() - self._next.when())
        self._next = self._loop.call_later(STEP_S, self._beat)
