"""What Java's ObjectOutputStream writes, read only: enough to show a value. Pure; no class of it is made."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from hybrid.core.readable import name_of, text_in

__all__ = ["BEGINS", "deserialized"]

BEGINS: Final = b"\xac\xed\x00\x05"
MOST_PARTS: Final = 100_000
AGAIN: Final = 64
"""So many characters of a text that stands again are one more part: a few bytes refer to it."""

MOST_DEPTH: Final = 64
MOST_NAME: Final = 200
"""Of longer ones the beginning is told: each object has them anew."""

FIRST_HANDLE: Final = 0x7E0000
NUMBERS: Final = {"B": "b", "D": "d", "F": "f", "I": "i", "J": "q", "S": "h", "Z": "?"}
ITEMS: Final = frozenset(
    f"java.util.{name}"
    for name in ("ArrayDeque", "ArrayList", "CollSer", "HashSet", "LinkedList", "PriorityQueue", "TreeSet")
) | {"java.util.concurrent.CopyOnWriteArrayList"}
PAIRS: Final = frozenset(
    f"java.util.{name}"
    for name in ("EnumMap", "HashMap", "Hashtable", "IdentityHashMap", "TreeMap", "concurrent.ConcurrentHashMap")
)
"""Collections write what they hold behind their fields, which are for their own use, and how much that is."""

ENDED_BY_NULLS: Final = "java.util.concurrent.ConcurrentHashMap"

OF_PAIRS: Final = 3
"""The tag of a `CollSer` that holds what `Map.of` made."""

BOXES: Final = frozenset(
    f"java.lang.{name}" for name in ("Boolean", "Byte", "Character", "Double", "Float", "Integer", "Long", "Short")
)
DATE: Final = "java.util.Date"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Tag(IntEnum):
    """What begins, as the Object Serialization Stream Protocol has it."""

    NULL = 0x70
    REFERENCE = 0x71
    CLASS_DESCRIPTION = 0x72
    OBJECT = 0x73
    STRING = 0x74
    ARRAY = 0x75
    CLASS = 0x76
    BLOCK = 0x77
    END_OF_BLOCK = 0x78
    RESET = 0x79
    LONG_BLOCK = 0x7A
    LONG_STRING = 0x7C
    PROXY_DESCRIPTION = 0x7D
    ENUM = 0x7E


class Flag(IntEnum):
    """How a class writes its objects."""

    WRITE_METHOD = 1
    SERIALIZABLE = 2
    EXTERNALIZABLE = 4
    BLOCK_DATA = 8


@dataclass(slots=True)
class _Class:
    name: str
    flags: int = 0
    fields: list[tuple[str, str]] = field(default_factory=list)  # code of the type, name
    line: list[_Class] = field(default_factory=list)  # the highest one first, this one last


def deserialized(value: bytes) -> Any:
    """What the stream holds, as JSON could say it, but for bytes: an object as its class with its fields, and what it
    has written behind them as "items".

    A list where the stream holds several values. Raises ValueError when it is no such stream, and when it is too much.
    """
    if not value.startswith(BEGINS):
        raise ValueError("it begins otherwise")
    found = _Reader(value).all()
    return found[0] if len(found) == 1 else found


class _Block(bytes):
    """Bytes that a class has written by itself."""


class _Reader:
    def __init__(self, value: bytes) -> None:
        self._value = value
        self._at = len(BEGINS)
        self._handles: list[Any] = []  # classes; of anything else what is told where it stands again
        self._left = MOST_PARTS

    def all(self) -> list[Any]:
        found = []
        while self._at < len(self._value):
            if self._value[self._at] == Tag.RESET:
                self._at += 1
                self._handles.clear()
            else:
                found.append(self._content(0))
        return found

    def _content(self, depth: int) -> Any:
        at, tag = self._begin(depth)
        match tag:
            case Tag.NULL:
                return None
            case Tag.REFERENCE:
                known = self._again()
                return f"<class {known.name}>" if isinstance(known, _Class) else known
            case Tag.OBJECT:
                return self._object(depth)
            case Tag.STRING | Tag.LONG_STRING:
                return self._told(self._handle(), self._text("H" if tag == Tag.STRING else "q"))
            case Tag.ARRAY:
                return self._array(depth)
            case Tag.ENUM:
                of, place = self._class(depth), self._handle()
                return self._told(place, f"<{of.name}.{self._content(depth + 1)}>")
            case Tag.CLASS:
                of = self._class(depth)
                return self._told(self._handle(), f"<class {of.name}>")
            case Tag.CLASS_DESCRIPTION | Tag.PROXY_DESCRIPTION:
                self._at = at
                return f"<class {self._class(depth).name}>"
            case Tag.BLOCK | Tag.LONG_BLOCK:
                return _Block(self._take(self._number("B" if tag == Tag.BLOCK else "i")))
        raise ValueError(f"no value begins at byte {at}")

    def _object(self, depth: int) -> Any:
        of = self._class(depth)
        place = self._handle(f"<again {of.name}>")
        told: dict[str, Any] = {}
        for each in of.line:
            fields, items = self._state(each, depth)
            told |= {f"{name} of {each.name}" if name in told else name: held for name, held in fields.items()}
            if items is not None:
                told[f"items of {each.name}" if "items" in told else "items"] = items
        if of.name in BOXES and list(told) == ["value"]:
            return self._told(place, told["value"])
        return {f"<{of.name}>": told["items"] if list(told) == ["items"] else told}

    def _state(self, of: _Class, depth: int) -> tuple[dict[str, Any], Any]:
        """The fields that this class has, and what it has written behind them: None where it writes nothing."""
        fields: dict[str, Any] = {}
        if of.flags & Flag.SERIALIZABLE:
            for code, name in of.fields:
                fields[name] = self._field(code, depth)
            if not of.flags & Flag.WRITE_METHOD:
                return fields, None
        elif not of.flags & Flag.EXTERNALIZABLE:
            return fields, None
        elif not of.flags & Flag.BLOCK_DATA:
            raise ValueError(f"only its class can read {of.name}")
        items = self._behind(depth)
        if of.name == DATE and len(items) == 1 and isinstance(items[0], _Block):
            return fields, _moment(items[0])
        if of.name not in ITEMS | PAIRS:
            return fields, items or None
        items = items[next((at for at, item in enumerate(items) if isinstance(item, _Block)), -1) + 1 :]
        if of.name in ITEMS and fields.get("tag") != OF_PAIRS:
            return {}, items
        if of.name == ENDED_BY_NULLS:
            items = items[:-2]
        return {}, {name_of(key): held for key, held in zip(items[::2], items[1::2], strict=False)}

    def _field(self, code: str, depth: int) -> Any:
        if code in "L[":
            return self._content(depth + 1)
        self._spend()
        return _characters(self._take(2)) if code == "C" else self._number(NUMBERS[code])

    def _behind(self, depth: int) -> list[Any]:
        found = []
        while self._value[self._at : self._at + 1] != bytes([Tag.END_OF_BLOCK]):
            found.append(self._content(depth + 1))
        self._at += 1
        return found

    def _array(self, depth: int) -> Any:
        of = self._class(depth)
        self._handle(f"<again {of.name}>")
        count, code = self._count(), of.name[1:2]
        match code:
            case "L" | "[":
                return [self._content(depth + 1) for _ in range(count)]
            case "B":
                part = self._take(count)
                return part if (text := text_in(part)) is None else text
            case "C":
                return _characters(self._take(2 * count))
            case _:
                self._spend(count)
                pattern = f">{count}{_number_of(code)}"
                return list(struct.unpack(pattern, self._take(struct.calcsize(pattern))))

    def _class(self, depth: int) -> _Class:
        found = self._class_or_none(depth)
        if found is None:
            raise ValueError(f"a class is missing at byte {self._at}")
        return found

    def _class_or_none(self, depth: int) -> _Class | None:
        at, tag = self._begin(depth)
        if tag == Tag.NULL:
            return None
        if tag == Tag.REFERENCE and isinstance(known := self._again(), _Class):
            return known
        if tag == Tag.CLASS_DESCRIPTION:
            found = _Class(self._text("H")[:MOST_NAME])
            self._take(8)
            self._handle(found)
            found.flags = self._number("B")
            count = self._number("H")
            self._spend(count)
            for _ in range(count):
                found.fields.append(self._described(depth))
        elif tag == Tag.PROXY_DESCRIPTION:
            found = _Class("proxy", Flag.SERIALIZABLE)
            self._handle(found)
            count = self._count()
            self._spend(count)
            found.name = f"proxy of {', '.join(self._text('H') for _ in range(count))}"[:MOST_NAME]
        else:
            raise ValueError(f"no class begins at byte {at}")
        self._behind(depth)
        above = self._class_or_none(depth + 1)
        found.line = [*(above.line if above else []), found]
        if len(found.line) > MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        return found

    def _described(self, depth: int) -> tuple[str, str]:
        """The code of a field's type, and its name."""
        code, name = chr(self._take(1)[0]), self._text("H")[:MOST_NAME]
        if code in "L[":
            self._content(depth + 1)
        elif code != "C":
            _number_of(code)
        return code, name

    def _begin(self, depth: int) -> tuple[int, int]:
        """Where a value begins, and its tag."""
        self._spend()
        if depth > MOST_DEPTH:
            raise ValueError("it is nested too deeply")
        return self._at, self._take(1)[0]

    def _spend(self, count: int = 1) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError("it is too much to be shown")

    def _handle(self, told: Any = None) -> int:
        self._handles.append(told)
        return len(self._handles) - 1

    def _told(self, place: int, told: Any) -> Any:
        """Where it stands again it is told again."""
        self._handles[place] = told
        return told

    def _again(self) -> Any:
        place = self._number("i") - FIRST_HANDLE
        if not 0 <= place < len(self._handles):
            raise ValueError(f"it refers to something {place} that is not there")
        known = self._handles[place]
        if isinstance(known, str):
            self._spend(len(known) // AGAIN)
        return known

    def _text(self, length: str) -> str:
        """In the UTF-8 of Java: zero as two bytes, and what has four bytes elsewhere as two halves of three."""
        part = self._take(self._number(length)).replace(b"\xc0\x80", b"\0")
        return part.decode(errors="surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _number(self, code: str) -> Any:
        pattern = f">{code}"
        return struct.unpack(pattern, self._take(struct.calcsize(pattern)))[0]

    def _count(self) -> int:
        """Of things that take a byte each at least."""
        count: int = self._number("i")
        if not 0 <= count <= len(self._value) - self._at:
            raise ValueError("it ends in the middle of a value")
        return count

    def _take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._value) - self._at:
            raise ValueError("it ends in the middle of a value")
        self._at += count
        return self._value[self._at - count : self._at]


def _number_of(code: str) -> str:
    if code not in NUMBERS:
        raise ValueError(f"no type has the code {code!r}")
    return NUMBERS[code]


def _characters(part: bytes) -> str:
    return part.decode("utf-16-be", "replace")


def _moment(block: bytes) -> str:
    at_ms = int.from_bytes(block, signed=True)
    try:
        return (EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="milliseconds")
    except OverflowError:
        return f"{at_ms} ms"
