"""No command of a diff, a sync or an undo keeps a server from its other clients for long, however big the keys are.

Wall-clock times of single commands say little on a busy machine. Counted here is the work that each command asks for,
and of commands that ran often the median time, by the servers' own statistics.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from servers import Pool, Stores, client

from hybrid import HybridRedis
from hybrid.core.syncplan import Direction, Policy
from hybrid.ops.compare import compare
from hybrid.ops.diff import DiffOptions, run_diff
from hybrid.ops.sync.run import apply_plan, plan_sync, undo_sync

ELEMENTS = 8000
MOST_ARGUMENTS = 6000
LONG_US = 10_000
OFTEN = 10
WHOLE = re.compile(
    rb"(HGETALL|SMEMBERS|GET|DUMP|DEL) big:|(LRANGE|ZRANGE) big:\S+ 0 -1|XINFO STREAM big:\S+ FULL", re.IGNORECASE
)
MORE = re.compile(rb"\((\d+) more arguments\)")


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("redis", "cloud"))


@pytest.fixture(scope="module")
def hybrid(pair: Stores) -> Iterator[HybridRedis]:
    urls = pair.local.url, pair.cloud.url
    with HybridRedis.from_urls(*urls, local_timeout_s=3.0, cloud_timeout_s=3.0, sync_enabled=False) as opened:
        opened.start()
        assert opened.wait_in_sync(10)
        yield opened


@pytest.fixture
def stores(pair: Stores) -> Iterator[tuple[redis.Redis, redis.Redis]]:
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        yield local, cloud


def fill(store: redis.Redis, text: str) -> None:
    numbers = range(ELEMENTS)
    pipeline = store.pipeline(transaction=False)
    pipeline.set("big:string", text * 500_000)
    pipeline.hset("big:hash", mapping={f"field-{n}": text for n in numbers})
    pipeline.rpush("big:list", *(f"{text}-{n}" for n in numbers))
    pipeline.sadd("big:set", *(f"{text}-{n}" for n in numbers))
    pipeline.zadd("big:zset", {f"{text}-{n}": n for n in numbers})
    for number in numbers:
        pipeline.xadd("big:stream", {"field": text}, id=f"1-{number + 1}")
    pipeline.xgroup_create("big:stream", text, "0")
    pipeline.xreadgroup(text, "somebody", {"big:stream": ">"}, count=1000)
    pipeline.execute()


def test_big_keys_are_read_and_written_in_parts(
    hybrid: HybridRedis, stores: tuple[redis.Redis, redis.Redis], tmp_path: Path
) -> None:
    local, cloud = stores
    local.sadd("big:new", *range(ELEMENTS))
    for store, text in zip(stores, ("local", "cloud"), strict=True):
        fill(store, text)
        store.config_set("slowlog-max-len", 100_000)
        store.config_set("slowlog-log-slower-than", 0)
        store.config_resetstat()
        store.slowlog_reset()
    with run_diff(local, cloud, tmp_path, options=DiffOptions(looks=1, pause_s=0.0)) as file:
        plan = plan_sync(hybrid, file.differences, Policy(Direction.LOCAL_TO_CLOUD))
        assert apply_plan(hybrid, plan).copied == 7
    asked = [entry["command"] for store in stores for entry in store.slowlog_get(100_000)]
    medians = [median for store in stores for median in median_us(store)]
    assert compare(local, cloud).identical
    undone = undo_sync(hybrid)
    assert (undone.copied, undone.deleted) == (6, 1) and cloud.lindex("big:list", -1) == b"cloud-%d" % (ELEMENTS - 1)
    asked += [entry["command"] for store in stores for entry in store.slowlog_get(100_000)]
    for store in stores:
        store.config_set("slowlog-log-slower-than", 10_000)
    assert [command for command in asked if WHOLE.search(command)] == []
    assert 250 < max(int(more[1]) for command in asked if (more := MORE.search(command))) < MOST_ARGUMENTS
    assert max(medians) < LONG_US


def median_us(store: redis.Redis) -> Iterator[float]:
    """Of each command that ran often."""
    counts, times = store.info("commandstats"), store.info("latencystats")
    for name, percentiles in times.items():
        if counts[name.replace("latency_percentiles_usec_", "cmdstat_")]["calls"] >= OFTEN:
            yield percentiles["p50"]
