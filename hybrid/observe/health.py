"""The health document: one answer for load balancers, uptime monitors and scripts."""

from __future__ import annotations

from typing import Any

from hybrid.ops.overview import Overview, StoreFacts
from hybrid.types import Health

__all__ = ["health_document"]


def health_document(overview: Overview) -> tuple[int, dict[str, Any]]:
    """HTTP status and JSON body for `/api/health`.

    200 while at least one store serves (`status` tells `healthy` from `degraded`), 503 when none does. An unknown
    value is null, never zero. The document holds no credentials.
    """
    status = overview.status
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
        "settings_version": status.config_version,
        "embedded": overview.embedded,
        "taken_at_s": overview.taken_at_s,
    }
    return (503 if status.health is Health.DOWN else 200), document


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
