"""Connections that ask Sentinels where the master is, each time they connect: a master that changes looks like any lost
connection. A server that is no master, or not any more, is refused: it would serve old data and take no writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from redis import ConnectionError as Lost
from redis.asyncio import connection as asyncio_connection
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.retry import Retry
from redis.sentinel import Sentinel

from hybrid.core.address import Address

__all__ = ["AsyncTcp", "AsyncTls", "Find", "Tcp", "Tls", "asking", "master_finder"]

Find = Callable[[], tuple[str, int]]
"""Returns host and port of the master. Raises `redis.ConnectionError` when no Sentinel knows one."""

ASKED_S: Final = 0.5
"""How long one Sentinel, or one node of a cluster, may take before the next is asked."""

_NO_MASTER: Final = "READONLY replica"


def master_finder(address: Address, connection: Mapping[str, Any]) -> Find:
    """Asks the Sentinels of `address`, over TLS as `connection` (redis-py's arguments) does it."""
    sentinels = Sentinel(
        address.hosts, sentinel_kwargs={**address.login, **asking(address, connection), "retry": Retry(NoBackoff(), 0)}
    )
    return lambda: sentinels.discover_master(address.service)


def asking(address: Address, connection: Mapping[str, Any]) -> dict[str, Any]:
    """redis-py's arguments for a client that asks where something is."""
    tls = {name: value for name, value in connection.items() if name.startswith("ssl_")}
    patience = {"socket_timeout": ASKED_S, "socket_connect_timeout": ASKED_S}
    return {**patience, **({"ssl": True, **tls} if address.url.startswith("rediss://") else {})}


class Tcp(Connection):
    """redis-py's connection, to the master that `find` names; without it, to the given host."""

    def __init__(self, *, find: Find | None = None, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._find = find

    def _connect(self) -> Any:
        if self._find is not None:
            self.host, self.port = self._find()
        return super()._connect()  # type: ignore[no-untyped-call]

    def on_connect_check_health(self, check_health: bool = True) -> None:
        super().on_connect_check_health(check_health)
        if self._find is not None:
            self.send_command("HELLO")
            _require_master(self.read_response())


class Tls(Tcp, SSLConnection):
    """The same over TLS."""


class AsyncTcp(asyncio_connection.Connection):
    """As `Tcp`, for asyncio."""

    def __init__(self, *, find: Find | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._find = find

    async def _connect(self) -> None:
        if self._find is not None:
            self.host, self.port = await asyncio.to_thread(self._find)
        await super()._connect()  # type: ignore[no-untyped-call]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health)
        if self._find is not None:
            await self.send_command("HELLO")
            _require_master(await self.read_response())


class AsyncTls(AsyncTcp, asyncio_connection.SSLConnection):
    """The same over TLS."""


def _require_master(hello: dict[Any, Any] | list[Any]) -> None:
    """The reply to HELLO tells; ROLE may be denied to a user with limited rights."""
    facts = hello if isinstance(hello, dict) else dict(zip(hello[::2], hello[1::2], strict=True))
    if facts.get(b"role", facts.get("role")) not in (b"master", "master"):
        raise Lost(_NO_MASTER)
