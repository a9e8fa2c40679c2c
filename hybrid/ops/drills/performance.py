"""How fast it is here and now: through the client, and on each store alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from hybrid.observe.latency import percentile
from hybrid.ops.drills.checks import OPEN_TIMEOUT_S
from hybrid.ops.drills.plan import Findings, Spec
from hybrid.ops.drills.report import LatencyRow
from hybrid.ops.drills.rig import Cancelled, Rig
from hybrid.types import Health, Store

__all__ = ["PERFORMANCE"]

MOST_CALLS = 200
MOST_SECONDS = 2.0
PIPELINE_LENGTH = 10


def measure_client(rig: Rig, findings: Findings) -> str:
    rig.the_client()
    client = rig.open_plain()
    rig.wait(lambda: client.status().health is Health.HEALTHY, "the client finding its stores up", OPEN_TIMEOUT_S)
    return measure(client, "client", rig, findings)


def measure_store(store: Store, rig: Rig, findings: Findings) -> str:
    return measure(rig.direct(store), store.value, rig, findings)


def measure(connection: Any, name: str, rig: Rig, findings: Findings) -> str:
    key = rig.key(f"speed:{name}")

    def pipeline() -> None:
        with connection.pipeline(transaction=False) as batch:
            for _ in range(PIPELINE_LENGTH):
                batch.set(key, "x" * 100)
            batch.execute()

    operations: tuple[tuple[str, Callable[[], object]], ...] = (
        ("SET", lambda: connection.set(key, "x" * 100)),
        ("GET", lambda: connection.get(key)),
        (f"pipeline of {PIPELINE_LENGTH} SET", pipeline),
    )
    rows = [latency_of(operation, name, call, rig) for operation, call in operations]
    findings.latency.extend(rows)
    return ", ".join(f"{row.operation} {row.p50_ms:.2f} ms" for row in rows) + " (median)"


def latency_of(operation: str, store: str, call: Callable[[], object], rig: Rig) -> LatencyRow:
    call()  # connects and warms up: not counted
    took_ms: list[float] = []
    until_s = time.monotonic() + MOST_SECONDS
    while len(took_ms) < MOST_CALLS and time.monotonic() < until_s:
        if rig.cancel.is_set():
            raise Cancelled
        started = time.perf_counter()
        call()
        took_ms.append((time.perf_counter() - started) * 1000)
    took_ms.sort()
    return LatencyRow(operation, store, len(took_ms), *(percentile(took_ms, share) for share in (0.5, 0.95, 0.99)))


PERFORMANCE = (
    Spec("speed-local", "Performance", "Local store alone", partial(measure_store, Store.LOCAL), (Store.LOCAL,)),
    Spec("speed-cloud", "Performance", "Cloud store alone", partial(measure_store, Store.CLOUD), (Store.CLOUD,)),
    Spec("speed-client", "Performance", "Through the client", measure_client),
)
