"""Opening a client while a store refuses, hangs or is not there: the other one serves, the missing one catches up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from rig import HEAL_S, Rig
from servers import client as plain
from servers import wait_until

from hybrid import AllStoresDown, HybridRedis, Store
from hybrid.ops import conflicts

OPEN_S = 20.0
"""Many times what opening may take: a client that needs longer waits for the dead store."""


def opened(rig: Rig) -> HybridRedis:
    """A client, opened in a thread so that one that never comes back fails its test."""
    clients: list[HybridRedis] = []
    thread = threading.Thread(target=lambda: clients.append(rig.client()), daemon=True)
    thread.start()
    thread.join(OPEN_S)
    assert clients, "opening did not return"
    return clients[0]


def put(rig: Rig, **values: int) -> None:
    """What the pair holds before it is opened again."""
    client = HybridRedis.from_urls(rig.local_url, rig.cloud_url)
    with client:
        client.mset(values)
        assert client.wait_in_sync(HEAL_S)


def works(client: HybridRedis) -> None:
    assert client.set("new", 1)
    assert client.rpush("list", "a", "b") == 2
    assert client.pipeline().incr("n").incr("n").execute() == [1, 2]
    assert client.mget("new", "n") == [b"1", b"2"]
    client.delete("old")


def is_stored(client: HybridRedis) -> bool:
    """Whether what is loaded stays in the cache."""
    return client.get_or_load("k", lambda: 6) == client.get_or_load("k", lambda: 7)


@pytest.mark.parametrize("paired", [True, False], ids=["paired", "first-start"])
@pytest.mark.parametrize("store", list(Store))
@pytest.mark.parametrize("fault", ["refused", "hung"])
def test_a_store_that_is_not_there(rig: Rig, store: Store, fault: str, paired: bool) -> None:
    rig.link(Store.CLOUD, 0.02)
    server = rig.local if store is Store.LOCAL else rig.cloud
    if paired:
        put(rig, old=1, kept=2)
    if fault == "refused":
        server.kill()
    else:
        server.pause()
    client = opened(rig)
    works(client)
    if fault == "refused":
        server.start()
    else:
        server.resume()
    rig.assert_healed(client)
    assert client.mget("new", "n", "old", "kept") == [b"1", b"2", None, b"2" if paired else None]


def test_a_local_store_that_is_not_there_again(rig: Rig) -> None:
    """The record that the cloud store holds since the last failback does not say that anybody reaches the local one."""
    rig.link(Store.CLOUD, 0.02)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url) as before:
        before.incr("n")
        assert before.wait_in_sync(HEAL_S)
        rig.local.kill()
        before.incr("n")
        rig.local.start()
        rig.assert_healed(before)
    rig.local.kill()
    client = opened(rig)
    assert client.incr("n") == 3
    rig.local.start()
    rig.assert_healed(client)


def test_a_local_store_that_has_no_address_yet(rig: Rig, tmp_path: Path, server: object) -> None:
    """Its socket does not exist until the container that holds it starts."""
    socket = tmp_path / "redis.sock"
    rig.link(Store.CLOUD, 0.02)
    rig.local_url = f"unix://{socket}"
    client = opened(rig)
    works(client)
    rig.local = server(persistent=True, unixsocket=str(socket))  # type: ignore[operator]
    rig.assert_healed(client)
    with plain(rig.local.url) as local:
        assert local.lrange("list", 0, -1) == [b"a", b"b"]


def test_neither_store_is_there(rig: Rig) -> None:
    rig.link(Store.CLOUD, 0.02)
    rig.local.kill()
    rig.cloud.kill()
    client = opened(rig)
    with pytest.raises(AllStoresDown):
        client.set("k", 1)
    assert client.get_or_load("k", lambda: 5) == 5
    rig.cloud.start()
    wait_until(lambda: is_stored(client), "work on the cloud store", HEAL_S)
    rig.local.start()
    rig.assert_healed(client)


@pytest.mark.parametrize("empty", list(Store))
def test_a_store_that_was_emptied_is_met_first_without_the_other_one(rig: Rig, empty: Store) -> None:
    """It serves, there is no other; then it gets what it lacks, with what was done there meanwhile."""
    links = {store: rig.link(store, 0.02) for store in Store}
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url) as before:
        before.mset({f"k{number}": number for number in range(1000)})
        before.set("n", 10)
        before.rpush("list", "old")
        before.sadd("set", *range(100))
        before.rpush("jobs", 1, 2)
        before.rpush("queue", "old")
        before.hset("locks", mapping={"one": "old", "other": "old"})
        before.zadd("board", {"one": 5})
        before.set("token", "once")
        for number in range(5):
            before.xadd("events", {"n": number})
        before.xgroup_create("events", "readers", 0)
        before.xreadgroup("readers", "a", {"events": ">"}, count=2)
        assert before.wait_in_sync(HEAL_S)
    server = rig.local if empty is Store.LOCAL else rig.cloud
    with plain(server.url) as emptied:
        emptied.flushall()
    links[empty.other].apply(refuse=True)
    client = opened(rig)
    assert client.get("n") is None
    assert client.incr("n") == 1
    assert client.rpush("list", "new") == 1
    assert client.sadd("set", 1, 1000) == 2
    assert client.set("k7", "new")
    assert client.set("new", 1)
    assert client.set("k8", "taken", nx=True)
    assert client.hsetnx("locks", "one", "new")
    assert not client.hsetnx("locks", "one", "late")
    assert client.zadd("board", {"one": 1}, nx=True) == 1
    assert client.lpop("jobs") is None
    assert client.getdel("token") is None
    assert client.xgroup_create("events", "readers", 0, mkstream=True)
    assert client.xgroup_create("events", "others", 0)
    client.xadd("events", {"n": "new"})
    assert client.eval("return redis.call('GET',KEYS[1])", 1, "k5") is None
    assert client.rpush("queue", "taken", "waits") == 2
    assert client.lpop("queue") == b"taken"
    links[empty.other].heal()
    rig.assert_healed(client)
    assert client.lrange("jobs", 0, -1) == [b"1", b"2"], "nothing was taken from it"
    assert client.lrange("queue", 0, -1) == [b"old", b"waits"]
    assert client.get("token") == b"once", "nobody was given it"
    assert [fields[b"n"] for _, fields in client.xrange("events")] == [b"0", b"1", b"2", b"3", b"4", b"new"]
    groups = {group["name"]: group["pending"] for group in client.xinfo_groups("events")}
    assert groups == {b"readers": 2, b"others": 0}
    assert client.get("k5") == b"5"
    assert client.mget("n", "k7", "k8", "k9", "new") == [b"11", b"new", b"taken", b"9", b"1"]
    assert client.lrange("list", 0, -1) == [b"old", b"new"]
    assert client.scard("set") == 101
    assert client.hgetall("locks") == {b"one": b"new", b"other": b"old"}, "who was told that it has the lock has it"
    assert client.zscore("board", "one") == 1
    assert [(conflict.key, conflict.lost.store) for conflict in conflicts.listed(client)] == [(b"k8", empty.other)]


def test_a_new_local_store_is_met_before_a_cloud_store_that_holds_data(rig: Rig) -> None:
    """As if both had been met at once: it is filled from there."""
    link = rig.link(Store.CLOUD, 0.02)
    with plain(rig.cloud.url) as cloud:
        cloud.mset({f"k{number}": number for number in range(1000)})
    link.apply(refuse=True)
    client = opened(rig)
    works(client)
    link.heal()
    rig.assert_healed(client)
    assert client.mget("k7", "n", "new") == [b"7", b"2", b"1"]
