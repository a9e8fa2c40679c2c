"""From the state of a key to the commands that make it so. Import it from `hybrid.core.state`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby

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
from hybrid.errors import CommandRefused

__all__ = ["check_field_ttl", "plan_put"]

CHUNK_BYTES = 512 * 1024
Command = list[bytes]


def plan_put(
    key: bytes,
    state: KeyState | Absent,
    temporary: bytes,
    chunk_bytes: int = CHUNK_BYTES,
    *,
    field_ttl: bool = True,
    stream_counters: bool = True,
) -> list[list[Command]]:
    """Groups of commands that give `key` this state on the target, whatever it held there. Idempotent as a whole.

    What stood there is unlinked rather than deleted: freeing a large value would hold the server.
    A group of several commands must run as one MULTI/EXEC. A state that fits in `chunk_bytes` is one group. A larger
    one fills `temporary` in groups of at most `chunk_bytes` (a single element may be larger) and is swapped in by the
    last group. Send that last group only when every reply before it was good: a RENAME that follows a refused chunk
    would put a truncated value in place. A failed plan is repeated from its first group, which clears `temporary`.

    `field_ttl` and `stream_counters` say what the target can do (`Capabilities.has_field_ttl`, `.has_stream_counters`);
    without them field expiries and counters are left out, as the target has nowhere to keep them.
    A module's type goes by its dump, which the target refuses if it cannot read it.
    Raises `CommandRefused` for a module's type without a dump.
    """
    if isinstance(state, Absent):
        return [[[b"UNLINK", key]]]
    expiry = [] if state.expires_at_ms is None else [[b"PEXPIREAT", key, b"%d" % state.expires_at_ms]]
    if isinstance(state.body, String) and len(state.body.value) <= chunk_bytes:
        until = [] if state.expires_at_ms is None else [b"PXAT", b"%d" % state.expires_at_ms]
        return [[[b"SET", key, state.body.value, *until]]]
    if isinstance(state.body, Unsupported) and state.body.dump is not None:
        expires_at = b"%d" % (state.expires_at_ms or 0)
        return [[[b"RESTORE", key, expires_at, state.body.dump, b"REPLACE", b"ABSTTL"]]]
    direct = list(build(key, state, chunk_bytes, field_ttl, stream_counters))
    if sum(map(command_bytes, direct)) <= chunk_bytes:
        return [[[b"UNLINK", key], *direct, *expiry]]
    filling = [[b"UNLINK", temporary], *build(temporary, state, chunk_bytes, field_ttl, stream_counters)]
    return [*packed(filling, chunk_bytes), [[b"UNLINK", key], [b"RENAME", temporary, key], *expiry]]


def check_field_ttl(state: KeyState | Absent, *, field_ttl: bool) -> None:
    """Raise `CommandRefused` when a put would make fields of a hash eternal, because the target lets none expire."""
    body = state.body if isinstance(state, KeyState) else None
    if not field_ttl and isinstance(body, Hash) and body.field_expires_at_ms:
        raise CommandRefused("COPY", "fields of this hash expire one by one, which the other store cannot do")


def build(key: bytes, state: KeyState, chunk_bytes: int, field_ttl: bool, stream_counters: bool) -> Iterator[Command]:
    """Commands that create the body at a key that does not exist."""
    match state.body:
        case String(value=value):
            for start in range(0, len(value), chunk_bytes):
                yield [b"SETRANGE", key, b"%d" % start, value[start : start + chunk_bytes]]
        case Hash() as body:
            yield from variadic([b"HSET", key], body.fields.items(), chunk_bytes)
            if field_ttl:
                yield from field_expiries(key, body, chunk_bytes)
        case List(items=items):
            yield from variadic([b"RPUSH", key], ((item,) for item in items), chunk_bytes)
        case Set(members=members):
            yield from variadic([b"SADD", key], ((member,) for member in members), chunk_bytes)
        case ZSet(scores=scores):
            yield from variadic([b"ZADD", key], ((score, member) for member, score in scores.items()), chunk_bytes)
        case Stream() as stream:
            yield from stream_commands(key, stream, chunk_bytes, stream_counters)
        case Json(text=text):
            yield [b"JSON.SET", key, b"$", text]
        case _:
            raise CommandRefused("COPY", f"keys of type {state.kind} have no typed copy, and the server gives no dump")


def field_expiries(key: bytes, body: Hash, chunk_bytes: int) -> Iterator[Command]:
    """HPEXPIREAT names the number of its fields, so fields of one moment share a command."""
    by_moment = sorted((moment, field) for field, moment in body.field_expires_at_ms.items())
    for moment, fields in groupby(by_moment, key=lambda pair: pair[0]):
        for command in variadic([], ((field,) for _, field in fields), chunk_bytes):
            yield [b"HPEXPIREAT", key, b"%d" % moment, b"FIELDS", b"%d" % len(command), *command]


def stream_commands(key: bytes, stream: Stream, chunk_bytes: int, counters: bool) -> Iterator[Command]:
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
    ids = stream_ids(key, stream, counters)
    yield from ids
    for name, group in stream.groups.items():
        yield from group_commands(key, name, group, chunk_bytes, counters)
    if deleted:
        yield from deletions(key, deleted, stream)
        yield from ids  # the deletions have just moved the greatest deleted id


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


def stream_ids(key: bytes, stream: Stream, counters: bool) -> list[Command]:
    """XSETID, unless adding the entries alone leads to the same ids and counters."""
    natural_id = stream.entries[-1][0] if stream.entries else b"0-0"
    if counters and stream.entries_added is not None and stream.max_deleted_id is not None:
        if (stream.last_id, stream.entries_added, stream.max_deleted_id) == (natural_id, len(stream.entries), b"0-0"):
            return []
        added = [b"ENTRIESADDED", b"%d" % stream.entries_added]
        return [[b"XSETID", key, stream.last_id, *added, b"MAXDELETEDID", stream.max_deleted_id]]
    return [] if stream.last_id == natural_id else [[b"XSETID", key, stream.last_id]]


def group_commands(key: bytes, name: bytes, group: Group, chunk_bytes: int, counters: bool) -> Iterator[Command]:
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
        for ids in variadic([], ((entry[4],) for entry in entries), chunk_bytes):
            yield [b"XCLAIM", key, name, consumer, b"0", *ids, *options]


def variadic(head: Command, elements: Iterable[Sequence[bytes]], chunk_bytes: int) -> Iterator[Command]:
    """`head` followed by as many whole elements as fit, again and again; an element that never fits goes alone."""
    command, size = list(head), command_bytes(head)
    for element in elements:
        element_bytes = command_bytes(element)
        if len(command) > len(head) and size + element_bytes > chunk_bytes:
            yield command
            command, size = list(head), command_bytes(head)
        command.extend(element)
        size += element_bytes
    if len(command) > len(head):
        yield command


def packed(commands: Iterable[Command], chunk_bytes: int) -> Iterator[list[Command]]:
    """Commands in order, gathered into groups of at most `chunk_bytes`."""
    group: list[Command] = []
    size = 0
    for command in commands:
        if group and size + command_bytes(command) > chunk_bytes:
            yield group
            group, size = [], 0
        group.append(command)
        size += command_bytes(command)
    if group:
        yield group


ARGUMENT_BYTES = 100
"""What an argument costs beside its length: adding a member takes a server about as long as copying so many bytes, and
no command or transaction may hold it for more than a few milliseconds."""


def command_bytes(arguments: Sequence[bytes]) -> int:
    return sum(map(len, arguments)) + ARGUMENT_BYTES * len(arguments)
