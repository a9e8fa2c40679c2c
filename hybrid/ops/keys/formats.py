"""Values as people read them. Nothing of a value is ever run: pickles are taken apart, not loaded."""

from __future__ import annotations

import io
import json
import pickletools
import re
import zlib
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Any, Final

from hybrid.core.php import unserialized
from hybrid.core.pickled import unpickled

__all__ = ["Form", "NotInThisForm", "Packing", "guessed_form", "packing_of", "rendered", "unpacked"]

MOST_UNPACKED: Final = 4 * 1024 * 1024
"""A few kilobytes may unpack to gigabytes."""

MOST_MEMORY: Final = 64 * 1024 * 1024
MOST_OPCODES: Final = 20_000
AS_DATETIME: Final = 3
"""How msgpack gives a timestamp."""

HEX_WIDTH: Final = 16
BITS_WIDTH: Final = 8
PHP_BEGINS: Final = re.compile(rb'a:\d+:\{|O:\d+:"')
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
    PHP = "PHP"


class Packing(StrEnum):
    """How a value was compressed before it was stored."""

    GZIP = "gzip"
    ZSTD = "zstd"
    ZLIB = "zlib"
    XZ = "xz"
    BZIP2 = "bzip2"
    LZ4 = "lz4"


BEGINNINGS: Final = {
    b"\x1f\x8b\x08": Packing.GZIP, b"\x28\xb5\x2f\xfd": Packing.ZSTD, b"\xfd7zXZ\x00": Packing.XZ,
    b"\x04\x22\x4d\x18": Packing.LZ4,
}  # fmt: skip
BZIP2_BEGINS: Final = re.compile(rb"BZh[1-9]1AY&SY")
MODULES: Final = {
    Packing.ZSTD: ("compression.zstd", "backports.zstd"), Packing.XZ: ("lzma",), Packing.BZIP2: ("bz2",),
    Packing.LZ4: ("lz4.frame",),
}  # fmt: skip
PACKAGES: Final = {Packing.ZSTD: "backports.zstd", Packing.LZ4: "lz4"}


def packing_of(value: bytes) -> Packing | None:
    """How the value is compressed, by its first bytes."""
    for beginning, packing in BEGINNINGS.items():
        if value.startswith(beginning):
            return packing
    if BZIP2_BEGINS.match(value):
        return Packing.BZIP2
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
    inflater, error_kind = _inflater(packing)
    try:
        return inflater.decompress(value, MOST_UNPACKED), inflater.eof
    except error_kind as error:
        raise NotInThisForm(f"It begins like {packing}, but cannot be decompressed: {error}.") from None


def _inflater(packing: Packing) -> tuple[Any, type[Exception]]:
    """What decompresses step by step, and what it raises."""
    if packing in (Packing.GZIP, Packing.ZLIB):
        return zlib.decompressobj(wbits=31 if packing is Packing.GZIP else 15), zlib.error
    for name in MODULES[packing]:
        try:
            module = import_module(name)
        except ImportError:
            continue
        match packing:
            case Packing.ZSTD:
                return module.ZstdDecompressor(), module.ZstdError
            case Packing.XZ:
                return module.LZMADecompressor(memlimit=MOST_MEMORY), module.LZMAError
            case Packing.BZIP2:
                return module.BZ2Decompressor(), OSError
            case _:
                return module.LZ4FrameDecompressor(), RuntimeError
    if packing in PACKAGES:
        raise NotInThisForm(f"It is compressed with {packing}. Install the package {PACKAGES[packing]} to read it.")
    raise NotInThisForm(f"It is compressed with {packing}, which this Python was built without.")


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
        return RENDERERS[form](value)
    except (ValueError, RecursionError, OverflowError) as error:
        raise NotInThisForm(f"It is no {form}: {str(error) or type(error).__name__}.") from None


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
    return json.dumps(_unpacked_msgpack(value), indent=2, ensure_ascii=False, default=_told)


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
        object_pairs_hook=lambda pairs: {key if isinstance(key, str) else repr(key): held for key, held in pairs},
        ext_hook=lambda kind, data: f"<extension {kind}: {data.hex()}>",
    )


def _told(held: Any) -> str:
    """What JSON has no word for: bytes and times."""
    return f"<{len(held)} bytes: {held.hex()}>" if isinstance(held, bytes) else str(held)


def _php(value: bytes) -> str:
    return json.dumps(unserialized(value), indent=2, ensure_ascii=False)


def _pickle(value: bytes) -> str:
    """What it holds; where that cannot be said, opcode by opcode, as pickletools lists them. Nothing is imported, built
    or called."""
    try:
        return json.dumps(unpickled(value), indent=2, ensure_ascii=False)
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
}
