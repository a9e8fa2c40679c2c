"""Dual write switched on again: the cloud store missed what was written meanwhile, and is made equal before it serves.

`hybrid:apart` on the local store remembers it. It is set before the first write that skips the cloud, by the edit that
switches dual write off, or by the greeting of a process that starts without; `due T` since T, or `kept T` when the
stores were made equal once and somebody still writes without the cloud. Whoever finds it, with nobody left who writes
to one store only, asks for one copy of everything (the entry `r` in the log) and removes the mark, in one transaction:
so it happens once, however many processes there are, and also when they were restarted with another setting.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from hybrid import events
from hybrid.core.apart import KEPT, apart_since, mark_apart
from hybrid.core.flows import borrow
from hybrid.core.live import AuditEntry
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.registry import GONE_S, Presence
from hybrid.core.resp import pack
from hybrid.replication.audit_trail import audit
from hybrid.replication.records import checked
from hybrid.types import Store, StoreState

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine

__all__ = ["Reunion"]

PATIENCE_S: Final = GONE_S + 1.0
"""How long a process that was killed can still look alive in the register. After that the others are not waited for."""


class Reunion:
    """Used by the steward's thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._until_s = 0.0

    @property
    def waits(self) -> bool:
        """Whether this process's view of the cloud store waits for the copy to be asked for."""
        return self._engine.board.apart and self._engine.board.settings.replicated

    def attend(self, record: bytes | None) -> None:
        """Do what `record`, the mark on the local store, calls for. Raises NotSent or ReplyLost."""
        board = self._engine.board
        if not board.settings.replicated or board.authority.store is not Store.LOCAL:
            return
        if record is None:
            board.apart, self._until_s = False, 0.0
            return
        alone = self._writes_to_one()
        if record.startswith(KEPT) and alone:
            board.apart, self._until_s = False, 0.0
            return
        if alone:
            if not board.apart:
                return  # they have only begun; nothing is asked for while they go on
            self._until_s = self._until_s or time.monotonic() + PATIENCE_S
            if time.monotonic() < self._until_s:
                return
        if board.state(Store.LOCAL) is StoreState.UP:
            self._ask(record, keep=alone)

    def _writes_to_one(self) -> bool:
        """Whether a process that is connected writes to one store only, or has not taken the newest version yet."""
        version = self._engine.live.version
        return any(
            not process.write_both or process.config_version < version
            for process, presence in self._engine.registry.processes()
            if presence is Presence.CONNECTED
        )

    def _ask(self, record: bytes, *, keep: bool) -> None:
        engine, names = self._engine, self._engine.names
        since_s = apart_since(record)
        live = engine.live
        entry = AuditEntry(live.version, time.time(), live.document.author or "hybrid", "equalized")
        mark = ("SET", names.apart, mark_apart(since_s, KEPT)) if keep else ("DEL", names.apart)
        borrowed = engine.drive(borrow(engine.board))
        try:
            if borrowed.store is not Store.LOCAL:
                return
            _, now = checked(borrowed.wire, ("WATCH", names.apart), ("GET", names.apart))
            if now != record:
                return  # somebody else was faster
            commands = (("XADD", names.log, "*", "r", "1"), mark, audit(names.audit, entry))
            payload = b"".join(map(pack, (("MULTI",), *commands, ("EXEC",))))
            done = borrowed.wire.exchange(payload, len(commands) + 2, decode=False)[-1]
        except (NotSent, ReplyLost):
            return
        finally:
            engine.requests.give_back(borrowed)
        if isinstance(done, list):
            engine.board.apart, self._until_s = False, 0.0
            engine.board.events.emit(events.DualWriteResumed(apart_s=max(0.0, time.time() - since_s)))
