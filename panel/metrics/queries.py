"""What the page Metrics reads: the records of all processes, from the local store, asked beside the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from redis.exceptions import RedisError

from hybrid.client import HybridRedis
from hybrid.ops import metrics
from hybrid.ops.metrics import (
    CostRow,
    CostSummary,
    ErrorRow,
    EventRow,
    GaugeRow,
    HeatRow,
    LatencyRow,
    Record,
    ThroughputRow,
)
from hybrid.types import Store
from panel import queries
from panel.process import process
from panel.reads import Answer, ReadFailed

__all__ = [
    "ALL",
    "CostRow",
    "CostSummary",
    "Costs",
    "ErrorRow",
    "EventRow",
    "GaugeRow",
    "HeatRow",
    "LatencyRow",
    "Measured",
    "ThroughputRow",
    "costs",
    "errors",
    "events",
    "gauges",
    "groups",
    "heat",
    "latency",
    "latency_table",
    "measured",
    "measured_between",
    "throughput",
]

T = TypeVar("T")
ALL = "all"
"""Every command group together."""

FRESH_S = 5.0
LEAST_SHOWN_S = 300.0
COSTS_FRESH_S = 30.0
PATIENCE_S = 0.8
NOT_READ = "The measurements are kept in the local store, and that one does not answer."


@dataclass(frozen=True, slots=True)
class Measured:
    """The records from `since_s` to `until_s` (Unix times), each `slot_s` long; a slot that nobody reported is absent.

    `slots` are the beginnings of those that somebody reported: what they do not mention did not happen in them.
    """

    since_s: float
    until_s: float
    slot_s: int
    records: tuple[Record, ...]

    @property
    def shown_since_s(self) -> float:
        """Where the time axis begins: what was started just now has no long empty past to show."""
        first_s = self.records[0].at_s if self.records else self.since_s
        return max(self.since_s, min(first_s, self.until_s - LEAST_SHOWN_S))

    @property
    def slots(self) -> tuple[int, ...]:
        return tuple(record.at_s for record in self.records)


@dataclass(frozen=True, slots=True)
class Costs:
    """Traffic with the cloud store by day and purpose, and the month as a whole."""

    rows: tuple[CostRow, ...]
    month: CostSummary
    price_usd: float
    today: date


def measured(length_s: float) -> Answer[Measured]:
    """What was measured in the last `length_s` seconds."""
    return _ask("metrics", length_s, lambda client: _measured(client, time.time() - length_s, time.time()))


def measured_between(since_s: float, until_s: float) -> Answer[Measured]:
    """What was measured between two Unix times."""
    return _ask("metrics", (since_s, until_s), lambda client: _measured(client, since_s, until_s))


def _measured(client: HybridRedis, since_s: float, until_s: float) -> Measured:
    records = tuple(metrics.read_records(client, since_s, until_s))
    return Measured(since_s, until_s, records[0].span_s if records else 10, records)


def costs() -> Answer[Costs]:
    """What the cloud store costs."""
    return _ask("costs", None, _costs, COSTS_FRESH_S)


def _costs(client: HybridRedis) -> Costs:
    price = metrics.price_of(client.settings)
    rows = tuple(metrics.cost_rows(metrics.read_days(client), price))
    return Costs(rows, metrics.cost_of_month(client), price.per_100k_commands, metrics.today())


def _ask(kind: str, about: object, read: Callable[[HybridRedis], T], max_age_s: float = FRESH_S) -> Answer[T]:
    agent = process().agent

    def ask() -> T:
        if agent is None:
            raise ReadFailed("The panel is still starting.")
        try:
            return read(agent.client)
        except RedisError:
            raise ReadFailed(NOT_READ) from None

    patience_s = queries.patience_s(Store.LOCAL, PATIENCE_S)
    return process().reads.get((kind, about), ask, max_age_s=max_age_s, patience_s=patience_s)


# -- rows of what was read


def groups(found: Measured) -> list[str]:
    """The command groups that occur, the busiest first."""
    counts: dict[str, int] = {}
    for (_, group), histogram in metrics.summed(found.records).latency.items():
        counts[group] = counts.get(group, 0) + histogram.count
    return sorted(counts, key=lambda group: -counts[group])


def latency(found: Measured, group: str = ALL) -> list[LatencyRow]:
    """By time and store, of one group or of all together."""
    return [row for row in metrics.latency_rows(_grouped(found, group)) if row["group"] == group]


def probes(found: Measured) -> list[GaugeRow]:
    """How fast each store has answered the agent."""
    return gauges(found, *(f"{name}_ms.{store}" for store in Store for name in ("p50", "p99")))


def throughput(found: Measured, group: str = ALL) -> list[ThroughputRow]:
    return [row for row in metrics.throughput_rows(_grouped(found, group)) if row["group"] == group]


def _grouped(found: Measured, group: str) -> Sequence[Record]:
    return metrics.by_store(found.records) if group == ALL else found.records


def latency_table(found: Measured) -> list[LatencyRow]:
    """The whole range, from its beginning, by store and group, with all groups together as the first of each store."""
    whole = metrics.summed(found.records)
    rows = [*metrics.latency_rows(metrics.by_store([whole])), *metrics.latency_rows([whole])]
    for row in rows:
        row["at_s"] = int(found.since_s)
    return sorted(rows, key=lambda row: (row["store"] == Store.CLOUD.value, row["group"] != ALL, -row["count"]))


def heat(found: Measured, store: Store, group: str = ALL) -> list[HeatRow]:
    return metrics.heat_rows(found.records, store, None if group == ALL else group)


def errors(found: Measured) -> list[ErrorRow]:
    return metrics.error_rows(found.records)


def events(found: Measured) -> list[EventRow]:
    """Oldest first; what several processes saw at once of the same thing is one row."""
    rows: list[EventRow] = []
    for row in metrics.event_rows(found.records):
        if found.since_s <= row["at_s"] and not any(_same(row, other) for other in rows[-20:]):
            rows.append(row)
    return rows


def _same(row: EventRow, other: EventRow) -> bool:
    return (row["event"], row["message"]) == (other["event"], other["message"]) and row["at_s"] - other["at_s"] < 5


def gauges(found: Measured, *names: str) -> list[GaugeRow]:
    return metrics.gauge_rows(found.records, names)
