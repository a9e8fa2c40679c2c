"""One step of a transaction, and the one among them that adds an entry to the log."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from hybrid.core.lua import NOTED
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.errors import LogRefused

__all__ = ["LOG_WHEN_FULL", "NO_TOKEN", "TOKEN_BYTES", "Log", "Part", "Role"]

TOKEN_BYTES: Final = 16
NO_TOKEN: Final = bytes(TOKEN_BYTES)
SCRIPTED_FIELDS: Final = 7000
"""The stack of Lua holds about 7,900."""

LOG_WHEN_FULL: Final = NOTED + "return noted('XADD',KEYS[1],'*',unpack(ARGV))"
"""Adds an entry to the log KEYS[1] of a server that has no memory left."""


class Role(Enum):
    """What one reply inside EXEC is."""

    GUARD = "guard"
    FIRST = "first"
    REPLY = "reply"
    EFFECT = "effect"
    LOGGED = "logged"


class Part(NamedTuple):
    """One step between MULTI and EXEC: its bytes, what its reply is, and of which write or guarded key. `token_at` is
    where in the bytes the token goes, -1 without one."""

    packed: bytes
    role: Role
    number: int = -1
    token_at: int = -1


class Log(NamedTuple):
    """How entries are added to the log; `full`: of a store that has no memory left, see `hybrid.core.transaction`."""

    names: Names
    full: bool = False

    def entry(self, fields: Sequence[bytes], *, traced: bool = False) -> Part:
        if self.full and len(fields) > SCRIPTED_FIELDS:
            raise LogRefused
        log = self.names.log
        add = (b"EVAL", LOG_WHEN_FULL, b"1", log) if self.full else (b"XADD", log, b"*")
        if not traced:
            return Part(pack((*add, *fields)), Role.LOGGED)
        packed = pack((*add, *fields, b"w", NO_TOKEN))
        return Part(packed, Role.LOGGED, token_at=len(packed) - TOKEN_BYTES - 2)
