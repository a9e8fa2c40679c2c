"""JSON, search, probabilistic types and time series of Redis Stack: redis-py's replies, and the same on both stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from client.calls import answer, wrong_answers
from client.rig import assert_equal
from redis.commands.search.field import NumericField, TextField
from redis.commands.search.index_definition import IndexDefinition, IndexType
from redis.commands.search.query import Query
from servers import Pool, Stores, client, wait_until

from hybrid import CommandRefused, HybridRedis

DOCUMENTS = """
r.json().set("doc", "$", {"n": 1, "text": "a", "list": [1, 2], "flag": True, "deep": {"n": 2}})
r.json().set("doc", "$.new", 1, nx=True)
r.json().set("doc", "$.new", 2, nx=True)
r.json().set("doc", "$.none.below", 2)
r.json().get("doc")
r.json().get("doc", "$..n")
r.json().mget(["doc", "none"], "$.n")
r.json().mset([("d1", "$", {"a": 1}), ("d2", "$", [1])])
r.json().merge("d1", "$", {"b": None, "c": 3})
r.json().numincrby("doc", "$..n", 0.5)
r.json().nummultby("doc", "$.n", 3)
r.execute_command("JSON.NUMPOWBY", "doc", "$.n", 1.5) is not None
r.json().strappend("doc", "b", "$.text")
r.json().strlen("doc", "$.text")
r.json().toggle("doc", "$.flag")
r.json().arrappend("doc", "$.list", 3, 4)
r.json().arrinsert("doc", "$.list", 0, "first")
r.json().arrindex("doc", "$.list", 3)
r.json().arrpop("doc", "$.list", 1)
r.json().arrtrim("doc", "$.list", 0, 1)
r.json().arrlen("doc", "$.list")
r.json().objkeys("doc", "$")
r.json().objlen("doc", "$")
r.json().type("doc", "$.list")
r.json().clear("d1", "$")
r.json().delete("doc", "$.deep")
r.json().forget("d2")
r.json().get("d2")
r.json().numincrby("doc", "$.text", 1)
r.set("string", 1) and r.json().get("string")
r.expire("doc", 100)
r.type("doc")
r.rename("doc", "moved")
r.copy("moved", "doc2")
r.pipeline().json().set("p", "$", []).json().get("p").execute()
r.eval("redis.call('JSON.SET', KEYS[1], '$', ARGV[1])", 1, "by-script", '{"a":[]}')
"""

SCHEMA = (TextField("title"), NumericField("n"))
PREFIXED = IndexDefinition(prefix=["book:"], index_type=IndexType.HASH)

PIPELINES = """
r.json().pipeline().set("p", "$", {"a": 1}).get("p").type("p", "$.a").execute()
r.json().pipeline(transaction=False).set("q", "$", 1).numincrby("q", "$", 2).execute()
r.json().pipeline().set("p", "$", 1, nx=True).set("none", "$.a", 1).execute(raise_on_error=False)[0]
r.json().pipeline().set("p", "$", 1, nx=True).set("none", "$.a", 1).execute()
r.ts().pipeline().create("ts").add("ts", 1000, 1).get("ts").execute()
r.ft("i").pipeline().create_index(SCHEMA, definition=PREFIXED).hset("book:1", "n", 3).execute()
"""

PROBABILISTIC = """
r.bf().reserve("bf", 0.01, 100)
r.bf().reserve("bf", 0.01, 100)
r.bf().add("bf", "a")
r.bf().madd("bf", "a", "b")
r.bf().exists("bf", "a")
r.cf().reserve("cf", 100)
r.cf().add("cf", "a")
r.cf().addnx("cf", "a")
r.cf().count("cf", "a")
r.cf().delete("cf", "a")
r.cms().initbydim("cms", 100, 5)
r.cms().incrby("cms", ["a", "b"], [1, 2])
r.cms().query("cms", "a", "b")
r.topk().reserve("topk", 3, 10, 5, 0.9)
r.topk().add("topk", "a", "b", "a")
r.topk().query("topk", "a")
r.tdigest().create("td", 100)
r.tdigest().add("td", [1, 2, 3])
r.tdigest().max("td")
r.ts().create("ts", labels={"kind": "test"})
r.ts().add("ts", 1000, 1.5)
r.ts().madd([("ts", 2000, 2), ("ts", 3000, 3)])
r.ts().range("ts", 0, 5000)
r.ts().add("clocked", "*", 1) > 0
"""
HELD = """
r.bf().mexists("bf", "a", "b", "c")
r.cf().count("cf", "a")
r.cms().query("cms", "a", "b")
r.topk().list("topk", withcount=True)
r.execute_command("TDIGEST.QUANTILE", "td", 0.1, 0.5, 0.9)
r.ts().range("ts", "-", "+")
r.ts().range("clocked", "-", "+")
""".strip().splitlines()


@pytest.fixture
def stores(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud"))


def assert_answers(
    text: str, hybrid: HybridRedis, server_pool: Pool, protocol: int, names: dict[str, Any] | None = None
) -> None:
    with client(server_pool.get("redis-7.4", "plain").url, protocol=protocol, decode_responses=True) as plain:
        assert wrong_answers(text.strip().splitlines(), plain, hybrid, names) == []


def test_documents_are_answered_as_by_redis_py(
    open_hybrid: Callable[..., HybridRedis], server_pool: Pool, stores: Stores, protocol: int
) -> None:
    hybrid = open_hybrid(decode_responses=True, ack="local")
    assert_answers(DOCUMENTS, hybrid, server_pool, protocol)
    assert_equal(hybrid, stores)
    assert hybrid.status().refused_keys == 0


def test_pipelines_of_modules_reach_both_stores(
    open_hybrid: Callable[..., HybridRedis], server_pool: Pool, stores: Stores, protocol: int
) -> None:
    """redis-py's own would connect by themselves, and write to one store."""
    hybrid = open_hybrid(decode_responses=True, ack="local")
    names = {"SCHEMA": SCHEMA, "PREFIXED": PREFIXED}
    assert_answers(PIPELINES, hybrid, server_pool, protocol, names)
    assert_equal(hybrid, stores)
    with client(stores.cloud.url) as cloud:
        assert cloud.json().get("p") == {"a": 1}
        assert cloud.ts().get("ts") is not None
        assert cloud.execute_command("FT._LIST") == [b"i"]


