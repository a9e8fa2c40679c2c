"""Reads what all processes measured, as rows: `pandas.DataFrame(rows)` takes them as they are.

    records = read_records(client, since_s=time.time() - 3600)
    latency_rows(records)

Reading asks the local store only. Times are Unix times, durations milliseconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol, TypedDict

import redis

from hybrid.core.histogram import Histogram, upper_us
from hybrid.core.metrics import Record, by_slot
from hybrid.core.names import Names
from hybrid.core.spending import CostSummary, Price, Usage, cost_summary
from hybrid.observe.folding import KEPT_S, day_of, keys_by_span, records_of
from hybrid.settings import Settings
from hybrid.types import Store

__all__ = [
    "CostRow",
    "CostSummary",
    "ErrorRow",
    "EventRow",
    "GaugeRow",
    "HeatRow",
    "LatencyRow",
    "Record",
    "ThroughputRow",
    "TrafficRow",
    "by_store",
    "cost_of_month",
    "cost_rows",
    "error_rows",
    "event_rows",
    "gauge_rows",
    "heat_rows",
    "latency_rows",
    "price_of",
    "raw_local",
    "raw_store",
    "read_days",
    "read_records",
    "summed",
    "throughput_rows",
    "today",
    "traffic_rows",
]

MOST_POINTS: Final = 1440
NAMES: Final = Names()


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


class CostRow(TypedDict):
    """One day (UTC) and purpose on the cloud store. `usd` is the price of the commands."""

    day: str
    purpose: str
    commands: int
    sent_bytes: int
    received_bytes: int
    usd: float


class Readable(Protocol):
    """The part of `HybridRedis` that reading needs."""

    @property
    def settings(self) -> Settings: ...
    def store(self, store: Store) -> redis.Redis: ...


# -- reading


def read_records(client: Readable, since_s: float, until_s: float | None = None) -> list[Record]:
    """What was measured from `since_s` to `until_s` (now), in spans of 10, 60 or 600 s: the finest that is still kept
    and gives at most 1,440 points.

    Raises redis.RedisError when the local store cannot be asked.
    """
    now_s = time.time()
    until_s = now_s if until_s is None else until_s
    span_s = _span_s(now_s - since_s, until_s - since_s)
    spans = [each for each in sorted(KEPT_S, reverse=True) if each <= span_s]
    found: list[Record] = []
    with raw_local(client) as local:
        place = f"{int(since_s * 1000)}"
        for span in spans:
            # What is not folded yet is only in the finer records, behind the last place that was folded.
            entries: Any = local.execute_command("XRANGE", keys_by_span(NAMES)[span], place, "+")
            found += records_of(entries)
            if entries:
                place = f"{entries[-1][0].partition(b'-')[0].decode()}"
    return by_slot((record for record in found if since_s - span_s < record.at_s <= until_s), span_s)


def read_days(client: Readable) -> dict[tuple[date, str], Usage]:
    """Traffic with the cloud store by day (UTC) and purpose, up to now. Raises redis.RedisError."""
    with raw_local(client) as local:
        counted = local.execute_command("HGETALL", NAMES.metrics_days)
        last = local.execute_command("XREVRANGE", NAMES.metrics_60, "+", "-", "COUNT", 1)
        place = last[0][0].partition(b"-")[0] if last else b"-"
        unfolded = records_of(local.execute_command("XRANGE", NAMES.metrics_10, place, "+"))
    numbers: dict[tuple[str, str], dict[str, int]] = {}
    for name, number in counted.items() if isinstance(counted, dict) else zip(counted[::2], counted[1::2], strict=True):
        day, _, purpose, what = name.decode().split("|")
        numbers.setdefault((day, purpose), {})[what] = int(number)
    days = {
        (date.fromisoformat(day), purpose): Usage(each.get("commands", 0), each.get("sent", 0), each.get("received", 0))
        for (day, purpose), each in numbers.items()
    }
    for record in unfolded:
        for (store, purpose), traffic in record.traffic.items():
            if store == Store.CLOUD.value:
                key = date.fromisoformat(day_of(record.at_s)), purpose
                days[key] = days.get(key, Usage()) + Usage(*traffic)
    return days


def _span_s(age_s: float, length_s: float) -> int:
    for span_s, kept_s in sorted(KEPT_S.items()):
        if age_s <= kept_s and length_s / span_s <= MOST_POINTS:
            return span_s
    return max(KEPT_S)


def raw_local(client: Readable) -> redis.Redis:
    """The local store, with replies as bytes: records are hybrid's own, whatever the application decodes."""
    return raw_store(client, Store.LOCAL)


def raw_store(client: Readable, store: Store, **connection_options: Any) -> redis.Redis:
    """One store with replies as the server gives them: bytes and lists, whatever the application decodes."""
    connection = client.store(store)
    connection.connection_pool.connection_kwargs.update(decode_responses=False, protocol=2, **connection_options)
    connection.response_callbacks.clear()
    return connection


# -- rows


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


# -- money


def price_of(settings: Settings) -> Price:
    """The price that the settings name."""
    return Price(per_100k_commands=settings.cloud_price)


def cost_rows(days: dict[tuple[date, str], Usage], price: Price) -> list[CostRow]:
    """Commands and money by day and purpose."""
    return [
        {
            "day": day.isoformat(),
            "purpose": purpose,
            "commands": usage.commands,
            "sent_bytes": usage.sent_bytes,
            "received_bytes": usage.received_bytes,
            "usd": price.commands_usd(usage.commands),
        }
        for (day, purpose), usage in sorted(days.items())
    ]


def today(now_s: float | None = None) -> date:
    """The day that costs are counted on now: UTC, as everywhere in them."""
    return datetime.fromtimestamp(time.time() if now_s is None else now_s, UTC).date()


def cost_of_month(client: Readable, now_s: float | None = None) -> CostSummary:
    """What this month has cost so far, where it is heading, and its share of the budget. Raises redis.RedisError."""
    now = datetime.fromtimestamp(time.time() if now_s is None else now_s, UTC)
    by_day: dict[date, Usage] = {}
    for (day, _), usage in read_days(client).items():
        by_day[day] = by_day.get(day, Usage()) + usage
    day_share = (now.hour * 3600 + now.minute * 60 + now.second) / 86400
    settings = client.settings
    return cost_summary(by_day, now.date(), day_share, price_of(settings), settings.cloud_budget)
