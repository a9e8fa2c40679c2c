"""One store as the tasks of one loop reach it: how wires are opened, and those that nobody uses just now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection, RedisSSLContext, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from hybrid.aio.pulse import Pulse
from hybrid.aio.replies import decoder
from hybrid.aio.wire import Wire, opened
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.meter import Tally
from hybrid.stores.pools import asyncio_pool_of
from hybrid.types import Purpose

__all__ = ["LoopEndpoint", "listening_pool"]

ATTEMPTS: Final = 3
"""Connecting is tried again when it took too long because the loop was held up."""


class LoopEndpoint:
    """Wires of one loop to one store. They are retired together with those of `endpoint`, when the store fails."""

    def __init__(self, endpoint: Endpoint, options: Mapping[str, Any]) -> None:
        self.endpoint = endpoint
        self.store = endpoint.store
        pool = asyncio_pool_of(endpoint.url, **options)
        self._class = pool.connection_class
        self._kwargs = {"driver_info": None, **pool.connection_kwargs, "retry": Retry(NoBackoff(), 0)}
        decodes = self._kwargs.get("decode_responses", False)
        words = self._kwargs.get("encoding", "utf-8"), self._kwargs.get("encoding_errors", "strict")
        self.decode: Callable[[Any], Any] | None = decoder(*words) if decodes else None
        self._tls: RedisSSLContext | None = None
        self._plain: list[Wire] = []
        self._fenced: list[Wire] = []
        self._wires: set[Wire] = set()
        self._is_closed = False

    def is_good(self, wire: Wire) -> bool:
        """Whether the wire may be used for the next request: the store was not seen to fail since it was opened."""
        return not wire.lost and wire.generation == self.endpoint.generation

    async def connect(self) -> Wire:
        """A new wire. Raises NotSent."""
        self._sweep()
        for _ in range(ATTEMPTS - 1):
            with Pulse() as pulse:
                try:
                    return await self._connect()
                except NotSent as error:
                    if not error.silent or pulse.held_up_s < self.endpoint.timeout_s / 2:
                        raise
        return await self._connect()

    async def _connect(self) -> Wire:
        endpoint = self.endpoint
        generation, connection = endpoint.generation, self._class(**{**self._kwargs, **_timeouts(endpoint)})
        if isinstance(connection, SSLConnection):
            await self._share_certificates(connection)
        tally = endpoint.meter.open(connection, Purpose.APPLICATION)
        wire = await opened(_counted(connection, tally), generation, endpoint.patience_s, tally)
        self._wires.add(wire)
        if self._is_closed:  # while it was being opened
            wire.close()
        return wire

    async def _share_certificates(self, connection: SSLConnection) -> None:
        """Reading the certificates takes a tenth of a second: once is enough, and not on the loop."""
        if self._tls is None:
            await asyncio.to_thread(connection.ssl_context.get)
            self._tls = connection.ssl_context
        connection.ssl_context = self._tls

    async def connect_fenced(self) -> Wire:
        """A new wire with a standing WATCH on the authority record. Raises NotSent or ReplyLost."""
        wire = await self.connect()
        await self.fence(wire)
        return wire

    async def fence(self, wire: Wire) -> None:
        """Give `wire` a standing WATCH on the authority record, and no other. Raises NotSent or ReplyLost."""
        replies = await wire.exchange_alone(*self.endpoint.fence_request(wire))
        try:
            self.endpoint.fenced(wire, replies)
        except NotSent:
            wire.close()
            raise

    async def connect_plain(self) -> Wire:
        """A new wire for reads, on which the server says that it was emptied (see `FLUSHES`). Raises NotSent."""
        wire = await self.connect()
        try:
            replies = await wire.exchange_alone(*self.endpoint.introduction(wire.connection.protocol))
            self.endpoint.introduced(wire, replies)
        except ReplyLost as error:
            raise NotSent(str(error), silent=error.silent) from None
        except NotSent:
            wire.close()
            raise
        return wire

    async def has_lost(self, wire: Wire) -> bool:
        """Whether the store has lost its data: asked over `wire`, on which it has said that it was emptied. Raises
        NotSent or ReplyLost."""
        flushes = wire.flushes  # it may say so again, ahead of the answer
        is_lost = self.endpoint.is_lost((await wire.exchange(self.endpoint.ask_marks, 1))[0])
        wire.looked = wire.looked if is_lost else flushes
        return is_lost

    async def refusal(self, wire: Wire, error: Exception) -> Exception | None:
        """What the store says to whatever it is asked, if it was not only the command that got this `error` over
        `wire`."""
        if refusal_of(error) is Refusal.THIS_KEY:
            return None
        try:
            reply = (await wire.exchange(self.endpoint.ask_marks, 1))[0]
        except (NotSent, ReplyLost):
            return None  # the next command tells
        return reply if isinstance(reply, Exception) else None

    async def take(self) -> Wire:
        """A plain wire for one task. Raises NotSent."""
        return self._idle(self._plain) or await self.connect_plain()

    async def take_fenced(self, epoch: int) -> Wire:
        """A fenced wire for one task; one that last saw a record older than `epoch` looks again. Raises NotSent or
        ReplyLost."""
        wire = self._idle(self._fenced) or await self.connect_fenced()
        if wire.epoch < epoch:
            await self.fence(wire)
        return wire

    def give(self, wire: Wire) -> None:
        self._give_to(self._plain, wire)

    def give_fenced(self, wire: Wire) -> None:
        self._give_to(self._fenced, wire)

    def _idle(self, pool: list[Wire]) -> Wire | None:
        while pool:
            wire = pool.pop()
            if self.is_good(wire):
                return wire
            wire.close()
        return None

    def _give_to(self, pool: list[Wire], wire: Wire) -> None:
        if self.is_good(wire) and wire.is_idle:
            pool.append(wire)
        else:
            wire.close()

    def _sweep(self) -> None:
        """Forget wires that are closed, and close those whose last reply came after the store had failed."""
        for wire in self._wires:
            if wire.is_idle and not self.is_good(wire):
                wire.close()
        self._wires = {wire for wire in self._wires if not wire.lost}

    def close(self) -> None:
        """Close every wire, and any other as soon as it is open."""
        self._is_closed = True
        for wire in self._wires:
            wire.close()
        self._wires.clear()


def _counted(connection: AbstractConnection, tally: Tally) -> AbstractConnection:
    """The greeting is counted too."""
    send = connection.send_command

    async def send_command(*args: Any, **options: Any) -> None:
        tally.commands += 1
        await send(*args, **options)

    connection.send_command = send_command  # type: ignore[method-assign]
    return connection


def _timeouts(endpoint: Endpoint) -> dict[str, float]:
    return {"socket_timeout": endpoint.patience_s, "socket_connect_timeout": endpoint.connect_timeout_s}


def listening_pool(endpoint: Endpoint, options: Mapping[str, Any]) -> ConnectionPool:
    """redis-py's pool for subscriptions: a lost connection is not tried again, because the store may be another one."""
    return asyncio_pool_of(endpoint.url, **{**options, **_timeouts(endpoint), "retry": Retry(NoBackoff(), 0)})
