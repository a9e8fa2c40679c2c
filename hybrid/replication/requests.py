"""Requests of the application to one store: plain ones, and transactions behind the fence."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from hybrid.core.actions import Ask, Borrow, Commit, OnWire
from hybrid.core.authority import admits_write
from hybrid.core.outcomes import Committed, Fenced, NotSent, ReplyLost
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.replication.claims import Claims
from hybrid.replication.reach import Reach
from hybrid.replication.relay import Relay
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["Borrowed", "Requests"]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A fenced wire lent to a pipeline that watches keys."""

    store: Store
    endpoint: Endpoint
    generation: int
    wire: Wire


class Requests:
    """Each waits for its replies. All raise NotSent or ReplyLost."""

    def __init__(self, reach: Reach, claims: Claims, relay: Relay) -> None:
        self._reach = reach
        self._board = reach.board
        self._endpoints = reach.endpoints
        self._metrics = reach.metrics
        self._claims = claims
        self._relay = relay

    def ask(self, action: Ask) -> list[Any]:
        endpoint = self._endpoints[action.store]
        generation, wire = self._connected(action.store, endpoint.take)
        started_s = time.perf_counter()
        try:
            replies = wire.exchange(action.payload, action.replies, decode=action.decode, timeout_s=action.timeout_s)
        except (NotSent, ReplyLost) as error:
            self._reach.cut(action.store, error)
            raise
        if action.reads or action.replies == 1:
            self._check_refusal(action.store, wire, wire.error_of(replies))
        if wire.flushes > wire.looked and self._is_lost(action.store, wire) and action.reads:
            raise NotSent("it was emptied")  # and a read has found nothing there
        if action.timeout_s is None:  # a command that waits says nothing of the store
            self._metrics.record_request(action.store, action.payload, time.perf_counter() - started_s)
        endpoint.give(generation, wire)
        return replies

    def _is_lost(self, store: Store, wire: Wire) -> bool:
        """Whether the data of a store is gone that has said that it was emptied, or nobody can tell."""
        try:
            is_lost = self._endpoints[store].has_lost(wire)
        except (NotSent, ReplyLost) as error:
            self._reach.cut(store, error)
            return True
        if is_lost:
            wire.disconnect()
            self._reach.emptied(store)
        return is_lost

    def _check_refusal(self, store: Store, wire: Wire, error: Exception | None) -> None:
        """Raise NotSent where the store refuses not only this command, but whatever it is asked."""
        if error is None or refusal_of(error) is Refusal.THIS_KEY:
            return
        try:
            refused = wire.error_of(wire.exchange(self._endpoints[store].ask_marks, 1, decode=False))
        except (NotSent, ReplyLost):
            return  # the next command tells
        if refused is not None:
            wire.disconnect()
            raise self._reach.refused(store, refused)

    def commit(self, action: Commit) -> Committed | Fenced:
        if action.relayed:
            return self.relayed(action)
        store, transaction = action.store, action.transaction
        if self._board.is_unsealed(store):
            self._board.await_seal()
        endpoint = self._endpoints[store]
        generation, wire = self._connected(store, partial(endpoint.take_fenced, self._board.authority.epoch))
        if not admits_write(wire.authority, store, self._board.authority):
            return self._fenced(store, generation, wire)
        if action.token and not self._board.acks[Store.LOCAL].allows(wire.authority):
            return self._fenced(store, generation, wire)
        token = action.token or (wire.next_token() if transaction.traced else b"")
        epoch, started_s = wire.epoch, time.perf_counter()
        patience_s = endpoint.patience_s + transaction.work_s
        try:
            if transaction.scripted and not wire.effects_loaded:
                endpoint.load_effects(wire)
            endings = endpoint.lost.endings
            payload, count = transaction.payload(token), transaction.replies
            if endings:
                payload, count = b"".join(endings) + payload, len(endings) + count
            replies = wire.exchange(payload, count, decode=action.decode, timeout_s=patience_s)
        except (NotSent, ReplyLost) as error:
            if isinstance(error, ReplyLost):
                error.token, error.sent_s = token, time.monotonic() - (time.perf_counter() - started_s)
                endpoint.lost.add(wire)
            self._reach.cut(store, error)
            raise
        except BaseException:
            endpoint.lost.add(wire)  # interrupted: what comes next is to come after it
            raise
        if endings:
            endpoint.lost.ended(endings)
            replies = replies[len(endings) :]
        self._metrics.record(store, transaction.name, time.perf_counter() - started_s)
        ran = replies[-3]
        wire.see(replies[-1])
        if ran is None:
            return self._fenced(store, generation, wire)
        if isinstance(ran, Exception) and isinstance(replies[-1], Exception):
            raise self._reach.refused(store, replies[-1])  # not only these commands
        endpoint.give_fenced(generation, wire)
        if isinstance(ran, Exception):
            raise transaction.refusal(replies[1:-3], ran)
        if (refused := transaction.refused_writes(ran)) is not None:
            raise refused
        if transaction.lacks_script(ran):
            wire.effects_loaded = False
            if transaction.size == 1:
                return self.commit(action)
        return Committed(ran, epoch, token)

    def relayed(self, action: Commit) -> Committed | Fenced:
        """Have the process that ships run it. Raises NotSent or ReplyLost, and others are no longer relied on then."""
        transaction = action.transaction
        if action.token:
            return Fenced(self._board.authority)  # a command is run again on the cloud store only
        try:
            replies, token = self._relay.run(transaction, decode=action.decode)
        except (NotSent, ReplyLost):
            self._board.stop_relaying()
            raise
        if isinstance(replies[-3], Exception):
            raise transaction.refusal(replies[1:-3], replies[-3])
        if transaction.lacks_script(replies[-3]) and transaction.size == 1:
            return self.relayed(action)
        return Committed(replies[-3], self._board.authority.epoch, token)

    def _connected(self, store: Store, take: Callable[[], tuple[int, Wire]]) -> tuple[int, Wire]:
        """A wire from the pool, or a new one: that none can be had is evidence against the store."""
        try:
            return take()
        except (NotSent, ReplyLost) as error:
            self._reach.failed(store, error)
            # Nothing of the caller's was on its way yet.
            raise NotSent(str(error), silent=error.silent) from None

    def _fenced(self, store: Store, generation: int, wire: Wire) -> Fenced:
        self._endpoints[store].give_fenced(generation, wire)
        return self._claims.refused(store, wire.authority)

    # -- watching

    def borrow(self, action: Borrow) -> Borrowed | Fenced:
        store, endpoint = action.store, self._endpoints[action.store]
        if self._board.is_unsealed(store):
            self._board.await_seal()
        generation, wire = self._connected(store, partial(endpoint.take_fenced, self._board.authority.epoch))
        if self._board.settings.replicated and not admits_write(wire.authority, store, self._board.authority):
            return self._fenced(store, generation, wire)
        return Borrowed(store, endpoint, generation, wire)

    def on_wire(self, action: OnWire) -> list[Any]:
        wire: Wire = action.loan.wire
        try:
            return wire.exchange(action.payload, action.replies, decode=action.decode)
        except NotSent:
            raise
        except BaseException:
            action.loan.endpoint.lost.add(wire)
            raise

    def give_back(self, borrowed: Borrowed, *, renew: bool = True) -> None:
        """Return the wire; one that watched keys first has to `renew` its standing WATCH."""
        if renew:
            try:
                borrowed.endpoint.fence(borrowed.wire)
            except (NotSent, ReplyLost):
                return
        borrowed.endpoint.give_fenced(borrowed.generation, borrowed.wire)
