"""The keys of both stores as one list that grows as somebody reads on: never KEYS, never an unbounded read.

Two servers keep their keys in orders of their own. So both are scanned in turn, and of the cloud's keys only those are
added which the local store lacks: every key comes once, and what only one has comes about as early as the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hybrid.core.drift import Scope
from hybrid.core.glob import is_glob
from hybrid.core.names import RESERVED
from hybrid.errors import HybridError
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.looks import absent_locally
from hybrid.ops.diff.scan import END, type_name
from hybrid.ops.keys.lines import Lines
from hybrid.stores.exchange import Command, exchange
from hybrid.types import Store

__all__ = ["MOST_NAMES", "Filter", "Walk"]

MOST_NAMES: Final = 50_000
"""A list that nobody reads to its end must not fill the memory."""

LEAST_COUNT: Final = 250
MOST_COUNT: Final[Mapping[Store, int]] = {Store.LOCAL: 5000, Store.CLOUD: 1000}  # a scan must not hold a server
BUSY_S: Final = 0.3
QUICKLY_S: Final = 0.02
TRAVEL_S: Final = 0.05  # local keys are read meanwhile: about as long as a cloud store's reply travels


@dataclass(frozen=True, slots=True)
class Filter:
    """Which keys are listed: those that match the glob `pattern` (a name without wildcards is looked up), of one TYPE
    `kind`, of one `store`. `expires`: with (True) or without (False) an expiry; `expires_within_s` from now.
    `least_bytes` and `most_bytes` of memory, as the store that holds the key counts it.
    """

    pattern: bytes = b"*"
    kind: str | None = None
    store: Store | None = None
    expires: bool | None = None
    expires_within_s: float | None = None
    least_bytes: int | None = None
    most_bytes: int | None = None

    @property
    def scope(self) -> Scope:
        return Scope(self.pattern, self.kind)

    @property
    def is_name(self) -> bool:
        """Whether the pattern is the name of one key."""
        return not is_glob(self.pattern)

    @property
    def stores(self) -> tuple[Store, ...]:
        return tuple(Store) if self.store is None else (self.store,)

    @property
    def looks_closer(self) -> bool:
        """Whether each key must be asked about."""
        return any(x is not None for x in (self.expires, self.expires_within_s, self.least_bytes, self.most_bytes))

    def admits(self, left_ms: int, size_bytes: int) -> bool:
        """Whether a key passes with so much time left (-1: no expiry) and so much memory."""
        if self.expires is not None and self.expires != (left_ms >= 0):
            return False
        if self.expires_within_s is not None and not 0 <= left_ms <= self.expires_within_s * 1000:
            return False
        return (self.least_bytes or 0) <= size_bytes and (self.most_bytes is None or size_bytes <= self.most_bytes)


@dataclass(slots=True)
class _Side:
    """How far one store was scanned."""

    cursor: bytes = END
    started: bool = False
    ended: bool = False
    count: int = LEAST_COUNT
    looked_at: int = 0
    missing: str = ""


@dataclass(slots=True)
class Walk:
    """One reading of both stores under one filter. `names` grows with `fill`, to `most_names`; thread-safe."""

    filter: Filter
    most_names: int = MOST_NAMES
    names: list[bytes] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)
    _sides: dict[Store, _Side] = field(default_factory=lambda: {store: _Side() for store in Store})
    _cloud_is_due: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_full(self) -> bool:
        """Whether no more names are kept: the filter must be narrowed to see others."""
        return len(self.names) >= self.most_names

    @property
    def ended(self) -> bool:
        """Whether `names` are all keys that match, on the stores that answered."""
        return all(self._sides[store].ended or self._sides[store].missing for store in self.filter.stores)

    @property
    def missing(self) -> Mapping[Store, str]:
        """The stores whose keys may be absent from the list, and why."""
        return {store: side.missing for store, side in self._sides.items() if side.missing}

    def looked_at(self, store: Store) -> int:
        """About how many keys of this store were passed so far, listed or not."""
        return self._sides[store].looked_at

    def fill(
        self,
        lines: Lines,
        stores: Collection[Store],
        count: int,
        *,
        deadline_s: float = 0.25,
        on_progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Read on until there are `count` names, everything was read, or `deadline_s` has passed.

        Only `stores` are asked: those that are up. One that does not answer is `missing`, and asked again next time.
        While another thread waits for a store, this one leaves it at what is there.
        """
        if not self._lock.acquire(timeout=BUSY_S):
            return
        try:
            for store in self.filter.stores:
                self._sides[store].missing = "" if store in stores else f"the {store} store is down"
            until_s = time.monotonic() + deadline_s
            while len(self.names) < min(count, self.most_names) and not self.ended:
                self._look_up(lines) if self.filter.is_name else self._round(lines, count)
                on_progress()
                if time.monotonic() > until_s:
                    break
        finally:
            self._lock.release()

    def _asked(self, store: Store) -> bool:
        side = self._sides[store]
        return store in self.filter.stores and not side.ended and not side.missing

    def _look_up(self, lines: Lines) -> None:
        """A name without wildcards: a command for each store, none for the cloud's when the local one has the key."""
        key = self.filter.pattern
        for store in filter(self._asked, Store):
            self._sides[store].ended = True
            if self.names:
                continue
            found = self._tried(lines, store, lambda line: line.ask((b"TYPE", key))[0])
            wanted = found is not None and found != b"none" and not key.startswith(RESERVED)
            if wanted and (self.filter.kind is None or found == type_name(self.filter.kind)):
                self._add(lines, store, [key])

    def _round(self, lines: Lines, count: int) -> None:
        """As many local keys as are wanted, if they are quickly found; then, or before the next ones, a page of the
        cloud's keys, and local ones while its reply travels."""

        def local(for_s: float) -> None:
            until_s = time.monotonic() + for_s
            while self._asked(Store.LOCAL) and len(self.names) < count:
                self._scan(lines, Store.LOCAL, count)
                if time.monotonic() > until_s:
                    break

        if not self._cloud_is_due:
            local(QUICKLY_S)
            self._cloud_is_due = True
            if len(self.names) >= count:
                return
        if self._asked(Store.CLOUD):
            self._scan(lines, Store.CLOUD, count, lambda: local(TRAVEL_S))
        self._cloud_is_due = False

    def _scan(self, lines: Lines, store: Store, count: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        side = self._sides[store]
        step = min(max(side.count, count - len(self.names)), MOST_COUNT[store])
        cursor = side.cursor if side.started else END
        command: list[bytes] = [b"SCAN", cursor, b"COUNT", b"%d" % step]
        if self.filter.pattern != b"*":
            command += [b"MATCH", self.filter.pattern]
        if self.filter.kind:
            command += [b"TYPE", type_name(self.filter.kind)]

        def ask(line: Line) -> Any:
            line.send([tuple(command)])
            meanwhile()
            return line.read_response()

        reply = self._tried(lines, store, ask)
        if reply is None:
            return
        side.cursor, found = reply
        side.started, side.ended = True, side.cursor == END
        side.looked_at += step
        if len(found) * 4 < step:  # few match: take bigger steps
            side.count = min(step * 2, MOST_COUNT[store])
        self._add(lines, store, [key for key in found if not key.startswith(RESERVED)])

    def _add(self, lines: Lines, store: Store, found: Iterable[bytes]) -> None:
        fresh = [key for key in dict.fromkeys(found) if key not in self._seen]
        if store is Store.CLOUD and self.filter.store is None and fresh and not self._sides[Store.LOCAL].missing:
            absent = self._tried(lines, Store.LOCAL, lambda line: absent_locally(line, fresh, self.filter.scope))
            fresh = absent if absent is not None else fresh
        if fresh and self.filter.looks_closer:
            fresh = self._tried(lines, store, lambda line: admitted(line, self.filter, fresh)) or []
        fresh = fresh[: self.most_names - len(self.names)]
        self._seen.update(fresh)
        self.names.extend(fresh)

    def _tried(self, lines: Lines, store: Store, work: Callable[[Line], Any]) -> Any:
        try:
            return lines.run(store, work)
        except HybridError as error:
            self._sides[store].missing = str(error)
            return None


def admitted(line: Line, wanted: Filter, keys: Sequence[bytes]) -> list[bytes]:
    """Those of `keys` that pass by expiry and size."""
    sized = wanted.least_bytes is not None or wanted.most_bytes is not None
    timed = wanted.expires is not None or wanted.expires_within_s is not None
    commands: list[Command] = [(b"PTTL", key) for key in keys] if timed else []
    commands += [(b"MEMORY", b"USAGE", key) for key in keys] if sized else []
    replies = exchange(line, commands)
    lefts = replies[: len(keys)] if timed else [-1] * len(keys)
    sizes = replies[-len(keys) :] if sized else [0] * len(keys)
    return [
        key
        for key, left_ms, size in zip(keys, lefts, sizes, strict=True)
        if left_ms != -2 and isinstance(size, int) and wanted.admits(left_ms, size)
    ]
