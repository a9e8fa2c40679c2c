"""Fixtures for tests of the client: HybridRedis over two real stores, found identical after every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from client.rig import PATIENT, assert_equal
from servers import Pool, Stores

from hybrid import HybridRedis
from hybrid.stores.processes import ServerProcess

Open = Callable[..., HybridRedis]


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def open_client() -> Iterator[Open]:
    """Open clients that are closed at the end: `open_client(local_url, cloud_url, **options)`."""
    opened: list[HybridRedis] = []

    def open_(local: str | None, cloud: str | None = None, **options: Any) -> HybridRedis:
        opened.append(HybridRedis.from_urls(local, cloud, **{**PATIENT, **options}))
        return opened[-1]

    yield open_
    for client in opened:
        client.close()


@pytest.fixture
def open_hybrid(stores: Stores, protocol: int, open_client: Open) -> Open:
    """Open clients over `stores`: `open_hybrid(**options)`."""
    return lambda **options: open_client(stores.local.url, stores.cloud.url, **{"protocol": protocol, **options})


@pytest.fixture
def hybrid(open_hybrid: Open, stores: Stores) -> Iterator[HybridRedis]:
    """A client that decodes replies; when the test is over both stores must be identical."""
    client = open_hybrid(decode_responses=True)
    yield client
    assert_equal(client, stores)


@pytest.fixture
def plain_server(request: pytest.FixtureRequest, server_pool: Pool, stores: Stores) -> ServerProcess:
    """A third server of the local store's kind, to compare with."""
    return server_pool.get(request.node.callspec.params["stores"], "plain")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One combination less: RESP2 is read the same way, whichever server wrote it."""
    here = Path(__file__).parent
    left_out = {item for item in items if item.path.is_relative_to(here) and "redis-resp2" in item.name}
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))
