"""Pipelines and transactions of the asyncio client."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import redis
from redis.asyncio.client import Pipeline

from hybrid.aio.driver import Loan
from hybrid.errors import StoreUnavailable
from hybrid.queued import Queue

if TYPE_CHECKING:
    from hybrid.aio.client import HybridRedis

__all__ = ["HybridPipeline"]


class HybridPipeline(Queue, Pipeline):  # type: ignore[misc]
    """redis-py's asyncio pipeline over two stores. After WATCH, commands run at once on the authority."""

    _client: HybridRedis
    _loan: Loan | None

    def __init__(self, client: HybridRedis, transaction: bool, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client
        self._atomic = transaction
        self._loan = None

    # -- watching

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "UNWATCH":
            return await self._unwatch()
        try:
            reply = await self._client.driver.drive(self._at_once(args, options))
        except redis.WatchError:
            await self.reset()
            raise
        if args[0] == "WATCH":
            self.watching = True
        return await _done(self._client.parsed(args[0], reply, options))

    async def _unwatch(self) -> bool:
        if self._loan is not None:
            try:
                # The standing fence is a WATCH too, and must stay.
                await self._client.driver.unwatch(self._loan)
            except StoreUnavailable as error:
                await self.reset()
                raise redis.WatchError(f"the store was lost while watching: {error}") from None
        self.watching = False
        return True

    async def reset(self) -> None:  # type: ignore[override]
        """Forget what is queued and watched."""
        loan, self._loan = self._loan, None
        if loan is not None:
            self._client.driver.give_back(loan, renew=not self._is_fenced)
        self.command_stack = []
        self.scripts = set()
        self.watching = False
        self.explicit_transaction = False

    # -- executing

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run what is queued. Raises as `HybridRedis.execute_command`, and WatchError when a watched key moved."""
        stack = self.command_stack
        try:
            if not stack and not self.watching:
                return []
            if self.scripts:
                await self.load_scripts()
            replies = self._parsed(stack, await self._client.driver.drive(self._executed(stack)), raise_on_error)
            return [await reply if inspect.isawaitable(reply) else reply for reply in replies]
        finally:
            await self.reset()

    async def load_scripts(self) -> None:
        """Make the queued scripts known to the stores."""
        scripts = list(self.scripts)
        exists = await self._client.script_exists(*[script.sha for script in scripts])
        for script, known in zip(scripts, exists, strict=True):
            if not known:
                script.sha = await self._client.script_load(script.script)


async def _done(reply: Any) -> Any:
    return await reply if inspect.isawaitable(reply) else reply
