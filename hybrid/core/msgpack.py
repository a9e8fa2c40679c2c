"""MessagePack, read only: enough to show a value. Pure; nothing of what is read is run."""

from __future__ import annotations

import struct
from typing import Any, Final

__all__ = ["unpacked_msgpack"]

MOST_DEPTH: Final = 64
NUMBERS: Final = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
LENGTHS: Final = {1: ">B", 2: ">H", 4: ">I"}
FIXED: Final[dict[int, Any]] = {0xC0: None, 0xC2: False, 0xC3: True}
SIZED: Final = {
    0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4),
    0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("array", 2), 0xDD: ("array", 4),
    0xDE: ("map", 2), 0xDF: ("map", 4),
}  # fmt: skip


def unpacked_msgpack(value: bytes) -> Any:
    """The one object that `value` holds, as JSON could say it: bytes and extensions become text, map keys too.

    Raises ValueError when it is no MessagePack.
    """
    reader = _Reader(value)
    found = reader.read(0)
    if reader.at != len(value):
        raise ValueError(f"{len(value) - reader.at} bytes follow the object")
    return found


class _Reader:
    def __init__(self, value: bytes) -> None:
        self._value = value
        self.at = 0

    def _take(self, count: int) -> bytes:
        if count > len(self._value) - self.at:
            raise ValueError("it ends in the middle of an object")
        self.at += count
        return self._value[self.at - count : self.at]

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def read(self, depth: int) -> Any:
        if depth > MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        first = self._take(1)[0]
        if first <= 0x7F:
            return first
        if first >= 0xE0:
            return first - 0x100
        if first in FIXED:
            return FIXED[first]
        if first in NUMBERS:
            return self._number(NUMBERS[first])
        if 0xD4 <= first <= 0xD8:
            return self._extension(1 << (first - 0xD4))
        return self._sized(*self._kind(first), depth)

    def _kind(self, first: int) -> tuple[str, int]:
        if first <= 0x8F:
            return "map", first & 0x0F
        if first <= 0x9F:
            return "array", first & 0x0F
        if first <= 0xBF:
            return "str", first & 0x1F
        if first not in SIZED:
            raise ValueError(f"no object begins with byte 0x{first:02x}")
        kind, width = SIZED[first]
        return kind, self._number(LENGTHS[width])

    def _sized(self, kind: str, length: int, depth: int) -> Any:
        match kind:
            case "str":
                return self._take(length).decode(errors="backslashreplace")
            case "bin":
                return f"<{length} bytes: {self._take(length).hex()}>"
            case "ext":
                return self._extension(length)
            case "array":
                return [self.read(depth + 1) for _ in range(length)]
            case _:
                return {self._name(depth): self.read(depth + 1) for _ in range(length)}

    def _name(self, depth: int) -> str:
        name = self.read(depth + 1)
        return name if isinstance(name, str) else repr(name)

    def _extension(self, length: int) -> str:
        kind = self._number(">b")
        return f"<extension {kind}: {self._take(length).hex()}>"
