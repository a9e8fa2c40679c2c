"""Commands through HybridRedis: the replies of plain redis-py, and the same data on both stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from client.calls import LINES, answer
from client.rig import assert_equal
from servers import Stores, client

from hybrid import CommandRefused, HybridRedis
from hybrid.ops.compare import compare
from hybrid.stores.processes import ServerProcess


def test_a_hybrid_client_is_a_redis_client(hybrid: HybridRedis) -> None:
    assert isinstance(hybrid, redis.Redis)
    assert hybrid.set("k", "v") is True
    assert hybrid.get("k") == "v"


@pytest.mark.parametrize("decoded", [True, False], ids=["str", "bytes"])
def test_every_call_is_answered_as_by_redis_py(
    open_hybrid: Callable[..., HybridRedis], plain_server: ServerProcess, stores: Stores, protocol: int, decoded: bool
) -> None:
    hybrid = open_hybrid(decode_responses=decoded, ack="local")
    wrong = []
    with client(plain_server.url, protocol=protocol, decode_responses=decoded) as plain:
        for line in LINES:
            expected, found = answer(line, plain), answer(line, hybrid)
            if found != expected:
                wrong.append(f"{line}: {found!r}, redis-py: {expected!r}")
        assert not wrong, "\n".join(wrong)
        assert_equal(hybrid, stores)
        with client(stores.local.url) as local:
            found = compare(local, plain)
        assert found.identical, found.differences


RELATIVE = {
    "SET EX": lambda r: r.set("k", "v", ex=100),
    "SET PX": lambda r: r.set("k", "v", px=100_000),
    "SETEX": lambda r: r.setex("k", 100, "v"),
    "PSETEX": lambda r: r.psetex("k", 100_000, "v"),
    "EXPIRE": lambda r: (r.set("k", "v"), r.expire("k", 100)),
    "PEXPIRE": lambda r: (r.rpush("k", "v"), r.pexpire("k", 100_000)),
    "GETEX": lambda r: (r.set("k", "v"), r.getex("k", ex=100)),
    "in a pipeline": lambda r: r.pipeline().set("k", "v").expire("k", 100).execute(),
    "by a script": lambda r: r.eval("return redis.call('SET', KEYS[1], 'v', 'EX', 100)", 1, "k"),
    "RENAME": lambda r: (r.set("j", "v", ex=100), r.rename("j", "k")),
    "INCRBYFLOAT": lambda r: (r.set("k", "1", ex=100), r.incrbyfloat("k", 0.5)),
}


@pytest.mark.parametrize("name", RELATIVE)
def test_relative_times_arrive_as_absolute_ones(hybrid: HybridRedis, stores: Stores, name: str) -> None:
    before_ms = time.time() * 1000
    RELATIVE[name](hybrid)
    after_ms = time.time() * 1000
    assert_equal(hybrid, stores)
    for store in (stores.local, stores.cloud):
        with client(store.url) as plain:
            assert before_ms + 99_000 <= plain.pexpiretime("k") <= after_ms + 101_000


def test_what_the_server_draws_or_reckons_is_the_same_on_both_stores(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.sadd("set", *range(100))
    drawn = [hybrid.spop("set"), *hybrid.spop("set", 20)]
    assert len(set(drawn)) == 21
    for _ in range(10):
        hybrid.incrbyfloat("float", 0.1)
        hybrid.hincrbyfloat("hash", "field", 0.1)
    ids = [hybrid.xadd("stream", {"n": n}, maxlen=50) for n in range(200)]
    assert ids == sorted(set(ids), key=lambda i: tuple(map(int, i.split("-"))))
    hybrid.xgroup_create("stream", "group", id="0")
    read = hybrid.xreadgroup("group", "a", {"stream": ">"}, count=10)
    assert read
    hybrid.xautoclaim("stream", "group", "b", 0, count=5)
    hybrid.xtrim("stream", maxlen=30)
    assert_equal(hybrid, stores)
    with client(stores.cloud.url, decode_responses=True) as cloud:
        assert cloud.scard("set") == 79
        assert cloud.get("float") == hybrid.get("float")
        assert cloud.xrange("stream") == hybrid.xrange("stream")


def test_scripts_and_functions_run_once_and_arrive_by_their_effect(hybrid: HybridRedis, stores: Stores) -> None:
    script = hybrid.register_script("redis.call('RPUSH', KEYS[1], redis.call('TIME')[2]); return ARGV[1]")
    assert [script(keys=["times"], args=[n]) for n in range(3)] == ["0", "1", "2"]
    pipeline = hybrid.pipeline()
    script(keys=["times"], args=["queued"], client=pipeline)
    assert pipeline.execute() == ["queued"]
    hybrid.function_load("#!lua name=l\nredis.register_function('f', function(k) return redis.call('INCR', k[1]) end)")
    assert hybrid.fcall("f", 1, "n") == 1
    assert_equal(hybrid, stores)
    with client(stores.cloud.url) as cloud:
        assert cloud.llen("times") == 4
        assert cloud.fcall("f", 1, "n") == 2, "the function is there too"
        cloud.set("n", 1)


def test_a_script_without_keys_is_refused(hybrid: HybridRedis) -> None:
    with pytest.raises(CommandRefused, match="nothing tells what it writes"):
        hybrid.eval("return redis.call('SET', 'k', 'v')", 0)


def test_lock(hybrid: HybridRedis) -> None:
    lock = hybrid.lock("lock", timeout=30)
    with lock:
        assert hybrid.lock("lock", blocking=False).acquire() is False
        assert lock.extend(30) is True
        assert lock.reacquire() is True
        assert hybrid.exists("lock")
    assert not hybrid.exists("lock")
    with pytest.raises(redis.exceptions.LockError):
        lock.release()


def test_a_lock_is_held_by_one_at_a_time(hybrid: HybridRedis) -> None:
    inside: list[int] = []

    def work() -> None:
        for _ in range(5):
            with hybrid.lock("lock", timeout=30, sleep=0.001):
                inside.append(1)
                assert len(inside) == 1
                inside.pop()
                hybrid.incr("entered")

    run_threads(4, work)
    assert hybrid.get("entered") == "20"


def test_large_values(hybrid: HybridRedis, stores: Stores) -> None:
    text = "0123456789abcdef" * 196_608
    assert hybrid.set("large", text) is True
    assert hybrid.append("large", "!") == len(text) + 1
    assert hybrid.get("large") == text + "!"
    members = [f"member:{n}" for n in range(100_000)]
    assert hybrid.sadd("many", *members) == 100_000
    assert hybrid.srem("many", *members[:10]) == 10
    assert_equal(hybrid, stores)
    with client(stores.cloud.url) as cloud:
        assert cloud.strlen("large") == 3_145_729
        assert cloud.scard("many") == 99_990


def test_binary_keys_and_values(open_hybrid: Callable[..., HybridRedis], stores: Stores) -> None:
    hybrid = open_hybrid()
    every_byte = bytes(range(256))
    awkward = (every_byte, b"", b"\r\n$3\r\n", b"\xff\xfe", "schlüssel ☃".encode())
    for key in awkward:
        assert hybrid.set(key, every_byte) is True
        assert hybrid.get(key) == every_byte
        hybrid.hset(b"h" + key, key, every_byte)
        hybrid.set(b"m" + key, memoryview(every_byte))
        hybrid.spop(b"none" + key)
    hybrid.sadd(b"set\x00", *awkward)
    hybrid.spop(b"set\x00", 2)
    hybrid.xadd(b"stream\xff", {b"\x00": every_byte})
    hybrid.eval("return redis.call('RPUSH', KEYS[1], ARGV[1])", 1, every_byte + b"l", every_byte)
    hybrid.pipeline().incrbyfloat(b"\xff\x00f", 1.5).set(b"\xff", every_byte).execute()
    assert hybrid.rename(b"", b"\x00") is True
    assert set(hybrid.keys(b"m*")) == {b"m" + key for key in awkward}
    assert_equal(hybrid, stores)


def test_other_encodings(open_hybrid: Callable[..., HybridRedis], stores: Stores) -> None:
    hybrid = open_hybrid(encoding="latin-1", decode_responses=True)
    hybrid.set("größe", "straße")
    hybrid.hset("hash", "ä", "ö")
    assert (hybrid.get("größe"), hybrid.hgetall("hash")) == ("straße", {"ä": "ö"})
    assert_equal(hybrid, stores)
    with client(stores.cloud.url) as cloud:
        assert cloud.get("größe".encode("latin-1")) == "straße".encode("latin-1")


@pytest.mark.parametrize("value", [None, True, {"a": 1}, [1], object()], ids=lambda value: type(value).__name__)
def test_values_that_redis_py_refuses_are_refused(hybrid: HybridRedis, value: Any) -> None:
    with pytest.raises(redis.DataError):
        hybrid.set("k", value)
    with pytest.raises(redis.DataError):
        hybrid.get(value)
    with pytest.raises(redis.DataError):
        hybrid.pipeline().set("k", "v").rpush("l", value).execute()
    assert hybrid.exists("k", "l") == 0


def test_errors_of_the_server_leave_the_stores_equal(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.set("text", "no number")
    for number in range(20):
        for call in (
            lambda: hybrid.incr("text"),
            lambda: hybrid.lpush("text", 1),
            lambda: hybrid.spop("text"),
            lambda: hybrid.expire("text", "soon"),  # type: ignore[arg-type]
            lambda: hybrid.set("text", "v", ex=-1),
            lambda: hybrid.execute_command("SET", "text"),
            lambda: hybrid.xadd("text", {"a": 1}),
        ):
            with pytest.raises(redis.ResponseError):
                call()
        hybrid.incr("n")
        hybrid.append("text", number)
    assert_equal(hybrid, stores)
    assert hybrid.get("n") == "20"


REFUSED = [
    (("SELECT", 1), "database 0"),
    (("MOVE", "k", 1), "database 0"),
    (("SWAPDB", 0, 1), "database 0"),
    (("COPY", "k", "k2", "DB", 1), "database 0"),
    (("SUBSCRIBE", "c"), r"use pubsub\(\)"),
    (("MIGRATE", "host", 6379, "k", 0, 500), "a server that hybrid does not know"),
    (("MULTI",), r"use pipeline\(\)"),
    (("SHUTDOWN",), "."),
    (("NOSUCHCOMMAND",), "not in the command table"),
]


@pytest.mark.parametrize(("args", "reason"), REFUSED, ids=[args[0] for args, _ in REFUSED])
def test_a_refused_command_names_itself_and_the_reason(
    hybrid: HybridRedis, args: tuple[Any, ...], reason: str
) -> None:
    hybrid.set("k", "v")
    with pytest.raises(CommandRefused, match=reason) as refused:
        hybrid.execute_command(*args)
    assert str(refused.value) == f"{args[0]} is refused: {refused.value.reason}"
    assert refused.value.reason.strip()
    assert isinstance(refused.value, redis.ResponseError)
    with pytest.raises(CommandRefused, match=reason):
        hybrid.pipeline().set("k", "other").execute_command(*args).execute()
    assert hybrid.get("k") == "v"


OWN = [
    ("SET", "hybrid:authority", "x"),
    ("DEL", "a", "hybrid:log"),
    ("RENAME", "a", "hybrid:log"),
    ("RENAME", "hybrid:log", "a"),
    ("SPOP", "hybrid:set"),
    ("EVAL", "return 1", 1, "hybrid:lease"),
    ("EXPIRE", b"hybrid:identity", 1),
    ("BLPOP", "hybrid:list", 1),
    ("SUNIONSTORE", "hybrid:s", "a"),
]


@pytest.mark.parametrize("args", OWN, ids=lambda args: args[0])
def test_hybrids_own_keys_cannot_be_written(hybrid: HybridRedis, args: tuple[Any, ...]) -> None:
    hybrid.set("a", "v")
    with pytest.raises(CommandRefused, match="hybrid's own"):
        hybrid.execute_command(*args)
    with pytest.raises(CommandRefused, match="hybrid's own"):
        hybrid.pipeline().incr("n").execute_command(*args).execute()
    assert hybrid.exists("n") == 0


@pytest.mark.parametrize("flush", ["flushdb", "flushall"])
def test_a_flush_empties_both_stores_and_replication_goes_on(
    hybrid: HybridRedis, stores: Stores, flush: str
) -> None:
    hybrid.mset({f"k:{n}": n for n in range(500)})
    assert getattr(hybrid, flush)() is True
    assert hybrid.keys() == []
    assert hybrid.dbsize() == 0
    assert assert_equal(hybrid, stores).local_keys == 0
    hybrid.set("after", "v")
    hybrid.pipeline().set("before", 1).flushdb().set("behind", 2).execute()
    assert hybrid.keys() == ["behind"]
    assert assert_equal(hybrid, stores).cloud_keys == 1


def test_keys_that_expire_soon_are_the_same_on_both_stores(hybrid: HybridRedis, stores: Stores) -> None:
    for n in range(50):
        hybrid.set(f"soon:{n}", n, px=20 + n)
        hybrid.incr(f"soon:{n}")
        hybrid.rpush(f"list:{n}", n)
        hybrid.pexpire(f"list:{n}", 10 + n)
        hybrid.rpush(f"list:{n}", n)
    assert_equal(hybrid, stores)


def test_eight_threads(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.change_settings(ack="local")

    def work() -> None:
        name = threading.get_ident() % 4
        for n in range(500):
            hybrid.incr("n")
            hybrid.rpush(f"list:{name}", n)
            hybrid.zincrby("z", 1, str(n % 10))
            hybrid.hincrbyfloat("h", str(name), 0.5)

    run_threads(8, work)
    assert hybrid.get("n") == "4000"
    assert sum(score for _, score in hybrid.zrange("z", 0, -1, withscores=True)) == 4000
    assert_equal(hybrid, stores)


def run_threads(count: int, work: Callable[[], None]) -> None:
    """Run `work` in `count` threads at once; fails when any of them failed."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not failures, failures
    assert not any(thread.is_alive() for thread in threads)
