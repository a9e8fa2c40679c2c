"""Of commands that may have reached another store already, those that have not, told from what both stores hold.

A key's entries reach the other store in their order, one by one or as a copied state. So its value there is what some
first part of them has made, and what was done there since. Numbers and lengths tell which part: what the value here
has more than the one there, and what was done there since, is what the rest of the commands adds up to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple

from hybrid.core.command_rules import xadd_id_at, xadd_trims
from hybrid.core.key_state import Absent, Hash, KeyState, List, Stream, String, ZSet

__all__ = ["Count", "count_of", "lacking"]

SAME: Final = Fraction(1, 10**9)
"""Servers round sums of fractions; the rest is this close to nothing, in proportion."""


class Measure(Enum):
    """What of a key's value grows."""

    NUMBER = "the number in a string"
    LENGTH = "the length of a string"
    ITEMS = "the number of items of a list"
    FIELD = "the number in a field"
    SCORE = "the score of a member"
    ENTRY = "whether a stream has the entry"
    TRIMMED = "nothing that could be told"


class Count(NamedTuple):
    """By how much a command changes a measure of an element."""

    measure: Measure
    element: bytes
    amount: Fraction


def count_of(args: Sequence[bytes]) -> Count | None:
    """None for a command that may as well be applied twice, or does not say by itself how much it adds."""
    rule = _RULES.get(args[0].upper())
    try:
        return rule(args) if rule else None
    except (IndexError, ValueError):
        return None  # the server refused it, too


def lacking(
    commands: Sequence[Sequence[bytes]], here: KeyState | Absent, there: KeyState | Absent, done: Iterable[Count]
) -> list[bool] | None:
    """For each of the `commands`, of which all have made the value `here`, whether the value `there`, where `done` was
    done besides, lacks it. What may as well be applied twice counts as lacking. None where that cannot be told."""
    counts = [count_of(command) for command in commands]
    left: dict[tuple[Measure, bytes], Fraction] = {}
    tolerance: dict[tuple[Measure, bytes], Fraction] = {}
    ours, theirs = _Measured(here), _Measured(there)
    for count in filter(None, counts):
        what = count.measure, count.element
        if what not in left:
            mine, other = ours.of(*what), theirs.of(*what)
            if mine is None or other is None:
                return None
            left[what] = mine - other
            tolerance[what] = SAME * max(abs(mine), abs(other), Fraction(1)) if _is_broken(mine, other) else Fraction(0)
    for count in done:
        if count.measure is Measure.TRIMMED:
            return None
        if (what := (count.measure, count.element)) in left:
            left[what] += count.amount
    found = [True] * len(commands)
    for index in reversed(range(len(commands))):
        if (each := counts[index]) is not None:
            what = each.measure, each.element
            found[index] = abs(left[what]) > tolerance[what]
            if found[index]:
                left[what] -= each.amount
    return found if all(abs(rest) <= tolerance[what] for what, rest in left.items()) else None


def _is_broken(*numbers: Fraction) -> bool:
    return any(number.denominator != 1 for number in numbers)


class _Measured:
    """The measures of one key's value."""

    def __init__(self, state: KeyState | Absent) -> None:
        self._body = state.body if isinstance(state, KeyState) else None
        self._ids = {entry_id for entry_id, _ in self._body.entries} if isinstance(self._body, Stream) else set()

    def of(self, measure: Measure, element: bytes) -> Fraction | None:
        """None for a value of another type, or no number."""
        match measure, self._body:
            case Measure.TRIMMED, _:
                return None
            case _, None:
                return Fraction(0)
            case Measure.LENGTH, String(value=value):
                return Fraction(len(value))
            case Measure.ITEMS, List(items=items):
                return Fraction(len(items))
            case Measure.ENTRY, Stream():
                return Fraction(element in self._ids)
            case Measure.NUMBER, String(value=value):
                return _number(value)
            case (Measure.FIELD, Hash(fields=numbers)) | (Measure.SCORE, ZSet(scores=numbers)):
                return _number(numbers.get(element, b"0"))
            case _:
                return None


def _number(text: bytes) -> Fraction | None:
    try:
        return Fraction(text.decode())
    except ValueError:  # infinite, perhaps
        return None


_Rule = Callable[[Sequence[bytes]], Count]


def _one(amount: int) -> _Rule:
    return lambda args: Count(Measure.NUMBER, b"", Fraction(amount))


def _many(sign: int) -> _Rule:
    return lambda args: Count(Measure.NUMBER, b"", sign * Fraction(args[2].decode()))


def _at(measure: Measure, element_at: int, amount_at: int) -> _Rule:
    return lambda args: Count(measure, args[element_at], Fraction(args[amount_at].decode()))


def _zadd(args: Sequence[bytes]) -> Count:
    at = [arg.upper() for arg in args].index(b"INCR")  # without it, it may as well be applied twice
    return Count(Measure.SCORE, args[at + 2], Fraction(args[at + 1].decode()))


def _xadd(args: Sequence[bytes]) -> Count:
    """With MAXLEN or MINID it may remove what had arrived."""
    if xadd_trims(args[1:]):
        return Count(Measure.TRIMMED, b"", Fraction(0))
    return Count(Measure.ENTRY, args[1 + xadd_id_at(args[1:])], Fraction(1))


def _push(args: Sequence[bytes]) -> Count:
    return Count(Measure.ITEMS, b"", Fraction(len(args) - 2))


_RULES: Final[Mapping[bytes, _Rule]] = {
    b"INCR": _one(1),
    b"DECR": _one(-1),
    **dict.fromkeys((b"INCRBY", b"INCRBYFLOAT"), _many(1)),
    b"DECRBY": _many(-1),
    **dict.fromkeys((b"HINCRBY", b"HINCRBYFLOAT"), _at(Measure.FIELD, 2, 3)),
    b"ZINCRBY": _at(Measure.SCORE, 3, 2),
    b"ZADD": _zadd,
    b"APPEND": lambda args: Count(Measure.LENGTH, b"", Fraction(len(args[2]))),
    **dict.fromkeys((b"RPUSH", b"LPUSH", b"RPUSHX", b"LPUSHX"), _push),
    b"XADD": _xadd,
}
