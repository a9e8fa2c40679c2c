"""Frozen facts that hybrid reports: what a store is doing, what is waiting, who decides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Ack", "Health", "Purpose", "ReadPreference", "Source", "Status", "Store", "StoreState", "StoreStatus"]


class Store(StrEnum):
    """The two stores."""

    LOCAL = "local"
    CLOUD = "cloud"

    __hash__ = str.__hash__  # Enum's is not built in, and each command looks several things up by its store

    @property
    def other(self) -> Store:
        return Store.CLOUD if self is Store.LOCAL else Store.LOCAL


class Ack(StrEnum):
    """When a write is confirmed to the caller."""

    BOTH = "both"
    LOCAL = "local"


class Purpose(StrEnum):
    """What a connection is for: the commands to the cloud store are counted, and paid, by it."""

    APPLICATION = "application"
    SHIPPING = "shipping"
    HEALTH = "health"
    SYNC = "sync"
    PANEL = "panel"


class ReadPreference(StrEnum):
    """Which store answers reads when both are healthy and caught up."""

    LOCAL = "local"
    CLOUD = "cloud"
    FASTEST = "fastest"


class Source(StrEnum):
    """Where the value of a setting comes from: the first of these that has one."""

    ARGUMENT = "argument"
    OVERRIDE = "override"
    LIVE = "live"
    ENVIRONMENT = "environment"
    ENV_FILE = ".env"
    DEFAULT = "default"


UNSHIPPED_S: Final = 5.0
"""Longer than a lease that nobody gave back: another process takes over after it."""

NEW: Final = "it is new, and empty"
"""Why a store counts as wiped that never was filled."""


class StoreState(StrEnum):
    """What this process knows of a store, from its own evidence."""

    UNKNOWN = "unknown"
    UP = "up"
    CATCHING_UP = "catching up"
    DOWN = "down"
    WIPED = "wiped"

    @property
    def is_lost(self) -> bool:
        """Whether the store is there for nobody: it does not answer, or what it held is gone."""
        return self in (StoreState.DOWN, StoreState.WIPED)


class Health(StrEnum):
    """The whole, in one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One store as this process sees it. `since_s` is a Unix time; `address` never holds credentials. `refuses`: it
    answers, and takes nothing of what is shipped to it, because of `reason`."""

    store: Store
    state: StoreState
    since_s: float
    reason: str
    address: str
    refuses: bool = False

    @property
    def is_new(self) -> bool:
        """Whether it has nothing yet because it has just become the other one's partner, and has lost nothing."""
        return self.state is StoreState.WIPED and self.reason == NEW


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of one client. None means unknown or not applicable, never zero."""

    local: StoreStatus
    cloud: StoreStatus | None
    authority: Store
    epoch: int
    lag_entries: int | None
    lag_s: float | None
    conflicts: int | None
    shipper: str | None
    shipping_here: bool
    unconfirmed_writes: int
    config_version: int
    taken_at_s: float
    folded_keys: int | None = None
    """Keys that wait besides `lag_entries`, after an outage so long that the log was folded into them."""

    refused_keys: int | None = None
    """Keys that the other store could not take: each is named in an event, with its reason."""

    shipper_stuck: bool = False
    """This process has shipped, and the thread that does so gives no sign of life: another process takes over."""

    held: bool = False
    """The cloud store keeps the authority until an operator gives it back (`python -m hybrid failback`)."""

    @property
    def is_unshipped(self) -> bool:
        """Whether entries wait that nobody sends to the other store, although it is there to take them."""
        target = self.cloud if self.authority is Store.LOCAL else self.local
        if target is None or target.state is StoreState.DOWN:
            return False
        return bool(self.lag_entries) and self.shipper is None and (self.lag_s or 0.0) >= UNSHIPPED_S

    @property
    def health(self) -> Health:
        stores = [self.local] if self.cloud is None else [self.local, self.cloud]
        up = [store.state is StoreState.UP for store in stores]
        return Health.HEALTHY if all(up) else Health.DEGRADED if any(up) else Health.DOWN
