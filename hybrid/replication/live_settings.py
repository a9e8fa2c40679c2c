"""The live configuration as one process sees it: heard from both stores, taken at once, edited through the authority.

Nothing polls: a connection that a watcher opens reads the document once, and later versions are pushed to it with all
their content. A store that missed a version is written by whoever finds it behind.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from hybrid.core.apart import mark_apart
from hybrid.core.flows import ATTEMPTS, borrow
from hybrid.core.live import NOTHING, AuditEntry, Edit, Effective, Live, Override, effective_values, planned_edit
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.errors import AllStoresDown, ConfigurationError, StoreUnavailable
from hybrid.replication.records import checked, kept_entries
from hybrid.settings import LIVE, Settings
from hybrid.stores.wire import Wire, plain_reason
from hybrid.types import Purpose, Source, Store, StoreState

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine

__all__ = ["AUDIT_KEPT", "Edited", "LiveSettings"]

logger = logging.getLogger("hybrid")

AUDIT_KEPT: Final = 1000
GRACE_S: Final = (1.0, 3.0)
"""How long a store may be behind before a process writes it: its editor does so at once, unless it died. Drawn at
random, so that of many processes one writes, and the others hear of it."""


class LiveSettings:
    """Thread-safe. What it holds is applied by `Engine.configure`."""

    def __init__(self, engine: Engine, sources: Mapping[str, Source]) -> None:
        self._engine = engine
        self._base = engine.board.settings
        self._sources = dict(sources)
        self._lock = threading.RLock()
        self._there: dict[Store, tuple[int, float, str]] = {}
        self._repair_at_s = 0.0
        self._end_at_s = 0.0
        self.document = NOTHING
        self.on_change: Callable[[], None] = lambda: None

    # -- what is in force

    @property
    def version(self) -> int:
        """The version of the live configuration that this process runs; 0 without one."""
        return self.document.version

    @property
    def pinned(self) -> tuple[str, ...]:
        """Live settings that this program fixes by an argument: the live configuration does not move them."""
        return tuple(name for name in LIVE if self._sources.get(name) is Source.ARGUMENT)

    def effective(self) -> dict[str, Effective]:
        """Every setting in force, with its source. The values may be secret: mask them before they are shown."""
        base = {f.name: getattr(self._base, f.name) for f in fields(Settings)}
        found = effective_values(base, self._sources, self.document, time.time())
        return {name: replace(row, value=getattr(self._engine.board.settings, name)) for name, row in found.items()}

    def state(self, sources: Mapping[str, Source]) -> None:
        """Say where the settings that this client was opened with come from."""
        self._sources |= sources

    def pin(self, changes: Mapping[str, Any]) -> Settings:
        """Change settings of this process alone; they count as arguments from now on. Raises ConfigurationError."""
        base = self._base.with_changes(**changes)
        if self._engine.started and self._engine.board.settings.replicated and not base.replicated:
            self._leave_apart()
        with self._lock:
            self._base = base
            self._sources |= dict.fromkeys(changes, Source.ARGUMENT)
            self._apply(self._wanted(), shown_changes(self._base, changes), None)
        self.on_change()
        return self._engine.board.settings

    def _leave_apart(self) -> None:
        """Remember on the local store that the cloud one is left alone from now on. A store that does not answer is
        asked by the next greeting, before it serves again."""
        endpoint, names = self._engine.endpoints[Store.LOCAL], self._engine.names
        try:
            generation, wire = endpoint.take()
            if checked(wire, ("EXISTS", names.identity))[0]:
                checked(wire, ("SET", names.apart, mark_apart(time.time()), "NX"))
            endpoint.give(generation, wire)
        except (NotSent, ReplyLost) as error:
            logger.debug("the local store is told later that it is alone: %s", error)

    # -- hearing of it

    def hear(self, store: Store, record: bytes | None) -> None:
        """Take the document of `store`, read or pushed."""
        try:
            document = Live.parse(record)
        except ValueError:
            logger.warning("the live configuration on the %s store cannot be read, and is ignored", store)
            return
        self._take(document, store)

    def _take(self, document: Live, store: Store) -> None:
        with self._lock:
            self._there[store] = document.stamp
            if document.stamp > self.document.stamp:
                self.document = document
                self.refresh()
            if self.behind():
                self._repair_at_s = time.monotonic() + random.uniform(*GRACE_S)
        self.on_change()

    def refresh(self) -> None:
        """Apply what is in force now; an override may have begun or ended."""
        with self._lock:
            settings, before = self._wanted(), self._engine.board.settings
            names = [name for name in LIVE if getattr(settings, name) != getattr(before, name)]
            if names:
                shown = shown_changes(settings, names)
                self._apply(settings, shown, self.document)

    def _wanted(self) -> Settings:
        now_s = time.time()
        settings = self._base
        for name, value in self.document.in_force(now_s).items():
            if name not in LIVE or self._sources.get(name) is Source.ARGUMENT:
                continue
            try:
                settings = settings.with_changes(**{name: value})
            except ConfigurationError as error:
                # Written by another version of this library, perhaps; one value must not cost the others.
                logger.warning("the live configuration has a value that is not understood here: %s", error)
        return settings

    def _apply(self, settings: Settings, shown: str, document: Live | None) -> None:
        if document is None:
            self._engine.configure(settings, shown)
        else:
            self._engine.configure(settings, shown, version=document.version, author=document.author)

    def look(self, store: Store) -> None:
        """Read the document of `store` once, over a wire of the pool: what was pushed before the subscription began is
        seen too. Raises NotSent or ReplyLost."""
        endpoint = self._engine.endpoints[store]
        generation, wire = endpoint.take()
        record = wire.exchange(pack(("GET", endpoint.names.config)), 1, decode=False)[0]
        endpoint.give(generation, wire)
        if not isinstance(record, Exception):
            self.hear(store, record)

    # -- editing

    def edit(self, edit: Edit, expected_version: int | None = None) -> Edited:
        """Make `edit` the next version, for every process.

        Raises:
            ConfigurationConflict: the version is no longer `expected_version`; the error says who changed what.
            ConfigurationError: a setting is unknown, not live or nonsense, or dual write cannot be switched off now.
            AllStoresDown: no store takes writes.
            StoreUnavailable: the store answers, and refuses to keep it (out of memory, say).
        """
        self._check(edit)
        mine: tuple[Live, AuditEntry] | None = None
        for _ in range(ATTEMPTS):
            borrowed = self._engine.drive(borrow(self._engine.board))
            store, wire = borrowed.store, borrowed.wire
            try:
                # A reply that was lost may have been a success: then the document there is the one that was planned.
                there, identity = self._watched(wire)
                if mine is None or there.stamp != mine[0].stamp:
                    current = max(there, self.document, key=lambda document: document.stamp)
                    mine = planned_edit(current, edit, expected_version)
                    if mine is None:
                        return Edited(current, {}, ())
                    if not self._written(wire, store, *mine, parts=identity and self._parts(store, mine[0])):
                        continue
            except (NotSent, ReplyLost):
                continue
            finally:
                self._engine.give_back(borrowed)
                self._engine.board.learn(wire.authority, source=store)
            document, entry = mine
            self._take(document, store)
            return Edited(document, entry.changes, self._spread(store.other))
        raise AllStoresDown("no store takes the change now")

    def _check(self, edit: Edit) -> None:
        values = {**edit.values, **(edit.override.values if edit.override else {})}
        for name in (*values, *edit.forget):
            if name not in LIVE:
                raise ConfigurationError(f"{name} cannot be changed live, only {', '.join(LIVE)}")
        self._base.with_changes(**values)

    def _watched(self, wire: Wire) -> tuple[Live, bool]:
        names = self._engine.names
        _, record, identity = checked(wire, ("WATCH", names.config), ("GET", names.config), ("EXISTS", names.identity))
        return Live.parse(record), bool(identity)

    def _parts(self, store: Store, document: Live) -> bool:
        """Whether this document switches dual write off. Raises ConfigurationError where that would lose writes."""
        if document.in_force(time.time()).get("write_both", True):
            return False
        if store is not Store.LOCAL:
            raise ConfigurationError(
                "dual write cannot be switched off while the cloud store takes the writes: wait for the local store"
            )
        return True

    def _written(self, wire: Wire, store: Store, document: Live, entry: AuditEntry, *, parts: bool) -> bool:
        names, channel = self._engine.names, self._engine.endpoints[store].config
        commands: list[tuple[Any, ...]] = [("SET", names.config, document.record), audit(names.audit, entry)]
        if parts:
            # In the same breath: whoever starts later must know that the cloud store was left alone.
            commands.append(("SET", names.apart, mark_apart(time.time()), "NX"))
        commands.append(("PUBLISH", channel, document.record))
        *queued, done = wire.exchange(transaction(commands), len(commands) + 2, decode=False)
        for reply in (*queued, done, *(done if isinstance(done, list) else ())):
            if isinstance(reply, Exception):
                raise StoreUnavailable(f"the {store} store does not take it: {plain_reason(reply)}")
        return done is not None

    def _spread(self, store: Store) -> tuple[Store, ...]:
        """Write the other store too; the result is those that missed it, and get it when they return."""
        if store not in self._engine.endpoints:
            return ()
        try:
            if self._engine.board.reachable(store):
                self.put(store)
                return ()
        except (NotSent, ReplyLost) as error:
            logger.debug("the %s store gets the live configuration later: %s", store, error)
        return (store,)

    # -- the audit trail

    def history(self, limit: int) -> tuple[AuditEntry, ...]:
        """Who changed what, newest first: from the local store, or the cloud while that one is down.

        Raises AllStoresDown when none answers.
        """
        self._engine.start()
        for store, endpoint in self._engine.endpoints.items():
            if not self._engine.board.reachable(store):
                continue
            try:
                wire = endpoint.connect_raw(purpose=Purpose.PANEL)
            except NotSent:
                continue
            try:
                found = kept_entries(wire, self._engine.names.audit, limit)
                return tuple(sorted(found, key=lambda entry: (entry.version, entry.at_s), reverse=True))
            except (NotSent, ReplyLost):
                continue
            finally:
                wire.disconnect()
        raise AllStoresDown("no store can be asked for the audit trail now")

    def note(self, entry: AuditEntry) -> None:
        """Add a line to the audit trail on each store that answers. Raises AllStoresDown when none does."""
        noted = False
        for store, endpoint in self._engine.endpoints.items():
            if not self._engine.board.reachable(store):
                continue
            with suppress(NotSent, ReplyLost):
                generation, wire = endpoint.take()
                checked(wire, audit(self._engine.names.audit, entry))
                endpoint.give(generation, wire)
                noted = True
        if not noted:
            raise AllStoresDown("no store takes the line now")

    # -- repairing

    def behind(self) -> tuple[Store, ...]:
        """The stores that answer and hold an older version than this process."""
        down = (StoreState.DOWN, StoreState.UNKNOWN)
        return tuple(
            store
            for store, stamp in self._there.items()
            if stamp < self.document.stamp and self._engine.board.state(store) not in down
        )

    def put(self, store: Store) -> None:
        """Write the document to `store`, unless one at least as new is there. Raises NotSent or ReplyLost."""
        endpoint, names = self._engine.endpoints[store], self._engine.names
        wire = endpoint.connect_raw(purpose=Purpose.HEALTH)
        try:
            for _ in range(ATTEMPTS):
                document = self.document
                there, _ = self._watched(wire)
                if there.stamp >= document.stamp:
                    self._take(there, store)
                    return
                missed = [audit(names.audit, entry) for entry in self._missed(store, there)]
                commands = [("SET", names.config, document.record), *missed]
                commands.append(("PUBLISH", endpoint.config, document.record))
                *_, done = checked(wire, ("MULTI",), *commands, ("EXEC",))
                if done is not None:
                    self._take(document, store)
                    return
        finally:
            wire.disconnect()

    def _missed(self, store: Store, there: Live) -> list[AuditEntry]:
        """What the audit trail of `store` lacks, from the other one's; the last word on an edit that lost."""
        other = self._engine.endpoints.get(store.other)
        if other is None or not self._engine.board.reachable(store.other):
            return []
        wire = other.connect_raw(purpose=Purpose.HEALTH)
        try:
            found = kept_entries(wire, self._engine.names.audit, 100)
        finally:
            wire.disconnect()
        missed = [entry for entry in reversed(found) if entry.version > there.version]
        stamps = {(entry.version, entry.at_s, entry.author) for entry in found}
        oldest = min((entry.version for entry in found), default=0)
        if there.version >= max(oldest, 1) and there.stamp not in stamps:
            changes = {name: (there.values.get(name), self.document.values.get(name)) for name in there.touched}
            missed.append(AuditEntry(self.document.version, time.time(), there.author, "superseded", changes))
            logger.warning(
                "%s changed the settings on the %s store while the stores were apart; %s's version %d counts",
                there.author,
                store,
                self.document.author,
                self.document.version,
            )
        return missed

    # -- what the steward does

    def due_in_s(self) -> float:
        """Seconds until `tend` has something to do."""
        moments = [3600.0]
        if self.behind():
            moments.append(self._repair_at_s - time.monotonic())
        if self.document.override is not None:
            moments.append(self.document.override.until_s - time.time())
        return max(0.05, min(moments))

    def tend(self) -> None:
        """End an override whose time is over, and write a store that is behind.

        Raises NotSent, ReplyLost or HybridError.
        """
        override = self.document.override
        if override is not None and time.time() >= override.until_s:
            self._end(override)
        elif self.behind() and time.monotonic() >= self._repair_at_s:
            self._repair_at_s = time.monotonic() + GRACE_S[1]
            for store in self.behind():
                self.put(store)

    def _end(self, override: Override) -> None:
        """Every process reverts by its own clock; one of them, drawn by chance, writes that down."""
        self.refresh()
        if not self._end_at_s:
            self._end_at_s = time.monotonic() + random.uniform(0, GRACE_S[0])
        if time.monotonic() >= self._end_at_s:
            self._end_at_s = 0.0
            edit = Edit(f"{override.author} (by the clock)", time.time(), ends_override=True)
            self.edit(edit, self.document.version)

    def forget_after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not exist here."""
        self._lock = threading.RLock()


class Edited:
    """What came of an edit: the document now in force, `changes` by setting (before, after), and the stores that
    `missed` it because they were down; they get it when they return."""

    def __init__(self, document: Live, changes: Mapping[str, tuple[Any, Any]], missed: tuple[Store, ...]) -> None:
        self.document = document
        self.changes = changes
        self.missed = missed


def transaction(commands: Sequence[tuple[Any, ...]]) -> bytes:
    return b"".join(map(pack, (("MULTI",), *commands, ("EXEC",))))


def audit(key: bytes, entry: AuditEntry) -> tuple[Any, ...]:
    """The command that adds a line to the audit trail."""
    return ("XADD", key, "MAXLEN", "~", AUDIT_KEPT, "*", *entry.fields)


def shown_changes(settings: Settings, names: Any) -> str:
    """`name=value` for each, secrets masked."""
    masked = settings.masked()
    return ", ".join(f"{name}={masked[name]}" for name in names)
