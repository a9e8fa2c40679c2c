"""What one server says about itself: slow log, commands in use, clients, INFO, channels. One round trip, replies
as rows.

    with connected(client, Store.LOCAL) as connection:
        found = server_insights(connection, Store.LOCAL)

What a store does not offer is a `NotOffered`, which is neither empty nor zero. It is found by trying.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import redis

from hybrid.core.names import RESERVED
from hybrid.errors import StoreUnavailable
from hybrid.ops.diff.export import shown
from hybrid.ops.metrics import Readable, raw_store
from hybrid.ops.server_info import InfoField, info_fields
from hybrid.stores.exchange import RedisConnection, exchange
from hybrid.stores.wire import plain_reason
from hybrid.types import Store

__all__ = [
    "SERVER_COMMANDS",
    "Channel",
    "ClientRow",
    "CommandUse",
    "NotOffered",
    "ServerInsights",
    "SlowCall",
    "connected",
    "disconnect",
    "empty_slow_log",
    "masked_address",
    "not_offered",
    "server_insights",
]

TIMEOUT_S: Final = 3.0
SLOW_CALLS: Final = 128
SHOWN_BYTES: Final = 200

_QUESTIONS: Final[Mapping[str, tuple[bytes, ...]]] = {
    "slow_log": (b"SLOWLOG", b"GET", b"%d" % SLOW_CALLS),
    "slower_than": (b"CONFIG", b"GET", b"slowlog-log-slower-than"),
    "commands": (b"INFO", b"commandstats"),
    "quantiles": (b"INFO", b"latencystats"),
    "clients": (b"CLIENT", b"LIST"),
    "info": (b"INFO",),
    "channels": (b"PUBSUB", b"CHANNELS"),
}
SERVER_COMMANDS: Final = len(_QUESTIONS) + 1
"""What `server_insights` costs on a store that bills every command, at most."""


@dataclass(frozen=True, slots=True)
class NotOffered:
    """This store gives no answer to `command`; `why` is a sentence for people."""

    command: str
    why: str


@dataclass(frozen=True, slots=True)
class SlowCall:
    """One entry of the slow log. `command` is shortened; servers leave passwords out of it themselves."""

    id: int
    at_s: float
    duration_ms: float
    command: str
    client: str


@dataclass(frozen=True, slots=True)
class CommandUse:
    """A command since the server started or its statistics were reset. Quantiles are None where it keeps none."""

    name: str
    calls: int
    total_ms: float
    mean_us: float
    p50_us: float | None
    p99_us: float | None
    failed: int
    rejected: int


@dataclass(frozen=True, slots=True)
class ClientRow:
    """One connection to the server, as CLIENT LIST says. `memory_bytes` is None where it does not."""

    id: int
    name: str
    address: str
    user: str
    library: str
    age_s: int
    idle_s: int
    database: int
    command: str
    kind: str
    subscriptions: int
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel of pub/sub that somebody listens to by its name."""

    name: str
    subscribers: int


@dataclass(frozen=True, slots=True)
class ServerInsights:
    """One store at `at_s`. `slower_than_ms` is from when on a call is logged as slow; None is unknown or never."""

    store: Store
    at_s: float
    slow_log: tuple[SlowCall, ...] | NotOffered
    slower_than_ms: float | None
    commands: tuple[CommandUse, ...] | NotOffered
    clients: tuple[ClientRow, ...] | NotOffered
    info: tuple[InfoField, ...] | NotOffered
    channels: tuple[Channel, ...] | NotOffered


@contextmanager
def connected(client: Readable, store: Store, timeout_s: float = TIMEOUT_S) -> Iterator[Any]:
    """A connection of one's own with raw replies; closed with the block. Raises StoreUnavailable, and redis.RedisError
    for what the store refuses."""
    with raw_store(client, store, socket_timeout=timeout_s, socket_connect_timeout=min(timeout_s, 1.0)) as raw:
        try:
            yield raw.connection_pool.get_connection()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise StoreUnavailable(f"the {store} store was lost: {plain_reason(error)}") from None


def server_insights(connection: RedisConnection, store: Store) -> ServerInsights:
    """Ask everything at once. Raises redis.RedisError when the connection fails."""
    asked = exchange(connection, list(_QUESTIONS.values()))
    replies = dict(zip(_QUESTIONS, asked, strict=True))
    return ServerInsights(
        store=store,
        at_s=time.time(),
        slow_log=not_offered("SLOWLOG", replies["slow_log"]) or slow_calls(replies["slow_log"]),
        slower_than_ms=_slower_than_ms(replies["slower_than"]),
        commands=not_offered("INFO commandstats", replies["commands"])
        or commands_in_use(replies["commands"], replies["quantiles"])
        or NotOffered("INFO commandstats", "This store keeps no statistics of commands (INFO commandstats)."),
        clients=not_offered("CLIENT LIST", replies["clients"]) or client_rows(replies["clients"]),
        info=not_offered("INFO", replies["info"]) or info_fields(replies["info"]),
        channels=not_offered("PUBSUB CHANNELS", replies["channels"]) or _channels(connection, replies["channels"]),
    )


def disconnect(connection: RedisConnection, client_id: int) -> bool:
    """Close the connection of one client (`ClientRow.id`); False when it has gone already. Raises redis.RedisError."""
    return bool(_done(connection, (b"CLIENT", b"KILL", b"ID", b"%d" % client_id)))


