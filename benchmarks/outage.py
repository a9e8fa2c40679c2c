"""A long outage of the cloud store under steady writes: what it costs the local store's memory, and the way back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import redis

from benchmarks.effort import Effort
from benchmarks.rig import SYNC_S, Rig
from benchmarks.table import Row
from hybrid import HybridRedis

__all__ = ["lasting_rows", "volume_rows"]

RATE = 1_000
TICK_S = 0.02
VALUE = "x" * 100
BATCH = 500
MIB = 1 << 20
PATIENCE_S = 1.0
"""There is no other store to go to: a busy machine must not make the local one seem down."""


def lasting_rows(effort: Effort) -> Iterator[Row]:
    """Single writes at a steady rate, for as long as the outage lasts."""
    return _outage(f"{effort.outage_s:,.0f} s at {RATE:,} writes a second", effort, _paced(effort))


def volume_rows(effort: Effort) -> Iterator[Row]:
    """As many writes as an hour of that brings, in pipelines, as fast as they go."""
    return _outage(f"{effort.outage_writes:,} writes", effort, (BATCH for _ in range(0, effort.outage_writes, BATCH)))


def _paced(effort: Effort) -> Iterator[int]:
    """How many writes are due now."""
    started_s, made = time.perf_counter(), 0
    while (passed_s := time.perf_counter() - started_s) < effort.outage_s:
        due = int(passed_s * RATE) - made
        made += due
        yield from [1] * due
        time.sleep(TICK_S)


def _outage(what: str, effort: Effort, batches: Iterator[int]) -> Iterator[Row]:
    keys, random = effort.missed_keys, Random(1)
    with Rig() as rig:
        client, local, cloud = (
            rig.hybrid(ack="local", local_timeout_s=PATIENCE_S),
            rig.plain(rig.local.url),
            rig.plain(rig.cloud.url),
        )
        for start in range(0, keys, BATCH):
            _write(client, [*range(start, min(start + BATCH, keys))])
        client.wait_in_sync(SYNC_S)
        before = _memory(local)
        rig.cloud.kill()
        written = failed = 0
        with _watched(client, local) as peaks:
            for count in batches:
                try:
                    _write(client, [random.randrange(keys) for _ in range(count)])
                    written += count
                except redis.RedisError:
                    failed += 1
            rig.cloud.start()
            started_s = time.perf_counter()
            in_sync = client.wait_in_sync(SYNC_S)
            took_s = time.perf_counter() - started_s
        unequal = _unequal(local, cloud, keys)
        after = _memory(local)
    name = f"cloud outage, {what} on {keys:,} keys"
    yield Row(f"{name}: commands that failed", f"{written:,} writes", failed, "", target=0)
    most = f"{peaks['entries']:,} entries, {peaks['folded']:,} folded keys at most"
    yield Row(f"{name}: memory above {before / MIB:.0f} MiB", most, (peaks["memory"] - before) / MIB, " MiB")
    yield Row(f"{name}: the same when all was over", "", (after - before) / MIB, " MiB")
    yield Row(f"{name}: until in sync again", "", took_s * 1000, "ms", beyond=not in_sync)
    yield Row(f"{name}: keys that differ afterwards", "", unequal, "keys", target=0)


def _write(client: HybridRedis, numbers: list[int]) -> None:
    """Every write has a value of its own."""
    pairs = {_key(number): f"{VALUE}{time.perf_counter_ns()}" for number in numbers}
    if len(pairs) == 1:
        [(key, value)] = pairs.items()
        client.set(key, value)
        return
    with client.pipeline(transaction=False) as pipeline:
        for key, value in pairs.items():
            pipeline.set(key, value)
        pipeline.execute()


def _key(number: int) -> str:
    return f"bench:outage:{number}"


def _unequal(local: redis.Redis, cloud: redis.Redis, keys: int) -> int:
    found = 0
    for start in range(0, keys, BATCH):
        names = [_key(number) for number in range(start, min(start + BATCH, keys))]
        pairs = zip(local.mget(names), cloud.mget(names), strict=True)
        found += sum(ours is None or ours != theirs for ours, theirs in pairs)
    return found


def _memory(local: redis.Redis) -> int:
    return int(local.info("memory")["used_memory"])


@contextmanager
def _watched(client: HybridRedis, local: redis.Redis) -> Iterator[dict[str, int]]:
    """The largest values meanwhile: the local store's memory, what waits in its log, and what that was folded into."""
    peaks = {"memory": 0, "entries": 0, "folded": 0}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            status = client.status()
            now = {"memory": _memory(local), "entries": status.lag_entries, "folded": status.folded_keys}
            for name, value in now.items():
                peaks[name] = max(peaks[name], value or 0)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()
