"""The diff beside pipelined reads of both stores in plain redis-py, what it costs where commands are billed, how much
memory it takes and how long it holds a server."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import redis

from benchmarks.effort import QUICK, Effort
from benchmarks.rig import Rig
from benchmarks.table import Row
from benchmarks.timing import rounds_of
from hybrid.core.cost import UPSTASH
from hybrid.ops.diff import DiffOptions, run_diff

__all__ = ["diff_rows"]

FAR_MS: Final = 4_102_444_800_000
BATCH: Final = 1000


def diff_rows(effort: Effort) -> Iterator[Row]:
    keys, rounds = (2_000, 1) if effort is QUICK else (100_000, 3)
    with Rig() as rig, tempfile.TemporaryDirectory(prefix="hybrid-bench-") as name:
        folder = Path(name)
        local, cloud, link = (rig.plain(url) for url in (rig.local.url, rig.cloud.url, rig.link.url))
        for store in (local, cloud):
            fill_mixed(store, keys)
        yield speed(local, cloud, folder, keys, rounds)
        yield memory(rig, folder, keys)
        yield hold(local, cloud, folder)
        for store in (local, cloud):
            store.flushall()
            fill_strings(store, keys)
        yield commands(local, link, folder, keys)


def speed(local: redis.Redis, cloud: redis.Redis, folder: Path, keys: int, rounds: int) -> Row:
    def diff() -> None:
        with run_diff(local, cloud, folder) as file:
            if not file.result.equal:
                raise RuntimeError(f"equal stores were found to differ: {file.result}")

    def reads() -> None:
        if read_and_compare(local, cloud):
            raise RuntimeError("equal stores were found to differ")

    taken = rounds_of({"diff": diff, "reads": reads}, rounds, 1)
    mine, theirs = (keys / taken.median_s(name) for name in ("diff", "reads"))
    return Row(
        f"diff of two stores, {keys:,} keys of six types, both on this machine",
        f"{mine:,.0f} keys/s",
        taken.ratio("reads", "diff"),
        "times",
        f"pipelined redis-py {theirs:,.0f} keys/s",
        target=4.0,
        at_least=True,
    )


def memory(rig: Rig, folder: Path, keys: int) -> Row:
    """The process as a whole, Python and the client included."""
    urls = {"REDIS_URL": rig.local.url, "UPSTASH_REDIS_URL": rig.cloud.url}
    command = [sys.executable, "-m", "hybrid", "diff", "--json", "--env-file", os.devnull, "--folder", str(folder)]
    ran = subprocess.run(command, env={**os.environ, **urls}, capture_output=True, check=True)
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    compared = json.loads(ran.stdout)["compared"]
    return Row("memory of a diff", f"{compared:,} keys", peak_kib / 1024, " MiB", target=300.0)


def hold(local: redis.Redis, cloud: redis.Redis, folder: Path) -> Row:
    for store in (local, cloud):
        store.config_set("slowlog-log-slower-than", 200)
        store.slowlog_reset()
    run_diff(local, cloud, folder).close()
    longest_us = max((entry["duration"] for store in (local, cloud) for entry in store.slowlog_get(128)), default=0)
    return Row("longest command of a diff on either server", "slow log", longest_us / 1000, "ms", target=10.0)


def commands(local: redis.Redis, link: redis.Redis, folder: Path, keys: int) -> Row:
    """Counted by the server itself."""
    before = link.info("stats")["total_commands_processed"]
    with run_diff(local, link, folder, options=DiffOptions(price=UPSTASH)) as file:
        taken_s = file.result.actual.seconds
    asked = link.info("stats")["total_commands_processed"] - before
    return Row(
        f"cloud commands for 1,000 equal strings, billed store, {keys:,} keys",
        f"{asked:,} in {taken_s:.1f} s over the link",
        1000 * asked / keys,
        " commands",
        target=10.0 if keys > 10_000 else None,  # the fifteen of a plan weigh on a small store
    )


def fill_mixed(store: redis.Redis, keys: int) -> None:
    """Six types, half of them strings; one key in ten expires."""
    for start in range(0, keys, BATCH):
        pipeline = store.pipeline(transaction=False)
        for number in range(start, start + BATCH):
            add_key(pipeline, number)
        pipeline.execute()


def add_key(pipeline: Any, number: int) -> None:
    key, kind = f"key:{number}", number % 20
    parts = [f"part-{number}-{part}" for part in range(5)]
    if kind < 10:
        pipeline.set(key, f"value-{number}-" + "x" * (number % 50))
    elif kind < 13:
        pipeline.hset(key, mapping={f"field-{part}": part for part in parts})
    elif kind < 15:
        pipeline.rpush(key, *parts)
    elif kind < 17:
        pipeline.sadd(key, *parts)
    elif kind < 19:
        pipeline.zadd(key, {part: index * 1.5 for index, part in enumerate(parts)})
    else:
        pipeline.xadd(key, {"field": number}, id="1-1")
    if number % 10 == 3:
        pipeline.pexpireat(key, FAR_MS + number)


def fill_strings(store: redis.Redis, keys: int) -> None:
    for start in range(0, keys, BATCH):
        store.mset({f"key:{number}": f"value-{number}" for number in range(start, start + BATCH)})


def read_and_compare(local: redis.Redis, cloud: redis.Redis) -> int:
    """What anyone would write: SCAN, then types, expiries and values in pipelines; the differences found."""
    different = 0
    for keys in pages(local):
        here, there = read(local, keys), read(cloud, keys)
        for mine, other in zip(here, there, strict=True):
            different += mine[:2] != other[:2] or abs(mine[2] - other[2]) > BATCH
    for keys in pages(cloud):
        pipeline = local.pipeline(transaction=False)
        for key in keys:
            pipeline.exists(key)
        different += pipeline.execute().count(0)
    return different


def pages(store: redis.Redis) -> Iterator[list[bytes]]:
    cursor = 0
    while True:
        cursor, keys = store.scan(cursor, count=BATCH)
        yield keys
        if not cursor:
            return


def read(store: redis.Redis, keys: list[bytes]) -> list[tuple[bytes, Any, int]]:
    pipeline = store.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
        pipeline.pttl(key)
    facts = pipeline.execute()
    kinds, expiries = facts[::2], facts[1::2]
    for key, kind in zip(keys, kinds, strict=True):
        add_read(pipeline, key, kind)
    return list(zip(kinds, pipeline.execute(), expiries, strict=True))


def add_read(pipeline: Any, key: bytes, kind: bytes) -> None:
    match kind:
        case b"string":
            pipeline.get(key)
        case b"hash":
            pipeline.hgetall(key)
        case b"list":
            pipeline.lrange(key, 0, -1)
        case b"set":
            pipeline.smembers(key)
        case b"zset":
            pipeline.zrange(key, 0, -1, withscores=True)
        case _:
            pipeline.xrange(key)
