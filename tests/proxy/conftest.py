"""A proxy over two real stores, in this process, and connections to it; the stores are found equal after every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from client.rig import PATIENT, assert_equal
from proxy.rig import Raw
from servers import Pool, Stores, client

from hybrid import HybridRedis
from hybrid.proxy import ProxyServer

Open = Callable[..., ProxyServer]


@pytest.fixture(params=["valkey"])
def stores(request: pytest.FixtureRequest, server_pool: Pool) -> Stores:
    """Two empty servers. What a reply looks like depends on the store; that it is passed on does not."""
    return Stores(server_pool.get(request.param, "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def open_proxy(stores: Stores) -> Iterator[Open]:
    """Open proxies on free ports, over `stores` or others: `open_proxy(password=None, stores=None, **settings)`."""
    usual = stores
    with ExitStack() as opened:

        def open_(password: str | None = None, stores: Stores | None = None, **settings: Any) -> ProxyServer:
            stores = stores or usual
            hybrid = HybridRedis.from_urls(stores.local.url, stores.cloud.url, **{**PATIENT, **settings})
            opened.enter_context(hybrid)
            server = opened.enter_context(ProxyServer(hybrid, port=0, password=password))
            server.start()
            return server

        yield open_


@pytest.fixture(scope="module")
def shared(server_pool: Pool) -> Iterator[tuple[ProxyServer, Stores]]:
    """One proxy for all tests of a module, on servers of its own."""
    stores = Stores(server_pool.get("valkey", "proxied-local"), server_pool.get("valkey", "proxied-cloud"))
    with (
        HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT) as hybrid,
        ProxyServer(hybrid, port=0) as server,
    ):
        server.start()
        yield server, stores


@pytest.fixture
def proxy(shared: tuple[ProxyServer, Stores]) -> Iterator[ProxyServer]:
    """A proxy that does not lose its stores; they are empty now, and equal in the end."""
    server, stores = shared
    server.client.flushall()
    yield server
    assert_equal(server.client, stores)


@pytest.fixture
def raw(proxy: ProxyServer) -> Iterator[Raw]:
    with Raw(proxy.address) as connection:
        yield connection


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def r(proxy: ProxyServer, protocol: int) -> Iterator[redis.Redis]:
    """redis-py as any client: it knows nothing but the proxy's URL."""
    with client(proxy.url, protocol=protocol, decode_responses=True) as connection:
        yield connection
