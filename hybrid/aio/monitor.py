"""What a store is asked, as the asyncio client shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.asyncio.client import Monitor

from hybrid.aio.endpoint import listening_pool

if TYPE_CHECKING:
    from hybrid.aio.client import HybridRedis

__all__ = ["HybridMonitor"]


class HybridMonitor(Monitor):
    """redis-py's asyncio Monitor, on the store that takes writes when it is opened."""

    def __init__(self, client: HybridRedis) -> None:
        super().__init__(client.connection_pool)
        self._client = client

    async def connect(self) -> None:
        """Raises AllStoresDown."""
        if self.connection is None:
            await self._client.start()
            endpoint = self._client._endpoint(self._client._writer())
            self.connection_pool = listening_pool(endpoint, self._client._options)
        await super().connect()  # type: ignore[no-untyped-call]
