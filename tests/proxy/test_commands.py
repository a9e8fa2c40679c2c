"""Commands through the proxy: the replies of one server, byte by byte, and the same data on both stores."""

from __future__ import annotations

import threading

import pytest
import redis
from client.calls import LINES, answer
from client.rig import assert_equal
from proxy.conftest import Open
from proxy.rig import Raw, requests
from servers import Pool, Stores, client, wait_until

from hybrid.ops.compare import compare
from hybrid.proxy import ProxyServer
from hybrid.types import Store

SAME = requests(
    "SET k v",
    "GET k",
    "GET none",
    "MGET k none",
    "INCR n",
    "INCRBYFLOAT f 1.50",
    "LPUSH k x",
    "SET k",
    "GETDEL k",
    "RPUSH l a b c",
    "LPOP l 2",
    "LPOP none 2",
    "LMPOP 2 none l LEFT",
    "LMPOP 1 none LEFT",
    "LRANGE l 0 -1",
    "HSET h a 1 b 2",
    "HGETALL h",
    "HINCRBYFLOAT h a 0.25",
    "HMGET h a none",
    "ZADD z 1.5 m 2 n",
    "ZADD z INCR 1 m",
    "ZADD z NX INCR 1 m",
    "ZSCORE z m",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZPOPMIN z",
    "ZMPOP 1 none MIN",
    "SADD s a",
    "SMEMBERS s",
    "SPOP s",
    "SPOP s",
    "XADD x 1-1 f v",
    "XRANGE x - +",
    "XREAD STREAMS x 0",
    "XREAD STREAMS x 1-1",
    "XGROUP CREATE x g 0",
    "XREADGROUP GROUP g c STREAMS x >",
    "XPENDING x g",
    "XACK x g 1-1",
    "BLPOP none 0.01",
    "BRPOPLPUSH none other 0.01",
    "BLMOVE none other LEFT LEFT 0.01",
    "XREAD BLOCK 10 STREAMS none $",
    "BZPOPMIN z 0.01",
    "BZPOPMIN z 0.01",
    "SETEX e 0 x",
    "EVAL \"return {1,'two',{3}}\" 1 k",
    "EVAL \"return redis.error_reply('MY error')\" 1 k",
    "MULTI",
    "SET t 1",
    "INCR t",
    "HGETALL h",
    "LPOP none 2",
    "LPUSH t x",
    "EXEC",
    "MULTI",
    "DISCARD",
    "EXEC",
    "DISCARD",
    "WATCH t",
    "GET t",
    "MULTI",
    "INCR t",
    "EXEC",
    "MULTI",
    "EXEC",
    "UNWATCH",
    "PING",
    "PING hi",
    "ECHO hi",
    "SELECT 0",
    "TYPE h",
    "OBJECT ENCODING n",
    "EXISTS h h",
    "SORT l",
    "DBSIZE",
    "SCAN 0 COUNT 1000 TYPE hash",
    "KEYS z*",
    "MULTI",
    "DBSIZE",
    "SCAN 0 COUNT 1000 TYPE hash",
    "HSCAN h 0",
    "KEYS z*",
    "SCAN none",
    "SSCAN h none",
    "EXEC",
    "SCAN",
    "HSCAN h none",
    "XINFO",
    "XINFO none x",
    "XREAD BLOCK none STREAMS x 0",
    "XREAD BLOCK",
    "PUBLISH c m",
    "FLUSHALL",
    "RANDOMKEY",
)
COUNT = SAME.count(b"\r\n*") + 1


@pytest.mark.parametrize("batch", [1, COUNT], ids=["one by one", "all at once"])
def test_replies_are_the_bytes_that_one_server_sends(
    proxy: ProxyServer, server_pool: Pool, protocol: int, batch: int
) -> None:
    plain = server_pool.get("valkey", "plain")
    with Raw(proxy.address) as ours, Raw(("127.0.0.1", plain.port)) as theirs:
        for connection in (ours, theirs):
            connection.ask(f"HELLO {protocol}")
        lines = [b"*" + line for line in SAME.split(b"\r\n*")]
        lines = [line.removeprefix(b"*") if line.startswith(b"**") else line for line in lines]
        lines = [line if line.endswith(b"\r\n") else line + b"\r\n" for line in lines]
        assert b"".join(lines) == SAME
        for start in range(0, COUNT, batch):
            for connection in (ours, theirs):
                connection.send(b"".join(lines[start : start + batch]))
            for line in lines[start : start + batch]:
                assert (line, ours.reply()) == (line, theirs.reply())


