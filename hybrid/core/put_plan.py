"""From the state of a key to the commands that make it so. Import it from `hybrid.core.state`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Final, TypeVar

from hybrid.core.key_state import (
    Absent,
    Group,
    Hash,
    Json,
    KeyState,
    List,
    Set,
    Stream,
    String,
    Unsupported,
    ZSet,
    id_order,
)
from hybrid.core.work import STEP_WORK, command_work
from hybrid.errors import CommandRefused

__all__ = ["ABANDONED_S", "check_field_ttl", "plan_put"]

_Item = TypeVar("_Item")

Command = list[bytes]

ABANDONED_S: Final = b"86400"
"""What a process that is killed leaves behind goes by itself; no value takes a day to copy."""

GROWING: Final = 2
"""A table that grows takes its elements more slowly, most of all while the server has a child that saves."""


def plan_put(
    key: bytes,
    state: KeyState | Absent,
    temporary: bytes,
    most_work: int = STEP_WORK,
    *,
    field_ttl: bool = True,
    stream_counters: bool = True,
) -> list[list[Command]]:
    """Groups of commands that give `key` this state on the target, whatever it held there. Idempotent as a whole.

    What stood there is unlinked rather than deleted: freeing a large value would hold the server.
    A group of several commands must run as one MULTI/EXEC. A state that takes no more than `most_work` (see
    `hybrid.core.work`) is one group. A larger one fills `temporary` in groups of half of that (a single element may be
    larger) and is swapped in by the last group. Send that last group only when every reply before it was good: a RENAME
    that follows a refused chunk would put a truncated value in place. A failed plan is repeated from its first group,
    which clears `temporary`.

    `field_ttl` and `stream_counters` say what the target can do (`Capabilities.has_field_ttl`, `.has_stream_counters`);
    without them field expiries and counters are left out, as the target has nowhere to keep them.
    A module's type goes by its dump, which the target refuses if it cannot read it.
    Raises `CommandRefused` for a module's type without a dump.
    """
    if isinstance(state, Absent):
        return [[[b"UNLINK", key]]]
    expiry = [] if state.expires_at_ms is None else [[b"PEXPIREAT", key, b"%d" % state.expires_at_ms]]
    if isinstance(state.body, String) and len(state.body.value) <= most_work:
        until = [] if state.expires_at_ms is None else [b"PXAT", b"%d" % state.expires_at_ms]
        return [[[b"SET", key, state.body.value, *until]]]
    if isinstance(state.body, Unsupported) and state.body.dump is not None:
        expires_at = b"%d" % (state.expires_at_ms or 0)
        return [[[b"RESTORE", key, expires_at, state.body.dump, b"REPLACE", b"ABSTTL"]]]
    direct: list[Command] = []
    work = 0
    for command in build(key, state, most_work, field_ttl, stream_counters):
        direct.append(command)
        work += command_work(command)
        if work > most_work:
            break
    else:
        return [[[b"UNLINK", key], *direct, *expiry]]
    step = max(1, most_work // GROWING)
    first, *rest = build(temporary, state, step, field_ttl, stream_counters)
    last: list[Command] = []
    if rest and rest[-1][0] == b"HPEXPIREAT":
        # Were all fields of the temporary key to expire before it is renamed, it would be gone, and the RENAME refused.
        name, _, *fields = rest.pop()
        last = [[name, key, *fields]]
    filling = [[b"UNLINK", temporary], first, [b"EXPIRE", temporary, ABANDONED_S], *rest]
    swap = [[b"UNLINK", key], [b"RENAME", temporary, key], *last, *(expiry or [[b"PERSIST", key]])]
    return [*packed(filling, step), swap]


def check_field_ttl(state: KeyState | Absent, *, field_ttl: bool) -> None:
    """Raise `CommandRefused` when a put would make fields of a hash eternal, because the target lets none expire."""
    body = state.body if isinstance(state, KeyState) else None
    if not field_ttl and isinstance(body, Hash) and body.field_expires_at_ms:
        raise CommandRefused("COPY", "fields of this hash expire one by one, which the other store cannot do")


def build(key: bytes, state: KeyState, most_work: int, field_ttl: bool, stream_counters: bool) -> Iterator[Command]:
    """Commands that create the body at a key that does not exist."""
    match state.body:
        case String(value=value):
            for start in range(0, len(value), most_work):
                yield [b"SETRANGE", key, b"%d" % start, value[start : start + most_work]]
        case Hash() as body:
            yield from ([b"HSET", key, *run] for run in runs(b"HSET", body.fields.items(), most_work))
            if field_ttl:
                yield from field_expiries(key, body, most_work)
        case List(items=items):
            yield from ([b"RPUSH", key, *run] for run in runs(b"RPUSH", ((item,) for item in items), most_work))
        case Set(members=members):
            yield from ([b"SADD", key, *run] for run in runs(b"SADD", ((member,) for member in members), most_work))
        case ZSet(scores=scores):
            pairs = ((score, member) for member, score in scores.items())
            yield from ([b"ZADD", key, *run] for run in runs(b"ZADD", pairs, most_work))
        case Stream() as stream:
            yield from stream_commands(key, stream, most_work, stream_counters)
        case Json(text=text):
            yield [b"JSON.SET", key, b"$", text]
        case _:
            raise CommandRefused("COPY", f"keys of type {state.kind} have no typed copy, and the server gives no dump")


def field_expiries(key: bytes, body: Hash, most_work: int) -> Iterator[Command]:
    """HPEXPIREAT names the number of its fields, so fields of one moment share a command."""
    by_moment = sorted((moment, field) for field, moment in body.field_expires_at_ms.items())
    for moment, fields in groupby(by_moment, key=lambda pair: pair[0]):
        for run in runs(b"HPEXPIREAT", ((field,) for _, field in fields), most_work):
            yield [b"HPEXPIREAT", key, b"%d" % moment, b"FIELDS", b"%d" % len(run), *run]


def stream_commands(key: bytes, stream: Stream, most_work: int, counters: bool) -> Iterator[Command]:
    """Entries, then the stream's own ids, then its groups.

    XCLAIM FORCE ignores an id that is not in the stream (Redis >= 7), yet an entry deleted while pending stays pending:
    such an entry is added empty and deleted again once it is claimed.
    """
    present = {entry_id for entry_id, _ in stream.entries}
    deleted = {pending.entry_id for group in stream.groups.values() for pending in group.pending} - present
    everything = sorted(chain(stream.entries, ((gone, (b"", b"")) for gone in deleted)), key=lambda e: id_order(e[0]))
    if not everything:  # only MKSTREAM makes a stream that never had an entry
        yield [b"XGROUP", b"CREATE", key, b"hybrid", b"0", b"MKSTREAM"]
        yield [b"XGROUP", b"DESTROY", key, b"hybrid"]
    for entry_id, fields in everything:
        yield [b"XADD", key, entry_id, *fields]
    yield from stream_ids(key, stream, len(everything), counters)
    for name, group in stream.groups.items():
        yield from group_commands(key, name, group, most_work, counters)
    if deleted:
        yield from deletions(key, deleted, stream)
        # The deletions have just moved the greatest deleted id, and those entries do not always count as added: a
        # stream out of a snapshot of Redis 6.2 counts what it holds.
        yield from stream_ids(key, stream, len(everything), counters, final=True)


def deletions(key: bytes, deleted: set[bytes], stream: Stream) -> Iterator[Command]:
    """Trim what lies before the first entry: unlike XDEL, a trim does not count as the stream's greatest deleted id."""
    if not stream.entries:
        yield [b"XTRIM", key, b"MAXLEN", b"0"]
        return
    first = stream.entries[0][0]
    inside = [gone for gone in deleted if id_order(gone) > id_order(first)]
    if len(inside) < len(deleted):
        yield [b"XTRIM", key, b"MINID", first]
    if inside:
        yield [b"XDEL", key, *inside]


