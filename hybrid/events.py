"""What happened, as typed facts: logged in words an operator understands, and handed to hooks.

A hook is any callable that takes an `Event`; it runs on the thread where the event happened, so it must be quick.
An exception in a hook is logged and never reaches the application. No event carries a secret.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from hybrid.core.wording import counted
from hybrid.types import Store

__all__ = [
    "AuthorityMoved",
    "CatchingUp",
    "CommandUnknown",
    "ConflictsArchived",
    "Degraded",
    "DualWriteResumed",
    "Event",
    "EventLog",
    "Hook",
    "InSync",
    "KeyRefused",
    "LogFolded",
    "Recovered",
    "SettingsChanged",
    "ShipperStarted",
    "ShipperStuck",
    "ShippingRefused",
    "Started",
    "Stopped",
    "StoreDown",
    "StoreNew",
    "StoreUp",
    "WipeDetected",
]

logger = logging.getLogger("hybrid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. `at_s` is a Unix time."""

    level = logging.INFO
    at_s: float = field(default_factory=time.time)

    @property
    def message(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    local: str
    cloud: str
    sync: str

    @property
    def message(self) -> str:
        return f"hybrid started: local {self.local}, cloud {self.cloud}, sync {self.sync}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    unshipped: int | None

    @property
    def message(self) -> str:
        waiting = "unknown" if self.unshipped is None else self.unshipped
        return f"hybrid stopped: entries still to ship: {waiting}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDown(Event):
    level = logging.WARNING
    store: Store
    reason: str

    @property
    def message(self) -> str:
        return f"{self.store} store unavailable: {self.reason}; the {self.store.other} store carries on"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUp(Event):
    store: Store

    @property
    def message(self) -> str:
        return f"{self.store} store up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered(Event):
    store: Store
    down_s: float

    @property
    def message(self) -> str:
        return f"{self.store} store recovered after {self.down_s:.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchingUp(Event):
    store: Store
    keys: int

    @property
    def message(self) -> str:
        return f"{self.store} store catching up: {counted(self.keys, 'key', 'keys')} to copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class InSync(Event):
    store: Store

    @property
    def message(self) -> str:
        return f"{self.store} store in sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityMoved(Event):
    level = logging.WARNING
    authority: Store
    epoch: int

    @property
    def message(self) -> str:
        word = "failback" if self.authority is Store.LOCAL else "failover"
        return f"{word}: the {self.authority} store has the authority now (epoch {self.epoch})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Degraded(Event):
    level = logging.ERROR

    @property
    def message(self) -> str:
        return "degraded: no store can serve; the application runs on its own data source"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreNew(Event):
    """A store that is empty, and was never filled, has become the other one's partner."""

    store: Store

    @property
    def message(self) -> str:
        return f"{self.store} store is new: it serves nothing until the other one has filled it"


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeDetected(Event):
    level = logging.ERROR
    store: Store

    @property
    def message(self) -> str:
        return f"{self.store} store lost its data (identity missing or changed): it serves nothing until it is refilled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConflictsArchived(Event):
    level = logging.WARNING
    count: int

    @property
    def message(self) -> str:
        keys = counted(self.count, "key was", "keys were")
        return f"{keys} written on both stores while apart: one value kept, the other archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperStarted(Event):
    level = logging.DEBUG
    source: Store

    @property
    def message(self) -> str:
        return f"this process ships the {self.source} store's log"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperStuck(Event):
    """The thread that ships has given no sign of life for `silent_s` seconds. Another process takes over."""

    level = logging.ERROR
    silent_s: float

    @property
    def message(self) -> str:
        return f"this process's shipper is stuck for {self.silent_s:.0f} s; another process takes over, if there is one"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRefused(Event):
    """The other store cannot hold this key as it is; all others go on. It is tried again when it is written."""

    level = logging.WARNING
    store: Store
    key: bytes
    reason: str

    @property
    def message(self) -> str:
        return f"{self.store} store cannot hold the key {self.key.decode(errors='backslashreplace')!r}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandUnknown(Event):
    """The other store is older, or lacks a module: what this command did to something other than keys (a library of
    functions, a search index) is on one store only."""

    level = logging.WARNING
    store: Store
    command: str

    @property
    def message(self) -> str:
        return f"{self.store} store does not know {self.command}: it was run on the other store only"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingRefused(Event):
    """The other store answers, and takes nothing; said once for each reason."""

    level = logging.WARNING
    store: Store
    reason: str
    advice: str

    @property
    def message(self) -> str:
        return f"{self.store} store refuses what is shipped to it ({self.reason}): {self.advice}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFolded(Event):
    """The other store has been away for so long that only the keys written are remembered, not each of their writes."""

    source: Store
    entries: int

    @property
    def message(self) -> str:
        entries = counted(self.entries, "entry is now the key it names", "entries are now the keys they name")
        return f"{self.source} store's log folded: {entries}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged(Event):
    changes: str
    version: int
    author: str = ""

    @property
    def message(self) -> str:
        by = f", by {self.author}" if self.author else ""
        return f"settings changed: {self.changes} (version {self.version}{by})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DualWriteResumed(Event):
    apart_s: float

    @property
    def message(self) -> str:
        return (
            f"dual write is on again after {self.apart_s:.0f} s: the cloud store is made equal to the local one first"
        )


Hook = Callable[[Event], None]


class EventLog:
    """Emits events to the `hybrid` logger and to hooks, and keeps the most recent ones."""

    def __init__(self, hooks: tuple[Hook, ...] = (), keep: int = 500) -> None:
        self._hooks = list(hooks)
        self._recent: deque[Event] = deque(maxlen=keep)
        self._lock = threading.Lock()

    def add_hook(self, hook: Hook) -> None:
        with self._lock:
            self._hooks.append(hook)

    def remove_hook(self, hook: Hook) -> None:
        with self._lock:
            self._hooks.remove(hook)

    def forget_after_fork(self) -> None:
        """In a forked child: the lock may be held by a thread that does not exist here."""
        self._lock = threading.Lock()

    def recent(self) -> tuple[Event, ...]:
        """The latest events, oldest first."""
        return tuple(self._recent)

    def emit(self, event: Event) -> None:
        self._recent.append(event)
        logger.log(event.level, "%s", event.message)
        with self._lock:
            hooks = tuple(self._hooks)
        for hook in hooks:
            try:
                hook(event)
            except Exception:
                logger.exception("an event hook failed on %s", type(event).__name__)
