"""What a store says about itself in INFO. Any field may be missing: Upstash sends a few sections only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import redis

from hybrid.core.names import Names

__all__ = ["ServerFacts", "entry_bytes", "server_facts"]

OWN = Names()
SOFTWARE = (
    ("upstash_version", "Upstash"),
    ("valkey_version", "Valkey"),
    ("dragonfly_version", "Dragonfly"),
    ("redis_version", "Redis"),
)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts read from one INFO reply. None means that the server did not say."""

    software: str | None = None
    uptime_s: float | None = None
    clients: int | None = None
    keys: int | None = None
    memory_bytes: int | None = None
    memory_limit_bytes: int | None = None
    eviction_policy: str | None = None


def server_facts(info: Mapping[str, Any], db: int = 0) -> ServerFacts:
    """The facts in a parsed INFO reply; `keys` counts database `db` and is None when INFO does not list it."""
    return ServerFacts(
        software=_software(info),
        uptime_s=_number(info.get("uptime_in_seconds")),
        clients=_whole(info.get("connected_clients")),
        keys=_keys(info.get(f"db{db}")),
        memory_bytes=_whole(info.get("used_memory")),
        memory_limit_bytes=_whole(info.get("maxmemory")) or None,
        eviction_policy=str(policy) if (policy := info.get("maxmemory_policy")) else None,
    )


def entry_bytes(store: redis.Redis) -> float | None:
    """How many bytes of memory one entry of the replication log takes in the mean, on the store that has it; None where
    it cannot tell. Two commands. Raises RedisError."""
    used, length = store.memory_usage(OWN.log), store.xlen(OWN.log)
    return used / length if used and length else None


def _software(info: Mapping[str, Any]) -> str | None:
    for field, name in SOFTWARE:
        if info.get(field):
            return f"{name} {info[field]}"
    return None


def _keys(database: Any) -> int | None:
    return _whole(database.get("keys")) if isinstance(database, Mapping) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
