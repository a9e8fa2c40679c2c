"""Search indexes (FT.*): which there are, what a store says of one, what it finds, and what one could hold.

    lines = Lines(client)
    names = read_indexes(lines, Store.LOCAL)
    found = search(lines, Store.LOCAL, b"books", Question("@title:sea", fields=("title",)))

Everything only reads. What a store does not offer, or refuses, is a `NotOffered`, which is neither empty nor zero. What
does not answer raises StoreUnavailable.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import redis

from hybrid.core.glob import literal
from hybrid.core.search_draft import suggested
from hybrid.core.search_hits import (
    NO_INDEX,
    NO_SEARCH,
    Found,
    Hit,
    Hits,
    found_beside,
    found_keys,
    hits_of,
    why_refused,
)
from hybrid.core.search_index import Apart, Definition, IndexField, IndexInfo, apart, create_command, index_info
from hybrid.core.state_replies import pairs
from hybrid.ops.diff.line import Line
from hybrid.ops.insights import NotOffered, not_offered
from hybrid.ops.keys import Lines
from hybrid.stores.exchange import Command, exchange
from hybrid.types import Store

__all__ = [
    "MOST_A_PAGE",
    "MOST_FIELDS",
    "MOST_HITS",
    "NO_INDEX",
    "NO_SEARCH",
    "Apart",
    "Definition",
    "Found",
    "Hit",
    "Hits",
    "IndexField",
    "IndexInfo",
    "Question",
    "apart",
    "create_command",
    "explain",
    "found_beside",
    "read_indexes",
    "read_infos",
    "search",
    "search_among",
    "suggest",
]

MOST_A_PAGE: Final = 50
MOST_FIELDS: Final = 10
MOST_HITS: Final = 10_000
"""How far an answer is leafed through: for each page the server finds all those before it again."""

SAMPLES: Final = 10
LONGEST_SAMPLE: Final = 1 << 18
SCANS: Final = 10

DIALECT: Final = (b"DIALECT", b"2")


@dataclass(frozen=True, slots=True)
class Question:
    """A query, and which part of its answer. `fields`: what is returned of each document. After `limit_ms` a server
    gives what it has found by then, or an error, as it is set up."""

    query: str
    offset: int = 0
    count: int = 10
    fields: tuple[str, ...] = ()
    limit_ms: int = 1000


def read_indexes(lines: Lines, store: Store) -> tuple[bytes, ...] | NotOffered:
    """The names of all indexes, sorted. One command."""
    reply = _asked(lines, store, (b"FT._LIST",))
    return _refused("FT._LIST", reply) or tuple(sorted(reply))


def read_infos(lines: Lines, store: Store, names: Sequence[bytes]) -> dict[bytes, IndexInfo | NotOffered]:
    """What the store says of these indexes: a command each, in one round trip."""
    replies = lines.run(store, lambda line: exchange(line, [(b"FT.INFO", name) for name in names]))
    return {name: _refused("FT.INFO", reply) or index_info(reply) for name, reply in zip(names, replies, strict=True)}


def explain(lines: Lines, store: Store, index: bytes, query: str) -> str | NotOffered:
    """How the store reads a query. One command."""
    reply = _asked(lines, store, (b"FT.EXPLAIN", index, query.encode(), *DIALECT))
    return _refused("FT.EXPLAIN", reply) or reply.decode(errors="backslashreplace").rstrip()


def search(lines: Lines, store: Store, index: bytes, question: Question) -> Hits | NotOffered:
    """A page of what the store finds, at most MOST_A_PAGE documents of the first MOST_HITS. One command."""
    count = max(1, min(question.count, MOST_A_PAGE))
    offset = max(0, min(question.offset, MOST_HITS - count))
    fields = [field.encode() for field in question.fields[:MOST_FIELDS]]
    wanted = (b"RETURN", b"%d" % len(fields), *fields) if fields else (b"NOCONTENT",)
    page = (b"LIMIT", b"%d" % offset, b"%d" % count)
    began_s = time.perf_counter()
    reply = _asked(lines, store, (*_query(index, question), b"WITHSCORES", *wanted, *page, *DIALECT))
    return _refused("FT.SEARCH", reply) or replace(hits_of(reply), may_lack=_is_late(question, began_s))


def search_among(
    lines: Lines, store: Store, index: bytes, question: Question, keys: Sequence[bytes]
) -> frozenset[bytes] | None:
    """Which of these keys the store finds, on whatever page; None where it cannot tell. One command."""
    count = b"%d" % len(keys)
    among = (b"NOCONTENT", b"INKEYS", count, *keys, b"LIMIT", b"0", count)
    began_s = time.perf_counter()
    reply = _asked(lines, store, (*_query(index, question), *among, *DIALECT))
    return None if isinstance(reply, redis.ResponseError) or _is_late(question, began_s) else found_keys(reply)


def suggest(lines: Lines, store: Store, on: str, prefix: bytes) -> tuple[str, ...]:
    """Lines of a schema that fit the first documents whose names begin so; none where none is found among the first
    ten thousand keys. Twelve commands and a look at each of ten documents, at most."""
    return suggested(on, lines.run(store, lambda line: _samples(line, on, prefix)))


def _samples(line: Line, on: str, prefix: bytes) -> list[Any]:
    kind, read = (b"ReJSON-RL", b"JSON.GET") if on == "JSON" else (b"hash", b"HGETALL")
    keys: list[bytes] = []
    cursor = b"0"
    for _ in range(SCANS):
        scan = (b"SCAN", cursor, b"MATCH", literal(prefix) + b"*", b"COUNT", b"1000", b"TYPE", kind)
        [(cursor, found)] = line.ask(scan)
        keys += found
        if len(keys) >= SAMPLES or cursor == b"0":
            break
    sizes = exchange(line, [(b"MEMORY", b"USAGE", key) for key in keys[:SAMPLES]]) if keys else []
    small = [key for key, size in zip(keys, sizes, strict=False) if isinstance(size, int) and size <= LONGEST_SAMPLE]
    replies = exchange(line, [(read, key) for key in small]) if small else []
    found = [reply for reply in replies if reply and not isinstance(reply, redis.ResponseError)]
    return found if on == "JSON" else [pairs(reply) for reply in found]


def _is_late(question: Question, began_s: float) -> bool:
    """Whether the server may have run out of its time; the way there counts as well."""
    return 1000 * (time.perf_counter() - began_s) >= question.limit_ms


def _query(index: bytes, question: Question) -> tuple[bytes, ...]:
    return (b"FT.SEARCH", index, question.query.encode(), b"TIMEOUT", b"%d" % question.limit_ms)


def _asked(lines: Lines, store: Store, command: Command) -> Any:
    [reply] = lines.run(store, lambda line: exchange(line, [command]))
    return reply


def _refused(command: str, reply: Any) -> NotOffered | None:
    """The refusal that an error reply is; None for any other reply."""
    if isinstance(reply, redis.exceptions.NoPermissionError):
        return not_offered(command, reply)
    return NotOffered(command, why_refused(reply)) if isinstance(reply, redis.ResponseError) else None
