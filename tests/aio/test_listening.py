"""Listening through the asyncio client: to the store that takes writes, as MONITOR shows it, and to events of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aio.rig import on_loop
from servers import Stores, client

from hybrid.aio import HybridRedis

MOMENT_S = 10


def test_monitor_shows_what_the_store_that_takes_writes_is_asked(stores: Stores) -> None:
    async def seen(hybrid: HybridRedis) -> None:
        async with asyncio.timeout(MOMENT_S), hybrid.monitor() as monitor:
            await hybrid.set("seen", 1)
            while not (await monitor.next_command())["command"].startswith("SET seen"):
                pass

    on_loop(stores, seen)


@pytest.fixture
def telling_stores(stores: Stores) -> Iterator[Stores]:
    """Stores that publish events of keys."""
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        for store in (local, cloud):
            store.config_set("notify-keyspace-events", "KEA")
        yield stores
        for store in (local, cloud):
            store.config_set("notify-keyspace-events", "")


def test_events_of_keys_are_heard(telling_stores: Stores) -> None:
    async def heard(hybrid: HybridRedis) -> None:
        async with asyncio.timeout(MOMENT_S), hybrid.keyspace_notifications() as notifications:
            await notifications.subscribe_keyspace("watched")
            while not await notifications.get_message(timeout=0.1):
                await hybrid.set("watched", 1)

    on_loop(telling_stores, heard)
