"""The scripts on real servers: what they log, replayed, gives the same state; what they reply is the command's own."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from servers import Pool, client

from hybrid.core.effects import absolute
from hybrid.core.log_entry import LOG_WHEN_FULL
from hybrid.core.resp import unpack
from hybrid.core.scripts import EFFECT_COMMANDS, EFFECT_SCRIPT, EFFECT_SHA, FLUSH_SCRIPT, FLUSH_SHA

LOG = "hybrid:log"
IDLE_TOLERANCE_MS = 2000


class Trio:
    """`source` runs scripts, `target` gets what they logged, `plain` runs the same commands without any script."""

    def __init__(self, source: redis.Redis, target: redis.Redis, plain: redis.Redis, protocol: int) -> None:
        self.source, self.target, self.plain, self.protocol = source, target, plain, protocol
        source.script_load(EFFECT_SCRIPT)
        for connection in (source, target, plain):
            connection.response_callbacks.clear()

    def script(self, *command: Any, keys: int = 1, mark: int = 0) -> Any:
        """[reply, log id] of the command run by the script; its first keys are arguments 1..keys."""
        names = command[1 : 1 + keys]
        return self.source.execute_command("EVALSHA", EFFECT_SHA, 1 + keys, LOG, *names, mark, self.protocol, *command)

    def same(self, *command: Any, logs: bool | None = None) -> Any:
        """Run by the script and plain: the replies must be equal. Returns the reply."""
        reply, entry = self.script(*command)
        assert reply == self.plain.execute_command(*command), command
        assert logs is None or (entry is not None) == logs, command
        return reply

    def both(self, *command: Any) -> None:
        """A setup command, on all servers and not logged."""
        for connection in (self.source, self.target, self.plain):
            connection.execute_command(*command)

    def entries(self) -> list[tuple[bytes, list[bytes]]]:
        return [(entry[0], entry[1]) for entry in self.source.execute_command("XRANGE", LOG, "-", "+")]

    def logged(self) -> list[list[bytes]]:
        return [unpack(f[i + 1]) for _, f in self.entries() for i in range(0, len(f), 2) if f[i] in (b"v", b"t")]

    def replay(self) -> None:
        for entry, fields in self.entries():
            for name, payload in zip(fields[::2], fields[1::2], strict=True):
                for command in commands(entry, name, payload):
                    self.target.execute_command(*command)

    def assert_replayed(self) -> None:
        self.replay()
        assert_same_state(self.source, self.target)


def commands(entry: bytes, name: bytes, payload: bytes) -> list[list[bytes]]:
    """A replayer in one expression per kind of field."""
    if name == b"t":
        return absolute(unpack(payload), int(entry.split(b"-")[0]))
    return {b"v": lambda: [unpack(payload)], b"m": list, b"i": list}[name]()


def assert_same_state(source: redis.Redis, target: redis.Redis) -> None:
    ours, theirs = state(source), state(target)
    for key in ours.keys() | theirs.keys():
        assert ours.get(key) == theirs.get(key), key


def state(connection: redis.Redis) -> dict[bytes, Any]:
    names = [name for name in connection.execute_command("KEYS", "*") if not name.startswith(b"hybrid:")]
    return {name: (about(connection.execute_command("PEXPIRETIME", name)), value(connection, name)) for name in names}


def about(time_ms: int) -> Any:
    return pytest.approx(time_ms, abs=IDLE_TOLERANCE_MS) if time_ms > 0 else time_ms


def value(connection: redis.Redis, name: bytes) -> Any:
    kind = connection.execute_command("TYPE", name)
    if kind == b"string":
        return connection.execute_command("GET", name)
    if kind == b"set":
        return set(connection.execute_command("SMEMBERS", name))
    if kind == b"list":
        return connection.execute_command("LRANGE", name, 0, -1)
    if kind == b"zset":
        return connection.execute_command("ZRANGE", name, 0, -1, "WITHSCORES")
    if kind == b"hash":
        return sorted((f, v, field_ttl(connection, name, f)) for f, v in pairs(connection, "HGETALL", name).items())
    return stream(pairs(connection, "XINFO", "STREAM", name, "FULL", "COUNT", 0))


def pairs(connection: redis.Redis, *command: Any) -> dict[bytes, Any]:
    return mapping(connection.execute_command(*command))


def mapping(reply: Any) -> dict[bytes, Any]:
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def field_ttl(connection: redis.Redis, name: bytes, field: bytes) -> Any:
    try:
        return connection.execute_command("HPEXPIRETIME", name, "FIELDS", 1, field)
    except redis.ResponseError:
        return [-1]  # no field TTLs before Redis 7.4


def stream(info: dict[bytes, Any]) -> Any:
    """XINFO STREAM FULL without memory layout; times within tolerance."""
    kept = b"length last-generated-id max-deleted-entry-id entries-added recorded-first-entry-id entries".split()
    return [{name: info[name] for name in kept}, [group(mapping(each)) for each in info[b"groups"]]]


def group(info: dict[bytes, Any]) -> Any:
    kept = (b"name", b"last-delivered-id", b"entries-read", b"lag", b"pel-count")
    consumers = sorted((c[b"name"], c.get(b"pel-count", c.get(b"pending"))) for c in map(mapping, info[b"consumers"]))
    pending_name = b"pending" if b"pending" in info else b"pel"
    pending = [(id_, owner, about(time_ms), count) for id_, owner, time_ms, count in info[pending_name]]
    return [{name: info[name] for name in kept}, consumers, pending]


@pytest.fixture(params=[("valkey", "valkey"), ("redis", "redis"), ("redis", "valkey")], ids="-".join)
def kinds(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def trio(request: pytest.FixtureRequest, kinds: tuple[str, str], server_pool: Pool) -> Trio:
    source, target = kinds
    servers = (server_pool.get(source, "local"), server_pool.get(target, "cloud"), server_pool.get(source, "plain"))
    return Trio(*[client(server.url, protocol=request.param) for server in servers], protocol=request.param)


# --- values ---------------------------------------------------------------------------------------------------------


def test_spop_logs_the_members(trio: Trio) -> None:
    trio.both("SADD", "s", *range(20))
    popped, _ = trio.script("SPOP", "s")
    assert isinstance(popped, bytes)
    many, _ = trio.script("SPOP", "s", 5)
    assert type(many) is type(trio.plain.execute_command("SPOP", "s", 5))
    assert len(many) == 5
    assert trio.same("SPOP", "s", 0, logs=False) is not None
    trio.replay()
    assert value(trio.target, b"s") == value(trio.source, b"s")
    trio.script("SPOP", "s", 100)
    trio.same("SPOP", "none", logs=False)
    trio.same("SPOP", "none", 3, logs=False)
    trio.assert_replayed()
    assert not trio.target.exists("s")


def test_floats(trio: Trio) -> None:
    for command in (
        ("INCRBYFLOAT", "f", "10.5"), ("INCRBYFLOAT", "f", "0.1"), ("INCRBYFLOAT", "f", "-3.3e2"),
        ("HINCRBYFLOAT", "h", "a", "0.1"), ("HINCRBYFLOAT", "h", "a", "2.5e3"), ("HINCRBYFLOAT", "h", "b", "7"),
    ):  # fmt: skip
        trio.same(*command, logs=True)
    trio.assert_replayed()


def test_a_float_keeps_its_time_to_live(trio: Trio) -> None:
    trio.both("SET", "f", "1.5", "PX", 500_000)
    trio.same("INCRBYFLOAT", "f", "1", logs=True)
    trio.assert_replayed()
    assert trio.target.pttl("f") > 400_000


@pytest.mark.parametrize("kinds", [("valkey", "valkey")], ids=["valkey"])
def test_a_hash_field_keeps_its_time_to_live(trio: Trio) -> None:
    trio.both("HSET", "h", "a", 1, "b", 1)
    trio.both("HPEXPIREAT", "h", 4_000_000_000_000, "FIELDS", 1, "a")
    trio.same("HINCRBYFLOAT", "h", "a", "1.5", logs=True)
    trio.same("HINCRBYFLOAT", "h", "b", "1.5", logs=True)
    trio.assert_replayed()
    assert field_ttl(trio.target, b"h", b"a") == [4_000_000_000_000]


def test_conditions_are_decided_once(trio: Trio) -> None:
    for command, logs in (
        (("SET", "k", "1", "NX", "PX", 500_000), True),
        (("SET", "k", "2", "NX", "PX", 500_000), False),
        (("SET", "k", "3", "XX", "GET", "KEEPTTL"), True),
        (("SET", "no", "3", "XX", "GET"), False),
        (("SET", "no", "3", "GET", "EX", 900), True),
        (("SET", "at", "3", "PXAT", 4_000_000_000_000), True),
        (("SETNX", "k", "4"), False),
        (("SETNX", "k4", "4"), True),
        (("EXPIRE", "k4", 1000, "NX"), True),
        (("PEXPIRE", "k4", 5, "GT"), False),
        (("EXPIREAT", "k4", 4_000_000_000, "GT"), True),
        (("EXPIRE", "none", 1000), False),
        (("GETEX", "k4", "EX", 700), True),
        (("GETEX", "k4"), False),
        (("GETEX", "none", "EX", 700), False),
        (("GETEX", "at", "PERSIST"), True),
    ):
        trio.same(*command, logs=logs)
    assert all(b"NX" not in command for command in trio.logged())
    trio.assert_replayed()


def test_an_expired_lock_does_not_come_back(trio: Trio) -> None:
    """A refused SET NX must not be replayed: the key may be gone on the other store by then."""
    trio.both("SET", "lock", "first", "PX", 500_000)
    trio.same("SET", "lock", "second", "NX", "PX", 500_000, logs=False)
    trio.target.delete("lock")
    trio.replay()
    assert not trio.target.exists("lock")


def test_pops_are_logged_when_they_find_something(trio: Trio) -> None:
    trio.both("RPUSH", "l", *range(9))
    trio.both("ZADD", "z", 1, "a", 2.5, "b", 3, "c", "inf", "d", 5, "e", -0.1, "f")
    for command, logs in (
        (("LPOP", "l"), True), (("RPOP", "l", 2), True), (("LMOVE", "l", "m", "LEFT", "RIGHT"), True),
        (("LPOP", "none"), False), (("LPOP", "none", 2), False), (("LMOVE", "none", "m", "LEFT", "RIGHT"), False),
        (("RPOPLPUSH", "l", "m"), True), (("LMPOP", 2, "none", "l", "LEFT", "COUNT", 2), True),
        (("LMPOP", 1, "none", "LEFT"), False), (("ZPOPMIN", "z"), True), (("ZPOPMAX", "z", 2), True),
        (("ZPOPMIN", "none"), False), (("ZMPOP", 1, "z", "MIN"), True), (("ZMPOP", 1, "none", "MIN"), False),
        (("SET", "n", 1), True), (("DECR", "n"), True),
    ):  # fmt: skip
        trio.same(*command, logs=logs)
    trio.assert_replayed()


# --- streams --------------------------------------------------------------------------------------------------------


def test_xadd_in_every_form(trio: Trio) -> None:
    for command, logs in (
        (("XADD", "s", "NOMKSTREAM", "*", "f", "v"), False),
        (("XADD", "s", "5-1", "f", "v"), True),
        (("XADD", "s", "5-*", "f", "v", "g", "w"), True),
        (("XADD", "s", "NOMKSTREAM", "7", "f", "v"), True),
        (("XADD", "s", "MAXLEN", "2", "8-1", "f", "v"), True),
        (("XADD", "s", "MINID", "=", "8-1", "9-1", "f", "v"), True),
        (("XADD", "gone", "MAXLEN", "0", "1-1", "f", "v"), True),
        (("XADD", "gone", "2-2", "f", b"\x00\r\n*1"), True),
    ):
        trio.same(*command, logs=logs)
    new, _ = trio.script("XADD", "s", "*", "f", "v")
    assert trio.source.execute_command("XREVRANGE", "s", "+", "-", "COUNT", 1)[0][0] == new
    trio.assert_replayed()


def test_approximate_trimming_is_replayed_exactly(trio: Trio) -> None:
    for i in range(1, 350):
        trio.same("XADD", "s", "MAXLEN", "~", 120, "LIMIT", 1000, f"{i}-1", "f", i)
    trio.same("XTRIM", "s", "MAXLEN", "~", 100)
    trio.same("XTRIM", "s", "MINID", "=", "300-1", logs=True)
    trio.same("XTRIM", "s", "MINID", "=", "300-1", logs=False)
    trio.assert_replayed()
    trio.same("XTRIM", "s", "MAXLEN", "0", logs=True)
    trio.target.delete("s")
    trio.assert_replayed()
    assert trio.target.xlen("s") == 0


@pytest.fixture
def grouped(trio: Trio) -> Trio:
    """Streams s and t of 10 entries, with a group g that read nothing."""
    for name in ("s", "t"):
        for i in range(1, 11):
            trio.both("XADD", name, f"{i}-1", "f", i)
        trio.both("XGROUP", "CREATE", name, "g", "0")
    return trio


def read(trio: Trio, *arguments: Any, logs: bool | None = None) -> Any:
    """XREADGROUP by both; its keys are not in front, as the script's keys must be."""
    command = ("XREADGROUP", "GROUP", "g", *arguments)
    names = [a for a in arguments[arguments.index("STREAMS") + 1 :] if a in ("s", "t", "empty", "none")]
    reply, entry = trio.source.execute_command(
        "EVALSHA", EFFECT_SHA, 1 + len(names), LOG, *names, 0, trio.protocol, *command
    )
    assert reply == trio.plain.execute_command(*command)
    assert logs is None or (entry is not None) == logs
    return reply


