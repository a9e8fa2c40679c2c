"""The stores as this process reaches them, and what a request that failed tells of its store."""

from __future__ import annotations

from collections.abc import Mapping

from hybrid.core.health import Evidence
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.observe.metrics import Recorder
from hybrid.replication.board import Board
from hybrid.replication.watcher import Watcher
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import plain_reason
from hybrid.types import Store

__all__ = ["Reach"]


class Reach:
    """Shared by all that asks a store for the application."""

    def __init__(self, board: Board, endpoints: Mapping[Store, Endpoint], metrics: Recorder) -> None:
        self.board = board
        self.endpoints = endpoints
        self.metrics = metrics
        self.watchers: dict[Store, Watcher] = {}  # none until the engine has started

    def over(self, endpoints: Mapping[Store, Endpoint]) -> Reach:
        """The same stores, reached over other connections."""
        other = Reach(self.board, endpoints, self.metrics)
        other.watchers = self.watchers
        return other

    def failed(self, store: Store, error: NotSent | ReplyLost) -> None:
        """The store cannot be reached, or does not answer."""
        self.metrics.error(store.value, "no answer" if error.silent else "refused")
        self.endpoints[store].retire()
        self.board.observe(store, Evidence.SILENT if error.silent else Evidence.REFUSED, str(error))

    def cut(self, store: Store, error: NotSent | ReplyLost) -> None:
        """A connection failed in use. Silence tells of the store; a closed connection does not, a new one will."""
        if error.silent:
            self.failed(store, error)
        else:
            self.metrics.error(store.value, "connection lost")
            self.endpoints[store].retire()

    def refused(self, store: Store, error: Exception) -> NotSent:
        """The store answers, and refuses whatever it is asked: nothing was done there. What to raise."""
        failure = NotSent(plain_reason(error))
        self.failed(store, failure)
        return failure

    def emptied(self, store: Store) -> None:
        """The store has lost its data, and its mark: whoever reads there would find nothing."""
        self.endpoints[store].retire()
        self.board.observe(store, Evidence.WIPED)
        self.greet(store)

    def is_lost(self, store: Store) -> bool:
        """Whether the store is lost or no longer the authority, looking now: a closed connection proves nothing."""
        if self.board.authority.store is store and not self.board.state(store).is_lost:
            try:
                self.endpoints[store].probe()
            except (NotSent, ReplyLost) as error:
                self.failed(store, error)
        return self.board.authority.store is not store or self.board.state(store).is_lost

    def look(self, store: Store) -> None:
        """Have its watcher ask the store: someone waits for it, or whoever lost it cannot tell whether it answers."""
        if (watcher := self.watchers.get(store)) is not None:
            watcher.poke()

    def inquire(self) -> None:
        """Somebody wants to know how the stores are. The local one is asked often in any case."""
        if (watcher := self.watchers.get(Store.CLOUD)) is not None:
            watcher.inquire()

    def greet(self, *stores: Store) -> None:
        """Have these stores greeted anew: their data or their pairing may have changed."""
        for store in stores:
            self.watchers[store].renew()
