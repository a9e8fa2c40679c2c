"""The elements of a key, page by page and both stores in one table: a page takes as long in a set of a million members
as in one of ten."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from hybrid.core.glob import Glob, is_glob
from hybrid.core.key_state import id_order
from hybrid.core.state_replies import pairs
from hybrid.ops.diff.line import Line
from hybrid.ops.keys.lines import Lines
from hybrid.ops.keys.paging import Element, ElementPage, Place, element, merged
from hybrid.ops.keys.series import samples
from hybrid.ops.keys.vectors import vectors
from hybrid.stores.capabilities import capabilities_of
from hybrid.types import Store

__all__ = ["TEXT_PAGE_BYTES", "Scores", "read_document", "read_elements", "read_text"]

PAGE: Final = 100
TEXT_PAGE_BYTES: Final = 32 * 1024
EXTRA_COUNT: Final = 1000
EXTRA_SCANS: Final = 10
SEARCH_S: Final = 0.25
SEARCH_STEPS: Final = {Store.LOCAL: 100, Store.CLOUD: EXTRA_SCANS}
"""A page of what is searched for takes as long, and as many commands, at most. It may be empty, and not the last."""

STEP_COUNT: Final = 10_000  # a scan must not hold a server
STEP_BYTES: Final = 256 * 1024
"""A step looks at so many elements at most. After one that read so much of a list, the next one is no bigger."""

Scores = tuple[float, float]
SCANS: Final = {"hash": b"HSCAN", "set": b"SSCAN", "zset": b"ZSCAN"}


def read_text(
    lines: Lines, stores: Collection[Store], key: bytes, offset: int = 0, length: int = TEXT_PAGE_BYTES
) -> dict[Store, bytes]:
    """A part of a string from each store; empty where it is shorter or absent. Raises StoreUnavailable, HybridError."""
    command = (b"GETRANGE", key, b"%d" % offset, b"%d" % (offset + length - 1))
    return {store: bytes(lines.run(store, lambda line: line.ask(command)[0])) for store in stores}


def read_document(lines: Lines, stores: Collection[Store], key: bytes) -> dict[Store, bytes]:
    """A JSON document from each store that has it. Raises StoreUnavailable, HybridError."""
    found = {store: lines.run(store, lambda line: line.ask((b"JSON.GET", key))[0]) for store in stores}
    return {store: document for store, document in found.items() if document is not None}


def read_elements(
    lines: Lines,
    stores: Sequence[Store],
    key: bytes,
    kind: str,
    place: Place | None = None,
    *,
    count: int = PAGE,
    match: bytes | None = None,
    last_first: bool = False,
    scores: Scores | None = None,
) -> ElementPage:
    """A page of a list, hash, set, sorted set, stream, time series or vector set. `stores` are those that hold the key
    with this type, the one that leads first. `match` is a glob on fields, members or the items of a list; a field or
    member without wildcards is looked up, as is the name of a vector set's element. `last_first`, without `match`: a
    list from its end, the items counted from there (-1, -2, ...); a sorted set from its highest score; a stream from
    its newest entry, a time series from its newest sample. `scores`: of a sorted set only the members with a score from
    the one to the other, without `match`. Raises StoreUnavailable, HybridError."""
    if kind == "TSDB-TYPE":
        return samples(lines, stores, key, place, count, last_first=last_first)
    if kind == "vectorset":
        return vectors(lines, stores, key, place, count, match)
    start = b"0" if kind != "stream" else b"+" if last_first else b"-"
    place = place or Place(stores[0], start)
    reader = _Reader(lines, tuple(stores), key, kind, count, match, last_first)
    if kind == "list":
        return reader.items(place) if match is None else reader.searched(place, Glob(match))
    if kind == "stream":
        return reader.entries(place)
    if kind == "zset" and scores is not None:
        return reader.ranged(place, scores)
    if match is not None and not is_glob(match):
        return reader.looked_up(place.leader, match)
    if place.extras:
        return reader.extras(place)
    return reader.ranks(place) if kind == "zset" and match is None else reader.scanned(place)


@dataclass(frozen=True, slots=True)
class _Reader:
    lines: Lines
    stores: tuple[Store, ...]
    key: bytes
    kind: str
    count: int
    match: bytes | None
    last_first: bool

    def ask(self, store: Store, *command: bytes) -> Any:
        return self.lines.run(store, lambda line: line.ask(command)[0])

    def items(self, place: Place) -> ElementPage:
        start = int(place.at)
        indexes = range(start, start + self.count)
        if self.last_first:
            indexes = range(-1 - start, -1 - start - self.count, -1)
        bounds = (b"%d" % min(indexes), b"%d" % max(indexes))
        found: Mapping[Store, list[bytes]] = {
            s: self.ask(s, b"LRANGE", self.key, *bounds)[:: indexes.step] for s in self.stores
        }
        longest = max(map(len, found.values()))
        rows = [
            element(b"%d" % index, {s: items[n] for s, items in found.items() if n < len(items)})
            for n, index in enumerate(indexes[:longest])
        ]
        more = replace(place, at=b"%d" % (start + longest)) if longest == self.count else None
        return ElementPage(tuple(rows), more)

    def searched(self, place: Place, glob: Glob) -> ElementPage:
        """The items that match of the store that leads, with what the other one has at their places."""
        found: dict[int, bytes] = {}
        at = start = int(place.at)
        steps = _Steps(self.count, SEARCH_STEPS[place.leader])
        has_more = goes_on = True
        while has_more and goes_on and len(found) < self.count:
            items = self.ask(place.leader, b"LRANGE", self.key, b"%d" % at, b"%d" % (at + steps.count - 1))
            has_more = len(items) == steps.count
            goes_on = steps.go_on(grow=sum(map(len, items)) < STEP_BYTES)
            for item in items:
                if len(found) == self.count:
                    has_more = True
                    break
                if glob.matches(item):
                    found[at] = item
                at += 1
        more = replace(place, at=b"%d" % at) if has_more else None
        return ElementPage(self.at_indexes(place.leader, found), more, at - start)

    def at_indexes(self, leader: Store, found: Mapping[int, bytes]) -> tuple[Element, ...]:
        """Items of one store with what the other one holds at the same places."""
        values: dict[Store, Sequence[bytes | None]] = {leader: list(found.values())}
        commands = [(b"LINDEX", self.key, b"%d" % index) for index in found]
        for store in self.stores:
            if store is not leader and commands:
                values[store] = self.lines.run(store, lambda line: line.ask(*commands))
        return tuple(
            element(b"%d" % index, {store: items[number] for store, items in values.items()})
            for number, index in enumerate(found)
        )

    def entries(self, place: Place) -> ElementPage:
        size = b"%d" % self.count
        span = (b"XREVRANGE", self.key, place.at, b"-") if self.last_first else (b"XRANGE", self.key, place.at, b"+")
        replies = {s: self.ask(s, *span, b"COUNT", size) for s in self.stores}
        found = {s: {entry_id: _lined(entry) for entry_id, entry in reply} for s, reply in replies.items()}
        return merged(found, place, self.count, id_order, b"(%b".__mod__, last_first=self.last_first)

    def ranks(self, place: Place) -> ElementPage:
        start = int(place.at)
        found = self.by_rank(place.leader, start, self.count)
        page = self.beside(place.leader, found)
        if len(found) == self.count:
            return ElementPage(tuple(page), replace(place, at=b"%d" % (start + self.count)))
        return self.ended(page, place)

    def ranged(self, place: Place, scores: Scores) -> ElementPage:
        """The members within `scores` of the store that leads, then those that only the other one has there. They are
        read by rank: the server goes to a rank at once, and to the nth member of a range step by step."""
        least, most = (b"%.17g" % score for score in scores)
        before = (b"(" + most, b"+inf") if self.last_first else (b"-inf", b"(" + least)
        skipped, inside = (self.ask(place.leader, b"ZCOUNT", self.key, *bounds) for bounds in (before, (least, most)))
        at = int(place.at)
        size = min(self.count, max(inside - at, 0))
        found = self.by_rank(place.leader, skipped + at, size) if size else {}
        page = self.beside(place.leader, found)
        if place.extras:
            page = [one for one in page if not _within(one, place.leader.other, scores)]
        passed = size if place.extras else 0
        if at + size < inside:
            return ElementPage(tuple(page), replace(place, at=b"%d" % (at + size)), passed)
        if place.extras or place.leader.other not in self.stores:
            return ElementPage(tuple(page), None, passed)
        rest = self.ranged(Place(place.leader.other, b"0", extras=True), scores)
        return ElementPage((*page, *rest.elements), rest.next)

    def by_rank(self, store: Store, start: int, count: int) -> dict[bytes, bytes]:
        bounds = (b"%d" % start, b"%d" % (start + count - 1))
        direction = (b"REV",) if self.last_first else ()
        return pairs(self.ask(store, b"ZRANGE", self.key, *bounds, *direction, b"WITHSCORES"))

    def scanned(self, place: Place) -> ElementPage:
        cursor, found = place.at, dict[bytes, bytes]()
        steps = _Steps(self.count, SEARCH_STEPS[place.leader])
        goes_on = True
        while goes_on:
            cursor, part = self.scan(place.leader, cursor, steps.count)
            found |= part
            is_enough = self.match is None or len(found) >= self.count or cursor == b"0"
            goes_on = steps.go_on(grow=len(part) < steps.count // 4) and not is_enough
        page, passed = self.beside(place.leader, found), steps.passed if self.match else 0
        if cursor != b"0":
            return ElementPage(tuple(page), replace(place, at=cursor), passed)
        return self.ended(page, place)

    def looked_up(self, leader: Store, name: bytes) -> ElementPage:
        """The one element with this name, if either store has it."""
        found = self.lines.run(leader, partial(named, key=self.key, kind=self.kind, names=[name]))
        rows = self.beside(leader, found)
        return ElementPage(tuple(one for one in rows if one.local is not None or one.cloud is not None), None)

    def scan(self, store: Store, cursor: bytes, count: int) -> tuple[bytes, dict[bytes, bytes]]:
        options = [b"COUNT", b"%d" % count, *([b"MATCH", self.match] if self.match else [])]
        cursor, part = self.ask(store, SCANS[self.kind], self.key, cursor, *options)
        return cursor, {member: member for member in part} if self.kind == "set" else pairs(part)

    def ended(self, page: list[Element], place: Place) -> ElementPage:
        """The last page of the store that leads, with the first part of what only the other one has."""
        other = place.leader.other
        if other not in self.stores:
            return ElementPage(tuple(page), None)
        rest = self.extras(Place(other, b"0", extras=True), scans=1)
        return ElementPage((*page, *rest.elements), rest.next)

    def extras(self, place: Place, scans: int = EXTRA_SCANS) -> ElementPage:
        found: list[Element] = []
        cursor, steps, goes_on = place.at, _Steps(EXTRA_COUNT, scans), True
        while goes_on:
            cursor, part = self.scan(place.leader, cursor, steps.count)
            fresh = self.beside(place.leader, part)
            found += [one for one in fresh if one.local is None or one.cloud is None]
            goes_on = steps.go_on(grow=len(part) < steps.count // 4) and cursor != b"0" and len(found) < self.count
        return ElementPage(tuple(found), replace(place, at=cursor) if cursor != b"0" else None, steps.passed)

    def beside(self, leader: Store, found: Mapping[bytes, bytes | None]) -> list[Element]:
        """The elements of one store with what the other one holds of them."""
        names = list(found)
        if not names:
            return []
        values: dict[Store, Mapping[bytes, bytes | None]] = {leader: found}
        moments: dict[Store, Mapping[bytes, int | None]] = {}
        for store in self.stores:
            if store is not leader:
                values[store] = self.lines.run(store, partial(named, key=self.key, kind=self.kind, names=names))
            if self.kind == "hash":
                moments[store] = self.lines.run(store, partial(field_moments, key=self.key, names=names))
        return [
            replace(
                element(name, {store: values[store].get(name) for store in values}),
                local_expires_at_ms=moments.get(Store.LOCAL, {}).get(name),
                cloud_expires_at_ms=moments.get(Store.CLOUD, {}).get(name),
            )
            for name in names
        ]


class _Steps:
    """In which a store is looked through for a page: bigger ones while little is found, for a short time."""

    def __init__(self, count: int, most: int) -> None:
        self.count, self.passed, self._left = count, 0, most
        self._until_s = time.monotonic() + SEARCH_S

    def go_on(self, *, grow: bool) -> bool:
        """A step of `count` elements was taken; whether there is time for another."""
        self.passed += self.count
        self._left -= 1
        if grow:
            self.count = min(2 * self.count, STEP_COUNT)
        return self._left > 0 and time.monotonic() < self._until_s


def _lined(entry: Sequence[bytes]) -> bytes:
    """An entry's fields as text, one on each line: name=value."""
    return b"\n".join(b"=".join(entry[at : at + 2]) for at in range(0, len(entry), 2))


