"""Changing the live configuration: the next version is written where writes go, if nobody was faster, then to the other
store."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hybrid.core.apart import mark_apart
from hybrid.core.flows import ATTEMPTS, borrow
from hybrid.core.live import AuditEntry, Edit, Live, planned_edit
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.errors import AllStoresDown, ConfigurationError, StoreUnavailable
from hybrid.replication.audit_trail import audit
from hybrid.replication.live_copies import watched
from hybrid.settings import LIVE
from hybrid.stores.wire import Wire, plain_reason
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine
    from hybrid.replication.live_settings import LiveSettings

__all__ = ["Edited", "Editor"]

logger = logging.getLogger("hybrid")


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of an edit: the document now in force, `changes` by setting (before, after), and the stores that
    `missed` it because they were down; they get it when they return."""

    document: Live
    changes: Mapping[str, tuple[Any, Any]]
    missed: tuple[Store, ...]


class Editor:
    """Edits what `live` holds."""

    def __init__(self, engine: Engine, live: LiveSettings) -> None:
        self._engine = engine
        self._live = live

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
                there, identity = watched(wire, self._engine.names)
                if mine is None or there.stamp != mine[0].stamp:
                    current = max(there, self._live.document, key=lambda document: document.stamp)
                    mine = planned_edit(current, edit, expected_version)
                    if mine is None:
                        return Edited(current, {}, ())
                    if not self._written(wire, store, *mine, parts=identity and self._parts(store, mine[0])):
                        continue
            except (NotSent, ReplyLost):
                continue
            finally:
                self._engine.requests.give_back(borrowed)
                self._engine.board.learn(wire.authority, source=store)
            document, entry = mine
            self._live.take(document, store)
            return Edited(document, entry.changes, self._spread(store.other))
        raise AllStoresDown("no store takes the change now")

    def _check(self, edit: Edit) -> None:
        values = {**edit.values, **(edit.override.values if edit.override else {})}
        for name in (*values, *edit.forget):
            if name not in LIVE:
                raise ConfigurationError(f"{name} cannot be changed live, only {', '.join(LIVE)}")
        self._engine.board.settings.with_changes(**values)

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
                self._live.copies.put(store)
                return ()
        except (NotSent, ReplyLost) as error:
            logger.debug("the %s store gets the live configuration later: %s", store, error)
        return (store,)


def transaction(commands: Sequence[tuple[Any, ...]]) -> bytes:
    return b"".join(map(pack, (("MULTI",), *commands, ("EXEC",))))
