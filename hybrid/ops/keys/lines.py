"""Connections for looking at both stores: kept open between looks, because opening one costs a cloud store's round trip
several times over."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, TypeVar

import redis

from hybrid.client import HybridRedis
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.ops.diff.line import Line, open_line
from hybrid.stores.wire import plain_reason
from hybrid.types import Store

__all__ = ["Lines"]

MOST_IDLE: Final = 4
TIMEOUT_S: Final = 3.0
"""Somebody waits for the answer, and a part of a value never takes a server long."""

T = TypeVar("T")


class _Kept:
    """A line and what closes it."""

    def __init__(self, client: redis.Redis, timeout_s: float) -> None:
        self._open = ExitStack()
        self._open.callback(client.close)
        self.line = self._open.enter_context(open_line(client, least_timeout_s=timeout_s))

    def close(self) -> None:
        self._open.close()


class Lines:
    """Lines to the stores of `client`, one borrower each at a time, who waits `timeout_s` at least (longer if the
    client does). Thread-safe. Close it."""

    def __init__(self, client: HybridRedis, *, timeout_s: float = TIMEOUT_S) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._idle: dict[Store, list[_Kept]] = {store: [] for store in Store}
        self._spent = dict.fromkeys(Store, 0)
        self._lock = threading.Lock()

    @property
    def client(self) -> HybridRedis:
        return self._client

    def commands(self, store: Store) -> int:
        """How many commands went to this store so far."""
        return self._spent[store]

    def run(self, store: Store, work: Callable[[Line], T]) -> T:
        """What `work` makes of a line. It must only read: after a connection that was closed while idle it runs again.

        Raises StoreUnavailable when the store does not answer, HybridError when it refuses.
        """
        kept = self._taken(store)
        try:
            if kept is not None:
                try:
                    return self._worked(store, kept, work)
                except redis.TimeoutError:
                    raise
                except redis.ConnectionError:
                    pass  # closed by the server while it was idle
            return self._worked(store, _Kept(self._client.store(store), self._timeout_s), work)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable(f"the {store} store did not answer: {plain_reason(error)}") from None
        except redis.ResponseError as error:
            raise HybridError(f"the {store} store refuses: {error}") from None

    def _worked(self, store: Store, kept: _Kept, work: Callable[[Line], T]) -> T:
        before = kept.line.account.commands
        try:
            result = work(kept.line)
        except BaseException:
            kept.close()  # replies may still be on their way
            raise
        finally:
            with self._lock:
                self._spent[store] += kept.line.account.commands - before
        self._give_back(store, kept)
        return result

    def _taken(self, store: Store) -> _Kept | None:
        with self._lock:
            return self._idle[store].pop() if self._idle[store] else None

    def _give_back(self, store: Store, kept: _Kept) -> None:
        with self._lock:
            if len(self._idle[store]) < MOST_IDLE:
                self._idle[store].append(kept)
                return
        kept.close()

    def close(self) -> None:
        with self._lock:
            idle = [kept for some in self._idle.values() for kept in some]
            self._idle = {store: [] for store in Store}
        for kept in idle:
            kept.close()
