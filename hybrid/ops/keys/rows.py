"""The visible keys of a list: what each store says of them, and whether they agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, Final
from weakref import WeakKeyDictionary

import redis

from hybrid.core.cost import is_billed
from hybrid.core.drift import Cause, Facts, Sighting, causes_between, detail_of, ttl_detail
from hybrid.core.spending import Price
from hybrid.core.state import TTL_TOLERANCE_MS, KeyState, findings, same_moment
from hybrid.core.state_replies import expiry_ms, pairs
from hybrid.errors import HybridError
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.log import InFlight, read_in_flight
from hybrid.ops.diff.looks import look_at
from hybrid.ops.diff.plan import has_exact_times, price_of
from hybrid.ops.diff.readers import FactsReader, PlainReader, ScriptReader, can_run_scripts, kind_name
from hybrid.ops.keys.lines import Lines
from hybrid.replication.copy import read_state
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.exchange import Command, exchange
from hybrid.types import Store

__all__ = ["LENGTHS", "Badge", "KeyRow", "Side", "badge_rows", "kind_word", "length_in", "quick_rows"]

BIG_BYTES: Final = 256 * 1024
"""Keys over this are not compared in a list: a page of them would be read from the cloud."""

NEARLY_EQUAL: Final = frozenset({"hash", "stream", "json"})
MOST_SECOND_LOOKS: Final = 10
MOST_LOGGED: Final = 2000

LENGTHS: Final[Mapping[str, bytes]] = {
    "string": b"STRLEN",
    "hash": b"HLEN",
    "list": b"LLEN",
    "set": b"SCARD",
    "zset": b"ZCARD",
    "stream": b"XLEN",
    "vectorset": b"VCARD",
    "TSDB-TYPE": b"TS.INFO",
}
KIND_WORDS: Final[Mapping[str, str]] = {"TSDB-TYPE": "time series", "vectorset": "vector set"}
COMPARED: Final = frozenset({"string", "hash", "list", "set", "zset", "stream", "json"})
"""The types whose content a look at a list compares."""


class Badge(StrEnum):
    """Whether the two stores agree about a key."""

    EQUAL = "equal"
    DIFFERS = "differs"
    ONLY_LOCAL = "only local"
    ONLY_CLOUD = "only cloud"
    ON_ITS_WAY = "on its way"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Side:
    """A key as one store holds it. `size_bytes` is its memory there, None where that was not asked."""

    kind: str
    expires_at_ms: int | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key of a list. A side is None when the store lacks the key, or was not asked: `badge` tells them apart.
    `detail` says what differs, or why it is unknown."""

    key: bytes
    badge: Badge
    local: Side | None = None
    cloud: Side | None = None
    detail: str = ""

    @property
    def side(self) -> Side | None:
        return self.local or self.cloud

    @property
    def kind(self) -> str | None:
        return self.side.kind if self.side else None


_can_run: WeakKeyDictionary[Line, bool] = WeakKeyDictionary()
_prices: WeakKeyDictionary[Line, Price] = WeakKeyDictionary()


def quick_rows(lines: Lines, stores: Collection[Store], keys: Sequence[bytes]) -> list[KeyRow]:
    """Rows from the cheapest store that is up, at once: type, expiry, memory. Keys that it lacks stay bare."""
    sides: Mapping[bytes, Side | None] = {}
    store = Store.LOCAL if Store.LOCAL in stores else Store.CLOUD
    why = "not compared yet" if len(stores) == 2 else f"the {store.other} store cannot be asked now"
    if stores and keys:
        sides = lines.run(store, lambda line: sides_of(line, keys))
    return [KeyRow(key, Badge.UNKNOWN, **{store.value: sides.get(key)}, detail=why) for key in keys]