def _within(one: Element, store: Store, scores: Scores) -> bool:
    """Whether this store has the member with a score in this range."""
    score = one.local if store is Store.LOCAL else one.cloud
    return score is not None and scores[0] <= float(score) <= scores[1]


def named(line: Line, *, key: bytes, kind: str, names: Sequence[bytes]) -> dict[bytes, bytes | None]:
    """What the store holds under these names."""
    if kind == "hash":
        return dict(zip(names, line.ask((b"HMGET", key, *names))[0], strict=True))
    if kind == "set":
        there = line.ask((b"SMISMEMBER", key, *names))[0]
        return {name: name if held else None for name, held in zip(names, there, strict=True)}
    return dict(zip(names, line.ask((b"ZMSCORE", key, *names))[0], strict=True))


def field_moments(line: Line, *, key: bytes, names: Sequence[bytes]) -> dict[bytes, int | None]:
    """When hash fields expire, in Unix milliseconds; nothing where fields cannot."""
    if not capabilities_of(line).has_field_ttl:
        return {}
    [moments] = line.ask((b"HPEXPIRETIME", key, b"FIELDS", b"%d" % len(names), *names))
    found = moments or [-2] * len(names)
    return {name: moment if moment >= 0 else None for name, moment in zip(names, found, strict=True)}
