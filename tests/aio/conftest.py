"""Fixtures for tests of the asyncio client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from aio.rig import Face, LoopThread, assert_equal, opened
from servers import Pool, Stores


@pytest.fixture
def stores(server_pool: Pool) -> Stores:
    """Two empty servers; what depends on their kind is tested with the other client."""
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """A loop that runs beside the test."""
    running = LoopThread()
    yield running
    running.end()


@pytest.fixture
def face(request: pytest.FixtureRequest, stores: Stores, thread: LoopThread) -> Iterator[Face]:
    """The asyncio client behind a face that waits for it; in the end both stores must be identical."""
    hybrid = opened(stores, **getattr(request, "param", {}))
    yield Face(hybrid, thread.loop)
    in_sync = asyncio.run_coroutine_threadsafe(hybrid.wait_in_sync(20), thread.loop).result()
    asyncio.run_coroutine_threadsafe(hybrid.aclose(), thread.loop).result()
    assert in_sync
    assert_equal(stores)
