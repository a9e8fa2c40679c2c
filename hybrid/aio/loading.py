"""A cache in front of the application's own data source that keeps working when both stores are down."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from hybrid.errors import AllStoresDown
from hybrid.loading import cache_key

if TYPE_CHECKING:
    from hybrid.aio.client import HybridRedis

__all__ = ["Cached", "cached", "get_or_load"]

P = ParamSpec("P")
T = TypeVar("T")
Loader = Callable[..., Awaitable[T]] | Callable[..., T]


class Cached(Protocol):
    """The decorator that `HybridRedis.cached` returns: the function keeps its parameters, and is to be awaited."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[T]], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, T], /) -> Callable[P, Coroutine[Any, Any, T]]: ...


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
    value: Any = loader()
    return cast(T, await value if inspect.isawaitable(value) else value)


def cached(client: HybridRedis, ex: int | None, key: Callable[..., str] | None) -> Cached:
    """See `HybridRedis.cached`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            name = key(*args, **kwargs) if key else cache_key(function, args, kwargs)
            return await get_or_load(client, name, functools.partial(function, *args, **kwargs), ex)

        return call

    return decorate
