"""pytest plugin for fakeredis' suite, of which those tests are run that are for a real server: that is HybridRedis.

Its random command sequences are compared with fakeredis, a Redis in Python written by others. How many of them:
`FAKEREDIS_HYPOTHESIS_EXAMPLES`, 20 of each kind unless told.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
import redis
from hypothesis import Phase, settings

from hybrid import CommandRefused
from hybrid.core.commands import Policy, lookup, policy_of
from scripts.public_suites.in_place import AsyncioInPlace, InPlace
from scripts.public_suites.stores import LOCAL_URL

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
    if sequences := sys.modules.get("test.test_hypothesis.base"):
        _follow(sequences)
        vars(sys.modules["test.test_hypothesis.conftest"]).update(redis=sys.modules["redis"])


def _follow(sequences: Any) -> None:
    """Random sequences run on HybridRedis, but for the commands that it refuses by name, and those that its local store
    does not know. A difference is shown as found: to look for the shortest one would take longer than a test may."""
    sequences._REAL_CLIENT_CLASSES.update(redis=InPlace)
    compare = sequences.BaseMachine._compare

    def compared(machine: Any, command: Any) -> None:
        if not _is_refused(command.args) and str(command.args[0]).lower() in _known():
            compare(machine, command)

    sequences.BaseMachine._compare = compared
    examples = int(os.environ.get("FAKEREDIS_HYPOTHESIS_EXAMPLES", "20"))
    settings.register_profile("found", max_examples=examples, phases=[Phase.generate], deadline=None)
    settings.load_profile("found")


def _is_refused(args: Sequence[Any]) -> bool:
    try:
        return policy_of(lookup(args), args) is Policy.REFUSED
    except CommandRefused:
        return True


@cache
def _known() -> frozenset[str]:
    with redis.Redis.from_url(LOCAL_URL, decode_responses=True) as local:
        return frozenset(local.command_list())


def pytest_itemcollected(item: pytest.Item) -> None:
    """The random sequences always need a real server."""
    if item.path.parent.name == "test_hypothesis":
        item.add_marker("real")
