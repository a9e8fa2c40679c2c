"""What the page Keys reads. Each read runs beside the page, so that a store that hangs delays nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from hybrid.client import HybridRedis
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops.keys import (
    MOST_NAMES,
    TEXT_PAGE_BYTES,
    Badge,
    Element,
    ElementPage,
    Filter,
    Form,
    GroupInfo,
    KeyInfo,
    KeyRow,
    KeyUndo,
    Lines,
    NotInThisForm,
    Packing,
    PendingInfo,
    Place,
    Scores,
    SeriesInfo,
    Side,
    VectorsInfo,
    Walk,
    attributes_in,
    badge_rows,
    decoded,
    edits,
    guessed_form,
    packing_of,
    quick_rows,
    read_document,
    read_elements,
    read_groups,
    read_info,
    read_last_samples,
    read_nearest,
    read_series_info,
    read_text,
    read_vectors_info,
    rendered,
    unpacked,
)
from hybrid.ops.keys.commands import key_commands
from hybrid.ops.keys.edit import Edit, Edited, Reached
from hybrid.ops.keys.tree import Folder, Level, level_of
from hybrid.ops.transfer import Conflict, Format
from hybrid.types import Store, StoreState
from panel import queries
from panel.format import sentence
from panel.process import process
from panel.reads import Answer, Known, ReadFailed, Unknown

__all__ = [
    "COLLECTIONS",
    "FRESH_S",
    "MOST_DOWNLOADED",
    "MOST_NAMES",
    "PATIENCE_S",
    "TEXT_PAGE_BYTES",
    "TREE_NAMES",
    "WHOLE_BYTES",
    "Answer",
    "Badge",
    "ConfigurationError",
    "Conflict",
    "Edit",
    "Edited",
    "Element",
    "ElementPage",
    "Filter",
    "Folder",
    "Form",
    "Format",
    "GroupInfo",
    "KeyInfo",
    "KeyRow",
    "KeyUndo",
    "Known",
    "Level",
    "Listing",
    "NotInThisForm",
    "Packing",
    "PendingInfo",
    "Place",
    "Reached",
    "Scores",
    "SeriesInfo",
    "Side",
    "Store",
    "Unknown",
    "VectorsInfo",
    "Walk",
    "about_series",
    "about_vectors",
    "ask_ahead",
    "asked",
    "attributes_in",
    "badge_of_key",
    "badges",
    "commands_of",
    "decoded",
    "document",
    "draw_others",
    "edits",
    "elements",
    "first_text_bytes",
    "forget",
    "groups",
    "guessed_form",
    "info",
    "last_samples",
    "leading",
    "level",
    "lines",
    "listing",
    "nearest",
    "new_walk_id",
    "packing_of",
    "rendered",
    "rows_of",
    "search_on",
    "stores_up",
    "text",
    "unpacked",
    "whole_document",
    "whole_text",
]

T = TypeVar("T")
KINDS = (
    "keys", "badges", "info", "text", "elements", "groups", "document", "level", "commands", "rows", "about", "chart",
    "nearest",
)  # fmt: skip
FRESH_S = 5.0
BADGES_S = 30.0  # a badge costs cloud commands: it is not asked again with every click
BADGES_KEPT_S = 3600.0
PATIENCE_S = 0.6
BADGE_PATIENCE_S = 0.02  # rows are shown at once, badges when they are there
TREE_NAMES = 5000
COLLECTIONS = ("hash", "list", "set", "zset", "stream", "TSDB-TYPE", "vectorset")
WHOLE_BYTES = 256 * 1024
MOST_DOWNLOADED = 64 * 1024 * 1024

_lines: WeakKeyDictionary[HybridRedis, Lines] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a walk. `known` names were found so far; `ended`: there are no others."""

    rows: tuple[KeyRow, ...]
    known: int
    ended: bool
    full: bool
    missing: tuple[tuple[Store, str], ...]
    looked_at: int
    cloud_commands: int


