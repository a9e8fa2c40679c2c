"""Write-behind from one process over the link: how much is confirmed, and how much of it the cloud store takes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import redis

from benchmarks.effort import Effort
from benchmarks.rig import SYNC_S, Rig
from benchmarks.table import Row
from hybrid import HybridRedis

__all__ = ["throughput_rows"]

KEYS = 10_000
VALUE = "x" * 100
PIPELINE = 10
SAMPLE_S = 0.25


@dataclass(frozen=True, slots=True)
class Load:
    """`cloud_commands` is all that the cloud store counted meanwhile."""

    writes: int
    writing_s: float
    total_s: float
    lag_entries: int
    lag_s: float
    cloud_commands: int
    complete: bool


def throughput_rows(effort: Effort) -> Iterator[Row]:
    for name, size in (("one thread", 1), (f"pipelines of {PIPELINE}", PIPELINE)):
        with Rig() as rig:
            hybrid = rig.hybrid(ack="local")
            load = _load(hybrid, rig.plain(rig.cloud.url), _writer(hybrid, size), effort.load_s)
        yield from _rows(f"write-behind, {name}", load)


def _rows(what: str, load: Load) -> Iterator[Row]:
    measured = f"{load.writes:,} in {load.writing_s:.1f} s"
    yield Row(f"{what}: confirmed locally", measured, load.writes / load.writing_s, " / s")
    until = f"{load.writes:,} in {load.total_s:.1f} s" + ("" if load.complete else ", NOT ALL")
    rate = load.writes / load.total_s if load.complete else 0.0
    yield Row(f"{what}: until the cloud has all", until, rate, " / s", target=5000, at_least=True)
    yield Row(f"{what}: largest lag", f"{load.lag_s * 1000:,.0f} ms", load.lag_entries, "entries")
    per_write = load.cloud_commands / load.writes
    yield Row(f"{what}: cloud commands a write", f"{load.cloud_commands:,}", per_write, "a write", target=1.05)


def _writer(client: HybridRedis, size: int) -> Callable[[], object]:
    numbers = itertools.count()
    if size == 1:
        return lambda: client.set(f"bench:load:{next(numbers) % KEYS}", VALUE)

    def write() -> None:
        with client.pipeline(transaction=False) as pipeline:
            for _ in range(size):
                pipeline.set(f"bench:load:{next(numbers) % KEYS}", VALUE)
            pipeline.execute()

    write.size = size  # type: ignore[attr-defined]
    return write


def _load(client: HybridRedis, cloud: redis.Redis, write: Callable[[], object], seconds: float) -> Load:
    writes_each = getattr(write, "size", 1)
    lags: list[tuple[int, float]] = [(0, 0.0)]
    stopped = threading.Event()
    sampler = threading.Thread(target=_sample, args=(client, lags, stopped))
    before = _commands(cloud)
    sampler.start()
    started_s, calls = time.perf_counter(), 0
    try:
        while time.perf_counter() - started_s < seconds:
            write()
            calls += 1
        writing_s = time.perf_counter() - started_s
        complete = client.wait_in_sync(SYNC_S)
        total_s = time.perf_counter() - started_s
    finally:
        stopped.set()
        sampler.join()
    entries, lag_s = max(lags)[0], max(lag[1] for lag in lags)
    return Load(calls * writes_each, writing_s, total_s, entries, lag_s, _commands(cloud) - before, complete)


def _sample(client: HybridRedis, lags: list[tuple[int, float]], stopped: threading.Event) -> None:
    while not stopped.wait(SAMPLE_S):
        status = client.status()
        lags.append((status.lag_entries or 0, status.lag_s or 0.0))


def _commands(store: redis.Redis) -> int:
    return int(store.info("stats")["total_commands_processed"])