def stream_ids(key: bytes, stream: Stream, added: int, counters: bool, *, final: bool = False) -> list[Command]:
    """XSETID, unless adding `added` entries alone leads to the same ids and counters. Before the `final` one the count
    is not less than that, or the server refuses it."""
    natural_id = stream.entries[-1][0] if stream.entries else b"0-0"
    if counters and stream.entries_added is not None and stream.max_deleted_id is not None:
        count = stream.entries_added if final else max(stream.entries_added, added)
        if not final and (stream.last_id, count, stream.max_deleted_id) == (natural_id, added, b"0-0"):
            return []
        return [
            [b"XSETID", key, stream.last_id, b"ENTRIESADDED", b"%d" % count, b"MAXDELETEDID", stream.max_deleted_id]
        ]
    return [] if stream.last_id == natural_id else [[b"XSETID", key, stream.last_id]]


def group_commands(key: bytes, name: bytes, group: Group, most_work: int, counters: bool) -> Iterator[Command]:
    """XCLAIM creates its consumer and, without LASTID, leaves the group's last delivered id alone."""
    read = [b"ENTRIESREAD", b"%d" % group.entries_read] if counters and group.entries_read is not None else []
    yield [b"XGROUP", b"CREATE", key, name, group.last_delivered_id, *read]
    for consumer in sorted(group.consumers - {pending.consumer for pending in group.pending}):
        yield [b"XGROUP", b"CREATECONSUMER", key, name, consumer]
    deliveries = sorted(
        (entry.consumer, entry.delivered_at_ms, entry.delivery_count, id_order(entry.entry_id), entry.entry_id)
        for entry in group.pending
    )
    for (consumer, at_ms, count), entries in groupby(deliveries, key=lambda delivery: delivery[:3]):
        options = [b"TIME", b"%d" % at_ms, b"RETRYCOUNT", b"%d" % count, b"FORCE", b"JUSTID"]
        for ids in runs(b"XCLAIM", ((entry[4],) for entry in entries), most_work):
            yield [b"XCLAIM", key, name, consumer, b"0", *ids, *options]


def runs(name: bytes, elements: Iterable[Sequence[bytes]], most_work: int) -> Iterator[Command]:
    """Arguments for the command `name`: as many whole elements as it may carry, again and again; an element that never
    fits goes alone."""
    for run in _gathered(elements, lambda element: command_work(element, name), most_work):
        yield list(chain.from_iterable(run))


def packed(commands: Iterable[Command], most_work: int) -> Iterator[list[Command]]:
    """Commands in order, gathered into groups of at most `most_work`."""
    return _gathered(commands, command_work, most_work)


def _gathered(items: Iterable[_Item], work_of: Callable[[_Item], int], most_work: int) -> Iterator[list[_Item]]:
    """Items in order, as many together as are worth `most_work`; one that is worth more goes alone."""
    group: list[_Item] = []
    work = 0
    for item in items:
        its_work = work_of(item)
        if group and work + its_work > most_work:
            yield group
            group, work = [], 0
        group.append(item)
        work += its_work
    if group:
        yield group
