"""Copy: put the state of a key of one store on the other. Idempotent, and used wherever replay is in doubt.

A state is read together with the position of the replication log at that very moment: entries for the key up to that
position are contained in the state and must be skipped. Keys of the usual sizes are read many at a time, each
transaction atomic; a big one is read in bounded chunks while WATCH proves that it stood still.

The connection must be the caller's alone while it is used here: transactions clear any WATCH it holds.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import redis

from hybrid.core.put_plan import ABANDONED_S
from hybrid.core.resp import pack
from hybrid.core.slots import tag_of
from hybrid.core.state import ABSENT, Absent, KeyState, Unsupported, plan_put
from hybrid.core.state_replies import GONE, JSON_KINDS, body_of, expiry_ms, hash_of, log_position
from hybrid.errors import HybridError
from hybrid.replication.big_read import read_in_chunks
from hybrid.stores.capabilities import Capabilities, capabilities_of, forget_capabilities
from hybrid.stores.exchange import Command, RedisConnection, exchange, transact, transact_all

__all__ = [
    "LOG_KEY",
    "Snapshot",
    "put_commands",
    "put_states",
    "read_in_parts",
    "read_state",
    "read_states",
    "temporary_key",
]

LOG_KEY = b"hybrid:log"
BATCH_KEYS = 5000
BIG_BYTES = 64 * 1024
TRANSACTION_WORK = 4 * BIG_BYTES
"""What is read in one command, and in one transaction: more would hold the server for longer than a few milliseconds.
In bytes of elements; a string is one element, copied sixteen times as fast, and finding a key takes as long as 512."""
STRING_EASE = 16
KEY_WORK = 512
ROUND_TRIP_BYTES = 4 * 1024 * 1024  # of replies: Upstash stops at 10 MB
CHUNKED_TRIES = 3
TRIES = 20

Snapshot: TypeAlias = tuple[KeyState | Absent, bytes]
"""A state, and the id of the last log entry that it contains (b"0-0" without a log)."""


class Shape(NamedTuple):
    """What is learned of a key before it is read; `size_bytes` is the server's estimate."""

    key: bytes
    kind: bytes
    size_bytes: int

    @property
    def work(self) -> int:
        """What reading the key costs the server, in bytes of elements."""
        return KEY_WORK + (self.size_bytes // STRING_EASE if self.kind == b"string" else self.size_bytes)


def read_state(connection: RedisConnection, key: bytes, *, log_key: bytes = LOG_KEY) -> Snapshot:
    """As `read_states`, of one key: two round trips, unless it is big or changes its type meanwhile."""
    return read_states(connection, [key], log_key=log_key)[key]


def read_states(
    connection: RedisConnection, keys: Iterable[bytes], *, log_key: bytes = LOG_KEY
) -> dict[bytes, Snapshot]:
    """The state of every key, each with the log position at the moment of its reading.

    Takes four commands a key (TYPE, MEMORY USAGE, the value, the expiry), two round trips for each 5,000 keys or 4 MB.
    Strings over 1 MB and other keys over 64 KB are read one by one in chunks; one that never stands still is read in
    one piece after three tries, a hash whose fields may expire from a copy that the server makes.

    Raises `redis.ConnectionError` or `redis.TimeoutError` when the connection fails, `redis.ResponseError` when the
    server refuses to read, `HybridError` when a key changes its type faster than it can be read.
    """
    snapshots: dict[bytes, Snapshot] = {}
    for part in read_in_parts(connection, keys, log_key=log_key):
        snapshots.update(part)
    return snapshots


def read_in_parts(
    connection: RedisConnection, keys: Iterable[bytes], *, log_key: bytes = LOG_KEY
) -> Iterator[dict[bytes, Snapshot]]:
    """As `read_states`, a few megabytes or one big key at a time, in no order."""
    capabilities = capabilities_of(connection)
    waiting = list(dict.fromkeys(keys))
    try:
        for start in range(0, len(waiting), BATCH_KEYS):
            yield from read_batch(connection, waiting[start : start + BATCH_KEYS], log_key, capabilities)
    except redis.ResponseError:
        forget_capabilities(connection)  # perhaps another server answers at this address now
        raise


def read_batch(
    connection: RedisConnection, keys: Sequence[bytes], log_key: bytes, capabilities: Capabilities
) -> Iterator[dict[bytes, Snapshot]]:
    waiting = keys
    for _ in range(TRIES):
        shapes = read_shapes(connection, waiting, capabilities)
        read: set[bytes] = set()
        for shape in shapes:
            if shape.work > BIG_BYTES and (snapshot := read_big(connection, shape, log_key, capabilities)):
                read.add(shape.key)
                yield {shape.key: snapshot}
                del snapshot
        whole = [shape for shape in shapes if shape.key not in read]
        for together in grouped(whole, lambda shape: shape.size_bytes, ROUND_TRIP_BYTES):
            groups = list(grouped(together, lambda shape: shape.work, TRANSACTION_WORK))
            part = read_whole(connection, groups, log_key, capabilities)
            read.update(part)
            yield part
        waiting = [key for key in waiting if key not in read]
        if not waiting:
            return
    raise HybridError(f"key {waiting[0]!r} changed its type at every one of {TRIES} attempts to read it")


def read_shapes(connection: RedisConnection, keys: Sequence[bytes], capabilities: Capabilities) -> list[Shape]:
    commands: list[Command] = [(b"TYPE", key) for key in keys]
    if capabilities.has_memory_usage:
        commands += [(b"MEMORY", b"USAGE", key) for key in keys]
    replies = exchange(connection, commands)
    kinds, sizes = replies[: len(keys)], replies[len(keys) :] or [0] * len(keys)
    for reply in replies:
        if isinstance(reply, redis.ResponseError):
            raise reply
    return [Shape(key, kind, size or 0) for key, kind, size in zip(keys, kinds, sizes, strict=True)]


def read_big(connection: RedisConnection, shape: Shape, log_key: bytes, capabilities: Capabilities) -> Snapshot | None:
    for _ in range(CHUNKED_TRIES):
        if snapshot := read_in_chunks(connection, shape.key, shape.kind, shape.size_bytes, log_key, capabilities):
            return snapshot
    if shape.kind == b"hash" and capabilities.has_field_ttl:
        return read_twin(connection, shape, log_key, capabilities)
    return None


def read_twin(connection: RedisConnection, shape: Shape, log_key: bytes, capabilities: Capabilities) -> Snapshot | None:
    """A hash that never stands still, from a copy that the server makes of it: that takes a tenth of the time for which
    a script that reads all of it, with the expiry of each field, would hold the server. None where none is made."""
    twin = temporary_key(shape.key)
    made: list[Command] = [(b"COPY", shape.key, twin), (b"EXPIRE", twin, ABANDONED_S)]
    made += [(b"PEXPIRETIME", shape.key), (b"XINFO", b"STREAM", log_key)]
    try:
        copied, _, moment, log = transact(connection, made) or (0, 0, 0, b"")
    except redis.ResponseError:
        return None  # no memory for it, perhaps
    if copied != 1:
        return None
    try:
        found = read_in_chunks(connection, twin, shape.kind, shape.size_bytes, log_key, capabilities)
    finally:
        exchange(connection, [(b"UNLINK", twin)])
    return (replace(found[0], expires_at_ms=expiry_ms(moment, None)), log_position(log)) if found else None


def grouped(shapes: Iterable[Shape], cost: Callable[[Shape], int], most: int) -> Iterator[list[Shape]]:
    """Neighbours that together cost no more than `most`, or a single key that does."""
    group: list[Shape] = []
    total = 0
    for shape in shapes:
        if group and total + cost(shape) > most:
            yield group
            group, total = [], 0
        group.append(shape)
        total += cost(shape)
    if group:
        yield group


# One script, because HPEXPIRETIME must name the fields: asked in two steps, a busy hash would never be read.
HASH_SCRIPT = b"""local pairs = redis.call('HGETALL', KEYS[1])
local moments, expires = {}, false
for first = 1, #pairs, 2000 do
  local fields = {}
  for i = first, math.min(first + 1998, #pairs - 1), 2 do fields[#fields + 1] = pairs[i] end
  for _, moment in ipairs(redis.call('HPEXPIRETIME', KEYS[1], 'FIELDS', #fields, unpack(fields))) do
    moments[#moments + 1] = moment
    expires = expires or moment ~= -1
  end
end
return expires and {pairs, moments} or {pairs}"""

WHOLE_READS: dict[bytes, tuple[bytes, tuple[bytes, ...]]] = {
    b"none": (b"TYPE", ()),
    b"string": (b"GET", ()),
    b"hash": (b"HGETALL", ()),
    b"list": (b"LRANGE", (b"0", b"-1")),
    b"set": (b"SMEMBERS", ()),
    b"zset": (b"ZRANGE", (b"0", b"-1", b"WITHSCORES")),
}


def whole_read(shape: Shape, capabilities: Capabilities) -> Command:
    """The command that reads all of the key. TYPE proves absence; an unknown type is read by DUMP."""
    if shape.kind == b"hash" and capabilities.has_field_ttl:
        return (b"EVAL", HASH_SCRIPT, b"1", shape.key)
    if shape.kind == b"stream":
        return (b"XINFO", b"STREAM", shape.key, b"FULL", b"COUNT", b"0")
    if shape.kind in JSON_KINDS and capabilities.has_json:
        return (b"JSON.GET", shape.key)
    name, options = WHOLE_READS.get(shape.kind, (b"DUMP", ()))
    return (name, shape.key, *options)


def read_whole(
    connection: RedisConnection, groups: Sequence[Sequence[Shape]], log_key: bytes, capabilities: Capabilities
) -> dict[bytes, Snapshot]:
    """A transaction for each group, in one round trip. A key that changed its type since its shape was learned is left
    out of the answer."""
    expiry = b"PEXPIRETIME" if capabilities.has_pexpiretime else b"PTTL"
    reads = {shape.key: whole_read(shape, capabilities) for group in groups for shape in group}
    rest: list[Command] = [(b"XINFO", b"STREAM", log_key), *([] if capabilities.has_pexpiretime else [(b"TIME",)])]
    asked = [
        [*(reads[shape.key] for shape in group), *((expiry, shape.key) for shape in group), *rest] for group in groups
    ]
    snapshots: dict[bytes, Snapshot] = {}
    for group, replies in zip(groups, transact_all(connection, asked), strict=True):
        if replies is None:
            continue
        count = len(group)
        log, *clock = replies[2 * count :]
        now = clock[0] if clock else None
        for shape, reply, moment in zip(group, replies, replies[count : 2 * count], strict=False):
            # A server that does not stop its clock for a transaction may let the key expire behind its value.
            is_gone = moment == GONE
            state = ABSENT if is_gone else state_from(shape.kind, reads[shape.key][0], reply, expiry_ms(moment, now))
            if state is not None:
                snapshots[shape.key] = (state, log_position(log))
    return snapshots


def state_from(kind: bytes, read: bytes, reply: Any, expires_at_ms: int | None) -> KeyState | Absent | None:
    """None when the key is of another type now."""
    if read == b"DUMP":
        if reply is None:
            return ABSENT
        dump = None if isinstance(reply, redis.ResponseError) else reply
        return KeyState(kind.decode(), expires_at_ms, Unsupported(dump))
    if isinstance(reply, redis.ResponseError):
        if "no such key" in str(reply):  # what XINFO says of a stream that is gone
            return ABSENT
        if str(reply).startswith("WRONGTYPE"):
            return None
        raise reply
    if read == b"TYPE":
        return ABSENT if reply == kind else None
    body = hash_of(reply) if read == b"EVAL" else body_of(kind, reply)
    if body is None:
        return ABSENT
    return KeyState("json" if kind in JSON_KINDS else kind.decode(), expires_at_ms, body)


def temporary_key(key: bytes) -> bytes:
    """A fresh name under `hybrid:tmp:` in which a large value is built before it is renamed to `key`: in the same slot,
    or a cluster could not do that."""
    return b"hybrid:tmp:%b{%b}" % (secrets.token_hex(8).encode(), tag_of(key))


def put_commands(
    key: bytes, state: KeyState | Absent, can: Capabilities, temporary: bytes | None = None
) -> list[list[bytes]]:
    """Packed commands that give `key` its state, in groups that are transactions; a large value takes several, and is
    in place with the last one."""
    features = {"field_ttl": can.has_field_ttl, "stream_counters": can.has_stream_counters}
    groups = plan_put(key, state, temporary or temporary_key(key), **features)
    return [[pack(command) for command in group] for group in groups]


def put_states(connection: RedisConnection, states: Mapping[bytes, KeyState | Absent]) -> None:
    """Give every key its state on this store: small keys pipelined, large ones group by group.

    Raises as `read_states`, at the first command the server refuses; the keys before it are in place, and repeating
    the whole is safe. Raises `CommandRefused` before anything is sent when a state has no typed copy.
    """
    can = capabilities_of(connection)
    features = {"field_ttl": can.has_field_ttl, "stream_counters": can.has_stream_counters}
    temporary = {key: temporary_key(key) for key in states}
    plans = {key: plan_put(key, state, temporary[key], **features) for key, state in states.items()}
    for groups in round_trips(plan[0] for plan in plans.values() if len(plan) == 1):
        run_groups(connection, groups)
    for key, plan in plans.items():
        if len(plan) > 1:
            put_large(connection, plan, temporary[key])


def round_trips(groups: Iterable[list[list[bytes]]]) -> Iterator[list[list[list[bytes]]]]:
    """Groups to send together: many small ones, yet never much to hold in memory."""
    together: list[list[list[bytes]]] = []
    size = 0
    for group in groups:
        together.append(group)
        size += sum(sum(map(len, command)) for command in group)
        if len(together) == BATCH_KEYS or size > ROUND_TRIP_BYTES:
            yield together
            together, size = [], 0
    if together:
        yield together


def put_large(connection: RedisConnection, plan: list[list[list[bytes]]], temporary: bytes) -> None:
    try:
        for group in plan:
            run_groups(connection, [group])
    except redis.ResponseError:
        exchange(connection, [(b"UNLINK", temporary)])
        raise


def run_groups(connection: RedisConnection, groups: Iterable[list[list[bytes]]]) -> None:
    """Run groups of commands in one round trip, those of several commands as transactions."""
    commands: list[Command] = []
    for group in groups:
        commands += group if len(group) == 1 else [(b"MULTI",), *group, (b"EXEC",)]
    for reply in exchange(connection, commands):
        for part in reply if isinstance(reply, list) else (reply,):
            if isinstance(part, redis.ResponseError):
                raise part
