"""One key made of both stores' values, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from hybrid.core.field_diff import FieldDifference, Part
from hybrid.core.key_state import Hash, KeyState, Set, ZSet

__all__ = ["MERGED_PARTS", "merged_state"]

V = TypeVar("V")

MERGED_PARTS: Final = frozenset({Part.TTL, Part.FIELD, Part.FIELD_TTL, Part.MEMBER, Part.SCORE})
"""Places that stand for themselves. Of a text, a list, a stream or a document one store's whole value is taken: half of
an order or of a document is nobody's value."""


def merged_state(base: KeyState, other: KeyState, taken: Iterable[FieldDifference]) -> KeyState | None:
    """`base` with the places `taken` as `other` has them; None when nothing is left of it. Both are of one type.

    Raises ValueError for a place that cannot be taken alone.
    """
    state = base
    for place in taken:
        if place.part not in MERGED_PARTS:
            raise ValueError(f"a {place.part} cannot be taken alone")
        state = _with(state, other, place)
    return state if state.element_count else None


def _with(state: KeyState, other: KeyState, place: FieldDifference) -> KeyState:
    name = place.name
    if place.part is Part.TTL:
        return replace(state, expires_at_ms=other.expires_at_ms)
    match state.body, other.body:
        case Hash(fields, times), Hash(other_fields, other_times):
            if place.part is Part.FIELD:
                fields = _taken(fields, other_fields, name)
            return replace(state, body=Hash(fields, _taken(times, other_times, name)))
        case Set(members), Set(other_members):
            chosen = members | {name} if name in other_members else members - {name}
            return replace(state, body=Set(chosen))
        case ZSet(scores), ZSet(other_scores):
            return replace(state, body=ZSet(_taken(scores, other_scores, name)))
        case _:
            raise ValueError(f"a {place.part} cannot be taken alone from a {state.kind}")


def _taken(mine: Mapping[bytes, V], other: Mapping[bytes, V], name: bytes) -> dict[bytes, V]:
    """`mine` with what `other` has under `name`, which may be nothing."""
    kept = {key: value for key, value in mine.items() if key != name}
    return {**kept, name: other[name]} if name in other else kept
