"""pytest plugin for redis-py's own suite: its fixtures give HybridRedis, and both stores are compared after each test.

With `HYBRID_SUITE_PLAIN` set redis.Redis stays, and nothing is compared: what fails then is the server's.
"""

from __future__ import annotations

import inspect
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import redis

from scripts.public_suites.stores import LOCAL_URL, PLAIN, leave_out, opened

pytest_plugins = ["scripts.public_suites.stores"]


def pytest_configure() -> None:
    tracemalloc.start = lambda *_: None  # a fixture traces every test, which makes them several times slower
    conftest: Any = sys.modules["tests.conftest"]
    if not PLAIN:
        conftest._get_client = hybrid_in_place_of(conftest._get_client)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is asyncio's among the tests of the other client is left out."""
    leave_out(config, items, lambda item: inspect.iscoroutinefunction(getattr(item, "obj", None)))


def hybrid_in_place_of(original: Callable[..., Any]) -> Callable[..., Any]:
    """redis-py's helper that opens a client for a test, with ours where it would give a plain redis.Redis."""

    def get_client(
        cls: Any,
        request: Any,
        single_connection_client: bool = True,
        flushdb: bool = True,
        from_url: str | None = None,
        **options: Any,
    ) -> Any:
        if cls is not redis.Redis or options.get("ssl") or from_url not in (None, LOCAL_URL):
            return original(cls, request, single_connection_client, flushdb, from_url, **options)
        options.setdefault("protocol", int(request.config.getoption("--protocol")))
        return opened(options)

    return get_client
