"""The copies of the live configuration on both stores: one that is behind is written, an override that is over ended.

Any process may do either. Which one does is drawn by chance, and the others hear of it.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Final

from hybrid.core.flows import ATTEMPTS
from hybrid.core.live import AuditEntry, Edit, Live, Override
from hybrid.core.names import Names
from hybrid.replication.audit_trail import audit
from hybrid.replication.records import checked, kept_entries
from hybrid.stores.wire import Wire
from hybrid.types import Purpose, Store

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine
    from hybrid.replication.live_settings import LiveSettings

__all__ = ["LiveCopies", "watched"]

logger = logging.getLogger("hybrid")

GRACE_S: Final = (1.0, 3.0)
"""How long a store may be behind before a process writes it: its editor does so at once, unless it died."""


class LiveCopies:
    """What is known of the copies of what `live` holds."""

    def __init__(self, engine: Engine, live: LiveSettings) -> None:
        self._engine = engine
        self._live = live
        self._there: dict[Store, tuple[int, float, str]] = {}
        self._repair_at_s = 0.0
        self._end_at_s = 0.0

    def note(self, store: Store, document: Live) -> None:
        """`document` stands on `store`, and has been taken."""
        self._there[store] = document.stamp
        if self.behind():
            self._repair_at_s = time.monotonic() + random.uniform(*GRACE_S)

    def behind(self) -> tuple[Store, ...]:
        """The stores that answer and hold an older version than this process."""
        stamp, reachable = self._live.document.stamp, self._engine.board.reachable
        return tuple(store for store, there in self._there.items() if there < stamp and reachable(store))

    def put(self, store: Store) -> None:
        """Write the document to `store`, unless one at least as new is there. Raises NotSent or ReplyLost."""
        endpoint, names = self._engine.endpoints[store], self._engine.names
        wire = endpoint.connect_raw(purpose=Purpose.HEALTH)
        try:
            for _ in range(ATTEMPTS):
                document = self._live.document
                there, _ = watched(wire, names)
                if there.stamp >= document.stamp:
                    self._live.take(there, store)
                    return
                missed = [audit(names.audit, entry) for entry in self._missed(store, there)]
                commands = [("SET", names.config, document.record), *missed]
                commands.append(("PUBLISH", endpoint.config, document.record))
                *_, done = checked(wire, ("MULTI",), *commands, ("EXEC",))
                if done is not None:
                    self._live.take(document, store)
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
            changes = {name: (there.values.get(name), self._live.document.values.get(name)) for name in there.touched}
            missed.append(AuditEntry(self._live.document.version, time.time(), there.author, "superseded", changes))
            logger.warning(
                "%s changed the settings on the %s store while the stores were apart; %s's version %d counts",
                there.author,
                store,
                self._live.document.author,
                self._live.document.version,
            )
        return missed

    def due_in_s(self) -> float:
        """Seconds until `tend` has something to do."""
        moments = [3600.0]
        if self.behind():
            moments.append(self._repair_at_s - time.monotonic())
        if self._live.document.override is not None:
            moments.append(self._live.document.override.until_s - time.time())
        return max(0.05, min(moments))

    def tend(self) -> None:
        """End an override whose time is over, and write a store that is behind.

        Raises NotSent, ReplyLost or HybridError.
        """
        override = self._live.document.override
        if override is not None and time.time() >= override.until_s:
            self._end(override)
        elif self.behind() and time.monotonic() >= self._repair_at_s:
            self._repair_at_s = time.monotonic() + GRACE_S[1]
            for store in self.behind():
                self.put(store)

    def _end(self, override: Override) -> None:
        """Every process reverts by its own clock; one of them, drawn by chance, writes that down."""
        self._live.refresh()
        if not self._end_at_s:
            self._end_at_s = time.monotonic() + random.uniform(0, GRACE_S[0])
        if time.monotonic() >= self._end_at_s:
            self._end_at_s = 0.0
            edit = Edit(f"{override.author} (by the clock)", time.time(), ends_override=True)
            self._live.edit(edit, self._live.document.version)


def watched(wire: Wire, names: Names) -> tuple[Live, bool]:
    """The document there, guarded from now on, and whether the store has its mark. Raises NotSent or ReplyLost."""
    _, record, identity = checked(wire, ("WATCH", names.config), ("GET", names.config), ("EXISTS", names.identity))
    return Live.parse(record), bool(identity)
