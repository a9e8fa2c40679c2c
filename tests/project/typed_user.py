"""What an application writes: mypy checks here, with the rest of the project, that an editor knows what it gets."""

from __future__ import annotations

from typing import assert_type

from hybrid import Health, HybridRedis, Store
from hybrid.aio import HybridRedis as AioRedis


def commands(r: HybridRedis) -> None:
    assert_type(r.incr("visits"), int)
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
