"""Pipelines, transactions and optimistic locking."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from client.rig import assert_equal, one_pair, outcome
from redis.client import Pipeline
from servers import Stores, client

from hybrid import CommandRefused, HybridRedis
from hybrid.stores.processes import ServerProcess
from hybrid.stores.wire import Wire

both_kinds = pytest.mark.parametrize("transaction", [True, False], ids=["transaction", "pipeline"])


def mixed(r: redis.Redis, transaction: bool) -> list[Any]:
    pipeline = r.pipeline(transaction=transaction)
    pipeline.set("s", "v", ex=100).get("s").incr("n", 5).hset("h", mapping={"a": 1, "b": 2}).hgetall("h")
    pipeline.rpush("l", 1, 2, 3).lrange("l", 0, -1).lpop("l").sadd("set", "m").spop("set").exists("set")
    pipeline.incrbyfloat("f", 0.5).get("f").zadd("z", {"a": 1, "b": 2}).zrange("z", 0, -1, withscores=True)
    pipeline.delete("x").xadd("x", {"a": 1}, id="1-1").xrange("x").eval("return redis.call('INCR', KEYS[1])", 1, "n")
    pipeline.xgroup_create("x", "g", id="0").xreadgroup("g", "c", {"x": ">"}, block=5)
    pipeline.xreadgroup("g", "finds nothing", {"x": ">"}, block=5)
    pipeline.brpoplpush("l", "l2", 1).brpoplpush("none", "l2", 1).blmove("l", "l3", 1).blpop("l3", 1).blpop("none", 1)
    pipeline.mget("s", "n", "none").expire("l", 100).type("z").delete("s", "none").hincrbyfloat("h", "a", 0.25)
    pipeline.setbit("bits", 3, 1).bitcount("bits").pfadd("hll", "a").pfcount("hll").getset("g", "1").getdel("g")
    pipeline.select(0)
    return list(pipeline.execute())


@both_kinds
@pytest.mark.parametrize("decoded", [True, False], ids=["str", "bytes"])
def test_reads_and_writes_mixed_are_answered_as_by_redis_py(
    open_hybrid: Callable[..., HybridRedis],
    plain_server: ServerProcess,
    stores: Stores,
    protocol: int,
    decoded: bool,
    transaction: bool,
) -> None:
    hybrid = open_hybrid(decode_responses=decoded)
    with client(plain_server.url, protocol=protocol, decode_responses=decoded) as plain:
        assert mixed(hybrid, transaction) == mixed(plain, transaction)
        assert mixed(hybrid, transaction) == mixed(plain, transaction), "a second time, on what the first one left"
    assert_equal(hybrid, stores)


def failing(r: redis.Redis, transaction: bool, raise_on_error: bool) -> Any:
    r.set("text", "no number")
    pipeline = r.pipeline(transaction=transaction)
    pipeline.set("before", 1).incr("text").get("before").spop("text").set("after", 2)
    replies = pipeline.execute(raise_on_error=raise_on_error)
    return [(type(reply).__name__, str(reply)) if isinstance(reply, Exception) else reply for reply in replies]


@both_kinds
@pytest.mark.parametrize("raise_on_error", [True, False], ids=["raised", "returned"])
def test_errors_inside_are_those_of_redis_py(
    hybrid: HybridRedis, plain_server: ServerProcess, protocol: int, transaction: bool, raise_on_error: bool
) -> None:
    with client(plain_server.url, protocol=protocol, decode_responses=True) as plain:
        expected = outcome(lambda: failing(plain, transaction, raise_on_error))
        found = outcome(lambda: failing(hybrid, transaction, raise_on_error))
    assert found == expected
    if raise_on_error:
        assert "Command # 2 (INCRBY text 1) of pipeline caused error" in found[1]
    assert hybrid.mget("before", "after") == ["1", "2"], "what stands around the error was run"


def test_a_command_that_cannot_be_queued_stops_the_whole_transaction(
    hybrid: HybridRedis, plain_server: ServerProcess
) -> None:
    with client(plain_server.url, decode_responses=True) as plain:
        for r in (plain, hybrid):
            with pytest.raises(redis.ResponseError, match=r"Command # 2 .* of pipeline caused error: wrong number"):
                r.pipeline().set("a", 1).execute_command("SET", "b").set("c", 1).execute()
    assert hybrid.keys() == []


def test_a_command_that_cannot_be_queued_stops_no_other_command_of_a_plain_pipeline(
    hybrid: HybridRedis, plain_server: ServerProcess
) -> None:
    with client(plain_server.url, decode_responses=True) as plain:
        for r in (plain, hybrid):
            pipeline = r.pipeline(transaction=False).set("a", 1).execute_command("SET", "b").incr("a")
            first, error, last = pipeline.execute(raise_on_error=False)
            assert (first, type(error), last) == (True, redis.ResponseError, 2)


@both_kinds
def test_thousands_of_commands_in_one_pipeline(hybrid: HybridRedis, stores: Stores, transaction: bool) -> None:
    pipeline = hybrid.pipeline(transaction=transaction)
    for n in range(2000):
        (pipeline.incr("n"), pipeline.rpush("l", n), pipeline.spop("none"), pipeline.set(f"k:{n}", n, ex=1000))[n % 4]
    replies = pipeline.execute()
    assert len(replies) == 8000
    assert replies[-4:] == [2000, 2000, None, True]
    assert_equal(hybrid, stores)
    with client(stores.cloud.url) as cloud:
        assert (cloud.get("n"), cloud.llen("l"), cloud.exists("k:1999")) == (b"2000", 2000, 1)


@one_pair
def test_a_pipeline_is_used_again_and_empty(hybrid: HybridRedis) -> None:
    pipeline = hybrid.pipeline()
    assert pipeline.execute() == []
    assert len(pipeline.get("a")) == 1
    assert pipeline.execute() == [None]
    assert pipeline.set("a", 1).execute() == [True]
    with hybrid.pipeline() as inner:
        inner.incr("a")
        inner.reset()
        assert inner.execute() == []
    assert hybrid.get("a") == "1"


def test_a_large_value_in_a_pipeline(hybrid: HybridRedis, stores: Stores) -> None:
    large = "x" * 200_000
    assert hybrid.pipeline().set("large", large).append("large", "!").incr("n").strlen("large").execute() == [
        True,
        200_001,
        1,
        200_001,
    ]
    assert_equal(hybrid, stores)


def test_a_pipeline_is_a_client_and_opens_pipelines_too(hybrid: HybridRedis, stores: Stores) -> None:
    outer = hybrid.pipeline().set("outer", 1)
    inner = outer.pipeline().set("inner", 2).incr("inner")
    assert (inner.execute(), outer.execute()) == ([True, 3], [True])
    with outer.pubsub() as pubsub:
        pubsub.subscribe("channel")
        assert pubsub.get_message(timeout=5)["type"] == "subscribe"
    assert_equal(hybrid, stores)


def test_nobody_takes_a_connection_past_the_client(hybrid: HybridRedis) -> None:
    with pytest.raises(CommandRefused, match="hybrid decides which store"):
        hybrid.connection_pool.get_connection()
    with pytest.raises(CommandRefused):
        Pipeline(hybrid.connection_pool, {}, True, None).set("k", 1).execute()


# -- WATCH


def test_a_watched_key_that_moves_raises(hybrid: HybridRedis) -> None:
    hybrid.set("k", 1)
    with hybrid.pipeline() as pipeline:
        pipeline.watch("k")
        assert pipeline.get("k") == "1"
        hybrid.set("k", 2)
        pipeline.multi()
        pipeline.set("k", 3)
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    assert hybrid.get("k") == "2"


def test_a_watched_key_that_stays_lets_the_transaction_through(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.set("k", 1)
    for expected in (2, 3, 4):
        with hybrid.pipeline() as pipeline:
            pipeline.watch("k")
            value = int(pipeline.get("k"))  # type: ignore[arg-type]
            pipeline.multi()
            pipeline.set("k", value + 1).sadd("set", expected).spop("set").set("ttl", 1, ex=100)
            assert pipeline.execute() == [True, 1, str(expected), True]
    assert hybrid.get("k") == "4"
    assert_equal(hybrid, stores)


@one_pair
def test_unwatch_and_the_end_of_a_pipeline_forget_what_was_watched(hybrid: HybridRedis) -> None:
    hybrid.set("k", 1)
    with hybrid.pipeline() as pipeline:
        pipeline.watch("k")
        hybrid.set("k", 2)
        pipeline.unwatch()
        pipeline.multi()
        assert pipeline.set("k", 3).execute() == [True]
    for _ in range(3):
        with hybrid.pipeline() as pipeline:
            pipeline.watch("k")
    hybrid.set("k", 4)
    assert hybrid.pipeline().set("k", 5).execute() == [True]
    assert hybrid.get("k") == "5"


@one_pair
def test_a_write_between_watch_and_multi_runs_at_once(hybrid: HybridRedis, stores: Stores) -> None:
    with hybrid.pipeline() as pipeline:
        pipeline.watch("k")
        assert pipeline.rpush("other", "a", "b") == 2
        assert list(pipeline.blpop(["other"], timeout=1)) == ["other", "a"]
        pipeline.multi()
        assert pipeline.set("k", 1).lpop("other").execute() == [True, "b"]
        pipeline.watch("k")
        assert pipeline.set("k", 2) is True
        pipeline.multi()
        pipeline.set("k", 3)
        with pytest.raises(redis.WatchError):  # as on a connection of one's own
            pipeline.execute()
        pipeline.watch("k")
        with pytest.raises(CommandRefused, match="only the database"):
            pipeline.execute_command("SELECT", 1)
    assert hybrid.get("k") == "2"
    assert_equal(hybrid, stores)


def test_the_transaction_helper_tries_until_it_wins(hybrid: HybridRedis) -> None:
    hybrid.set("k", 0)
    tries: list[int] = []

    def add(pipeline: Any) -> str:
        value = int(pipeline.get("k"))
        tries.append(value)
        if len(tries) == 1:
            hybrid.incr("k", 10)
        pipeline.multi()
        pipeline.set("k", value + 1)
        return "done"

    assert hybrid.transaction(add, "k") == [True]
    assert hybrid.transaction(add, "k", value_from_callable=True) == "done"
    assert tries == [0, 10, 11]
    assert hybrid.get("k") == "12"


def test_transactions_of_several_threads_lose_nothing(hybrid: HybridRedis) -> None:
    hybrid.set("k", 0)

    def add(pipeline: Any) -> None:
        value = int(pipeline.get("k"))
        pipeline.multi()
        pipeline.set("k", value + 1)

    threads = [threading.Thread(target=lambda: [hybrid.transaction(add, "k") for _ in range(15)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert hybrid.get("k") == "60"


@pytest.mark.parametrize("options", [{"write_both": False}, {"ack": "local"}], ids=["one store", "ack=local"])
def test_watch_under_other_settings(open_hybrid: Callable[..., HybridRedis], options: dict[str, Any]) -> None:
    hybrid = open_hybrid(decode_responses=True, **options)
    hybrid.set("k", 1)
    with hybrid.pipeline() as pipeline:
        pipeline.watch("k")
        pipeline.multi()
        assert pipeline.incr("k").execute() == [2]
        pipeline.watch("k")
        hybrid.incr("k")
        pipeline.multi()
        with pytest.raises(redis.WatchError):
            pipeline.incr("k").execute()
    assert hybrid.get("k") == "3"


@one_pair
def test_an_empty_transaction_and_one_that_only_reads_tell_of_a_key_that_moved(hybrid: HybridRedis) -> None:
    for queued in ((), ("k",)):
        with hybrid.pipeline() as pipeline:
            pipeline.watch("k")
            hybrid.incr("k")
            pipeline.multi()
            for key in queued:
                pipeline.get(key)
            with pytest.raises(redis.WatchError):
                pipeline.execute()
            pipeline.watch("k")
            pipeline.multi()
            for key in queued:
                pipeline.get(key)
            assert pipeline.execute() == ["2" for _ in queued]
            assert pipeline.set("k", 1).execute() == [True]


@both_kinds
@one_pair
def test_what_has_no_operands_is_answered_and_not_sent(hybrid: HybridRedis, transaction: bool) -> None:
    pipeline = hybrid.pipeline(transaction=transaction)
    assert pipeline.set("a", 1).mget([]).get("a").execute() == [True, [], "1"]


class Interrupted(BaseException):
    """What a time limit of a worker, Ctrl-C or gevent raises, wherever the thread is just then."""


@one_pair
@pytest.mark.parametrize("moment", ["watch", "get", "execute"])
def test_one_that_is_interrupted_leaves_no_reply_to_the_next(
    hybrid: HybridRedis, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    hybrid.mset({"k": "1", "other": "2"})

    received, here = Wire._received, threading.get_ident()

    def interrupted(wire: Wire, sock: Any) -> int:
        if threading.get_ident() != here:
            return received(wire, sock)
        monkeypatch.undo()
        raise Interrupted

    with pytest.raises(Interrupted), hybrid.pipeline() as pipeline:
        if moment == "watch":
            monkeypatch.setattr(Wire, "_received", interrupted)
        pipeline.watch("k")
        if moment == "get":
            monkeypatch.setattr(Wire, "_received", interrupted)
        pipeline.get("k")
        pipeline.multi()
        pipeline.set("k", "3").set("j", "4")
        monkeypatch.setattr(Wire, "_received", interrupted)
        pipeline.execute()
    for _ in range(2):
        with hybrid.pipeline() as pipeline:
            pipeline.watch("other")
            assert pipeline.get("other") == "2"
            pipeline.multi()
            assert pipeline.get("other").set("l", "5").execute() == ["2", True]
    assert hybrid.incr("n") == 1