def test_every_call_is_answered_as_by_one_server(
    open_proxy: Open, server_pool: Pool, stores: Stores, protocol: int
) -> None:
    server = open_proxy(ack="local")
    plain = server_pool.get("valkey", "plain")
    options = {"protocol": protocol, "decode_responses": True}
    with client(plain.url, **options) as expected, client(server.url, **options) as found:
        answers = [(line, answer(line, found), answer(line, expected)) for line in LINES]
        assert [(line, ours, theirs) for line, ours, theirs in answers if ours != theirs] == []
        assert_equal(server.client, stores)
        with client(stores.local.url) as local:
            compared = compare(local, expected)
        assert compared.identical, compared.differences


def test_a_large_value_and_a_long_pipeline(r: redis.Redis) -> None:
    large = "x" * 3_000_000
    assert r.set("large", large)
    assert r.get("large") == large
    with r.pipeline(transaction=False) as pipeline:
        for number in range(1200):
            pipeline.rpush("list", number)
        assert pipeline.execute() == list(range(1, 1201))
        for number in range(1200):
            pipeline.lindex("list", number)
        assert pipeline.execute() == [str(number) for number in range(1200)]
        pipeline.get("large").incr("n").get("large").get("n")
        assert pipeline.execute() == [large, 1, large, "1"]


def test_errors_stand_in_their_places(raw: Raw) -> None:
    replies = raw.ask("SET k v", "INCR k", "SET k", "NOPE a b", "GET k", "SET k w", "MOVE k 1", "GET k")
    assert [reply[:1] for reply in replies] == [b"+", b"-", b"-", b"-", b"$", b"+", b"-", b"$"]
    assert replies[3] == b"-ERR unknown command 'NOPE', with args beginning with: 'a' 'b'\r\n"
    assert replies[6].startswith(b"-ERR MOVE is refused: ")
    assert replies[7] == b"$1\r\nw\r\n"


def test_a_transaction_with_a_refused_command_does_nothing(raw: Raw) -> None:
    replies = raw.ask("MULTI", "SET k v", "MOVE k 1", "EXEC", "GET k", "MULTI", "SET k v", "SET k", "EXEC", "GET k")
    aborted = b"-EXECABORT Transaction discarded because of previous errors.\r\n"
    assert replies[2].startswith(b"-ERR MOVE is refused: ")
    assert (replies[3], replies[8]) == (aborted, aborted)
    assert (replies[4], replies[9]) == (b"$-1\r\n", b"$-1\r\n")


def test_watch_notices_what_others_write(r: redis.Redis) -> None:
    with r.pipeline() as pipeline:
        pipeline.watch("k")
        assert pipeline.get("k") is None
        r.set("k", "theirs")
        pipeline.multi()
        pipeline.set("k", "ours")
        with pytest.raises(redis.WatchError):
            pipeline.execute()
        pipeline.watch("k")
        pipeline.unwatch()
        r.set("k", "later")
        assert pipeline.set("k", "ours").execute() == [True]
    assert r.get("k") == "ours"


def test_watch_is_left_by_whoever_leaves(proxy: ProxyServer, r: redis.Redis) -> None:
    with Raw(proxy.address) as other:
        assert other.ask("WATCH k", "MULTI", "SET k v") == [b"+OK\r\n", b"+OK\r\n", b"+QUEUED\r\n"]
    wait_until(lambda: len(proxy.identities()) <= 1, "the client's end")
    assert r.set("k", "w")
    assert r.get("k") == "w"


def test_a_scan_hides_what_is_hybrid_s_and_survives_many_pages(r: redis.Redis) -> None:
    with r.pipeline(transaction=False) as pipeline:
        for number in range(300):
            pipeline.set(f"key:{number}", number)
        pipeline.execute()
    assert sorted(r.scan_iter(count=10)) == sorted(f"key:{number}" for number in range(300))
    assert (len(r.keys()), r.dbsize()) == (300, 300)
    with r.pipeline() as pipeline:
        keys, size, (cursor, some) = pipeline.keys().dbsize().scan(count=1000).execute()
        assert (len(keys), size, cursor, sorted(some)) == (300, 300, 0, sorted(keys))


