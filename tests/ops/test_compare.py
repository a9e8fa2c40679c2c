from __future__ import annotations

import pytest
import redis
from servers import Stores, client, wait_until

from hybrid.ops.compare import LISTED, Comparison, Difference, compare
from hybrid.replication.copy import put_states, read_states

FAR_MS = 4_102_444_800_000
SAME = (
    "SET string v",
    f"SET volatile v PXAT {FAR_MS}",
    "HSET hash a 1 b 2",
    "RPUSH list a b c",
    "SADD set a b",
    "ZADD zset 1.5 a 2 b",
    *(f"XADD stream {i}-0 f v{i}" for i in range(1, 5)),
    "XGROUP CREATE stream g 0",
    "XCLAIM stream g ann 0 1-0 2-0 TIME 1000 RETRYCOUNT 3 FORCE JUSTID",
    "XGROUP CREATECONSUMER stream g bob",
)
PLANTED = [
    ("SET string w", "string", "value"),
    ("APPEND string x", "string", "value"),
    ("DEL string", "string", "only local"),
    ("SET extra v", "extra", "only cloud"),
    ("PERSIST volatile", "volatile", "ttl"),
    (f"PEXPIREAT volatile {FAR_MS + 1001}", "volatile", "ttl"),
    (f"PEXPIREAT list {FAR_MS}", "list", "ttl"),
    ("HSET hash a 9", "hash", "fields"),
    ("HSET hash c 9", "hash", "fields"),
    ("HDEL hash a", "hash", "fields"),
    ("LSET list 1 x", "list", "items"),
    ("RPUSH list a", "list", "items"),
    ("LMOVE list list LEFT RIGHT", "list", "order"),
    ("SADD set c", "set", "members"),
    ("ZADD zset 3 c", "zset", "members"),
    ("ZADD zset 1.5000000000000002 a", "zset", "scores"),
    ("XSETID stream 9-0", "stream", "stream last id"),
    ("XSETID stream 4-0 ENTRIESADDED 9 MAXDELETEDID 0-0", "stream", "stream counters"),
    ("XTRIM stream MAXLEN 3", "stream", "stream entries"),
    ("XGROUP CREATE stream h 0", "stream", "stream group"),
    ("XGROUP SETID stream g 1-0", "stream", "stream group"),
    ("XGROUP DELCONSUMER stream g bob", "stream", "stream consumer"),
    ("XGROUP CREATECONSUMER stream g eve", "stream", "stream consumer"),
    ("XACK stream g 1-0", "stream", "stream pending"),
    ("XCLAIM stream g bob 0 1-0 TIME 1000 RETRYCOUNT 3 JUSTID", "stream", "stream pending"),
    ("XCLAIM stream g ann 0 1-0 TIME 1000 RETRYCOUNT 4 JUSTID", "stream", "stream pending"),
    ("XCLAIM stream g ann 0 1-0 TIME 99000 RETRYCOUNT 3 JUSTID", "stream", "stream pending"),
]


def run(url: str, *lines: str) -> None:
    with client(url) as commands:
        commands.response_callbacks.clear()  # redis-py cannot read XCLAIM JUSTID
        for line in lines:
            commands.execute_command(*line.split())


def compared(stores: Stores, **options: object) -> Comparison:
    with client(stores.local.url) as local, client(stores.cloud.url, decode_responses=True, protocol=2) as cloud:
        return compare(local, cloud, **options)  # type: ignore[arg-type]


@pytest.fixture
def equal(stores: Stores) -> Stores:
    """Two stores that hold the same, of every type."""
    for store in (stores.local, stores.cloud):
        run(store.url, *SAME)
    return stores


