"""Subscriptions of the asyncio client: on the store that takes writes, because that is where `publish` goes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from redis.asyncio.client import PubSub

from hybrid.aio.endpoint import listening_pool
from hybrid.errors import AllStoresDown
from hybrid.following import LOOK_S, LOST, PATIENCE_S, PAUSE_S, Following

if TYPE_CHECKING:
    from hybrid.aio.client import HybridRedis

__all__ = ["HybridPubSub"]


class HybridPubSub(Following, PubSub):
    """redis-py's asyncio PubSub that moves with its subscriptions. What is published meanwhile is missed."""

    _client: HybridRedis

    def __init__(self, client: HybridRedis, **options: Any) -> None:
        super().__init__(client.connection_pool, **options)
        self._client = client
        self._store = None

    async def connect(self) -> None:
        """Connect to the store that takes writes, and subscribe there to what was subscribed. Raises AllStoresDown."""
        await self._client.start()
        store = self._client._writer()
        if store is not self._store:
            await self._leave()
            self.connection_pool = listening_pool(self._client._endpoint(store), self._client._options)
            self._store = store
        is_new = self.connection is None
        await super().connect()  # type: ignore[no-untyped-call]
        if is_new and self.subscribed:
            await self.on_connect(self.connection)  # type: ignore[arg-type]

    async def execute_command(self, *args: Any) -> None:
        """Subscribe or unsubscribe. Raises AllStoresDown."""
        until_s = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            try:
                await super().execute_command(*args)
                return
            except AllStoresDown:
                raise
            except LOST as error:
                await self._recover(error, until_s)

    async def parse_response(self, block: bool = True, timeout: float = 0) -> Any:
        """The next message; None when there is none in time. Raises AllStoresDown."""
        if self._store is None:
            return await super().parse_response(block, timeout)  # says that nothing was subscribed
        clock = asyncio.get_running_loop().time
        until_s = float("inf") if block else clock() + timeout
        while True:
            try:
                if self._has_moved or self.connection is None:
                    await self.connect()
                left_s = max(until_s - clock(), 0.0)
                response = await super().parse_response(block=False, timeout=min(left_s, LOOK_S))
            except AllStoresDown:
                raise
            except LOST:
                response = None
                await self._leave()
                await asyncio.sleep(min(PAUSE_S, max(until_s - clock(), 0.0)))
            if response is not None or clock() >= until_s:
                return response

    async def _recover(self, error: BaseException, until_s: float) -> None:
        await self._leave()
        if asyncio.get_running_loop().time() > until_s:
            raise error
        await asyncio.sleep(PAUSE_S)

    async def _leave(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.deregister_connect_callback(self.on_connect)
            await connection.disconnect(nowait=True)
            await self.connection_pool.release(connection)
