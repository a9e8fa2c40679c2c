"""How long commands keep a server from its other clients: weighed before they are sent, so that no step takes more than
a few milliseconds, whatever the values are.

The unit is the time in which a server copies one byte out of a request: about 1.5 ns. An argument costs its bytes and
what the server does with it, which depends on the command: most for members of sorted sets, which come in the order of
a hash table and so each look for their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hybrid.core.resp import count_args, first_args

__all__ = ["CHUNK_BYTES", "READ_ELEMENTS", "STEP_WORK", "command_work", "packed_work", "presumed_work"]

STEP_WORK: Final = 512 * 1024
"""What one command or transaction may cost: about a millisecond."""

_ARGUMENT: Final = 100
_DEAR_ARGUMENTS: Final = {b"HSET": 150, b"SADD": 200, b"XADD": 150, b"XCLAIM": 300, b"ZADD": 400}

CHUNK_BYTES: Final = 1024 * 1024
"""How much of a long string a server gives at a time."""

READ_ELEMENTS: Final = {"hash": 1000, "list": 2500, "set": 1500, "stream": 2500, "zset": 750}
"""How many elements of a collection a server gives within about a millisecond."""

_KEY: Final = 600
_PER_BYTE: Final = {"string": 1, "hash": 12, "list": 12, "set": 25, "stream": 12, "zset": 50}


def command_work(arguments: Sequence[bytes], name: bytes | None = None) -> int:
    """What a command costs, or so many arguments more to the command `name`."""
    each = _DEAR_ARGUMENTS.get(name or arguments[0], _ARGUMENT)
    return sum(map(len, arguments)) + each * len(arguments)


def packed_work(command: bytes) -> int:
    """What a packed command costs."""
    name = first_args(command, 1)[0]
    return len(command) + _DEAR_ARGUMENTS.get(name, _ARGUMENT) * count_args(command)


def presumed_work(kind: str, size_bytes: int) -> int:
    """What it may cost to write a value of which only this is known: its elements may be as short as ten bytes."""
    return _KEY + size_bytes * _PER_BYTE.get(kind, 1)
