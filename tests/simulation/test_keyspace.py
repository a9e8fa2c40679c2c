"""The simulated server answers as a real one does: the same random commands, the same replies."""

from __future__ import annotations

from random import Random
from typing import Any

import hiredis
import pytest
import redis
from servers import client

from hybrid.core.resp import pack
from hybrid.stores.processes import ServerProcess
from tests.simulation.scheduler import Host, Scheduler
from tests.simulation.server import Server

KEYS = [b"a", b"b", b"c"]
WORDS = [b"1", b"2", b"x", b"-3", b"yy"]
SHAPES: dict[str, tuple[str, ...]] = {
    "GET": ("k",),
    "SET": ("k", "w"),
    "SET NX": ("k", "w", "=NX"),
    "SET GET": ("k", "w", "=GET"),
    "SET GET NX": ("k", "w", "=GET", "=NX"),
    "SET GET XX": ("k", "w", "=GET", "=XX"),
    "SET WRONG": ("k", "w", "=WRONG"),
    "SET XX": ("k", "w", "=XX"),
    "SET KEEPTTL": ("k", "w", "=KEEPTTL"),
    "SET EX": ("k", "w", "=EX", "=1000"),
    "MGET": ("k", "k"),
    "INCR": ("k",),
    "INCRBY": ("k", "i"),
    "DECR": ("k",),
    "APPEND": ("k", "w"),
    "STRLEN": ("k",),
    "RPUSH": ("k", "w", "w"),
    "LPUSH": ("k", "w", "w"),
    "LPOP": ("k",),
    "RPOP": ("k",),
    "LMOVE": ("k", "k", "=LEFT", "=RIGHT"),
    "LMOVE RIGHT": ("k", "k", "=RIGHT", "=LEFT"),
    "LLEN": ("k",),
    "LRANGE": ("k", "i", "i"),
    "SADD": ("k", "w", "w"),
    "SREM": ("k", "w"),
    "SMOVE": ("k", "k", "w"),
    "SUNIONSTORE": ("k", "k", "k"),
    "SISMEMBER": ("k", "w"),
    "SCARD": ("k",),
    "HSET": ("k", "w", "w"),
    "HSETNX": ("k", "w", "w"),
    "HDEL": ("k", "w"),
    "HGET": ("k", "w"),
    "HINCRBY": ("k", "w", "i"),
    "HGETALL": ("k",),
    "HLEN": ("k",),
    "HMGET": ("k", "w", "w"),
    "GETRANGE": ("k", "i", "i"),
    "GETDEL": ("k",),
    "MSET": ("k", "w"),
    "ZREM": ("k", "w"),
    "ZCARD": ("k",),
    "XDEL": ("k", "n"),
    "ZADD": ("k", "i", "w"),
    "ZINCRBY": ("k", "i", "w"),
    "ZRANGE": ("k", "=0", "=-1", "=WITHSCORES"),
    "DEL": ("k", "k"),
    "EXISTS": ("k", "k"),
    "TYPE": ("k",),
    "RENAME": ("k", "k"),
    "COPY": ("k", "k"),
    "COPY REPLACE": ("k", "k", "=REPLACE"),
    "PERSIST": ("k",),
    "EXPIRE": ("k", "=1000"),
    "PEXPIREAT": ("k", "=1"),
    "PEXPIRETIME": ("=none",),
    "PTTL": ("=none",),
    "DBSIZE": (),
    "XADD": ("k", "n", "w", "w"),
    "XLEN": ("k",),
    "XRANGE": ("k", "n", "n"),
    "XRANGE COUNT": ("k", "=-", "=+", "=COUNT", "=2"),
    "XREVRANGE": ("k", "=+", "=-", "=COUNT", "=2"),
    "XTRIM": ("k", "=MAXLEN", "=2"),
    "XTRIM MINID": ("k", "=MINID", "n"),
    "XREAD": ("=COUNT", "=2", "=STREAMS", "k", "n"),
    "NOSUCH": ("k",),
    "MULTI": (),
    "EXEC": (),
    "DISCARD": (),
    "WATCH": ("k",),
    "UNWATCH": (),
    "PING": (),
}
UNORDERED = {b"HGETALL"}