LIBRARY = "#!lua name=l\nredis.register_function('f', function() return redis.call('SET', 'undeclared', 1) end)"


def test_functions_look_as_the_application_loaded_them(
    proxy: ProxyServer, shared: tuple[ProxyServer, Stores], r: redis.Redis
) -> None:
    with client(shared[1].local.url) as local:
        local.function_load(LIBRARY, replace=True)
    for call in (r.fcall, lambda *args: r.pipeline().fcall(*args).execute()):
        with pytest.raises(redis.ResponseError, match=r"past hybrid.* load it again through hybrid, with REPLACE"):
            call("f", 0)
    with pytest.raises(redis.ResponseError, match=r"^Function not found"):
        r.fcall("other", 0)
    r.function_load(LIBRARY, replace=True)
    assert r.fcall("f", 0) == "OK"
    assert LIBRARY in str(r.function_list(withcode=True)).replace("\\n", "\n")
    assert "hybrid_f" not in str(r.function_list(withcode=True))
    assert str(r.function_stats()).endswith(("'functions_count', 1]]]", "'functions_count': 1}}}"))
    r.function_delete("l")


def test_hybrid_s_own_keys_cannot_be_written(raw: Raw) -> None:
    assert raw.ask("SET hybrid:log x")[0].startswith(b"-ERR SET is refused: keys that begin with")


@pytest.mark.parametrize(
    ("wait", "wake", "reply"),
    [
        ("BLPOP l none 10", "RPUSH l v", b"*2\r\n$1\r\nl\r\n$1\r\nv\r\n"),
        ("BLMOVE l m LEFT RIGHT 10", "RPUSH l v", b"$1\r\nv\r\n"),
        (
            "XREAD BLOCK 0 STREAMS x $",
            "XADD x 1-1 f v",
            b"*1\r\n*2\r\n$1\r\nx\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n",
        ),
    ],
)
def test_whoever_waits_is_woken(proxy: ProxyServer, raw: Raw, wait: str, wake: str, reply: bytes) -> None:
    raw.send(requests("SET before 1", wait, "GET before"))
    assert raw.reply() == b"+OK\r\n", "what came before the wait is answered first"
    with Raw(proxy.address) as other:
        threading.Timer(0.05, lambda: other.send(requests(wake))).start()
        assert raw.reply() == reply
        assert raw.reply() == b"$1\r\n1\r\n"
        other.reply()


@pytest.mark.parametrize("wait", ["BLPOP l 0", "BLPOP l m 0", "XREAD BLOCK 0 STREAMS x $"])
def test_who_leaves_while_waiting_takes_nothing(proxy: ProxyServer, raw: Raw, wait: str) -> None:
    assert raw.ask("PING") == [b"+PONG\r\n"]
    with Raw(proxy.address) as other:
        other.send(requests(wait))
        wait_until(lambda: len(proxy.identities()) >= 2, "both clients")
    wait_until(lambda: len(proxy.identities()) == 1, "the end of the one who waited", timeout_s=20)
    assert raw.ask("RPUSH l v", "LPOP l") == [b":1\r\n", b"$1\r\nv\r\n"]


def test_one_store_alone_is_served_too(stores: Stores, open_proxy: Open) -> None:
    server = open_proxy(write_both=False)
    with Raw(server.address) as raw:
        assert raw.ask("SET k 1", "INCR k", "MULTI", "INCR k", "EXEC", "BLPOP l 0.01", "SET hybrid:x 1")[:6] == [
            b"+OK\r\n",
            b":2\r\n",
            b"+OK\r\n",
            b"+QUEUED\r\n",
            b"*1\r\n:3\r\n",
            b"*-1\r\n",
        ]
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        assert (local.get("k"), cloud.get("k")) == (b"3", None)


def test_reads_come_from_the_preferred_store(open_proxy: Open, stores: Stores) -> None:
    server = open_proxy(read_preference="cloud")
    with Raw(server.address) as raw:
        raw.ask("SET k v")
        assert server.client.wait_in_sync(10)
        with client(stores.cloud.url) as cloud:
            cloud.set("k", "seen there")
        assert raw.ask("GET k") == [b"$10\r\nseen there\r\n"]
    assert server.client.settings.read_preference == Store.CLOUD
