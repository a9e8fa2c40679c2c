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
    Packing.GZIP: ("gzip",), Packing.ZLIB: ("zlib",),
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
    """What was compressed, at most 4 MB of it, and whether that is all that the value holds. Raises NotInThisForm."""
    inflater, error_kind = _inflater(packing)
    try:
        return inflater.decompress(value, MOST_UNPACKED), inflater.eof and not inflater.unused_data
    except error_kind as error:
        raise NotInThisForm(f"It begins like {packing}, but cannot be decompressed: {error}.") from None


def packed(content: bytes, packing: Packing) -> bytes:
    """Compressed, as strongly as its module does by itself. Raises NotInThisForm."""
    return bytes(_module(packing).compress(content))


def _inflater(packing: Packing) -> tuple[Any, type[Exception]]:
    """What decompresses step by step, and what it raises."""
    module = _module(packing)
    match packing:
        case Packing.GZIP | Packing.ZLIB:
            return zlib.decompressobj(wbits=31 if packing is Packing.GZIP else 15), zlib.error
        case Packing.ZSTD:
            return module.ZstdDecompressor(), module.ZstdError
        case Packing.XZ:
            return module.LZMADecompressor(memlimit=MOST_MEMORY), module.LZMAError
        case Packing.BZIP2:
            return module.BZ2Decompressor(), OSError
        case Packing.LZ4:
            return module.LZ4FrameDecompressor(), RuntimeError


def _module(packing: Packing) -> Any:
    for name in MODULES[packing]:
        try:
            return import_module(name)
        except ImportError:
            continue
    if packing in PACKAGES:
        raise NotInThisForm(f"It is compressed with {packing}. Install the package {PACKAGES[packing]} to read it.")
    raise NotInThisForm(f"It is compressed with {packing}, which this Python was built without.")
