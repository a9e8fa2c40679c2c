"""The live configuration as one process sees it: heard from both stores, taken at once, edited through the authority.

Nothing polls: a connection that a watcher opens reads the document once, and later versions are pushed to it with all
their content. A store that missed a version is written by whoever finds it behind.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from hybrid.core.apart import mark_apart
from hybrid.core.authority import Authority
from hybrid.core.live import NOTHING, Edit, Effective, Live, effective_values
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.errors import ConfigurationError
from hybrid.replication.audit_trail import AuditTrail
from hybrid.replication.live_copies import LiveCopies
from hybrid.replication.live_edit import Edited, Editor
from hybrid.replication.records import checked
from hybrid.settings import LIVE, Settings
from hybrid.types import Source, Store

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine

__all__ = ["LiveSettings"]

logger = logging.getLogger("hybrid")


class LiveSettings:
    """Thread-safe. What it holds is applied by `Engine.configure`."""

    def __init__(self, engine: Engine, sources: Mapping[str, Source]) -> None:
        self._engine = engine
        self._base = engine.board.settings
        self._sources = dict(sources)
        self._lock = threading.RLock()
        self.copies = LiveCopies(engine, self)
        self.audit = AuditTrail(engine)
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

    @property
    def opened_with(self) -> tuple[Settings, Mapping[str, Source]]:
        """The settings of this process alone, and where they come from."""
        return self._base, self._sources

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
        self.take(document, store)

    def take(self, document: Live, store: Store) -> None:
        """`document` stands on `store`: put it in force if it is newer than what is."""
        with self._lock:
            if document.stamp > self.document.stamp:
                self.document = document
                self.refresh()
            self.copies.note(store, document)
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
        """Read the document of `store` and its authority record once, over a wire of the pool: what was pushed between
        the greeting and the subscription is seen too. Raises NotSent or ReplyLost."""
        endpoint, board = self._engine.endpoints[store], self._engine.board
        generation, wire = endpoint.take()
        ask = pack(("GET", endpoint.names.config)) + pack(("GET", endpoint.names.authority))
        document, record = wire.exchange(ask, 2, decode=False)
        endpoint.give(generation, wire)
        if not isinstance(document, Exception):
            self.hear(store, document)
        if board.settings.replicated and not isinstance(record, Exception):
            board.learn(Authority.parse(record), source=store)

    def edit(self, edit: Edit, expected_version: int | None = None) -> Edited:
        """Make `edit` the next version, for every process. Raises as `Editor.edit`."""
        return Editor(self._engine, self).edit(edit, expected_version)

    def forget_after_fork(self) -> None:
        """In a forked child the lock may be held by a thread that does not exist here."""
        self._lock = threading.RLock()


def shown_changes(settings: Settings, names: Any) -> str:
    """`name=value` for each, secrets masked."""
    masked = settings.masked()
    return ", ".join(f"{name}={masked[name]}" for name in names)