def test_xreadgroup(grouped: Trio) -> None:
    trio = grouped
    read(trio, "c1", "COUNT", 3, "STREAMS", "s", ">", logs=True)
    read(trio, "c2", "COUNT", 2, "STREAMS", "s", "t", ">", ">", logs=True)
    read(trio, "c1", "STREAMS", "s", "1-1", logs=True)  # once more: 2-1 and 3-1
    read(trio, "c3", "COUNT", 2, "NOACK", "STREAMS", "s", ">", logs=True)
    read(trio, "c1", "STREAMS", "s", "t", "0", ">", logs=True)
    trio.same("XACK", "s", "g", "2-1")
    trio.assert_replayed()


def test_reading_what_was_deleted(grouped: Trio) -> None:
    trio = grouped
    read(trio, "c1", "COUNT", 4, "STREAMS", "s", ">", logs=True)
    trio.same("XDEL", "s", "2-1")
    reply = read(trio, "c1", "STREAMS", "s", "0", logs=True)
    found = reply[b"s"] if isinstance(reply, dict) else reply[0][1]
    assert found[1] == [b"2-1", None]
    trio.assert_replayed()


def test_nothing_read_logs_only_a_new_consumer(grouped: Trio) -> None:
    trio = grouped
    read(trio, "c1", "STREAMS", "s", ">", logs=True)
    read(trio, "c1", "STREAMS", "s", ">", logs=False)
    read(trio, "c9", "STREAMS", "s", "0", logs=True)
    read(trio, "c9", "STREAMS", "s", "0", logs=False)
    read(trio, "c8", "STREAMS", "s", ">")
    trio.assert_replayed()


