"""The differences within one key: which fields, positions, members, entries, paths, lines or bytes differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any, Final

from hybrid.core.key_state import Absent, Body, Group, Hash, Json, KeyState, List, Pending, Set, Stream, String, ZSet
from hybrid.core.state import TTL_TOLERANCE_MS, countless, same_delivery, same_moment

__all__ = ["FieldDifference", "Part", "field_differences"]

MOST_LINES: Final = 5000
RUN_BYTES: Final = 16
"""Differing bytes closer to each other than this count as one run."""


class Part(StrEnum):
    """What kind of place differs."""

    KEY = "key"
    TYPE = "type"
    TTL = "ttl"
    FIELD = "field"
    FIELD_TTL = "field ttl"
    ITEM = "item"
    MEMBER = "member"
    SCORE = "score"
    ENTRY = "entry"
    STREAM = "stream"
    GROUP = "group"
    CONSUMER = "consumer"
    PENDING = "pending"
    PATH = "path"
    LINE = "line"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One place in which the two sides differ. `name` is the field, index, member, entry id, group, JSON path, line
    number (from 1) or byte offset; None stands for what a side does not have."""

    part: Part
    name: bytes
    local: bytes | None
    cloud: bytes | None


def field_differences(
    local: KeyState | Absent, cloud: KeyState | Absent, *, ttl_tolerance_ms: int = TTL_TOLERANCE_MS
) -> Iterator[FieldDifference]:
    """Every place in which two states of a key differ, in order. What counts as equal is said at
    `hybrid.core.state.differences`."""
    if isinstance(local, Absent) or isinstance(cloud, Absent):
        if local != cloud:
            yield FieldDifference(Part.KEY, b"", kind_of(local), kind_of(cloud))
        return
    if local.kind != cloud.kind:
        yield FieldDifference(Part.TYPE, b"", local.kind.encode(), cloud.kind.encode())
    else:
        yield from body_differences(local.body, cloud.body, ttl_tolerance_ms)
    if not same_moment(local.expires_at_ms, cloud.expires_at_ms, ttl_tolerance_ms):
        yield FieldDifference(Part.TTL, b"", moment(local.expires_at_ms), moment(cloud.expires_at_ms))


def kind_of(state: KeyState | Absent) -> bytes | None:
    return state.kind.encode() if isinstance(state, KeyState) else None


def moment(moment_ms: int | None) -> bytes | None:
    return None if moment_ms is None else b"%d" % moment_ms


def body_differences(local: Body, cloud: Body, tolerance_ms: int) -> Iterator[FieldDifference]:
    match local, cloud:
        case String(), String():
            yield from text_differences(countless(local.value), countless(cloud.value))
        case Json(), Json():
            yield from path_differences(json.loads(local.text), json.loads(cloud.text))
        case Hash(), Hash():
            yield from mapping_differences(Part.FIELD, local.fields, cloud.fields)
            yield from field_ttl_differences(local, cloud, tolerance_ms)
        case List(), List():
            yield from item_differences(local.items, cloud.items)
        case Set(), Set():
            members = {member: member for member in local.members}, {member: member for member in cloud.members}
            yield from mapping_differences(Part.MEMBER, *members)
        case ZSet(), ZSet():
            yield from score_differences(local.scores, cloud.scores)
        case Stream(), Stream():
            yield from stream_differences(local, cloud)
        case _:
            yield FieldDifference(Part.KEY, b"", b"cannot be read", b"cannot be read")


def mapping_differences(
    part: Part, local: Mapping[bytes, bytes], cloud: Mapping[bytes, bytes]
) -> Iterator[FieldDifference]:
    for name in sorted(local.keys() | cloud.keys()):
        if local.get(name) != cloud.get(name):
            yield FieldDifference(part, name, local.get(name), cloud.get(name))


def field_ttl_differences(local: Hash, cloud: Hash, tolerance_ms: int) -> Iterator[FieldDifference]:
    here, there = local.field_expires_at_ms, cloud.field_expires_at_ms
    for name in sorted((here.keys() | there.keys()) & local.fields.keys() & cloud.fields.keys()):
        if not same_moment(here.get(name), there.get(name), tolerance_ms):
            yield FieldDifference(Part.FIELD_TTL, name, moment(here.get(name)), moment(there.get(name)))


def item_differences(local: tuple[bytes, ...], cloud: tuple[bytes, ...]) -> Iterator[FieldDifference]:
    for index in range(max(len(local), len(cloud))):
        here, there = (side[index] if index < len(side) else None for side in (local, cloud))
        if here != there:
            yield FieldDifference(Part.ITEM, b"%d" % index, here, there)


def score_differences(local: Mapping[bytes, bytes], cloud: Mapping[bytes, bytes]) -> Iterator[FieldDifference]:
    for member in sorted(local.keys() | cloud.keys()):
        here, there = local.get(member), cloud.get(member)
        if here is None or there is None:
            yield FieldDifference(Part.MEMBER, member, here, there)
        elif here != there and float(here) != float(there):
            yield FieldDifference(Part.SCORE, member, here, there)


