"""A cache in front of the application's own data source that keeps working when both stores are down."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from hybrid.errors import AllStoresDown
from hybrid.loading import cache_key

if TYPE_CHECKING:
    from hybrid.aio.client import HybridRedis

__all__ = ["cached", "get_or_load"]

T = TypeVar("T")
Loader = Callable[..., Awaitable[T] | T]


async def get_or_load(client: HybridRedis, key: str | bytes, loader: Loader[T], ex: int | None) -> T:
    """See `HybridRedis.get_or_load`. Raises TypeError when the loaded value is not JSON; the loader's errors pass."""
    try:
        text = await client.get(key)
        if text is not None:
            found: T = json.loads(text)
            return found
    except AllStoresDown:
        return await _loaded(loader)
    value = await _loaded(loader)
    text = json.dumps(value)
    try:
        await client.set(key, text, ex=ex)
    except AllStoresDown:
        return value
    return value


async def _loaded(loader: Loader[T]) -> T:
    value = loader()
    return await value if inspect.isawaitable(value) else value


def cached(
    client: HybridRedis, ex: int | None, key: Callable[..., str] | None
) -> Callable[[Loader[T]], Callable[..., Awaitable[T]]]:
    """See `HybridRedis.cached`."""

    def decorate(function: Loader[T]) -> Callable[..., Awaitable[T]]:
        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> T:
            name = key(*args, **kwargs) if key else cache_key(function, args, kwargs)
            return await get_or_load(client, name, lambda: function(*args, **kwargs), ex)

        return call

    return decorate
