"""Read one big key in bounded chunks, and prove that it stood still meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import redis

from hybrid.core.state import Body, Group, Hash, KeyState, List, Pending, Set, Stream, String, ZSet
from hybrid.core.state_replies import GONE, Reply, expiry_ms, group_of, log_position, now_ms, pairs, stream_with
from hybrid.core.work import CHUNK_BYTES, READ_ELEMENTS
from hybrid.stores.capabilities import Capabilities
from hybrid.stores.exchange import Command, RedisConnection, exchange, transact

__all__ = ["read_in_chunks"]

NO_LIMIT = b"1000000000"
PAGES_TOGETHER = 3
"""Of a value that can be read by its places: the server may work them off in a row."""

COUNTS = {
    b"string": b"STRLEN",
    b"hash": b"HLEN",
    b"list": b"LLEN",
    b"set": b"SCARD",
    b"zset": b"ZCARD",
    b"stream": b"XLEN",
}


class Source(NamedTuple):
    """A key to read; `page` is the number of elements (bytes of a string) in one chunk."""

    connection: RedisConnection
    key: bytes
    has_field_ttl: bool
    length: int
    page: int

    def ask(self, name: bytes, *arguments: bytes | int) -> Any:
        """The reply to one command on the key; raises `redis.ResponseError`."""
        return ask(self.connection, name, self.key, *arguments)


def read_in_chunks(
    connection: RedisConnection,
    key: bytes,
    kind: bytes,
    size_bytes: int,
    log_key: bytes,
    capabilities: Capabilities,
    *,
    entries: bool = True,
) -> tuple[KeyState, bytes] | None:
    """The state and its log position; None when the key moved meanwhile, or its type can only be read whole. Without
    `entries` a stream is read but for these."""
    if kind not in COUNTS:
        return None
    ask(connection, b"WATCH", key)
    try:
        count = ask(connection, COUNTS[kind], key)
        source = Source(connection, key, capabilities.has_field_ttl, count, page_of(kind.decode(), count, size_bytes))
        body, group_names = read_body(source, kind, entries)
    except redis.ResponseError:  # another type by now; a lasting refusal shows when the key is read whole
        ask(connection, b"UNWATCH")
        return None
    expiry = b"PEXPIRETIME" if capabilities.has_pexpiretime else b"PTTL"
    proof: list[Command] = [(expiry, key), (b"XINFO", b"STREAM", log_key), (b"TIME",)]
    if kind == b"stream":
        proof += group_reads(key, group_names)
    replies = transact(connection, proof)
    if replies is None:
        return None
    moment, log, now, *about_groups = replies
    if moment == GONE:
        return None
    if isinstance(body, Stream):
        groups = groups_from(about_groups, group_names, now_ms(now))
        if groups is None:
            return None
        body = stream_with(pairs(about_groups[0]), body.entries, groups)
    expires_at_ms = expiry_ms(moment, None if capabilities.has_pexpiretime else now)
    return KeyState(kind.decode(), expires_at_ms, body), log_position(log)


def page_of(kind: str, count: int, size_bytes: int) -> int:
    """How many of the `count` elements (bytes of a string) to ask for at a time; all of them take `size_bytes`."""
    if kind == "string":
        return CHUNK_BYTES
    return max(1, min(READ_ELEMENTS[kind], CHUNK_BYTES * count // max(1, size_bytes)))


def read_body(source: Source, kind: bytes, with_entries: bool) -> tuple[Body, list[bytes]]:
    """The body, and the names of a stream's groups, which themselves are read at the very end."""
    match kind:
        case b"string":
            return String(b"".join(parts(source, b"GETRANGE"))), []
        case b"list":
            return List(tuple(chain.from_iterable(parts(source, b"LRANGE")))), []
        case b"set":
            return Set(frozenset(member for part in scan(source, b"SSCAN") for member in part)), []
        case b"zset":
            return ZSet({member: score for part in scan(source, b"ZSCAN") for member, score in pairs(part).items()}), []
        case b"hash":
            return read_hash(source), []
        case _:
            names = [pairs(group)[b"name"] for group in ask(source.connection, b"XINFO", b"GROUPS", source.key)]
            read = read_entries(source) if with_entries else ()
            return Stream(tuple((entry_id, tuple(fields)) for entry_id, fields in read), b"0-0", None, None, {}), names


def parts(source: Source, name: bytes) -> Iterator[Any]:
    """All of a string or a list; a few pages in each round trip."""
    step = source.page * PAGES_TOGETHER
    for first in range(0, source.length, step):
        starts = range(first, min(first + step, source.length), source.page)
        asked = [(name, source.key, b"%d" % start, b"%d" % (start + source.page - 1)) for start in starts]
        for reply in exchange(source.connection, asked):
            if isinstance(reply, redis.ResponseError):
                raise reply
            yield reply


def scan(source: Source, name: bytes) -> Iterator[Reply]:
    """Parts of a collection. A member may come twice, but one that stood still is never left out."""
    cursor = b"0"
    while True:
        cursor, part = source.ask(name, cursor, b"COUNT", source.page)
        yield part
        if cursor == b"0":
            return


def read_hash(source: Source) -> Hash:
    fields: dict[bytes, bytes] = {}
    moments: dict[bytes, int] = {}
    for part in scan(source, b"HSCAN"):
        some = pairs(part)
        if some and source.has_field_ttl:
            reply = source.ask(b"HPEXPIRETIME", b"FIELDS", len(some), *some)
            for field, moment in zip(list(some), reply, strict=True):
                if moment >= 0:
                    moments[field] = moment
                elif moment != -1:  # expired since the scan: WATCH does not notice that, and kept it would never expire
                    del some[field]
        fields |= some
    return Hash(fields, moments)


def read_entries(source: Source) -> Iterator[Reply]:
    start = b"-"
    while entries := source.ask(b"XRANGE", start, b"+", b"COUNT", source.page):
        yield from entries
        start = b"(" + entries[-1][0]


def group_reads(key: bytes, names: list[bytes]) -> list[Command]:
    """Groups are read within the last transaction, because WATCH sees no delivery, claim or acknowledgement."""
    reads: list[Command] = [(b"XINFO", b"STREAM", key), (b"XINFO", b"GROUPS", key)]
    for name in names:
        reads.append((b"XINFO", b"CONSUMERS", key, name))
        reads.append((b"XPENDING", key, name, b"-", b"+", NO_LIMIT))
    return reads


def groups_from(replies: list[Reply], names: list[bytes], now: int) -> dict[bytes, Group] | None:
    """Out of the replies to `group_reads`; None when groups came or went."""
    if any(isinstance(reply, redis.ResponseError) for reply in replies):
        return None
    about = {group[b"name"]: group for group in map(pairs, replies[1])}
    if about.keys() != set(names):
        return None
    groups = {}
    for name, consumers, pending in zip(names, replies[2::2], replies[3::2], strict=True):
        deliveries = (Pending(entry_id, owner, now - idle_ms, count) for entry_id, owner, idle_ms, count in pending)
        groups[name] = group_of(about[name], consumers, deliveries)
    return groups


def ask(connection: RedisConnection, *command: bytes | int) -> Any:
    [reply] = exchange(connection, [[b"%d" % part if isinstance(part, int) else part for part in command]])
    if isinstance(reply, redis.ResponseError):
        raise reply
    return reply
