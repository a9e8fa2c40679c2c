"""pytest plugin for suites that run on fakeredis: as `in_place_early`, where its clients are of these two stores."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from scripts.public_suites.in_place import AsyncioInPlace, InPlace, take_the_place

pytest_plugins = ["scripts.public_suites.in_place"]


class Named:
    """Stands for what a suite hands to the clients that it opens."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


take_the_place()
for name, client in (("fakeredis", InPlace), ("fakeredis.aioredis", AsyncioInPlace)):
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(FakeRedis=client, FakeStrictRedis=client, FakeConnection=Named, FakeServer=Named)
