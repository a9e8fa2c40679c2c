"""Commands that wait: woken by another thread, or None when the time is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from client.rig import one_pair
from servers import Stores, client, wait_until

from hybrid import HybridRedis

WAITING: dict[str, tuple[Callable[[redis.Redis], Any], Callable[[redis.Redis], Any], Any]] = {
    "BLPOP": (lambda r: r.blpop("l", timeout=20), lambda r: r.rpush("l", "a", "b"), ("l", "a")),
    "BLPOP for ever": (lambda r: r.blpop("l"), lambda r: r.rpush("l", "a", "b"), ("l", "a")),
    "BRPOP": (lambda r: r.brpop("l", timeout=20), lambda r: r.rpush("l", "a", "b"), ("l", "b")),
    "BLPOP of several": (lambda r: r.blpop(["k", "l"], timeout=20), lambda r: r.rpush("l", "a"), ("l", "a")),
    "BLMOVE": (lambda r: r.blmove("l", "to", 20), lambda r: r.rpush("l", "a"), "a"),
    "BRPOPLPUSH": (lambda r: r.brpoplpush("l", "to", timeout=20), lambda r: r.rpush("l", "a"), "a"),
    "BLMPOP": (
        lambda r: r.blmpop(20, 2, "k", "l", direction="LEFT", count=2),
        lambda r: r.pipeline().rpush("l", "a", "b", "c").execute(),
        ["l", ["a", "b"]],
    ),
    "BZPOPMIN": (lambda r: r.bzpopmin("z", timeout=20), lambda r: r.zadd("z", {"a": 1, "b": 2}), ("z", "a", 1.0)),
    "BZPOPMAX": (
        lambda r: r.bzpopmax(["y", "z"], timeout=20),
        lambda r: r.zadd("z", {"a": 1, "b": 2}),
        ("z", "b", 2.0),
    ),
    "woken by a script": (
        lambda r: r.blpop("l", timeout=20),
        lambda r: r.eval("return redis.call('RPUSH', KEYS[1], 'a')", 1, "l"),
        ("l", "a"),
    ),
    "woken by RENAME": (
        lambda r: r.blpop("l", timeout=20),
        lambda r: (r.rpush("m", "a"), r.rename("m", "l")),
        ("l", "a"),
    ),
}


def is_waiting(hybrid: HybridRedis) -> bool:
    """Whether some thread asked its store in vain at least once: a command with a wait, or an EXISTS."""
    clients = hybrid.client_list()
    return any(entry["cmd"] in ("blmove", "exists") for entry in clients)


@pytest.mark.parametrize("name", WAITING)
def test_a_waiting_command_is_woken_by_another_thread(hybrid: HybridRedis, name: str) -> None:
    wait, wake, expected = WAITING[name]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(wait, hybrid)
        wait_until(lambda: is_waiting(hybrid), "the wait")
        assert not waiting.done()
        wake(hybrid)
        found = waiting.result(timeout=15)
    assert (list(found) if isinstance(expected, tuple) else found) == (
        list(expected) if isinstance(expected, tuple) else expected
    )


def test_a_consumer_of_a_group_is_woken(hybrid: HybridRedis) -> None:
    hybrid.xgroup_create("x", "g", mkstream=True)
    seen: list[Any] = []

    def consume() -> None:
        while len(seen) < 3:
            for _, entries in streams(hybrid.xreadgroup("g", "c", {"x": ">"}, block=15_000, count=10)):
                for entry_id, fields in entries:
                    seen.append(fields["n"])
                    hybrid.xack("x", "g", entry_id)

    with ThreadPoolExecutor() as pool:
        consumer = pool.submit(consume)
        for n in range(3):
            hybrid.xadd("x", {"n": n})
            wait_until(lambda n=n: len(seen) > n, "the consumer")  # type: ignore[misc]
        consumer.result(timeout=15)
    assert seen == ["0", "1", "2"]
    assert hybrid.xpending("x", "g")["pending"] == 0


def test_a_plain_reader_of_a_stream_is_woken(hybrid: HybridRedis) -> None:
    with ThreadPoolExecutor() as pool:
        reader = pool.submit(hybrid.xread, {"x": "0"}, block=15_000)
        hybrid.xadd("x", {"n": 1})
        [(name, entries)] = streams(reader.result(timeout=15))
    assert (name, [fields for _, fields in entries]) == ("x", [{"n": "1"}])


@pytest.mark.parametrize(
    "call",
    [
        lambda r: r.blpop("l", timeout=0.05),
        lambda r: r.brpop(["k", "l"], timeout=0.05),
        lambda r: r.blmove("l", "m", 0.05),
        lambda r: r.execute_command("BRPOPLPUSH", "l", "m", 0.05),
        lambda r: r.bzpopmin("z", timeout=0.05),
        lambda r: r.bzpopmax(["y", "z"], timeout=0.05),
        lambda r: r.blmpop(0.05, 1, "l", direction="LEFT"),
        lambda r: r.bzmpop(0.05, 1, ["z"], min=True),
        lambda r: r.xread({"x": "$"}, block=50) or None,
        lambda r: r.xreadgroup("g", "c", {"x": ">"}, block=50) or None,
    ],
    ids=("BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BZPOPMIN", "BZPOPMAX", "BLMPOP", "BZMPOP", "XREAD", "XREADGROUP"),
)
def test_a_timeout_returns_none_and_logs_nothing(
    hybrid: HybridRedis, stores: Stores, call: Callable[[redis.Redis], Any]
) -> None:
    hybrid.xgroup_create("x", "g", mkstream=True)
    hybrid.xgroup_createconsumer("x", "g", "c")
    with client(stores.local.url) as local:
        logged = local.xinfo_stream("hybrid:log")["entries-added"] if redis_counts(local) else None
        started_s = time.monotonic()
        assert call(hybrid) is None
        assert time.monotonic() - started_s >= 0.045
        if logged is not None:
            assert local.xinfo_stream("hybrid:log")["entries-added"] == logged


def redis_counts(local: redis.Redis) -> bool:
    return "entries-added" in local.xinfo_stream("hybrid:log")


@one_pair
def test_what_is_there_is_popped_in_the_order_of_the_keys(hybrid: HybridRedis) -> None:
    hybrid.rpush("b", "from b")
    hybrid.rpush("a", "from a")
    popped = [hybrid.blpop(["none", "a", "b"], timeout=1) for _ in range(2)]
    assert [list(pair) for pair in popped] == [["a", "from a"], ["b", "from b"]]


def test_a_wait_keeps_the_time_to_live_of_its_list(hybrid: HybridRedis) -> None:
    hybrid.rpush("l", "a", "b")
    hybrid.expire("l", 100)
    assert list(hybrid.blpop("l", timeout=1)) == ["l", "a"]
    assert 90 < hybrid.ttl("l") <= 100


def test_each_element_goes_to_one_of_many_who_wait(hybrid: HybridRedis) -> None:
    def take() -> list[str]:
        taken = []
        while (pair := hybrid.blpop("l", timeout=15))[1] != "end":
            taken.append(pair[1])
        return taken

    with ThreadPoolExecutor(5) as pool:
        takers = [pool.submit(take) for _ in range(4)]
        for n in range(100):
            hybrid.rpush("l", n)
        hybrid.rpush("l", *["end"] * 4)
        taken = [element for taker in takers for element in taker.result(timeout=30)]
    assert sorted(taken, key=int) == [str(n) for n in range(100)]


@one_pair
def test_a_wrong_type_is_an_error_at_once(hybrid: HybridRedis) -> None:
    hybrid.set("text", "v")
    for call in (
        lambda: hybrid.blpop("text", timeout=15),
        lambda: hybrid.blpop(["none", "text"], timeout=15),
        lambda: hybrid.bzpopmin("text", timeout=15),
        lambda: hybrid.blmove("text", "to", 15),
    ):
        with pytest.raises(redis.ResponseError, match=r"WRONGTYPE|wrong kind"):
            call()


@one_pair
@pytest.mark.parametrize("stream", [{"none": ">"}, {"x": ">"}], ids=["no stream", "no group"])
def test_a_group_that_is_not_there_is_an_error_at_once(hybrid: HybridRedis, stream: dict[str, str]) -> None:
    hybrid.xadd("x", {"n": 1})
    with pytest.raises(redis.ResponseError, match=r"NOGROUP|No such key"):
        hybrid.xreadgroup("g", "c", stream, block=15_000)


@one_pair
def test_a_negative_timeout_is_an_error(hybrid: HybridRedis) -> None:
    with pytest.raises(redis.ResponseError, match="timeout is negative"):
        hybrid.blpop("l", timeout=-1)


def streams(reply: Any) -> list[tuple[Any, list[Any]]]:
    """Streams and their entries, of either protocol."""
    if isinstance(reply, dict):
        return [(name, [entry for part in parts for entry in part]) for name, parts in reply.items()]
    return [(name, list(entries)) for name, entries in reply or []]
