"""Pipelines and transactions: one logged transaction on the authority, one on the other store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from redis.client import Pipeline

from hybrid.errors import StoreUnavailable
from hybrid.queued import Queue
from hybrid.replication.requests import Borrowed

if TYPE_CHECKING:
    from hybrid.client import HybridRedis

__all__ = ["HybridPipeline"]


class HybridPipeline(Queue, Pipeline):
    """redis-py's pipeline over two stores. After WATCH, commands run at once on the authority, as in redis-py."""

    _client: HybridRedis
    _loan: Borrowed | None

    def __init__(self, client: HybridRedis, transaction: bool, shard_hint: Any) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client
        self._atomic = transaction
        self._engine = client._engine
        self._loan = None

    # -- watching

    def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        if args[0] == "UNWATCH":
            return self._unwatch()
        try:
            reply = self._engine.drive(self._at_once(args, options))
        except redis.WatchError:
            self.reset()
            raise
        if args[0] == "WATCH":
            self.watching = True
        return self._client.parsed(args[0], reply, options)

    def _unwatch(self) -> bool:
        if self._loan is not None:
            try:
                # The standing fence is a WATCH too, and must stay.
                self._loan.endpoint.fence(self._loan.wire)
            except StoreUnavailable as error:
                self.reset()
                raise redis.WatchError(f"the store was lost while watching: {error}") from None
        self.watching = False
        return True

    def reset(self) -> None:  # type: ignore[override]
        loan, self._loan = getattr(self, "_loan", None), None
        if loan is not None:
            self._engine.requests.give_back(loan, renew=not self._is_fenced)
        self.command_stack = []
        self.scripts = set()
        self.watching = False
        self.explicit_transaction = False

    # -- executing

    def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Run what is queued. Raises as `HybridRedis.execute_command`, and WatchError when a watched key moved."""
        stack = self.command_stack
        try:
            if not stack and not self.watching:
                return []
            if self.scripts:
                self.load_scripts()
            return self._parsed(stack, self._engine.drive(self._executed(stack)), raise_on_error)
        finally:
            self.reset()

    def load_scripts(self) -> None:
        """Make the queued scripts known to the stores."""
        scripts = list(self.scripts)
        exists = self._client.script_exists(*[script.sha for script in scripts])
        for script, known in zip(scripts, exists, strict=True):
            if not known:
                script.sha = self._client.script_load(script.script)