def stores_up() -> tuple[Store, ...]:
    """The stores that can be asked now, by the agent's own evidence; none is asked for it. What a store holds that lost
    its data is of interest while the other one fills it again; alone it would pass for all there is."""
    snapshot = queries.overview()
    if snapshot is None:
        return ()
    down = (StoreState.DOWN, StoreState.UNKNOWN)
    sides = {Store.LOCAL: snapshot.local, Store.CLOUD: snapshot.cloud}
    found = {store: facts.status.state for store, facts in sides.items() if facts is not None}
    there = tuple(store for store, state in found.items() if state not in down)
    return () if all(found[store] is StoreState.WIPED for store in there) else there


def lines() -> Lines:
    """The lines of this process to its stores. Raises ReadFailed while there is no client."""
    agent = process().agent
    if agent is None:
        raise ReadFailed("The panel's client is not running.")
    if agent.client not in _lines:
        _lines[agent.client] = Lines(agent.client)
    return _lines[agent.client]


def forget() -> None:
    """Something was changed: ask the stores again."""
    process().reads.forget(*KINDS)


def asked(
    kind: str,
    question: Sequence[Any],
    ask: Callable[[Lines], T],
    age_s: float = FRESH_S,
    patience_s: float = PATIENCE_S,
) -> Answer[T]:
    """What a read over this process's lines answers, which stands in `panel.reads` as (kind, *question)."""

    def run() -> T:
        try:
            return ask(lines())
        except HybridError as error:
            raise ReadFailed(sentence(error)) from None

    return process().reads.get((kind, *question), run, max_age_s=age_s, patience_s=patience_s)


def listing(walk: Walk, walk_id: int, page: int, size: int, stores: tuple[Store, ...]) -> Answer[Listing]:
    """The rows of page `page` (from 0), from whatever is cheapest to ask."""

    def ask(kept: Lines) -> Listing:
        before = kept.commands(Store.CLOUD)
        walk.fill(kept, stores, (page + 1) * size + 1)
        names = walk.names[page * size : (page + 1) * size]
        rows = quick_rows(kept, stores, names)
        spent = kept.commands(Store.CLOUD) - before
        missing = tuple(walk.missing.items())
        looked_at = sum(walk.looked_at(store) for store in Store)
        return Listing(tuple(rows), len(walk.names), walk.ended, walk.is_full, missing, looked_at, spent)

    return asked("keys", (walk_id, page, size, stores), ask)


def badges(
    rows: tuple[KeyRow, ...], stores: tuple[Store, ...], *, kept_long: bool = False
) -> Answer[tuple[KeyRow, ...]]:
    """The rows compared with the cloud store: visible ones only."""
    names = tuple(row.key for row in rows)
    age_s = BADGES_KEPT_S if kept_long else BADGES_S
    return asked("badges", (names, stores), lambda kept: tuple(badge_rows(kept, stores, rows)), age_s, BADGE_PATIENCE_S)


def search_on() -> None:
    """Let the next look at a list that is still searched for go on."""
    process().reads.forget("keys")


def draw_others() -> None:
    """Let the server draw other elements of a vector set."""
    process().reads.forget("elements")


def rows_of(names: tuple[bytes, ...], stores: tuple[Store, ...]) -> Answer[tuple[KeyRow, ...]]:
    """Rows of keys known by name."""
    return asked("rows", (names, stores), lambda kept: tuple(quick_rows(kept, stores, names)))


def badge_of_key(key: bytes, stores: tuple[Store, ...], patience_s: float = PATIENCE_S) -> Answer[tuple[KeyRow, ...]]:
    """One key, compared."""

    def ask(kept: Lines) -> tuple[KeyRow, ...]:
        return tuple(badge_rows(kept, stores, quick_rows(kept, stores, [key])))

    return asked("badges", ("one", key, stores), ask, patience_s=patience_s)


def ask_ahead(key: bytes, stores: tuple[Store, ...], authority: Store, seen: KeyRow | None) -> None:
    """Begin to ask both stores about a key, before its parts are drawn; for its value too, if its type is known."""
    guess = seen.kind if seen is not None else None
    for store in stores:
        info(store, key, guess, patience_s=0.0)
    if seen is not None and seen.badge not in (Badge.ONLY_LOCAL, Badge.ONLY_CLOUD):
        if guess == "string":
            text(key, stores, 0, first_text_bytes(seen.side.size_bytes if seen.side else None), patience_s=0.0)
        elif guess in COLLECTIONS:
            elements(key, guess, leading(stores, authority), None, None, patience_s=0.0)
    if len(stores) == 2:
        badge_of_key(key, stores, patience_s=0.0)


