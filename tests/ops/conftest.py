"""Fixtures for the engine behind the panel: a client over the `pair` that the test's module defines, and past it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from servers import Stores, client

from hybrid import HybridRedis
from hybrid.ops.keys import Lines
from hybrid.types import Store

PATIENT = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0, "sync_enabled": False}


@pytest.fixture(scope="module")
def opened(pair: Stores) -> Iterator[HybridRedis]:
    with HybridRedis.from_urls(pair.local.url, pair.cloud.url, decode_responses=True, **PATIENT) as hybrid:
        hybrid.start()
        assert hybrid.wait_in_sync(10)
        yield hybrid


@pytest.fixture
def hybrid(opened: HybridRedis) -> HybridRedis:
    opened.flushall()
    assert opened.wait_in_sync(10)
    return opened


@pytest.fixture
def lines(hybrid: HybridRedis) -> Iterator[Lines]:
    kept = Lines(hybrid)
    yield kept
    kept.close()


@pytest.fixture
def sides(pair: Stores) -> Iterator[dict[Store, Any]]:
    """Plain clients: what is written through them is drift."""
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        yield {Store.LOCAL: local, Store.CLOUD: cloud}
