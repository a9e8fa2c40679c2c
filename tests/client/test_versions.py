"""Stores of different generations in one pair: redis-py's replies, equal data, and what only one can hold is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from client.calls import LINES, wrong_answers
from client.rig import assert_equal
from servers import Pool, Stores, client, commands, wait_until

from hybrid import HybridRedis, StoreState
from hybrid.core.resp import pack
from hybrid.events import CommandUnknown, Event, KeyRefused
from hybrid.ops.diff import DiffOptions, run_diff

LIBRARY = "#!lua name=lib\nredis.register_function('one', function() return 1 end)"
PAIRS = [
    ("redis-6.2", "valkey"),
    ("valkey", "redis-6.2"),
    ("redis-7.4", "redis-8.2"),
    ("redis-8.2", "redis-6.2"),
]
NOT_ALIKE = r"b[lz]mpop|lolwut|hx\""
"""The name in the complaint of Redis 6.2, an answer that is drawn, and a hash that only one of the stores can hold."""

Open = Callable[..., HybridRedis]


@pytest.fixture
def stores(request: pytest.FixtureRequest, server_pool: Pool) -> Stores:
    local, cloud = request.param
    return Stores(server_pool.get(local, "local"), server_pool.get(cloud, "cloud"))


@pytest.fixture
def told() -> list[Event]:
    """The events of the client."""
    return []


@pytest.fixture
def hybrid(stores: Stores, open_client: Open, told: list[Event]) -> HybridRedis:
    options = {"protocol": 3, "decode_responses": True, "ack": "local", "hooks": (told.append,)}
    return open_client(stores.local.url, stores.cloud.url, **options)


@pytest.mark.parametrize("stores", PAIRS, indirect=True, ids="-and-".join)
def test_every_call_is_answered_as_by_redis_py(
    request: pytest.FixtureRequest,
    hybrid: HybridRedis,
    stores: Stores,
    server_pool: Pool,
    told: list[Event],
    tmp_path: Path,
) -> None:
    kind = request.node.callspec.params["stores"][0]
    not_alike = f"{NOT_ALIKE}|function_load|fcall" if kind == "redis-6.2" else NOT_ALIKE  # unknown there, and quoted
    lines = [line for line in LINES if not re.search(not_alike, line)]
    with client(server_pool.get(kind, "plain").url, protocol=3, decode_responses=True) as plain:
        assert wrong_answers(lines, plain, hybrid) == []
    assert_equal(hybrid, stores)
    assert not [event for event in told if isinstance(event, KeyRefused)]
    options = DiffOptions(pause_s=0.01)
    with (
        client(stores.local.url) as local,
        client(stores.cloud.url) as cloud,
        run_diff(local, cloud, tmp_path, options=options) as found,
    ):
        assert list(found.differences()) == []


@pytest.mark.parametrize("stores", [("redis-6.2", "valkey")], indirect=True)
def test_distances_are_those_of_the_store_that_reckoned_them(hybrid: HybridRedis, stores: Stores) -> None:
    """On one meridian the two do it in different ways."""
    hybrid.geoadd("places", [part for n in range(600) for part in (13.4, -80 + n / 4, f"p{n}")])
    hybrid.geosearchstore("new", "places", member="p0", radius=20_000, unit="km", storedist=True)
    hybrid.georadiusbymember("places", "p0", 20_000, unit="km", store_dist="old")
    assert hybrid.wait_in_sync(20)
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        for key in ("new", "old"):
            stored = local.zrange(key, 0, -1, withscores=True)
            assert len(stored) == 600 and cloud.zrange(key, 0, -1, withscores=True) == stored


@pytest.mark.parametrize("stores", [("redis-7.4", "redis-6.2")], indirect=True)
def test_deliveries_are_replayed_on_a_store_without_counters(hybrid: HybridRedis, stores: Stores) -> None:
    """ENTRIESREAD is no word of Redis 6.2: with it, each delivery would copy the whole stream."""
    hybrid.xadd("x", {"n": 0})
    hybrid.xgroup_create("x", "g", id="0", entries_read=0)
    assert hybrid.wait_in_sync(20)
    with client(stores.cloud.url) as cloud:
        cloud.config_resetstat()
        for number in range(5):
            hybrid.xadd("x", {"n": number})
            hybrid.xreadgroup("g", "c", {"x": ">"})
            hybrid.xgroup_setid("x", "g", "$", entries_read=number)
        hybrid.xgroup_create("x", "h", id="$", entries_read=3)
        assert_equal(hybrid, stores)
        calls = cloud.info("commandstats")
    assert calls["cmdstat_xgroup"]["failed_calls"] == 0
    assert "cmdstat_unlink" not in calls, "a copy begins with UNLINK"


@pytest.mark.parametrize("stores", [("valkey", "redis-6.2")], indirect=True)
def test_what_follows_a_command_that_is_unknown_there(hybrid: HybridRedis, stores: Stores) -> None:
    """LMPOP fails on the other store, and the LMOVE right behind it takes there what LMPOP should have taken."""
    for number in range(100):
        hybrid.rpush(f"l{number}", "last", "popped")
        hybrid.lmpop(1, f"l{number}", direction="RIGHT")
        hybrid.lmove(f"l{number}", f"moved{number}", "RIGHT", "LEFT")
    assert_equal(hybrid, stores)


REFUSED = (
    "SET new v NX GET",
    "SET s w IFEQ v",
    "BITOP DIFF s bits bits2",
    "XGROUP CREATE made g $ MKSTREAM ENTRIESREAD 0",
    "XGROUP SETID x g 0 ENTRIESREAD 0",
    "XTRIM x MAXLEN 0 ACKED",
    "XTRIM x MAXLEN 0 KEEPREF",
    "XADD x KEEPREF MAXLEN = 1 9-9 f v",
)


@pytest.mark.parametrize("stores", [("redis-6.2", "valkey"), ("redis", "redis-8.2")], indirect=True)
def test_what_the_older_store_refuses_the_newer_one_does_not_do(hybrid: HybridRedis, stores: Stores) -> None:
    """A reply must not say that nothing was done while the other store did it."""
    hybrid.mset({"s": "v", "bits": "abc", "bits2": "b"})
    for number in range(3):
        hybrid.xadd("x", {"n": number})
    hybrid.xgroup_create("x", "g")
    assert_equal(hybrid, stores)
    with client(stores.cloud.url, decode_responses=True) as cloud, client(stores.local.url) as local:
        refused = 0
        for line in REFUSED:
            before = local.dbsize(), local.xlen("x"), local.get("s")
            try:
                hybrid.execute_command(*line.split())
            except redis.ResponseError:
                refused += 1
                assert (local.dbsize(), local.xlen("x"), local.get("s")) == before
            assert_equal(hybrid, stores)
        assert refused >= 5
        assert cloud.xlen("x") == 3


@pytest.mark.parametrize("stores", [("valkey", "valkey")], indirect=True)
def test_what_is_refused_costs_the_other_store_nothing(hybrid: HybridRedis, stores: Stores) -> None:
    """Consumers make their group again and again, and a whole stream went over each time."""
    hybrid.xgroup_create("x", "g", mkstream=True)
    for number in range(50):
        hybrid.xadd("x", {"n": number}, id=f"{number + 1}-1")
    assert_equal(hybrid, stores)
    with client(stores.cloud.url) as cloud:
        before = commands(cloud)
        for call in (
            lambda: hybrid.xgroup_create("x", "g"),
            lambda: hybrid.xgroup_setid("x", "none", "$"),
            lambda: hybrid.xadd("x", {"n": 0}, id="1-1"),
            lambda: hybrid.rename("none", "x"),
        ):
            with pytest.raises(redis.ResponseError):
                call()
        hybrid.set("k", 1)
        assert_equal(hybrid, stores)
        after = commands(cloud)
    assert {name for name, calls in after.items() if calls > before.get(name, 0)} & {
        "xadd",
        "xgroup",
        "xgroup|create",
        "unlink",
        "rename",
    } == set()


@pytest.mark.parametrize("stores", [("redis-6.2", "valkey")], indirect=True)
def test_a_wait_of_a_millisecond_ends(hybrid: HybridRedis) -> None:
    """Redis 6.2 would wait for ever, and count as down."""
    hybrid.set("k", "v")
    for _ in range(5):
        assert hybrid.blpop("none", timeout=0.001) is None
    assert hybrid.status().local.state is StoreState.UP


@pytest.mark.parametrize("stores", [("valkey", "redis-6.2"), ("redis-8.2", "redis")], indirect=True)
def test_fields_that_expire_are_set_aside_where_none_can(
    hybrid: HybridRedis, stores: Stores, told: list[Event]
) -> None:
    """Without its expiry a field would stay there for ever."""
    hybrid.hset("h", mapping={"a": 1, "b": 2})
    assert hybrid.wait_in_sync(20)
    hybrid.hexpire("h", 100, "a")
    hybrid.set("after", 1)
    wait_until(lambda: any(isinstance(event, KeyRefused) for event in told), "the refusal to be told")
    [event] = [event for event in told if isinstance(event, KeyRefused)]
    assert event.key == b"h" and "expire one by one" in event.reason
    wait_until(lambda: hybrid.status().refused_keys == 1, "it to be noted")
    assert not hybrid.wait_in_sync(0.1)
    with client(stores.cloud.url) as cloud:
        wait_until(lambda: cloud.get("after") == b"1", "the keys behind it")
    hybrid.hpersist("h", "a")
    assert_equal(hybrid, stores)
    assert hybrid.status().refused_keys == 0


@pytest.mark.parametrize("stores", [("valkey", "redis-6.2")], indirect=True)
def test_a_library_that_the_other_store_cannot_load_is_told(
    hybrid: HybridRedis, stores: Stores, told: list[Event]
) -> None:
    hybrid.function_load(LIBRARY)
    hybrid.set("after", 1)
    assert_equal(hybrid, stores)
    wait_until(lambda: any(isinstance(event, CommandUnknown) for event in told), "that to be told")
    assert {event.command for event in told if isinstance(event, CommandUnknown)} == {"FUNCTION LOAD"}


@pytest.mark.parametrize("stores", [("valkey", "redis")], indirect=True)
def test_a_library_is_loaded_once_more_by_a_catch_up(stores: Stores, open_client: Open) -> None:
    """What changes no key is sent again by a stream that begins in doubt: that it is there already is no failure."""
    urls = (stores.local.url, stores.cloud.url)
    first = open_client(*urls, ack="both")
    first.function_load(LIBRARY)
    first.close()
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        assert cloud.function_list()
        local.set("hybrid:stream", "unknown")
        local.xadd("hybrid:log", {"v": pack(("FUNCTION", "LOAD", LIBRARY))})
    second = open_client(*urls)
    second.set("k", "v")
    assert_equal(second, stores)


@pytest.mark.parametrize("stores", [("redis-7.4", "redis-8.2")], indirect=True)
def test_a_document_that_the_other_store_cannot_hold(hybrid: HybridRedis, stores: Stores, told: list[Event]) -> None:
    hybrid.json().set("doc", "$", {"secret": "hush"})
    hybrid.set("after", 1)
    wait_until(lambda: any(isinstance(event, KeyRefused) for event in told), "the refusal to be told")
    [event] = [event for event in told if isinstance(event, KeyRefused)]
    assert event.key == b"doc" and event.reason == "unknown command 'JSON.SET'", "no value is told"
    with client(stores.cloud.url) as cloud:
        wait_until(lambda: cloud.get("after") == b"1", "the keys behind it")
    hybrid.delete("doc")
    assert_equal(hybrid, stores)
