"""A store that answers and does not take what it is sent: one key must not hold up the others, and nothing drifts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from refusing import QUOTA, Refusing, refusing
from rig import HEAL_S, PATIENT, Rig, is_well, state_of
from servers import client, wait_until

from hybrid import HybridRedis, Store, StoreState
from hybrid.aio import HybridRedis as AsyncHybridRedis
from hybrid.events import CatchingUp, Event, KeyRefused, ShippingRefused, StoreDown
from hybrid.ops.compare import compare
from hybrid.replication import packed_copy

BULK_BYTES = 1024 * 1024


def assert_equal(rig: Rig) -> None:
    with client(rig.local.url) as local, client(rig.cloud.url) as cloud:
        result = compare(local, cloud)
        assert (result.equal > 0, result.different) == (True, 0), result.differences


def refuses(hybrid: HybridRedis) -> bool:
    cloud = hybrid.status().cloud
    return cloud is not None and cloud.refuses


def test_a_key_that_the_other_store_cannot_hold(rig: Rig) -> None:
    """The cloud's user may not touch one namespace: as one key too large would be, it is that key's own trouble."""
    told: list[Event] = []
    with client(rig.cloud.url) as cloud:
        cloud.execute_command("CONFIG", "SET", "hash-max-listpack-entries", 128)
        hybrid = rig.client(ack="local", hooks=(told.append,), **PATIENT)
        hybrid.set("before", 1)
        assert hybrid.wait_in_sync(HEAL_S)
        cloud.config_set("proto-max-bulk-len", BULK_BYTES)
        hybrid.set("fits", "x" * 1000)
        hybrid.set("huge", "x" * (2 * BULK_BYTES))
        hybrid.set("after", 1)
        wait_until(lambda: any(isinstance(event, KeyRefused) for event in told), "the refusal to be told", HEAL_S)
        wait_until(lambda: cloud.get("after") == b"1", "the keys behind it", HEAL_S)
        wait_until(lambda: hybrid.status().refused_keys == 1, "it is noted on the local store", HEAL_S)
        assert not hybrid.wait_in_sync(0.1), "one key is not on both stores"
        assert hybrid.status().cloud.state is StoreState.UP  # type: ignore[union-attr]
        hybrid.set("huge", "small now")
        assert hybrid.wait_in_sync(HEAL_S)
        assert hybrid.status().refused_keys == 0
        assert_equal(rig)


def test_a_store_that_is_full(rig: Rig) -> None:
    told: list[Event] = []
    hybrid = rig.client(ack="local", hooks=(told.append,), **PATIENT)
    hybrid.set("before", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    other = rig.client(**PATIENT)  # it does not ship
    with client(rig.cloud.url) as cloud:
        cloud.config_set("maxmemory", 1)
        hybrid.set("while full", 1)
        wait_until(lambda: any(isinstance(event, ShippingRefused) for event in told), "that to be told", HEAL_S)
        said = next(event for event in told if isinstance(event, ShippingRefused))
        assert "free space" in said.message
        assert hybrid.status().refused_keys == 0, "it is not that key's fault"
        for each in (hybrid, other):
            wait_until(lambda each=each: refuses(each), "every process knows", HEAL_S)
            assert "used memory" in (seen := each.status().cloud).reason
            assert seen.state is StoreState.CATCHING_UP
        wait_until(lambda: cloud.info("errorstats").get("errorstat_OOM", {}).get("count", 0) >= 5, "tries", HEAL_S)
        assert sum(isinstance(event, CatchingUp) for event in told) <= 1, "each try was told"
        cloud.config_set("maxmemory", 0)
    assert hybrid.wait_in_sync(HEAL_S)
    for each in (hybrid, other):
        wait_until(lambda each=each: not refuses(each), "every process knows that it is over", HEAL_S)
    assert_equal(rig)


@pytest.mark.parametrize("asks", ["a client", "tasks"])
def test_the_store_that_takes_writes_is_full(rig: Rig, asks: str) -> None:
    """Reading and freeing go on, and what is freed is freed on both: a log that cannot grow must not forbid it."""
    hybrid = rig.client(ack="both", **PATIENT)
    for number in range(20):
        hybrid.set(f"k{number}", number)
    hybrid.rpush("list", *range(9))
    hybrid.hset("hash", mapping={"a": 1, "b": 2})
    hybrid.zadd("scores", {"a": 1, "b": 2})
    freeing: list[tuple[tuple[object, ...], object]] = [
        (("DEL", "k1"), 1),
        (("DEL", "k1"), 0),
        (("UNLINK", "k2", "k3"), 2),
        (("LPOP", "list"), b"0"),
        (("LPOP", "nothing"), None),
        (("LTRIM", "list", 0, 3), b"OK"),
        (("HDEL", "hash", "a"), 1),
        (("ZREM", "scores", "a"), 1),
        (("ZREMRANGEBYRANK", "scores", 0, -1), 1),
        (("EXPIRE", "k4", 1000), 1),
        (("SPOP", "nothing"), None),
        (("GETDEL", "k5"), b"5"),
    ]

    async def run(commands: list[tuple[object, ...]]) -> list[object]:
        async with AsyncHybridRedis.from_urls(rig.local_url, rig.cloud_url, ack="both", **PATIENT) as other:
            other.response_callbacks.clear()
            return [await other.execute_command(*command) for command in commands]

    with client(rig.local.url) as local:
        local.config_set("maxmemory", 1)
        hybrid.response_callbacks.clear()
        if asks == "tasks":
            found = asyncio.run(run([command for command, _ in freeing]))
        else:
            found = [hybrid.execute_command(*command) for command, _ in freeing]
        assert found == [expected for _, expected in freeing]
        assert hybrid.pipeline().delete("k6").unlink("k7").get("k8").execute() == [1, 1, b"8"]
        assert hybrid.pipeline(transaction=False).delete("k9").expire("k10", 1000).execute() == [1, True]
        for refused in (lambda: hybrid.set("k11", 1), hybrid.pipeline().delete("k12").incr("n").execute):
            with pytest.raises(redis.OutOfMemoryError):
                refused()
        assert hybrid.exists("k12") == 1
        local.config_set("maxmemory", 0)
    rig.assert_healed(hybrid)


def test_a_dump_that_the_other_store_cannot_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a hash whose fields have all expired: such keys go by type, and hold up no other."""
    garbled = packed_copy.DUMP_SCRIPT.replace(
        b"redis.pcall('DUMP', key)", b"(key == 'bad' and 'garbled' or redis.pcall('DUMP', key))"
    )
    assert garbled != packed_copy.DUMP_SCRIPT
    monkeypatch.setattr(packed_copy, "DUMP_SCRIPT", garbled)
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.set("before", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    hybrid.mset({"bad": 1, **{f"k{number}": number for number in range(packed_copy.PACKED_KEYS)}})
    rig.cloud.start()
    wait_until(lambda: hybrid.status().cloud.state is StoreState.UP, "the cloud store has it all", HEAL_S)  # type: ignore[union-attr]
    assert hybrid.wait_in_sync(HEAL_S)
    assert_equal(rig)


LOADING = "LOADING Redis is loading the dataset in memory"


@pytest.fixture
def refused(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Refusing]:
    """The way to one of the stores."""
    server = rig.local if request.param is Store.LOCAL else rig.cloud
    with refusing(server.port) as proxy:
        setattr(rig, f"{request.param}_url", proxy.url)
        yield proxy


@pytest.mark.parametrize("words", [QUOTA, LOADING])
@pytest.mark.parametrize("refused", list(Store), indirect=True)
def test_a_store_that_refuses_whatever_it_is_asked(rig: Rig, refused: Refusing, words: str) -> None:
    """Its connections stay open. It counts as down: the other one serves, and no command fails."""
    store = Store.LOCAL if refused.url == rig.local_url else Store.CLOUD
    told: list[Event] = []
    hybrid = rig.client(ack="local", read_preference=store, hooks=(told.append,), **PATIENT)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    for first in ("read", "write"):
        refused.refuse_all(words)
        if first == "read":
            assert hybrid.get("k") == b"1"
        assert hybrid.incr("k") == 2
        assert hybrid.pipeline().get("k").decr("k").execute() == [b"2", 1]
        if first == "read" or store is Store.LOCAL:
            assert state_of(hybrid, store) is StoreState.DOWN
        refused.refuse_none()
        rig.assert_healed(hybrid)
    downs = [event for event in told if isinstance(event, StoreDown)]
    assert {event.store for event in downs} == {store}
    assert hybrid.get("k") == b"1"


@pytest.mark.parametrize("refused", list(Store), indirect=True)
def test_tasks_meet_a_store_that_refuses_whatever_it_is_asked(rig: Rig, refused: Refusing) -> None:
    store = Store.LOCAL if refused.url == rig.local_url else Store.CLOUD

    async def run() -> None:
        urls = rig.local_url, rig.cloud_url
        async with AsyncHybridRedis.from_urls(*urls, ack="local", read_preference=store, **PATIENT) as hybrid:
            await hybrid.set("k", 1)
            assert await hybrid.wait_in_sync(HEAL_S)
            refused.refuse_all(QUOTA)
            assert await asyncio.gather(*(hybrid.get("k") for _ in range(5))) == [b"1"] * 5
            assert sorted(await asyncio.gather(*(hybrid.incr("k") for _ in range(5)))) == [2, 3, 4, 5, 6]
            refused.refuse_none()

    asyncio.run(run())
    rig.assert_healed(rig.client(**PATIENT))


def test_one_refused_command_says_nothing_of_its_store(rig: Rig) -> None:
    """Also in words that a full store might use: a script's own limit, say."""
    hybrid = rig.client(ack="local", **PATIENT)
    for refuse in (hybrid.eval, hybrid.eval_ro):
        with pytest.raises(redis.ResponseError, match="rate limit exceeded"):
            refuse("return redis.error_reply('ERR rate limit exceeded')", 0)
    status = hybrid.status()
    assert status.local.state is StoreState.UP and status.epoch == 1


def test_what_a_full_store_holds_is_shipped_all_the_same(rig: Rig) -> None:
    """By a process that has to take the lease first: a log that nobody ships would keep the store full."""
    first = rig.client(ack="local", **PATIENT)
    first.set("before", 1)
    assert first.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    for number in range(20):
        first.set(f"k{number}", number)
    first.close()
    with client(rig.local.url) as local:
        local.config_set("maxmemory", 1)
        rig.cloud.start()
        hybrid = rig.client(ack="local", **PATIENT)
        wait_until(lambda: is_well(hybrid.status()), "both are up", HEAL_S)
        assert hybrid.wait_in_sync(HEAL_S)
        assert_equal(rig)
        hybrid.delete("k1")
        assert hybrid.wait_in_sync(HEAL_S)
        assert_equal(rig)
        local.config_set("maxmemory", 0)


def cannot_save(local: redis.Redis) -> None:
    """As on a disk that is full."""
    Path(local.config_get("dir")["dir"], local.config_get("dbfilename")["dbfilename"]).mkdir()
    local.config_set("save", "1000 1")
    local.bgsave()
    wait_until(lambda: local.info("persistence")["rdb_last_bgsave_status"] == "err", "that it fails", HEAL_S)


def can_save(local: redis.Redis) -> None:
    local.config_set("stop-writes-on-bgsave-error", "no")


NO_WRITES = {
    "a replica": (
        lambda local: local.execute_command("REPLICAOF", "127.0.0.1", 1),
        lambda local: local.execute_command("REPLICAOF", "NO", "ONE"),
    ),
    "without its replicas": (
        lambda local: local.config_set("min-replicas-to-write", 1),
        lambda local: local.config_set("min-replicas-to-write", 0),
    ),
    "cannot save": (cannot_save, can_save),
}


@pytest.mark.parametrize("reason", NO_WRITES)
@pytest.mark.parametrize("asks", ["a client", "tasks"])
def test_the_store_that_takes_writes_answers_and_takes_none(rig: Rig, reason: str, asks: str) -> None:
    """Reads go on; the other one takes over, and hands back when it may."""
    told: list[Event] = []
    hybrid = rig.client(ack="local", hooks=(told.append,), **PATIENT)
    hybrid.sadd("set", "a")
    hybrid.incr("n")
    assert hybrid.wait_in_sync(HEAL_S)
    commands = [("SPOP", "set"), ("INCR", "n"), ("SET", "k", 1), ("XADD", "stream", "*", "a", 1)]
    begins, ends = NO_WRITES[reason]

    async def run(local: redis.Redis) -> None:
        async with AsyncHybridRedis.from_urls(rig.local_url, rig.cloud_url, ack="local", **PATIENT) as other:
            while (await other.status()).cloud.state is not StoreState.UP:
                await asyncio.sleep(0.01)
            begins(local)
            await asyncio.gather(*(other.execute_command(*command) for command in commands))

    with client(rig.local.url) as local:
        if asks == "tasks":
            asyncio.run(run(local))
        else:
            begins(local)
            for command in commands:
                hybrid.execute_command(*command)
        assert hybrid.get("n") == b"2" and hybrid.scard("set") == 0
        wait_until(lambda: any(isinstance(event, ShippingRefused) for event in told), "that to be told", HEAL_S)
        ends(local)
    rig.assert_healed(hybrid)
    assert hybrid.get("n") == b"2" and hybrid.xlen("stream") == 1


@pytest.mark.parametrize("asks", ["a client", "a task"])
def test_a_script_alone_in_a_transaction_meets_a_store_that_takes_no_writes(rig: Rig, asks: str) -> None:
    """It is queued, and refused when it runs."""
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.sadd("set", "a")
    assert hybrid.wait_in_sync(HEAL_S)
    begins, _ = NO_WRITES["without its replicas"]

    async def run() -> None:
        async with AsyncHybridRedis.from_urls(rig.local_url, rig.cloud_url, ack="local", **PATIENT) as other:
            while (await other.status()).cloud.state is not StoreState.UP:
                await asyncio.sleep(0.01)
            async with other.pipeline() as pipeline:
                await pipeline.watch("set")
                begins(local)
                pipeline.multi()
                with pytest.raises(redis.WatchError):
                    await pipeline.spop("set").execute()
            assert await other.spop("set") == b"a"

    with client(rig.local.url) as local:
        if asks == "a task":
            asyncio.run(run())
        else:
            with hybrid.pipeline() as pipeline:
                pipeline.watch("set")
                begins(local)
                pipeline.multi()
                with pytest.raises(redis.WatchError):
                    pipeline.spop("set").execute()
            assert hybrid.spop("set") == b"a"


@pytest.mark.parametrize("cloud", ["down", "there"])
def test_a_transaction_meets_a_store_that_takes_no_writes(rig: Rig, cloud: str) -> None:
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.incr("n")
    assert hybrid.wait_in_sync(HEAL_S)
    begins, _ = NO_WRITES["without its replicas"]
    with client(rig.local.url) as local, hybrid.pipeline() as pipeline:
        if cloud == "down":
            rig.cloud.kill()
            wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.DOWN, "that it is noticed", HEAL_S)
        begins(local)
        pipeline.watch("n")
        pipeline.multi()
        with pytest.raises(redis.WatchError if cloud == "there" else redis.ResponseError):
            pipeline.incr("n").execute()
        if cloud == "there":
            pipeline.watch("n")
            pipeline.multi()
            assert pipeline.incr("n").execute() == [2]
        else:
            for refused in (hybrid.incr, hybrid.spop):
                with pytest.raises(redis.ResponseError, match="Not enough good replicas"):
                    refused("n")
            assert hybrid.get("n") == b"1"
