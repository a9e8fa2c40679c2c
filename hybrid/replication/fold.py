"""Bounds the log while the other store is away, see `hybrid.core.folding`."""

from __future__ import annotations

from typing import Any, Final

from hybrid.core.authority import position, position_text
from hybrid.core.folding import Folded
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.shipping import Field, groups
from hybrid.errors import HybridError
from hybrid.replication.growth import Length, measured
from hybrid.replication.lease import Lease
from hybrid.replication.opening import UNKNOWN_STREAM
from hybrid.replication.records import one, several
from hybrid.stores.wire import Wire

__all__ = ["LEAST_ENTRIES", "ask_folded", "fold", "folded", "step_entries"]

STEP_ENTRIES: Final = 1000
LEAST_ENTRIES: Final = 8
STEP_BYTES: Final = 2 * 1024 * 1024
"""What one step reads at most, about: one that takes longer than it takes until the lease is renewed does nothing."""

SCAN_FIELDS: Final = 1000
_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))


def step_entries(entries: int, size_bytes: int) -> int:
    """How many of the log's entries a step takes: a pipeline's entry is some hundred times as large as another one."""
    return Length(entries, size_bytes).share(STEP_BYTES, least=LEAST_ENTRIES, most=STEP_ENTRIES)


def fold(wire: Wire, names: Names, lease: Lease) -> int:
    """Fold the older half of the log; the result is how many entries that were.

    Step by step, each in a transaction that fails if somebody else has taken the lease: entries that a new shipper
    has not read yet must not vanish under it. Raises NotSent or ReplyLost.
    """
    entries, size_bytes = measured(wire, names)
    least, count, done = LEAST_ENTRIES, step_entries(entries, size_bytes), 0
    while done < entries // 2 and lease.goes_on():
        step = _step(wire, names, lease, count)
        if step is None and count < STEP_ENTRIES:
            least = count = min(count * 2, STEP_ENTRIES)  # the oldest transaction has more entries than that
            continue
        if step is None:
            break
        if not step:
            count = max(least, count // 2)
        done += step
    return done


def _step(wire: Wire, names: Names, lease: Lease, count: int) -> int | None:
    """How many entries were folded: none when the lease was renewed just then; None when there is nothing to fold any
    more, or somebody else has the lease."""
    payload = pack(("WATCH", names.lease)) + pack(("GET", names.lease))
    payload += pack(("XRANGE", names.log, "-", "+", "COUNT", count))
    _, holder, entries = wire.exchange(payload, 3)
    if not isinstance(entries, list) or holder != lease.holder.encode():
        wire.exchange(pack(("UNWATCH",)), 1)
        return None
    unfinished: list[Field] = []
    found = Folded()
    place = None
    for group in groups(entries, unfinished):
        found.add(group)
        place = group.place
    if place is None:
        wire.exchange(pack(("UNWATCH",)), 1)
        return None
    trim = pack(("XTRIM", names.log, "MINID", position_text((place[0], place[1] + 1))))
    # A stream that ended in order must not be taken up again as if all that is missing stood in the log.
    commands = [*found.stored(names), trim, pack(("SET", names.stream, UNKNOWN_STREAM))]
    replies = wire.exchange(b"".join((_MULTI, *commands, _EXEC)), len(commands) + 2)
    if isinstance(replies[-1], Exception):
        raise HybridError(f"the replication log cannot be folded: {replies[-1]}")
    return sum(position(entry_id) <= place for entry_id, _ in entries) if replies[-1] is not None else 0


def ask_folded(names: Names) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The commands that begin to read what was folded; their replies go to `folded`."""
    return _fields(names, b"0"), ("LRANGE", names.folded_commands, 0, -1)


def folded(wire: Wire, names: Names, replies: tuple[Any, Any] | None = None) -> Folded:
    """What was folded and not copied yet. Raises HybridError when the store refuses, NotSent or ReplyLost."""
    found = Folded()
    (cursor, flat), found.commands = replies or several(wire, *ask_folded(names))
    while True:
        found.load(zip(flat[::2], flat[1::2], strict=True))
        if cursor == b"0":
            return found
        cursor, flat = one(wire, *_fields(names, cursor))


def _fields(names: Names, cursor: bytes) -> tuple[Any, ...]:
    return ("HSCAN", names.folded, cursor, "COUNT", SCAN_FIELDS)
