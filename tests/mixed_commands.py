"""One way to call every command that changes data: `MIXED` by name, on few keys, so that commands of all types collide.

Keys are named by what they hold, so that most calls succeed. What a call is given depends on the seed and on nothing
else but the data itself, where a command needs an id that is there.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import redis

__all__ = ["LEFT_OUT", "MIXED", "Draw", "run", "run_together"]

SCRIPT = "redis.call('INCR', KEYS[1]); return redis.call('RPUSH', KEYS[2], ARGV[1])"
LIBRARY = "#!lua name=mixed\nredis.register_function('add', function(k, a) return redis.call('INCRBY', k[1], a[1]) end)"
LARGE_BYTES = 40_000

LEFT_OUT = {
    "FLUSHALL": "only where a test asks for it: it takes every token away",
    "FLUSHDB": "only where a test asks for it: it takes every token away",
    "SCRIPT FLUSH": "it makes the EVALSHA of others fail",
    "FUNCTION FLUSH": "it makes the FCALL of others fail",
    "FUNCTION DELETE": "it makes the FCALL of others fail",
    "FUNCTION RESTORE": "the payload of one server version is not another's",
}
"""Commands that change data and are not in `MIXED`, and why."""


class Draw:
    """Draws the arguments of one command; `number` is different for each."""

    def __init__(self, client: redis.Redis, random: Random, number: int) -> None:
        self.client, self.random, self.number = client, random, number

    def key(self, kind: str, count: int = 6) -> str:
        return f"{kind}:{self.random.randrange(count)}"

    def below(self, limit: int) -> int:
        return self.random.randrange(limit)

    @property
    def score(self) -> float:
        return round(self.random.random(), 3)

    @property
    def soon_ms(self) -> int:
        """A time to live: short, or long enough to be there at the end."""
        return self.random.choice((30, 400, 2500, 600_000))

    @property
    def later_ms(self) -> int:
        seconds, microseconds = self.client.time()
        return seconds * 1000 + microseconds // 1000 + self.soon_ms

    def field(self) -> str:
        return f"f{self.below(5)}"

    def member(self) -> str:
        return f"m{self.below(30)}"

    def entry(self, key: str) -> Any:
        """The id of an early entry of the stream."""
        entries = self.client.xrange(key, count=4)
        return self.random.choice(entries)[0] if entries else "1-1"

    def payload(self, key: str) -> Any:
        return self.client.dump(key) or b"no payload"

    def sha(self) -> str:
        return self.client.script_load(SCRIPT)


MIXED: dict[str, Callable[[Draw], tuple[Any, ...]]] = {
    # strings
    "SET": lambda d: (d.key("s"), d.number, "PX", d.soon_ms) if d.below(2) else (d.key("s"), f"{d.number}" * 4),
    "MSET": lambda d: (d.key("s"), d.number, d.key("s"), d.number),
    "MSETEX": lambda d: (1, d.key("s"), d.number, "PX", d.soon_ms),
    "SETEX": lambda d: (d.key("s"), 1 + d.below(100), d.number),
    "PSETEX": lambda d: (d.key("s"), d.soon_ms, d.number),
    "SETRANGE": lambda d: (d.key("s"), d.below(20), d.number),
    "APPEND": lambda d: (d.key("ap"), d.number),
    "INCR": lambda d: (d.key("n"),),
    "INCRBY": lambda d: (d.key("n"), d.below(9)),
    "DECR": lambda d: (d.key("n"),),
    "DECRBY": lambda d: (d.key("n"), d.below(9)),
    "INCRBYFLOAT": lambda d: (d.key("fl"), d.score),
    "GETDEL": lambda d: (d.key("s"),),
    "GETSET": lambda d: (d.key("s"), d.number),
    "GETEX": lambda d: (d.key("s"), "PX", d.soon_ms),
    "SETNX": lambda d: (d.key("s"), d.number),
    "MSETNX": lambda d: (d.key("s"), d.number, d.key("s"), d.number),
    "DELIFEQ": lambda d: (d.key("s"), d.client.get(d.key("s")) or ""),
    # bitmaps, HyperLogLog
    "SETBIT": lambda d: (d.key("b"), d.below(400), d.below(2)),
    "BITFIELD": lambda d: (d.key("b"), "INCRBY", "u8", d.below(100), d.below(9), "GET", "u4", 0),
    "BITOP": lambda d: (d.random.choice(("AND", "OR", "XOR")), d.key("b"), d.key("b"), d.key("b")),
    "PFADD": lambda d: (d.key("pf"), d.number),
    "PFMERGE": lambda d: (d.key("pf"), d.key("pf")),
    # keys
    "DEL": lambda d: (d.key(d.random.choice(("s", "n", "l", "h", "x"))), d.key("z")),
    "UNLINK": lambda d: (d.key("set"),),
    "PERSIST": lambda d: (d.key("s"),),
    "EXPIRE": lambda d: (d.key(d.random.choice(("h", "l", "z"))), 1 + d.below(100)),
    "PEXPIRE": lambda d: (d.key(d.random.choice(("h", "l", "z"))), d.soon_ms),
    "EXPIREAT": lambda d: (d.key("s"), d.later_ms // 1000 + 1),
    "PEXPIREAT": lambda d: (d.key("set"), d.later_ms),
    "RENAME": lambda d: (d.key("s"), d.key("s")),
    "RENAMENX": lambda d: (d.key("l"), d.key("l")),
    "COPY": lambda d: (d.key("h"), d.key("h"), *(("REPLACE",) if d.below(2) else ())),
    "RESTORE": lambda d: (d.key("s"), d.soon_ms, d.payload(d.key("s")), "REPLACE"),
    "SORT": lambda d: (d.key("set"), "ALPHA", "STORE", d.key("l")),
    # hashes
    "HSET": lambda d: (d.key("h"), d.field(), d.number, d.field(), d.number),
    "HMSET": lambda d: (d.key("h"), d.field(), d.number),
    "HSETNX": lambda d: (d.key("h"), d.field(), d.number),
    "HDEL": lambda d: (d.key("h"), d.field()),
    "HINCRBY": lambda d: (d.key("hn"), d.field(), d.below(9)),
    "HINCRBYFLOAT": lambda d: (d.key("hf"), d.field(), d.score),
    "HGETDEL": lambda d: (d.key("h"), "FIELDS", 1, d.field()),
    "HSETEX": lambda d: (d.key("h"), "PX", d.soon_ms, "FIELDS", 1, d.field(), d.number),
    "HGETEX": lambda d: (d.key("h"), "PX", d.soon_ms, "FIELDS", 1, d.field()),
    "HEXPIRE": lambda d: (d.key("h"), 1 + d.below(100), "FIELDS", 1, d.field()),
    "HPEXPIRE": lambda d: (d.key("h"), d.soon_ms, "FIELDS", 1, d.field()),
    "HEXPIREAT": lambda d: (d.key("h"), d.later_ms // 1000 + 1, "FIELDS", 1, d.field()),
    "HPEXPIREAT": lambda d: (d.key("h"), d.later_ms, "FIELDS", 1, d.field()),
    "HPERSIST": lambda d: (d.key("h"), "FIELDS", 1, d.field()),
    # lists
    "LPUSH": lambda d: (d.key("l"), d.number, d.number),
    "RPUSH": lambda d: (d.key("l"), d.number, d.number),
    "LPUSHX": lambda d: (d.key("l"), d.number),
    "RPUSHX": lambda d: (d.key("l"), d.number),
    "LPOP": lambda d: (d.key("l"),),
    "RPOP": lambda d: (d.key("l"), 2),
    "LSET": lambda d: (d.key("l"), 0, d.number),
    "LINSERT": lambda d: (d.key("l"), "BEFORE", d.client.lindex(d.key("l"), 0) or "", d.number),
    "LREM": lambda d: (d.key("l"), 1, d.client.lindex(d.key("l"), -1) or ""),
    "LTRIM": lambda d: (d.key("l"), 0, 40),
    "LMOVE": lambda d: (d.key("l"), d.key("l"), "LEFT", "RIGHT"),
    "RPOPLPUSH": lambda d: (d.key("l"), d.key("l")),
    "LMPOP": lambda d: (2, d.key("l"), d.key("l"), "LEFT"),
    "BLPOP": lambda d: (d.key("l"), 0.01),
    "BRPOP": lambda d: (d.key("l"), d.key("l"), 0.01),
    "BLMOVE": lambda d: (d.key("l"), d.key("l"), "RIGHT", "LEFT", 0.01),
    "BRPOPLPUSH": lambda d: (d.key("l"), d.key("l"), 0.01),
    "BLMPOP": lambda d: (0.01, 1, d.key("l"), "LEFT"),
    # sets
    "SADD": lambda d: (d.key("set"), d.member(), d.member()),
    "SREM": lambda d: (d.key("set"), d.member()),
    "SPOP": lambda d: (d.key("set"),),
    "SMOVE": lambda d: (d.key("set"), d.key("set"), d.member()),
    "SDIFFSTORE": lambda d: (d.key("set"), d.key("set"), d.key("set")),
    "SINTERSTORE": lambda d: (d.key("set"), d.key("set"), d.key("set")),
    "SUNIONSTORE": lambda d: (d.key("set"), d.key("set"), d.key("set")),
    # sorted sets, geo
    "ZADD": lambda d: (d.key("z"), d.score, d.member(), d.score, d.member()),
    "ZINCRBY": lambda d: (d.key("z"), d.score, d.member()),
    "ZREM": lambda d: (d.key("z"), d.member()),
    "ZREMRANGEBYLEX": lambda d: (d.key("z"), "[m1", "[m11"),
    "ZREMRANGEBYSCORE": lambda d: (d.key("z"), 0.4, 0.5),
    "ZREMRANGEBYRANK": lambda d: (d.key("z"), 20, -1),
    "ZPOPMAX": lambda d: (d.key("z"),),
    "ZPOPMIN": lambda d: (d.key("z"), 2),
    "ZMPOP": lambda d: (2, d.key("z"), d.key("z"), "MAX"),
    "BZPOPMAX": lambda d: (d.key("z"), 0.01),
    "BZPOPMIN": lambda d: (d.key("z"), d.key("z"), 0.01),
    "BZMPOP": lambda d: (0.01, 1, d.key("z"), "MIN"),
    "ZDIFFSTORE": lambda d: (d.key("z"), 2, d.key("z"), d.key("z")),
    "ZINTERSTORE": lambda d: (d.key("z"), 2, d.key("z"), d.key("set")),
    "ZUNIONSTORE": lambda d: (d.key("z"), 2, d.key("z"), d.key("z")),
    "ZRANGESTORE": lambda d: (d.key("z"), d.key("z"), 0, 15),
    "GEOADD": lambda d: (d.key("geo"), d.score * 10, d.score * 10, d.member()),
    "GEOSEARCHSTORE": lambda d: (d.key("geo"), d.key("geo"), "FROMLONLAT", 5, 5, "BYRADIUS", 500, "km"),
    "GEORADIUS": lambda d: (d.key("geo"), 5, 5, 600, "km", "STORE", d.key("geo")),
    "GEORADIUSBYMEMBER": lambda d: (d.key("geo"), d.member(), 600, "km", "STORE", d.key("geo")),
    # streams
    "XADD": lambda d: (d.key("x"), "MAXLEN", *d.random.choice((("~", 20), ("=", 50))), "*", "n", d.number),
    "XTRIM": lambda d: (d.key("x"), "MAXLEN", 30),
    "XDEL": lambda d: (key := d.key("x"), d.entry(key)),
    "XSETID": lambda d: (d.key("x"), f"{d.later_ms}-0"),
    "XGROUP CREATE": lambda d: (d.key("x"), "g", "0", "MKSTREAM"),
    "XGROUP SETID": lambda d: (d.key("x"), "g", "0"),
    "XGROUP DESTROY": lambda d: (d.key("x"), "g"),
    "XGROUP CREATECONSUMER": lambda d: (d.key("x"), "g", f"c{d.below(3)}"),
    "XGROUP DELCONSUMER": lambda d: (d.key("x"), "g", f"c{d.below(3)}"),
    "XREADGROUP": lambda d: ("GROUP", "g", f"c{d.below(3)}", "COUNT", 2, "STREAMS", d.key("x"), ">"),
    "XACK": lambda d: (key := d.key("x"), "g", d.entry(key)),
    "XCLAIM": lambda d: (key := d.key("x"), "g", f"c{d.below(3)}", 0, d.entry(key)),
    "XAUTOCLAIM": lambda d: (d.key("x"), "g", f"c{d.below(3)}", 0, "0", "COUNT", 2),
    # scripts, functions
    "SCRIPT LOAD": lambda d: (SCRIPT,),
    "FUNCTION LOAD": lambda d: ("REPLACE", LIBRARY),
    "EVAL": lambda d: (SCRIPT, 2, d.key("n"), d.key("l"), d.number),
    "EVALSHA": lambda d: (d.sha(), 2, d.key("n"), d.key("l"), d.number),
    "FCALL": lambda d: ("add", 1, d.key("n"), d.below(9)),
}


def run(name: str, draw: Draw) -> None:
    """Call one command of `MIXED`. Raises as the client does; of blocking ones, None is the answer of empty keys."""
    draw.client.execute_command(*name.split(), *MIXED[name](draw))


def run_together(draw: Draw) -> None:
    """Several commands at once: a pipeline, a transaction, a transaction on watched keys; or a value too large to log,
    or one that is logged although it is large."""
    client, kind = draw.client, draw.below(5)
    if kind > 2:
        value = str(draw.number).ljust(LARGE_BYTES)
        if kind == 3:
            client.set(draw.key("large", 2), value)
        else:
            client.hset(draw.key("large fields", 2), draw.key("field"), value)
        return
    with client.pipeline(transaction=kind > 0) as pipe:
        if kind == 2:
            pipe.watch(draw.key("n"))
            pipe.multi()
        pipe.incr(draw.key("n")).rpush(draw.key("l"), draw.number).spop(draw.key("set"))
        pipe.xadd(draw.key("x"), {"n": draw.number}, maxlen=50, approximate=False).set(draw.key("s"), draw.number, ex=9)
        pipe.execute(raise_on_error=False)
