"""What watching costs: recording a call, and the health document while the cloud store hangs."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from statistics import median

from benchmarks.effort import Effort
from benchmarks.rig import Rig
from benchmarks.table import Row
from hybrid.agent import Agent
from hybrid.core.resp import pack
from hybrid.observe.endpoint import HttpEndpoint
from hybrid.observe.metrics import Recorder
from hybrid.observe.routes import agent_routes
from hybrid.types import Health, Store

__all__ = ["RATE", "asked", "metrics_rows"]

RATE = 200
FOUND_OUT_S = 10.0


def metrics_rows(effort: Effort) -> Iterator[Row]:
    yield _recording(effort)
    yield from _health(effort)


def _recording(effort: Effort) -> Row:
    """What a `GET` pays for being measured: time of its own thread, whoever else keeps the machine busy."""
    record, payload = Recorder().record_request, pack(("GET", "key"))

    def round_s() -> float:
        started_s = time.thread_time()
        for _ in range(effort.calls * 10):
            record(Store.LOCAL, payload, 0.000123)
        return (time.thread_time() - started_s) / (effort.calls * 10)

    took_us = median(round_s() for _ in range(effort.rounds)) * 1e6
    return Row("recording one command", f"{took_us:.2f} µs", took_us, "µs", target=2.0)


def _health(effort: Effort) -> Iterator[Row]:
    with Rig() as rig, Agent.open(None, standing=True, local_url=rig.local.url, cloud_url=rig.link.url) as agent:
        endpoint = HttpEndpoint(("127.0.0.1", 0), agent_routes(agent))
        endpoint.start()
        try:
            agent.start()
            _await(lambda: agent.observer.ready and agent.client.status().health is Health.HEALTHY)
            rig.link.apply(hang=True)
            agent.client.set("bench:key", "value")
            _await(lambda: agent.client.status().health is Health.DEGRADED)
            took_s = asked(endpoint.url, effort.load_s)
        finally:
            endpoint.close()
            rig.link.heal()
    middle = f"median {took_s[len(took_s) // 2] * 1000:.1f} ms of {len(took_s)}"
    yield Row(f"health document, {RATE} / s, cloud store hung: longest", middle, took_s[-1] * 1000, "ms", target=50)


def asked(url: str, load_s: float) -> list[float]:
    """How long each of `RATE` answers a second took, in ascending order; 200 was expected of all."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5.0)
    began_s, took_s = time.perf_counter(), []
    for number in range(max(int(load_s * RATE), 2)):
        time.sleep(max(began_s + number / RATE - time.perf_counter(), 0.0))
        started_s = time.perf_counter()
        connection.request("GET", "/api/health")
        response = connection.getresponse()
        response.read()
        took_s.append(time.perf_counter() - started_s)
        if response.status != 200:
            raise RuntimeError(f"the health document came with {response.status} while the local store was up")
    connection.close()
    return sorted(took_s)


def _await(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + FOUND_OUT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise RuntimeError("the stores did not come into the state to measure in")
        time.sleep(0.02)
