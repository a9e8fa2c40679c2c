"""A full copy beside pipelined DUMP and RESTORE in plain redis-py, on this machine and over the link, and how long a
diff, a sync and an undo hold a server."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
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
from hybrid.ops.sync.run import apply_plan, fill_store, plan_sync, undo_sync

__all__ = ["copy_rows", "hold_rows"]

BATCH: Final = 1000
HOLD_MS: Final = 10
TRIPS: Final = 1.0
"""A copy that waits for each thousand keys takes two round trips, one for reading and one for writing."""

BIG_ELEMENTS: Final = 100_000
FIRST, LAST = -20, 19
"""Priorities, as `nice` has them."""

PATIENT: Final = {"local_timeout_s": 2.0, "cloud_timeout_s": 2.0}
"""Nothing fails here: a busy machine must not be taken for a dead store."""
POLICY: Final = Policy(Direction.LOCAL_TO_CLOUD)


def copy_rows(effort: Effort) -> Iterator[Row]:
    keys, rounds = (2_000, 1) if effort is QUICK else (100_000, 3)
    with Rig() as rig, tempfile.TemporaryDirectory(prefix="hybrid-bench-") as name:
        local, cloud, linked = (rig.plain(url) for url in (rig.local.url, rig.cloud.url, rig.link.url))
        with rig.hybrid(rig.cloud.url, sync_enabled=False, **PATIENT) as hybrid:
            fill_mixed(local, keys)
            yield from copies("on this machine", hybrid, local, cloud, Path(name), keys, rounds)
        with rig.hybrid(sync_enabled=False, **PATIENT) as hybrid:
            yield from copies(f"link {LINK_S * 1000:.0f} ms", hybrid, local, linked, Path(name), keys, 1)
            yield back(hybrid, local, linked, Path(name), keys)


def hold_rows(effort: Effort) -> Iterator[Row]:
    """The servers go before all else, where that is allowed, each on a core of its own: what counts is how long
    commands take, not for how long something else had the processor meanwhile. So they do not rewrite their append-only
    files, either: who does that goes before all else, too. Not at real-time priority: Linux stops who works at that for
    0.95 s on end, until the second is over."""
    elements = 2_000 if effort is QUICK else BIG_ELEMENTS
    with Rig() as rig, tempfile.TemporaryDirectory(prefix="hybrid-bench-") as name:
        local, cloud = rig.plain(rig.local.url), rig.plain(rig.cloud.url)
        for core, server in enumerate((rig.local, rig.cloud)):
            set_priority(server.pid or 0, FIRST)
            with suppress(OSError, AttributeError):
                os.sched_setaffinity(server.pid or 0, {core})
        yield idle_gap()
        set_priority(os.getpid(), LAST)
        try:
            with rig.hybrid(rig.cloud.url, sync_enabled=False, **PATIENT) as hybrid:
                fill_mixed(local, elements)
                yield from holds(hybrid, local, cloud, Path(name), elements)
        finally:
            set_priority(os.getpid(), 0)


def set_priority(pid: int, nice: int) -> None:
    """Nothing where it is not allowed: who may not raise a priority must not lower his own for good."""
    with suppress(OSError, AttributeError):
        if os.geteuid() == 0:
            os.setpriority(os.PRIO_PROCESS, pid, nice)
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def idle_gap() -> Row:
    """What the machine alone does to a process that goes before all else: no figure below it says anything."""
    looping = "import time as t;b=m=t.perf_counter();g=0\nwhile m-b<5:n=t.perf_counter();g=max(g,n-m);m=n\nprint(g)"
    with subprocess.Popen([sys.executable, "-c", looping], stdout=subprocess.PIPE, text=True) as loop:
        set_priority(loop.pid, FIRST)
        gap_s, _ = loop.communicate()
    return Row("longest pause of a loop that does nothing", "in 5 s", float(gap_s) * 1000, "ms")


def copies(
    where: str, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, folder: Path, keys: int, rounds: int
) -> Iterator[Row]:
    """Each round begins with an empty cloud store; by comparing first, there is one."""
    plain_s: list[float] = []
    copy_s: list[float] = []
    whole_s: list[float] = []

    def run(taken: list[float], copy: Callable[[], None]) -> None:
        hybrid_keys_only(cloud)
        began_s = time.perf_counter()
        copy()
        taken.append(time.perf_counter() - began_s)

    for _ in range(rounds):
        run(plain_s, lambda: dump_and_restore(local, cloud))
        run(copy_s, lambda: filled(hybrid, keys))
    run(whole_s, lambda: synced(hybrid, local, cloud, folder, keys))
    theirs, mine, whole = (keys / median(taken) for taken in (plain_s, copy_s, whole_s))
    beside = f"redis-py, pipelines of {BATCH:,}: {theirs:,.0f} keys/s"
    what = f"full copy of {keys:,} keys of six types, {where}"
    yield Row(what, f"{mine:,.0f} keys/s", mine / theirs, "times", beside, target=2.0, at_least=True)
    yield Row(f"{what}, by comparing first", f"{whole:,.0f} keys/s", whole / theirs, "times", beside)
    if where.startswith("link"):
        took_s = median(copy_s)
        target = TRIPS if keys > 10 * BATCH else None
        yield Row(f"{what}, per {BATCH:,}", f"{took_s:.2f} s", per_batch(took_s, keys), "round trips", target=target)


def back(hybrid: HybridRedis, local: redis.Redis, linked: redis.Redis, folder: Path, keys: int) -> Row:
    """Everything from the cloud into an empty local store that has the authority, compared first and guarded."""
    hybrid_keys_only(local)
    began_s = time.perf_counter()
    synced(hybrid, local, linked, folder, keys, Policy(Direction.CLOUD_TO_LOCAL))
    took_s = time.perf_counter() - began_s
    rate = f"{keys / took_s:,.0f} keys/s"
    return Row(f"sync of {keys:,} keys from the cloud, per {BATCH:,}", rate, per_batch(took_s, keys), "round trips")


def per_batch(took_s: float, keys: int) -> float:
    """In round trips over the link."""
    return took_s / LINK_S / (keys / BATCH)


def filled(hybrid: HybridRedis, keys: int) -> None:
    check(fill_store(hybrid), keys)


def synced(
    hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, folder: Path, keys: int, policy: Policy = POLICY
) -> None:
    with run_diff(local, cloud, folder, options=DiffOptions(looks=1, pause_s=0.0)) as file:
        check(apply_plan(hybrid, plan_sync(hybrid, file.differences, policy)), keys)


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


def holds(hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, folder: Path, elements: int) -> Iterator[Row]:
    """The longest that either server kept its other clients waiting, by its own latency monitor: a diff and a sync of
    keys that the cloud lacks and of big ones that differ, and the undo."""
    stores = local, cloud
    for store, text in zip(stores, ("local", "cloud"), strict=True):
        fill_big(store, text, elements)
        store.config_set("auto-aof-rewrite-percentage", 0)
        store.config_set("latency-monitor-threshold", 1)
        store.latency_reset()
        store.config_set("latency-tracking-info-percentiles", "99.9")
        store.config_resetstat()
    with run_diff(local, cloud, folder) as file:
        yield from hold("diff", stores, elements)
        apply_plan(hybrid, plan_sync(hybrid, file.differences, POLICY))
        yield from hold("sync", stores, elements)
    undo_sync(hybrid)
    yield from hold("undo", stores, elements)
    for store in stores:
        store.config_set("latency-monitor-threshold", 0)


def hold(what: str, stores: tuple[redis.Redis, redis.Redis], elements: int) -> Iterator[Row]:
    """The longest command since the last rows, and below what 999 of 1,000 stayed, of the kind that took most."""
    events = [event for store in stores for event in store.latency_latest()]
    longest_ms = max((event[3] for event in events if event[0] in (b"command", b"fast-command")), default=0)
    usual_us = max(float(it["p99.9"]) for store in stores for it in store.info("latencystats").values())
    for store in stores:
        store.latency_reset()
        store.config_resetstat()
    told = f"longest command of a {what} on either server, keys of up to {elements:,} elements"
    yield Row(told, "latency monitor", longest_ms, "ms", target=HOLD_MS)
    yield Row("999 of 1,000 commands of each kind", "latency statistics", usual_us / 1000, "ms", target=HOLD_MS)


def fill_big(store: redis.Redis, text: str, elements: int) -> None:
    """A big key of each type, another one on each store."""
    pipeline = store.pipeline(transaction=False)
    for start in range(0, elements, BATCH):
        numbers = range(start, start + BATCH)
        pipeline.hset("big:hash", mapping={f"field-{number}": text for number in numbers})
        pipeline.rpush("big:list", *(f"{text}-{number}" for number in numbers))
        pipeline.sadd("big:set", *(f"{text}-{number}" for number in numbers))
        pipeline.zadd("big:zset", {f"{text}-{number}": number for number in numbers})
        for number in numbers:
            pipeline.xadd("big:stream", {"field": text}, id=f"1-{number + 1}")
        pipeline.execute()
    store.set("big:string", text * 20 * elements)


def hybrid_keys_only(store: redis.Redis) -> None:
    """Empty, but for what hybrid keeps there."""
    for page in batched(key for key in store.scan_iter(count=BATCH) if not key.startswith(b"hybrid:")):
        store.unlink(*page)


def batched(keys: Iterator[bytes]) -> Iterator[list[bytes]]:
    while page := list(itertools.islice(keys, BATCH)):
        yield page