def test_a_group_that_was_set_back(grouped: Trio) -> None:
    trio = grouped
    read(trio, "c1", "COUNT", 5, "STREAMS", "s", ">")
    trio.same("XGROUP", "SETID", "s", "g", "2-1")
    read(trio, "c2", "COUNT", 2, "STREAMS", "s", ">", logs=True)
    trio.assert_replayed()


def test_xclaim(grouped: Trio) -> None:
    trio = grouped
    read(trio, "c1", "COUNT", 5, "STREAMS", "s", ">")
    for command, logs in (
        (("XCLAIM", "s", "g", "c2", 0, "1-1", "2-1"), True),
        (("XCLAIM", "s", "g", "c2", 3_600_000, "3-1"), False),
        (("XCLAIM", "s", "g", "c3", 0, "3-1", "IDLE", 60_000, "RETRYCOUNT", 9, "JUSTID"), True),
        (("XCLAIM", "s", "g", "c4", 0, "9-1", "FORCE"), True),
        (("XCLAIM", "s", "g", "c1", 0, "4"), False),
        (("XCLAIM", "s", "g", "c1", 0, "8-1", "LASTID", "7-1"), True),
        (("XCLAIM", "s", "g", "c1", 0, "8-1", "LASTID", "6-1"), False),
        (("XCLAIM", "s", "g", "c5", 0, "10-1"), None),
    ):
        trio.same(*command, logs=logs)
    trio.same("XDEL", "s", "5-1")
    trio.same("XCLAIM", "s", "g", "c2", 0, "5-1", logs=True)
    assert any(command[0] == b"XACK" for command in trio.logged())
    trio.assert_replayed()


