"""Reads what all processes measured, as rows: `pandas.DataFrame(rows)` takes them as they are.

    records = read_records(client, since_s=time.time() - 3600)
    latency_rows(records)

Reading asks the local store only. Times are Unix times, durations milliseconds.
"""

from __future__ import annotations

from hybrid.core.metrics import Record
from hybrid.core.spending import CostSummary
from hybrid.ops.metrics.money import CostRow, cost_of_month, cost_rows, price_of, today
from hybrid.ops.metrics.reading import Readable, raw_local, raw_store, read_days, read_records
from hybrid.ops.metrics.rows import (
    ErrorRow,
    EventRow,
    GaugeRow,
    HeatRow,
    LatencyRow,
    ThroughputRow,
    TrafficRow,
    by_store,
    error_rows,
    event_rows,
    gauge_rows,
    heat_rows,
    latency_rows,
    summed,
    throughput_rows,
    traffic_rows,
)

__all__ = [
    "CostRow",
    "CostSummary",
    "ErrorRow",
    "EventRow",
    "GaugeRow",
    "HeatRow",
    "LatencyRow",
    "Readable",
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
