"""What was measured, as rows: `pandas.DataFrame(rows)` takes them as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from hybrid.core.histogram import Histogram, upper_us
from hybrid.core.metrics import Record
from hybrid.types import Store

__all__ = [
    "ErrorRow",
    "EventRow",
    "GaugeRow",
    "HeatRow",
    "LatencyRow",
    "ThroughputRow",
    "TrafficRow",
    "by_store",
    "error_rows",
    "event_rows",
    "gauge_rows",
    "heat_rows",
    "latency_rows",
    "summed",
    "throughput_rows",
    "traffic_rows",
]


class LatencyRow(TypedDict):
    """Latency of one store and command group; quantiles are upper bounds, at most an eighth too high."""

    at_s: int
    store: str
    group: str
    count: int
    mean_ms: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class HeatRow(TypedDict):
    """How many calls took between `from_ms` and `to_ms`."""

    at_s: int
    from_ms: float
    to_ms: float
    count: int


class ThroughputRow(TypedDict):
    at_s: int
    store: str
    group: str
    count: int
    per_s: float


class ErrorRow(TypedDict):
    """`where` is a store, or `client`: what the application got to see."""

    at_s: int
    where: str
    kind: str
    count: int


class EventRow(TypedDict):
    at_s: float
    process: str
    event: str
    level: str
    message: str


class GaugeRow(TypedDict):
    """`name` is lag_entries, lag_s, conflicts; or keys, memory_bytes, clients, p50_ms or p99_ms (as the observer itself
    met the store) with `.local` or `.cloud` behind it."""

    at_s: int
    name: str
    value: float


class TrafficRow(TypedDict):
    at_s: int
    store: str
    purpose: str
    commands: int
    sent_bytes: int
    received_bytes: int


def latency_rows(records: Iterable[Record]) -> list[LatencyRow]:
    """By time, store and command group."""
    return [
        _latency_row(record.at_s, store, group, histogram)
        for record in records
        for (store, group), histogram in sorted(record.latency.items())
    ]


def _latency_row(at_s: int, store: str, group: str, histogram: Histogram) -> LatencyRow:
    count = histogram.count
    return {
        "at_s": at_s,
        "store": store,
        "group": group,
        "count": count,
        "mean_ms": histogram.sum_us / count / 1000 if count else 0.0,
        "p50_ms": histogram.quantile_ms(0.5),
        "p95_ms": histogram.quantile_ms(0.95),
        "p99_ms": histogram.quantile_ms(0.99),
        "max_ms": histogram.quantile_ms(1.0),
    }


def by_store(records: Iterable[Record]) -> list[Record]:
    """The same records with all command groups of a store as one, `all`: quantiles do not add up, histograms do."""
    whole = []
    for record in records:
        merged = Record(record.at_s, record.span_s)
        for (store, _), histogram in record.latency.items():
            merged.latency.setdefault((store, "all"), Histogram()).add(histogram)
        whole.append(merged)
    return whole


def summed(records: Iterable[Record]) -> Record:
    """All of them as one: what a whole range of time holds."""
    whole = Record(0, 0)
    for record in records:
        whole.add(record)
    return whole


def heat_rows(records: Iterable[Record], store: Store, group: str | None = None) -> list[HeatRow]:
    """The heat map of one store's latency, of one command group or (None) of all."""
    rows: list[HeatRow] = []
    for record in records:
        matching = (
            histogram
            for (where, name), histogram in record.latency.items()
            if where == store.value and group in (None, name)
        )
        for bucket, count in sorted(Histogram.merged(matching).counts.items()):
            start_us = upper_us(bucket - 1) if bucket else 0
            rows.append(
                {"at_s": record.at_s, "from_ms": start_us / 1000, "to_ms": upper_us(bucket) / 1000, "count": count}
            )
    return rows


def throughput_rows(records: Iterable[Record]) -> list[ThroughputRow]:
    """Exchanges by time, store and command group; a pipeline counts as one."""
    return [
        {
            "at_s": record.at_s,
            "store": store,
            "group": group,
            "count": histogram.count,
            "per_s": histogram.count / record.span_s,
        }
        for record in records
        for (store, group), histogram in sorted(record.latency.items())
    ]


def error_rows(records: Iterable[Record]) -> list[ErrorRow]:
    return [
        {"at_s": record.at_s, "where": where, "kind": kind, "count": count}
        for record in records
        for (where, kind), (count,) in sorted(record.errors.items())
    ]


def event_rows(records: Iterable[Record]) -> list[EventRow]:
    """Events of all processes, oldest first; what each of them saw of one failover is one row."""
    rows: list[EventRow] = []
    known: set[str] = set()
    for event in sorted((event for record in records for event in record.events), key=lambda event: event.at_s):
        if event.key and event.key in known:
            continue
        known.add(event.key)
        rows.append(
            {
                "at_s": event.at_s,
                "process": event.process,
                "event": event.event,
                "level": event.level,
                "message": event.message,
            }
        )
    return rows


def gauge_rows(records: Iterable[Record], names: Sequence[str] = ()) -> list[GaugeRow]:
    """Lag, conflicts, keys and memory over time, as an agent or a panel saw them; all of them without `names`."""
    return [
        {"at_s": record.at_s, "name": name, "value": value}
        for record in records
        for name, value in sorted(record.gauges.items())
        if not names or name in names
    ]


def traffic_rows(records: Iterable[Record]) -> list[TrafficRow]:
    return [
        {
            "at_s": record.at_s,
            "store": store,
            "purpose": purpose,
            "commands": commands,
            "sent_bytes": sent_bytes,
            "received_bytes": received_bytes,
        }
        for record in records
        for (store, purpose), (commands, sent_bytes, received_bytes) in sorted(record.traffic.items())
    ]
