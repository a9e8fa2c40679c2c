"""The first day: is this URL a store that can be used, what can it do, and which lines of `.env` make it so."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import redis
from redis.exceptions import NoPermissionError

from hybrid.core.address import SCHEMES, address_of
from hybrid.core.names import Names
from hybrid.errors import ConfigurationError
from hybrid.ops.control import PRESETS, SECRETS
from hybrid.ops.env_file import EnvPlan, planned_env, read_env
from hybrid.settings import Settings, masked_url, setting_text, variable_of
from hybrid.stores.capabilities import MISSING_KEY, Capabilities, probe_capabilities
from hybrid.stores.exchange import exchange
from hybrid.stores.pools import pool_of
from hybrid.stores.wire import plain_reason
from hybrid.types import Store

__all__ = [
    "CHECK_COMMANDS",
    "Ability",
    "UrlCheck",
    "abilities",
    "check_url",
    "check_urls",
    "overruled",
    "planned_setup",
    "url_in",
]

CHECK_COMMANDS: Final = 19
"""What a check costs on a store that bills every command, at most."""
TIMEOUT_S: Final = 4.0
PINGS: Final = 3


@dataclass(frozen=True, slots=True)
class Ability:
    """Something that a store can do or not, and what that means here. `needed`: without it the store is of no use."""

    name: str
    there: bool
    meaning: str
    needed: bool = False


@dataclass(frozen=True, slots=True)
class UrlCheck:
    """What came of trying a URL. `address` carries no password. `problem` is "" when the store can be used; `warnings`
    are sentences. `round_trip_ms` is the quickest of three; `keys` are the user's, `paired` says that hybrid knows this
    store already. `run` tells the server from all others (see `run_of`)."""

    store: Store
    address: str
    problem: str = ""
    warnings: tuple[str, ...] = ()
    round_trip_ms: float | None = None
    keys: int | None = None
    paired: bool = False
    software: str = ""
    abilities: tuple[Ability, ...] = ()
    run: bytes | None = None
    database: int = 0

    @property
    def usable(self) -> bool:
        return not self.problem


def check_url(store: Store, url: str, timeout_s: float = TIMEOUT_S) -> UrlCheck:
    """Connect to `url` and ask what it can do, with commands that change nothing. Never raises for a bad URL: the
    problem is in the answer."""
    try:
        wanted = checked(store, url)
    except ConfigurationError as error:
        return UrlCheck(store, "", str(error))
    if wanted is None:
        return UrlCheck(store, "", f"give a URL, such as {EXAMPLES[store]}")
    address = masked_url(wanted) or ""
    timeouts: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s, "retry": None}
    pool = pool_of(wanted, protocol=2, **timeouts)
    try:
        return _tried(store, wanted, address, pool.get_connection())
    except (redis.RedisError, OSError) as error:
        return UrlCheck(store, address, f"{plain_reason(error)}: {_advice(plain_reason(error), wanted)}")
    finally:
        pool.disconnect()


def check_urls(local_url: str, cloud_url: str) -> list[UrlCheck]:
    """As `check_url`, of both (of the cloud store's if there is one). Under two names one store is no two."""
    urls = {Store.LOCAL: local_url, Store.CLOUD: cloud_url}
    local, *cloud = (check_url(store, url) for store, url in urls.items() if url.strip() or store is Store.LOCAL)
    return [local, *(_beside(local, each) for each in cloud)]


def _beside(local: UrlCheck, cloud: UrlCheck) -> UrlCheck:
    """The check of the cloud store with what shows only next to the local one."""
    if not (local.usable and cloud.usable) or local.run is None or local.run != cloud.run:
        return cloud
    if local.database == cloud.database:
        return replace(cloud, problem=SAME)
    return replace(cloud, warnings=(*cloud.warnings, ONE_SERVER))


def url_in(text: str) -> str:
    """The URL in what somebody pasted: by itself, in quotes, as a line of `.env`, or in the command redis-cli that a
    provider shows (with --tls: over TLS). A text without one is left as it is."""
    pasted = text.strip().strip("\"'")
    found = None if URL.match(pasted) else URL.search(pasted)
    if found is None:
        return pasted
    with_tls = found[0].startswith("redis://") and "--tls" in pasted.split()
    return found[0].replace("redis:", "rediss:", 1) if with_tls else found[0]


def checked(store: Store, url: str) -> str | None:
    """The URL as the settings take it. Raises ConfigurationError."""
    text = url_in(url) or None
    if store is Store.CLOUD and text is not None and text.startswith(("https://", "http://")):
        raise ConfigurationError(REST)
    return Settings(local_url=text).local_url if store is Store.LOCAL else Settings(cloud_url=text).cloud_url


EXAMPLES: Final[Mapping[Store, str]] = {
    Store.LOCAL: "redis://localhost:6379",
    Store.CLOUD: "rediss://default:PASSWORD@NAME.upstash.io:6379",
}


def _tried(store: Store, url: str, address: str, connection: Any) -> UrlCheck:
    trips_ms = []
    for _ in range(PINGS):
        started_s = time.perf_counter()
        answer = exchange(connection, [(b"PING",)])[0]
        trips_ms.append(1000 * (time.perf_counter() - started_s))
    if isinstance(answer, redis.ResponseError):
        return UrlCheck(store, address, f"{plain_reason(answer)}: {_advice(plain_reason(answer), url)}")
    if not _may_write(connection):
        return UrlCheck(store, address, f"{NO_PERMISSION}: {_advice(NO_PERMISSION, url)}")
    names = Names()
    size, own, mark = exchange(connection, [(b"DBSIZE",), (b"EXISTS", *names.keys), (b"EXISTS", names.identity)])
    keys = max(0, size - own) if isinstance(size, int) and isinstance(own, int) else None
    found = probe_capabilities(connection)
    rows = abilities(found)
    lacking = [row.name for row in rows if row.needed and not row.there]
    problem = f"it lacks {', '.join(lacking)}: {NEWER}" if lacking else ""
    warnings = tuple(warnings_of(store, url, min(trips_ms)))
    return UrlCheck(
        store, address, problem, warnings, min(trips_ms), keys, mark == 1, software(found), rows,
        found.run, int(redis.connection.parse_url(address_of(url).url).get("db") or 0),
    )  # fmt: skip


REHEARSED: Final = (
    (b"SET", MISSING_KEY, b""),
    (b"DEL", MISSING_KEY),
    (b"XADD", MISSING_KEY, b"*", b"", b""),
    (b"EVAL", b"return 1", b"0"),
)
"""What hybrid cannot do without, of several kinds."""


def _may_write(connection: Any) -> bool:
    """Whether this user may do what hybrid does there. A server tells when a command is queued; none is run."""
    begun = exchange(connection, [(b"MULTI",)])[0]
    queued = [] if isinstance(begun, redis.ResponseError) else exchange(connection, [*REHEARSED, (b"DISCARD",)])
    return not any(isinstance(answer, NoPermissionError) for answer in (begun, *queued))


def warnings_of(store: Store, url: str, round_trip_ms: float) -> list[str]:
    """What is unwise about a URL that can be used."""
    address = address_of(url)
    found = []
    here = all(host in ("localhost", "127.0.0.1", "::1") for host, _ in address.hosts)
    if store is Store.CLOUD and address.url.startswith("redis://") and not here:
        found.append("the way there is not encrypted: use rediss:// if the store offers it")
    if store is Store.CLOUD and here:
        found.append("it is on this machine: a fault here takes both stores at once")
    if store is Store.LOCAL and round_trip_ms > 10:
        found.append(f"{round_trip_ms:.0f} ms away: the local store should be near the application")
    return found


SAME: Final = "it is the local store under another name: give the URL of a second store, or leave it empty"
ONE_SERVER: Final = "it is another database of the local store's server, and is lost with it: use a second server"
REST: Final = "this address is for HTTP (REST): copy the one that begins with rediss:// from the same place"
URL: Final = re.compile(rf"(?:{'|'.join(map(re.escape, SCHEMES))})://[^\s\"']+")
NEWER: Final = "use Redis 6.2, Valkey 7.2, Upstash, or newer"
NO_PERMISSION: Final = "its user lacks a permission"
ADVICE: Final = {
    "connection refused": "is the server running, and is the port right?",
    "no answer in time": "is the address right, and does a firewall let it through?",
    "host name not found": "look for a typing mistake in the host's name",
    "wrong user name or password": "copy the URL again from where you got it",
    "no master is known": "is the service's name right, and do the Sentinels see a master that answers?",
    "password required": "write it into the URL, as redis://:PASSWORD@host:6379",
    "its user may not touch hybrid's own keys (hybrid:*)": "give it the key pattern ~hybrid:*",
    NO_PERMISSION: "hybrid reads, writes and keeps its log there: let its user run every command",
    "TLS handshake failed": "does this port speak TLS? rediss:// is with, redis:// without",
    "its certificate is for another name": "connect to the name that it is for",
    "its certificate has expired": "it has to be renewed; until then nothing is sent there",
    "its certificate is not from an authority that is trusted here": "give the authority's certificate, as "
    "?ssl_ca_certs=/path/ca.crt in the URL",
    "it wants a certificate from its clients": "give one, as ?ssl_certfile=...&ssl_keyfile=... in the URL",
    "still loading its data": "try again in a moment",
}


WANTS_TLS: Final = "the server ended the connection; a store in the cloud often wants rediss://"
LOOK: Final = "look at the URL and at the server's log"


def _advice(reason: str, url: str) -> str:
    if reason == "connection lost" and url.startswith("redis://"):
        return WANTS_TLS
    return ADVICE.get(reason, LOOK)


def software(found: Capabilities) -> str:
    """Its name and version; Upstash and others only speak the protocol."""
    name = {"redis": "Redis", "valkey": "Valkey"}.get(found.flavour, "Redis-compatible")
    return f"{name} {'.'.join(map(str, found.version))}" if any(found.version) else name


def abilities(found: Capabilities) -> tuple[Ability, ...]:
    """The capability table: what each answer means for replication."""
    return (
        Ability("absolute expiry times", found.has_pexpiretime, "expiries are read exactly, rather than as time left"),
        Ability("expiry of hash fields", found.has_field_ttl, "HEXPIRE and the like can be used"),
        Ability("functions", found.has_functions, "FUNCTION and FCALL can be used"),
        Ability("stream counters", found.has_stream_counters, "consumer groups keep their lag when copied"),
        Ability("JSON", found.has_json, "JSON documents can be kept"),
        Ability("memory of a key", found.has_memory_usage, "the biggest keys can be found"),
    )


def planned_setup(local_url: str, cloud_url: str, preset: str | None = None, env_file: Path = Path(".env")) -> EnvPlan:
    """The lines of `.env` that connect these stores, with a preset's settings if one is named; nothing is written.

    Raises ConfigurationError: a URL is malformed, both name the same store, or the file cannot be read.
    """
    chosen: dict[str, Any] = {"local_url": url_in(local_url) or None, "cloud_url": url_in(cloud_url) or None}
    if preset is not None:
        chosen |= PRESETS[preset]
    settings = Settings(**chosen)
    texts = {variable_of(name): setting_text(getattr(settings, name)) for name in chosen}
    return planned_env(env_file, read_env(env_file), texts, secret=SECRETS)


def overruled(plan: EnvPlan, environ: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The variables of `plan` that the environment sets: it counts more than the file."""
    return tuple(name for name in plan.variables if environ.get(name, "").strip())
