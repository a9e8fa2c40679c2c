"""The running half of a client: endpoints, board, watchers and shipper of one process, and the driver of the flows."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from redis.exceptions import NoScriptError

from hybrid import events
from hybrid.core.authority import Authority, Holder, Position, admits_write
from hybrid.core.flows import (
    Action,
    Ask,
    AwaitAuthority,
    AwaitConfirmation,
    Borrow,
    Commit,
    Flow,
    OnWire,
    Pause,
    Trace,
)
from hybrid.core.health import Evidence
from hybrid.core.names import RESERVED, Names
from hybrid.core.outcomes import Committed, Confirmation, Fate, Fenced, NotSent, ReplyLost
from hybrid.core.tokens import Seal
from hybrid.errors import ConfigurationError, HybridError, StoreUnavailable
from hybrid.observe.metrics import Recorder
from hybrid.observe.publisher import Publisher
from hybrid.observe.telemetry import telemetry_sink
from hybrid.replication.board import Board
from hybrid.replication.live_settings import LiveSettings
from hybrid.replication.pairing import Pairing
from hybrid.replication.registry import Registry
from hybrid.replication.relay import Relay
from hybrid.replication.shipper import Shipper
from hybrid.replication.steward import Steward
from hybrid.replication.watcher import Watcher
from hybrid.settings import Settings
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store, StoreState

__all__ = ["Borrowed", "Engine"]


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A fenced wire lent to a pipeline that watches keys."""

    store: Store
    endpoint: Endpoint
    generation: int
    wire: Wire


SETTLE_S: Final = 1.0
"""How long opening a client waits for first word of its stores: enough for a cloud one, short when one is dead."""

HANDOVER_S: Final = 1.0
"""Several times what a handover takes over a usual link; after that, a writer takes it back."""

SEAL_S: Final = 1.0
NEVER: Final = (2**63, 0)
CONFIRM_SLICE_S: Final = 0.05
OVERDUE_S: Final = 5.0
"""Longer than a shipper's lease lives, so that a killed shipper is succeeded before a write stops waiting for it."""


