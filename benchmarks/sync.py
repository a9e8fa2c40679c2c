"""A full copy beside pipelined DUMP and RESTORE in plain redis-py, on this machine and over the link, and how long a
sync holds a server."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import redis

from benchmarks.diff import fill_mixed
from benchmarks.effort import QUICK, Effort
from benchmarks.rig import LINK_S, Rig
from benchmarks.table import Row
from hybrid import HybridRedis
from hybrid.core.syncplan import Direction, Policy, SyncEnding, SyncResult
from hybrid.ops.diff import DiffOptions, run_diff
from hybrid.ops.sync.run import apply_plan, fill_store, plan_sync

__all__ = ["sync_rows"]

BATCH: Final = 1000
HOLD_MS: Final = 10
PATIENT: Final = {"local_timeout_s": 2.0, "cloud_timeout_s": 2.0}
"""Nothing fails here: a busy machine must not be taken for a dead store."""
POLICY: Final = Policy(Direction.LOCAL_TO_CLOUD)


def sync_rows(effort: Effort) -> Iterator[Row]:
    keys, rounds = (2_000, 1) if effort is QUICK else (100_000, 3)
    with Rig() as rig, tempfile.TemporaryDirectory(prefix="hybrid-bench-") as name:
        local, cloud, linked = (rig.plain(url) for url in (rig.local.url, rig.cloud.url, rig.link.url))
        with rig.hybrid(rig.cloud.url, sync_enabled=False, **PATIENT) as hybrid:
            fill_mixed(local, keys)
            yield from copies("on this machine", hybrid, local, cloud, Path(name), keys, rounds)
            yield from holds(hybrid, local, cloud, Path(name))
        with rig.hybrid(sync_enabled=False, **PATIENT) as hybrid:
            yield from copies(f"link {LINK_S * 1000:.0f} ms", hybrid, local, linked, Path(name), keys, 1)


def copies(
    where: str, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, folder: Path, keys: int, rounds: int
) -> Iterator[Row]:
    """Each round begins with an empty cloud store."""
    plain_s: list[float] = []
    copy_s: list[float] = []
    whole_s: list[float] = []
    for _ in range(rounds):
        for taken, copy in (
            (plain_s, lambda: dump_and_restore(local, cloud)),
            (copy_s, lambda: filled(hybrid, keys)),
            (whole_s, lambda: synced(hybrid, local, cloud, folder, keys)),
        ):
            hybrid_keys_only(cloud)
            began_s = time.perf_counter()
            copy()
            taken.append(time.perf_counter() - began_s)
    theirs, mine, whole = (keys / median(taken) for taken in (plain_s, copy_s, whole_s))
    beside = f"redis-py, pipelines of {BATCH:,}: {theirs:,.0f} keys/s"
    what = f"full copy of {keys:,} keys of six types, {where}"
    yield Row(what, f"{mine:,.0f} keys/s", mine / theirs, "times", beside, target=2.0, at_least=True)
    yield Row(f"{what}, by comparing first", f"{whole:,.0f} keys/s", whole / theirs, "times", beside)
    trips = median(copy_s) / LINK_S
    yield Row(
        f"{what}: time of the copy", f"{median(copy_s):.2f} s", trips / keys * 1000, " round trips' time per 1,000"
    )


def filled(hybrid: HybridRedis, keys: int) -> None:
    check(fill_store(hybrid), keys)


def synced(hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, folder: Path, keys: int) -> None:
    with run_diff(local, cloud, folder, options=DiffOptions(looks=1, pause_s=0.0)) as file:
        check(apply_plan(hybrid, plan_sync(hybrid, file.differences, POLICY)), keys)


def check(result: SyncResult, keys: int) -> None:
    if result.ending is not SyncEnding.FINISHED or result.copied != keys:
        raise RuntimeError(f"the copy is not whole: {result}")


def dump_and_restore(local: redis.Redis, cloud: redis.Redis) -> None:
    """What a script of one's own does: SCAN, then DUMP and PTTL, then RESTORE, a thousand keys at a time."""
    names = (key for key in local.scan_iter(count=BATCH) if not key.startswith(b"hybrid:"))
    while batch := list(itertools.islice(names, BATCH)):
        with local.pipeline(transaction=False) as reading:
            for key in batch:
                reading.dump(key)
                reading.pttl(key)
            read = reading.execute()
        with cloud.pipeline(transaction=False) as writing:
            for key, dumped, ttl_ms in zip(batch, read[::2], read[1::2], strict=True):
                writing.restore(key, max(ttl_ms, 0), dumped, replace=True)
            writing.execute()


def holds(hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, folder: Path) -> Iterator[Row]:
    """The longest that either server kept its other clients waiting, by its own latency monitor."""
    hybrid_keys_only(cloud)
    for store in (local, cloud):
        store.config_set("latency-monitor-threshold", HOLD_MS)
        store.latency_reset()
    with run_diff(local, cloud, folder) as file:
        apply_plan(hybrid, plan_sync(hybrid, file.differences, POLICY))
    longest_ms = max((event[3] for store in (local, cloud) for event in store.latency_latest()), default=0)
    for store in (local, cloud):
        store.config_set("latency-monitor-threshold", 0)
    yield Row("longest hold of a server by a sync", f"threshold {HOLD_MS} ms", longest_ms, "ms", target=HOLD_MS)


def hybrid_keys_only(store: redis.Redis) -> None:
    """Empty, but for what hybrid keeps there."""
    for page in batched(key for key in store.scan_iter(count=BATCH) if not key.startswith(b"hybrid:")):
        store.unlink(*page)


def batched(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    while page := list(itertools.islice(keys, BATCH)):
        yield page
