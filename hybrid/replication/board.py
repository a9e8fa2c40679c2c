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
from hybrid.core.hope import Hope
from hybrid.core.nearer import Nearer
from hybrid.core.routing import Routes, planned_routes
from hybrid.replication.acks import NEVER, Acks
from hybrid.replication.bell import Ringing
from hybrid.replication.news import Change, News
from hybrid.settings import Settings
from hybrid.types import ReadPreference, Store, StoreState

__all__ = ["LATE_S", "SEAL_S", "Board"]

SEAL_S: Final = 1.0
"""How long the shipper's last word on a lost local store is waited for."""

LATE_S: Final = 0.3
"""How long, where little can be on its way: a shipper that was held up for longer asks before it sends on, see
`hybrid.replication.stream`."""

RESTARTED_S: Final = 2.0
"""For so long a connection that was closed explains why others took the authority away."""

WORD_S: Final = 2.5
"""How long a process that has begun waits for whoever ships to say how far the cloud store is: longer than the lease of
one that was killed lives."""

REFUSAL_S: Final = 15.0
"""How long it is believed that a store takes nothing of what is shipped to it. Whoever ships tries each second."""


class Board:
    """Shared by the client, the watchers and the shipper of one process. Thread-safe."""

    def __init__(self, settings: Settings, log: events.EventLog) -> None:
        self.settings = settings
        self.version = 1
        self.events = log
        self.acks = {store: Acks() for store in Store}
        self.last_written: Position = (0, 0)
        self.unconfirmed = 0
        self._nearer = Nearer()
        self.shipping = False
        self.shipper_stuck = False
        self.shipped_s = -inf
        """When this process shipped last, where it does no more (monotonic clock)."""
        self.preferred = False
        """Whether this process ships rather than an application: it is an agent or a panel."""
        self.closing = False
        self._relay = False
        self._unheard: Authority | None = None
        self._has_gaps = False
        self._served = False
        self._word_due_s = 0.0
        self.wipes = dict.fromkeys(Store, 0)
        """How often each store was greeted without its mark: one that is being refilled may be emptied again."""
        self.apart = False
        self._hope = Hope()
        self._to_try: tuple[Store, ...] = ()
        self.bells: set[Ringing] = set()
        self.on_doubt: Callable[[Store], None] = lambda store: None
        self.on_new_mark: Callable[[Store], None] = lambda store: None
        self._changed = threading.Condition(threading.RLock())
        now_s = time.time()
        self._views = {store: View(StoreState.UNKNOWN, now_s) for store in Store}
        self._news = News(log)
        self._refusals: dict[Store, tuple[str, float]] = {}
        self._unexplained_s: deque[float] = deque(maxlen=16)
        self._broken_s = -inf
        self.authority = FIRST
        self.moved_s = 0.0
        """When this process heard of its last move (monotonic clock)."""
        self.heard = False
        self.unsealed_until_s = 0.0
        """Until when the cloud store takes no writes, unless the shipper gives its last word before (monotonic clock):
        it has taken over, and what is on its way there could still arrive."""
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

    def refusal(self, store: Store) -> str:
        """Why the store, which answers, takes nothing of what is shipped to it; "" where nobody says so."""
        reason, said_s = self._refusals.get(store, ("", 0.0))
        is_behind = self.state(store) is StoreState.CATCHING_UP
        return reason if is_behind and time.monotonic() - said_s < REFUSAL_S else ""

    def is_last(self, store: Store) -> bool:
        """Whether there is no other store to go to that has everything."""
        return store in self._last

    @property
    def hopeful(self) -> bool:
        """Whether no store takes writes, but one may soon."""
        return self._hope.is_alive(time.monotonic())

    @property
    def may_rely(self) -> bool:
        """Whether others are to be asked whether they reach the local store, which this process has lost: the cloud
        store lacks something, and all processes would go there."""
        is_down = self.state(Store.LOCAL) is StoreState.DOWN
        return is_down and self._has_gaps and not self._relay and self._unheard != self.authority

    @property
    def may_return(self) -> bool:
        """Whether the local store may have the authority back now: not while a process that alone cannot reach it keeps
        taking it away."""
        now_s = time.monotonic()
        return now_s >= return_at_s(self._unexplained_s, now_s)

    @property
    def confirms(self) -> bool:
        """Whether a write is to wait for the other store: it has everything, or may have as far as is known, for this
        process has only begun."""
        return self.routes.confirm or (self.routes.writer is Store.LOCAL and self.awaits_word)

    @property
    def awaits_word(self) -> bool:
        """Whether the cloud store may have everything as far as is known: this process has only begun, and nobody who
        ships has said how far that store is."""
        return time.monotonic() < self._word_due_s and self.state(Store.CLOUD) is StoreState.CATCHING_UP

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
            if store is Store.CLOUD and evidence is Evidence.CAUGHT_UP:
                self._has_gaps = False
            if store is Store.CLOUD and evidence is Evidence.BEHIND:
                self._word_due_s = 0.0
            changes = [*self._transition(store, evidence, reason), *self._promote()]
            if changes:
                self._replan()
        if changes:
            self._wake_waiters()
        self._announce(changes)

    def broke(self, store: Store) -> None:
        """The connection over which `store` is watched was closed: it may have been started again, which others found
        out before."""
        if store is Store.LOCAL:
            self._broken_s = time.monotonic()

    def refused(self, store: Store, reason: str) -> None:
        """The store answers, and takes nothing of what is shipped to it: it falls behind."""
        self._refusals[store] = (reason, time.monotonic())
        self.observe(store, Evidence.BEHIND, reason)

    def learn(self, authority: Authority | None, *, source: Store) -> None:
        """Take note of the authority record of `source`; only a higher epoch changes anything."""
        if authority is None:
            return
        with self._changed:
            first = not self.heard
            self.heard = self.heard or source is Store.CLOUD
            later = authority.epoch > self.authority.epoch
            # One that was emptied may have been begun anew, by a process that does not reach the local store.
            is_doubtful = source is Store.CLOUD and authority.store is source and self.is_wiped(source)
            moved = later and authority.store is not self.authority.store
            changes: list[Change] = []
            if later:
                if authority.may_have_left(self.authority):
                    self.last_written = (0, 0)
                    self.acks[authority.store].begin(authority.epoch)
                self.authority = authority
                self._has_gaps = False
                # Whoever hands it back reaches the local store, even if this process does not. The first record that
                # it meets may be of any age, and says nothing of who reaches what now.
                handed_back = authority.holder in (Holder.HANDOVER, Holder.LOCAL) and not first
                is_asked = self.shipping  # by others: nobody is left whom this process could ask
                self._relay = handed_back and not is_asked and self.state(Store.LOCAL) is StoreState.DOWN
            if moved:
                self.moved_s = time.monotonic()
                answers = self.state(Store.LOCAL) is StoreState.UP and self.moved_s - self._broken_s > RESTARTED_S
                if authority.store is Store.CLOUD and not authority.held and answers:
                    self._unexplained_s.append(self.moved_s)
                if authority.store is Store.CLOUD and not first and not authority.held:
                    lags = self.state(Store.CLOUD) is StoreState.CATCHING_UP
                    self._expect_seal(SEAL_S if lags else LATE_S)
                if not is_doubtful:
                    changes = self._transition(authority.store, Evidence.CAUGHT_UP)
                if authority.store is Store.CLOUD:
                    # What local holds may be old from now on, until it is handed the authority back.
                    changes += self._transition(Store.LOCAL, Evidence.BEHIND)
            if later and authority.alone:
                changes += self._transition(Store.CLOUD, Evidence.BEHIND)
            changes += self._promote()
            self._replan()
        self._wake_waiters()
        if moved and is_doubtful:
            self.on_new_mark(source)  # perhaps: its mark tells
        if moved and not first:
            self.events.emit(events.AuthorityMoved(authority=authority.store, epoch=authority.epoch))
        self._announce(changes)

    def _transition(self, store: Store, evidence: Evidence, reason: str = "") -> list[Change]:
        before = self._views[store]
        after = next_view(before, evidence, time.time(), reason)
        if after is before:
            return []
        self._views[store] = after
        if after.state is before.state:
            return []
        if store is Store.CLOUD:
            self._word_due_s = time.monotonic() + WORD_S if before.state is StoreState.UNKNOWN else 0.0
        if store is Store.LOCAL and after.state is not StoreState.DOWN:
            self._relay = False
            self._served = self._served or after.state is StoreState.UP
        if store is Store.LOCAL and after.state is StoreState.DOWN and self.authority.store is Store.CLOUD:
            self._unexplained_s.clear()  # here is the reason: others were faster to see it
        return [(store, before, after)]

    def _promote(self) -> list[Change]:
        """The authority has everything by definition, once it is certain who that is: the cloud store said so, cannot
        say so, or is not in use. And where only one store is left, because the other one lost its data or, if it is the
        cloud store, cannot be asked, what it has is what there is."""
        local, cloud = self.state(Store.LOCAL), self.state(Store.CLOUD)
        if not self.settings.replicated:
            return self._transition(Store.LOCAL, Evidence.CAUGHT_UP)
        if cloud is StoreState.CATCHING_UP and (local.is_lost or self.authority.store is Store.CLOUD):
            if self.authority.store is Store.LOCAL and self._served:
                self._expect_seal(SEAL_S)
                self._has_gaps = local is StoreState.DOWN
            return self._transition(Store.CLOUD, Evidence.CAUGHT_UP)
        certain = self.authority.store is Store.LOCAL and (self.heard or cloud.is_lost)
        certain = certain or cloud is StoreState.WIPED
        if certain and local is StoreState.CATCHING_UP:
            return self._transition(Store.LOCAL, Evidence.CAUGHT_UP)
        return []

    def _expect_seal(self, wait_s: float) -> None:
        """The cloud store takes over, whoever claimed it: what the shipper sends until it hears of that would replace
        what is written before it arrives."""
        self.unsealed_until_s = max(self.unsealed_until_s, time.monotonic() + wait_s)

    def configure(self, settings: Settings, changes: str, *, version: int | None = None, author: str = "") -> None:
        """Take other settings into use. `version` is that of the live configuration which asks for them."""
        with self._changed:
            self.settings = settings
            self.version += 1
            self._replan()
        shown = self.version if version is None else version
        self.events.emit(events.SettingsChanged(changes=changes, version=shown, author=author))

    def relay(self) -> None:
        """Others reach the local store: they write for this process."""
        with self._changed:
            self._relay = self.state(Store.LOCAL) is StoreState.DOWN
            self._replan()

    def stop_relaying(self) -> None:
        """Nobody wrote for this process: it claims the authority then."""
        with self._changed:
            self._relay, self._unheard = False, self.authority
            self._replan()

    def wrote(self, place: Position) -> None:
        if place > self.last_written:
            self.last_written = place

    def measure(self, store: Store, round_trip_s: float) -> None:
        """Take into account how long the store has just taken to answer."""
        with self._changed:
            before = self._nearer.store
            self._nearer.measure(store, round_trip_s)
            if self._nearer.store is not before:
                self._replan()

    def is_unsealed(self, store: Store) -> bool:
        """Whether `await_seal` is due before a write on `store`."""
        return bool(self.unsealed_until_s) and store is Store.CLOUD

    def await_seal(self) -> None:
        """Before a write on the cloud store: see `unsealed_until_s`."""
        acks = self.acks[Store.LOCAL]
        until_s = self.unsealed_until_s
        while self.authority.store is Store.CLOUD and acks.sealed(self.authority) is None:
            until_s = self.unsealed_until_s
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                break
            acks.wait(NEVER, left_s)
        with self._changed:
            if self.unsealed_until_s == until_s:  # else the authority has moved once more, and is to be waited for
                self.unsealed_until_s = 0.0

    def tried(self, store: Store) -> None:
        """It is still down."""
        with self._changed:
            self._hope.tried(store)
            self._changed.notify_all()

    def wait_for_store(self) -> None:
        """Until a store can be asked, or there is no hope of that now."""
        with self._changed:
            left_s = self._hope.left_s(time.monotonic())
        self.wait_for(lambda: self.routes.writer is not None or bool(self.routes.reads) or not self.hopeful, left_s)

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
        self.routes, self._last = self._planned(), self._planned_last()
        down = [store for store in Store if self.state(store) is StoreState.DOWN]
        is_returning = self.state(Store.LOCAL) in (StoreState.CATCHING_UP, StoreState.WIPED)
        self._to_try += self._hope.take_in(self.routes.writer is not None, down, is_returning, time.monotonic())
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
            self._nearer.store,
            relay=self._relay,
            cloud_leads=settings.cloud_leads,
        )

    def _planned_last(self) -> frozenset[Store]:
        """The stores without another one to go to that has everything. A local store that catches up takes no writes
        until it has; a cloud store does, with what it has, and shows older values to all processes then."""
        states = {store: self._views[store].state for store in Store}
        away = {store for store, state in states.items() if state.is_lost or state is StoreState.UNKNOWN}
        if states[behind := self.authority.store.other] is StoreState.CATCHING_UP:
            away.add(behind)
        return frozenset(store for store in Store if store.other in away)

    def _announce(self, changes: list[Change]) -> None:
        with self._changed:
            to_try, self._to_try = self._to_try, ()  # once: two watchers would keep each other busy for ever
        for store in to_try:
            self.on_doubt(store)
        for store, before, after in changes:
            fell_behind = before.state is StoreState.UP and after.state is StoreState.CATCHING_UP
            if (
                after.state is StoreState.DOWN or fell_behind
            ):  # the process that ships says so: is it there for this one?
                self.on_doubt(store)
        self._news.tell(changes, serves=self.routes.writer is not None or bool(self.routes.reads))
