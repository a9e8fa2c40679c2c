"""Which of several agents does what is to be done once: alerts, the periodic sync, the daily summary.

The active one holds a lease on the authority's store, or on the other one while that store is gone and nobody has
written since, so that the authority has not moved. Where no store can be asked, it stays as it was: who was active
goes on, so that there is somebody to say that both stores are down.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Final

from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.replication.board import Board
from hybrid.replication.lease import Lease, new_holder
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Purpose, Store

__all__ = ["Election"]

logger = logging.getLogger("hybrid.agent")

TERM_S: Final = {Store.LOCAL: 5.0, Store.CLOUD: 12.0}
RENEW_S: Final = {Store.LOCAL: 1.0, Store.CLOUD: 4.0}
"""The cloud store, which is billed, holds the lease only while it has the authority, or the local one is gone. Longer
ones would leave an outage untold for as long, should the active agent be killed in it."""

PATIENCE_S: Final = TERM_S[Store.LOCAL]
"""How long one that stands by waits where the lease moves to. The active one gets there first, and where it was a
lease may still be in force."""


class Election(threading.Thread):
    """Stands for the office until `close`, which gives it to another one at once."""

    def __init__(self, endpoints: Mapping[Store, Endpoint], board: Board, names: Names) -> None:
        super().__init__(name="hybrid-election", daemon=True)
        self._endpoints = endpoints
        self._board = board
        self._names = names
        self._holder = new_holder()
        self._store: Store | None = None
        self._asked_s = 0.0
        self._moved_s: float | None = None
        self._wire: Wire | None = None
        self._stopped = threading.Event()
        self.is_active = False
        """Whether this process does the shared duties now."""

    def close(self) -> None:
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=2.0)

    def run(self) -> None:
        while not self._stopped.is_set():
            now_s = time.monotonic()
            store = self._place(now_s)
            if store is not None and (store is not self._store or now_s - self._asked_s >= RENEW_S[store]):
                self._asked_s = now_s
                self._stand(store)
            self._stopped.wait(RENEW_S[Store.LOCAL])
        self._resign()

    def _place(self, now_s: float) -> Store | None:
        """Where to stand now."""
        authority = self._board.authority.store
        store = next((each for each in (authority, authority.other) if self._board.reachable(each)), None)
        if store is None or self.is_active or store is (self._store or authority):
            self._moved_s = None
            return store
        if self._moved_s is None:
            self._moved_s = now_s
        return None if now_s - self._moved_s < PATIENCE_S else store

    def _stand(self, store: Store) -> None:
        lease = self._lease(store)
        try:
            reply = self._connected(store).exchange(lease.acquire(), 1)[0]
        except (NotSent, ReplyLost) as error:
            logger.debug("the active agent cannot be told: %s", error)
            return
        if isinstance(reply, Exception):
            logger.debug("the %s store gives no lease: %s", store, reply)
            return
        elected = lease.acquired(reply)
        if elected is not self.is_active:
            self.is_active = elected
            logger.info("this agent is %s", "active" if elected else "standing by")

    def _resign(self) -> None:
        was_active, self.is_active = self.is_active, False
        if self._wire is None:
            return
        try:
            if was_active and self._store is not None and self._wire.is_connected:
                self._wire.exchange(self._lease(self._store).release(), 1)
        except (NotSent, ReplyLost):
            return  # the lease runs out by itself
        finally:
            self._wire.disconnect()

    def _lease(self, store: Store) -> Lease:
        return Lease(store, self._names.agent, self._holder, term_s=TERM_S[store])

    def _connected(self, store: Store) -> Wire:
        wire = self._wire
        if wire is None or store is not self._store or not wire.is_connected or not wire.is_quiet():
            if wire is not None:
                wire.disconnect()
            wire = self._wire = self._endpoints[store].connect_raw(purpose=Purpose.HEALTH)
            self._store = store
        return wire
