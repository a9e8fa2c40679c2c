"""Values that were compressed before they were stored."""

from __future__ import annotations

import re
import zlib
from enum import StrEnum
from importlib import import_module
from typing import Any, Final

__all__ = ["NotInThisForm", "Packing", "packed", "packing_of", "unpacked"]

MOST_UNPACKED: Final = 4 * 1024 * 1024
"""A few kilobytes may unpack to gigabytes."""

MOST_MEMORY: Final = 64 * 1024 * 1024


class NotInThisForm(ValueError):
    """The value cannot be shown so; the sentence says why."""


class Packing(StrEnum):
    """How a value was compressed before it was stored. Nothing shows Brotli, or Snappy without frames: only who knows
    can say so."""

    GZIP = "gzip"
    ZSTD = "zstd"
    ZLIB = "zlib"
    XZ = "xz"
    BZIP2 = "bzip2"
    LZ4 = "lz4"
    SNAPPY = "snappy"
    BROTLI = "brotli"


FRAMED_SNAPPY_BEGINS: Final = b"\xff\x06\x00\x00sNaPpY"
BEGINNINGS: Final = {
    b"\x1f\x8b\x08": Packing.GZIP, b"\x28\xb5\x2f\xfd": Packing.ZSTD, b"\xfd7zXZ\x00": Packing.XZ,
    b"\x04\x22\x4d\x18": Packing.LZ4, FRAMED_SNAPPY_BEGINS: Packing.SNAPPY,
}  # fmt: skip
BZIP2_BEGINS: Final = re.compile(rb"BZh[1-9]1AY&SY")
OF_PYTHON: Final = {Packing.GZIP: "gzip", Packing.ZLIB: "zlib", Packing.XZ: "lzma", Packing.BZIP2: "bz2"}
PACKAGE: Final = "cramjam"
"""It has a module for each of the others, of the same name."""

FULL: Final = "failed to write whole buffer"
"""What it says when there is more than it was given room for."""


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
    """What was compressed, at most 4 MB of it, and whether that is all that the value holds. Raises NotInThisForm."""
    module = _module(packing)
    try:
        return _by_python(module, value, packing) if packing in OF_PYTHON else _by_package(module, value, packing)
    except Exception as error:  # each module has a kind of its own
        begins = f"It begins like {packing}, but cannot be decompressed: {error}."
        raise NotInThisForm(begins if packing_of(value) is packing else f"It is no {packing}: {error}.") from None


def packed(content: bytes, packing: Packing) -> bytes:
    """Compressed, as strongly as its module does by itself. Raises NotInThisForm."""
    return bytes(_module(packing).compress(content))


def _by_python(module: Any, value: bytes, packing: Packing) -> tuple[bytes, bool]:
    match packing:
        case Packing.XZ:
            inflater = module.LZMADecompressor(memlimit=MOST_MEMORY)
        case Packing.BZIP2:
            inflater = module.BZ2Decompressor()
        case _:
            inflater = zlib.decompressobj(wbits=31 if packing is Packing.GZIP else 15)
    return inflater.decompress(value, MOST_UNPACKED), inflater.eof and not inflater.unused_data


def _by_package(module: Any, value: bytes, packing: Packing) -> tuple[bytes, bool]:
    """Into room of a fixed size, so that it takes no more."""
    is_raw = packing is Packing.SNAPPY and not value.startswith(FRAMED_SNAPPY_BEGINS)
    content = bytearray(MOST_UNPACKED)
    try:
        size = (module.decompress_raw_into if is_raw else module.decompress_into)(value, content)
    except Exception as error:
        if str(error) != FULL:
            raise
        return bytes(content), False
    return bytes(content[:size]), True


def _module(packing: Packing) -> Any:
    try:
        if packing not in OF_PYTHON:
            return getattr(import_module(PACKAGE), packing)
        return import_module(OF_PYTHON[packing])
    except ImportError:
        pass
    if packing not in OF_PYTHON:
        raise NotInThisForm(f"It is compressed with {packing}. Install the package {PACKAGE} to read it.")
    raise NotInThisForm(f"It is compressed with {packing}, which this Python was built without.")
