"""OpenTelemetry by redis-py's own conventions: where an application has switched redis-py's on, hybrid reports there.

    from redis.observability import MetricGroup, OTelConfig, get_observability_instance
    get_observability_instance().init(OTelConfig(metric_groups=[MetricGroup.COMMAND]))

redis-py would see nothing by itself: hybrid's commands go over connections of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from redis.observability import recorder

from hybrid.core.address import address_of
from hybrid.stores.endpoint import Endpoint
from hybrid.types import Store

__all__ = ["Sink", "telemetry_sink"]

Sink = Callable[[Store, str, float], None]
"""Takes the store, the command's name and the seconds it took."""


def telemetry_sink(endpoints: Mapping[Store, Endpoint]) -> Sink | None:
    """Reports `db.client.operation.duration` by command and server; None while redis-py's observability is off."""
    if not recorder.is_enabled():
        return None
    servers = {store: _server(endpoint.url) for store, endpoint in endpoints.items()}

    def report(store: Store, name: str, seconds: float) -> None:
        host, port, database = servers[store]
        recorder.record_operation_duration(name.upper(), seconds, host, port, database)

    return report


def _server(url: str) -> tuple[str, int | None, str]:
    """Host, port and database."""
    address = address_of(url)
    parts = urlsplit(address.url)
    if not address.hosts:
        return parts.path, None, "0"
    return *address.hosts[0], parts.path.strip("/") or "0"
