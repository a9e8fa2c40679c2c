"""The running half of a client: endpoints, board, watchers and shipper of one process, and the driver of the flows."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, Final

import redis

from hybrid import events
from hybrid.core.actions import (
    Action,
    Ask,
    AwaitAuthority,
    AwaitConfirmation,
    AwaitStore,
    Borrow,
    Claim,
    Commit,
    Flow,
    OnWire,
    Pause,
    Trace,
)
from hybrid.core.health import Evidence
from hybrid.core.hints import log_state, unseen
from hybrid.core.names import RESERVED, Names
from hybrid.core.transaction import hint
from hybrid.errors import ConfigurationError, HybridError, StoreUnavailable
from hybrid.observe.metrics import Recorder
from hybrid.observe.publisher import Publisher
from hybrid.observe.telemetry import telemetry_sink
from hybrid.replication.board import Board
from hybrid.replication.claims import Claims
from hybrid.replication.confirmations import Confirmations
from hybrid.replication.live_settings import LiveSettings
from hybrid.replication.pairing import Pairing
from hybrid.replication.reach import Reach
from hybrid.replication.registry import Registry
from hybrid.replication.relay import Relay
from hybrid.replication.requests import Requests
from hybrid.replication.shipper import Shipper
from hybrid.replication.steward import Steward
from hybrid.replication.watcher import Watcher
from hybrid.settings import Settings
from hybrid.stores.endpoint import Endpoint
from hybrid.types import Store, StoreState

__all__ = ["HANDOVER_S", "Engine"]


SETTLE_S: Final = 1.0
"""How long opening a client waits for first word of its stores: enough for a cloud one, short when one is dead."""

HANDOVER_S: Final = 1.0
"""Several times what a handover takes over a usual link; after that, a writer takes it back."""


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
        for store, endpoint in self.endpoints.items():
            endpoint.is_last = partial(self.board.is_last, store)
            endpoint.known_place = partial(getattr, self.board.acks[store], "known")
        self.metrics = Recorder(self._traffic)
        log.add_hook(self.metrics.event)
        self.latency = self.metrics.windows
        self._publisher: Publisher | None = None
        self.shipper: Shipper | None = None
        self.live = LiveSettings(self, settings.stated())
        self.registry = Registry(self)
        self._steward: Steward | None = None
        self._companions: list[threading.Thread] = []
        self._starting = threading.Lock()
        self.started = False
        self.relay = Relay(self.endpoints, self.board, names)
        self.equip(Reach(self.board, self.endpoints, self.metrics))
        self.board.on_doubt, self.board.on_new_mark = self.reach.look, self.reach.greet
        _engines.add(self)

    def equip(self, reach: Reach) -> None:
        """Have the stores reached in this way by all that asks them for the application."""
        self.reach = reach
        self.claims = Claims(self.reach, self.relay)
        self.confirmations = Confirmations(self.reach, self.claims)
        self.requests = Requests(self.reach, self.claims, self.relay)
        self._performs: dict[type[Any], Callable[[Any], Any]] = {
            Ask: self.requests.ask,
            Commit: self.requests.commit,
            AwaitConfirmation: self.confirmations.confirmation,
            AwaitAuthority: self._await_authority,
            AwaitStore: lambda _: self.board.wait_for_store(),
            Trace: self.confirmations.fate,
            Pause: lambda action: time.sleep(action.seconds),
            OnWire: self.requests.on_wire,
            Borrow: self.requests.borrow,
            Claim: lambda _: self.claims.claim(),
        }

    # -- life

    def start(self) -> None:
        """Start the threads and wait, briefly, for first word of each store. Called by the first command.

        A thread does that: whoever waits for it may be interrupted, and a second start would begin it all anew.
        """
        if self.started:
            return
        done: Future[None] = Future()
        threading.Thread(target=self._begin, args=(done,), name="hybrid-start", daemon=True).start()
        done.result()

    @property
    def has_started(self) -> bool:
        """As `started`, after the end of a start that is under way."""
        with self._starting:
            return self.started

    def _begin(self, done: Future[None]) -> None:
        try:
            with self._starting:
                if self.board.closing:
                    raise StoreUnavailable("this client is closed; open a new one")
                begins = not self.started
                if begins:
                    self._start()
            if begins:
                self._say_started()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def _start(self) -> None:
        pairing = Pairing(self.names, self.board, self.live.hear, self.endpoints)
        for store, endpoint in self.endpoints.items():
            peer = self.endpoints.get(store.other)
            relay = self.relay.hear if store is Store.CLOUD else None
            watcher = Watcher(endpoint, self.board, peer, pairing.greeting(store), self.live, relay)
            self.reach.watchers[store] = watcher
            watcher.start()
        if Store.CLOUD in self.endpoints:
            self.shipper = Shipper(self.endpoints, self.board, self.names, self.claims.claim)
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

    def _say_started(self) -> None:
        settings = self.board.settings
        cloud = str(self.board.state(Store.CLOUD)) if Store.CLOUD in self.endpoints else "not configured"
        sync = "on" if settings.replicated and settings.sync_enabled else "off"
        self.board.events.emit(events.Started(local=str(self.board.state(Store.LOCAL)), cloud=cloud, sync=sync))

    def close(self) -> None:
        """End the threads and the connections. What is not shipped yet stays in the log for the next shipper."""
        self.abandon()
        threads: list[threading.Thread] = [*self.reach.watchers.values(), *self._companions]
        threads += [thread for thread in (self.shipper, self._publisher, self._steward) if thread is not None]
        for thread in threads:
            if thread.is_alive():
                thread.join(timeout=2.0)
        for endpoint in self.endpoints.values():
            endpoint.close()

    def abandon(self) -> None:
        """As `close`, without waiting: the client was dropped unclosed."""
        self.started = False
        self.board.close()
        for watcher in self.reach.watchers.values():
            watcher.close()
        if self._publisher is not None:
            self._publisher.close()
        if self._steward is not None:
            self._steward.wake()

    def forget_after_fork(self) -> None:
        """In a forked child none of the parent's threads runs, and its connections are not ours to use."""
        self._starting = threading.Lock()
        self.reach.watchers.clear()
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
        self.reach.greet(*self.reach.watchers)

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
        action: Action | None = None
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
        except redis.RedisError:
            raise
        except BaseException:
            self._abandoned(action)
            raise

    def _abandoned(self, action: Action | None) -> None:
        """Whoever asked for this was interrupted: nobody sees whether a key was about to expire."""
        if keys := unseen(action):
            threading.Thread(target=self._log_unseen, args=(keys,), name="hybrid-hint", daemon=True).start()

    def _log_unseen(self, keys: tuple[bytes, ...]) -> None:
        with suppress(HybridError):
            self.drive(log_state(self.board, keys, partial(hint, self.names)))

    def perform(self, action: Action) -> Any:
        """Do one thing that a flow asks for. Raises NotSent or ReplyLost."""
        return self._performs[type(action)](action)

    def _await_authority(self, action: AwaitAuthority) -> None:
        self.board.wait_for_authority(action.than, HANDOVER_S)


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()


def _forget_after_fork() -> None:
    for engine in list(_engines):
        engine.forget_after_fork()


os.register_at_fork(after_in_child=_forget_after_fork)
