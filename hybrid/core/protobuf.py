"""A Protobuf message without its schema, read only: fields by their numbers, as their bytes suggest. Pure."""

from __future__ import annotations

import struct
from typing import Any, Final

from hybrid.core.readable import text_in

__all__ = ["parsed"]

MOST_FIELDS: Final = 100_000
MOST_DEPTH: Final = 64
SIGN: Final = 1 << 63
LONGEST_NUMBER: Final = 10
FIXED: Final = {1: ("q", "d"), 5: ("i", "f")}
"""What eight bytes can be, and what four."""

LENGTH, GROUP, GROUP_ENDS = 2, 3, 4


def parsed(value: bytes) -> dict[str, Any]:
    """The message that `value` is: each field under its number, a list where it is repeated.

    What has a length is told as text where it can be text, else as a message where it can be one, else as bytes. Of
    what has four or eight bytes both readings are told. Raises ValueError when it is no message, and when it is too
    much.
    """
    return _Reader(value).message(0, len(value), 0)[0]


class _NoMessage(ValueError):
    pass


class _Reader:
    def __init__(self, value: bytes) -> None:
        self._value = value
        self._left = MOST_FIELDS

    def message(self, at: int, end: int, depth: int, group: int | None = None) -> tuple[dict[str, Any], int]:
        """What stands from `at` on, and where that ends: at `end`, of a group where it is closed."""
        if depth > MOST_DEPTH:
            raise _NoMessage("it is nested too deeply")
        found: dict[str, list[Any]] = {}
        while at < end:
            tag, at = self._number(at, end)
            number, kind = tag >> 3, tag & 7
            if kind == GROUP_ENDS and number == group:
                return _flat(found), at
            self._left -= 1
            if self._left < 0:
                raise ValueError("it is too much to be shown")
            if not number:
                raise _NoMessage(f"no field begins before byte {at}")
            held, at = self._field(number, kind, at, end, depth)
            found.setdefault(str(number), []).append(held)
        if group is not None:
            raise _NoMessage("it ends in the middle of a group")
        return _flat(found), at

    def _field(self, number: int, kind: int, at: int, end: int, depth: int) -> tuple[Any, int]:
        if kind == 0:
            held, at = self._number(at, end)
            return held - 2 * SIGN if held & SIGN else held, at
        if kind in FIXED:
            whole, real = FIXED[kind]
            stop = self._until(at, struct.calcsize(whole), end)
            part = self._value[at:stop]
            told = " or ".join(f"{struct.unpack(f'<{code}', part)[0]}" for code in (whole, real))
            return f"<{8 * len(part)} bits: {told}>", stop
        if kind == LENGTH:
            length, at = self._number(at, end)
            stop = self._until(at, length, end)
            return self._sized(at, stop, depth), stop
        if kind == GROUP:
            return self.message(at, end, depth + 1, number)
        raise _NoMessage(f"no field begins before byte {at}")

    def _sized(self, at: int, end: int, depth: int) -> Any:
        """A message may look like text where it begins with a line's end: the mark of a field 1."""
        text = text_in(self._value[at:end])
        if text is not None and not text[:1].isspace():
            return text
        try:
            return self.message(at, end, depth + 1)[0]
        except _NoMessage:
            return self._value[at:end] if text is None else text

    def _number(self, at: int, end: int) -> tuple[int, int]:
        number = 0
        for place in range(LONGEST_NUMBER):
            byte = self._value[self._until(at + place, 1, end) - 1]
            number |= (byte & 127) << 7 * place
            if byte < 128:
                return number & (2 * SIGN - 1), at + place + 1
        raise _NoMessage(f"the number at byte {at} is too long")

    def _until(self, at: int, length: int, end: int) -> int:
        if length > end - at:
            raise _NoMessage("it ends in the middle of a field")
        return at + length


def _flat(found: dict[str, list[Any]]) -> dict[str, Any]:
    return {number: held if len(held) > 1 else held[0] for number, held in found.items()}