def empty_slow_log(connection: RedisConnection) -> None:
    """Have the server forget its slow calls. Raises redis.RedisError."""
    _done(connection, (b"SLOWLOG", b"RESET"))


def _done(connection: RedisConnection, command: tuple[bytes, ...]) -> Any:
    [reply] = exchange(connection, [command])
    if isinstance(reply, redis.ResponseError):
        raise reply
    return reply


def not_offered(command: str, reply: Any) -> NotOffered | None:
    """The refusal that an error reply is; None for any other reply."""
    if not isinstance(reply, redis.ResponseError):
        return None
    if isinstance(reply, redis.exceptions.NoPermissionError):
        return NotOffered(command, f"The user that hybrid signs in with may not run {command} on this store.")
    return NotOffered(command, f"This store does not offer {command}.")


# -- replies, pure


def slow_calls(reply: Sequence[Sequence[Any]]) -> tuple[SlowCall, ...]:
    """The entries of SLOWLOG GET, the slowest first."""
    calls = [
        SlowCall(
            id=int(entry[0]),
            at_s=float(entry[1]),
            duration_ms=entry[2] / 1000,
            command=_command_line(entry[3]),
            client=shown(entry[5] or entry[4]) if len(entry) > 5 else "",
        )
        for entry in reply
    ]
    return tuple(sorted(calls, key=lambda call: -call.duration_ms))


def _command_line(words: Sequence[bytes]) -> str:
    line = " ".join(shown(word[:SHOWN_BYTES]) or '""' for word in words)
    return line if len(line) <= SHOWN_BYTES else f"{line[:SHOWN_BYTES]}…"


def _slower_than_ms(reply: Any) -> float | None:
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    micros = int(reply[1])
    return None if micros < 0 else micros / 1000


def commands_in_use(stats: bytes, quantiles: Any) -> tuple[CommandUse, ...]:
    """INFO commandstats, with the quantiles of INFO latencystats where there are some; most time first."""
    known = _fields("latency_percentiles_usec_", quantiles) if isinstance(quantiles, bytes) else {}
    rows = [
        CommandUse(
            name=name.replace("|", " ").upper(),
            calls=int(use["calls"]),
            total_ms=float(use["usec"]) / 1000,
            mean_us=float(use["usec_per_call"]),
            p50_us=_number(known.get(name, {}).get("p50")),
            p99_us=_number(known.get(name, {}).get("p99")),
            failed=int(use.get("failed_calls", 0)),
            rejected=int(use.get("rejected_calls", 0)),
        )
        for name, use in _fields("cmdstat_", stats).items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.total_ms))


def _fields(prefix: str, info: bytes) -> dict[str, dict[str, str]]:
    """Lines like `cmdstat_get:calls=1,usec=2`, by what follows the prefix."""
    lines = re.findall(rf"^{prefix}(.+?):(.*?)\r?$", info.decode(errors="replace"), re.MULTILINE)
    return {name: dict(re.findall(r"([^,=]+)=([^,]*)", values)) for name, values in lines}


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def client_rows(reply: bytes) -> tuple[ClientRow, ...]:
    """The lines of CLIENT LIST, the busiest (least idle) first. Fields that a server leaves out are empty."""
    rows = []
    for line in reply.decode(errors="backslashreplace").splitlines():
        said = dict(part.partition("=")[::2] for part in line.split(" "))
        rows.append(
            ClientRow(
                id=int(said.get("id") or 0),
                name=said.get("name", ""),
                address=said.get("addr", ""),
                user=said.get("user", ""),
                library=" ".join(filter(None, (said.get("lib-name"), said.get("lib-ver")))),
                age_s=int(said.get("age") or 0),
                idle_s=int(said.get("idle") or 0),
                database=int(said.get("db") or 0),
                command=said.get("cmd", "").replace("|", " ").upper().replace("NULL", ""),
                kind=_kind(said.get("flags", "")),
                subscriptions=sum(int(said.get(field) or 0) for field in ("sub", "psub", "ssub")),
                memory_bytes=int(said["tot-mem"]) if said.get("tot-mem", "").isdigit() else None,
            )
        )
    return tuple(sorted(rows, key=lambda row: (row.idle_s, row.id)))


def _kind(flags: str) -> str:
    kinds = {"M": "master", "S": "replica", "O": "monitor", "P": "pub/sub", "b": "blocked", "x": "transaction"}
    return ", ".join(word for flag, word in kinds.items() if flag in flags) or "normal"


def masked_address(address: str) -> str:
    """The address without what tells one person's machine from another's: `10.0.*.*`."""
    host, colon, _port = address.rpartition(":")
    if (host if colon else address).startswith(("127.", "[::1]", "/", "localhost")):
        return address
    parts = host.split(".")
    return ".".join([*parts[:2], "*", "*"]) if len(parts) == 4 else "***"


def _channels(connection: RedisConnection, names: Sequence[bytes]) -> tuple[Channel, ...] | NotOffered:
    names = [name for name in names if not name.startswith(RESERVED)]
    if not names:
        return ()
    (reply,) = exchange(connection, [(b"PUBSUB", b"NUMSUB", *names)])
    if refusal := not_offered("PUBSUB NUMSUB", reply):
        return refusal
    rows = [Channel(shown(name), int(count)) for name, count in zip(reply[::2], reply[1::2], strict=True)]
    return tuple(sorted(rows, key=lambda row: (-row.subscribers, row.name)))
