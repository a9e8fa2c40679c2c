"""Values as people read them. Nothing of a value is ever run: pickles are taken apart, not loaded."""

from __future__ import annotations

import io
import json
import pickletools
import zlib
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Any, Final

from hybrid.core.msgpack import unpacked_msgpack

__all__ = ["Form", "NotInThisForm", "Packing", "guessed_form", "packing_of", "rendered", "unpacked"]

MOST_UNPACKED: Final = 4 * 1024 * 1024
"""A few kilobytes may unpack to gigabytes."""

MOST_OPCODES: Final = 20_000
HEX_WIDTH: Final = 16
BITS_WIDTH: Final = 8
BINARY: Final = frozenset(set(range(32)) - {9, 10, 13})


class NotInThisForm(ValueError):
    """The value cannot be shown so; the sentence says why."""


class Form(StrEnum):
    """How a value can be shown."""

    TEXT = "text"
    JSON = "json"
    HEX = "hex"
    BITS = "bits"
    MSGPACK = "msgpack"
    PICKLE = "pickle"


class Packing(StrEnum):
    """How a value was compressed before it was stored."""

    GZIP = "gzip"
    ZSTD = "zstd"
    ZLIB = "zlib"


def packing_of(value: bytes) -> Packing | None:
    """How the value is compressed, by its first bytes."""
    if value.startswith(b"\x1f\x8b\x08"):
        return Packing.GZIP
    if value.startswith(b"\x28\xb5\x2f\xfd"):
        return Packing.ZSTD
    if (
        len(value) > 2
        and value[0] == 0x78
        and (value[0] << 8 | value[1]) % 31 == 0
        and value[1] in (1, 0x5E, 0x9C, 0xDA)
    ):
        return Packing.ZLIB
    return None


def unpacked(value: bytes, packing: Packing) -> tuple[bytes, bool]:
    """What was compressed, at most 4 MB of it, and whether that is all. Raises NotInThisForm."""
    try:
        if packing is Packing.ZSTD:
            return _unpacked_zstd(value)
        inflater = zlib.decompressobj(wbits=31 if packing is Packing.GZIP else 15)
        found = inflater.decompress(value, MOST_UNPACKED)
    except zlib.error as error:
        raise NotInThisForm(f"It begins like {packing}, but cannot be decompressed: {error}.") from None
    return found, inflater.eof


def _unpacked_zstd(value: bytes) -> tuple[bytes, bool]:
    for name in ("compression.zstd", "backports.zstd"):
        try:
            module = import_module(name)
        except ImportError:
            continue
        inflater = module.ZstdDecompressor()
        try:
            return inflater.decompress(value, MOST_UNPACKED), inflater.eof
        except module.ZstdError as error:
            raise NotInThisForm(f"It begins like zstd, but cannot be decompressed: {error}.") from None
    raise NotInThisForm("It is compressed with zstd. Install the package backports.zstd to read it.")


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
    try:
        value.decode()
    except UnicodeDecodeError:
        return Form.MSGPACK if _is_msgpack(value) else Form.HEX
    return Form.HEX if BINARY.intersection(value) else Form.TEXT


def _is_msgpack(value: bytes) -> bool:
    try:
        return isinstance(unpacked_msgpack(value), dict | list)
    except ValueError:
        return False


def rendered(value: bytes, form: Form) -> str:
    """The value in this form. Raises NotInThisForm."""
    try:
        return RENDERERS[form](value)
    except (ValueError, RecursionError, OverflowError) as error:
        raise NotInThisForm(f"It is no {form}: {error}.") from None


def _json(value: bytes) -> str:
    return json.dumps(json.loads(value), indent=2, ensure_ascii=False)


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
    return json.dumps(unpacked_msgpack(value), indent=2, ensure_ascii=False)


def _pickle(value: bytes) -> str:
    """Opcode by opcode, as pickletools lists them: nothing is imported, built or called."""
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
}