def test_a_refused_claim_never_logs(grouped: Trio) -> None:
    """The idle time grows while the script runs: that is no change."""
    trio = grouped
    read(trio, "c1", "STREAMS", "s", ">")
    ids = [f"{i}-1" for i in range(1, 11)] * 100
    for _ in range(5):
        trio.same("XCLAIM", "s", "g", "c1", 3_600_000, *ids, logs=False)
    trio.assert_replayed()


def test_xautoclaim(grouped: Trio) -> None:
    trio = grouped
    read(trio, "c1", "COUNT", 8, "STREAMS", "s", ">")
    trio.same("XDEL", "s", "2-1", "6-1")
    trio.same("XAUTOCLAIM", "s", "g", "c2", 0, "0", "COUNT", 4, logs=True)
    trio.same("XAUTOCLAIM", "s", "g", "c3", 0, "5-1", "JUSTID", logs=True)
    trio.same("XAUTOCLAIM", "s", "g", "c3", 3_600_000, "0", logs=False)
    trio.assert_replayed()


def test_many_claims_are_one_command(grouped: Trio) -> None:
    trio = grouped
    read(trio, "c1", "STREAMS", "s", ">")
    trio.same("XAUTOCLAIM", "s", "g", "c2", 0, "0", logs=True)
    assert [command[0] for command in trio.logged()].count(b"XCLAIM") <= 3


