"""One key on one store: what is cheap to know of it, whatever its size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import redis

from hybrid.core.state_replies import expiry_ms, pairs
from hybrid.ops.diff.line import Line
from hybrid.ops.diff.readers import kind_name
from hybrid.ops.keys.lines import Lines
from hybrid.ops.keys.rows import LENGTHS, length_in
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.exchange import exchange
from hybrid.types import Store

__all__ = ["GroupInfo", "KeyInfo", "PendingInfo", "read_groups", "read_info"]

MOST_GROUPS: Final = 50
MOST_PENDING: Final = 100


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key of one store. `length` counts bytes of a string, else elements; None is "the server does not say"."""

    kind: str
    expires_at_ms: int | None
    encoding: str | None
    memory_bytes: int | None
    length: int | None


@dataclass(frozen=True, slots=True)
class PendingInfo:
    """An entry delivered and not acknowledged."""

    entry_id: bytes
    consumer: bytes
    idle_ms: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A consumer group of a stream; `pending` are its first 100 entries of `pending_count`."""

    name: bytes
    last_delivered_id: bytes
    lag: int | None
    consumers: tuple[bytes, ...]
    pending_count: int
    pending: tuple[PendingInfo, ...]


def read_info(lines: Lines, store: Store, key: bytes, guess: str | None = None) -> KeyInfo | None:
    """The facts, in six commands; None when the store lacks the key. One round trip if `guess` is its type, else two.

    Raises StoreUnavailable, HybridError.
    """
    return lines.run(store, lambda line: info(line, key, guess))


def info(line: Line, key: bytes, guess: str | None = None) -> KeyInfo | None:
    can = capabilities_of(line)
    name = b"PEXPIRETIME" if can.has_pexpiretime else b"PTTL"
    asked = [(b"TYPE", key), (name, key), (b"OBJECT", b"ENCODING", key), (b"MEMORY", b"USAGE", key), (b"TIME",)]
    guessed = LENGTHS.get(guess or "")
    kind, moment, encoding, memory, clock, *lengths = exchange(line, [*asked, *([(guessed, key)] if guessed else [])])
    for reply in (kind, moment, clock):
        if isinstance(reply, redis.ResponseError):
            raise reply
    if kind == b"none":
        return None
    shown = kind_name(kind)
    if shown != guess:
        lengths = exchange(line, [(LENGTHS[shown], key)]) if shown in LENGTHS else []
    [length] = lengths or [None]
    return KeyInfo(
        shown,
        expiry_ms(moment, None if can.has_pexpiretime else clock),
        encoding.decode() if isinstance(encoding, bytes) else None,
        memory if isinstance(memory, int) else None,
        length_in(length),
    )


def read_groups(lines: Lines, store: Store, key: bytes) -> tuple[GroupInfo, ...]:
    """A stream's consumer groups, the first 50: one command and two more for each. Raises as `read_info`."""
    return lines.run(store, lambda line: groups(line, key))


def groups(line: Line, key: bytes) -> tuple[GroupInfo, ...]:
    [reply] = line.ask((b"XINFO", b"GROUPS", key))
    about = [pairs(group) for group in reply[:MOST_GROUPS]]
    asked: list[tuple[bytes, ...]] = []
    for group in about:
        asked.append((b"XINFO", b"CONSUMERS", key, group[b"name"]))
        asked.append((b"XPENDING", key, group[b"name"], b"-", b"+", b"%d" % MOST_PENDING))
    replies = line.ask(*asked) if asked else []
    return tuple(
        group_info(group, consumers, pending)
        for group, consumers, pending in zip(about, replies[::2], replies[1::2], strict=True)
    )


def group_info(group: dict[bytes, Any], consumers: list[Any], pending: list[Any]) -> GroupInfo:
    names = tuple(pairs(consumer)[b"name"] for consumer in consumers)
    waiting = tuple(PendingInfo(*entry) for entry in pending)
    return GroupInfo(
        group[b"name"], group[b"last-delivered-id"], group.get(b"lag"), names, int(group[b"pending"]), waiting
    )
