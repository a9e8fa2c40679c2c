"""What a server can do, found by trying: a version alone proves nothing (Upstash and Valkey report Redis versions)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakKeyDictionary

import redis

from hybrid.stores.exchange import Command, RedisConnection, exchange

__all__ = [
    "MISSING_KEY",
    "PROBES",
    "Capabilities",
    "capabilities_from",
    "capabilities_of",
    "forget_capabilities",
    "probe_capabilities",
    "remember_capabilities",
    "run_of",
]

Flavour = Literal["redis", "valkey", "unknown"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`version` is the server's own (Valkey's, not the Redis version it claims), (0, 0, 0) when it does not say.

    `has_pexpiretime`: Redis >= 7. `has_field_ttl`: hash fields expire (Redis >= 7.4, Valkey >= 9).
    `has_functions`: FUNCTION. `has_stream_counters`: streams keep entries-added and groups entries-read (Redis >= 7).
    `has_json`: JSON.GET. `has_memory_usage`: MEMORY USAGE. `is_cluster`: keys are spread over slots.
    `run`: see `run_of`.
    """

    version: tuple[int, int, int]
    flavour: Flavour
    has_pexpiretime: bool
    has_field_ttl: bool
    has_functions: bool
    has_stream_counters: bool
    has_json: bool
    has_memory_usage: bool
    is_cluster: bool = False
    run: bytes | None = None


MISSING_KEY = b"hybrid:probe"  # is never written: each probe either reads it or fails on it
PROBES: Mapping[str, Command] = {
    "info": (b"INFO", b"server"),
    "pexpiretime": (b"PEXPIRETIME", MISSING_KEY),
    "field_ttl": (b"HPEXPIRETIME", MISSING_KEY, b"FIELDS", b"1", b"f"),
    "functions": (b"FUNCTION", b"LIST"),
    "stream_counters": (b"XSETID", MISSING_KEY, b"1-0", b"ENTRIESADDED", b"1", b"MAXDELETEDID", b"0-0"),
    "json": (b"JSON.GET", MISSING_KEY),
    "memory_usage": (b"MEMORY", b"USAGE", MISSING_KEY),
}


def capabilities_from(replies: Mapping[str, Any]) -> Capabilities:
    """The capabilities that the replies to `PROBES` prove. Pure."""

    def answered(probe: str) -> bool:
        return not isinstance(replies[probe], redis.ResponseError)

    info = b"" if isinstance(replies["info"], redis.ResponseError) else bytes(replies["info"])
    flavour, version = flavour_and_version(info.decode(errors="replace"))
    return Capabilities(
        version=version,
        flavour=flavour,
        has_pexpiretime=answered("pexpiretime"),
        has_field_ttl=answered("field_ttl"),
        has_functions=answered("functions"),
        # a server that knows the options goes on to look for the key; an older one complains of the syntax
        has_stream_counters="no such key" in str(replies["stream_counters"]).lower(),
        has_json=answered("json"),
        has_memory_usage=answered("memory_usage"),
        is_cluster=b"redis_mode:cluster" in info or b"server_mode:cluster" in info,
        run=run_of(info),
    )


_RUN = re.compile(rb"^run_id:(\w+)", re.MULTILINE)


def run_of(info: Any) -> bytes | None:
    """What tells the server that gave this reply to INFO from all others, until it starts again; None when it does not
    say."""
    found = _RUN.search(info) if isinstance(info, bytes) else None
    return found.group(1) if found else None


def flavour_and_version(info: str) -> tuple[Flavour, tuple[int, int, int]]:
    fields = dict(re.findall(r"^(\w+):(.*?)\r?$", info, re.MULTILINE))
    if "valkey_version" in fields:
        return "valkey", version_of(fields["valkey_version"])
    # Redis itself names its build; services that only speak the protocol do not
    flavour: Flavour = "redis" if "redis_version" in fields and "redis_build_id" in fields else "unknown"
    return flavour, version_of(fields.get("redis_version", ""))


def version_of(text: str) -> tuple[int, int, int]:
    major, minor, patch, *_ = map(int, [*re.findall(r"\d+", text), 0, 0, 0])
    return major, minor, patch


def probe_capabilities(connection: RedisConnection) -> Capabilities:
    """Ask the server, in one round trip and seven commands that change nothing."""
    return capabilities_from(dict(zip(PROBES, exchange(connection, list(PROBES.values())), strict=True)))


_known: WeakKeyDictionary[RedisConnection, Capabilities] = WeakKeyDictionary()


def capabilities_of(connection: RedisConnection) -> Capabilities:
    """As `probe_capabilities`, asked once for each connection object."""
    if (known := _known.get(connection)) is None:
        known = _known[connection] = probe_capabilities(connection)
    return known


def remember_capabilities(connection: RedisConnection, capabilities: Capabilities) -> None:
    """`capabilities_of` need not ask: another connection to the same server has."""
    _known[connection] = capabilities


def forget_capabilities(connection: RedisConnection) -> None:
    """Ask again next time: the connection may have come back to another server."""
    _known.pop(connection, None)
