"""Time series of both stores: what each says of itself, its samples page by page, and the last of them for a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from hybrid.core.state_replies import pairs
from hybrid.ops.keys.lines import Lines
from hybrid.ops.keys.paging import ElementPage, Place, merged
from hybrid.types import Store

__all__ = ["LAST_SAMPLES", "Rule", "SeriesInfo", "read_last_samples", "read_series_info", "samples"]

LAST_SAMPLES: Final = 240
BEFORE_ALL: Final = b"-1"


@dataclass(frozen=True, slots=True)
class Rule:
    """What the server computes for each `bucket_ms` of a series and adds to the series `target`."""

    target: bytes
    aggregation: str
    bucket_ms: int


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """A time series by its own word. Times in Unix milliseconds, None while it has no sample; `retention_ms` None: for
    ever; `on_duplicate` None: as the server is configured; `source`: the series that a rule fills this one from."""

    samples: int
    first_ms: int | None
    last_ms: int | None
    retention_ms: int | None
    on_duplicate: str | None
    labels: Mapping[bytes, bytes]
    chunks: int
    chunk_bytes: int
    source: bytes | None
    rules: tuple[Rule, ...]


def read_series_info(lines: Lines, store: Store, key: bytes) -> SeriesInfo:
    """One command. Raises StoreUnavailable, HybridError."""
    facts = pairs(lines.run(store, lambda line: line.ask((b"TS.INFO", key))[0]))
    policy, count = facts[b"duplicatePolicy"], facts[b"totalSamples"]
    return SeriesInfo(
        count,
        facts[b"firstTimestamp"] if count else None,
        facts[b"lastTimestamp"] if count else None,
        facts[b"retentionTime"] or None,
        policy.decode().lower() if policy else None,
        _by_name(facts[b"labels"]),
        facts[b"chunkCount"],
        facts[b"chunkSize"],
        facts[b"sourceKey"],
        tuple(Rule(target, how.decode().lower(), ms) for target, (ms, how, *_) in _by_name(facts[b"rules"]).items()),
    )


def _by_name(reply: Any) -> dict[bytes, Any]:
    """Labels or rules: RESP3 sends a map, RESP2 a list of lists that begin with the name."""
    if isinstance(reply, Mapping):
        return dict(reply)
    return {name: rest[0] if len(rest) == 1 else rest for name, *rest in reply}


def samples(
    lines: Lines, stores: Sequence[Store], key: bytes, place: Place | None, count: int, *, last_first: bool
) -> ElementPage:
    """A page of samples by time, each named by its Unix milliseconds."""
    place = place or Place(stores[0], b"+" if last_first else b"-")
    span = (b"TS.REVRANGE", key, b"-", place.at) if last_first else (b"TS.RANGE", key, place.at, b"+")
    found = {store: dict(_ranged(lines, store, span, count)) for store in stores}
    texts = {store: {b"%d" % at: number_text(value) for at, value in held.items()} for store, held in found.items()}
    step = -1 if last_first else 1
    page = merged(texts, place, count, int, lambda at: b"%d" % (int(at) + step), last_first=last_first)
    return replace(page, next=None) if page.next is not None and page.next.at == BEFORE_ALL else page


def read_last_samples(
    lines: Lines, stores: Sequence[Store], key: bytes, count: int = LAST_SAMPLES
) -> dict[Store, tuple[tuple[int, float], ...]]:
    """The newest samples of each store, oldest first: (Unix milliseconds, value). Raises StoreUnavailable,
    HybridError."""
    span = (b"TS.REVRANGE", key, b"-", b"+")
    return {store: tuple(reversed(_ranged(lines, store, span, count))) for store in stores}


def _ranged(lines: Lines, store: Store, span: tuple[bytes, ...], count: int) -> list[tuple[int, float]]:
    reply = lines.run(store, lambda line: line.ask((*span, b"COUNT", b"%d" % count))[0])
    return [(at_ms, float(value)) for at_ms, value in reply]


def number_text(value: float) -> bytes:
    """The shortest text that is this number again."""
    return repr(value).removesuffix(".0").encode()