def stream_differences(local: Stream, cloud: Stream) -> Iterator[FieldDifference]:
    here, there = ({entry_id: b" ".join(fields) for entry_id, fields in side.entries} for side in (local, cloud))
    yield from mapping_differences(Part.ENTRY, here, there)
    facts = [("last id", local.last_id, cloud.last_id)]
    if None not in (local.entries_added, cloud.entries_added):
        facts.append(("entries added", b"%d" % (local.entries_added or 0), b"%d" % (cloud.entries_added or 0)))
    if None not in (local.max_deleted_id, cloud.max_deleted_id):
        facts.append(("max deleted id", local.max_deleted_id or b"", cloud.max_deleted_id or b""))
    for name, mine, other in facts:
        if mine != other:
            yield FieldDifference(Part.STREAM, name.encode(), mine, other)
    counted = len(facts) > 1
    for group in sorted(local.groups.keys() | cloud.groups.keys()):
        yield from group_differences(group, local.groups.get(group), cloud.groups.get(group), counted)


def group_differences(
    name: bytes, local: Group | None, cloud: Group | None, counted: bool
) -> Iterator[FieldDifference]:
    here, there = group_text(local, counted), group_text(cloud, counted)
    if here != there:
        yield FieldDifference(Part.GROUP, name, here, there)
    if local is None or cloud is None:
        return
    consumers = {owner: owner for owner in local.consumers}, {owner: owner for owner in cloud.consumers}
    for difference in mapping_differences(Part.CONSUMER, *consumers):
        yield FieldDifference(Part.CONSUMER, name + b" " + difference.name, difference.local, difference.cloud)
    mine, other = ({entry.entry_id: entry for entry in group.pending} for group in (local, cloud))
    for entry_id in sorted(mine.keys() | other.keys()):
        if not same_delivery(mine.get(entry_id), other.get(entry_id)):
            texts = pending_text(mine.get(entry_id)), pending_text(other.get(entry_id))
            yield FieldDifference(Part.PENDING, name + b" " + entry_id, *texts)


def group_text(group: Group | None, counted: bool) -> bytes | None:
    if group is None:
        return None
    read = b"" if group.entries_read is None or not counted else b", %d read" % group.entries_read
    return b"at " + group.last_delivered_id + read


def pending_text(entry: Pending | None) -> bytes | None:
    if entry is None:
        return None
    return b"%b, delivered %d times, last at %d" % (entry.consumer, entry.delivery_count, entry.delivered_at_ms)


def text_differences(local: bytes, cloud: bytes) -> Iterator[FieldDifference]:
    """By JSON path or by line where both are such texts, else by offset."""
    if local == cloud:
        return
    documents = document_of(local), document_of(cloud)
    if None not in documents and documents[0] != documents[1]:
        yield from path_differences(*documents)
        return
    try:
        lines = [side.decode().splitlines(keepends=True) for side in (local, cloud)]
    except UnicodeDecodeError:
        lines = []
    if lines and max(map(len, lines)) in range(2, MOST_LINES):
        yield from line_differences(*lines)
    else:
        yield from byte_differences(local, cloud)


def document_of(value: bytes) -> Any | None:
    """The JSON document that a string holds; None for anything else, also for a mere number or word."""
    if not value.lstrip().startswith((b"{", b"[")):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


_MISSING: Final = object()


def path_differences(local: Any, cloud: Any, path: str = "$") -> Iterator[FieldDifference]:
    if isinstance(local, dict) and isinstance(cloud, dict):
        for name in sorted(local.keys() | cloud.keys()):
            yield from path_differences(
                local.get(name, _MISSING), cloud.get(name, _MISSING), f"{path}[{json.dumps(name)}]"
            )
    elif isinstance(local, list) and isinstance(cloud, list):
        for index in range(max(len(local), len(cloud))):
            here, there = (side[index] if index < len(side) else _MISSING for side in (local, cloud))
            yield from path_differences(here, there, f"{path}[{index}]")
    elif local is _MISSING or cloud is _MISSING or json.dumps(local) != json.dumps(cloud):
        yield FieldDifference(Part.PATH, path.encode(), document_text(local), document_text(cloud))


def document_text(value: Any) -> bytes | None:
    return None if value is _MISSING else json.dumps(value, ensure_ascii=False).encode()


def line_differences(local: list[str], cloud: list[str]) -> Iterator[FieldDifference]:
    """Runs of lines, named by where they begin on the local side."""
    for tag, start, end, cloud_start, cloud_end in SequenceMatcher(None, local, cloud, autojunk=False).get_opcodes():
        if tag != "equal":
            mine, other = "".join(local[start:end]).encode(), "".join(cloud[cloud_start:cloud_end]).encode()
            yield FieldDifference(Part.LINE, b"%d" % (start + 1), mine or None, other or None)


def byte_differences(local: bytes, cloud: bytes) -> Iterator[FieldDifference]:
    """Runs of bytes, named by their offset; equal stretches are stepped over by the block."""
    length, offset, block = max(len(local), len(cloud)), 0, 4096
    while offset < length:
        if local[offset : offset + block] == cloud[offset : offset + block]:
            offset += block
        elif block > 1 and local[offset : offset + 64] == cloud[offset : offset + 64]:
            offset += 64
        else:
            while local[offset : offset + 1] == cloud[offset : offset + 1]:
                offset += 1
            end = end_of_run(local, cloud, offset, length)
            yield FieldDifference(Part.BYTES, b"%d" % offset, local[offset:end] or None, cloud[offset:end] or None)
            offset = end


def end_of_run(local: bytes, cloud: bytes, start: int, length: int) -> int:
    """Where the differing bytes end, that is where a stretch of equal ones begins."""
    end = start + 1
    while end < length and local[end : end + RUN_BYTES] != cloud[end : end + RUN_BYTES]:
        end += 1
    return end
