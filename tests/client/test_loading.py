"""get_or_load and cached: a cache that answers also when there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from client.rig import one_pair
from servers import Stores, client, wait_until

from hybrid import AllStoresDown, HybridRedis, Store, StoreState
from hybrid.stores.processes import ServerProcess

Open = Callable[..., HybridRedis]


class Source:
    """A data source that counts how often it is asked."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.asked = 0

    def __call__(self) -> Any:
        self.asked += 1
        return self.value


@one_pair
@pytest.mark.parametrize("decoded", [True, False], ids=["str", "bytes"])
@pytest.mark.parametrize("value", [{"a": [1, None, "ü"]}, None, 0, "", False, 1.5], ids=repr)
def test_a_value_is_loaded_once(open_hybrid: Open, stores: Stores, decoded: bool, value: Any) -> None:
    hybrid, source = open_hybrid(decode_responses=decoded), Source(value)
    assert [hybrid.get_or_load("k", source, ex=100) for _ in range(3)] == [value] * 3
    assert source.asked == 1
    assert 90 < hybrid.ttl("k") <= 100
    with client(stores.cloud.url) as cloud:
        assert 90 < cloud.ttl("k") <= 100
    hybrid.delete("k")
    assert hybrid.get_or_load(b"k", source) == value
    assert (source.asked, hybrid.ttl("k")) == (2, -1)


@one_pair
def test_errors_of_the_loader_pass_and_nothing_is_kept(hybrid: HybridRedis) -> None:
    def broken() -> Any:
        raise LookupError("no such row")

    with pytest.raises(LookupError, match="no such row"):
        hybrid.get_or_load("k", broken)
    with pytest.raises(TypeError):
        hybrid.get_or_load("k", lambda: object())
    assert hybrid.exists("k") == 0


def test_cached_keeps_one_value_for_each_call(hybrid: HybridRedis) -> None:
    asked: list[Any] = []

    @hybrid.cached(ex=100)
    def total(a: int, b: int = 0, *, scale: int = 1) -> int:
        """Add."""
        asked.append((a, b, scale))
        return (a + b) * scale

    assert [total(1, 2), total(1, 2), total(1, b=2), total(1, 2, scale=3), total(1, 2, scale=3)] == [3, 3, 3, 9, 9]
    assert asked == [(1, 2, 1), (1, 2, 1), (1, 2, 3)]
    assert (total.__name__, total.__doc__) == ("total", "Add.")
    assert all(90 < hybrid.ttl(key) <= 100 for key in hybrid.scan_iter())


@one_pair
def test_cached_with_a_key_of_its_own(hybrid: HybridRedis) -> None:
    class Shop:
        asked = 0

        @hybrid.cached(key=lambda self, name: f"price:{name}")
        def price(self, name: str) -> float:
            self.asked += 1
            return 9.5

    shop = Shop()
    assert [shop.price("tea"), shop.price("tea")] == [9.5, 9.5]
    assert (shop.asked, hybrid.keys()) == (1, ["price:tea"])


@pytest.fixture
def mortal(server: Callable[..., ServerProcess]) -> Stores:
    """Two stores that may be killed; they keep their data."""
    return Stores(server(persistent=True, appendfsync="always"), server(persistent=True, appendfsync="always"))


def test_with_both_stores_down_the_source_answers_at_once(mortal: Stores, open_client: Open) -> None:
    hybrid, source = open_client(mortal.local.url, mortal.cloud.url), Source("fresh")

    @hybrid.cached(ex=10)
    def cached() -> Any:
        return source()

    assert (hybrid.get_or_load("k", source), cached()) == ("fresh", "fresh")
    mortal.local.kill()
    mortal.cloud.kill()
    assert (hybrid.get_or_load("k", source), cached()) == ("fresh", "fresh")
    assert source.asked == 4
    for call in (
        lambda: hybrid.get("k"),
        lambda: hybrid.set("k", "v"),
        lambda: hybrid.pipeline().incr("n").execute(),
        lambda: hybrid.blpop("l", timeout=30),
        lambda: hybrid.incr("n"),
        lambda: list(hybrid.scan_iter()),
        lambda: hybrid.dbsize(),
        lambda: hybrid.transaction(lambda pipeline: None, "k"),
    ):
        with pytest.raises(AllStoresDown) as error:
            call()
        assert isinstance(error.value, redis.ConnectionError)
    mortal.local.start()
    mortal.cloud.start()
    wait_until(lambda: hybrid.status().local.state is StoreState.UP, "the local store's return")
    assert hybrid.get_or_load("k", source) == "fresh"
    assert source.asked == 4, "it was kept"
    assert hybrid.wait_in_sync(20)


@pytest.mark.parametrize("down", list(Store))
def test_with_one_store_down_the_cache_goes_on(mortal: Stores, open_client: Open, down: Store) -> None:
    hybrid, source = open_client(mortal.local.url, mortal.cloud.url), Source([1, 2])
    assert hybrid.get_or_load("k", source) == [1, 2]
    (mortal.local if down is Store.LOCAL else mortal.cloud).kill()
    assert hybrid.get_or_load("k", source) == [1, 2]
    assert hybrid.get_or_load("k2", source) == [1, 2]
    assert hybrid.get_or_load("k2", source) == [1, 2]
    assert source.asked == 2


def test_a_program_starts_with_both_stores_down(mortal: Stores, open_client: Open) -> None:
    urls = mortal.local.url, mortal.cloud.url
    mortal.local.kill()
    mortal.cloud.kill()
    hybrid = open_client(*urls)
    assert hybrid.get_or_load("k", lambda: "fresh") == "fresh"
    with pytest.raises(AllStoresDown):
        hybrid.get("k")
