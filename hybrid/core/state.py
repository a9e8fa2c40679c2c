"""The state of one key, as a value: read it from one store, compare it, plan the commands that put it on another.

Reading is I/O and lives in `hybrid.replication.copy`; everything here is pure.
"""

from __future__ import annotations

import json
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from hybrid.core.key_state import (
    ABSENT,
    Absent,
    Body,
    Group,
    Hash,
    Json,
    KeyState,
    List,
    Pending,
    Set,
    Stream,
    String,
    Unsupported,
    ZSet,
)
from hybrid.core.put_plan import check_field_ttl, plan_put

__all__ = [
    "ABSENT",
    "Absent",
    "Body",
    "Finding",
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
    "check_field_ttl",
    "differences",
    "findings",
    "plan_put",
]

TTL_TOLERANCE_MS = 1000
END_OF_CALENDAR_MS = 253_402_300_800_000  # the year 10,000
DELIVERY_TOLERANCE_MS = 60_000  # XCLAIM TIME never sets a future time, so a target whose clock is behind moves it


class Finding(NamedTuple):
    """One cause why two states differ, with the first place where they do, as each side has it."""

    cause: str
    here: str
    there: str


def differences(a: KeyState, b: KeyState, *, ttl_tolerance_ms: int = TTL_TOLERANCE_MS) -> tuple[str, ...]:
    """Why the two differ, each cause once; empty when they are equal.

    Causes: type, value, fields, field ttl, items, order, members, scores, stream entries, stream last id,
    stream counters, stream group, stream consumer, stream pending, ttl, unsupported type.

    Equal are: scores of the same number however written, expiries within `ttl_tolerance_ms`, delivery times of pending
    entries within a minute, JSON documents of the same content, modules' types of the same dump, counters that one
    server does not keep.
    """
    return tuple(dict.fromkeys(finding.cause for finding in findings(a, b, ttl_tolerance_ms=ttl_tolerance_ms)))


def findings(a: KeyState, b: KeyState, *, ttl_tolerance_ms: int = TTL_TOLERANCE_MS) -> Iterator[Finding]:
    """As `differences`, with an example of each side for every cause."""
    if a.kind != b.kind:
        yield Finding("type", a.kind, b.kind)
    else:
        yield from body_findings(a.body, b.body, ttl_tolerance_ms)
    if not same_moment(a.expires_at_ms, b.expires_at_ms, ttl_tolerance_ms):
        yield Finding("ttl", moment_text(a.expires_at_ms), moment_text(b.expires_at_ms))


def body_findings(a: Body, b: Body, tolerance_ms: int) -> Iterator[Finding]:
    match a, b:
        case String(), String():
            if countless(a.value) != countless(b.value):
                yield Finding("value", text(a.value), text(b.value))
        case Hash(), Hash():
            yield from mapping_findings("fields", a.fields, b.fields)
            yield from field_ttl_findings(a, b, tolerance_ms)
        case List(), List():
            yield from list_findings(a.items, b.items)
        case Set(), Set():
            yield from set_findings("members", a.members, b.members)
        case ZSet(), ZSet():
            yield from zset_findings(a.scores, b.scores)
        case Stream(), Stream():
            yield from stream_findings(a, b)
        case Json(), Json():
            if canonical(a) != canonical(b):
                yield Finding("value", text(a.text), text(b.text))
        case Unsupported(dump=here), Unsupported(dump=there) if here is not None and here == there:
            pass
        case _:
            yield Finding("unsupported type", type(a).__name__, type(b).__name__)


def countless(value: bytes) -> bytes:
    """A HyperLogLog without the count that PFCOUNT caches in it, on the one store that was asked; else the value."""
    return value[:8] + value[16:] if value.startswith(b"HYLL") else value


