"""A cache in front of the application's own data source that keeps working when both stores are down."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import redis

from hybrid.errors import AllStoresDown

__all__ = ["cache_key", "cached", "get_or_load"]

P = ParamSpec("P")
T = TypeVar("T")


def get_or_load(client: redis.Redis, key: str | bytes, loader: Callable[[], T], ex: int | None) -> T:
    """See `HybridRedis.get_or_load`. Raises TypeError when the loaded value is not JSON; the loader's errors pass."""
    try:
        text = client.get(key)
        if text is not None:
            value: T = json.loads(text)
            return value
    except AllStoresDown:
        return loader()
    value = loader()
    text = json.dumps(value)
    try:
        client.set(key, text, ex=ex)
    except AllStoresDown:
        return value
    return value


def cached(
    client: redis.Redis, ex: int | None, key: Callable[..., str] | None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """See `HybridRedis.cached`."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            name = key(*args, **kwargs) if key else cache_key(function, args, kwargs)
            return get_or_load(client, name, lambda: function(*args, **kwargs), ex)

        return call

    return decorate


def cache_key(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The key of one call: the function's name and its arguments as JSON."""
    return f"{function.__module__}.{function.__qualname__}:{json.dumps([args, kwargs], sort_keys=True)}"