class TestStrictness:
    def test_the_same_is_equal(self, equal: Stores) -> None:
        assert compared(equal) == Comparison(7, 7, 7, 0, ())
        assert compared(equal).identical

    @pytest.mark.parametrize(("change", "key", "cause"), PLANTED)
    def test_each_planted_difference_is_found_alone(self, equal: Stores, change: str, key: str, cause: str) -> None:
        run(equal.cloud.url, change)
        comparison = compared(equal)
        assert [(found.key, found.cause) for found in comparison.differences] == [(key.encode(), cause)]
        assert comparison.different == 1
        assert not comparison.identical
        assert comparison.equal == (7 if cause == "only cloud" else 6)

    def test_another_type(self, equal: Stores) -> None:
        run(equal.cloud.url, "DEL set", "RPUSH set a b")
        [found] = compared(equal).differences
        assert found == Difference(b"set", "type", "set", "list")

    @pytest.mark.parametrize("stores", ["valkey"], indirect=True)
    @pytest.mark.parametrize("change", ["HPERSIST hash FIELDS 1 a", f"HPEXPIREAT hash {FAR_MS + 1001} FIELDS 1 a"])
    def test_the_expiry_of_one_field(self, equal: Stores, change: str) -> None:
        for store in (equal.local, equal.cloud):
            run(store.url, f"HPEXPIREAT hash {FAR_MS} FIELDS 1 a")
        assert compared(equal).identical
        run(equal.cloud.url, change)
        assert [found.cause for found in compared(equal).differences] == ["field ttl"]

    def test_expiries_within_the_tolerance_are_equal(self, equal: Stores) -> None:
        run(equal.cloud.url, f"PEXPIREAT volatile {FAR_MS + 1000}")
        assert compared(equal).identical
        assert not compared(equal, ttl_tolerance_ms=999).identical

    def test_a_wiped_store_differs_in_every_key(self, equal: Stores) -> None:
        run(equal.cloud.url, "FLUSHALL")
        comparison = compared(equal)
        assert (comparison.local_keys, comparison.cloud_keys, comparison.equal, comparison.different) == (7, 0, 0, 7)

    def test_one_byte_in_one_of_many_keys(self, stores: Stores) -> None:
        for store in (stores.local, stores.cloud):
            with client(store.url) as commands:
                commands.mset({f"key:{i}": i for i in range(3000)})
        assert compared(stores) == Comparison(3000, 3000, 3000, 0, ())
        run(stores.cloud.url, "SETRANGE key:2999 3 8")
        comparison = compared(stores, batch=100)
        assert comparison.differences == (Difference(b"key:2999", "value", "'2999'", "'2998'"),)
        assert (comparison.equal, comparison.different) == (2999, 1)

    def test_one_member_of_a_big_set(self, stores: Stores) -> None:
        for store in (stores.local, stores.cloud):
            with client(store.url) as commands:
                commands.sadd("big", *range(10**6, 10**6 + 50_000), "not a number")
        assert compared(stores).identical
        run(stores.cloud.url, "SREM big 1030000")
        [found] = compared(stores).differences
        assert found == Difference(b"big", "members", "'1030000'", "absent")


class TestScope:
    def test_hybrids_own_keys_are_left_out(self, equal: Stores) -> None:
        run(equal.cloud.url, "SET hybrid:authority local", "XADD hybrid:log 1-1 f v")
        assert compared(equal) == Comparison(7, 7, 7, 0, ())

    def test_match(self, equal: Stores) -> None:
        run(equal.cloud.url, "SET string w")
        assert compared(equal, match="s[et]*") == compared(equal, match="s*")
        assert compared(equal, match="zs*") == Comparison(1, 1, 1, 0, ())

    def test_the_list_is_capped_and_the_count_is_not(self, stores: Stores) -> None:
        with client(stores.local.url) as commands:
            commands.mset({f"key:{i}": i for i in range(LISTED + 50)})
        comparison = compared(stores)
        assert (len(comparison.differences), comparison.different) == (LISTED, LISTED + 50)

    def test_a_key_about_to_expire_on_one_side_is_no_difference(self, stores: Stores) -> None:
        run(stores.local.url, "SET k v PX 900", "SET long v PX 5000")
        comparison = compared(stores)
        assert [found.key for found in comparison.differences] == [b"long"]
        assert comparison.different == 1

    def test_a_field_about_to_expire_on_one_side_is_no_difference(self, stores: Stores) -> None:
        run(stores.cloud.url, "HSET h lasts v", "HSET gone other v", "DEL gone")
        with client(stores.local.url) as local:
            local.hset("h", mapping={"lasts": "v", "soon": "v"})
            local.hset("gone", "soon", "v")
            try:
                for key in ("h", "gone"):
                    local.execute_command("HPEXPIRE", key, 900, "FIELDS", 1, "soon")
            except redis.ResponseError:
                pytest.skip("fields of hashes do not expire on this server")
            comparison = compared(stores)
            assert (comparison.differences, comparison.equal) == ((), 1)
            local.execute_command("HPERSIST", "h", "FIELDS", 1, "soon")
            assert [found.key for found in compared(stores).differences] == [b"h"]

    def test_expired_keys_are_in_no_count(self, stores: Stores) -> None:
        for store in (stores.local, stores.cloud):
            run(store.url, "SET k v PX 1")
        with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
            wait_until(lambda: not local.exists("k") and not cloud.exists("k"))
        assert compared(stores) == Comparison(0, 0, 0, 0, ())


def test_differences_disappear_by_copying_the_keys_they_name(equal: Stores) -> None:
    run(equal.cloud.url, *(change for change, _, _ in PLANTED))
    keys = {found.key for found in compared(equal).differences}
    assert keys == {b"string", b"extra", b"volatile", b"hash", b"list", b"set", b"zset", b"stream"}
    with client(equal.local.url) as local, client(equal.cloud.url) as cloud:
        here, there = (store.connection_pool.get_connection() for store in (local, cloud))
        put_states(there, {key: state for key, (state, _) in read_states(here, keys).items()})
    assert compared(equal).identical
