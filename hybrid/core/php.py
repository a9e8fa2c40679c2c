"""What PHP's serialize() writes, read only: enough to show a value. Pure; no class of it is made."""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["unserialized"]

MOST_DEPTH: Final = 64
SCALAR: Final = re.compile(rb"N;|b:([01]);|i:(-?\d+);|d:([^;]+);|[rR]:(\d+);")
SIZED: Final = re.compile(rb"([saOCE]):(\d+):")


def unserialized(value: bytes) -> Any:
    """The one value that `value` holds, as JSON could say it: an array counted from 0 as a list, an object as its class
    with its properties. Raises ValueError when it is none."""
    reader = _Reader(value)
    found = reader.read(0)
    if reader.at != len(value):
        raise ValueError(f"{len(value) - reader.at} bytes follow the value")
    return found


class _Reader:
    def __init__(self, value: bytes) -> None:
        self._value = value
        self.at = 0

    def read(self, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        if scalar := SCALAR.match(self._value, self.at):
            self.at = scalar.end()
            return _scalar(scalar)
        sized = SIZED.match(self._value, self.at)
        if sized is None:
            raise ValueError(f"no value begins at byte {self.at}")
        self.at = sized.end()
        kind, size = sized[1], int(sized[2])
        match kind:
            case b"a":
                return _as_list(self._pairs(size, depth))
            case b"O":
                name = self._quoted(size)
                count = self._until(b":")
                return {f"<{name}>": self._pairs(int(count[1:]), depth)}
            case b"C":
                name = self._quoted(size)
                length = self._until(b":")
                self._expect(b"{")
                content = self._take(int(length[1:])).decode(errors="backslashreplace")
                self._expect(b"}")
                return {f"<{name}>": content}
            case _:
                text = self._quoted(size)
                self._expect(b";")
                return text

    def _pairs(self, count: int, depth: int) -> dict[str, Any]:
        """Properties that are private or protected have their class in front, between zeros."""
        self._expect(b"{")
        found = {}
        for _ in range(count):
            key = self.read(depth + 1)
            if not isinstance(key, int | str):
                raise ValueError(f"no name ends at byte {self.at}")
            found[str(key).rpartition("\0")[2]] = self.read(depth + 1)
        self._expect(b"}")
        return found

    def _quoted(self, size: int) -> str:
        self._expect(b'"')
        text = self._take(size).decode(errors="backslashreplace")
        self._expect(b'"')
        return text

    def _until(self, end: bytes) -> bytes:
        stop = self._value.find(end, self.at + 1)
        if stop < 0:
            raise ValueError("it ends in the middle of a value")
        return self._take(stop + 1 - self.at)[:-1]

    def _take(self, count: int) -> bytes:
        if count > len(self._value) - self.at:
            raise ValueError("it ends in the middle of a value")
        self.at += count
        return self._value[self.at - count : self.at]

    def _expect(self, mark: bytes) -> None:
        if self._take(len(mark)) != mark:
            raise ValueError(f"{mark.decode()} is missing at byte {self.at - 1}")


def _scalar(found: re.Match[bytes]) -> Any:
    truth, whole, real, reference = found.groups()
    if truth is not None:
        return truth == b"1"
    if whole is not None:
        return int(whole)
    if real is not None:
        return float(real)
    return None if reference is None else f"<reference {reference.decode()}>"


def _as_list(found: dict[str, Any]) -> Any:
    return list(found.values()) if list(found) == [str(n) for n in range(len(found))] else found
