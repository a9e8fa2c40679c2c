"""A store whose master is found through a Sentinel: the master dies, a replica is promoted, the client goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import PATIENT
from sentinel import Watched
from servers import Pool, client, wait_until

from hybrid import HybridRedis, Store
from hybrid.aio import HybridRedis as AsyncHybridRedis
from hybrid.core.outcomes import NotSent
from hybrid.ops.compare import compare
from hybrid.stores.ports import LOOPBACK
from hybrid.stores.processes import ServerProcess
from hybrid.stores.wire import SocketWire


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    started = Watched(tmp_path)
    yield started
    started.close()


@pytest.fixture
def other(server_pool: Pool) -> ServerProcess:
    """The other store of the pair."""
    return server_pool.get("valkey", "local")


def promoted(watched: Watched) -> bool:
    return watched.master_port == watched.replica.port


def test_a_cloud_store_that_gets_another_master_is_caught_up(watched: Watched, other: ServerProcess) -> None:
    with HybridRedis.from_urls(other.url, watched.url, **PATIENT) as hybrid:
        hybrid.mset({f"k{n}": n for n in range(100)})
        assert hybrid.wait_in_sync(10), hybrid.status()
        watched.master.kill()
        for _ in range(100):
            hybrid.incr("counted")
        hybrid.delete("k1")
        wait_until(lambda: promoted(watched), "the promotion")
        wait_until(lambda: hybrid.wait_in_sync(1), "both stores in sync", 20)
        assert hybrid.status().authority is Store.LOCAL
        assert equal(other, watched.replica) == 100


def test_a_local_store_that_gets_another_master_takes_the_writes_again(watched: Watched, other: ServerProcess) -> None:
    with HybridRedis.from_urls(watched.url, other.url, **PATIENT) as hybrid:
        hybrid.mset({f"k{n}": n for n in range(100)})
        assert hybrid.wait_in_sync(10), hybrid.status()
        watched.master.kill()
        assert hybrid.incr("counted") == 1, "the other store takes it"
        assert hybrid.status().authority is Store.CLOUD
        wait_until(lambda: promoted(watched), "the promotion")
        wait_until(lambda: hybrid.status().authority is Store.LOCAL, "the authority's return", 20)
        assert hybrid.incr("counted") == 2
        assert hybrid.wait_in_sync(10), hybrid.status()
        assert equal(watched.replica, other) == 101


def test_a_server_that_is_no_master_is_refused(watched: Watched) -> None:
    """The Sentinel may still name one that was demoted: the server itself is asked what it is."""
    wire = SocketWire(find=lambda: (LOOPBACK, watched.replica.port))
    with pytest.raises(NotSent, match="it is a read-only replica"):
        wire.open()


def test_the_asyncio_client_finds_the_master(watched: Watched, other: ServerProcess) -> None:
    async def used() -> bytes | None:
        async with AsyncHybridRedis.from_urls(watched.url, other.url, **PATIENT) as hybrid:
            await hybrid.set("k", "v")
            return await hybrid.get("k")

    assert asyncio.run(used()) == b"v"
    with client(watched.master.url) as master:
        assert master.get("k") == b"v"


def equal(one: ServerProcess, two: ServerProcess) -> int:
    """How many keys both hold, all the same."""
    with client(one.url) as here, client(two.url) as there:
        found = compare(here, there)
    assert found.identical, found.differences
    return found.local_keys
