"""What the view Search reads of each store by itself, beside the page: a store that hangs delays nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from hybrid.errors import ConfigurationError
from hybrid.ops.diff.export import shown
from hybrid.ops.keys import Lines
from hybrid.ops.search import (
    MOST_FIELDS,
    MOST_HITS,
    NO_INDEX,
    NO_SEARCH,
    Apart,
    Definition,
    Found,
    Hit,
    Hits,
    IndexField,
    IndexInfo,
    Question,
    apart,
    create_command,
    explain,
    found_beside,
    read_indexes,
    read_infos,
    search,
    search_among,
    suggest,
)
from hybrid.ops.search_indexes import DOCUMENT_KINDS, Draft, create_words, line_of
from panel import queries
from panel.insights.queries import CLOUD_FRESH_S, LOCAL_FRESH_S, NotOffered, is_billed
from panel.keys.queries import asked
from panel.process import process
from panel.queries import Store
from panel.reads import Answer

__all__ = [
    "DOCUMENT_KINDS",
    "MOST_FIELDS",
    "MOST_HITS",
    "NO_INDEX",
    "NO_SEARCH",
    "Apart",
    "ConfigurationError",
    "Definition",
    "Draft",
    "Found",
    "Hit",
    "Hits",
    "IndexField",
    "IndexInfo",
    "NotOffered",
    "Question",
    "apart",
    "ask_hits_again",
    "create_command",
    "create_words",
    "explained",
    "forget",
    "found_beside",
    "hits",
    "indexes",
    "infos",
    "known_among",
    "line_of",
    "shown",
    "suggested",
]

T = TypeVar("T")
PATIENCE_S: Final = 0.6
HITS = "search hits"
KINDS: Final = ("search indexes", "search infos", "search explained", HITS, "search among")


def forget() -> None:
    """Somebody pressed the button: ask the stores anew, the cloud store too."""
    process().reads.forget(*KINDS)


def ask_hits_again() -> None:
    process().reads.forget(HITS, "search among")


def _fresh_s() -> float:
    """How long answers are kept: of both stores equally long, else they would differ by their age."""
    return LOCAL_FRESH_S if is_billed(Store.CLOUD) is False else CLOUD_FRESH_S


def _asked(
    kind: str,
    store: Store,
    question: Sequence[Any],
    ask: Callable[[Lines], T],
    patience_s: float = PATIENCE_S,
    fresh_s: float = CLOUD_FRESH_S,
) -> Answer[T]:
    return asked(kind, (store, *question), ask, fresh_s, min(patience_s, queries.patience_s(store, PATIENCE_S)))


def _of_each(stores: Sequence[Store], ask: Callable[[Store, float], Answer[T]]) -> dict[Store, Answer[T]]:
    """All are asked before the first is waited for."""
    for store in stores:
        ask(store, 0.0)
    return {store: ask(store, PATIENCE_S) for store in stores}


def indexes(stores: Sequence[Store]) -> dict[Store, Answer[tuple[bytes, ...] | NotOffered]]:
    """The names of all indexes of each store."""
    return _of_each(stores, lambda store, patience_s: _asked(
        "search indexes", store, (), lambda kept: read_indexes(kept, store), patience_s, _fresh_s()
    ))  # fmt: skip


def infos(names: Mapping[Store, tuple[bytes, ...]]) -> dict[Store, Answer[dict[bytes, IndexInfo | NotOffered]]]:
    """What each store says of these indexes."""
    return _of_each(list(names), lambda store, patience_s: _asked(
        "search infos", store, (names[store],), lambda kept: read_infos(kept, store, names[store]), patience_s,
        _fresh_s(),
    ))  # fmt: skip


def hits(stores: Sequence[Store], index: bytes, question: Question) -> dict[Store, Answer[Hits | NotOffered]]:
    """What each store finds; kept until it is asked again, so that nothing moves under who reads it."""
    return _of_each(stores, lambda store, patience_s: _asked(
        HITS, store, (index, question), lambda kept: search(kept, store, index, question), patience_s
    ))  # fmt: skip


def known_among(
    store: Store, index: bytes, question: Question, keys: tuple[bytes, ...]
) -> Answer[frozenset[bytes] | None]:
    """Which of these keys the store finds on any page."""
    return _asked(
        "search among", store, (index, question, keys),
        lambda kept: search_among(kept, store, index, question, keys),
    )  # fmt: skip


def explained(stores: Sequence[Store], index: bytes, query: str) -> dict[Store, Answer[str | NotOffered]]:
    """How each store reads a query."""
    return _of_each(stores, lambda store, patience_s: _asked(
        "search explained", store, (index, query), lambda kept: explain(kept, store, index, query), patience_s
    ))  # fmt: skip


def suggested(store: Store, on: str, prefix: bytes) -> Answer[tuple[str, ...]]:
    """Lines of a schema for the keys of this kind whose names begin so."""
    return _asked("search suggested", store, (on, prefix), lambda kept: suggest(kept, store, on, prefix), 1.5, 5.0)
