"""Where a store is: one server, the master that Sentinels name, or a cluster. Told from the URL alone.

    redis://[user:password@]host[:port][/db][?option=value]
    redis+sentinel://[user:password@]host[:port],...[/]service[/db][?sentinel_password=...]
    redis+cluster://[user:password@]host[:port],...

`rediss` in place of `redis` asks for TLS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

__all__ = ["SCHEMES", "Address", "Kind", "address_of"]


class Kind(Enum):
    """What answers at an address."""

    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
DEFAULT_PORTS: Final = {Kind.SERVER: 6379, Kind.SENTINEL: 26379, Kind.CLUSTER: 6379}
OF_SENTINELS: Final = "sentinel_"


@dataclass(frozen=True, slots=True, repr=False)
class Address:
    """`url` is one that redis-py reads: credentials, database and options, and the first of `hosts`, of which a server
    has one and a Unix socket none. `service` is the name under which Sentinels know the master; `login` what they ask
    for themselves (`username`, `password`). Holds credentials."""

    kind: Kind
    url: str
    hosts: tuple[tuple[str, int], ...]
    service: str
    login: Mapping[str, str]


def address_of(url: str) -> Address:
    """Raises ValueError: what the URL must or must not, in words that may follow its name, without the URL itself."""
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise ValueError("must start with redis:// or rediss:// (or unix://, redis+sentinel://, redis+cluster://)")
    if scheme == "unix":
        return Address(Kind.SERVER, url, (), "", {})
    plain, _, words = scheme.partition("+")
    kind = Kind(words or "server")
    place, mark, query = rest.partition("?")
    login, at, tail = place.rpartition("@")
    names, _, path = tail.partition("/")
    if "/" in login:
        raise ValueError("must have /, @ and : in its password written as %2F, %40 and %3A")
    hosts = tuple(_host(name, DEFAULT_PORTS[kind]) for name in names.split(","))
    if kind is Kind.SERVER:
        if len(hosts) > 1:
            raise ValueError("names several hosts, which only redis+sentinel:// and redis+cluster:// take")
        return Address(kind, url, hosts, "", {})
    if kind is Kind.CLUSTER:
        if path.strip("/0"):
            raise ValueError("names a database: a cluster has only one")
        return Address(kind, f"{plain}://{login}{at}{names.partition(',')[0]}{mark}{query}", hosts, "", {})
    service, _, db = path.partition("/")
    if not service:
        raise ValueError(
            "names no service: write the master's name behind the hosts, as in redis+sentinel://HOST:26379/mymaster"
        )
    options = parse_qsl(query)
    own = [(name, value) for name, value in options if not name.startswith(OF_SENTINELS)]
    base = f"{plain}://{login}{at}{names.partition(',')[0]}/{db}{mark}{urlencode(own)}"
    asked = {name.removeprefix(OF_SENTINELS): value for name, value in options if name.startswith(OF_SENTINELS)}
    if unknown := asked.keys() - {"username", "password"}:
        raise ValueError(f"has an unknown option: {OF_SENTINELS}{min(unknown)}")
    return Address(kind, base, hosts, unquote(service), asked)


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port
    except ValueError:
        raise ValueError("is not a valid URL") from None
    if not parts.hostname:
        raise ValueError("names no host")
    return parts.hostname, default_port if port is None else port
