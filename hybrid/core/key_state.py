"""The typed state of one key: what a copy carries and a comparison compares. Import it from `hybrid.core.state`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias, final

__all__ = [
    "ABSENT",
    "Absent",
    "Body",
    "Group",
    "Hash",
    "Json",
    "KeyState",
    "List",
    "Pending",
    "Set",
    "Stream",
    "String",
    "Unsupported",
    "ZSet",
    "id_order",
]


@final
@dataclass(frozen=True, slots=True)
class Absent:
    """The key does not exist. Compare with `ABSENT`, or by `isinstance`."""


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class String:
    """Also bitmaps, bit fields and HyperLogLogs: they are strings to the server."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Hash:
    """`field_expires_at_ms` holds only the fields that expire, in Unix milliseconds."""

    fields: Mapping[bytes, bytes]
    field_expires_at_ms: Mapping[bytes, int]


@dataclass(frozen=True, slots=True)
class List:
    items: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Set:
    members: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class ZSet:
    """Member to the text of its score as the server wrote it (Redis 7.0: 0.10000000000000001, Valkey 9: 0.1)."""

    scores: Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry delivered to `consumer` and not acknowledged; the entry itself may be deleted from the stream."""

    entry_id: bytes
    consumer: bytes
    delivered_at_ms: int
    delivery_count: int


@dataclass(frozen=True, slots=True)
class Group:
    """`entries_read` is None where the server does not know it; `consumers` includes those with nothing pending."""

    last_delivered_id: bytes
    entries_read: int | None
    consumers: frozenset[bytes]
    pending: tuple[Pending, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """`entries` are (id, (field, value, field, value, ...)). The two counters are None on servers before Redis 7."""

    entries: tuple[tuple[bytes, tuple[bytes, ...]], ...]
    last_id: bytes
    entries_added: int | None
    max_deleted_id: bytes | None
    groups: Mapping[bytes, Group]


@dataclass(frozen=True, slots=True)
class Json:
    """The whole document as the server writes it."""

    text: bytes


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A module's type that has no typed copy.

    `dump` is what DUMP gives, which a server with the same module may read; None where it gives nothing. `plan_put`
    refuses a body without, and it is equal to nothing."""

    dump: bytes | None = None


Body: TypeAlias = String | Hash | List | Set | ZSet | Stream | Json | Unsupported


@dataclass(frozen=True, slots=True)
class KeyState:
    """One existing key. `kind` is the server's TYPE ("json" for documents).

    `expires_at_ms` is in Unix milliseconds, None when the key does not expire.
    """

    kind: str
    expires_at_ms: int | None
    body: Body

    @property
    def size_bytes(self) -> int:
        """Payload without the server's overhead."""
        return payload_bytes(self.body)

    @property
    def has_number(self) -> bool:
        """Whether there is something in it that commands count up."""
        match self.body:
            case String(value=value):
                return _is_number(value)
            case Hash(fields=fields):
                return any(map(_is_number, fields.values()))
            case ZSet() | Json():
                return True
            case _:
                return False

    @property
    def element_count(self) -> int:
        """Fields, items, members or entries; 1 for a string or a document."""
        match self.body:
            case Hash(fields=elements) | ZSet(scores=elements):
                return len(elements)
            case List(items=items):
                return len(items)
            case Set(members=members):
                return len(members)
            case Stream(entries=entries):
                return len(entries)
            case _:
                return 1


def payload_bytes(body: Body) -> int:
    match body:
        case String(value=text) | Json(text=text):
            return len(text)
        case Hash(fields=pairs) | ZSet(scores=pairs):
            return sum(map(len, pairs)) + sum(map(len, pairs.values()))
        case List(items=elements):
            return sum(map(len, elements))
        case Set(members=members):
            return sum(map(len, members))
        case Stream(entries=entries):
            return sum(len(entry_id) + sum(map(len, fields)) for entry_id, fields in entries)
        case Unsupported():
            return 0


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def id_order(entry_id: bytes) -> tuple[int, int]:
    """A stream id as numbers, so that ids compare in stream order."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or 0)
