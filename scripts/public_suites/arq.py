"""pytest plugin for arq's suite: as `in_place_early`, where the container that its conftest starts is these stores."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

import pytest

from scripts.public_suites.in_place import take_the_place

pytest_plugins = ["scripts.public_suites.in_place"]


class Container:
    """Stands for testcontainers' Redis: whatever address it gives leads to the two stores."""

    port = 6379

    def __init__(self, image: str) -> None:
        pass

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_container_host_ip(self) -> str:
        return "localhost"

    def get_exposed_port(self, port: int) -> int:
        return port


@pytest.fixture
async def event_loop() -> asyncio.AbstractEventLoop:
    """As older versions of pytest-asyncio gave it."""
    return asyncio.get_running_loop()


take_the_place()
for name in ("testcontainers", "testcontainers.redis"):
    sys.modules[name] = ModuleType(name)
vars(sys.modules["testcontainers.redis"])["RedisContainer"] = Container
