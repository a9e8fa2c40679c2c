"""The register of running processes: each reports to the local store every two seconds, and signs off at its end.

While the local store is down they report to the cloud, once a minute, because each report is billed there.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.registry import BEAT_S, CLOUD_BEAT_S, Presence, Process, Role, dropped, seen
from hybrid.core.resp import pack
from hybrid.replication.records import checked
from hybrid.stores.wire import Wire
from hybrid.types import Purpose, Store, StoreState
from hybrid.version import VERSION

if TYPE_CHECKING:
    from hybrid.replication.engine import Engine

__all__ = ["Registry"]

SWEEP_BEATS: Final = 30
"""How many reports lie between two looks for processes that are gone for long."""


class Registry:
    """This process's entry. Used by the steward's thread alone, but for `processes`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._id = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._started_s = time.time()
        self._offset_s = 0.0
        self._beats = 0
        self._next_s = 0.0
        self._told: tuple[Any, ...] = ()
        self._at: Store | None = None

    # -- reporting

    @property
    def due_in_s(self) -> float:
        """Seconds until the next report; none when what is to be reported has changed, and the local store is there."""
        changed = self._place() is Store.LOCAL and (self._facts() != self._told or self._at is not Store.LOCAL)
        return 0.0 if changed else max(0.0, self._next_s - time.monotonic())

    def report(self) -> bytes | None:
        """Report this process; the result is the local store's `apart` record. Raises NotSent or ReplyLost."""
        store = self._place()
        self._next_s = time.monotonic() + (CLOUD_BEAT_S if store is Store.CLOUD else BEAT_S)
        if store is None:
            return None
        facts = self._facts()
        record = self._process(store).record
        names, endpoint = self._engine.names, self._engine.endpoints[store]
        commands: list[tuple[Any, ...]] = [("HSET", names.processes, self._id, record)]
        if store is Store.LOCAL:
            commands += [("TIME",), ("GET", names.apart)]
        generation, wire = endpoint.take()
        replies = checked(wire, *commands)
        self._told = facts
        if store is Store.LOCAL:
            self._sweep(wire)
        endpoint.give(generation, wire)
        self._move(store)
        if store is Store.CLOUD:
            return None
        _, (seconds, micros), apart = replies
        self._offset_s = int(seconds) + int(micros) / 1e6 - time.time()
        return apart if isinstance(apart, bytes) else None

    def _place(self) -> Store | None:
        """Where to report now."""
        for store in self._engine.endpoints:
            if self._engine.board.state(store) not in (StoreState.DOWN, StoreState.UNKNOWN):
                return store
        return None

    def _facts(self) -> tuple[Any, ...]:
        """What others wait for: it is reported as soon as it changes."""
        board = self._engine.board
        return self._engine.live.version, board.shipping, board.settings.write_both

    def _process(self, store: Store) -> Process:
        board, live = self._engine.board, self._engine.live
        now_s = time.time() + self._offset_s
        role = Role.LOCAL_ONLY if not board.settings.replicated else Role.SHIPS if board.shipping else Role.STANDS_BY
        return Process(
            id=self._id,
            name=board.settings.name or program_name(),
            host=socket.gethostname(),
            pid=os.getpid(),
            hybrid_version=VERSION,
            started_s=self._started_s + self._offset_s,
            config_version=live.version,
            role=role,
            write_both=board.settings.replicated,
            pinned=live.pinned,
            seen_s=now_s,
            beat_s=CLOUD_BEAT_S if store is Store.CLOUD else BEAT_S,
        )

    def _move(self, store: Store) -> None:
        """Sign off from the cloud store once the local one is back."""
        before, self._at = self._at, store
        if before is Store.CLOUD and store is Store.LOCAL:
            self._remove(Store.CLOUD)

    def _sweep(self, wire: Wire) -> None:
        self._beats += 1
        if self._beats % SWEEP_BEATS:
            return
        key = self._engine.names.processes
        (found,) = checked(wire, ("HGETALL", key))
        pairs = list(found.items()) if isinstance(found, dict) else list(zip(found[::2], found[1::2], strict=True))
        if old := dropped(pairs, time.time() + self._offset_s):
            checked(wire, ("HDEL", key, *old))

    def close(self) -> None:
        """Sign off, if the store answers."""
        if self._at is not None and self._engine.board.state(self._at) is not StoreState.DOWN:
            self._remove(self._at)

    def _remove(self, store: Store) -> None:
        try:
            wire = self._engine.endpoints[store].connect_raw(purpose=Purpose.HEALTH)
        except NotSent:
            return  # it shows as gone, and is dropped later
        try:
            wire.exchange(pack(("HDEL", self._engine.names.processes, self._id)), 1)
        except (NotSent, ReplyLost):
            return
        finally:
            wire.disconnect()

    # -- asking

    def processes(self) -> tuple[tuple[Process, Presence], ...]:
        """Everybody who uses these stores, connected ones first; empty while no store answers. Asks the local store,
        or the cloud while that one is down. Raises NotSent or ReplyLost."""
        store = self._place()
        if store is None:
            return ()
        wire = self._engine.endpoints[store].connect_raw(purpose=Purpose.PANEL)
        try:
            records, (seconds, micros) = checked(wire, ("HVALS", self._engine.names.processes), ("TIME",))
        finally:
            wire.disconnect()
        return seen(records, int(seconds) + int(micros) / 1e6)


def program_name() -> str:
    """What this process runs: its script, or the module given to `python -m` with its command (`hybrid agent`)."""
    first, *words = sys.argv or [""]
    script = Path(first if first not in ("", "-c") else "python")
    if script.name != "__main__.py":
        return script.name
    return " ".join([script.parent.name, *(word for word in words[:1] if word.isalpha())])
