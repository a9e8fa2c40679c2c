"""What this process knows: the state of each store, who has the authority, the settings; and the routes that follow.

Every change goes through here, becomes an event, and wakes those who wait for it. Reading is lock-free.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Final

from hybrid import events
from hybrid.core.authority import FIRST, Authority, Holder, Position
from hybrid.core.damping import return_at_s
from hybrid.core.health import Evidence, View, next_view
from hybrid.core.routing import Routes, planned_routes
from hybrid.replication.acks import NEVER, Acks
from hybrid.replication.bell import Ringing
from hybrid.settings import Settings
from hybrid.types import ReadPreference, Store, StoreState

__all__ = ["SEAL_S", "Board"]

CLEARLY_FASTER: Final = 0.8
"""Of two stores that are about as fast, the one that reads go to stays."""

LAST_TRY_S: Final = 0.5
"""How long commands wait at most for a store that may be back already, when the last one is lost. Over a way of 80 ms,
TLS and the greeting take 0.4 s."""

RETURN_S: Final = 2.0
"""How long they wait at most for a local store that catches up, where this process cannot reach the cloud store: others
may be about to give it the authority back."""

SEAL_S: Final = 1.0
"""How long the shipper's last word on a lost local store is waited for."""

_Change = tuple[Store, View, View]
"""A store, how it was seen, and how it is seen now."""