class Engine:
    """One per client. Threads start with the first use and again in a forked child; `close` ends them.

    `companions` make threads that run beside each engine, and end by themselves when its board closes: so upper layers
    have work done in every process.
    """

    companions: ClassVar[list[Callable[[Engine], threading.Thread]]] = []

    def __init__(
        self, settings: Settings, log: events.EventLog, names: Names, options: Mapping[str, Any] | None = None
    ) -> None:
        if settings.local_url is None:
            raise ConfigurationError(
                "no local store is configured: set REDIS_URL (for example redis://localhost:6379), or run "
                "`python -m hybrid demo` for two embedded stores"
            )
        self.board = Board(settings, log)
        self.names = names
        self.endpoints = {
            Store.LOCAL: Endpoint(
                Store.LOCAL, settings.local_url, names, timeout_s=settings.local_timeout_s, options=options
            )
        }
        if settings.cloud_url is not None:
            self.endpoints[Store.CLOUD] = Endpoint(
                Store.CLOUD, settings.cloud_url, names, timeout_s=settings.cloud_timeout_s, options=options
            )
        self.metrics = Recorder(self._traffic)
        log.add_hook(self.metrics.event)
        self.latency = self.metrics.windows
        self._publisher: Publisher | None = None
        self.shipper: Shipper | None = None
        self.live = LiveSettings(self, settings.stated())
        self.registry = Registry(self)
        self._steward: Steward | None = None
        self._companions: list[threading.Thread] = []
        self._watchers: dict[Store, Watcher] = {}
        self._starting = threading.Lock()
        self.started = False
        self.relay = Relay(self.endpoints, self.board, names)
        self.board.on_doubt = self._poke
        _engines.add(self)

    # -- life

    def start(self) -> None:
        """Start the threads and wait, briefly, for first word of each store. Called by the first command."""
        settings = self.board.settings
        with self._starting:
            if self.board.closing:
                raise StoreUnavailable("this client is closed; open a new one")
            if self.started:
                return
            pairing = Pairing(self.names, self.board, self.live.hear, self.endpoints)
            for store, endpoint in self.endpoints.items():
                peer = self.endpoints.get(store.other)
                relay = self.relay.hear if store is Store.CLOUD else None
                watcher = Watcher(endpoint, self.board, peer, pairing.greeting(store), self.live, relay)
                self._watchers[store] = watcher
                watcher.start()
            if Store.CLOUD in self.endpoints:
                self.shipper = Shipper(self.endpoints, self.board, self.names, self.claim)
                self.shipper.start()
            self.board.wait_settled(tuple(self.endpoints), SETTLE_S)
            for store in self.endpoints:
                # A name that does not resolve can keep its watcher waiting for long; nobody else shall wait.
                if self.board.state(store) is StoreState.UNKNOWN:
                    self.board.observe(store, Evidence.SILENT, "no word of it yet")
            self.metrics.sink = telemetry_sink(self.endpoints)
            if self.names.prefix == RESERVED:  # a drill's calls are not the application's
                local = self.endpoints[Store.LOCAL]
                self._publisher = Publisher(self.metrics, local, self.names, lambda: self.board.reachable(Store.LOCAL))
                self._publisher.start()
            self._steward = Steward(self)
            self.live.on_change = self._steward.wake
            self._steward.start()
            if Store.CLOUD in self.endpoints and self.names.prefix == RESERVED:
                self._companions = [make(self) for make in self.companions]
                for companion in self._companions:
                    companion.start()
            self.started = True
        cloud = str(self.board.state(Store.CLOUD)) if Store.CLOUD in self.endpoints else "not configured"
        sync = "on" if settings.replicated and settings.sync_enabled else "off"
        self.board.events.emit(events.Started(local=str(self.board.state(Store.LOCAL)), cloud=cloud, sync=sync))

    def close(self) -> None:
        """End the threads and the connections. What is not shipped yet stays in the log for the next shipper."""
        self.abandon()
        threads: list[threading.Thread] = [*self._watchers.values(), *self._companions]
        threads += [thread for thread in (self.shipper, self._publisher, self._steward) if thread is not None]
        for thread in threads:
            if thread.is_alive():
                thread.join(timeout=2.0)
        for endpoint in self.endpoints.values():
            endpoint.retire()

    def abandon(self) -> None:
        """As `close`, without waiting: the client was dropped unclosed."""
        self.started = False
        self.board.close()
        for watcher in self._watchers.values():
            watcher.close()
        if self._publisher is not None:
            self._publisher.close()
        if self._steward is not None:
            self._steward.wake()

    def forget_after_fork(self) -> None:
        """In a forked child none of the parent's threads runs, and its connections are not ours to use."""
        self._starting = threading.Lock()
        self._watchers = {}
        self.shipper = None
        self._publisher = None
        self._steward = None
        self.registry = Registry(self)
        self.live.forget_after_fork()
        self.metrics.forget_after_fork()
        self.relay.forget_after_fork()
        self.board.forget_after_fork()
        for endpoint in self.endpoints.values():
            endpoint.forget_after_fork()
        self.started = False

    def configure(self, settings: Settings, shown: str, *, version: int | None = None, author: str = "") -> None:
        """Put changed settings into effect; `shown` says in words what changed. Never waits for a store."""
        board, before = self.board, self.board.settings
        resumes = settings.replicated and not before.replicated
        if resumes:
            board.apart = True  # until the local store's greeting says whether the cloud missed anything
        board.configure(settings, shown, version=version, author=author)
        if resumes:
            # Until it is greeted and caught up again, the cloud store counts as behind.
            board.observe(Store.CLOUD, Evidence.BEHIND)
        timeouts = {Store.LOCAL: settings.local_timeout_s, Store.CLOUD: settings.cloud_timeout_s}
        changed = [endpoint for store, endpoint in self.endpoints.items() if endpoint.timeout_s != timeouts[store]]
        for endpoint in changed:
            endpoint.set_timeout(timeouts[endpoint.store])
        if settings.log_level != before.log_level:
            logging.getLogger("hybrid").setLevel((settings.log_level or "notset").upper())
        if changed or settings.replicated != before.replicated:
            self.renew()

    def renew(self) -> None:
        """Greet both stores anew: whether they are a pair has changed."""
        for watcher in self._watchers.values():
            watcher.renew()

    def _traffic(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """Commands, bytes sent and received since the start, by store and purpose."""
        return {
            (store.value, purpose.value): numbers
            for store, endpoint in self.endpoints.items()
            for purpose, numbers in endpoint.meter.totals().items()
        }

    # -- driving

    def drive(self, flow: Flow) -> Any:
        """Perform what the flow asks for until it returns; its result is the result."""
        if not self.started:
            self.start()
        try:
            action = next(flow)
            while True:
                try:
                    result = self.perform(action)
                except HybridError as error:
                    action = flow.throw(error)
                else:
                    action = flow.send(result)
        except StopIteration as end:
            if isinstance(end.value, Exception):
                self.metrics.error("client", type(end.value).__name__)
            return end.value
        except HybridError as error:
            self.metrics.error("client", type(error).__name__)
            raise

    def perform(self, action: Action) -> Any:
        """Do one thing that a flow asks for. Raises NotSent or ReplyLost."""
        kind = type(action)
        if kind is Ask:
            return self._ask(action)  # type: ignore[arg-type]
        if kind is Commit:
            return self._commit(action)  # type: ignore[arg-type]
        if kind is AwaitConfirmation:
            return self._confirmation(action)  # type: ignore[arg-type]
        if kind is AwaitAuthority:
            self.board.wait_for_authority(action.than, HANDOVER_S)  # type: ignore[union-attr]
            return None
        if kind is Trace:
            return self._fate(action)  # type: ignore[arg-type]
        if kind is Pause:
            time.sleep(action.seconds)  # type: ignore[union-attr]
            return None
        if kind is OnWire:
            wire: Wire = action.loan.wire  # type: ignore[union-attr]
            return wire.exchange(action.payload, action.replies, decode=action.decode)  # type: ignore[union-attr]
        if kind is Borrow:
            return self._borrowed(action)  # type: ignore[arg-type]
        return self.claim()

    def _ask(self, action: Ask) -> list[Any]:
        endpoint = self.endpoints[action.store]
        generation, wire = self._connected(action.store, endpoint.take)
        started_s = time.perf_counter()
        try:
            replies = wire.exchange(action.payload, action.replies, decode=action.decode, timeout_s=action.timeout_s)
        except (NotSent, ReplyLost) as error:
            self.cut(action.store, error)
            raise
        if action.timeout_s is None:  # a command that waits says nothing of the store
            self.metrics.record_request(action.store, action.payload, time.perf_counter() - started_s)
        endpoint.give(generation, wire)
        return replies

    def _commit(self, action: Commit) -> Committed | Fenced:
        if action.relayed:
            return self.relayed(action)
        store, transaction = action.store, action.transaction
        endpoint = self.endpoints[store]
        generation, wire = self._connected(store, partial(endpoint.take_fenced, self.board.authority.epoch))
        if not admits_write(wire.authority, store, self.board.authority):
            return self._fenced(store, generation, wire)
        token = action.token or (wire.next_token() if transaction.traced else b"")
        started_s = time.perf_counter()
        patience = None if transaction.is_usual else endpoint.timeout_s + transaction.work_s
        try:
            if transaction.scripted and not wire.effects_loaded:
                endpoint.load_effects(wire)
            replies = wire.exchange(
                transaction.payload(token), transaction.replies, decode=action.decode, timeout_s=patience
            )
        except (NotSent, ReplyLost) as error:
            if isinstance(error, ReplyLost):
                error.token = token
            self.cut(store, error)
            raise
        self.metrics.record(store, transaction.name, time.perf_counter() - started_s)
        ran = replies[-3]
        wire.see(replies[-1])
        if ran is None:
            return self._fenced(store, generation, wire)
        endpoint.give_fenced(generation, wire)
        if isinstance(ran, Exception):
            raise transaction.refusal(replies[1:-3], ran)
        if transaction.scripted and any(isinstance(reply, NoScriptError) for reply in ran):
            return self._forgotten_script(action, wire, ran)
        return Committed(ran, token)

    def relayed(self, action: Commit) -> Committed:
        """Have the process that ships run it. Raises NotSent or ReplyLost, and others are no longer relied on then."""
        transaction = action.transaction
        try:
            replies, token = self.relay.run(transaction, action.token, decode=action.decode)
        except (NotSent, ReplyLost):
            self.board.stop_relaying()
            raise
        if isinstance(replies[-3], Exception):
            raise transaction.refusal(replies[1:-3], replies[-3])
        return Committed(replies[-3], token)

    def _forgotten_script(self, action: Commit, wire: Wire, ran: list[Any]) -> Committed | Fenced:
        """Somebody emptied the server's script cache. A single command has done nothing then, and is run again; in a
        longer transaction the others have run, and the error stands in its place."""
        wire.effects_loaded = False
        return self._commit(action) if action.transaction.size == 1 else Committed(ran)

    def _connected(self, store: Store, take: Callable[[], tuple[int, Wire]]) -> tuple[int, Wire]:
        """A wire from the pool, or a new one: that none can be had is evidence against the store."""
        try:
            return take()
        except (NotSent, ReplyLost) as error:
            self.failed(store, error)
            raise

    def _fenced(self, store: Store, generation: int, wire: Wire) -> Fenced:
        self.endpoints[store].give_fenced(generation, wire)
        return self.refused(store, wire.authority)

    def refused(self, store: Store, record: Authority | None) -> Fenced:
        """Take note of the record that stood at the fence."""
        if record is None:
            # New to replication, or wiped: the greeting tells, and creates the record or takes the store out of use.
            self._watchers[store].renew()
        else:
            self.board.learn(record, source=store)
            self._renew_record(store)
        return Fenced(record)

    def _renew_record(self, store: Store) -> None:
        """The record of the local store lags behind the cloud's, which handed the authority back: the shipper may have
        died between the two. All was shipped before the first, so anybody may do the second. On the cloud store an
        older record means that it was lost with everything else, and begun anew by a process that did not know."""
        authority = self.board.authority
        if authority.admits(store):
            with suppress(NotSent, ReplyLost):
                self.endpoints[store].renew_record(authority)

    def failed(self, store: Store, error: NotSent | ReplyLost) -> None:
        """The store cannot be reached, or does not answer."""
        self.metrics.error(store.value, "no answer" if error.silent else "refused")
        self.endpoints[store].retire()
        self.board.observe(store, Evidence.SILENT if error.silent else Evidence.REFUSED, str(error))

    def _poke(self, store: Store) -> None:
        """Have its watcher look: whoever lost the store, it may answer (again in a moment) or not."""
        if (watcher := self._watchers.get(store)) is not None:
            watcher.poke()

    def cut(self, store: Store, error: NotSent | ReplyLost) -> None:
        """A connection failed in use. Silence tells of the store; a closed connection does not, a new one will."""
        if error.silent:
            self.failed(store, error)
        else:
            self.metrics.error(store.value, "connection lost")
            self.endpoints[store].retire()

    # -- watching

    def _borrowed(self, action: Borrow) -> Borrowed | Fenced:
        store, endpoint = action.store, self.endpoints[action.store]
        generation, wire = self._connected(store, partial(endpoint.take_fenced, self.board.authority.epoch))
        if self.board.settings.replicated and not admits_write(wire.authority, store, self.board.authority):
            return self._fenced(store, generation, wire)
        return Borrowed(store, endpoint, generation, wire)

    def give_back(self, borrowed: Borrowed, *, renew: bool = True) -> None:
        """Return the wire; one that watched keys first has to `renew` its standing WATCH."""
        if renew:
            try:
                borrowed.endpoint.fence(borrowed.wire)
            except (NotSent, ReplyLost):
                return
        borrowed.endpoint.give_fenced(borrowed.generation, borrowed.wire)

    # -- authority

    def claim(self) -> None:
        """Claim the authority for the store that is left: the other one is lost by this process's own evidence. A drain
        that did not end is taken back instead, while the local store is there to write to."""
        routes = self.board.routes
        if routes.claim and routes.writer is Store.LOCAL:
            self._claim_alone()
        else:
            self._claim_for_cloud()

    def _claim_alone(self) -> None:
        """For a local store that has everything this process knows of. The record on the cloud store, which decides at
        other times, cannot be asked: the shipper renews it once it can, and merges what only that store knows."""
        endpoint, known = self.endpoints[Store.LOCAL], self.board.authority
        try:
            generation, wire = endpoint.take_fenced(known.epoch)
            if wire.authority is None:
                self._watchers[Store.LOCAL].renew()
            elif wire.authority.epoch <= known.epoch:
                endpoint.move(wire, known.of_local_alone)
            record = wire.authority
        except (NotSent, ReplyLost) as error:
            self.failed(Store.LOCAL, error)
            return
        endpoint.give_fenced(generation, wire)
        self.board.learn(record, source=Store.LOCAL)

    def _claim_for_cloud(self) -> None:
        endpoint = self.endpoints[Store.CLOUD]
        try:
            generation, wire = endpoint.take_fenced(self.board.authority.epoch)
            record = wire.authority
            if record is not None and (record.holder is not Holder.CLOUD or record.epoch < self.board.authority.epoch):
                back = record.holder is Holder.DRAIN and self.board.reachable(Store.LOCAL)
                holder = Holder.LOCAL if back else Holder.CLOUD
                later = Authority(holder, max(record.epoch, self.board.authority.epoch) + 1)
                endpoint.move(wire, later)
                record = wire.authority
            elif record is None:
                self._watchers[Store.CLOUD].renew()  # its data is gone: the greeting tells
        except (NotSent, ReplyLost) as error:
            self.failed(Store.CLOUD, error)
            return
        endpoint.give_fenced(generation, wire)
        self.board.learn(record, source=Store.CLOUD)

    # -- confirmation

    def _confirmation(self, action: AwaitConfirmation) -> Confirmation:
        store, place, board = action.store, action.position, self.board
        acks = board.acks[store]
        if acks.wait(place, board.settings.cloud_timeout_s / 2):
            return Confirmation.APPLIED
        deadline_s = time.monotonic() + OVERDUE_S
        while (known := self.confirmed(action, deadline_s)) is None:
            acks.wait(place, CONFIRM_SLICE_S)
        if known is Confirmation.AUTHORITY_LOST:
            return self.after_loss(action, self.wait_for_seal(store, place))
        return known

    def confirmed(self, action: AwaitConfirmation, deadline_s: float) -> Confirmation | None:
        """What can be said now: None asks to wait on, AUTHORITY_LOST to ask for the seal."""
        store, board = action.store, self.board
        if board.acks[store].applied >= action.position:
            return Confirmation.APPLIED
        if store is Store.CLOUD and board.authority.store is Store.LOCAL:
            # Everything was shipped before the authority was handed back, but not if it was taken.
            return Confirmation.AUTHORITY_LOST if board.authority.alone else Confirmation.APPLIED
        if board.authority.store is not store or board.state(store) is StoreState.DOWN:
            is_taken = store is Store.LOCAL or board.routes.claim
            return Confirmation.AUTHORITY_LOST if is_taken else Confirmation.UNAVAILABLE
        if not board.routes.confirm:
            board.unconfirmed += 1
            return Confirmation.UNAVAILABLE
        if time.monotonic() > deadline_s or board.closing:
            board.unconfirmed += 1
            return Confirmation.OVERDUE
        self._watchers[store.other].poke()
        return None

    def after_loss(self, action: AwaitConfirmation, seal: Seal | None) -> Confirmation:
        """The local store died with this entry perhaps unshipped: the shipper's seal tells."""
        if self.board.acks[action.store].applied >= action.position:
            return Confirmation.APPLIED
        unshipped = seal is not None and action.position > seal.maybe_to
        return Confirmation.UNSHIPPED if unshipped else Confirmation.AUTHORITY_LOST

    def _fate(self, action: Trace) -> Fate:
        return self.fate(action, self.last_word(action.store))

    def fate(self, action: Trace, seal: Seal | None) -> Fate:
        """What the seal says of a transaction without a reply."""
        if seal is None:
            return Fate.UNKNOWN
        return Fate.SHIPPED if seal.shipped.holds(action.token) else Fate.UNSHIPPED

    def last_word(self, store: Store) -> Seal | None:
        """A lost reply can be explained only if its store is lost too, and the last shipper said what it shipped."""
        return self.wait_for_seal(store, None) if store is Store.LOCAL and self._is_lost(store) else None

    def _is_lost(self, store: Store) -> bool:
        """Whether the store is down, looking now: a closed connection alone proves nothing."""
        if self.board.authority.store is store and self.board.state(store) is not StoreState.DOWN:
            try:
                self.endpoints[store].probe()
            except (NotSent, ReplyLost) as error:
                self.failed(store, error)
        return self.board.authority.store is not store or self.board.state(store) is StoreState.DOWN

    def _make_ready(self, store: Store) -> None:
        """Have a wire with a fresh fence at hand when the wait is over: the write is then run again there."""
        if self.board.authority.store is store:
            with suppress(NotSent, ReplyLost):
                generation, wire = self.endpoints[store].take_fenced(self.board.authority.epoch)
                self.endpoints[store].give_fenced(generation, wire)

    def wait_for_seal(self, store: Store, place: Position | None) -> Seal | None:
        """Claim the authority if nobody has, and wait a moment for the shipper's last word (or for `place`)."""
        if self.board.routes.claim:
            self.claim()
        else:
            self._make_ready(store.other)
        if store is Store.CLOUD:
            return None  # of its log, nobody keeps one
        acks = self.board.acks[store]
        deadline_s = time.monotonic() + SEAL_S
        while (seal := acks.sealed(self.board.authority)) is None and (left_s := deadline_s - time.monotonic()) > 0:
            if acks.wait(place or NEVER, left_s):
                break
        return seal


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_after_fork() -> None:
    for engine in list(_engines):
        engine.forget_after_fork()


os.register_at_fork(after_in_child=_forget_after_fork)
