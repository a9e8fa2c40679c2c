from __future__ import annotations

import json
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import redis
from ops.fakes import status

from hybrid.demo import Catalogue, Customer, Demo, Shop
from hybrid.errors import AllStoresDown
from hybrid.types import StoreState

ANA = Customer("ana", Random(1))


class PlainClient(redis.Redis):
    """Plain redis-py with the two things that the shop takes from HybridRedis."""

    def get_or_load(self, key: str, loader: Callable[[], Any], ex: int | None = None) -> Any:
        if (text := self.get(key)) is None:
            self.set(key, text := json.dumps(loader()), ex=ex)
        return json.loads(text)

    def status(self) -> Any:
        return status(cloud=None)


class DeadClient:
    """Both stores down: everything is refused, except that loaders are called."""

    def __getattr__(self, name: str) -> Any:
        def refuse(*_: Any, **__: Any) -> Any:
            raise AllStoresDown("no store can serve")

        return refuse

    def get_or_load(self, key: str, loader: Callable[[], Any], ex: int | None = None) -> Any:
        return loader()

    def status(self) -> Any:
        return status(StoreState.DOWN, StoreState.DOWN)


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def plain(request: pytest.FixtureRequest, valkey: Any) -> Any:
    with PlainClient.from_url(valkey.url, decode_responses=True, protocol=request.param) as client:
        yield client


def test_every_kind_of_key_of_a_real_shop_appears(plain: Any) -> None:
    demo = Demo(plain, seed=7)
    for number in range(600):
        demo.act(number)
    progress = demo.run(seconds=0.01)
    kinds = {plain.type(key) for key in plain.scan_iter("shop:*")}
    assert kinds == {"hash", "string", "set", "list", "zset", "stream"}
    assert progress.errors == {}
    assert 0 < progress.database_queries < progress.actions
    assert any(plain.ttl(key) > 0 for key in plain.scan_iter("shop:session:*"))
    assert plain.xinfo_groups("shop:orders")[0]["name"] == "warehouse"


def test_orders_reach_the_database_once(plain: Any) -> None:
    catalogue = Catalogue(Random(1))
    shop = Shop(plain, catalogue)
    shop.fill_cart(ANA)
    shop.check_out(ANA)
    shop.check_out(ANA)  # an empty cart is no order
    shop.ship_orders(ANA)
    shop.ship_orders(ANA)
    assert plain.xlen("shop:orders") == 1
    assert plain.xpending("shop:orders", "warehouse")["pending"] == 0
    assert catalogue.record_sale("bia", 1) == 2


def test_the_rate_limiter_counts_a_customers_clicks(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hybrid.demo.shop.CLICKS_PER_MINUTE", 2)
    monkeypatch.setattr("hybrid.demo.shop.time.time", lambda: 60.0)
    shop = Shop(plain, Catalogue(Random(1)))
    assert [shop.allowed(ANA) for _ in range(3)] == [True, True, False]
    assert shop.allowed(Customer("bia", Random(1)))


def test_the_shop_goes_on_without_any_store() -> None:
    client = DeadClient()
    shop = Shop(client, Catalogue(Random(1)))
    assert shop.product(3)["id"] == 3
    progress = Demo(client, seed=7, rate=1e5).run(seconds=0.05)
    assert set(progress.errors) == {"AllStoresDown"}
    assert "degraded, the database answers" in progress.line


def test_the_same_seed_gives_the_same_customers(plain: Any) -> None:
    def after(seed: int) -> dict[str, Any]:
        plain.flushall()
        demo = Demo(plain, seed=seed)
        for number in range(200):
            demo.act(number)
        return {key: plain.lrange(key, 0, -1) for key in plain.scan_iter("shop:recent:*")}

    assert after(5) == after(5) != after(6)


def test_a_cart_that_changes_during_check_out_is_not_ordered(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(plain, Catalogue(Random(1)))
    shop.fill_cart(ANA)
    product = shop.product

    def slow(number: int) -> dict[str, Any]:
        plain.hset("shop:cart:ana", "gift", "yes")
        return product(number)

    monkeypatch.setattr(shop, "product", slow)
    shop.check_out(ANA)
    assert not plain.exists("shop:orders")
    assert plain.hget("shop:cart:ana", "gift") == "yes"


def test_it_stops_when_told() -> None:
    stop = threading.Event()
    stop.set()
    assert Demo(DeadClient()).run(stop=stop).actions == 0
