"""What INFO says: every field as a row, and the few that tell at a glance how a server fares. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["InfoField", "ServerFacts", "info_fields", "server_facts"]


@dataclass(frozen=True, slots=True)
class InfoField:
    """One line of INFO, as the server writes it."""

    section: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """How a server fares; None is what it does not say.

    Counts are since it started or its statistics were reset. `hit_rate` is a share of the reads of keys, None before
    the first. `memory_limit_bytes` is 0 where it has none. `saved_at_s` is Unix time.
    """

    hit_rate: float | None
    commands_per_s: int | None
    expired_keys: int | None
    evicted_keys: int | None
    memory_bytes: int | None
    memory_peak_bytes: int | None
    memory_limit_bytes: int | None
    eviction_policy: str | None
    fragmentation: float | None
    clients: int | None
    clients_limit: int | None
    refused_clients: int | None
    saved_at_s: int | None
    save_failed: bool | None
    changes_unsaved: int | None
    appends: bool | None
    append_failed: bool | None
    role: str | None
    replicas: int | None


def info_fields(reply: bytes) -> tuple[InfoField, ...]:
    """The lines of INFO in their order, each with the section it stands in."""
    fields, section = [], ""
    for line in reply.decode(errors="backslashreplace").splitlines():
        name, colon, value = line.partition(":")
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif colon:
            fields.append(InfoField(section, name, value))
    return tuple(fields)


def server_facts(fields: Sequence[InfoField]) -> ServerFacts:
    """The figures that people look for first."""
    said = {field.name: field.value for field in fields}

    def whole(name: str) -> int | None:
        text = said.get(name, "")
        return int(text) if text.lstrip("-").isdigit() else None

    def failed(name: str) -> bool | None:
        return said[name] != "ok" if name in said else None

    hits, misses = whole("keyspace_hits"), whole("keyspace_misses")
    reads = None if hits is None or misses is None else hits + misses
    appends = whole("aof_enabled")
    fragmentation = said.get("mem_fragmentation_ratio", "")
    return ServerFacts(
        hit_rate=hits / reads if hits is not None and reads else None,
        commands_per_s=whole("instantaneous_ops_per_sec"),
        expired_keys=whole("expired_keys"),
        evicted_keys=whole("evicted_keys"),
        memory_bytes=whole("used_memory"),
        memory_peak_bytes=whole("used_memory_peak"),
        memory_limit_bytes=whole("maxmemory"),
        eviction_policy=said.get("maxmemory_policy"),
        fragmentation=float(fragmentation) if fragmentation.replace(".", "", 1).isdigit() else None,
        clients=whole("connected_clients"),
        clients_limit=whole("maxclients"),
        refused_clients=whole("rejected_connections"),
        saved_at_s=whole("rdb_last_save_time"),
        save_failed=failed("rdb_last_bgsave_status"),
        changes_unsaved=whole("rdb_changes_since_last_save"),
        appends=None if appends is None else appends == 1,
        append_failed=failed("aof_last_write_status"),
        role=said.get("role"),
        replicas=whole("connected_slaves"),
    )