def sides_of(line: Line, keys: Sequence[bytes]) -> dict[bytes, Side | None]:
    """Three commands a key, two where memory is not told, in one round trip."""
    can = capabilities_of(line)
    name = b"PEXPIRETIME" if can.has_pexpiretime else b"PTTL"
    commands: list[Command] = [(b"TYPE", key) for key in keys]
    commands += [(name, key) for key in keys]
    commands += [(b"MEMORY", b"USAGE", key) for key in keys if can.has_memory_usage]
    *replies, clock = line.ask(*commands, (b"TIME",))
    count = len(keys)
    kinds, moments, sizes = replies[:count], replies[count : 2 * count], replies[2 * count :] or [None] * count
    now = None if can.has_pexpiretime else clock
    return {
        key: None if kind == b"none" else Side(kind_name(kind), expiry_ms(moment, now), size)
        for key, kind, moment, size in zip(keys, kinds, moments, sizes, strict=True)
    }


def badge_rows(
    lines: Lines, stores: Collection[Store], rows: Sequence[KeyRow], *, most_bytes: int = BIG_BYTES
) -> list[KeyRow]:
    """The rows again, compared. Where commands are billed it costs the cloud store about two for a key.

    Keys larger than `most_bytes` are compared by type, length and expiry alone. Raises StoreUnavailable, HybridError.
    """
    if not rows or set(stores) != set(Store):
        return list(rows)

    def on_both(here: Line) -> list[KeyRow]:
        return lines.run(Store.CLOUD, lambda there: Comparison(lines, here, there, most_bytes).rows(rows))

    return lines.run(Store.LOCAL, on_both)


class Comparison:
    """One look at some keys over a line to each store."""

    def __init__(self, lines: Lines, local: Line, cloud: Line, most_bytes: int) -> None:
        self._lines = lines
        self._lines_of = {Store.LOCAL: local, Store.CLOUD: cloud}
        self._most_bytes = most_bytes
        self._second_looks = MOST_SECOND_LOOKS

    def rows(self, rows: Sequence[KeyRow]) -> list[KeyRow]:
        unread = [row for row in rows if row.local and not self._is_read(row.local)]
        names = {row.key for row in unread}
        small = [row.key for row in rows if row.key not in names]
        readers = self._readers()
        sightings = look_at(*readers, small) if small else {}
        found = {row.key: self._compared(row, sightings[row.key]) for row in rows if row.key in sightings}
        found |= self._by_length(unread)
        return self._settled([found[row.key] for row in rows])

    def _is_read(self, here: Side) -> bool:
        return here.kind in COMPARED and (here.size_bytes or 0) <= self._most_bytes

    def _readers(self) -> tuple[FactsReader, FactsReader]:
        local, cloud = self._lines_of.values()
        counted = all(capabilities_of(line).has_stream_counters for line in (local, cloud))
        here = ScriptReader(local, counted=counted) if runs_scripts(local) else PlainReader(local, counted)
        free = not is_billed(price(cloud)) and has_exact_times(local, cloud) and runs_scripts(cloud)
        return here, ScriptReader(cloud, counted=counted) if free else PlainReader(cloud, counted)

    def _compared(self, row: KeyRow, seen: Sighting) -> KeyRow:
        causes = causes_between(seen)
        if causes and self._is_nearly_equal(row.key, seen, causes):
            causes = tuple(cause for cause in causes if cause is Cause.TTL)
        local, cloud = side(seen.local, row.local), side(seen.cloud, None)
        if not causes and local is None and cloud is None:
            return KeyRow(row.key, Badge.UNKNOWN, detail="it is gone by now")
        return KeyRow(row.key, badge_of(causes), local, cloud, detail_of(causes, seen.local, seen.cloud))

    def _is_nearly_equal(self, key: bytes, seen: Sighting, causes: Sequence[Cause]) -> bool:
        """Whether only the fingerprints differ, as with times of field expiries and deliveries a moment apart."""
        content = {Cause.VALUE, Cause.STREAM_GROUP}.intersection(causes)
        if not content or Cause.TYPE in causes or not seen.local or seen.local.kind not in NEARLY_EQUAL:
            return False
        self._second_looks -= 1
        if self._second_looks < 0:
            return False
        here, there = (read_state(line, key)[0] for line in self._lines_of.values())
        if not (isinstance(here, KeyState) and isinstance(there, KeyState)):
            return False
        return not any(finding.cause != "ttl" for finding in islice(findings(here, there), 10))

    def _by_length(self, rows: Sequence[KeyRow]) -> dict[bytes, KeyRow]:
        """Big keys, and types that are not compared: what can be said without reading them."""
        if not rows:
            return {}
        keys = [row.key for row in rows]
        there = sides_of(self._lines_of[Store.CLOUD], keys)
        lengths = [self._length_of(store, rows) for store in Store]
        return {
            row.key: by_length(row, there[row.key], mine, other)
            for row, mine, other in zip(rows, *lengths, strict=True)
        }

    def _length_of(self, store: Store, rows: Sequence[KeyRow]) -> list[int | None]:
        commands = [(LENGTHS.get(row.kind or "", b"TYPE"), row.key) for row in rows]
        return list(map(length_in, exchange(self._lines_of[store], commands)))

    def _settled(self, rows: list[KeyRow]) -> list[KeyRow]:
        """A key that the replication log names does not differ: its last write is on its way."""
        apart = (Badge.DIFFERS, Badge.ONLY_LOCAL, Badge.ONLY_CLOUD)
        if not any(row.badge in apart for row in rows):
            return rows
        logged = self._logged()
        waits = "a write of it waits for the other store"
        return [
            replace(row, badge=Badge.ON_ITS_WAY, detail=waits) if row.badge in apart and row.key in logged else row
            for row in rows
        ]

    def _logged(self) -> InFlight:
        engine = self._lines.client._engine
        line = self._lines_of[engine.board.authority.store]
        log = engine.names.log
        [length] = exchange(line, [(b"XLEN", log)])
        if isinstance(length, redis.ResponseError):
            raise HybridError(f"the replication log cannot be read: {length}")
        if length > MOST_LOGGED:
            found = InFlight()
            found.everything = True
            return found
        return read_in_flight([line], engine.names)


