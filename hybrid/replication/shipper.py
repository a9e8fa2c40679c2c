"""The thread that ships: takes the lease on the authority's log, and forwards the log to the other store.

One shipper at a time for all processes. Every client runs one; whoever holds the lease ships for all, and when it dies
another takes over as soon as the lease has run out.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

import redis

from hybrid import events
from hybrid.core.authority import Position
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.refusals import refusal_of
from hybrid.core.resp import pack
from hybrid.core.tokens import Shipped
from hybrid.errors import HybridError
from hybrid.replication.board import Board
from hybrid.replication.endings import Outcome
from hybrid.replication.fold import fold
from hybrid.replication.forwarder import forward
from hybrid.replication.growth import measured
from hybrid.replication.lease import RENEW_S, Lease, new_holder, renamed
from hybrid.replication.lease_keeper import LeaseKeeper
from hybrid.replication.messages import Progress, Word
from hybrid.replication.packed_copy import DumpRefused
from hybrid.replication.rejoin import merge_tail
from hybrid.replication.tail import Superseded
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["Shipper"]

STRANDED_S: Final = 3.0
"""How long a shipper that does not reach the other store keeps the lease, before it gives way to one that may."""

JITTER_S: Final = 0.2
"""Those who wait for a lease to run out do not all look in the same moment."""

CAUGHT_S: Final = 0.3
"""How long after the claim a merge begins at the earliest: writers that were caught without a reply run their commands
again until then. Stores that were really lost take longer to come back."""

LOOK_S: Final = {Store.LOCAL: 1.0, Store.CLOUD: 60.0}

logger = logging.getLogger("hybrid")


class Shipper(threading.Thread):
    """Runs until the board closes."""

    def __init__(
        self, endpoints: Mapping[Store, Endpoint], board: Board, names: Names, claim: Callable[[], None]
    ) -> None:
        super().__init__(name="hybrid-shipper", daemon=True)
        self._endpoints = endpoints
        self._board = board
        self._names = names
        self._claim = claim
        self._refused = self._denied = ""
        self._reserved: Lease | None = None
        self._looked_s = 0.0
        self._looked_at: Position = (0, 0)
        self._holder = new_holder()

    def run(self) -> None:
        board = self._board
        while not board.closing:
            if board.routes.claim and board.is_wiped(board.authority.store):
                self._claim()  # so that the refill does not wait for somebody to write
            source = board.authority.store
            if not board.settings.replicated or not board.reachable(source) or board.is_wiped(source):
                board.wait(0.5)
                continue
            try:
                self._campaign(source)
            except (NotSent, ReplyLost) as error:
                logger.debug("shipping the %s store's log was interrupted: %s", source, error)
                board.wait(0.05)
            except Exception:
                # The shipper must outlive any surprise: without it nothing reaches the other store.
                logger.exception("the shipper failed and starts again")
                board.wait(1.0)
            finally:
                board.shipping = board.shipper_stuck = False
        self._leave()

    def _campaign(self, source: Store) -> None:
        """Try to become the shipper of `source`'s log, and ship while the lease lasts. Who does not reach the other
        store has no use for the lease, which costs a command each time where commands are billed."""
        board, names = self._board, self._names
        control = self._endpoints[source].connect_raw()
        try:
            self._holder = renamed(self._holder)
            lease = Lease(source, names.lease, self._holder, bid=names.bid, preferred=board.preferred)
            while self._is_due(source):
                if not board.reachable(source.other):
                    if self._is_overgrown(source, control) and self._takes(lease, control):
                        with self._kept(lease, control):
                            self._fold(lease, control)
                        return
                    board.wait(RENEW_S[source])
                elif self._takes(lease, control):
                    self._lead(source, lease, control)
                    return
                elif source is Store.LOCAL:
                    board.wait(RENEW_S[source])
                else:
                    self._await_end(lease, control)
        finally:
            control.disconnect()

    def _takes(self, lease: Lease, control: Wire) -> bool:
        reply = control.exchange(lease.acquire(), 1)[0]
        denied = str(reply) if isinstance(reply, redis.ResponseError) else ""
        if denied and denied != self._denied:
            logger.warning("the %s store does not let this process ship its log: %s", lease.store, denied)
        self._denied = denied
        return lease.acquired(reply)

    def _await_end(self, lease: Lease, control: Wire) -> None:
        """Until the lease of somebody else has run out. Where asking is billed it is asked again when it would have,
        had it not been renewed, or when its holder says that it is free."""
        wait_s = RENEW_S[lease.store]  # if nobody has it, the store refuses to give it
        while self._is_due(lease.store) and self._board.reachable(lease.store.other):
            left_ms = control.exchange(lease.left(), 1)[0]
            if not isinstance(left_ms, int) or left_ms <= 0:
                self._board.wait(wait_s)
                return
            wait_s = 0.0
            self._board.wait(left_ms / 1000 + random.uniform(0.01, JITTER_S))

    def _is_due(self, source: Store) -> bool:
        """Whether it is `source`'s log that is to be shipped."""
        return not self._board.closing and self._board.authority.store is source and not self._board.is_wiped(source)

    def _lead(self, source: Store, lease: Lease, control: Wire) -> None:
        board, target = self._board, source.other
        board.shipping, board.shipper_stuck = True, False
        board.events.emit(events.ShipperStarted(source=source))
        reached_s = time.monotonic()
        shipped = Shipped()  # of all streams: one that breaks, and the next, have shipped what the first has trimmed
        with self._kept(lease, control):
            while self._is_due(source) and lease.goes_on():
                if not board.reachable(target):
                    # Perhaps it is this process alone that does not reach it, and nobody else may ship meanwhile.
                    if lease.is_wanted or time.monotonic() - reached_s > STRANDED_S:
                        return
                    board.wait(RENEW_S[source])
                    continue
                outcome = self._ship(source, lease, control, shipped)
                reached_s = time.monotonic()
                if outcome is Outcome.OVERGROWN and self._is_overgrown(source, control):
                    self._fold(lease, control)
                if outcome in (Outcome.LEASE_LOST, Outcome.YIELDED):
                    return

    @contextmanager
    def _kept(self, lease: Lease, control: Wire) -> Iterator[None]:
        """The lease is renewed inside the block, and given back behind it."""
        keeper = LeaseKeeper(self._endpoints[lease.store], lease, self._stuck)
        keeper.start()
        try:
            yield
        finally:
            keeper.stop()
            self._board.shipping, self._board.shipped_s = False, time.monotonic()  # before another one says it ships
            self._resign(lease, control)

    def _stuck(self, silent_s: float) -> None:
        self._board.shipping, self._board.shipper_stuck = False, True
        self._board.events.emit(events.ShipperStuck(silent_s=silent_s))

    def _is_overgrown(self, source: Store, control: Wire) -> bool:
        """Whether the log is to be folded while nothing can be shipped. To look costs two commands: on the cloud only
        who has written does, and rarely."""
        now_s, written = time.monotonic(), self._board.last_written
        if now_s - self._looked_s < LOOK_S[source] or (source is Store.CLOUD and written == self._looked_at):
            return False
        self._looked_s, self._looked_at = now_s, written
        return measured(control, self._names).is_too_long

    def _fold(self, lease: Lease, control: Wire) -> None:
        if count := fold(control, self._names, lease):
            self._board.events.emit(events.LogFolded(source=lease.store, entries=count))

    def _leave(self) -> None:
        """The lease that came with the authority (`HandBack`) is not left to run out when this client closes first."""
        if self._reserved is None:
            return
        with suppress(NotSent, ReplyLost):
            control = self._endpoints[Store.LOCAL].connect_raw()
            self._resign(self._reserved, control)
            control.disconnect()

    def _resign(self, lease: Lease, control: Wire) -> None:
        """Let another shipper take over at once, rather than when the lease has run out: writers wait for it."""
        channel = self._endpoints[lease.store].applied
        told = pack(("PUBLISH", channel, Progress(Word.FREE, (0, 0)).packed))
        try:
            control.send(lease.release() + told, 2)
        except (NotSent, ReplyLost):
            return  # the source is gone, and the lease runs out by itself

    def _ship(self, source: Store, lease: Lease, control: Wire, shipped: Shipped) -> Outcome:
        """One stream to the other store, until it breaks."""
        try:
            board = self._board
            may_know_more = source is Store.CLOUD or board.authority.alone or board.is_wiped(Store.CLOUD)
            if may_know_more and not self._merge(source.other, lease):
                return Outcome.BROKEN
            outcome = forward(self._endpoints, source, self._names, self._board, lease, control, shipped)
        except (HybridError, redis.ResponseError) as error:
            if isinstance(error, NotSent | ReplyLost):
                raise
            if not isinstance(error, DumpRefused):  # that is to be remembered: else the next stream fails as this one
                for endpoint in self._endpoints.values():
                    endpoint.retire()  # perhaps another server answers there now, which can do other things
            self._report(source, control, str(error))
            return Outcome.BROKEN
        self._refused = ""
        is_handed_back = outcome is Outcome.HANDED_BACK
        self._reserved = Lease(Store.LOCAL, self._names.lease, lease.holder) if is_handed_back else None
        return outcome

    def _merge(self, returning: Store, lease: Lease) -> bool:
        """Whether what only the returning store knows is on the authority now."""
        left_s = self._board.moved_s + CAUGHT_S - time.monotonic()
        self._board.wait_for(lambda: self._board.authority.store is returning, max(left_s, 0.0))
        try:
            merge_tail(returning, self._endpoints, self._names, self._board, lease.goes_on)
        except (NotSent, ReplyLost, Superseded) as error:
            logger.debug("the %s store's last writes are not merged yet: %s", returning, error)
            self._board.wait(0.1)
            return False
        return True

    def _report(self, source: Store, control: Wire, reason: str) -> None:
        """The other store answers but does not take what it is sent: it falls behind. That becomes one event; the other
        processes are told each time, for those that came, where telling is not billed."""
        board, target, is_new = self._board, source.other, reason != self._refused
        board.refused(target, reason)
        if is_new:
            self._refused = reason
            advice = refusal_of(reason).value
            board.events.emit(events.ShippingRefused(store=target, reason=reason, advice=advice))
        if is_new or source is Store.LOCAL:
            told = Progress(Word.BEHIND, (0, 0), reason.encode()).packed
            control.exchange(pack(("PUBLISH", self._endpoints[source].applied, told)), 1)
        board.wait(1.0)
