"""Fingerprints of what keys hold: equal content has equal ones, whichever server computes them and in whatever order.

A fingerprint is a sum over the elements of a value: the SHA-1 of each, cut into three numbers of 48 bits, added up lane
by lane. So a hash table may be walked in any order, a big value in pieces, and a server (in Lua, where 48 bits fit a
number) comes to the same result as this module does. An element that depends on its place carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha1
from typing import Final

from hybrid.core.drift import Facts
from hybrid.core.key_state import Body, Group, Hash, Json, KeyState, List, Set, Stream, String, Unsupported, ZSet
from hybrid.core.state import countless

__all__ = ["PIECE_BYTES", "Fingerprint", "elements_of", "facts_of", "group_elements"]

PIECE_BYTES: Final = 16 * 1024
"""A string's elements are its pieces of this size."""

DELIVERY_BUCKET_MS: Final = 60_000
"""Delivery times of pending entries count by the minute: servers keep them with their own clocks."""

_LANE: Final = 2**48 - 1


class Fingerprint:
    """A sum that grows element by element; `count` is how many were added."""

    __slots__ = ("_lanes", "count")

    def __init__(self) -> None:
        self._lanes = (0, 0, 0)
        self.count = 0

    def add(self, elements: Iterable[bytes]) -> Fingerprint:
        one, two, three = self._lanes
        for element in elements:
            digest = int.from_bytes(sha1(element, usedforsecurity=False).digest()[:18])
            one, two, three = one + (digest >> 96), two + (digest >> 48 & _LANE), three + (digest & _LANE)
            self.count += 1
        self._lanes = (one & _LANE, two & _LANE, three & _LANE)
        return self

    def add_lanes(self, text: bytes, count: int) -> None:
        """The sum of a piece as the script on the server writes it: three numbers with points between."""
        one, two, three = map(int, text.split(b"."))
        before = self._lanes
        self._lanes = ((before[0] + one) & _LANE, (before[1] + two) & _LANE, (before[2] + three) & _LANE)
        self.count += count

    @property
    def value(self) -> bytes:
        """18 bytes; empty when nothing was added."""
        return b"".join(lane.to_bytes(6) for lane in self._lanes) if self.count else b""

    @classmethod
    def of_lanes(cls, text: bytes) -> bytes:
        """The value of one script's sum; empty for `-`."""
        if text == b"-":
            return b""
        return b"".join(int(lane).to_bytes(6) for lane in text.split(b"."))


def facts_of(state: KeyState, *, counted: bool = True) -> Facts:
    """The facts of a state that was read. `counted`: both servers keep stream counters, so they are compared."""
    groups = b""
    if isinstance(state.body, Stream):
        groups = Fingerprint().add(group_elements(state.body.groups, counted=counted)).value
    fingerprint = Fingerprint().add(elements_of(state.body, counted)).value
    return Facts(state.kind, fingerprint, state.expires_at_ms, state.size_bytes, groups)


def elements_of(body: Body, counted: bool) -> Iterator[bytes]:
    """What the fingerprint of a body is the sum of."""
    match body:
        case String(value=value):
            yield from string_elements(countless(value))
        case Hash():
            for name, text in body.fields.items():
                yield b"%d:%b%b" % (len(name), name, text)
            for name, moment_ms in body.field_expires_at_ms.items():
                yield b"#%d:%b" % (moment_ms, name)
        case List(items=items):
            for index, item in enumerate(items):
                yield b"%d:%b" % (index, item)
        case Set(members=members):
            yield from members
        case ZSet(scores=scores):
            for member, score in scores.items():
                yield b"%.17g:%b" % (float(score) + 0.0, member)
        case Stream():
            yield from stream_elements(body, counted)
        case Json(text=text):
            yield text
        case Unsupported():
            yield b"?"


def string_elements(value: bytes) -> Iterator[bytes]:
    for offset in range(0, len(value) or 1, PIECE_BYTES):
        yield b"%d:%b" % (offset, value[offset : offset + PIECE_BYTES])


def stream_elements(stream: Stream, counted: bool) -> Iterator[bytes]:
    for entry_id, fields in stream.entries:
        yield entry_id + b"".join(b":%d:%b" % (len(part), part) for part in fields)
    yield b"last:" + stream.last_id
    if counted:
        yield b"added:%d" % (stream.entries_added or 0)
        yield b"deleted:" + (stream.max_deleted_id or b"")


def group_elements(groups: Mapping[bytes, Group], *, counted: bool = True) -> Iterator[bytes]:
    """The elements of a stream's consumer groups."""
    for name, group in groups.items():
        read = b"%d" % group.entries_read if counted and group.entries_read is not None else b"-"
        yield b"g%d:%b%b:%b" % (len(name), name, group.last_delivered_id, read)
        for consumer in group.consumers:
            yield b"c%d:%b%b" % (len(name), name, consumer)
        for pending in group.pending:
            facts = (pending.entry_id, pending.delivery_count, pending.delivered_at_ms // DELIVERY_BUCKET_MS)
            yield b"p%d:%b%b:%d:%d:" % (len(name), name, *facts) + pending.consumer
