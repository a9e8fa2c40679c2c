"""One key on both stores: looked at, merged field by field under guard, and had back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from servers import Pool, Stores, client

from hybrid import HybridRedis
from hybrid.core.drift import Cause
from hybrid.core.field_diff import Part
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops.sync.one_key import look_at_key, merge_fields
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.run import sync_history, undo_sync
from hybrid.types import Store

FAR_MS = 4_102_444_800_000


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture(scope="module")
def hybrid(pair: Stores) -> Iterator[HybridRedis]:
    patient = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0, "sync_enabled": False}
    with HybridRedis.from_urls(pair.local.url, pair.cloud.url, **patient) as opened:
        opened.start()
        assert opened.wait_in_sync(10)
        yield opened


@pytest.fixture
def both(pair: Stores, hybrid: HybridRedis) -> Iterator[dict[Store, redis.Redis]]:
    """Plain clients; the key `user` differs in a field, in one that each has alone, and in its expiry."""
    hybrid.flushall()
    hybrid.hset("user", mapping={"name": "Ada", "same": "1"})
    assert hybrid.wait_in_sync(10)
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        local.hset("user", mapping={"city": "London", "mine": "1"})
        cloud.hset("user", mapping={"city": "Paris", "theirs": "1"})
        cloud.pexpireat("user", FAR_MS)
        yield {Store.LOCAL: local, Store.CLOUD: cloud}


def test_look_tells_every_place_and_the_facts(hybrid: HybridRedis, both: dict[Store, redis.Redis]) -> None:
    look = look_at_key(hybrid, b"user")
    assert look.difference is not None
    assert look.difference.causes == (Cause.VALUE, Cause.TTL)
    assert [(place.part, place.name) for place in look.places] == [
        (Part.FIELD, b"city"), (Part.FIELD, b"mine"), (Part.FIELD, b"theirs"), (Part.TTL, b""),
    ]  # fmt: skip
    assert not (look.more or look.too_big or look.waiting)
    assert look_at_key(hybrid, b"user", most_bytes=10).too_big
    assert look_at_key(hybrid, b"nothing").local is None


def test_merged_by_field_on_both_stores_and_had_back(hybrid: HybridRedis, both: dict[Store, redis.Redis]) -> None:
    before = {store: (opened.hgetall("user"), opened.pexpiretime("user")) for store, opened in both.items()}
    look = look_at_key(hybrid, b"user")
    assert look.difference is not None
    taken = [place for place in look.places if place.name in (b"city", b"theirs", b"")]
    done = merge_fields(hybrid, look.difference, Store.LOCAL, taken, options=SyncOptions(author="ada"))
    assert hybrid.wait_in_sync(10)
    merged = {b"name": b"Ada", b"same": b"1", b"city": b"Paris", b"mine": b"1", b"theirs": b"1"}
    for opened in both.values():
        assert opened.hgetall("user") == merged
        assert opened.pexpiretime("user") == FAR_MS
    assert sync_history(hybrid)[0] == done
    assert (done.author, done.copied, done.pattern) == ("ada", 1, "user")
    undo_sync(hybrid, done.id)
    assert {store: (opened.hgetall("user"), opened.pexpiretime("user")) for store, opened in both.items()} == before


@pytest.mark.parametrize("store", Store)
def test_a_write_since_the_look_is_not_overwritten(
    hybrid: HybridRedis, both: dict[Store, redis.Redis], store: Store
) -> None:
    look = look_at_key(hybrid, b"user")
    assert look.difference is not None
    both[store].hset("user", "name", "Grace")
    before = {store: opened.hgetall("user") for store, opened in both.items()}
    with pytest.raises(HybridError, match=f"the {store} store's value is another one by now"):
        merge_fields(hybrid, look.difference, Store.CLOUD, look.places[:1])
    assert {store: opened.hgetall("user") for store, opened in both.items()} == before


def test_what_is_no_place_of_its_own_is_refused(hybrid: HybridRedis, both: dict[Store, redis.Redis]) -> None:
    both[Store.LOCAL].set("text", "one")
    both[Store.CLOUD].set("text", "two")
    look = look_at_key(hybrid, b"text")
    assert look.difference is not None
    with pytest.raises(ConfigurationError, match="one by one"):
        merge_fields(hybrid, look.difference, Store.LOCAL, look.places)
