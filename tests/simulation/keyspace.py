"""The data of a simulated server, and the commands that the library and the workload use on it.

Replies are Python values: int, bytes, None, list, `Status`, and `Error` for what a server would refuse.
`test_keyspace.py` compares them with a real server's.
"""

from __future__ import annotations

import copy
import pickle
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["COMMANDS", "Error", "Keyspace", "Status", "Stream", "Value"]

Id = tuple[int, int]


class Status(bytes):
    """A simple string."""


class Error(Exception):
    """An error reply."""


OK: Final = Status(b"OK")
WRONG: Final = "WRONGTYPE Operation against a key holding the wrong kind of value"
EMPTY: Final[dict[str, Callable[[], Any]]] = {
    "string": bytes, "list": list, "set": dict, "hash": dict, "zset": dict, "stream": lambda: Stream(),
}  # fmt: skip


@dataclass
class Stream:
    entries: list[tuple[Id, list[bytes]]] = field(default_factory=list)
    last: Id = (0, 0)
    added: int = 0


@dataclass
class Value:
    """What a key holds: bytes, list, dict (of a set: with None) or Stream."""

    kind: str
    body: Any
    expires_at_ms: int | None = None


class Keyspace:
    """`clock_ms` is the server's clock; `touched` is called with each key that changes."""

    def __init__(self, clock_ms: Callable[[], int], touched: Callable[[bytes], None] = lambda _: None) -> None:
        self.values: dict[bytes, Value] = {}
        self.now_ms = 0
        self._clock_ms = clock_ms
        self.touched = touched

    def run(self, args: list[bytes]) -> Any:
        """One data command. Raises Error."""
        self.now_ms = self._clock_ms()
        self.expire()
        name = args[0].upper().decode(errors="replace")
        command = COMMANDS.get(name)
        if command is None:
            raise Error(f"ERR unknown command '{name}'")
        try:
            return command(self, *args[1:])
        except TypeError as error:
            if "positional argument" not in str(error):
                raise
            raise Error(f"ERR wrong number of arguments for '{name.lower()}' command") from None

    def expire(self) -> None:
        for key, value in list(self.values.items()):
            if value.expires_at_ms is not None and value.expires_at_ms <= self.now_ms:
                self.delete(key)

    def snapshot(self) -> dict[bytes, Value]:
        return copy.deepcopy(self.values)

    # -- helpers of the commands

    def of(self, key: bytes, kind: str) -> Any:
        """The body, an empty one without the key. Raises Error for another type."""
        value = self.values.get(key)
        if value is None:
            return EMPTY[kind]()
        if value.kind != kind:
            raise Error(WRONG)
        return value.body

    def keep(self, key: bytes, kind: str, body: Any) -> None:
        """Store a changed body, keeping the expiry; an empty collection is no key."""
        if not body and kind not in ("string", "stream"):
            self.values.pop(key, None)
        elif key in self.values:
            self.values[key].body = body
        else:
            self.values[key] = Value(kind, body)
        self.touched(key)

    def delete(self, key: bytes) -> bool:
        if self.values.pop(key, None) is None:
            return False
        self.touched(key)
        return True


COMMANDS: dict[str, Callable[..., Any]] = {}


