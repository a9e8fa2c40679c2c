"""Two independent Redis stores behind one `redis.Redis`."""

from hybrid.client import HybridRedis
from hybrid.errors import (
    AllStoresDown,
    CommandRefused,
    ConfigurationConflict,
    ConfigurationError,
    EmbeddedServerError,
    HybridError,
    OutcomeUnknown,
    StoreUnavailable,
)
from hybrid.ops.sync.background import periodic_sync as _periodic_sync
from hybrid.replication.engine import Engine as _Engine
from hybrid.settings import Settings
from hybrid.types import Ack, Health, ReadPreference, Status, Store, StoreState, StoreStatus

__all__ = [
    "Ack",
    "AllStoresDown",
    "CommandRefused",
    "ConfigurationConflict",
    "ConfigurationError",
    "EmbeddedServerError",
    "Health",
    "HybridError",
    "HybridRedis",
    "OutcomeUnknown",
    "ReadPreference",
    "Settings",
    "Status",
    "Store",
    "StoreState",
    "StoreStatus",
    "StoreUnavailable",
]

_Engine.companions.append(_periodic_sync)
