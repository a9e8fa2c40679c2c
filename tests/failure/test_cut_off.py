"""One process cannot reach the local store, the others can: it moves them once, and goes on by way of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import redis
from rig import HEAL_S, PATIENT, Rig, state_of, takes_writes
from servers import client as plain
from servers import wait_until

import hybrid.aio
from hybrid import HybridRedis, Store, StoreState
from hybrid.core.actions import Commit
from hybrid.core.outcomes import Committed, Fenced
from hybrid.core.relay import Answer
from hybrid.events import AuthorityMoved, Event
from hybrid.proxy import ProxyServer
from hybrid.replication import relay
from hybrid.replication.relay_worker import RelayWorker
from hybrid.replication.requests import Requests

FAR = {"cloud_timeout_s": 2.0}


class Moves:
    """Where the authority went, as a process that reaches both stores sees it."""

    def __init__(self) -> None:
        self.seen: list[Store] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, AuthorityMoved):
            self.seen.append(event.authority)

    def wait_back(self) -> None:
        wait_until(lambda: self.seen == [Store.CLOUD, Store.LOCAL], f"one move, and back: {self.seen}", HEAL_S)


@pytest.mark.parametrize("ack", ["both", "local"])
def test_it_takes_the_others_to_the_cloud_once(rig: Rig, ack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for patience in ("ANSWER_S", "PRESENCE_S"):
        monkeypatch.setattr(relay, patience, HEAL_S)  # whoever finds nobody there takes them to the cloud again
    moves = Moves()
    near = rig.client(**PATIENT, hooks=[moves], ack=ack)
    near.set("k", 1)
    direct, link = rig.local_url, rig.link(Store.LOCAL, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, ack=ack, **FAR) as far:
        far.sadd("members", *range(50))
        assert near.wait_in_sync(HEAL_S)
        link.apply(refuse=True, cut=True)
        far.incr("far")
        moves.wait_back()
        for number in range(2, 20):
            assert far.incr("far") == number
            assert far.get("far") == b"%d" % number, "it reads what it wrote"
            near.set(f"near:{number}", number)
        check_every_kind(far)
        assert moves.seen == [Store.CLOUD, Store.LOCAL]
        link.heal()
    rig.local_url = direct
    rig.assert_healed(near)
    with plain(rig.local.url) as local:
        assert local.get("far") == b"19"
        assert local.scard("members") == 49


def check_every_kind(far: HybridRedis) -> None:
    """What goes by way of another process is answered as ever."""
    assert far.pipeline().rpush("list", "a", "b").expire("list", 100).execute() == [2, True]
    assert far.pipeline(transaction=False).hset("hash", "f", "1").hgetall("hash").execute() == [1, {b"f": b"1"}]
    assert far.spop("members") is not None
    assert far.blpop("list", timeout=1) == [b"list", b"a"] or far.lrange("list", 0, -1) == [b"b"]
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        far.rpush("far", "x")
    with pytest.raises(redis.ResponseError, match="wrong number"):
        far.pipeline().rpush("list", "c").execute_command("SET", "alone").execute()


def test_an_emptied_script_cache_is_filled_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    moves, relayed, asked = Moves(), Requests.relayed, list[Commit]()

    def counted(self: Requests, action: Commit) -> Committed | Fenced:
        asked.append(action)
        return relayed(self, action)

    near = rig.client(**PATIENT, hooks=[moves])
    direct, link = rig.local_url, rig.link(Store.LOCAL, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, **FAR) as far:
        far.set("k", 1)
        link.apply(refuse=True, cut=True)
        far.set("k", 2)
        moves.wait_back()
        assert far.incrbyfloat("float", 1.5) == 1.5
        monkeypatch.setattr(Requests, "relayed", counted)
        with plain(rig.local.url) as local:
            local.script_flush()
        assert far.incrbyfloat("float", 1.5) == 3.0
        assert len(asked) <= 2
        link.heal()
    rig.local_url = direct
    rig.assert_healed(near)


def test_an_asyncio_client_that_is_cut_off(rig: Rig) -> None:
    moves = Moves()
    near = rig.client(**PATIENT, hooks=[moves])
    direct, link = rig.local_url, rig.link(Store.LOCAL, 0.0)

    async def write() -> None:
        async with hybrid.aio.HybridRedis.from_urls(rig.local_url, rig.cloud_url, **FAR) as far:
            await far.incr("far")
            link.apply(refuse=True, cut=True)
            await far.incr("far")
            await asyncio.to_thread(moves.wait_back)
            counted = await asyncio.gather(*(far.incr("far") for _ in range(20)))
            assert sorted(counted) == list(range(3, 23))
            assert await far.get("far") == b"22"
        link.heal()

    asyncio.run(write())
    assert moves.seen == [Store.CLOUD, Store.LOCAL]
    rig.local_url = direct
    rig.assert_healed(near)


def test_an_answer_that_is_lost_is_given_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    moves, publish, lost = Moves(), RelayWorker._publish, list[Answer]()
    near = rig.client(**PATIENT, hooks=[moves])
    direct, link = rig.local_url, rig.link(Store.LOCAL, 0.0)

    def lose_the_first(self: RelayWorker, answers: list[Answer]) -> None:
        if lost:
            publish(self, answers)
        else:
            lost.extend(answers)

    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, **FAR) as far:
        far.incr("far")
        link.apply(refuse=True, cut=True)
        far.incr("far")
        moves.wait_back()
        monkeypatch.setattr(RelayWorker, "_publish", lose_the_first)
        assert far.incr("far") == 3 and lost
        assert moves.seen == [Store.CLOUD, Store.LOCAL]
        link.heal()
    rig.local_url = direct
    rig.assert_healed(near)


def test_emptying_is_not_handed_over(rig: Rig) -> None:
    """It may take long, and until it is done nobody could tell whether anyone is at it."""
    moves = Moves()
    near = rig.client(**PATIENT, hooks=[moves])
    direct, link = rig.local_url, rig.link(Store.LOCAL, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, **FAR) as far:
        far.incr("far")
        link.apply(refuse=True, cut=True)
        far.incr("far")
        moves.wait_back()
        assert far.flushall()
        assert not far.exists("far")
        assert far.incr("left") == 1
        link.heal()
    rig.local_url = direct
    rig.assert_healed(near)
    with plain(rig.local.url) as local:
        assert (local.get("far"), local.get("left")) == (None, b"1")


def lose_it(rig: Rig) -> None:
    rig.local.kill()


@pytest.mark.parametrize("fail", [lose_it], ids=["the local store dies"])
def test_what_it_relies_on_fails(rig: Rig, fail: Callable[[Rig], None]) -> None:
    moves = Moves()
    near = rig.client(cloud_timeout_s=2.0, hooks=[moves])
    direct, link = rig.local_url, rig.link(Store.LOCAL, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, **FAR) as far:
        far.incr("far")
        link.apply(refuse=True, cut=True)
        far.incr("far")
        moves.wait_back()
        assert far.incr("far") == 3
        fail(rig)
        for number in range(4, 20):
            assert far.incr("far") == number
        rig.local.start()
        link.heal()
    rig.local_url = direct
    rig.assert_healed(near)
    with plain(rig.local.url) as local:
        assert local.get("far") == b"19"


def test_who_cannot_reach_the_cloud_waits_for_a_local_store_that_catches_up(rig: Rig) -> None:
    direct = rig.cloud_url
    rig.link(Store.CLOUD, 0.06)
    near = rig.client(**FAR)
    rig.cloud_url = direct
    link = rig.link(Store.CLOUD, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url) as far:
        far.set("far", 1)
        link.apply(refuse=True, cut=True)
        wait_until(lambda: state_of(far, Store.CLOUD) is StoreState.DOWN, "the cloud store is missed")
        rig.local.kill()
        near.set("near", 1)
        wait_until(lambda: not takes_writes(far), "it has no store")
        rig.local.start()
        wait_until(lambda: far.status().epoch > 1, "it hears that others have moved")
        assert far.get("near") == b"1"
        assert far.incr("far") == 2
        link.heal()
    rig.cloud_url = direct
    rig.assert_healed(near)


def test_it_takes_nobody_to_a_cloud_store_that_catches_up(rig: Rig) -> None:
    """They would read there what was before, until the local store is merged with it."""
    moves = Moves()
    direct = rig.cloud_url
    slow = rig.link(Store.CLOUD, 0.0)
    near = rig.client(**PATIENT, hooks=[moves], ack="local")
    near.set("k", 1)
    assert near.wait_in_sync(HEAL_S)
    straight, rig.cloud_url = rig.local_url, direct
    link = rig.link(Store.LOCAL, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, ack="local", **FAR) as far:
        far.incr("far")
        assert near.wait_in_sync(HEAL_S)
        rig.cloud.kill()
        for start in range(0, 20_000, 1000):
            near.mset({f"k{number}": bytes(200) for number in range(start, start + 1000)})
        near.set("k", 2)
        slow.apply(slow=100_000)
        rig.cloud.start()
        wait_until(lambda: state_of(far, Store.CLOUD) is StoreState.CATCHING_UP, "the cloud store catches up", HEAL_S)
        link.apply(refuse=True, cut=True)
        for number in range(2, 5):
            assert far.incr("far") == number
        assert not moves.seen and near.get("k") == b"2"
        slow.heal()
        link.heal()
    rig.local_url, rig.cloud_url = straight, direct
    rig.assert_healed(near)
    with plain(rig.local.url) as local:
        assert local.get("far") == b"4"


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_proxy_that_is_cut_off(rig: Rig, protocol: int) -> None:
    moves = Moves()
    near = rig.client(**PATIENT, hooks=[moves])
    direct, link = rig.local_url, rig.link(Store.LOCAL, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, **FAR) as behind, ProxyServer(behind, port=0) as proxy:
        proxy.start()
        with redis.Redis.from_url(proxy.url, protocol=protocol) as far:
            assert far.incr("far") == 1
            assert near.wait_in_sync(HEAL_S)
            link.apply(refuse=True, cut=True)
            far.set("k", 1)
            moves.wait_back()
            wait_until(lambda: behind.status().authority is Store.LOCAL, "the proxy has heard", HEAL_S)
            for number in range(2, 10):
                assert far.incr("far") == number
            assert far.pipeline().rpush("list", "a", "b").hset("hash", "f", "v").execute() == [2, 1]
            assert far.get("far") == b"9"
        link.heal()
    rig.local_url = direct
    rig.assert_healed(near)
