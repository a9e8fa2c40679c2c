"""The asyncio client from opening to closing: loops, threads, forks, and a loop that is never blocked."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable

import pytest
from aio.rig import LoopThread, on_loop, opened
from servers import Stores, client, wait_until

from hybrid import AllStoresDown, ConfigurationError, Health, OutcomeUnknown, StoreUnavailable
from hybrid.aio import HybridRedis
from hybrid.aio.endpoint import LoopEndpoint
from hybrid.aio.wire import Wire
from hybrid.core.authority import Authority, Holder
from hybrid.stores.processes import ServerProcess


def test_closing_ends_threads_and_connections_and_ships_what_was_written(stores: Stores) -> None:
    before = set(threading.enumerate())
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        connections = [len(store.client_list()) for store in (local, cloud)]

        async def run() -> None:
            async with opened(stores, ack="local") as hybrid:
                await asyncio.gather(*(hybrid.rpush("l", n) for n in range(500)))
                assert (await hybrid.status()).health is Health.HEALTHY
                assert len(asyncio.all_tasks()) == 1
            assert len(asyncio.all_tasks()) == 1

        asyncio.run(run())
        wait_until(lambda: set(threading.enumerate()) <= before, "all threads ended")
        wait_until(
            lambda: all(len(it.client_list()) <= n for it, n in zip((local, cloud), connections, strict=True)),
            "all connections closed",
        )
        assert cloud.llen("l") == 500


@pytest.mark.parametrize("begun", [True, False], ids=["in the middle", "while it connects"])
def test_tasks_that_write_while_the_client_is_closed_come_to_an_end(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """None waits for ever, and none is told that it may write again what may have counted."""
    monkeypatch.setattr("hybrid.aio.client.CLOSE_S", 0.0)
    acknowledged = unknown = 0

    async def write(hybrid: HybridRedis) -> None:
        nonlocal acknowledged, unknown
        try:
            while not hybrid._board.closing:
                await hybrid.incr("n")
                acknowledged += 1
        except StoreUnavailable:
            pass
        except OutcomeUnknown:
            unknown += 1

    async def for_ever(_: LoopEndpoint) -> Wire:
        return await asyncio.get_running_loop().create_future()

    async def run() -> None:
        nonlocal acknowledged
        hybrid = opened(stores, ack="local")
        if begun:
            acknowledged = await hybrid.incr("n")
        else:
            monkeypatch.setattr(LoopEndpoint, "connect_fenced", for_ever)
            await hybrid.start()
        writing = [asyncio.ensure_future(write(hybrid)) for _ in range(20)]
        await asyncio.sleep(0.1)
        await hybrid.aclose()
        _, waiting = await asyncio.wait(writing, timeout=20)
        assert not waiting
        await asyncio.gather(*writing)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    with client(stores.local.url) as local:
        assert acknowledged <= int(local.get("n") or 0) <= acknowledged + unknown


def test_a_client_that_is_dropped_unclosed_leaves_nothing_behind(stores: Stores) -> None:
    async def use() -> None:
        hybrid = opened(stores)
        await hybrid.set("k", "v")

    async def run() -> None:
        with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
            before = [len(store.client_list()) for store in (local, cloud)]
            await use()
            async with asyncio.timeout(20):
                while [len(store.client_list()) for store in (local, cloud)] != before:
                    gc.collect()
                    await asyncio.sleep(0.05)

    asyncio.run(run())


def test_opening_does_not_block_the_loop(server: Callable[..., ServerProcess]) -> None:
    """A cloud store that hangs costs opening its time, and no other task a moment."""
    local, cloud = server(), server()
    cloud.pause()

    async def run() -> None:
        longest_s, last_s, opening = 0.0, time.monotonic(), True

        async def tick() -> None:
            nonlocal longest_s, last_s
            while opening:
                await asyncio.sleep(0.005)
                longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()

        ticking = asyncio.ensure_future(tick())
        started_s = time.monotonic()
        hybrid = HybridRedis.from_urls(local.url, cloud.url, local_timeout_s=3.0)
        await hybrid.set("k", "v")
        took_s = time.monotonic() - started_s
        opening = False
        await ticking
        assert longest_s < took_s / 2, "others ran meanwhile"
        cloud.resume()
        await hybrid.aclose()

    asyncio.run(run())


def test_one_client_serves_several_loops(stores: Stores, thread: LoopThread) -> None:
    async def test(hybrid: HybridRedis) -> None:
        async def work(name: str) -> int:
            await asyncio.gather(*(hybrid.incr(name) for _ in range(100)))
            return int(await hybrid.incr("n"))

        elsewhere = asyncio.run_coroutine_threadsafe(work("there"), thread.loop)
        here, there = await asyncio.gather(work("here"), asyncio.wrap_future(elsewhere))
        assert sorted((here, there)) == [1, 2]
        assert await hybrid.mget("here", "there") == ["100", "100"]

    on_loop(stores, test)


def test_one_loop_after_the_other(stores: Stores) -> None:
    hybrid = opened(stores)
    for n in range(1, 4):
        assert asyncio.run(_incremented(hybrid)) == n

    async def close() -> None:
        await hybrid.aclose()

    asyncio.run(close())


async def _incremented(hybrid: HybridRedis) -> int:
    return int(await hybrid.incr("n"))


def test_a_forked_child_has_connections_of_its_own(stores: Stores) -> None:
    hybrid = opened(stores)
    assert asyncio.run(_incremented(hybrid)) == 1
    child = os.fork()
    if not child:
        try:
            os._exit(0 if asyncio.run(_incremented(hybrid)) == 2 else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0

    async def last() -> int:
        try:
            return await _incremented(hybrid)
        finally:
            await hybrid.aclose()

    assert asyncio.run(last()) == 3


def test_writes_that_meet_a_moved_record_go_where_it_says(stores: Stores) -> None:
    """The fence: the record moves while groups are on their way, and nothing is written to the store that lost it."""

    async def test(hybrid: HybridRedis) -> None:
        await asyncio.gather(*(hybrid.incr("n") for _ in range(100)))
        assert await hybrid.wait_in_sync(20)
        writing = [asyncio.ensure_future(hybrid.incr("n")) for _ in range(1000)]
        with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
            await asyncio.sleep(0.01)
            moved = Authority(Holder.CLOUD, 7, held=True).record
            local.set("hybrid:authority", moved)
            log = local.xinfo_stream("hybrid:log")["last-generated-id"]
            cloud.set("hybrid:authority", moved)
            counts = await asyncio.gather(*writing)
            assert local.xinfo_stream("hybrid:log")["last-generated-id"] == log, "nothing passed the fence"
        assert len(counts) == 1000

    async def run() -> None:
        async with opened(stores) as hybrid:
            await test(hybrid)

    asyncio.run(run())


@pytest.mark.parametrize("watched", [False, True])
def test_a_claimed_store_is_written_behind_the_last_word(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    found: list[int] = []

    async def write(hybrid: HybridRedis) -> None:
        if not watched:
            await hybrid.set("k", "v")
            return
        async with hybrid.pipeline() as pipe:
            await pipe.watch("k")
            pipe.multi()
            await pipe.set("k", "v").execute()

    async def test(hybrid: HybridRedis) -> None:
        board = hybrid._board
        assert await hybrid.wait_in_sync(20)
        with client(stores.local.url) as local, client(stores.cloud.url) as cloud:

            def await_seal() -> None:
                found.append(cloud.exists("k"))
                board.unsealed_until_s = 0.0

            monkeypatch.setattr(board, "await_seal", await_seal)
            for store in (local, cloud):
                store.set("hybrid:authority", Authority(Holder.CLOUD, 7, held=True).record)
            await hybrid.set("other", "v")
            board.unsealed_until_s = time.monotonic() + 60
            await write(hybrid)
            found.append(cloud.exists("k"))

    async def run() -> None:
        async with opened(stores) as hybrid:
            await test(hybrid)

    asyncio.run(run())
    assert found == [0, 1]


def test_degraded_mode(server: Callable[..., ServerProcess]) -> None:
    local, cloud = server(), server()

    async def run() -> None:
        async with HybridRedis.from_urls(local.url, cloud.url) as hybrid:
            await hybrid.set("k", "v")
            local.kill()
            cloud.kill()
            for _ in range(2):
                with pytest.raises(AllStoresDown):
                    await hybrid.get("k")
                with pytest.raises(AllStoresDown):
                    await hybrid.set("k", "w")
                with pytest.raises(AllStoresDown):
                    await hybrid.pubsub().subscribe("channel")

            async def load() -> int:
                return 7

            assert await hybrid.get_or_load("k", load) == 7

    asyncio.run(run())


def test_bad_input_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError, match="no local store"):
        HybridRedis.from_urls(None)
    with pytest.raises(ConfigurationError) as refused:
        HybridRedis.from_urls("redis://:secret@127.0.0.1:1", colour="blue")
    assert "colour" in str(refused.value) and "secret" not in str(refused.value)
