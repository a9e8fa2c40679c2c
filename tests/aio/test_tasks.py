"""Many tasks on shared connections: what one does, fails or leaves behind is no matter of the others."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import redis
from aio.rig import on_loop, opened
from servers import Stores, client

from hybrid import HybridRedis as SyncRedis
from hybrid.aio import HybridRedis


def test_a_thousand_tasks_write_at_once_and_each_write_counts(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        counts = await asyncio.gather(*(hybrid.incr("n") for _ in range(1000)))
        assert sorted(counts) == list(range(1, 1001))
        await asyncio.gather(*(hybrid.rpush(f"l:{n % 7}", n) for n in range(500)))
        drawn = await asyncio.gather(*(hybrid.spop("l:0") for _ in range(2)), return_exceptions=True)
        assert {type(error) for error in drawn} == {redis.ResponseError}
        assert sum([await hybrid.llen(f"l:{n}") for n in range(7)]) == 500

    on_loop(stores, test, ack="both")
    with client(stores.local.url) as local:
        connections = len([it for it in local.client_list() if it["cmd"] != "client|list"])
    assert connections < 40


def test_a_command_that_the_server_refuses_takes_none_of_its_group_with_it(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        async def fail() -> None:
            with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
                await hybrid.execute_command("SET", "only a key")

        writes = [hybrid.set(f"k:{n}", n) for n in range(50)] + [fail() for _ in range(3)]
        pipelines = [hybrid.pipeline().incr("n").set("p", "v").execute() for _ in range(20)]
        await asyncio.gather(*writes, *pipelines, *(hybrid.incr("n") for _ in range(50)))
        assert (await hybrid.get("n"), await hybrid.dbsize()) == ("70", 52)

    on_loop(stores, test)


def test_scripts_that_the_server_forgot_are_loaded_again(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        await hybrid.sadd("set", *range(100))
        assert await hybrid.spop("set")
        with client(stores.local.url) as local:
            local.script_flush()
        popped = await asyncio.gather(*(hybrid.spop("set") for _ in range(50)), *(hybrid.incr("n") for _ in range(50)))
        assert len(set(popped[:50])) == 50
        assert (await hybrid.scard("set"), await hybrid.get("n")) == (49, "50")

    on_loop(stores, test)


def test_a_reply_that_cannot_be_decoded_is_one_tasks_own_problem(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        await hybrid.set("binary", b"\xff\xfe")
        await hybrid.set("text", "grün")
        calls = [hybrid.get("binary" if n % 3 == 0 else "text") for n in range(30)]
        replies = await asyncio.gather(*calls, hybrid.getset("binary", b"\xff"), return_exceptions=True)
        assert [type(reply) for reply in replies] == [UnicodeDecodeError if n % 3 == 0 else str for n in range(31)]
        assert await hybrid.get("text") == "grün"

    on_loop(stores, test)


def test_cancelled_tasks_leave_the_connections_in_step(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        await hybrid.mset({f"k:{n}": n for n in range(100)})
        for _ in range(20):
            tasks = [asyncio.ensure_future(hybrid.get(f"k:{n}")) for n in range(100)]
            tasks += [asyncio.ensure_future(hybrid.incr(f"n:{n}")) for n in range(20)]
            waiting = asyncio.ensure_future(hybrid.blpop(["nothing"], timeout=30))
            await asyncio.sleep(0)
            for task in (*tasks[::2], waiting):
                task.cancel()
            replies = await asyncio.gather(*tasks, return_exceptions=True)
            assert replies[1:100:2] == [str(n) for n in range(1, 100, 2)]
            with pytest.raises(asyncio.CancelledError):
                await waiting
        counts = await asyncio.gather(*(hybrid.get(f"n:{n}") for n in range(1, 20, 2)))
        assert counts == ["20"] * 10, "the tasks that were not cancelled"
        async with hybrid.pipeline() as pipeline:
            await pipeline.watch("k:1")
            stuck = asyncio.ensure_future(pipeline.get("k:1"))
            await asyncio.sleep(0)
            stuck.cancel()
        assert await hybrid.get("k:2") == "2"

    on_loop(stores, test)


def test_watched_keys_and_the_transaction_helper(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        async def add(pipeline: Any) -> None:
            value = int(await pipeline.get("n") or 0)
            pipeline.multi()
            pipeline.set("n", value + 1)

        await asyncio.gather(*(hybrid.transaction(add, "n") for _ in range(20)))
        assert await hybrid.get("n") == "20"
        async with hybrid.pipeline() as pipeline:
            await pipeline.watch("n")
            await hybrid.set("n", "moved")
            pipeline.multi()
            pipeline.set("n", "lost").spop("set")
            with pytest.raises(redis.WatchError):
                await pipeline.execute()
            await pipeline.watch("n")
            await hybrid.set("n", "moved once more")
            pipeline.multi()
            with pytest.raises(redis.WatchError):  # of an empty transaction
                await pipeline.execute()
            await pipeline.watch("n")
            await pipeline.unwatch()
            await hybrid.set("n", "moved again")
            assert await pipeline.set("n", "won").spop("set").execute() == [True, None]
            await pipeline.watch("n")
            assert await pipeline.incr("another") == 1, "a write before multi() runs at once"
            pipeline.multi()
            assert await pipeline.get("n").execute() == ["won"]
            assert await pipeline.pipeline().set("inner", 1).execute() == [True], "a pipeline is a client too"

    on_loop(stores, test)


def test_blocking_commands_wait_without_holding_others_up(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        await hybrid.xgroup_create("stream", "group", mkstream=True)
        waiting = [
            asyncio.ensure_future(wait)
            for wait in (
                hybrid.blpop(["a", "b"], timeout=20),
                hybrid.blmove("from", "to", 20),
                hybrid.bzpopmin("zset", timeout=20),
                hybrid.xread({"news": "$"}, block=20_000),
                hybrid.xreadgroup("group", "me", {"stream": ">"}, block=20_000),
            )
        ]
        while len([it for it in await hybrid.client_list() if "b" in it["flags"]]) < 2:
            await asyncio.sleep(0.01)
        assert not any(task.done() for task in waiting)
        await asyncio.gather(hybrid.rpush("b", 1), hybrid.rpush("from", 2), hybrid.zadd("zset", {"m": 3}))
        await asyncio.gather(hybrid.xadd("news", {"n": 4}), hybrid.xadd("stream", {"n": 5}))
        popped, moved, least, read, grouped = await asyncio.gather(*waiting)
        assert (tuple(popped), moved, tuple(least)) == (("b", "1"), "2", ("zset", "m", 3.0))
        assert dict(read)["news"] and dict(grouped)["stream"]
        assert await hybrid.blpop(["a"], timeout=0.05) is None

    on_loop(stores, test, protocol=3)


def test_a_lock_is_held_by_one_task_at_a_time(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        inside = 0

        async def work() -> None:
            nonlocal inside
            async with hybrid.lock("lock", timeout=30, sleep=0.001) as lock:
                inside += 1
                assert inside == 1
                assert await lock.extend(30)
                inside -= 1

        await asyncio.gather(*(work() for _ in range(10)))
        assert not await hybrid.exists("lock")

    on_loop(stores, test)


def test_large_values_and_long_pipelines(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        large = "x" * 3_000_000
        await asyncio.gather(hybrid.set("large", large), *(hybrid.set(f"k:{n}", n) for n in range(100)))
        assert await hybrid.get("large") == large
        for transaction in (True, False):
            pipeline = hybrid.pipeline(transaction=transaction)
            for n in range(1500):
                pipeline.rpush("list", n).get("k:1")
            replies = await pipeline.execute()
            assert (len(replies), replies[1]) == (3000, "1")
        assert await hybrid.llen("list") == 3000
        assert len([key async for key in hybrid.scan_iter("k:*", count=7)]) == 100

    on_loop(stores, test, ack="local")


def test_a_loop_that_is_held_up_is_no_sign_of_a_dead_store(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        for _ in range(3):
            calls = [asyncio.ensure_future(hybrid.set(f"k:{n}", n)) for n in range(20)]
            calls += [asyncio.ensure_future(hybrid.get("k")) for _ in range(20)]
            await asyncio.sleep(0)
            time.sleep(0.3)  # three times what a reply may take
            await asyncio.gather(*calls)
        assert (await hybrid.status()).epoch == 1

    on_loop(stores, test, local_timeout_s=0.1)


def test_loading_through_the_cache(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        calls = 0

        async def load() -> dict[str, int]:
            nonlocal calls
            calls += 1
            return {"calls": calls}

        assert await hybrid.get_or_load("k", load, ex=100) == await hybrid.get_or_load("k", load) == {"calls": 1}

        @hybrid.cached(ex=100)
        async def square(number: int) -> int:
            nonlocal calls
            calls += 1
            return number**2

        @hybrid.cached(key=lambda number: f"plain:{number}")
        def plain(number: int) -> int:
            return -number

        assert [await square(4), await square(4), await plain(3), await hybrid.get("plain:3")] == [16, 16, -3, "-3"]
        assert calls == 2

    on_loop(stores, test)


def test_both_clients_on_the_same_stores_see_each_others_writes(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        with SyncRedis.from_urls(stores.local.url, stores.cloud.url, decode_responses=True) as other:
            await asyncio.to_thread(other.set, "k", "sync")
            assert await hybrid.get("k") == "sync"
            await hybrid.set("k", "async")
            assert await asyncio.to_thread(other.get, "k") == "async"

    on_loop(stores, test)


def test_subscriptions(stores: Stores) -> None:
    async def test(hybrid: HybridRedis) -> None:
        heard: list[str] = []
        async with hybrid.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe("one", "two", three=lambda message: heard.append(message["data"]))
            await pubsub.psubscribe("p.*")
            assert await pubsub.get_message(timeout=0.05) is None
            for channel in ("one", "p.q", "three", "two"):
                await hybrid.publish(channel, channel)
            messages: list[str] = []
            while len(messages) < 3 or not heard:
                message = await pubsub.get_message(timeout=5)
                messages += [message["data"]] if message else []
            assert (messages, heard) == (["one", "p.q", "two"], ["three"])
            await pubsub.unsubscribe("one")
            while pubsub.channels.keys() != {"two", "three"}:
                await pubsub.get_message(timeout=5)
            await hybrid.publish("one", "unheard")
            await hybrid.publish("two", "last")
            async for message in pubsub.listen():
                assert message["data"] == "last"
                break

    on_loop(stores, test)


def test_a_client_opened_by_await_and_closed_by_hand(stores: Stores) -> None:
    async def run() -> None:
        hybrid = await opened(stores)
        await hybrid.set("k", "v")
        await hybrid.aclose()
        await hybrid.aclose()
        assert await hybrid.get("k") == "v", "as redis-py's, it opens again"
        await hybrid.aclose()

    asyncio.run(run())
