"""Subscriptions of the client: on the store that takes writes, because that is where `publish` goes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from redis.client import PubSub

from hybrid.errors import AllStoresDown
from hybrid.following import LOOK_S, LOST, PATIENCE_S, PAUSE_S, Following

if TYPE_CHECKING:
    from hybrid.client import HybridRedis

__all__ = ["HybridPubSub"]


class HybridPubSub(Following, PubSub):
    """redis-py's PubSub that moves with its subscriptions. What is published meanwhile is missed.

    One thread may listen while others subscribe and unsubscribe, as with redis-py's.
    """

    _client: HybridRedis
    connection: Any

    def __init__(self, client: HybridRedis, **options: Any) -> None:
        self._client = client
        self._store = None
        self._moving = threading.RLock()
        self._arriving = False
        super().__init__(client.connection_pool, **options)

    def execute_command(self, *args: Any) -> None:
        """Subscribe or unsubscribe. Raises AllStoresDown."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                with self._moving:
                    if not self._arriving:
                        self._connect()
                    super().execute_command(*args)  # type: ignore[no-untyped-call]
                return
            except AllStoresDown:
                raise
            except LOST:
                if self._arriving or time.monotonic() > until_s:
                    raise
                self._leave(self.connection)
            time.sleep(PAUSE_S)

    def parse_response(self, block: bool = True, timeout: float = 0) -> Any:
        """The next message; None when there is none in time. Raises AllStoresDown."""
        until_s = float("inf") if block else time.monotonic() + timeout
        while True:
            connection = self.connection
            if connection is None and not self.subscribed:
                return super().parse_response(block, timeout)  # type: ignore[no-untyped-call] # says: nothing was subscribed
            response = None
            try:
                has_moved = self._has_moved
                if connection is not None:
                    response = self._heard(connection, 0.0 if has_moved else until_s)
                if response is None and (has_moved or connection is None):  # what had arrived is not left behind
                    self._connect()
                    continue
            except AllStoresDown:
                raise
            except Exception as error:
                # Another thread may have moved or closed it: what redis-py raises of that has no particular type.
                if connection is self.connection and not isinstance(error, LOST):
                    raise
                self._leave(connection)
                time.sleep(min(PAUSE_S, max(until_s - time.monotonic(), 0.0)))
            if response is not None or time.monotonic() >= until_s:
                return response

    def _heard(self, connection: Any, until_s: float) -> Any:
        """A message that begins within the next moment; its end may take as long as a store is waited for."""
        self.check_health()
        if not connection.can_read(timeout=min(max(until_s - time.monotonic(), 0.0), LOOK_S)):
            return None
        return super().parse_response(block=False, timeout=PATIENCE_S)  # type: ignore[no-untyped-call]

    def reset(self) -> None:
        """Forget all subscriptions, and give the connection back."""
        self._leave(self.connection)  # in this order: a thread that listens sees that it was closed on purpose
        super().reset()
        self._store = None

    def _connect(self) -> None:
        """Be on the store that takes writes, with everything that was subscribed. Raises AllStoresDown."""
        self._client.start()
        with self._moving:
            store = self._client._writer()
            if store is self._store and self.connection is not None:
                return
            self._leave(self.connection)
            self.connection_pool = self._client._listening_pool(store)
            self._store = store
            if not self.subscribed:
                return
            self._arriving = True
            try:
                self.on_connect(None)
            except BaseException:
                self._leave(self.connection)  # subscribed in part
                raise
            finally:
                self._arriving = False

    def _leave(self, connection: Any) -> None:
        """End this connection, if it is still the one in use."""
        with self._moving:
            if connection is None or connection is not self.connection:
                return
            self.connection = None
            connection.deregister_connect_callback(self.on_connect)
            connection.disconnect()
            self.connection_pool.release(connection)
