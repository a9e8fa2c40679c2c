"""The audit trail: who changed what, a bounded stream on both stores."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from hybrid.core.live import AuditEntry
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.errors import AllStoresDown
from hybrid.replication.records import checked, kept_entries
from hybrid.types import Purpose

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine

__all__ = ["AUDIT_KEPT", "AuditTrail", "audit"]

AUDIT_KEPT: Final = 1000


class AuditTrail:
    """Thread-safe."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

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


def audit(key: bytes, entry: AuditEntry) -> tuple[Any, ...]:
    """The command that adds a line to the audit trail."""
    return ("XADD", key, "MAXLEN", "~", AUDIT_KEPT, "*", *entry.fields)
