"""The health document: one answer for load balancers, uptime monitors and scripts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from hybrid.ops.overview import Observer, Overview, StoreFacts
from hybrid.types import Health

__all__ = ["Parts", "health_document", "liveness", "observed_health", "readiness"]

STALE_S: Final = 60.0
"""An observer takes a status every few seconds, whatever the stores do: after this long it hangs."""

Parts = Mapping[str, Any]
"""What else the document says, by name: what an agent's duties report of themselves."""


def health_document(overview: Overview, parts: Parts | None = None) -> tuple[int, dict[str, Any]]:
    """HTTP status and JSON body for `/api/health`.

    200 while at least one store serves (`status` tells `healthy` from `degraded`), 503 when none does. An unknown
    value is null, never zero. The document holds no credentials.
    """
    status, settings = overview.status, overview.settings
    document = {
        "status": status.health.value,
        "stores": {
            "local": store_document(overview.local),
            "cloud": None if overview.cloud is None else store_document(overview.cloud),
        },
        "authority": status.authority.value,
        "epoch": status.epoch,
        "lag": {"entries": status.lag_entries, "seconds": status.lag_s},
        "conflicts": status.conflicts,
        "unconfirmed_writes": status.unconfirmed_writes,
        "shipper": {"name": status.shipper, "here": status.shipping_here},
        "sync": {"enabled": settings.sync_enabled, "interval_s": settings.sync_interval_s},
        "divergence": None,
        "settings_version": status.config_version,
        "configuration": {
            "write_both": settings.write_both,
            "ack": settings.ack.value,
            "read_preference": settings.read_preference.value,
        },
        "embedded": overview.embedded,
        "taken_at_s": overview.taken_at_s,
        "age_s": round(max(overview.taken_at_s - status.taken_at_s, 0.0), 3),
    }
    return (503 if status.health is Health.DOWN else 200), document | dict(parts or {})


def observed_health(observer: Observer, parts: Parts | None = None) -> tuple[int, dict[str, Any]]:
    """As `health_document`, at once: no store is asked, also before the observer has seen one."""
    if not observer.ready:
        return 503, {"status": "starting", "stores": None}
    return health_document(observer.overview(), parts)


def readiness(observer: Observer) -> tuple[int, dict[str, Any]]:
    """200 while commands can be served, else 503: for a load balancer. Restarting the process would not help."""
    code, document = observed_health(observer)
    return code, {"status": document["status"]}


def liveness(observer: Observer) -> tuple[int, dict[str, Any]]:
    """200 while the process works, whatever its stores do; 503 when it hangs, and a restart is in order."""
    age_s = time.time() - observer.overview().status.taken_at_s if observer.ready else 0.0
    return (503, {"status": "hangs", "age_s": round(age_s, 1)}) if age_s > STALE_S else (200, {"status": "alive"})


def store_document(facts: StoreFacts) -> dict[str, Any]:
    """One store's state and facts as JSON; `observed_at_s` says when the facts were last really read."""
    return {
        "state": facts.status.state.value,
        "since_s": facts.status.since_s,
        "reason": facts.status.reason,
        "address": facts.status.address,
        "software": facts.software,
        "uptime_s": facts.uptime_s,
        "clients": facts.clients,
        "keys": facts.keys,
        "memory_bytes": facts.memory_bytes,
        "memory_limit_bytes": facts.memory_limit_bytes,
        "latency_p50_ms": facts.latency_p50_ms,
        "latency_p99_ms": facts.latency_p99_ms,
        "observed_at_s": facts.observed_at_s,
    }
