"""redis-py's pools, as both clients open them: the pool knows which options are its own and which a connection's."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import redis.asyncio
from redis.maint_notifications import MaintNotificationsConfig

from hybrid.errors import ConfigurationError
from hybrid.settings import masked_url

__all__ = ["NO_CACHE", "asyncio_pool_of", "pool_of"]

NO_CACHE: Final = (
    "cache_config: a reply cached by one connection would outlive a failover, and writes that reach its store later; "
    "leave it out, and use get_or_load() or cached() for what may be somewhat old"
)

Pool = TypeVar("Pool", redis.ConnectionPool, redis.asyncio.ConnectionPool)


def pool_of(url: str, **options: Any) -> redis.ConnectionPool:
    """A pool for `url`, without connections yet. TLS options are left out where the URL asks for none.

    Raises ConfigurationError for a URL or an option that redis-py does not know, and for `cache_config`.
    """
    return _opened(redis.ConnectionPool, url, options)


def asyncio_pool_of(url: str, **options: Any) -> redis.asyncio.ConnectionPool:
    """As `pool_of`, for asyncio; `redis_connect_func` is refused too."""
    if options.get("redis_connect_func") is not None:
        raise ConfigurationError(
            "redis_connect_func: the asyncio client opens connections in threads too, which would need another function"
        )
    return _opened(redis.asyncio.ConnectionPool, url, options)


def _opened(kind: type[Pool], url: str, options: dict[str, Any]) -> Pool:
    if options.get("cache_config") is not None:
        raise ConfigurationError(NO_CACHE)
    quiet = {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}
    is_tls = url.startswith("rediss://")
    fitting = {name: value for name, value in options.items() if is_tls or not name.startswith("ssl")}
    try:
        return kind.from_url(url, **{**quiet, **fitting})
    except (ValueError, TypeError, redis.RedisError) as error:
        raise ConfigurationError(f"{masked_url(url)}: {error}") from None
