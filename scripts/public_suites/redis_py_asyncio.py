"""pytest plugin for the asyncio half of redis-py's suite: `hybrid.aio.HybridRedis` in the place of redis.asyncio.Redis.

Each test opens clients of its own, from a pool, as frameworks do; before the data is removed both stores are compared.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import redis.asyncio

from hybrid.aio import HybridRedis
from scripts.public_suites.stores import CLOUD_URL, PLAIN, compared, opened

pytest_plugins = ["scripts.public_suites.stores"]

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


def pytest_collection_modifyitems() -> None:
    if not PLAIN:
        conftest: Any = sys.modules["tests.test_asyncio.conftest"]
        conftest.redis = WithOurClient()