# --- the entry ------------------------------------------------------------------------------------------------------


def test_mark_and_effects_share_one_entry(grouped: Trio) -> None:
    trio = grouped
    trio.script("SET", "k", "v", mark=1)
    trio.script("XCLAIM", "s", "g", "c", 0, "1-1", "FORCE", mark=1)
    trio.script("INCR", "n")
    assert [fields[::2] for _, fields in trio.entries()] == [[b"v", b"m"], [b"v", b"v", b"m"], [b"v"]]
    assert all(fields[-1] == b"1" for _, fields in trio.entries()[:2])


def test_the_id_is_that_of_the_entry(trio: Trio) -> None:
    _, entry = trio.script("INCR", "n")
    assert trio.entries()[0][0] == entry


REFUSED = """
INCRBYFLOAT list 1 | INCRBYFLOAT word 1 | INCRBYFLOAT n x | HINCRBYFLOAT h f 1 | SPOP list | SPOP none -1 | SPOP
XADD list * f v | XADD s 0-0 f v | XADD s * f | XADD s | XTRIM s MAXLEN x | XCLAIM list g c 0 1-1 | XCLAIM s
XCLAIM s none c 0 1-1 | XAUTOCLAIM s none c 0 0 | XREADGROUP GROUP none c STREAMS s > | XREADGROUP STREAMS s t >
XREADGROUP | SET n 1 EX 0 | SET n 1 NX XX | SET list 1 GET | EXPIRE n x | GETEX list EX 5
LPOP n | INCR word | NOSUCH n
"""


