"""What a failover costs beside the longest stall: stale reads, commands that count twice, starts, the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import redis

from benchmarks.effort import Effort
from benchmarks.multidb import multidb_client
from benchmarks.rig import SYNC_S, Rig
from benchmarks.table import Row
from hybrid import HybridRedis, OutcomeUnknown
from hybrid.types import Health

__all__ = ["failover_rows"]

BACK_S = 60.0
WATCHED_S = 15.0
COUNTS = 20
KEY, COUNTER = "bench:failover", "bench:counter"

Connect = Callable[[Rig], Any]
CLIENTS: dict[str, Connect] = {"HybridRedis": lambda rig: rig.hybrid(), "MultiDBClient": multidb_client}


def failover_rows(effort: Effort) -> Iterator[Row]:
    for name, connect in CLIENTS.items():
        yield _stale_reads(name, connect, effort)
    for name, connect in CLIENTS.items():
        yield _counted_twice(name, connect)
    for name, connect in CLIENTS.items():
        yield _start_without_the_cloud(name, connect)
    yield from _way_back(effort)


def _stale_reads(name: str, connect: Connect, effort: Effort) -> Row:
    """A value is written while the local store is down; how often an older one is read after it came back."""
    with Rig() as rig:
        client = connect(rig)
        client.set(KEY, 0)
        if isinstance(client, HybridRedis):
            client.wait_in_sync(SYNC_S)
        rig.local.kill()
        _insist(lambda: client.set(KEY, 1))
        rig.local.start()
        stale = reads = failed = 0
        until_s = time.monotonic() + min(WATCHED_S, effort.stall_limit_s)
        while time.monotonic() < until_s:
            try:
                stale += client.get(KEY) != b"1"
            except redis.RedisError:
                failed += 1
            reads += 1
            time.sleep(0.001)
        client.close()
    target = 0 if name == "HybridRedis" else None
    return Row(f"stale reads after the return: {name}", f"{reads:,} reads, {failed} failed", stale, "", target=target)


def _counted_twice(name: str, connect: Connect) -> Row:
    """Replies of the local store are lost; how much a counter exceeds what its writers can account for."""
    with Rig() as rig:
        link = rig.link_to_local()
        client = connect(rig)
        done = unknown = 0
        for number in range(COUNTS):
            if number % 4 == 1:
                link.apply(lose_reply=1)
            try:
                client.incr(COUNTER)
                done += 1
            except (OutcomeUnknown, redis.RedisError):
                unknown += 1
            _insist(lambda: client.get(COUNTER))
        link.heal()
        if isinstance(client, HybridRedis):
            client.wait_in_sync(SYNC_S)
        value = int(_insist(lambda: client.get(COUNTER)) or 0)
        client.close()
    surplus = max(value - done - unknown, 0)
    target = 0 if name == "HybridRedis" else None
    return Row(
        f"INCR counted twice, replies lost: {name}", f"{done} done, {unknown} unknown", surplus, "", target=target
    )


def _start_without_the_cloud(name: str, connect: Connect) -> Row:
    """Opening a client and its first command while the second store is down."""
    with Rig() as rig:
        rig.cloud.kill()
        started_s = time.perf_counter()
        try:
            if name == "HybridRedis":
                client: Any = HybridRedis.from_urls(rig.local.url, rig.link.url)
            else:
                client = connect(rig)
            client.set(KEY, 1)
        except Exception as error:  # MultiDBClient's is a bare one
            return Row(f"start without the second store: {name}", f"refused: {type(error).__name__}", 1, "")
        took_s = time.perf_counter() - started_s
        client.close()
    return Row(f"start without the second store: {name}", f"{took_s * 1000:,.0f} ms to the first reply", 0, "")


def _way_back(effort: Effort) -> Iterator[Row]:
    """The local store returns having missed many keys."""
    keys = effort.missed_keys
    with Rig() as rig:
        client = rig.hybrid(ack="local")
        client.set(KEY, 0)
        client.wait_in_sync(SYNC_S)
        rig.local.kill()
        _insist(lambda: client.set(KEY, 1))
        _fill(client, keys)
        rig.local.start()
        started_s = time.perf_counter()
        stale = reads = 0
        while client.status().health is not Health.HEALTHY and time.perf_counter() - started_s < SYNC_S:
            stale += client.get(KEY) != b"1"
            reads += 1
            time.sleep(0.002)
        took_s = time.perf_counter() - started_s
        stale += client.get(KEY) != b"1"
        copy_s = _full_copy_s(rig)
        client.close()
    beside = f"a full copy by DUMP and RESTORE, pipelined, {copy_s * 1000:,.0f} ms"
    yield Row(f"way back after {keys:,} missed keys: until healthy", "", took_s * 1000, "ms", beside)
    yield Row(f"way back after {keys:,} missed keys: stale reads", f"{reads:,} reads", stale, "", target=0)


def _fill(client: HybridRedis, keys: int) -> None:
    for start in range(0, keys, 500):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(start, min(start + 500, keys)):
                pipeline.set(f"bench:missed:{number}", "x" * 100)
            pipeline.execute()


def _full_copy_s(rig: Rig) -> float:
    """The cloud store copied to another database of the local server, over the link, with plain redis-py."""
    source, target = rig.plain(rig.link.url), rig.plain(f"{rig.local.url}/1")
    started_s = time.perf_counter()
    cursor = None
    while cursor != 0:
        cursor, keys = source.scan(cursor or 0, match="bench:*", count=1000)
        with source.pipeline(transaction=False) as dumps:
            for key in keys:
                dumps.dump(key)
            values = dumps.execute()
        with target.pipeline(transaction=False) as restores:
            for key, value in zip(keys, values, strict=True):
                restores.restore(key, 0, value, replace=True)
            restores.execute()
    return time.perf_counter() - started_s


def _insist(call: Callable[[], Any]) -> Any:
    """As an application that tries again until it succeeds."""
    until_s = time.monotonic() + BACK_S
    while time.monotonic() < until_s:
        with suppress(redis.RedisError, OSError):
            return call()
        time.sleep(0.01)
    return None
