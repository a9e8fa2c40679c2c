"""pytest plugin for the asyncio half of redis-py's suite: `hybrid.aio.HybridRedis` in the place of redis.asyncio.Redis.

Each test opens clients of its own, from a pool, as frameworks do; before the data is removed both stores are compared.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis.asyncio

from hybrid.aio import HybridRedis
from scripts.public_suites import redis_py
from scripts.public_suites.expected import NOT_RUN
from scripts.public_suites.redis_py import CLOUD_URL, PLAIN, compared, opened, pytest_runtest_makereport, reason_of

__all__ = ["pytest_runtest_makereport"]

os.environ.update(UPSTASH_REDIS_URL=CLOUD_URL, REDIS_LOCAL_TIMEOUT="5", REDIS_CLOUD_TIMEOUT="5")


class Compared(HybridRedis):
    """The suite ends each test with FLUSHDB."""

    async def flushdb(self, asynchronous: bool = False, **options: Any) -> Any:
        await asyncio.to_thread(compared, opened({}))
        return await super().flushdb(asynchronous, **options)


class WithOurClient:
    """The module `redis.asyncio`, but for one name."""

    Redis = Compared

    def __getattr__(self, name: str) -> Any:
        return getattr(redis.asyncio, name)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not PLAIN:
        conftest: Any = sys.modules["tests.test_asyncio.conftest"]
        conftest.redis = WithOurClient()
    kept = [item for item in items if reason_of(item) not in NOT_RUN]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    yield
    if not PLAIN:
        opened({}).flushdb()


def pytest_unconfigure() -> None:
    redis_py.pytest_unconfigure()