@pytest.mark.parametrize("line", [line.strip() for line in REFUSED.strip().replace("\n", "|").split("|")])
@pytest.mark.parametrize("kinds", [("valkey", "valkey"), ("redis", "redis")], ids="-".join)
def test_an_error_is_the_commands_own_and_logs_nothing(trio: Trio, line: str) -> None:
    command = line.split()
    for name in ("list", "word", "n", "h", "s"):
        trio.both("DEL", name)
    trio.both("RPUSH", "list", "a")
    trio.both("SET", "word", "abc")
    trio.both("SET", "n", "1")
    trio.both("HSET", "h", "f", "abc")
    trio.both("XADD", "s", "1-1", "f", "v")
    with pytest.raises(redis.ResponseError) as scripted:
        trio.script(*command, keys=min(1, len(command) - 1))
    with pytest.raises(redis.ResponseError) as plain:
        trio.plain.execute_command(*command)
    assert type(scripted.value) is type(plain.value)
    if command[0] != "NOSUCH":  # the wording for scripts differs
        assert str(scripted.value) == str(plain.value)
    assert not trio.source.exists(LOG)
    assert_same_state(trio.source, trio.target)


@pytest.mark.parametrize("kinds", [("valkey", "valkey")], ids=["valkey"])
def test_what_is_not_understood_is_copied(trio: Trio) -> None:
    trio.both("SET", "k", "a")
    trio.same("SET", "k", "b", "IFEQ", "a", logs=True)
    trio.script("EXISTS", "k")
    (_, first), (_, second) = trio.entries()
    assert first == [b"s", b"k"]
    assert second[0] == b"v"


def test_a_stream_read_twice_in_one_call_is_copied(grouped: Trio) -> None:
    read(grouped, "c", "STREAMS", "s", "s", ">", "0", logs=True)
    assert grouped.entries()[0][1][::2] == [b"s", b"s"]


def test_a_command_too_long_for_lua_changes_nothing(trio: Trio) -> None:
    with pytest.raises(redis.ResponseError, match="too many"):
        trio.script("SADD", "s", *range(9000))
    assert not trio.source.exists("s", LOG)


def test_the_commands_with_an_effect_are_named() -> None:
    streams = {"XADD", "XTRIM", "XREADGROUP", "XCLAIM", "XAUTOCLAIM"}
    expiries = {"EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT", "GETEX"}
    assert {"SPOP", "INCRBYFLOAT", "HINCRBYFLOAT", "SET", "SETNX"} | streams | expiries == EFFECT_COMMANDS


# --- flush ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("logged", [True, False])
def test_flush_spares_hybrids_own_keys(trio: Trio, logged: bool) -> None:
    source = trio.source
    source.execute_command("SCRIPT", "LOAD", FLUSH_SCRIPT)
    source.execute_command("MSET", *[part for i in range(2500) for part in (f"k{i}", i)])
    source.execute_command("MSET", "hybrid:id", "x", "hybri", "y", "HYBRID:z", "z")
    reply, entry = source.execute_command("EVALSHA", FLUSH_SHA, 1, LOG, int(logged))
    assert reply == b"OK"
    assert sorted(source.execute_command("KEYS", "*")) == [b"hybrid:id", LOG.encode()][: 1 + logged]
    assert (entry is not None) == logged
    assert [fields for _, fields in trio.entries()] == [[b"f", b"1"]] * logged


@pytest.mark.parametrize("kind", ["valkey", "redis-7.4", "redis-8.2"])
def test_an_entry_of_what_frees_memory_is_taken_by_a_full_store(server_pool: Pool, kind: str) -> None:
    with client(server_pool.get(kind, "local").url) as store:
        store.set("k", 1)
        store.config_set("maxmemory", 1)
        for gone in (1, 0):
            pipeline = store.pipeline()
            pipeline.delete("k")
            pipeline.eval(LOG_WHEN_FULL, 1, "log", "v", "DEL k")
            assert pipeline.execute()[0] == gone
        pipeline = store.pipeline()
        pipeline.set("k", 1)
        pipeline.eval(LOG_WHEN_FULL, 1, "log", "v", "SET k 1")
        with pytest.raises(redis.ResponseError):
            pipeline.execute()
        assert [fields for _, fields in store.xrange("log")] == [{b"v": b"DEL k"}] * 2
        store.config_set("maxmemory", 0)
