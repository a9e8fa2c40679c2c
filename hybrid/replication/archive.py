"""The archive of conflicts as it stands on a store: a value in one piece, and the bounds of the whole."""

from __future__ import annotations

import time
from typing import Any, Final

from hybrid.core.conflict import KEPT_BYTES, KEPT_ENTRIES, KEPT_S, Conflict
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.state import ABSENT, Absent, KeyState, differences, plan_put
from hybrid.errors import HybridError
from hybrid.replication.copy import temporary_key
from hybrid.stores.capabilities import Capabilities
from hybrid.stores.wire import Wire

__all__ = ["archive_command", "put_of", "same", "trim_archive"]

WHOLE_BYTES: Final = 256 * 1024 * 1024
"""A value is archived in one piece, so its commands are not cut into chunks before this."""


def archive_command(names: Names, conflict: Conflict) -> bytes:
    """The packed command that adds a conflict to the archive (its id is the server's choice)."""
    return pack(("XADD", names.conflicts, "MAXLEN", "~", KEPT_ENTRIES, "*", *conflict.fields))


def trim_archive(wire: Wire, names: Names) -> None:
    """Drop what is too old, and the oldest quarter again and again while the archive is too large."""
    bound: tuple[Any, ...] = ("MINID", "~", int((time.time() - KEPT_S) * 1000))
    while True:
        asked = ("XTRIM", names.conflicts, *bound), ("MEMORY", "USAGE", names.conflicts, "SAMPLES", 0)
        trimmed, size, length = wire.exchange(b"".join(map(pack, (*asked, ("XLEN", names.conflicts)))), 3)
        if isinstance(trimmed, Exception):
            raise HybridError(str(trimmed))
        if not isinstance(size, int) or size <= KEPT_BYTES or length <= 1:
            return
        bound = ("MAXLEN", length * 3 // 4)


def put_of(key: bytes, state: KeyState | Absent, can: Capabilities) -> bytes:
    """The commands that put the state, packed one after the other."""
    plan = plan_put(
        key,
        state,
        temporary_key(key),
        WHOLE_BYTES,
        field_ttl=can.has_field_ttl,
        stream_counters=can.has_stream_counters,
    )
    return b"".join(pack(command) for group in plan for command in group)


def same(a: KeyState | Absent, b: KeyState | Absent) -> bool:
    """Whether the two states are equal, as a comparison of the stores sees it."""
    if a is ABSENT or b is ABSENT:
        return a is b
    assert isinstance(a, KeyState) and isinstance(b, KeyState)
    return not differences(a, b)
