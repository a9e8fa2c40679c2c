"""pytest fixtures. In conftest.py: `pytest_plugins = ["hybrid.testing.fixtures"]`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hybrid.client import HybridRedis
from hybrid.testing.stores import StorePair, two_stores

__all__ = ["hybrid_redis", "hybrid_store_pair", "hybrid_stores"]


@pytest.fixture(scope="session")
def hybrid_store_pair() -> Iterator[StorePair]:
    """The servers of this session; use `hybrid_stores`, which hands them out empty and without faults."""
    with two_stores() as pair:
        yield pair


@pytest.fixture
def hybrid_stores(hybrid_store_pair: StorePair) -> Iterator[StorePair]:
    """Two empty stores; their faults end with the test."""
    hybrid_store_pair.empty()
    yield hybrid_store_pair
    hybrid_store_pair.close_clients()


@pytest.fixture
def hybrid_redis(hybrid_stores: StorePair) -> HybridRedis:
    """A client of `hybrid_stores` that decodes replies."""
    return hybrid_stores.client(decode_responses=True)
