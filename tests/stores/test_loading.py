"""A server that loads its data takes connections, and answers what needs no data: it counts as a store that is down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import redis
from servers import client, new_server, wait_until

from hybrid.aio.endpoint import LoopEndpoint
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent
from hybrid.proxy.wires import RawEndpoint
from hybrid.stores.endpoint import Endpoint
from hybrid.types import Store

KEYS = 20_000
SLOW_US = "500"


@pytest.fixture(scope="module")
def loading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that takes ten seconds to load its data."""
    folder = tmp_path_factory.mktemp("loading")
    with new_server("valkey", folder) as server, client(server.url) as connection:
        connection.mset({f"key:{number}": "value" for number in range(KEYS)})
        connection.save()
    slow = new_server("valkey", folder, key_load_delay=SLOW_US, loading_process_events_interval_bytes="1024")
    slow.port = server.port
    slow.spawn()
    try:
        with client(slow.url) as connection:
            wait_until(lambda: is_loading(connection), "the server loads its data")
            yield slow.url
            assert is_loading(connection), "the test took longer"
    finally:
        slow.kill()


def is_loading(connection: redis.Redis) -> bool:
    try:
        connection.ping()
    except redis.BusyLoadingError:
        return True
    except redis.ConnectionError:
        return False
    return False


def taken(endpoint: Endpoint) -> None:
    endpoint.take()


def taken_for_a_client(endpoint: Endpoint) -> None:
    RawEndpoint(endpoint, {}).take()


def taken_on_a_loop(endpoint: Endpoint) -> None:
    async def take() -> None:
        await LoopEndpoint(endpoint, {}).take()

    asyncio.run(take())


@pytest.mark.parametrize("take", [taken, taken_for_a_client, taken_on_a_loop])
@pytest.mark.parametrize("protocol", [2, 3])
def test_it_cannot_be_read(loading: str, protocol: int, take: Callable[[Endpoint], None]) -> None:
    endpoint = Endpoint(Store.CLOUD, loading, Names(), timeout_s=5.0, options={"protocol": protocol})
    with pytest.raises(NotSent, match="still loading its data"):
        take(endpoint)
    assert endpoint.hears_flushes, "what it refuses now says nothing of what it can do"
    endpoint.close()
