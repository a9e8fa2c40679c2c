"""Commands through HybridRedis: the replies of plain redis-py, and the same data on both stores."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import redis
from client.calls import LINES, wrong_answers
from client.rig import assert_equal, one_pair
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
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
    with client(plain_server.url, protocol=protocol, decode_responses=decoded) as plain:
        assert wrong_answers(LINES, plain, hybrid) == []
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


FOLLOWED = """
local function each(name, ...) for _, key in ipairs({...}) do redis.call(name, key, '1') end end
each('SET', 'a', 'b') each(ARGV[1], 'list', KEYS[1]) redis.pcall('mset', 'm', '1', 'n', '2')
redis.call('RENAME', 'a', 'c') redis.call('DEL', 'gone') redis.call("ZADD", 'z', 1, 'x')
redis.call('ZUNIONSTORE', 'union', 1, 'z') redis.call('SORT', 'list', 'STORE', 'sorted')
return {redis.sha1hex(''), redis.pcall('GET', 'list').err ~= nil, redis.call('GET', 'c')}
"""
FOLLOWED_LIBRARY = """#!lua name=followed
redis.register_function('f', function(keys, args) redis.call('SET', args[1], redis.sha1hex('')) return #keys end)
redis.register_function{function_name='g', callback=function() return redis.pcall('GET', 'fx') end, flags={'no-writes'}}
"""


def test_what_a_script_writes_to_keys_it_did_not_name_arrives_too(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.set("gone", 1)
    answer = hybrid.eval(FOLLOWED, 1, "key", "RPUSH")
    assert answer == ["da39a3ee5e6b4b0d3255bfef95601890afd80709", 1, "1"]
    script = hybrid.register_script("redis.call('INCRBY', 'n:' .. ARGV[1], ARGV[1]) return redis.call('GET', 'c')")
    pipeline = hybrid.pipeline()
    script(args=[7], client=pipeline)
    assert [script(args=[5]), hybrid.evalsha(script.sha.upper(), 0, 5), *pipeline.execute()] == ["1"] * 3
    hybrid.function_load(FOLLOWED_LIBRARY)
    assert (hybrid.fcall("f", 1, "k", "fx"), hybrid.fcall_ro("g", 0)) == (1, answer[0])
    [listed] = hybrid.function_list(withcode=True)
    assert FOLLOWED_LIBRARY in (listed.values() if isinstance(listed, dict) else listed)
    assert hybrid.script_exists(script.sha, "0" * 40) == [True, False]
    with pytest.raises(redis.ResponseError, match="not an integer"):
        hybrid.eval("redis.call('SET', 'half', 'x') return redis.call('INCR', 'half')", 0)
    assert_equal(hybrid, stores)
    with client(stores.cloud.url, decode_responses=True) as cloud:
        assert {*cloud.keys()} - {*cloud.keys("hybrid:*")} == {
            *"bcmnz",
            *["list", "key", "union", "sorted", "n:5", "n:7", "fx", "half"],
        }
        assert (cloud.get("n:5"), cloud.get("half"), cloud.fcall_ro("g", 0)) == ("10", "x", answer[0])


def test_a_library_that_nobody_follows_is_not_called(hybrid: HybridRedis, stores: Stores) -> None:
    library = "#!lua name=l\nredis.register_function('f', function() return redis.call('SET', 'undeclared', 1) end)"
    with client(stores.local.url) as local:
        local.function_load(library)
        watching = hybrid.pipeline()
        watching.watch("k")
        watching.multi()
        for call in (hybrid.fcall, lambda *args: watching.fcall(*args).execute()):
            with pytest.raises(CommandRefused, match=r"past hybrid.* load it again through hybrid, with REPLACE"):
                call("f", 0)
        with pytest.raises(redis.ResponseError, match=r"^Function not found"):
            hybrid.fcall("other", 0)
        hybrid.function_load(library, replace=True)
        assert hybrid.fcall("f", 0) in ("OK", b"OK")
        assert "hybrid_f" in str(local.function_list()) and "hybrid_f" not in str(hybrid.function_list())
        assert "'functions_count': 1}" in str(hybrid.function_stats()).replace("b'", "'").replace("', 1]", "': 1}")
    assert_equal(hybrid, stores)
    assert hybrid.get("undeclared") == "1"


UNFOLLOWED = {
    "redis.call('FLUSHALL')": "it is not for scripts",
    "redis.call('COPY', 'a', 'b', 'REPLACE', 'db', 1)": "with DB it writes past the log",
    "return redis.call('SET', 'hybrid:log', 'x')": "hybrid: keys are not yours",
    "local f = redis.call return f(ARGV[1], 'k', 'v')": "spell its name out",
    "return _G.redis.call('SET', 'k', 'v')": "by _G it could write what it does not name",
    "return loadstring(ARGV[2])()": "by loadstring it could write",
}


@one_pair
@pytest.mark.parametrize("text", UNFOLLOWED)
def test_a_script_that_cannot_be_followed_is_refused(hybrid: HybridRedis, text: str) -> None:
    with pytest.raises(redis.RedisError, match=UNFOLLOWED[text]):
        hybrid.eval(text, 0, "SET", "redis.call('SET', 'k', 'v')")
    assert hybrid.exists("k") == 0


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


@one_pair
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


def test_a_queue_of_large_items_is_not_copied_with_each(hybrid: HybridRedis, stores: Stores) -> None:
    item, items = "x" * 50_000, 40
    with client(stores.cloud.url) as cloud:

        def received_bytes() -> int:
            return int(cloud.info("stats")["total_net_input_bytes"])

        before_bytes = received_bytes()
        for number in range(items):
            hybrid.rpush("queue", item)
            hybrid.hset("jobs", str(number), item)
        assert hybrid.wait_in_sync(20)
        assert received_bytes() - before_bytes < 3 * 2 * items * len(item)


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
    with hybrid.pipeline() as pipeline:
        pipeline.watch("größe")
        assert pipeline.get("größe") == "straße"
        hybrid.set("größe", "straße")
        pipeline.multi()
        with pytest.raises(redis.WatchError):
            pipeline.get("größe").execute()
    assert_equal(hybrid, stores)
    with client(stores.cloud.url) as cloud:
        assert cloud.get("größe".encode("latin-1")) == "straße".encode("latin-1")


@one_pair
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
    (("SELECT", 1), "the database that the URL names"),
    (("MOVE", "k", 1), "the database that the URL names"),
    (("SWAPDB", 0, 1), "the database that the URL names"),
    (("COPY", "k", "k2", "DB", 1), "the one that the URL names"),
    (("SUBSCRIBE", "c"), r"use pubsub\(\)"),
    (("MIGRATE", "host", 6379, "k", 0, 500), "a server that hybrid does not know"),
    (("MULTI",), r"use pipeline\(\)"),
    (("SHUTDOWN",), "."),
    (("NOSUCHCOMMAND",), "not in the command table"),
]


@one_pair
@pytest.mark.parametrize(("args", "reason"), REFUSED, ids=[args[0] for args, _ in REFUSED])
def test_a_refused_command_names_itself_and_the_reason(hybrid: HybridRedis, args: tuple[Any, ...], reason: str) -> None:
    hybrid.set("k", "v")
    with pytest.raises(CommandRefused, match=reason) as refused:
        hybrid.execute_command(*args)
    assert str(refused.value) == f"{args[0]} is refused: {refused.value.reason}"
    assert refused.value.reason.strip()
    assert isinstance(refused.value, redis.ResponseError)
    with pytest.raises(CommandRefused, match=reason):
        hybrid.pipeline().set("k", "other").execute_command(*args).execute()
    assert hybrid.get("k") == "v"


def test_the_database_in_the_url_may_be_selected_and_no_other() -> None:
    client = HybridRedis.from_urls("redis://localhost:1/2", "redis://localhost:2/0")
    assert client.prepared(("select", b"2")).args == client.prepared(("SELECT 2",)).args == ("PING", "OK")
    for args in (("SELECT", 0), ("SELECT", "2", 2), ("SELECT",), ("SELECT", "x"), ("SWAPDB", 2, 2)):
        with pytest.raises(CommandRefused, match="the database that the URL names"):
            client.prepared(args)


def test_copy_stays_in_the_database_in_the_url() -> None:
    client = HybridRedis.from_urls("redis://localhost:1/2", "redis://localhost:2/0")
    assert client.prepared(("COPY", "a", "b", "DB", 2, "REPLACE")).args == ("COPY", "a", "b", "REPLACE")
    assert client.prepared((b"copy", b"DB", b"b", b"db", b"2")).args == ("COPY", b"DB", b"b")
    for named in ((0,), (1,), ("x",), (2, "DB", 0), (0, "DB", 2)):
        with pytest.raises(CommandRefused, match="the one that the URL names"):
            client.prepared(("COPY", "a", "b", "DB", *named))


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


@one_pair
@pytest.mark.parametrize("args", OWN, ids=lambda args: args[0])
def test_hybrids_own_keys_cannot_be_written(hybrid: HybridRedis, args: tuple[Any, ...]) -> None:
    hybrid.set("a", "v")
    with pytest.raises(CommandRefused, match="hybrid's own"):
        hybrid.execute_command(*args)
    with pytest.raises(CommandRefused, match="hybrid's own"):
        hybrid.pipeline().incr("n").execute_command(*args).execute()
    assert hybrid.exists("n") == 0


@pytest.mark.parametrize("flush", ["flushdb", "flushall"])
def test_a_flush_empties_both_stores_and_replication_goes_on(hybrid: HybridRedis, stores: Stores, flush: str) -> None:
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


def test_messages_reach_subscribers(hybrid: HybridRedis) -> None:
    with hybrid.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("channel")
        pubsub.get_message(timeout=5)
        assert hybrid.publish("channel", "hello") == 1
        assert hybrid.pipeline().set("k", 1).publish("channel", "again").execute() == [True, 1]
        messages = [pubsub.get_message(timeout=5) for _ in range(2)]
    assert [message["data"] for message in messages] == ["hello", "again"]


OPTIONS: dict[str, dict[str, Any]] = {
    "max_connections": {"max_connections": 20},
    "timeouts": {"socket_timeout": 5, "socket_connect_timeout": 5, "socket_keepalive": True},
    "health_check_interval": {"health_check_interval": 30},
    "retry": {"retry": Retry(ExponentialBackoff(), 3), "retry_on_error": [redis.ConnectionError]},
    "retry_on_timeout": {"retry_on_timeout": True},
    "client_name": {"client_name": "shop"},
    "db": {"db": 0},
    "TLS options of the cloud": {"ssl_cert_reqs": "none", "ssl_check_hostname": False},
    "encoding_errors": {"encoding_errors": "replace", "encoding": "utf-8"},
}


@one_pair
@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_redis_py_are_taken(open_hybrid: Callable[..., HybridRedis], stores: Stores, name: str) -> None:
    hybrid = open_hybrid(decode_responses=True, **OPTIONS[name])
    assert hybrid.set("k", "v") is True
    assert hybrid.pipeline().get("k").incr("n").execute() == ["v", 1]
    assert_equal(hybrid, stores)


def test_another_database_than_the_first(stores: Stores, open_client: Callable[..., HybridRedis]) -> None:
    hybrid = open_client(f"{stores.local.url}/1", f"{stores.cloud.url}/2", decode_responses=True)
    hybrid.set("k", "v")
    hybrid.pipeline().rpush("l", 1).spop("none").incrbyfloat("f", 0.5).execute()
    assert hybrid.wait_in_sync(10)
    with client(f"{stores.local.url}/1") as local, client(f"{stores.cloud.url}/2") as cloud:
        assert compare(local, cloud).equal == 3
        hybrid.flushdb()
        assert hybrid.wait_in_sync(10)
        assert compare(local, cloud).local_keys == 0


@one_pair
def test_a_client_of_one_connection(hybrid: HybridRedis) -> None:
    with hybrid.client() as single:
        assert single.set("k", "v") is True
        assert single.get("k") == "v"
    assert hybrid.get("k") == "v"


@pytest.mark.parametrize("protocol", [3], indirect=True)
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


def test_threads_that_do_everything_at_once(open_hybrid: Callable[..., HybridRedis], stores: Stores) -> None:
    hybrid = open_hybrid(decode_responses=True, ack="local")
    seeds = iter(range(6))

    def work() -> None:
        draw = random.Random(next(seeds))
        for n in range(400):
            with suppress(redis.ResponseError, redis.DataError):
                one_of_everything(hybrid, draw, n)

    run_threads(6, work)
    assert_equal(hybrid, stores)


def one_of_everything(r: HybridRedis, draw: random.Random, n: int) -> None:
    """One call on keys that other threads change too; some have the wrong type."""

    def key(prefix: str) -> str:
        return f"{prefix}:{draw.randrange(4)}"

    calls: list[Callable[[], Any]] = [
        lambda: r.set(key("s"), n, px=draw.randrange(1, 400)),
        lambda: r.set(key("s"), n, nx=True, px=draw.randrange(1, 400)),
        lambda: r.set(key("l"), n, px=draw.randrange(1, 50)),
        lambda: r.append(key("s"), n),
        lambda: r.incrbyfloat(key("f"), 0.1),
        lambda: r.pexpire(key("f"), draw.randrange(1, 300)),
        lambda: r.getdel(key("s")),
        lambda: r.getex(key("s"), px=draw.randrange(1, 300)),
        lambda: r.rename(key("s"), key("t")),
        lambda: r.copy(key("t"), key("s"), replace=True),
        lambda: r.restore(key("t"), 500, r.dump(key("z")), replace=True),
        lambda: r.rpush(key("l"), *range(draw.randrange(1, 5))),
        lambda: r.lpop(key("l")),
        lambda: r.blpop([key("l"), key("l")], timeout=0.001),
        lambda: r.blmove(key("l"), key("l"), 0.001),
        lambda: r.sort(key("l"), store=key("sorted")),
        lambda: r.sadd(key("set"), *range(draw.randrange(1, 9))),
        lambda: r.spop(key("set"), draw.randrange(1, 4)),
        lambda: r.sinterstore(key("set"), [key("set"), key("set")]),
        lambda: r.hincrbyfloat(key("h"), "f", 0.5),
        lambda: r.hset(key("h"), mapping={str(draw.randrange(9)): n}),
        lambda: r.expire(key("h"), 0 if draw.random() < 0.3 else 100),
        lambda: r.zadd(key("z"), {str(draw.randrange(9)): draw.random()}),
        lambda: r.zpopmin(key("z")),
        lambda: r.zunionstore(key("z"), [key("z"), key("set")]),
        lambda: r.xadd(key("x"), {"n": n}, maxlen=20, approximate=draw.random() < 0.5),
        lambda: r.xgroup_create(key("x"), "g", id="0", mkstream=True),
        lambda: r.xreadgroup("g", f"c{n % 2}", {key("x"): ">", key("x"): ">"}, count=3),
        lambda: r.xautoclaim(key("x"), "g", f"c{n % 2}", 0, count=2),
        lambda: r.xgroup_destroy(key("x"), "g"),
        lambda: r.setbit(key("b"), draw.randrange(99), 1),
        lambda: r.pfadd(key("hll"), n),
        lambda: r.geoadd(key("geo"), (draw.random(), draw.random(), str(n % 9))),
        lambda: r.eval("redis.call('SPOP', KEYS[1]); return redis.call('INCR', KEYS[2])", 2, key("set"), key("s")),
        lambda: r.pipeline().spop(key("set")).incr(key("s")).pexpire(key("s"), 200).rpush(key("l"), n).execute(),
        lambda: r.pipeline(transaction=False).xadd(key("x"), {"n": n}).get(key("s")).lpop(key("l")).execute(),
        lambda: r.delete(*(key(prefix) for prefix in ("s", "l", "h", "z", "f", "x"))),
        lambda: r.set(key("large"), "x" * 40_000, px=draw.randrange(50, 500)),
        lambda: r.append(key("large"), "y" * 5_000),
        lambda: r.flushdb() if draw.random() < 0.05 else None,
    ]
    draw.choice(calls)()


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
