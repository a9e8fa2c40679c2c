"""What applications see of the keyspace: their own keys, each once or more, and never hybrid's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from servers import Stores, client

from hybrid import HybridRedis

preferences = pytest.mark.parametrize("preference", ["local", "cloud", "fastest"])


@preferences
@pytest.mark.parametrize("decoded", [True, False], ids=["str", "bytes"])
def test_hybrids_own_keys_are_never_seen(
    open_hybrid: Callable[..., HybridRedis], stores: Stores, preference: str, decoded: bool
) -> None:
    hybrid = open_hybrid(decode_responses=decoded, read_preference=preference)
    names = [f"key:{n}" if decoded else b"key:%d" % n for n in range(300)]
    hybrid.mset(dict.fromkeys(names, 1))
    hybrid.pipeline().set("hybri", 1).set("a hybrid:", 1).execute()
    names += ["hybri", "a hybrid:"] if decoded else [b"hybri", b"a hybrid:"]
    with client(stores.local.url) as local:
        assert local.keys("hybrid:*"), "they are there"
    assert sorted(hybrid.keys()) == sorted(names)
    assert hybrid.keys("hybrid:*") == []
    assert sorted(set(hybrid.scan_iter())) == sorted(names)
    assert sorted(set(hybrid.scan_iter(count=7))) == sorted(names)
    assert list(hybrid.scan_iter(match="hybrid:*")) == []
    assert sorted(set(hybrid.scan_iter(match="*1", _type="string"))) == sorted(
        n for n in names if n[-1:] in ("1", b"1")
    )
    assert hybrid.dbsize() == 302
    assert {hybrid.randomkey() for _ in range(20)} <= set(names)
    for transaction in (True, False):
        for write in (False, True):
            pipeline = hybrid.pipeline(transaction)
            pipeline.keys().dbsize().scan(count=1000).pubsub_channels()
            for _ in range(20):
                pipeline.randomkey()
            if write:
                pipeline.incr("hybri")
            keys, size, (cursor, scanned), channels, *some = (pipeline.incr("hybri") if write else pipeline).execute()[
                :24
            ]
            assert (sorted(keys), size, cursor, sorted(scanned), channels) == (sorted(names), 302, 0, sorted(names), [])
            assert set(some) <= set(names)
    with hybrid.pipeline() as pipeline:
        pipeline.watch("hybri")
        assert (pipeline.keys("hybrid:*"), pipeline.dbsize()) == ([], 302)


def test_an_empty_store_looks_empty(hybrid: HybridRedis) -> None:
    assert hybrid.wait_in_sync(10)
    hybrid.set("k", 1)
    hybrid.delete("k")
    assert hybrid.wait_in_sync(10)
    assert hybrid.keys() == []
    assert list(hybrid.scan_iter()) == []
    assert hybrid.randomkey() is None
    assert hybrid.dbsize() == 0


def test_dbsize_and_randomkey_without_a_cloud_store(open_client: Callable[..., HybridRedis], stores: Stores) -> None:
    hybrid = open_client(stores.local.url)
    assert (hybrid.dbsize(), hybrid.randomkey()) == (0, None)
    hybrid.set("k", 1)
    assert (hybrid.dbsize(), hybrid.randomkey(), hybrid.keys()) == (1, b"k", [b"k"])


@preferences
def test_scans_of_one_key_see_every_element(open_hybrid: Callable[..., HybridRedis], preference: str) -> None:
    hybrid = open_hybrid(decode_responses=True, read_preference=preference)
    hybrid.sadd("set", *range(2000))
    hybrid.hset("hash", mapping={str(n): n for n in range(2000)})
    hybrid.zadd("zset", {str(n): n for n in range(2000)})
    assert len(set(hybrid.sscan_iter("set", count=50))) == 2000
    assert len(dict(hybrid.hscan_iter("hash", count=50))) == 2000
    assert len(dict(hybrid.zscan_iter("zset", count=50))) == 2000
    assert set(hybrid.sscan_iter("set", match="19*")) == {str(n) for n in range(2000) if str(n).startswith("19")}


def test_a_scan_survives_a_change_of_the_store_that_is_read(hybrid: HybridRedis) -> None:
    hybrid.mset({f"key:{n}": n for n in range(500)})
    cursor, seen = hybrid.scan(count=10)
    preference = "local"
    while cursor:
        preference = "cloud" if preference == "local" else "local"
        hybrid.change_settings(read_preference=preference)
        cursor, keys = hybrid.scan(cursor, count=10)
        [(cursor, more)] = hybrid.pipeline().scan(cursor, count=10).execute() if cursor else [(0, [])]
        seen += keys + more
    assert set(seen) == {f"key:{n}" for n in range(500)}


def test_users_may_read_keys_under_hybrids_prefix_but_see_no_list_of_them(hybrid: HybridRedis) -> None:
    hybrid.set("k", 1)
    assert hybrid.get("hybrid:authority") is not None
    assert not [key for key in hybrid.keys("*") if key.startswith("hybrid:")]
