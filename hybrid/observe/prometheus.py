"""`/metrics` for Prometheus, with `prometheus-client` (`pip install 'hybrid-redis[metrics]'`).

Counters are those of all processes, since this one began to follow them: scrape one agent, or one panel, per pair.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from hybrid.observe.endpoint import Reply
from hybrid.ops.metrics_tail import MetricsTail, gauges_of
from hybrid.ops.overview import Observer, Overview
from hybrid.types import StoreState

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

__all__ = ["metrics_reply"]

BUCKETS: Final = tuple(2**power for power in range(6, 25))
"""Upper bounds of the exported histograms in microseconds, from 64 µs to 17 s: each is the end of one of ours."""


def metrics_reply(observer: Observer, tail: MetricsTail) -> Reply:
    """What Prometheus scrapes; 501 where prometheus-client is not installed."""
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
    except ImportError:
        text = "prometheus-client is not installed: pip install 'hybrid-redis[metrics]'\n"
        return Reply(501, text.encode(), "text/plain; charset=utf-8")
    registry = CollectorRegistry()
    registry.register(_Collector(observer, tail))
    return Reply(200, generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4)


class _Collector:
    def __init__(self, observer: Observer, tail: MetricsTail) -> None:
        self._observer = observer
        self._tail = tail

    def describe(self) -> Iterable[Metric]:
        return []  # the names are not known before they are collected

    def collect(self) -> Iterable[Metric]:
        yield from _counters(self._tail)
        if self._observer.ready:
            yield from _gauges(self._observer.overview())
        cost = self._tail.cost
        if cost is not None:
            yield _gauge("cloud_month_commands", "Commands to the cloud store this month (UTC)", [((), cost.commands)])
            yield _gauge("cloud_month_usd", "Their price in US dollars", [((), cost.usd)])
            yield _gauge("cloud_month_projected_usd", "The same at the end of the month", [((), cost.projected_usd)])


def _counters(tail: MetricsTail) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    total, events = tail.totals()
    duration = HistogramMetricFamily(
        "hybrid_command_duration_seconds", "Round trips to a store", labels=["store", "group"]
    )
    for key, histogram in sorted(total.latency.items()):
        bounds = [(str(bound / 1e6), histogram.at_most(bound)) for bound in BUCKETS]
        duration.add_metric(key, [*bounds, ("+Inf", histogram.count)], histogram.sum_us / 1e6)
    yield duration
    errors = CounterMetricFamily("hybrid_errors", "Failures by store, or as the client saw them", labels=["at", "kind"])
    for key, (count,) in sorted(total.errors.items()):
        errors.add_metric(key, count)
    yield errors
    commands = CounterMetricFamily("hybrid_store_commands", "Commands sent", labels=["store", "purpose"])
    transferred = CounterMetricFamily(
        "hybrid_store_bytes", "Bytes sent and received", labels=["store", "purpose", "direction"]
    )
    for key, (count, sent, received) in sorted(total.traffic.items()):
        commands.add_metric(key, count)
        transferred.add_metric([*key, "sent"], sent)
        transferred.add_metric([*key, "received"], received)
    yield commands
    yield transferred
    happened = CounterMetricFamily("hybrid_events", "Events of all processes", labels=["event"])
    for name, count in sorted(events.items()):
        happened.add_metric([name], count)
    yield happened


def _gauges(overview: Overview) -> Iterable[Metric]:
    status = overview.status
    stores = [facts.status for facts in (overview.local, overview.cloud) if facts is not None]
    up = [((store.store.value,), float(store.state is StoreState.UP)) for store in stores]
    yield _gauge("store_up", "Whether the store is up and has everything", up, "store")
    authority = [((store.store.value,), float(store.store is status.authority)) for store in stores]
    yield _gauge("store_authority", "Whether the store takes writes", authority, "store")
    for name, value in gauges_of(overview).items():
        what, _, store = name.partition(".")
        if not store:
            yield _gauge(_TEXTS[what][0], _TEXTS[what][1], [((), value)])
    for what in ("keys", "memory_bytes", "clients"):
        known = {name: value for name, value in gauges_of(overview).items() if name.startswith(f"{what}.")}
        values = [((name.partition(".")[2],), value) for name, value in known.items()]
        yield _gauge(f"store_{what}", _TEXTS[what][1], values, "store")


_TEXTS: Final = {
    "lag_entries": ("lag_entries", "Writes that are not on both stores yet"),
    "lag_s": ("lag_seconds", "Age of the oldest of them"),
    "conflicts": ("conflicts", "Values in the conflict archive"),
    "keys": ("keys", "Keys of the applications"),
    "memory_bytes": ("memory_bytes", "Memory that the store uses"),
    "clients": ("clients", "Connections that the store has"),
}


def _gauge(name: str, text: str, values: Iterable[tuple[tuple[str, ...], float]], *labels: str) -> Any:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"hybrid_{name}", text, labels=labels)
    for key, value in values:
        family.add_metric(key, value)
    return family
