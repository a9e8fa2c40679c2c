"""Both clients and both pipelines offer the same names, with the same parameters."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import redis
import redis.asyncio

import hybrid
from hybrid import aio
from hybrid.pipeline import HybridPipeline

FIRST_OF_THE_OTHER_KIND = {
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "close": "aclose",
}
"""What is named otherwise where it must be awaited."""

OF_REDIS_PY = (redis.Redis, redis.asyncio.Redis, redis.client.Pipeline, redis.asyncio.client.Pipeline)
INHERITED = {name for kind in OF_REDIS_PY for name in dir(kind)}


def own(kind: type) -> dict[str, Any]:
    """The public names that are hybrid's own, and those of redis-py that it changes."""
    names = [name for name in dir(kind) if not name.startswith("_") or name in FIRST_OF_THE_OTHER_KIND]
    return {name: getattr(kind, name) for name in names if _module(kind, name).startswith("hybrid")}


def _module(kind: type, name: str) -> str:
    """Where a name is defined."""
    return next(base.__module__ for base in kind.__mro__ if name in vars(base))


def parameters(method: Any) -> list[tuple[str, Any, Any]]:
    return [(it.name, it.kind, it.default) for it in inspect.signature(method).parameters.values()]


PAIRS = [(hybrid.HybridRedis, aio.HybridRedis), (HybridPipeline, aio.HybridPipeline)]


@pytest.mark.parametrize(("sync", "async_"), PAIRS, ids=["client", "pipeline"])
def test_the_same_names(sync: type, async_: type) -> None:
    for name in own(sync):
        assert hasattr(async_, FIRST_OF_THE_OTHER_KIND.get(name, name)), name
    for name in set(own(async_)) - INHERITED - {"driver"}:
        assert hasattr(sync, name), name


@pytest.mark.parametrize(("sync", "async_"), PAIRS, ids=["client", "pipeline"])
def test_the_same_parameters(sync: type, async_: type) -> None:
    checked = 0
    for name, method in own(sync).items():
        if callable(method) and name not in FIRST_OF_THE_OTHER_KIND:
            assert parameters(getattr(async_, name)) == parameters(method), name
            checked += 1
    assert checked >= 3


@pytest.mark.parametrize("name", ["__init__", "from_env", "from_urls", "from_url"])
def test_they_are_opened_alike(name: str) -> None:
    assert parameters(getattr(aio.HybridRedis, name)) == parameters(getattr(hybrid.HybridRedis, name))


def test_each_is_a_drop_in_for_its_client_of_redis_py() -> None:
    for ours, theirs in ((hybrid.HybridRedis, redis.Redis), (aio.HybridRedis, redis.asyncio.Redis)):
        assert issubclass(ours, theirs)
        for name, method in own(ours).items():
            known = getattr(theirs, name, None)
            if callable(known) and name not in ("from_url", "execute_command", *FIRST_OF_THE_OTHER_KIND):
                assert [it[0] for it in parameters(method)] == [it[0] for it in parameters(known)], name