class Board:
    """Shared by the client, the watchers and the shipper of one process. Thread-safe."""

    def __init__(self, settings: Settings, log: events.EventLog) -> None:
        self.settings = settings
        self.version = 1
        self.events = log
        self.acks = {store: Acks() for store in Store}
        self.last_written: Position = (0, 0)
        self.unconfirmed = 0
        self.faster = Store.LOCAL
        self._round_trips_s: dict[Store, deque[float]] = {store: deque(maxlen=5) for store in Store}
        self.shipping = False
        self.shipper_stuck = False
        self.preferred = False
        """Whether this process ships rather than an application: it is an agent or a panel."""
        self.closing = False
        self._relay = False
        self._served = False
        self.wipes = dict.fromkeys(Store, 0)
        """How often each store was greeted without its mark: one that is being refilled may be emptied again."""
        self.apart = False
        self._untried: set[Store] = set()
        self._to_try: list[Store] = []
        self._returning = False
        self._hope_until_s = 0.0
        self.bells: set[Ringing] = set()
        self.on_doubt: Callable[[Store], None] = lambda store: None
        self.on_refilled: Callable[[Store], None] = lambda store: None
        self._changed = threading.Condition(threading.RLock())
        now_s = time.time()
        self._views = {store: View(StoreState.UNKNOWN, now_s) for store in Store}
        self._failed_at_s: dict[Store, float] = {}
        self._degraded = False
        self._unexplained_s: deque[float] = deque(maxlen=16)
        self.authority = FIRST
        self.moved_s = 0.0
        """When this process heard of its last move (monotonic clock)."""
        self.heard = False
        self.unsealed_until_s = 0.0
        """Until when the cloud store takes no writes, unless the shipper gives its last word before (monotonic clock):
        it takes over while it catches up, and what is on its way there could still arrive."""
        self.routes: Routes = self._planned()
        self._last = self._planned_last()

    # -- reading

    def view(self, store: Store) -> View:
        return self._views[store]

    def state(self, store: Store) -> StoreState:
        return self._views[store].state

    def reachable(self, store: Store) -> bool:
        return self._views[store].state not in (StoreState.DOWN, StoreState.UNKNOWN)

    def is_wiped(self, store: Store) -> bool:
        return self._views[store].state is StoreState.WIPED

    def is_last(self, store: Store) -> bool:
        """Whether there is no other store to go to."""
        return store in self._last

    @property
    def hopeful(self) -> bool:
        """Whether no store takes writes, but one may soon: those that are down are being tried once more (one that came
        back lately is not noticed before its watcher tries again), or the local one catches up."""
        return self._is_awaited and time.monotonic() < self._hope_until_s

    @property
    def _is_awaited(self) -> bool:
        return bool(self._untried) or self._returning

    @property
    def may_return(self) -> bool:
        """Whether the local store may have the authority back now: not while a process that alone cannot reach it keeps
        taking it away."""
        now_s = time.monotonic()
        return now_s >= return_at_s(self._unexplained_s, now_s)

    def readers(self) -> tuple[Store, ...]:
        """Stores to read from, in order: one that lacks what this process wrote comes after the authority."""
        reads = self.routes.reads
        writer = self.authority.store
        lacks_own_writes = self.acks[writer].applied < self.last_written
        return (writer,) if len(reads) == 2 and reads[0] is not writer and lacks_own_writes else reads

    # -- changing

    def observe(self, store: Store, evidence: Evidence, reason: str = "") -> None:
        """Take `evidence` into account."""
        if self.apart and store is Store.CLOUD and evidence is Evidence.CAUGHT_UP:
            return  # dual write was off for a while: the log does not say what the cloud store lacks
        with self._changed:
            changes = [*self._transition(store, evidence, reason), *self._promote()]
            if changes:
                self._replan()
        if changes:
            self._wake_waiters()
        self._announce(changes)

    def learn(self, authority: Authority | None, *, source: Store) -> None:
        """Take note of the authority record of `source`; only a higher epoch changes anything."""
        if authority is None:
            return
        with self._changed:
            first = not self.heard
            self.heard = self.heard or source is Store.CLOUD
            later = authority.epoch > self.authority.epoch
            moved = later and authority.store is not self.authority.store
            changes: list[_Change] = []
            if later:
                self.authority = authority
                # Whoever hands it back reaches the local store, even if this process does not.
                handed_back = authority.holder in (Holder.HANDOVER, Holder.LOCAL)
                self._relay = handed_back and self.state(Store.LOCAL) is StoreState.DOWN
            if moved:
                self.moved_s = time.monotonic()
                self.last_written = (0, 0)
                self.acks[authority.store].unseal()
                if authority.store is Store.CLOUD and not authority.held and self.state(Store.LOCAL) is StoreState.UP:
                    self._unexplained_s.append(time.monotonic())
                if authority.store is Store.CLOUD and not first and self.state(Store.CLOUD) is StoreState.CATCHING_UP:
                    self._expect_seal()
                changes = self._transition(authority.store, Evidence.CAUGHT_UP)
                if authority.store is Store.CLOUD:
                    # What local holds may be old from now on, until it is handed the authority back.
                    changes += self._transition(Store.LOCAL, Evidence.BEHIND)
            if later and authority.alone:
                changes += self._transition(Store.CLOUD, Evidence.BEHIND)
            changes += self._promote()
            self._replan()
        self._wake_waiters()
        if moved and not first:
            self.events.emit(events.AuthorityMoved(authority=authority.store, epoch=authority.epoch))
        self._announce(changes)

    def _transition(self, store: Store, evidence: Evidence, reason: str = "") -> list[_Change]:
        before = self._views[store]
        after = next_view(before, evidence, time.time(), reason)
        if after is before:
            return []
        self._views[store] = after
        if store is Store.LOCAL and after.state is not StoreState.DOWN:
            self._relay = False
            self._served = self._served or after.state is StoreState.UP
        if store is Store.LOCAL and after.state is StoreState.DOWN and self.authority.store is Store.CLOUD:
            self._unexplained_s.clear()  # here is the reason: others were faster to see it
        return [(store, before, after)]

    def _promote(self) -> list[_Change]:
        """The authority has everything by definition, once it is certain who that is: the cloud store said so, cannot
        say so, or is not in use. And where only the cloud store is left, what it has is what there is."""
        local, cloud = self.state(Store.LOCAL), self.state(Store.CLOUD)
        if not self.settings.replicated:
            return self._transition(Store.LOCAL, Evidence.CAUGHT_UP)
        if cloud is StoreState.CATCHING_UP and (local.is_lost or self.authority.store is Store.CLOUD):
            if self.authority.store is Store.LOCAL:
                self._expect_seal()
            return self._transition(Store.CLOUD, Evidence.CAUGHT_UP)
        certain = self.authority.store is Store.LOCAL and (self.heard or cloud.is_lost)
        if certain and local is StoreState.CATCHING_UP:
            return self._transition(Store.LOCAL, Evidence.CAUGHT_UP)
        return []

    def _expect_seal(self) -> None:
        """The cloud store takes over while it catches up, whoever claimed it."""
        if self._served:
            self.unsealed_until_s = time.monotonic() + SEAL_S

    def configure(self, settings: Settings, changes: str, *, version: int | None = None, author: str = "") -> None:
        """Take other settings into use. `version` is that of the live configuration which asks for them."""
        with self._changed:
            self.settings = settings
            self.version += 1
            self._replan()
        shown = self.version if version is None else version
        self.events.emit(events.SettingsChanged(changes=changes, version=shown, author=author))

    def stop_relaying(self) -> None:
        """Nobody wrote for this process: it claims the authority then."""
        with self._changed:
            self._relay = False
            self._replan()

    def wrote(self, place: Position) -> None:
        if place > self.last_written:
            self.last_written = place

    def measure(self, store: Store, round_trip_s: float) -> None:
        """Take into account how long the store has just taken to answer. The shortest of the last few times counts: a
        longer one was this machine's doing."""
        with self._changed:
            self._round_trips_s[store].append(round_trip_s)
            best_s = {each: min(times_s, default=inf) for each, times_s in self._round_trips_s.items()}
            if best_s[self.faster.other] < CLEARLY_FASTER * best_s[self.faster]:
                self.prefer(self.faster.other)

    def prefer(self, store: Store) -> None:
        """`store` answers faster: who reads by `fastest` asks it first."""
        if store is not self.faster:
            with self._changed:
                self.faster = store
                self._replan()

    def await_seal(self) -> None:
        """Before a write on the cloud store: see `unsealed_until_s`."""
        acks = self.acks[Store.LOCAL]
        while self.authority.store is Store.CLOUD and acks.sealed(self.authority) is None:
            left_s = self.unsealed_until_s - time.monotonic()
            if left_s <= 0:
                break
            acks.wait(NEVER, left_s)
        self.unsealed_until_s = 0.0

    def tried(self, store: Store) -> None:
        """It is still down."""
        with self._changed:
            self._untried.discard(store)
            self._changed.notify_all()

    def wait_for_store(self) -> None:
        """Until a store can be asked, or there is no hope of that now."""
        left_s = self._hope_until_s - time.monotonic()
        self.wait_for(lambda: self.routes.writer is not None or bool(self.routes.reads) or not self._is_awaited, left_s)

    def wait(self, timeout_s: float) -> None:
        """Until something changes, or `timeout_s` has passed."""
        with self._changed:
            self._changed.wait(timeout_s)

    def nudge(self) -> None:
        """Let those who wait for a change look again: one that the board does not know has come."""
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Until `condition` holds, the client closes, or `timeout_s` has passed."""
        with self._changed:
            self._changed.wait_for(lambda: condition() or self.closing, timeout_s)

    def wait_for_authority(self, than: Authority, timeout_s: float) -> None:
        """Until an authority later than `than` is known, or `timeout_s` has passed."""
        with self._changed:
            self._changed.wait_for(lambda: self.authority.epoch > than.epoch or self.closing, timeout_s)

    def wait_until_moved(self, store: Store, timeout_s: float) -> None:
        """Until `store` has the authority, or `timeout_s` has passed."""
        with self._changed:
            self._changed.wait_for(lambda: self.authority.store is store or self.closing, timeout_s)

    def wait_settled(self, stores: tuple[Store, ...], timeout_s: float) -> None:
        """Until each of `stores` is known to be up or down, or `timeout_s` has passed."""
        settled = (StoreState.UP, StoreState.DOWN, StoreState.WIPED)
        with self._changed:
            self._changed.wait_for(lambda: all(self._views[s].state in settled for s in stores), timeout_s)

    def close(self) -> None:
        with self._changed:
            self.closing = True
            self._replan()
        self._wake_waiters()

    def forget_after_fork(self) -> None:
        """In a forked child: locks held by the parent's threads are of no one here."""
        self._changed = threading.Condition(threading.RLock())
        self.acks = {store: Acks() for store in Store}
        self.bells = set()
        self.shipping = self.shipper_stuck = False
        self.events.forget_after_fork()

    # -- inside

    def _wake_waiters(self) -> None:
        for acks in self.acks.values():
            acks.wake()

    def _replan(self) -> None:
        had_writer, was_returning = self.routes.writer is not None, self._returning
        self.routes, self._last = self._planned(), self._planned_last()
        has_writer = self.routes.writer is not None
        self._returning = not has_writer and self.state(Store.LOCAL) is StoreState.CATCHING_UP
        if has_writer:
            self._untried.clear()
        elif had_writer:
            self._to_try = [store for store in Store if self.state(store) is StoreState.DOWN]
            self._untried = set(self._to_try)
            self._hope_until_s = time.monotonic() + LAST_TRY_S
        if self._returning and not was_returning:
            self._hope_until_s = time.monotonic() + RETURN_S
        self._changed.notify_all()
        for bell in tuple(self.bells):
            bell.ring()

    def _planned(self) -> Routes:
        local, cloud = (self._views[store].state for store in Store)
        if not self.settings.replicated:
            return planned_routes(local, None, FIRST, ReadPreference.LOCAL)
        settings = self.settings
        return planned_routes(
            local,
            cloud,
            self.authority,
            settings.read_preference,
            self.faster,
            relay=self._relay,
            cloud_leads=settings.cloud_leads,
        )

    def _planned_last(self) -> frozenset[Store]:
        """The stores without another one to go to. A local store that catches up takes no writes until it has; a cloud
        store does, with what it has."""
        states = {store: self._views[store].state for store in Store}
        away = {store for store, state in states.items() if state.is_lost or state is StoreState.UNKNOWN}
        if states[Store.LOCAL] is StoreState.CATCHING_UP and self.authority.store is Store.CLOUD:
            away.add(Store.LOCAL)
        return frozenset(store for store in Store if store.other in away)

    def _announce(self, changes: list[_Change]) -> None:
        to_try, self._to_try = self._to_try, []  # once: two watchers would keep each other busy for ever
        for store in to_try:
            self.on_doubt(store)
        for store, before, after in changes:
            if after.state is StoreState.DOWN:
                self._failed_at_s.setdefault(store, after.since_s)
                self.on_doubt(store)
                self.events.emit(events.StoreDown(store=store, reason=after.reason))
                self._announce_degraded()
            elif after.state is StoreState.WIPED:
                self.events.emit(events.WipeDetected(store=store))
                self._announce_degraded()
            elif after.state is StoreState.UP:
                self._announce_up(store, before, after)
            elif before.state is StoreState.UP:
                self.on_doubt(store)  # the process that ships says so: is it there for this one?

    def _announce_up(self, store: Store, before: View, after: View) -> None:
        self._degraded = False
        failed_at_s = self._failed_at_s.pop(store, None)
        if failed_at_s is not None:
            self.events.emit(events.Recovered(store=store, down_s=after.since_s - failed_at_s))
        if failed_at_s is not None or before.state is StoreState.WIPED:
            self.events.emit(events.InSync(store=store))
        else:
            self.events.emit(events.StoreUp(store=store))

    def _announce_degraded(self) -> None:
        if self.routes.writer is None and not self.routes.reads and not self._degraded:
            self._degraded = True
            self.events.emit(events.Degraded())
