"""A key expires while a command on it is on its way to the other store, and its writer did not come to see that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from rig import HEAL_S, PATIENT
from servers import Stores, client, wait_until

from hybrid import AllStoresDown, HybridRedis, OutcomeUnknown
from hybrid.aio import HybridRedis as AsyncRedis
from hybrid.core.outcomes import ReplyLost
from hybrid.ops.compare import compare
from hybrid.stores.link import Link
from hybrid.stores.wire import Wire

pytestmark = pytest.mark.parametrize("stores", ["valkey"], indirect=True)

FAR_S = 0.4
"""A round trip to the cloud store."""

LIFE_MS = 2500
LEFT_MS = 120
"""What the key has to live when the command comes: much less than the way takes."""


@contextmanager
def far_cloud(stores: Stores) -> Iterator[str]:
    """The URL of the cloud store; afterwards both hold the same."""
    with Link("127.0.0.1", stores.cloud.port, round_trip_s=FAR_S) as link:
        yield link.url
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        found = compare(local, cloud)
    assert found.identical, found.differences


def incremented(hybrid: HybridRedis) -> None:
    hybrid.incr("k")


def incremented_after_watch(hybrid: HybridRedis) -> None:
    with hybrid.pipeline() as pipeline:
        pipeline.watch("another")
        pipeline.multi()
        pipeline.incr("k").execute()


@pytest.mark.parametrize("work", [incremented, incremented_after_watch])
@pytest.mark.parametrize(
    ("cut_short", "raised"),
    [(ReplyLost("connection lost", silent=False), OutcomeUnknown), (KeyboardInterrupt(), KeyboardInterrupt)],
    ids=["reply lost", "interrupted"],
)
def test_of_a_command_whose_reply_nobody_reads(
    stores: Stores,
    work: Callable[[HybridRedis], None],
    cut_short: BaseException,
    raised: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exchange = Wire.exchange

    def cut_short_exchange(wire: Wire, payload: bytes, *args: Any, **options: Any) -> list[Any]:
        replies = exchange(wire, payload, *args, **options)
        if b"INCR" in payload:
            wire.disconnect()
            raise cut_short
        return replies

    with (
        far_cloud(stores) as url,
        client(stores.local.url) as local,
        HybridRedis.from_urls(stores.local.url, url, ack="local", **PATIENT) as hybrid,
    ):
        hybrid.set("another", 1)
        assert hybrid.wait_in_sync(HEAL_S)
        hybrid.set("k", 5, px=LIFE_MS)
        assert hybrid.wait_in_sync(HEAL_S)
        wait_until(lambda: local.pttl("k") < LEFT_MS, "the key is about to expire", HEAL_S)
        monkeypatch.setattr(Wire, "exchange", cut_short_exchange)
        with pytest.raises(raised):
            work(hybrid)
        monkeypatch.undo()
        wait_until(lambda: local.pttl("k") < 0, "the key has expired", HEAL_S)
        assert hybrid.wait_in_sync(HEAL_S)


def test_a_transaction_that_was_run_is_not_failed_because_its_key_cannot_be_logged_once_more(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last store dies behind it. Who is told that no store is there would run it again."""
    exchange = Wire.exchange

    def last_exchange(wire: Wire, payload: bytes, *args: Any, **options: Any) -> list[Any]:
        replies = exchange(wire, payload, *args, **options)
        if b"INCR" in payload:
            stores.local.kill()
        return replies

    with HybridRedis.from_urls(stores.local.url, stores.cloud.url, ack="local", **PATIENT) as hybrid:
        hybrid.set("k", 5, px=LEFT_MS * 10)
        stores.cloud.kill()
        monkeypatch.setattr(Wire, "exchange", last_exchange)
        with hybrid.pipeline() as pipeline:
            pipeline.watch("k")
            pipeline.multi()
            assert pipeline.incr("k").execute() == [6]
        monkeypatch.undo()
        with pytest.raises(AllStoresDown):
            hybrid.incr("k")


async def incremented_by_task(hybrid: AsyncRedis) -> None:
    await hybrid.incr("k")


async def incremented_by_task_after_watch(hybrid: AsyncRedis) -> None:
    async with hybrid.pipeline() as pipeline:
        await pipeline.watch("another")
        pipeline.multi()
        await pipeline.incr("k").execute()


@pytest.mark.parametrize("work", [incremented_by_task, incremented_by_task_after_watch])
@pytest.mark.parametrize("answered", [False, True])
def test_of_a_task_that_is_cancelled(stores: Stores, work: Callable[[AsyncRedis], Any], answered: bool) -> None:
    """While its command is on its way, or in the moment in which the reply has come."""

    async def run(url: str, local: redis.Redis) -> None:
        async with AsyncRedis.from_urls(stores.local.url, url, ack="local", **PATIENT) as hybrid:
            await hybrid.set("another", 1)
            assert await hybrid.wait_in_sync(HEAL_S)
            await hybrid.set("k", 5, px=LIFE_MS)
            assert await hybrid.wait_in_sync(HEAL_S)
            while local.pttl("k") >= LEFT_MS:
                await asyncio.sleep(0.005)
            task = asyncio.ensure_future(work(hybrid))
            while local.get("k") == b"5":
                await asyncio.sleep(0)
            if answered:
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            while local.pttl("k") > 0:
                await asyncio.sleep(0.005)
            assert await hybrid.wait_in_sync(HEAL_S)

    with far_cloud(stores) as url, client(stores.local.url) as local:
        asyncio.run(run(url, local))
