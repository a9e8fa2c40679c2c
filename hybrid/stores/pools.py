"""redis-py's pools for a store's URL, whatever kind of address that is, as both clients open them: the pool knows which
options are its own and which a connection's."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import redis.asyncio
from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.connection import SSLConnection, UnixDomainSocketConnection
from redis.maint_notifications import MaintNotificationsConfig

from hybrid.core.address import Address, Kind, address_of
from hybrid.errors import ConfigurationError
from hybrid.settings import masked_url
from hybrid.stores.cluster import ClusterWire
from hybrid.stores.master import AsyncTcp, AsyncTls, Tcp, Tls, master_finder
from hybrid.stores.meter import Meter, MeteredSocket, MeteredTls, MeteredUnix
from hybrid.stores.topology import Topology
from hybrid.stores.wire import SocketWire, TlsWire
from hybrid.types import Purpose

__all__ = ["NO_CACHE", "asyncio_pool_of", "metered_pool", "pool_of"]

NO_CACHE: Final = (
    "cache_config: a reply cached by one connection would outlive a failover, and writes that reach its store later; "
    "leave it out, and use get_or_load() or cached() for what may be somewhat old"
)

Pool = TypeVar("Pool", redis.ConnectionPool, redis.asyncio.ConnectionPool)


def pool_of(url: str, **options: Any) -> redis.ConnectionPool:
    """A pool for `url`, without connections yet. TLS options are left out where the URL asks for none.

    Raises ConfigurationError for a URL or an option that redis-py does not know, and for `cache_config`.
    """
    address = _address(url)
    pool = _opened(redis.ConnectionPool, address, options)
    known, is_tls = pool.connection_kwargs, issubclass(pool.connection_class, SSLConnection)
    if address.kind is Kind.SENTINEL:
        known["find"] = master_finder(address, known)
        pool.connection_class = Tls if is_tls else Tcp
    elif address.kind is Kind.CLUSTER:
        known.update(topology=Topology(address, known), lane_class=TlsWire if is_tls else SocketWire)
        pool.connection_class = ClusterWire
    return pool


def metered_pool(url: str, meter: Meter, purpose: Purpose, **options: Any) -> redis.ConnectionPool:
    """As `pool_of`; each connection counts on `meter`. Bytes received are not counted, but of a cluster."""
    pool = pool_of(url, **options)
    pool.connection_kwargs.update(meter=meter, purpose=purpose)
    if issubclass(pool.connection_class, SSLConnection):
        pool.connection_class = MeteredTls
    elif issubclass(pool.connection_class, UnixDomainSocketConnection):
        pool.connection_class = MeteredUnix
    elif not issubclass(pool.connection_class, ClusterWire):
        pool.connection_class = MeteredSocket
    return pool


def asyncio_pool_of(url: str, **options: Any) -> redis.asyncio.ConnectionPool:
    """As `pool_of`, for asyncio; `redis_connect_func` is refused too, and a cluster."""
    if options.get("redis_connect_func") is not None:
        raise ConfigurationError(
            "redis_connect_func: the asyncio client opens connections in threads too, which would need another function"
        )
    address = _address(url)
    if address.kind is Kind.CLUSTER:
        raise ConfigurationError("the asyncio client does not serve a cluster: give another kind of cloud store")
    pool = _opened(redis.asyncio.ConnectionPool, address, options)
    if address.kind is Kind.SENTINEL:
        is_tls = issubclass(pool.connection_class, AsyncSSLConnection)
        pool.connection_kwargs["find"] = master_finder(address, pool.connection_kwargs)
        pool.connection_class = AsyncTls if is_tls else AsyncTcp
    return pool


def _address(url: str) -> Address:
    try:
        return address_of(url)
    except ValueError as error:
        raise ConfigurationError(f"{masked_url(url)} {error}") from None


def _opened(kind: type[Pool], address: Address, options: dict[str, Any]) -> Pool:
    if options.get("cache_config") is not None:
        raise ConfigurationError(NO_CACHE)
    quiet = {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}
    is_tls = address.url.startswith("rediss://")
    fitting = {name: value for name, value in options.items() if is_tls or not name.startswith("ssl")}
    try:
        return kind.from_url(address.url, **{**quiet, **fitting})
    except (ValueError, TypeError, redis.RedisError) as error:
        raise ConfigurationError(f"{masked_url(address.url)}: {error}") from None
