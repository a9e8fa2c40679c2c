"""pytest plugin for fakeredis' suite, of which those tests are run that are for a real server: that is HybridRedis.

Its random command sequences are compared with fakeredis, a Redis in Python written by others. How many of them:
`FAKEREDIS_HYPOTHESIS_EXAMPLES`.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest

from scripts.public_suites.in_place import AsyncioInPlace, InPlace

pytest_plugins = ["scripts.public_suites.in_place"]


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Its conftest was imported before, with fakeredis, whose classes inherit from the true redis.Redis."""
    conftest: Any = sys.modules["test.conftest"]
    conftest.redis = sys.modules["redis"]
    for kind, is_fake, is_asyncio in list(conftest.CLIENT_CLASS_MAP):
        if not is_fake:
            ours = AsyncioInPlace if is_asyncio else InPlace
            conftest.CLIENT_CLASS_MAP[kind, is_fake, is_asyncio] = ours


def pytest_itemcollected(item: pytest.Item) -> None:
    """The random sequences always need a real server."""
    if item.path.parent.name == "test_hypothesis":
        item.add_marker("real")
