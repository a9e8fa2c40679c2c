"""Commands on strings, lists, sets, hashes and sorted sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .keyspace import COMMANDS, OK, Error, Keyspace, Value, command, integer, number_text

__all__: list[str] = []


@command("GET")
def get(db: Keyspace, key: bytes) -> Any:
    return db.of(key, "string") if key in db.values else None


@command("MGET")
def mget(db: Keyspace, *keys: bytes) -> Any:
    return [db.values[key].body if key in db.values and db.values[key].kind == "string" else None for key in keys]


@command("SET")
def set_(db: Keyspace, key: bytes, value: bytes, *options: bytes) -> Any:
    words = [option.upper() for option in options]
    before, present = (get(db, key) if b"GET" in words else None), key in db.values
    answer = before if b"GET" in words else OK
    expires_at_ms, at = None, 0
    while at < len(words):
        if words[at] in EXPIRIES:
            scale, relative = EXPIRIES[words[at]]
            expires_at_ms = integer(options[at + 1]) * scale + (db.now_ms if relative else 0)
            at += 1
        elif words[at] == b"KEEPTTL" and present:
            expires_at_ms = db.values[key].expires_at_ms
        elif words[at] not in (b"NX", b"XX", b"GET", b"KEEPTTL"):
            raise Error("ERR syntax error")
        at += 1
    if (b"NX" in words and present) or (b"XX" in words and not present):
        return before
    db.values[key] = Value("string", value, expires_at_ms)
    db.touched(key)
    db.expires(expires_at_ms)
    db.expire()
    return answer


EXPIRIES = {b"EX": (1000, True), b"PX": (1, True), b"EXAT": (1000, False), b"PXAT": (1, False)}


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


@command("GETRANGE")
def getrange(db: Keyspace, key: bytes, first: bytes, last: bytes) -> Any:
    body, start, end = db.of(key, "string"), int(first), int(last)
    start, end = (max(0, at + len(body)) if at < 0 else at for at in (start, end))
    return body[start : end + 1] if start <= end else b""


@command("MSET")
def mset(db: Keyspace, *flat: bytes) -> Any:
    for key, value in zip(flat[::2], flat[1::2], strict=True):
        set_(db, key, value)
    return OK


@command("GETDEL")
def getdel(db: Keyspace, key: bytes) -> Any:
    value = get(db, key)
    db.delete(key)
    return value


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


@command("LMOVE")
def lmove(db: Keyspace, key: bytes, other: bytes, here: bytes, there: bytes) -> Any:
    if {here.upper(), there.upper()} - {b"LEFT", b"RIGHT"}:
        raise Error("ERR syntax error")
    if not db.of(key, "list"):
        return None
    db.of(other, "list")
    item = _pop(0 if here.upper() == b"LEFT" else -1)(db, key)
    _push(there.upper() == b"LEFT")(db, other, item)
    return item


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


@command("SMOVE")
def smove(db: Keyspace, key: bytes, other: bytes, member: bytes) -> Any:
    is_there = member in db.of(key, "set")
    if key not in db.values or (is_there and key == other):
        return int(is_there)
    db.of(other, "set")
    if is_there:
        srem(db, key, member)
        sadd(db, other, member)
    return int(is_there)


@command("SUNIONSTORE")
def sunionstore(db: Keyspace, into: bytes, *keys: bytes) -> Any:
    union = {member: None for key in keys for member in db.of(key, "set")}
    db.delete(into)
    if union:
        db.keep(into, "set", union)
    return len(union)


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


@command("HSETNX")
def hsetnx(db: Keyspace, key: bytes, name: bytes, value: bytes) -> Any:
    body = db.of(key, "hash")
    if name in body:
        return 0
    db.keep(key, "hash", body | {name: value})
    return 1


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


@command("HMGET")
def hmget(db: Keyspace, key: bytes, *names: bytes) -> Any:
    body = db.of(key, "hash")
    return [body.get(name) for name in names]


@command("HKEYS")
def hkeys(db: Keyspace, key: bytes) -> Any:
    return list(db.of(key, "hash"))


@command("HVALS")
def hvals(db: Keyspace, key: bytes) -> Any:
    return list(db.of(key, "hash").values())


@command("HLEN")
def hlen(db: Keyspace, key: bytes) -> Any:
    return len(db.of(key, "hash"))


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


@command("ZREM")
def zrem(db: Keyspace, key: bytes, *members: bytes) -> Any:
    body = db.of(key, "zset")
    left = {member: score for member, score in body.items() if member not in members}
    if len(left) < len(body):
        db.keep(key, "zset", left)
    return len(body) - len(left)


@command("ZCARD")
def zcard(db: Keyspace, key: bytes) -> Any:
    return len(db.of(key, "zset"))


@command("HSCAN")
def hscan(db: Keyspace, key: bytes, _cursor: bytes, *options: bytes) -> Any:
    """All of it at once, as a server gives a small one."""
    names = b"NOVALUES" in [option.upper() for option in options]
    return [b"0", hkeys(db, key) if names else hgetall(db, key)]


@command("SSCAN")
def sscan(db: Keyspace, key: bytes, _cursor: bytes, *_: bytes) -> Any:
    return [b"0", smembers(db, key)]