def runs_scripts(line: Line) -> bool:
    if line not in _can_run:
        _can_run[line] = can_run_scripts(line)
    return _can_run[line]


def price(line: Line) -> Price:
    if line not in _prices:
        _prices[line] = price_of(line)
    return _prices[line]


def side(facts: Facts | None, known: Side | None) -> Side | None:
    if facts is None:
        return None
    size_bytes = known.size_bytes if known else facts.size_bytes or None
    return Side(facts.kind, facts.expires_at_ms, size_bytes)


def badge_of(causes: Sequence[Cause]) -> Badge:
    if not causes:
        return Badge.EQUAL
    return {Cause.ONLY_LOCAL: Badge.ONLY_LOCAL, Cause.ONLY_CLOUD: Badge.ONLY_CLOUD}.get(causes[0], Badge.DIFFERS)


def kind_word(kind: str) -> str:
    """What people call a type."""
    return KIND_WORDS.get(kind, kind)


def length_in(reply: Any) -> int | None:
    """How long a key is, by the reply to its command of LENGTHS; None for an error."""
    if isinstance(reply, int):
        return reply
    return int(pairs(reply)[b"totalSamples"]) if isinstance(reply, list | dict) else None


def by_length(row: KeyRow, cloud: Side | None, mine: int | None, other: int | None) -> KeyRow:
    if cloud is None or row.local is None:
        return replace(row, badge=Badge.ONLY_LOCAL, detail="")
    if row.local.kind != cloud.kind:
        return replace(
            row, badge=Badge.DIFFERS, cloud=cloud, detail=f"{kind_word(row.local.kind)} and {kind_word(cloud.kind)}"
        )
    known = mine is not None and other is not None
    if known and mine != other:
        return replace(row, badge=Badge.DIFFERS, cloud=cloud, detail=f"{mine:,} and {other:,} long")
    moments = row.local.expires_at_ms, cloud.expires_at_ms
    if not same_moment(*moments, TTL_TOLERANCE_MS):
        return replace(row, badge=Badge.DIFFERS, cloud=cloud, detail=ttl_detail(*moments))
    why = "too big to be compared in a list" if cloud.kind in COMPARED else "values of this type are not compared"
    return replace(row, cloud=cloud, detail=f"{why}; both are {mine:,} long" if known else why)