def command(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            COMMANDS[name] = function
        return function

    return add


def integer(value: bytes) -> int:
    if not re.fullmatch(rb"0|-?[1-9]\d{0,18}", value):
        raise Error("ERR value is not an integer or out of range")
    return int(value)


def number_text(value: float) -> bytes:
    return b"%d" % value if value == int(value) else b"%.17g" % value


# -- keys


@command("TYPE")
def type_(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    return Status(value.kind.encode() if value else b"none")


@command("EXISTS")
def exists(db: Keyspace, *keys: bytes) -> Any:
    return sum(key in db.values for key in keys)


@command("DEL", "UNLINK")
def del_(db: Keyspace, *keys: bytes) -> Any:
    return sum(db.delete(key) for key in keys)


@command("DBSIZE")
def dbsize(db: Keyspace) -> Any:
    return len(db.values)


@command("RENAME")
def rename(db: Keyspace, key: bytes, other: bytes) -> Any:
    if key not in db.values:
        raise Error("ERR no such key")
    db.values[other] = db.values.pop(key)
    db.touched(key)
    db.touched(other)
    return OK


@command("DUMP")
def dump(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    return None if value is None else pickle.dumps((value.kind, value.body))


@command("RESTORE")
def restore(db: Keyspace, key: bytes, moment: bytes, dumped: bytes, *options: bytes) -> Any:
    if key in db.values and b"REPLACE" not in options:
        raise Error("BUSYKEY Target key name already exists.")
    at_ms = integer(moment) + (0 if b"ABSTTL" in options else db.now_ms) if integer(moment) else None
    db.delete(key)
    if at_ms is None or at_ms > db.now_ms:
        db.values[key] = Value(*pickle.loads(dumped), at_ms)
        db.touched(key)
    return OK


@command("SCAN")
def scan(db: Keyspace, cursor: bytes, *options: bytes) -> Any:
    # In the order of a checksum, so that a cursor means the same however keys come and go.
    count = int(options[1]) if options else 10
    places = sorted((zlib.crc32(key), key) for key in db.values)
    page = [(place, key) for place, key in places if place >= int(cursor)]
    following = b"%d" % page[count][0] if len(page) > count else b"0"
    return [following, [key for _, key in page[:count]]]


@command("MEMORY")
def memory(db: Keyspace, _: bytes, key: bytes) -> Any:
    return 100 if key in db.values else None


@command("PEXPIRETIME")
def pexpiretime(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    return -2 if value is None else -1 if value.expires_at_ms is None else value.expires_at_ms


@command("PTTL")
def pttl(db: Keyspace, key: bytes) -> Any:
    moment = pexpiretime(db, key)
    return moment if moment < 0 else moment - db.now_ms


def _expires(scale: int, relative: bool) -> Callable[..., Any]:
    def expires(db: Keyspace, key: bytes, moment: bytes) -> Any:
        if key not in db.values:
            return 0
        at_ms = integer(moment) * scale + (db.now_ms if relative else 0)
        if at_ms <= db.now_ms:
            return int(db.delete(key))
        db.values[key].expires_at_ms = at_ms
        db.touched(key)
        return 1

    return expires


COMMANDS |= {
    "EXPIRE": _expires(1000, True), "PEXPIRE": _expires(1, True),
    "EXPIREAT": _expires(1000, False), "PEXPIREAT": _expires(1, False),
}  # fmt: skip


@command("PERSIST")
def persist(db: Keyspace, key: bytes) -> Any:
    value = db.values.get(key)
    if value is None or value.expires_at_ms is None:
        return 0
    value.expires_at_ms = None
    db.touched(key)
    return 1


@command("FLUSHALL", "FLUSHDB")
def flushall(db: Keyspace, *_: bytes) -> Any:
    for key in list(db.values):
        db.delete(key)
    return OK


# -- strings


@command("GET")
def get(db: Keyspace, key: bytes) -> Any:
    return db.of(key, "string") if key in db.values else None


@command("MGET")
def mget(db: Keyspace, *keys: bytes) -> Any:
    return [db.values[key].body if key in db.values and db.values[key].kind == "string" else None for key in keys]


@command("SET")
def set_(db: Keyspace, key: bytes, value: bytes, *options: bytes) -> Any:
    words = [option.upper() for option in options]
    present = key in db.values
    if (b"NX" in words and present) or (b"XX" in words and not present):
        return None
    expires_at_ms = db.values[key].expires_at_ms if b"KEEPTTL" in words and present else None
    for word, scale, relative in ((b"EX", 1000, 1), (b"PX", 1, 1), (b"EXAT", 1000, 0), (b"PXAT", 1, 0)):
        if word in words:
            expires_at_ms = integer(options[words.index(word) + 1]) * scale + relative * db.now_ms
    db.values[key] = Value("string", value, expires_at_ms)
    db.touched(key)
    db.expire()
    return OK


@command("INCRBY")
def incrby(db: Keyspace, key: bytes, amount: bytes) -> Any:
    total = integer(get(db, key) or b"0") + integer(amount)
    db.keep(key, "string", b"%d" % total)
    return total


@command("INCR")
def incr(db: Keyspace, key: bytes) -> Any:
    return incrby(db, key, b"1")


@command("DECR")
def decr(db: Keyspace, key: bytes) -> Any:
    return incrby(db, key, b"-1")


@command("APPEND")
def append(db: Keyspace, key: bytes, value: bytes) -> Any:
    db.keep(key, "string", db.of(key, "string") + value)
    return len(db.of(key, "string"))


@command("STRLEN")
def strlen(db: Keyspace, key: bytes) -> Any:
    return len(db.of(key, "string"))


# -- lists


def _push(left: bool) -> Callable[..., Any]:
    def push(db: Keyspace, key: bytes, *items: bytes) -> Any:
        body = db.of(key, "list")
        body = [*items[::-1], *body] if left else [*body, *items]
        db.keep(key, "list", body)
        return len(body)

    return push


def _pop(at: int) -> Callable[..., Any]:
    def pop(db: Keyspace, key: bytes) -> Any:
        body = list(db.of(key, "list"))
        if not body:
            return None
        item = body.pop(at)
        db.keep(key, "list", body)
        return item

    return pop


COMMANDS |= {"RPUSH": _push(False), "LPUSH": _push(True), "RPOP": _pop(-1), "LPOP": _pop(0)}


@command("LRANGE")
def lrange(db: Keyspace, key: bytes, first: bytes, last: bytes) -> Any:
    body = db.of(key, "list")
    start, end = (max(0, int(i) + len(body)) if int(i) < 0 else int(i) for i in (first, last))
    return body[start : end + 1] if int(last) + len(body) >= 0 else []


@command("LLEN")
def llen(db: Keyspace, key: bytes) -> Any:
    return len(db.of(key, "list"))


# -- sets


@command("SADD")
def sadd(db: Keyspace, key: bytes, *members: bytes) -> Any:
    body = db.of(key, "set")
    added = dict.fromkeys(members).keys() - body.keys()
    if added:
        db.keep(key, "set", body | dict.fromkeys(members))
    return len(added)


@command("SREM")
def srem(db: Keyspace, key: bytes, *members: bytes) -> Any:
    body = db.of(key, "set")
    left = {member: None for member in body if member not in members}
    if len(left) < len(body):
        db.keep(key, "set", left)
    return len(body) - len(left)


@command("SPOP")
def spop(db: Keyspace, key: bytes) -> Any:
    body = db.of(key, "set")
    if not body:
        return None
    member = next(iter(body))
    srem(db, key, member)
    return member


@command("SMEMBERS")
def smembers(db: Keyspace, key: bytes) -> Any:
    return list(db.of(key, "set"))


@command("SISMEMBER")
def sismember(db: Keyspace, key: bytes, member: bytes) -> Any:
    return int(member in db.of(key, "set"))


@command("SCARD")
def scard(db: Keyspace, key: bytes) -> Any:
    return len(db.of(key, "set"))


# -- hashes


@command("HSET")
def hset(db: Keyspace, key: bytes, *flat: bytes) -> Any:
    if not flat or len(flat) % 2:
        raise Error("ERR wrong number of arguments for 'hset' command")
    body, changes = db.of(key, "hash"), dict(zip(flat[::2], flat[1::2], strict=True))
    db.keep(key, "hash", body | changes)
    return len(changes.keys() - body.keys())


@command("HDEL")
def hdel(db: Keyspace, key: bytes, *names: bytes) -> Any:
    body = db.of(key, "hash")
    left = {name: value for name, value in body.items() if name not in names}
    if len(left) < len(body):
        db.keep(key, "hash", left)
    return len(body) - len(left)


@command("HGET")
def hget(db: Keyspace, key: bytes, name: bytes) -> Any:
    return db.of(key, "hash").get(name)


@command("HGETALL")
def hgetall(db: Keyspace, key: bytes) -> Any:
    return [part for pair in db.of(key, "hash").items() for part in pair]


@command("HINCRBY")
def hincrby(db: Keyspace, key: bytes, name: bytes, amount: bytes) -> Any:
    body = db.of(key, "hash")
    total = integer(body.get(name, b"0")) + integer(amount)
    db.keep(key, "hash", body | {name: b"%d" % total})
    return total


# -- sorted sets


@command("ZADD")
def zadd(db: Keyspace, key: bytes, *flat: bytes) -> Any:
    body = db.of(key, "zset")
    changes = {member: float(score) for score, member in zip(flat[::2], flat[1::2], strict=True)}
    db.keep(key, "zset", body | changes)
    return len(changes.keys() - body.keys())


@command("ZINCRBY")
def zincrby(db: Keyspace, key: bytes, amount: bytes, member: bytes) -> Any:
    body = db.of(key, "zset")
    score = body.get(member, 0.0) + float(amount)
    db.keep(key, "zset", body | {member: score})
    return number_text(score)


@command("ZRANGE")
def zrange(db: Keyspace, key: bytes, _first: bytes, _last: bytes, *_: bytes) -> Any:
    ordered = sorted(db.of(key, "zset").items(), key=lambda pair: (pair[1], pair[0]))
    return [part for member, score in ordered for part in (member, number_text(score))]


# -- streams


def id_text(place: Id) -> bytes:
    return b"%d-%d" % place


def id_of(text: bytes, missing: int = 0) -> Id:
    ms, _, sequence = text.partition(b"-")
    return int(ms), int(sequence) if sequence else missing


def _trimmed(db: Keyspace, key: bytes, stream: Stream, options: tuple[bytes, ...]) -> int:
    words = [option for option in options if option not in (b"~", b"=")]
    how, limit = words[0].upper(), words[1]
    before = len(stream.entries)
    if how == b"MAXLEN":
        stream.entries = stream.entries[max(0, before - int(limit)) :]
    else:
        stream.entries = [entry for entry in stream.entries if entry[0] >= id_of(limit)]
    if len(stream.entries) < before:
        db.keep(key, "stream", stream)
    return before - len(stream.entries)


@command("XADD")
def xadd(db: Keyspace, key: bytes, *args: bytes) -> Any:
    stream: Stream = db.of(key, "stream")
    trim: tuple[bytes, ...] = ()
    if args[0].upper() in (b"MAXLEN", b"MINID"):
        size = 3 if args[1] in (b"~", b"=") else 2
        trim, args = args[:size], args[size:]
    name, *fields = args
    if name == b"*":
        ms = max(db.now_ms, stream.last[0])
        place = (ms, stream.last[1] + 1 if ms == stream.last[0] else 0)
    else:
        place = id_of(name)
        if place <= stream.last:
            raise Error("ERR The ID specified in XADD is equal or smaller than the target stream top item")
    stream.entries.append((place, list(fields)))
    stream.last, stream.added = place, stream.added + 1
    db.keep(key, "stream", stream)
    if trim:
        _trimmed(db, key, stream, trim)
    return id_text(place)


@command("XTRIM")
def xtrim(db: Keyspace, key: bytes, *options: bytes) -> Any:
    return _trimmed(db, key, db.of(key, "stream"), options) if key in db.values else 0


@command("XLEN")
def xlen(db: Keyspace, key: bytes) -> Any:
    return len(db.of(key, "stream").entries)


@command("XRANGE")
def xrange_(db: Keyspace, key: bytes, first: bytes, last: bytes, *options: bytes) -> Any:
    low = (0, 0) if first == b"-" else id_of(first.lstrip(b"("))
    high = (2**64, 0) if last == b"+" else id_of(last.lstrip(b"("), 2**64)
    found = [
        [id_text(place), list(fields)]
        for place, fields in db.of(key, "stream").entries
        if low <= place <= high
        and not (first[:1] == b"(" and place == low)
        and not (last[:1] == b"(" and place == high)
    ]
    return found[: int(options[1])] if options else found


@command("XREAD")
def xread(db: Keyspace, *args: bytes) -> Any:
    """Never blocks: that is the server's business. None when there is nothing."""
    words = [arg.upper() for arg in args]
    at = words.index(b"STREAMS")
    count = int(args[words.index(b"COUNT") + 1]) if b"COUNT" in words[:at] else 2**31
    key, after = args[at + 1], id_of(args[at + 2])
    entries = [[id_text(place), list(fields)] for place, fields in db.of(key, "stream").entries if place > after]
    return [[key, entries[:count]]] if entries else None


@command("XINFO")
def xinfo(db: Keyspace, what: bytes, key: bytes) -> Any:
    if what.upper() != b"STREAM":
        raise Error("ERR only XINFO STREAM is simulated")
    if key not in db.values:
        raise Error("ERR no such key")
    stream: Stream = db.of(key, "stream")
    return [b"length", len(stream.entries), b"last-generated-id", id_text(stream.last), b"entries-added", stream.added]


@command("XSETID")
def xsetid(db: Keyspace, key: bytes, place: bytes, *_: bytes) -> Any:
    if key not in db.values:
        raise Error("ERR no such key")
    stream: Stream = db.of(key, "stream")
    if id_of(place) < (stream.entries[-1][0] if stream.entries else (0, 0)):
        raise Error("ERR The ID specified in XSETID is smaller than the target stream top item")
    stream.last = id_of(place)
    db.keep(key, "stream", stream)
    return OK
