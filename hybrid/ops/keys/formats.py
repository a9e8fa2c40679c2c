"""Values as people read them. Nothing of a value is ever run: pickles and the like are taken apart, not loaded."""

from __future__ import annotations

import io
import json
import pickletools
import re
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Any, Final

from hybrid.core import java, protobuf
from hybrid.core.php import unserialized
from hybrid.core.pickled import unpickled
from hybrid.core.readable import name_of
from hybrid.ops.keys.packing import NotInThisForm

__all__ = ["Form", "guessed_form", "rendered", "tree"]

MOST_SHOWN: Final = 1024 * 1024
MOST_OPCODES: Final = 20_000
AS_DATETIME: Final = 3
"""How msgpack gives a timestamp."""

HEX_WIDTH: Final = 16
BITS_WIDTH: Final = 8
PHP_BEGINS: Final = re.compile(rb'a:\d+:\{|O:\d+:"')
BINARY: Final = frozenset(set(range(32)) - {9, 10, 13})


class Form(StrEnum):
    """How a value can be shown."""

    TEXT = "text"
    JSON = "json"
    HEX = "hex"
    BITS = "bits"
    MSGPACK = "msgpack"
    PICKLE = "pickle"
    PHP = "PHP"
    JAVA = "Java"
    PROTOBUF = "Protobuf"


def guessed_form(value: bytes) -> Form:
    """The form in which this value says most."""
    stripped = value.lstrip()
    if stripped[:1] in (b"{", b"["):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            pass
        else:
            return Form.JSON
    if value[:1] == b"\x80" and len(value) > 2 and value[1] <= 5 and value.endswith(b"."):
        return Form.PICKLE
    if value.startswith(java.BEGINS):
        return Form.JAVA
    if PHP_BEGINS.match(value) and _is(Form.PHP, value):
        return Form.PHP
    try:
        value.decode()
    except UnicodeDecodeError:
        return Form.MSGPACK if _is_msgpack(value) else Form.HEX
    return Form.HEX if BINARY.intersection(value) else Form.TEXT


def _is(form: Form, value: bytes) -> bool:
    try:
        rendered(value, form)
    except NotInThisForm:
        return False
    return True


def _is_msgpack(value: bytes) -> bool:
    try:
        return isinstance(_unpacked_msgpack(value), dict | list)
    except (ValueError, OverflowError, NotInThisForm):
        return False


def rendered(value: bytes, form: Form) -> str:
    """The value in this form. Raises NotInThisForm."""
    try:
        return RENDERERS[form](value).encode(errors="backslashreplace").decode()
    except (ValueError, RecursionError, OverflowError) as error:
        raise NotInThisForm(f"It is no {form}: {str(error) or type(error).__name__}.") from None


def tree(held: Any, most: int = MOST_SHOWN, told: Callable[[Any], str] | None = None) -> str:
    """As JSON, each part on a line of its own, cut behind `most` characters. `told` says what JSON has no word for."""
    pieces, size = [], 0
    for piece in json.JSONEncoder(indent=2, ensure_ascii=False, default=told).iterencode(held):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            pieces.append("...")
            break
    return "".join(pieces)


def _json(value: bytes) -> str:
    return tree(json.loads(value))


def _hex(value: bytes) -> str:
    lines = []
    for start in range(0, len(value), HEX_WIDTH):
        part = value[start : start + HEX_WIDTH]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<{HEX_WIDTH * 3 - 1}}  {shown}")
    return "\n".join(lines)


def _bits(value: bytes) -> str:
    """As SETBIT counts them: the first bit of a byte is its highest. In front, the number of a line's first bit."""
    lines = []
    for start in range(0, len(value), BITS_WIDTH):
        part = value[start : start + BITS_WIDTH]
        lines.append(f"{8 * start:8d}  {' '.join(f'{byte:08b}' for byte in part)}")
    return "\n".join(lines)


def _msgpack(value: bytes) -> str:
    return tree(_unpacked_msgpack(value), told=_told)


def _unpacked_msgpack(value: bytes) -> Any:
    try:
        module = import_module("msgpack")
    except ImportError:
        raise NotInThisForm("This form is read by the package msgpack: install it.") from None
    return module.unpackb(
        value,
        unicode_errors="backslashreplace",
        strict_map_key=False,
        timestamp=AS_DATETIME,
        object_pairs_hook=lambda pairs: {name_of(key): held for key, held in pairs},
        ext_hook=lambda kind, data: f"<extension {kind}: {data.hex()}>",
    )


def _told(held: Any) -> str:
    """What JSON has no word for: bytes and times."""
    return f"<{len(held)} bytes: {held.hex()}>" if isinstance(held, bytes) else str(held)


def _php(value: bytes) -> str:
    return tree(unserialized(value))


def _java(value: bytes) -> str:
    return tree(java.deserialized(value), told=_told)


def _protobuf(value: bytes) -> str:
    return tree(protobuf.parsed(value), told=_told)


def _pickle(value: bytes) -> str:
    """What it holds; where that cannot be said, opcode by opcode, as pickletools lists them. Nothing is imported, built
    or called."""
    try:
        return tree(unpickled(value))
    except ValueError:
        return _opcodes(value)


def _opcodes(value: bytes) -> str:
    out = io.StringIO()
    for number, (opcode, argument, at) in enumerate(pickletools.genops(value)):
        if number == MOST_OPCODES:
            out.write("...")
            break
        out.write(f"{at or 0:6d}  {opcode.name}" + ("" if argument is None else f"  {_short(argument)}") + "\n")
    return out.getvalue()


def _short(argument: Any) -> str:
    text = repr(argument)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _text(value: bytes) -> str:
    return value.decode(errors="backslashreplace")


RENDERERS: Final[dict[Form, Callable[[bytes], str]]] = {
    Form.TEXT: _text,
    Form.JSON: _json,
    Form.HEX: _hex,
    Form.BITS: _bits,
    Form.MSGPACK: _msgpack,
    Form.PICKLE: _pickle,
    Form.PHP: _php,
    Form.JAVA: _java,
    Form.PROTOBUF: _protobuf,
}
