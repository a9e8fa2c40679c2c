"""RESP packing and parsing: the payload of a log entry is the very bytes that a client would send.

The log carries packed commands so that shipping is forwarding: what `pack` makes goes to the other store untouched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import hiredis

__all__ = ["Arg", "count_args", "first_args", "pack", "unpack", "unpack_all"]

Arg = bytes | str | int | float
"""What a caller may pass as one argument of a command."""

_CRLF = b"\r\n"
_DOLLAR = ord("$")
_STAR = ord("*")


def pack(args: Sequence[Arg]) -> bytes:
    """One command as a RESP array of bulk strings.

    Encodes as redis-py does: str as UTF-8, numbers by repr, bytes-like objects as they are, and a first argument such
    as "XGROUP CREATE" becomes two. Raises TypeError for anything else (bool and None included).
    """
    name = args[0]
    if (type(name) is str and " " in name) or (type(name) is bytes and b" " in name):
        args = (*name.split(), *args[1:])
    try:
        return hiredis.pack_command(tuple(args))  # type: ignore[no-any-return, arg-type]
    except TypeError:
        return _packed(args)


def _packed(args: Sequence[Arg]) -> bytes:
    """As `pack`, of types that hiredis knows nothing of."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        encoded = _encoded(arg)
        parts += (b"$%d\r\n" % len(encoded), encoded, _CRLF)
    return b"".join(parts)


def _encoded(arg: object) -> bytes:
    if isinstance(arg, bytes | bytearray | memoryview):
        return bytes(arg)
    if isinstance(arg, str):
        return arg.encode()
    if isinstance(arg, int | float) and not isinstance(arg, bool):
        return repr(arg).encode()
    raise TypeError(f"Invalid input of type: {type(arg).__name__!r}. Convert to a bytes, string, int or float first.")


def unpack(packed: bytes) -> list[bytes]:
    """The arguments of one command packed by `pack`; raises ValueError if `packed` is anything else."""
    count, position = _header(packed)
    args, position = _arguments(packed, count, position)
    if position != len(packed):
        raise ValueError("bytes are left after a packed command")
    return args


def unpack_all(packed: bytes) -> Iterator[list[bytes]]:
    """The commands that stand one after the other in `packed`; raises ValueError if it is anything else."""
    position = 0
    while position < len(packed):
        count, start = _header(packed, position)
        args, position = _arguments(packed, count, start)
        yield args


def first_args(packed: bytes, n: int) -> list[bytes]:
    """The first `n` arguments (fewer if there are fewer), without touching the payloads after them."""
    count, position = _header(packed)
    return _arguments(packed, min(n, count), position)[0]


def count_args(packed: bytes) -> int:
    """How many arguments the packed command has, its name among them."""
    return _header(packed)[0]


def _header(packed: bytes, position: int = 0) -> tuple[int, int]:
    """The number of arguments of the command at `position`, and where the first one starts."""
    end = packed.find(_CRLF, position)
    count = packed[position + 1 : end]
    if end < 0 or packed[position] != _STAR or not count.isdigit():
        raise ValueError("not a packed command: no array of arguments")
    return int(count), end + 2


def _arguments(packed: bytes, count: int, position: int) -> tuple[list[bytes], int]:
    """The `count` arguments from `position` on, and the position after them."""
    args = []
    for _ in range(count):
        start = packed.find(_CRLF, position) + 2
        size = packed[position + 1 : start - 2]
        if start < 2 or packed[position] != _DOLLAR or not size.isdigit():
            raise ValueError("not a packed command: an argument has no length")
        end = start + int(size)
        position = end + 2
        if packed[end:position] != _CRLF:
            raise ValueError("not a packed command: an argument is cut short")
        args.append(packed[start:end])
    return args, position