def test_documents_are_copied_to_a_store_that_was_emptied(
    open_hybrid: Callable[..., HybridRedis], stores: Stores
) -> None:
    with client(stores.local.url) as local:
        for number in range(300):
            local.execute_command("JSON.SET", f"doc:{number}", "$", f'{{"n":{number}}}')
    hybrid = open_hybrid()
    assert_equal(hybrid, stores)
    assert hybrid.json().get("doc:299") == {"n": 299}


@pytest.mark.parametrize("protocol", [3], ids=["resp3"])
def test_types_without_a_typed_copy(
    open_hybrid: Callable[..., HybridRedis], server_pool: Pool, stores: Stores, protocol: int
) -> None:
    """They are replayed, and copied as dumps where a replay would not do."""
    hybrid = open_hybrid(decode_responses=True, ack="local")
    assert_answers(PROBABILISTIC, hybrid, server_pool, protocol)
    assert hybrid.wait_in_sync(20)
    assert hybrid.status().refused_keys == 0
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        for line in HELD:
            assert answer(line, cloud) == answer(line, local), line


@pytest.mark.parametrize(("local", "cloud"), [("redis-7.4", "redis-8.2")])
def test_a_type_that_the_other_store_does_not_know_is_set_aside(
    open_client: Callable[..., HybridRedis], server_pool: Pool, local: str, cloud: str
) -> None:
    here, there = server_pool.get(local, "local"), server_pool.get(cloud, "cloud")
    hybrid = open_client(here.url, there.url, ack="local")
    hybrid.bf().add("bf", "a")
    hybrid.topk().reserve("topk", 3, 10, 5, 0.9)
    hybrid.topk().add("topk", "a")
    hybrid.set("after", 1)
    wait_until(lambda: hybrid.status().refused_keys == 2, "both to be set aside")
    with client(there.url) as connection:
        wait_until(lambda: connection.get("after") == b"1", "the keys behind them")
    hybrid.delete("bf", "topk")
    assert hybrid.wait_in_sync(20)
    assert hybrid.status().refused_keys == 0


@pytest.mark.parametrize("protocol", [3], ids=["resp3"])
def test_each_store_indexes_its_own_keys(open_hybrid: Callable[..., HybridRedis], stores: Stores) -> None:
    hybrid = open_hybrid(decode_responses=True, protocol=2)
    hybrid.hset("book:1", mapping={"title": "the first book", "n": 1})
    hybrid.ft("i").create_index(SCHEMA, definition=PREFIXED)
    hybrid.hset("book:2", mapping={"title": "the second book", "n": 2})
    hybrid.ft("i").alter_schema_add([TextField("author")])
    hybrid.ft("i").aliasadd("alias")
    hybrid.ft("i").dict_add("words", "book")
    assert_equal(hybrid, stores)
    for store in (stores.local, stores.cloud):
        with client(store.url, decode_responses=True, protocol=2) as plain:
            wait_until(lambda plain=plain: plain.ft("i").search("second").total == 1, "the index to be filled")
            assert plain.ft("alias").search(Query("book").paging(0, 0)).total == 2
            assert plain.ft("i").dict_dump("words") == ["book"]
    assert [doc.id for doc in hybrid.ft("i").search("@n:[2 5]").docs] == ["book:2"]
    hybrid.ft("i").dropindex()
    assert hybrid.wait_in_sync(20)
    for store in (stores.local, stores.cloud):
        with client(store.url) as plain:
            assert plain.execute_command("FT._LIST") == []
    assert hybrid.exists("book:1", "book:2") == 2


@pytest.mark.parametrize("protocol", [3], ids=["resp3"])
def test_what_would_delete_keys_unseen_is_refused(open_hybrid: Callable[..., HybridRedis]) -> None:
    hybrid = open_hybrid()
    with pytest.raises(CommandRefused, match="TEMPORARY"):
        hybrid.ft("i").create_index(SCHEMA, temporary=5, definition=PREFIXED)
    hybrid.ft("i").create_index(SCHEMA, definition=PREFIXED)
    with pytest.raises(CommandRefused, match="not named"):
        hybrid.ft("i").dropindex(delete_documents=True)
