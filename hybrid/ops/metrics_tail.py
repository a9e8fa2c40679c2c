"""What all processes did since this one began to follow: the counters behind `/metrics`, kept in memory.

Also gives what only an observer knows (lag, conflicts, keys, memory) to the metrics of its own process.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

import redis

from hybrid.client import HybridRedis
from hybrid.core.metrics import Record
from hybrid.core.names import Names
from hybrid.core.spending import CostSummary
from hybrid.observe.folding import records_of
from hybrid.ops.metrics import cost_of_month, raw_local
from hybrid.ops.overview import Observer, Overview
from hybrid.types import StoreState

__all__ = ["MetricsTail", "gauges_of"]

logger = logging.getLogger("hybrid.metrics")

INTERVAL_S: Final = 5.0
COST_INTERVAL_S: Final = 60.0
NAMES: Final = Names()


class MetricsTail(threading.Thread):
    """Follows `hybrid:metrics:10` from `start` to `close`; an agent's duty. Asks the local store only."""

    def __init__(self, client: HybridRedis, observer: Observer) -> None:
        super().__init__(name="hybrid-metrics-tail", daemon=True)
        self._client = client
        self._observer = observer
        self._total = Record(0, 0)
        self._known: dict[bytes, None] = {}
        self._events: dict[str, int] = {}
        self._lock = threading.Lock()
        self._place: str | None = None
        self._stopped = threading.Event()
        self.cost: CostSummary | None = None
        """This month's cost of the cloud store, None while unknown."""
        client.recorder.gauges = self._gauges

    def close(self) -> None:
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=2.0)

    def health(self) -> dict[str, Any]:
        """Its part of the health document."""
        cost = self.cost
        if cost is None:
            return {"cost": None}
        return {
            "cost": {
                "month": cost.month,
                "cloud_commands": cost.commands,
                "usd": round(cost.usd, 4),
                "projected_usd": round(cost.projected_usd, 4),
                "budget_usd": cost.budget_usd,
            }
        }

    def totals(self) -> tuple[Record, dict[str, int]]:
        """Everything counted since the start, and events by name. The counts only grow."""
        with self._lock:
            copied = Record(0, 0)
            copied.add(self._total)
            return copied, dict(self._events)

    def run(self) -> None:
        turns_to_cost = 0
        while not self._stopped.is_set():
            try:
                self._follow()
                if turns_to_cost == 0:
                    cost = cost_of_month(self._client)
                    # Nothing counted means that no process has told yet: a pair that is in use costs something.
                    self.cost = cost if cost.commands else None
                    turns_to_cost = int(COST_INTERVAL_S / INTERVAL_S) if self.cost else 1
                turns_to_cost -= 1
            except (redis.RedisError, OSError) as error:
                logger.debug("metrics are not read: %s", error)
            except Exception:
                # Following must outlive any surprise in what another version wrote.
                logger.exception("following the metrics failed and goes on")
            self._stopped.wait(INTERVAL_S)

    def _follow(self) -> None:
        with raw_local(self._client) as local:
            if self._place is None:
                last = local.execute_command("XREVRANGE", NAMES.metrics_10, "+", "-", "COUNT", 1)
                self._place = last[0][0].decode() if last else "0-0"
                return
            entries: Any = local.execute_command("XRANGE", NAMES.metrics_10, f"({self._place}", "+")
        if not entries:
            return
        self._place = entries[-1][0].decode()
        fresh = [entry for entry in entries if entry[1][1] not in self._known]
        self._known = dict.fromkeys([*self._known, *(entry[1][1] for entry in fresh)][-10_000:])
        with self._lock:
            for record in records_of(fresh):
                self._count_events(record)
                record.gauges.clear()
                self._total.add(record)

    def _count_events(self, record: Record) -> None:
        for event in record.events:
            self._events[event.event] = self._events.get(event.event, 0) + 1
        record.events.clear()

    def _gauges(self) -> dict[str, float]:
        return gauges_of(self._observer.overview()) if self._observer.ready else {}


def gauges_of(overview: Overview) -> dict[str, float]:
    """The numbers of an overview; what is unknown, or of a store that does not answer now, is absent."""
    status = overview.status
    known = {"lag_entries": status.lag_entries, "lag_s": status.lag_s, "conflicts": status.conflicts}
    for facts in (overview.local, overview.cloud):
        if facts is not None and facts.status.state in (StoreState.UP, StoreState.CATCHING_UP):
            store = facts.status.store.value
            known[f"keys.{store}"] = facts.keys
            known[f"memory_bytes.{store}"] = facts.memory_bytes
            known[f"clients.{store}"] = facts.clients
            known[f"p50_ms.{store}"] = facts.latency_p50_ms
            known[f"p99_ms.{store}"] = facts.latency_p99_ms
    return {name: value for name, value in known.items() if value is not None}
