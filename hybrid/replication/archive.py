"""The archive of conflicts as it stands on a store: a value in one piece, and the bounds of the whole."""

from __future__ import annotations

import time
from dataclasses import replace
from hashlib import blake2b
from typing import Any, Final

from hybrid.core.conflict import KEPT_BYTES, KEPT_ENTRIES, KEPT_S, Conflict, expires_at_ms
from hybrid.core.key_state import Stream, id_order
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.slots import tag_of
from hybrid.core.state import ABSENT, Absent, KeyState, differences, plan_put
from hybrid.errors import HybridError
from hybrid.replication.copy import temporary_key
from hybrid.stores.capabilities import Capabilities
from hybrid.stores.wire import Wire

__all__ = ["archive_command", "archives_united", "fitted", "logged", "put_of", "same", "trim_archive"]

NO_ENTRIES: Final = Stream(entries=(), last_id=b"0-0", entries_added=None, max_deleted_id=None, groups={})

WHOLE_BYTES: Final = 256 * 1024 * 1024
"""A value is archived in one piece, so its commands are not cut into chunks before this."""

ENTRY_BYTES: Final = 8 * 1024 * 1024
"""What an entry holds at most: Upstash takes 10 MB in a request, and gives no more in a reply."""


def fitted(conflict: Conflict, occasion: bytes) -> tuple[Conflict, list[bytes]]:
    """The conflict as an entry can hold it. Of a value that lost and is too large for that, it says how to have it back
    from a key of its own, into which the packed commands put it, on the store that holds it; the same conflict gets the
    same key at each `occasion`. The value that is live is left out where both together are too large."""
    aside: list[bytes] = []
    if len(conflict.lost.value) > ENTRY_BYTES:
        key, ends_at_ms = conflict.key, expires_at_ms(conflict.lost.value)
        name = blake2b(b"%b %b" % (occasion, key), digest_size=8).hexdigest().encode()
        apart = b"hybrid:lost:%b{%b}" % (name, tag_of(key))
        expiry = pack(("PERSIST", key) if ends_at_ms is None else ("PEXPIREAT", key, ends_at_ms))
        lost = replace(conflict.lost, value=pack(("COPY", apart, key, "REPLACE")) + expiry)
        conflict = replace(conflict, lost=lost)
        aside = [pack(("COPY", key, apart, "REPLACE")), pack(("PEXPIRE", apart, int(KEPT_S * 1000)))]
    if conflict.size_bytes > ENTRY_BYTES:
        conflict = replace(conflict, kept=replace(conflict.kept, value=b""))
    return conflict, aside


def archive_command(names: Names, conflict: Conflict) -> bytes:
    """The packed command that adds a conflict to the archive (its id is the server's choice)."""
    return pack(("XADD", names.conflicts, "MAXLEN", "~", KEPT_ENTRIES, "*", *conflict.fields))


def logged(names: Names, key: bytes) -> tuple[Any, ...]:
    """The command by which a key goes to the other store by its state, as the archive does."""
    return ("XADD", names.log, "*", "s", key)


def archives_united(names: Names, ours: KeyState | Absent, theirs: KeyState | Absent, *, removes: bool) -> list[bytes]:
    """The packed commands that give the archive `theirs` what only `ours` holds, with its time where that is the later
    one, and log that; none if there is nothing to do. `removes`: and take from it what only `theirs` holds."""
    mine, others = _archived(ours).entries, _archived(theirs).entries
    known, kept = {fields for _, fields in others}, {fields for _, fields in mine}
    missing = [entry for entry in mine if entry[1] not in known]
    gone = [entry_id for entry_id, fields in others if fields not in kept] if removes else []
    commands = [("XDEL", names.conflicts, *gone)] if gone else []
    for entry_id, fields in missing:
        place = entry_id if id_order(missing[0][0]) > id_order(_archived(theirs).last_id) else b"*"
        commands.append(("XADD", names.conflicts, place, *fields))
    return [pack(command) for command in (*commands, logged(names, names.conflicts))] if commands else []


def _archived(archive: KeyState | Absent) -> Stream:
    body = archive.body if isinstance(archive, KeyState) else None
    return body if isinstance(body, Stream) else NO_ENTRIES


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
