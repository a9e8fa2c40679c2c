"""The way to the store that takes no writes: keys are logged by state, and the shipper copies them, in order with all
else that it ships. It is never given more than it can copy in a moment, so that nobody's write waits behind a sync."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Final

from hybrid.core.authority import Position, position, position_text
from hybrid.core.resp import pack
from hybrid.errors import StoreUnavailable
from hybrid.ops.diff.readers import slices
from hybrid.ops.sync.pair import Pair
from hybrid.types import Store

__all__ = ["Feed"]

ENTRY_KEYS: Final = 250
"""Keys that one entry of the log names: whoever asks for the log's place is sent its first and its last entry."""

LEAST_WINDOW, MOST_WINDOW = 2, 16
DELAY_S: Final = 0.25
"""How many batches the shipper may have before it adapts: enough to keep a slow link busy, few enough that a write of
the application does not wait longer than this behind them."""

STALLED_S: Final = 30.0
TRIMMED_TRIES: Final = 20
TRIMMED_S: Final = 0.01


class Feed:
    """Batches on their way through the log of `pair`'s authority."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._on_the_way: deque[tuple[Position, float]] = deque()
        self._window = LEAST_WINDOW
        self._last: Position = (0, 0)
        self._refused_before: frozenset[bytes] | None = None
        self._again: set[bytes] = set()

    def add(self, keys: Sequence[bytes], commands: Sequence[bytes]) -> None:
        """Run `commands` and log `keys` in one transaction, then wait until the shipper has room for more.

        Raises StoreUnavailable when the authority moves or nobody ships.
        """
        pair, source = self._pair, self._pair.authority
        if self._refused_before is None:
            self._refused_before = self._refused()
        self._again.update(self._refused_before.intersection(keys))
        entries = [
            pack(("XADD", pair.names.log, "*", *(part for key in some for part in (b"s", key))))
            for some in slices(keys, ENTRY_KEYS)
        ]
        with pair.guard(source) as guard:
            replies = guard.commit([*commands, *entries])
        if replies is None:
            raise StoreUnavailable("the authority moved during the sync: run it again")
        self._last = place = position(replies[-1])
        pair.engine.board.wrote(place)
        self._on_the_way.append((place, time.monotonic()))
        self._await(self._window)

    def finish(self) -> int:
        """Until the other store has everything; how many keys it could not take: they are set aside. Raises
        StoreUnavailable when nobody ships."""
        self._await(0)
        if self._refused_before is None:
            return 0
        self._await_trimmed()
        refused = self._refused()
        return len(refused - self._refused_before) + len(refused & self._again)

    def _await_trimmed(self) -> None:
        """Until the log shows what is known here already: only then the shipper's notes are in the store."""
        place = position_text(self._last)
        for _ in range(TRIMMED_TRIES):
            if not self._pair.ask(self._pair.authority, ("XRANGE", self._pair.names.log, place, place))[0]:
                return
            time.sleep(TRIMMED_S)

    def _refused(self) -> frozenset[bytes]:
        return frozenset(self._pair.ask(self._pair.authority, ("HKEYS", self._pair.names.refused))[0])

    def _await(self, most: int) -> None:
        """Until the shipper has at most so many batches before it."""
        source, until_s = self._pair.authority, time.monotonic() + STALLED_S
        while len(self._on_the_way) > most:
            place, logged_s = self._on_the_way[0]
            if self._pair.await_applied(source, place, 0.5):
                self._on_the_way.popleft()
                now_s = time.monotonic()
                until_s = now_s + STALLED_S
                change = 1 if now_s - logged_s < DELAY_S else -1
                self._window = min(MOST_WINDOW, max(LEAST_WINDOW, self._window + change))
                continue
            self._pair.check()
            late = time.monotonic() > until_s
            if self._pair.authority is not source or (late and not self._is_shipped(source)):
                raise StoreUnavailable("the keys are logged, and nobody ships them now: they follow by themselves")
            if late:
                until_s = time.monotonic() + STALLED_S

    def _is_shipped(self, source: Store) -> bool:
        """Whether somebody holds the lease: a value of a million elements takes longer than any patience."""
        return bool(self._pair.ask(source, ("EXISTS", self._pair.names.lease))[0])