def mapping_findings(cause: str, a: Mapping[bytes, bytes], b: Mapping[bytes, bytes]) -> Iterator[Finding]:
    if a != b:
        name = min(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
        yield Finding(cause, f"{text(name)} = {text(a.get(name))}", f"{text(name)} = {text(b.get(name))}")


def field_ttl_findings(a: Hash, b: Hash, tolerance_ms: int) -> Iterator[Finding]:
    here, there = a.field_expires_at_ms, b.field_expires_at_ms
    # a field that only one side has is already a finding of its own
    for field in sorted((here.keys() | there.keys()) & a.fields.keys() & b.fields.keys()):
        if not same_moment(here.get(field), there.get(field), tolerance_ms):
            moment_a, moment_b = (f"{text(field)} {moment_text(side.get(field))}" for side in (here, there))
            yield Finding("field ttl", moment_a, moment_b)
            return


def list_findings(a: tuple[bytes, ...], b: tuple[bytes, ...]) -> Iterator[Finding]:
    if a == b:
        return
    index = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    cause = "order" if len(a) == len(b) and Counter(a) == Counter(b) else "items"
    yield Finding(cause, item_text(a, index), item_text(b, index))


def set_findings(cause: str, a: frozenset[bytes], b: frozenset[bytes]) -> Iterator[Finding]:
    if a != b:
        member = min(a ^ b)
        yield Finding(cause, text(member if member in a else None), text(member if member in b else None))


def zset_findings(a: Mapping[bytes, bytes], b: Mapping[bytes, bytes]) -> Iterator[Finding]:
    if a == b:
        return
    yield from set_findings("members", frozenset(a), frozenset(b))
    for member in sorted(a.keys() & b.keys()):
        if a[member] != b[member] and float(a[member]) != float(b[member]):
            yield Finding("scores", f"{text(member)} {a[member].decode()}", f"{text(member)} {b[member].decode()}")
            return


def stream_findings(a: Stream, b: Stream) -> Iterator[Finding]:
    if a.entries != b.entries:
        index = next(
            (i for i, (x, y) in enumerate(zip(a.entries, b.entries, strict=False)) if x != y),
            min(len(a.entries), len(b.entries)),
        )
        yield Finding("stream entries", entry_text(a, index), entry_text(b, index))
    if a.last_id != b.last_id:
        yield Finding("stream last id", text(a.last_id), text(b.last_id))
    counted = None not in (a.entries_added, b.entries_added)
    counters_a, counters_b = (a.entries_added, a.max_deleted_id), (b.entries_added, b.max_deleted_id)
    if counted and counters_a != counters_b:
        yield Finding("stream counters", str(counters_a), str(counters_b))
    for name in sorted(a.groups.keys() | b.groups.keys()):
        here, there = a.groups.get(name), b.groups.get(name)
        if here is None or there is None:
            yield Finding("stream group", text(name if here else None), text(name if there else None))
        else:
            yield from group_findings(text(name), here, there, counted)


def group_findings(name: str, a: Group, b: Group, counted: bool) -> Iterator[Finding]:
    read_a, read_b = (a.entries_read, b.entries_read) if counted else (None, None)
    position_a, position_b = (a.last_delivered_id, read_a), (b.last_delivered_id, read_b)
    if position_a != position_b:
        yield Finding("stream group", f"{name} at {position_a}", f"{name} at {position_b}")
    yield from set_findings("stream consumer", a.consumers, b.consumers)
    here, there = ({p.entry_id: p for p in group.pending} for group in (a, b))
    for entry_id in sorted(here.keys() | there.keys()):
        if not same_delivery(here.get(entry_id), there.get(entry_id)):
            yield Finding("stream pending", f"{name} {here.get(entry_id)}", f"{name} {there.get(entry_id)}")
            return


def same_delivery(a: Pending | None, b: Pending | None) -> bool:
    if a is None or b is None:
        return a is b
    close = abs(a.delivered_at_ms - b.delivered_at_ms) <= DELIVERY_TOLERANCE_MS
    return close and (a.consumer, a.delivery_count) == (b.consumer, b.delivery_count)


def same_moment(a: int | None, b: int | None, tolerance_ms: int) -> bool:
    if a is None or b is None:
        return a is b
    return abs(a - b) <= tolerance_ms


def canonical(document: Json) -> str:
    """One text per content: servers may order members and place blanks differently."""
    return json.dumps(json.loads(document.text), sort_keys=True)


def text(value: bytes | None, limit: int = 60) -> str:
    """A value for a person to read: shortened, and absent when there is none."""
    if value is None:
        return "absent"
    head = value[:limit]
    try:
        words = repr(getincrementaldecoder("utf-8")().decode(head, final=len(value) <= limit))
    except UnicodeDecodeError:
        words = repr(head)
    return words if len(value) <= limit else f"{words}... ({len(value)} bytes)"


def moment_text(moment_ms: int | None) -> str:
    if moment_ms is None:
        return "no expiry"
    if moment_ms >= END_OF_CALENDAR_MS:
        return f"expires at {moment_ms} ms"
    return f"expires {datetime.fromtimestamp(moment_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def item_text(items: tuple[bytes, ...], index: int) -> str:
    return f"{len(items)} items, [{index}] = {text(items[index] if index < len(items) else None)}"


def entry_text(stream: Stream, index: int) -> str:
    if index >= len(stream.entries):
        return f"{len(stream.entries)} entries"
    entry_id, fields = stream.entries[index]
    return f"{len(stream.entries)} entries, {entry_id.decode()} {fields!r:.80}"
