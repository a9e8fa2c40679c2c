"""From a server's replies to the state of a key: the shapes of RESP2 and RESP3, of old and new servers end here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from hybrid.core.authority import Position, position
from hybrid.core.key_state import Body, Group, Hash, Json, List, Pending, Set, Stream, String, ZSet

__all__ = [
    "GONE",
    "JSON_KINDS",
    "Reply",
    "body_of",
    "expiry_ms",
    "group_of",
    "hash_of",
    "log_position",
    "now_ms",
    "pairs",
    "place_in",
    "scores_of",
    "stream_of",
    "stream_with",
]

Reply: TypeAlias = Any
JSON_KINDS = frozenset({b"ReJSON-RL", b"json"})
GONE = -2
"""What PEXPIRETIME and PTTL say of no key, and HPEXPIRETIME of no field."""


def body_of(kind: bytes, reply: Reply) -> Body | None:
    """What a whole read of a key of this TYPE says (see `hybrid.replication.copy`); None when the key is not there."""
    if kind == b"string":
        return None if reply is None else String(reply)
    if kind == b"hash":
        return Hash(pairs(reply), {}) if reply else None
    if kind == b"list":
        return List(tuple(reply)) if reply else None
    if kind == b"set":
        return Set(frozenset(reply)) if reply else None
    if kind == b"zset":
        return ZSet(scores_of(reply)) if reply else None
    if kind == b"stream":
        return stream_of(pairs(reply))
    return None if reply is None else Json(reply)


def pairs(reply: Reply) -> dict[bytes, Any]:
    """A map: RESP3 sends one, RESP2 a flat list."""
    if isinstance(reply, Mapping):
        return dict(reply)
    return dict(zip(reply[::2], reply[1::2], strict=True))


def scores_of(reply: Reply) -> dict[bytes, bytes]:
    """Members with scores: RESP2 sends a flat list of texts (ZSCAN always does), RESP3 pairs with numbers."""
    if reply and isinstance(reply[0], (list, tuple)):
        return {member: b"%.17g" % score for member, score in reply}
    return pairs(reply)


def hash_of(reply: Reply) -> Hash | None:
    """Out of [fields and values] or, when some field expires, [fields and values, moment of each field]. One without a
    moment, because it was just over (-2), would never expire if it were kept."""
    fields = pairs(reply[0])
    moments = dict(zip(fields, reply[1], strict=True)) if len(reply) > 1 else {}
    fields = {field: value for field, value in fields.items() if moments.get(field) != GONE}
    return Hash(fields, {field: moment for field, moment in moments.items() if moment >= 0}) if fields else None


def expiry_ms(reply: Reply, time_reply: Reply) -> int | None:
    """Out of PEXPIRETIME, or of PTTL and TIME on servers that have no other way. None for no expiry and for no key."""
    if isinstance(reply, Exception):
        raise reply
    if reply < 0:
        return None
    return int(reply) if time_reply is None else now_ms(time_reply) + int(reply)


def now_ms(time_reply: Reply) -> int:
    seconds, microseconds = map(int, time_reply)
    return seconds * 1000 + microseconds // 1000


def log_position(reply: Reply) -> bytes:
    """The last id of the log out of XINFO STREAM; b"0-0" when there is no log."""
    if isinstance(reply, Exception):
        if "no such key" not in str(reply).lower():
            raise reply
        return b"0-0"
    return bytes(pairs(reply)[b"last-generated-id"])


def place_in(reply: Reply) -> Position:
    """Where a log ends that XINFO STREAM describes so; (0, 0) where there is none."""
    return position(log_position(reply))


def stream_of(info: Mapping[bytes, Any]) -> Stream:
    """Out of XINFO STREAM FULL COUNT 0."""
    groups = {}
    for group in map(pairs, info[b"groups"]):
        pending = (Pending(entry_id, owner, at_ms, count) for entry_id, owner, at_ms, count in group[b"pending"])
        groups[group[b"name"]] = group_of(group, group[b"consumers"], pending)
    return stream_with(info, info[b"entries"], groups)


def stream_with(info: Mapping[bytes, Any], entries: Iterable[Reply], groups: Mapping[bytes, Group]) -> Stream:
    """`entries` as XRANGE gives them."""
    return Stream(
        entries=tuple((entry_id, tuple(fields)) for entry_id, fields in entries),
        last_id=info[b"last-generated-id"],
        entries_added=info.get(b"entries-added"),
        max_deleted_id=info.get(b"max-deleted-entry-id"),
        groups=groups,
    )


def group_of(group: Mapping[bytes, Any], consumers: Iterable[Reply], pending: Iterable[Pending]) -> Group:
    return Group(
        last_delivered_id=group[b"last-delivered-id"],
        entries_read=group.get(b"entries-read"),
        consumers=frozenset(pairs(consumer)[b"name"] for consumer in consumers),
        pending=tuple(sorted(pending, key=lambda entry: entry.entry_id)),
    )
