"""What an application writes: mypy checks here, with the rest of the project, that an editor knows what it gets."""

from __future__ import annotations

from typing import Any, assert_type

from redis import ConnectionPool
from redis.asyncio.lock import Lock
from redis.client import Monitor
from redis.commands.core import AsyncScript, Script

from hybrid import Health, HybridRedis, Settings, Store
from hybrid.aio import HybridRedis as AioRedis
from hybrid.events import Event
from hybrid.modules import HybridJson, HybridSearch, HybridSeries
from hybrid.pipeline import HybridPipeline
from hybrid.pubsub import HybridPubSub


def opened() -> None:
    assert_type(HybridRedis.from_env(decode_responses=True), HybridRedis)
    assert_type(HybridRedis.from_url("redis://localhost"), HybridRedis)
    assert_type(HybridRedis(host="localhost", cloud_url="redis://there"), HybridRedis)
    assert_type(HybridRedis.from_pool(ConnectionPool()), HybridRedis)
    assert_type(AioRedis.from_urls("redis://here", "redis://there"), AioRedis)


def families(r: HybridRedis, a: AioRedis) -> None:
    assert_type(r.register_script("return 1"), Script)
    assert_type(a.register_script("return 1"), AsyncScript)
    assert_type(r.pipeline(), HybridPipeline)
    assert_type(r.pubsub(), HybridPubSub)
    assert_type(r.monitor(), Monitor)
    assert_type(a.lock("l"), Lock)
    assert_type(r.json(), HybridJson)
    assert_type(r.ft("i"), HybridSearch)
    assert_type(r.ts(), HybridSeries)
    assert_type(r.events.recent(), tuple[Event, ...])
    assert_type(r.change_settings(ack="local"), Settings)
    assert_type(r.wait_in_sync(1.0), bool)


def commands(r: HybridRedis) -> None:
    assert_type(r.incr("visits"), int)
    assert_type(r.hgetall("h"), dict[bytes | str, bytes | str])
    assert_type(r.smembers("s"), set[bytes | str])
    assert_type(r.mget(["a", "b"]), list[bytes | str | None])
    assert_type(r.get("greeting"), bytes | str | None)
    assert_type(r.status().health, Health)
    assert_type(r.get_or_load("n", lambda: 3, ex=60), int)
    with r.client() as same:
        assert_type(same, HybridRedis)

    @r.cached(ex=60)
    def price(item: str, *, currency: str = "EUR") -> float:
        return len(item) * len(currency) * 1.5

    assert_type(price("book", currency="BRL"), float)
    assert_type(r.store(Store.LOCAL).incr("visits"), int)


async def awaited(r: AioRedis) -> None:
    assert_type(await r.incr("visits"), int)
    assert_type(await r.hgetall("h"), dict[bytes | str, bytes | str])
    assert_type(await r.wait_in_sync(1.0), bool)
    async with r.pipeline() as pipeline:
        assert_type(await pipeline.execute(), list[Any])
    assert_type(await r.get("greeting"), bytes | str | None)
    assert_type((await r.status()).health, Health)
    assert_type(await r.get_or_load("n", lambda: 3), int)
    async with r as same:
        assert_type(same, AioRedis)

    async def load() -> str:
        return "from the source"

    assert_type(await r.get_or_load("text", load), str)

    @r.cached(ex=60)
    async def price(item: str) -> float:
        return len(item) * 1.5

    @r.cached(ex=60)
    def plain_price(item: str) -> float:
        return len(item) * 1.5

    assert_type(await price("book"), float)
    assert_type(await plain_price("book"), float)