def first_text_bytes(size_bytes: int | None) -> int:
    """How much of a string is read at first: the whole of it, if it is not long."""
    return WHOLE_BYTES if (size_bytes or 0) <= WHOLE_BYTES else TEXT_PAGE_BYTES


def leading(stores: Iterable[Store], authority: Store) -> tuple[Store, ...]:
    """The store that takes the writes first: the order of a key's elements is its."""
    return tuple(sorted(stores, key=lambda store: store is not authority))


def level(
    walk: Walk, walk_id: int, prefix: bytes, separator: bytes, stores: tuple[Store, ...], names: int = TREE_NAMES
) -> Answer[Level]:
    """The folders and keys right below `prefix`, of the first `names` keys found there."""

    def ask(kept: Lines) -> Level:
        walk.fill(kept, stores, names, deadline_s=0.5)
        return level_of(walk.names, prefix, walk.ended, separator)

    return asked("level", (walk_id, prefix, separator, stores, names), ask)


def info(store: Store, key: bytes, guess: str | None = None, patience_s: float = PATIENCE_S) -> Answer[KeyInfo | None]:
    return asked("info", (store, key), lambda kept: read_info(kept, store, key, guess), patience_s=patience_s)


def text(
    key: bytes, stores: tuple[Store, ...], offset: int, length: int, patience_s: float = PATIENCE_S
) -> Answer[dict[Store, bytes]]:
    return asked(
        "text", (key, stores, offset, length), lambda kept: read_text(kept, stores, key, offset, length),
        patience_s=patience_s,
    )  # fmt: skip


def whole_text(key: bytes, store: Store) -> bytes:
    """A string as it is now, however long; for who waits for a file. Raises HybridError."""
    return lines().run(store, lambda line: bytes(line.ask((b"GET", key))[0] or b""))


def document(key: bytes, stores: tuple[Store, ...]) -> Answer[dict[Store, bytes]]:
    return asked("document", (key, stores), lambda kept: read_document(kept, stores, key))


def whole_document(key: bytes, store: Store) -> bytes:
    """A document as it is now, however long; for who waits for a file. Raises HybridError."""
    return read_document(lines(), (store,), key).get(store, b"")


def elements(
    key: bytes,
    kind: str,
    stores: tuple[Store, ...],
    place: Place | None,
    match: bytes | None,
    patience_s: float = PATIENCE_S,
    *,
    last_first: bool = False,
    scores: Scores | None = None,
) -> Answer[ElementPage]:
    return asked(
        "elements",
        (key, kind, stores, place, match, last_first, scores),
        lambda kept: read_elements(kept, stores, key, kind, place, match=match, last_first=last_first, scores=scores),
        patience_s=patience_s,
    )


def groups(store: Store, key: bytes) -> Answer[tuple[GroupInfo, ...]]:
    return asked("groups", (store, key), lambda kept: read_groups(kept, store, key))


def about_series(store: Store, key: bytes) -> Answer[SeriesInfo]:
    return asked("about", (store, key, "series"), lambda kept: read_series_info(kept, store, key))


def about_vectors(store: Store, key: bytes) -> Answer[VectorsInfo | None]:
    return asked("about", (store, key, "vectors"), lambda kept: read_vectors_info(kept, store, key))


def last_samples(key: bytes, stores: tuple[Store, ...]) -> Answer[dict[Store, tuple[tuple[int, float], ...]]]:
    """The newest samples of a time series, for a chart."""
    return asked("chart", (key, stores), lambda kept: read_last_samples(kept, stores, key))


def nearest(
    key: bytes, to: bytes | tuple[float, ...], stores: tuple[Store, ...], where: str = ""
) -> Answer[dict[Store, tuple[tuple[bytes, float], ...]]]:
    """What lies nearest to an element of a vector set, or to a vector."""
    return asked("nearest", (key, to, stores, where), lambda kept: read_nearest(kept, stores, key, to, where))


def commands_of(store: Store, key: bytes) -> Answer[str | None]:
    """The key as commands for redis-cli; None when it is too big to be shown so."""
    return asked("commands", (store, key), lambda kept: key_commands(kept, store, key))


def new_walk_id() -> int:
    return time.monotonic_ns()
