"""The document of alerts on both stores: read, edited by compare-and-set, and put back where it is missing.

An edit is made on the first store that answers and then carried to the other, so it outlives either store and whoever
made it. The local store is looked at each second, which costs nothing; the cloud store only for an edit, while the
local one is down, and after it was away.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from hybrid.core.alert_desk import Desk, merged_desk
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.replication.records import checked
from hybrid.stores.wire import Wire
from hybrid.types import Purpose, Store

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine

__all__ = ["DeskStore"]

logger = logging.getLogger("hybrid.alerts")

TIMEOUT_S: Final = 2.0
ATTEMPTS: Final = 20
CLOUD_LOOK_S: Final = 30.0
"""How often the cloud store is asked while it is the only one."""

_PUT: Final = (
    "if (redis.call('HGET',KEYS[1],'mark') or '')~=ARGV[1] then return 0 end "
    "redis.call('HSET',KEYS[1],'mark',ARGV[2],'desk',ARGV[3]) return 1"
)


class DeskStore:
    """One process's view of it. Thread-safe; an edit waits for the edit before it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.RLock()
        self._wires: dict[Store, Wire] = {}
        self._marks: dict[Store, bytes] = {}
        self._looked_s: dict[Store, float] = {}
        self._unread: set[Store] = set()
        self._held: dict[Store, Desk] = {}
        self.desk = Desk()
        """What is known now."""

    # -- reading

    @property
    def is_read(self) -> bool:
        """Whether a store that answers now has been read."""
        return any(store in self._marks for store in self._stores())

    def look(self, *, everywhere: bool = False) -> bool:
        """Read what has changed; whether every store that answers was read. `everywhere` asks the cloud store too."""
        with self._lock:
            wanted = [store for store in self._stores() if everywhere or self._is_due(store)]
            return not [store for store in wanted if not self._look(store)]

    def _is_due(self, store: Store) -> bool:
        if store is Store.LOCAL or store not in self._marks:
            return True
        alone = not self._engine.board.reachable(Store.LOCAL)
        return alone and time.monotonic() - self._looked_s.get(store, 0.0) >= CLOUD_LOOK_S

    def _look(self, store: Store) -> bool:
        try:
            self._looked_s[store] = time.monotonic()
            key = self._engine.names.alerts
            (mark,) = checked(self._wire(store), ("HGET", key, "mark"))
            if store not in self._marks or (mark or b"") != self._marks[store]:
                self._read(store)
            return True
        except (NotSent, ReplyLost) as error:
            self._forget(store, error)
            return False

    def _read(self, store: Store) -> None:
        """Take in what stands on `store`. Raises NotSent or ReplyLost."""
        (found,) = checked(self._wire(store), ("HMGET", self._engine.names.alerts, "mark", "desk"))
        mark, packed = found
        try:
            there = Desk.parse(packed)
        except ValueError:
            logger.warning("the document of alerts on the %s store cannot be read, and is replaced", store)
            there = Desk()
        self._marks[store], self._held[store] = mark or b"", there
        self.desk = merged_desk(self.desk, there)

    # -- writing

    def edit(self, change: Callable[[Desk], Desk]) -> tuple[Store, ...]:
        """Make `change`, which may be called several times, and keep the result; the stores that have it now.

        None of them has it while no store answers: it is known to this process alone then, and written later.
        """
        with self._lock:
            self.desk = change(self.desk)
            kept = []
            for store in self._stores():
                try:
                    self._put(store, change)
                    kept.append(store)
                except (NotSent, ReplyLost) as error:
                    self._forget(store, error)
            return tuple(kept)

    def repair(self) -> None:
        """Write every store that answers and holds something else: it was down, it was wiped, or lost its last
        second."""
        with self._lock:
            for store in self._stores():
                if store in self._marks and self._held.get(store) == self.desk:
                    continue
                try:
                    if store not in self._marks:
                        self._read(store)
                    if self._held[store] != self.desk:
                        self._put(store, lambda desk: desk)
                except (NotSent, ReplyLost) as error:
                    self._forget(store, error)

    def _put(self, store: Store, change: Callable[[Desk], Desk]) -> None:
        """Raises NotSent or ReplyLost."""
        key = self._engine.names.alerts
        for _ in range(ATTEMPTS):
            if store not in self._marks:
                self._read(store)
                self.desk = change(self.desk)
            if self._held.get(store) == self.desk:
                return
            mark, packed = secrets.token_hex(6).encode(), self.desk.packed
            before = self._marks.pop(store)
            (taken,) = checked(self._wire(store), ("EVAL", _PUT, 1, key, before, mark, packed))
            if taken == 1:
                self._marks[store], self._held[store] = mark, self.desk
                return
        raise NotSent(f"the document of alerts is edited too often on the {store} store")

    # -- connections

    def _stores(self) -> list[Store]:
        return [store for store in self._engine.endpoints if self._engine.board.reachable(store)]

    def _wire(self, store: Store) -> Wire:
        wire = self._wires.get(store)
        if wire is None or not wire.is_connected or not wire.is_quiet():
            if wire is not None:
                wire.disconnect()
            endpoint = self._engine.endpoints[store]
            wire = self._wires[store] = endpoint.connect_raw(timeout_s=TIMEOUT_S, purpose=Purpose.HEALTH)
        return wire

    def _forget(self, store: Store, error: Exception) -> None:
        """What stands there is unknown from now on: it is read before it is written again."""
        logger.debug("the %s store does not take the document of alerts now: %s", store, error)
        wire = self._wires.pop(store, None)
        if wire is not None:
            wire.disconnect()
        self._marks.pop(store, None)
        self._held.pop(store, None)

    def close(self) -> None:
        with self._lock:
            for wire in self._wires.values():
                wire.disconnect()
            self._wires.clear()