def drawn(random: Random, number: int) -> list[bytes]:
    shape = random.choice(list(SHAPES))
    args = [shape.split()[0].encode()]
    for part in SHAPES[shape]:
        if part == "k":
            args.append(random.choice(KEYS))
        elif part == "w":
            args.append(random.choice(WORDS))
        elif part == "i":
            args.append(b"%d" % random.randrange(-3, 4))
        elif part == "n":
            args.append(b"%d-%d" % (random.randrange(number, number + 3), random.randrange(2)))
        else:
            args.append(part[1:].encode())
    return args


class Simulated:
    """A connection to a simulated server, without a network."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader = hiredis.Reader()
        self._session = server.accept(b"test", self._reader.feed, lambda: None)

    @property
    def inside(self) -> bool:
        return self._session.queue is not None

    def run(self, args: list[bytes]) -> Any:
        self._server.receive(self._session, pack(args))
        return self._reader.gets()


def plain(args: list[bytes], reply: Any) -> Any:
    """What of a reply must agree: of an error its code, of a hash no order."""
    if isinstance(reply, redis.RedisError | hiredis.ReplyError):
        return "error"
    if args[0] in UNORDERED and isinstance(reply, list):
        return sorted(zip(reply[::2], reply[1::2], strict=True))
    if isinstance(reply, list):
        return [plain([b""], part) for part in reply]
    return reply


@pytest.mark.parametrize("kind", ["valkey", "debian_redis"])
def test_random_commands_get_the_same_replies(kind: str, request: pytest.FixtureRequest) -> None:
    real: ServerProcess = request.getfixturevalue(kind)
    scheduler = Scheduler("differential")
    with client(real.url, protocol=2) as direct:
        wires = [direct.connection_pool.make_connection() for _ in range(2)]
        for seed in range(8):
            direct.flushall()
            server, random = Server("simulated", scheduler), Random(seed)
            twins = [Simulated(server) for _ in range(2)]
            said: list[str] = []
            for number in range(250):
                which, args = random.randrange(2), drawn(random, number)
                if args[0] in (b"MULTI", b"WATCH") and twins[which].inside:
                    continue  # what becomes of the transaction then, servers do not agree on
                wires[which].send_command(*args)
                try:
                    theirs = wires[which].read_response()
                except redis.ResponseError as error:
                    theirs = error
                ours = twins[which].run(args)
                said.append(f"{which} {b' '.join(args)!r}: {theirs!r}, simulated {ours!r}")
                assert plain(args, ours) == plain(args, theirs), "\n".join(said[-12:])
            for wire in wires:
                wire.disconnect()
        assert isinstance(server, Host)


def test_a_blocked_read_wakes_when_something_is_added() -> None:
    scheduler = Scheduler("blocking")
    server = Server("simulated", scheduler)
    reader, writer = Simulated(server), Simulated(server)
    assert reader.run([b"XREAD", b"BLOCK", b"100", b"STREAMS", b"s", b"0-0"]) is False  # hiredis: no reply yet
    writer.run([b"MULTI"])
    writer.run([b"XADD", b"s", b"1-1", b"f", b"v"])
    writer.run([b"EXEC"])
    assert reader._reader.gets() == [[b"s", [[b"1-1", [b"f", b"v"]]]]]
    reader.run([b"XREAD", b"BLOCK", b"100", b"STREAMS", b"s", b"1-1"])
    scheduler.run(lambda: False, 0.2)
    assert reader._reader.gets() is None


def test_keys_expire_by_the_servers_own_clock_and_break_a_watch() -> None:
    scheduler = Scheduler("expiry")
    server = Server("simulated", scheduler, skew_s=5.0)
    one = Simulated(server)
    one.run([b"SET", b"k", b"v", b"PX", b"50"])
    one.run([b"WATCH", b"k"])
    scheduler.run(lambda: False, 0.1)
    assert one.run([b"GET", b"k"]) is None
    one.run([b"MULTI"])
    assert one.run([b"EXEC"]) is None
