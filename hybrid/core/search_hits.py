"""What FT.SEARCH answers, in RESP2 and RESP3; what two stores' answers have in common; and what a refusal means."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from hybrid.core.names import RESERVED
from hybrid.core.refusals import is_unknown_command
from hybrid.core.state_replies import pairs

__all__ = ["NO_INDEX", "NO_SEARCH", "Found", "Hit", "Hits", "found_beside", "found_keys", "hits_of", "why_refused"]

NO_SEARCH: Final = (
    "This server has no search: Redis 8 and Redis Stack have it; Upstash, plain Valkey and older Redis have none."
)
NO_INDEX: Final = "There is no such index on this store."


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found. `fields` in the order of the reply; none when it expired meanwhile."""

    key: bytes
    score: float
    fields: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Hits:
    """One page of an answer. `total`: how many documents the server found in all. `own`: how many on this page are
    hybrid's, which are left out: an index without prefixes has them. `may_lack`: the time was up, and servers give what
    they have by then without a word."""

    total: int
    hits: tuple[Hit, ...]
    own: int = 0
    may_lack: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether the page has all that was found."""
        return not self.may_lack and self.total <= len(self.hits) + self.own


class Found(StrEnum):
    """How a hit of one store stands beside the answer of the other."""

    SAME = "same"
    DIFFERS = "differs"
    """Found by both, with other values in it."""
    ON_ANOTHER_PAGE = "on another page"
    ONLY_HERE = "only here"
    UNKNOWN = "unknown"


def hits_of(reply: Any) -> Hits:
    """Out of a reply to FT.SEARCH with WITHSCORES."""
    if isinstance(reply, Mapping):
        told = pairs(reply)
        rows = [pairs(row) for row in told[b"results"]]
        return _page(told[b"total_results"], [
            _hit(row[b"id"], row.get(b"score", 0), row.get(b"extra_attributes")) for row in rows
        ])  # fmt: skip
    total, *rest = reply
    width = 2 if len(rest) == 2 or (rest and isinstance(rest[2], bytes)) else 3  # without fields, the next key follows
    return _page(total, [_hit(*rest[at : at + width]) for at in range(0, len(rest), width)])


def _page(total: int, found: Sequence[Hit]) -> Hits:
    hits = tuple(hit for hit in found if not hit.key.startswith(RESERVED))
    return Hits(total, hits, len(found) - len(hits))


def found_keys(reply: Any) -> frozenset[bytes]:
    """The keys in a reply to FT.SEARCH with NOCONTENT."""
    if isinstance(reply, Mapping):
        return frozenset(pairs(row)[b"id"] for row in pairs(reply)[b"results"])
    return frozenset(reply[1:])


def _hit(key: bytes, score: Any, fields: Any = None) -> Hit:
    named = pairs(fields) if fields else {}
    return Hit(
        key, float(score), tuple((name.decode(errors="backslashreplace"), value) for name, value in named.items())
    )


def found_beside(hit: Hit, other: Hits | None, known_there: Collection[bytes] | None) -> Found:
    """`known_there`: those keys that the other store finds too, of the ones that are not on its page; None when it
    could not be asked."""
    if other is None:
        return Found.UNKNOWN
    for theirs in other.hits:
        if theirs.key == hit.key:
            return Found.SAME if dict(theirs.fields) == dict(hit.fields) else Found.DIFFERS
    if other.is_whole:
        return Found.ONLY_HERE
    if known_there is None:
        return Found.UNKNOWN
    return Found.ON_ANOTHER_PAGE if hit.key in known_there else Found.ONLY_HERE


_SYNTAX: Final = re.compile(r"syntax error at offset (\d+)(?: near (.*))?", re.IGNORECASE | re.DOTALL)
_PARAMETER: Final = re.compile(r"no such parameter [`'\"]?\$?([^`'\"]+)", re.IGNORECASE)
_LACKING: Final = ("no such index", "unknown index name", "index not found")
_OUT_OF_TIME: Final = ("timeout limit was reached", "query timed out", "timed out")


def why_refused(error: object) -> str:
    """One sentence for an error reply to a question about an index."""
    text = str(error).strip()
    lower = text.lower()
    if is_unknown_command(error):
        return NO_SEARCH
    if any(words in lower for words in _LACKING):
        return NO_INDEX
    if found := _SYNTAX.search(text):
        at, near = int(found[1]) + 1, (found[2] or "").strip()
        if near:
            return f"The query cannot be read from character {at} on, near “{near}”."
        return f"The query cannot be read from character {at} on."
    if found := _PARAMETER.search(text):
        return f"The query has a parameter, ${found[1].strip()}, that only the Console can give: with PARAMS."
    if any(words in lower for words in _OUT_OF_TIME):
        return "The time limit was reached before there was an answer: narrow the query, or allow more time."
    return f"This store refuses the query: {text.rstrip('.')}."
