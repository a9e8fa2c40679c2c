"""A store that loses its data serves nothing until it is refilled, and takes nothing from the other one with it."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from refusing import refusing
from rig import PATIENT, Rig, is_missed, is_well, shipper_pid, state_of, takes_writes
from servers import client, wait_until

from hybrid import AllStoresDown, HybridRedis, OutcomeUnknown, Store, StoreState, events
from hybrid.aio import HybridRedis as AsyncHybridRedis
from hybrid.core.authority import FIRST
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.marks import UNMET
from hybrid.core.names import Names
from hybrid.ops.compare import compare
from hybrid.replication import pairing
from hybrid.replication.checkpoints import EVERY_ENTRIES
from hybrid.stores.processes import ServerProcess
from hybrid.stores.wire import Wire

KEYS = 200
HEAL_S = 30.0
HYBRID = Names()


@pytest.fixture
def forgetful(server: Callable[..., ServerProcess]) -> dict[Store, ServerProcess]:
    """Two servers without persistence: a restart empties them."""
    return {store: server(persistent=False) for store in Store}


@pytest.fixture
def filled(forgetful: dict[Store, ServerProcess]) -> Iterator[HybridRedis]:
    with HybridRedis.from_urls(forgetful[Store.LOCAL].url, forgetful[Store.CLOUD].url, **PATIENT) as hybrid:
        for number in range(KEYS):
            hybrid.set(f"k{number}", number)
        hybrid.hset("hash", mapping={"a": "1"})
        hybrid.expire("hash", 1000)
        assert hybrid.wait_in_sync(HEAL_S)
        yield hybrid


@pytest.mark.parametrize("empty", Store)
def test_a_new_store_has_lost_nothing(rig: Rig, empty: Store) -> None:
    """Nor for a process that comes while it is being filled. What happens to it later on is a loss."""
    full, new = (rig.local, rig.cloud) if empty is Store.CLOUD else (rig.cloud, rig.local)
    with client(full.url) as connection:
        connection.mset({f"k{number}": number for number in range(5_000)})
    rig.link(Store.CLOUD, 0.06)
    heard: list[events.Event] = []

    def told(kind: type[events.StoreNew | events.WipeDetected]) -> int:
        return sum(isinstance(event, kind) and event.store is empty for event in heard)

    first = rig.client(hooks=[heard.append], **PATIENT)
    wait_until(lambda: told(events.StoreNew) == 1, "it is new to the one that fills it")
    second = rig.client(hooks=[heard.append], **PATIENT)
    wait_until(lambda: is_well(first.status()) and is_well(second.status()), "it is filled", HEAL_S)
    assert first.wait_in_sync(HEAL_S)
    as_new = told(events.StoreNew)
    assert as_new in (1, 2)  # the second one may have come too late to see it empty
    assert told(events.WipeDetected) == 0
    second.close()
    with client(new.url) as connection:
        connection.flushall()
    wait_until(lambda: told(events.WipeDetected) == 1, "it has lost its data", HEAL_S)
    third = rig.client(hooks=[heard.append], **PATIENT)
    wait_until(lambda: is_well(third.status()), "it is filled again", HEAL_S)
    assert told(events.StoreNew) == as_new


def restart(server: ServerProcess) -> None:
    server.kill()
    server.start()


def assert_equal(hybrid: HybridRedis, servers: dict[Store, ServerProcess], keys: int) -> None:
    """By themselves, both stores are up, local has the authority, and both hold the same `keys` keys."""
    wait_until(lambda: is_well(hybrid.status()), "both stores are up and local has the authority", HEAL_S)
    assert hybrid.wait_in_sync(HEAL_S)
    with client(servers[Store.LOCAL].url) as local, client(servers[Store.CLOUD].url) as cloud:
        found = compare(local, cloud)
    assert found.identical, found.differences[:10]
    assert found.local_keys == keys


@pytest.mark.parametrize("store", list(Store))
def test_a_restart_that_forgets_everything(
    filled: HybridRedis, forgetful: dict[Store, ServerProcess], store: Store
) -> None:
    for _ in range(2):
        restart(forgetful[store])
        # Nobody writes: the refill must not wait for it. Reads go on, and none comes from the empty store.
        deadline_s = time.monotonic() + HEAL_S
        with client(forgetful[store].url) as wiped:
            while not wiped.exists("hash") and time.monotonic() < deadline_s:
                assert filled.get("k7") == b"7"
        assert_equal(filled, forgetful, KEYS + 1)
        assert filled.get("k7") == b"7"


def test_a_wipe_under_live_writes(filled: HybridRedis, forgetful: dict[Store, ServerProcess]) -> None:
    restart(forgetful[Store.LOCAL])
    for number in range(KEYS):
        filled.incr(f"n{number % 5}")
    assert_equal(filled, forgetful, KEYS + 1 + 5)
    assert sum(int(filled.get(f"n{number}") or 0) for number in range(5)) == KEYS


def test_deleted_keys_stay_deleted(filled: HybridRedis, forgetful: dict[Store, ServerProcess]) -> None:
    filled.delete("k1")
    restart(forgetful[Store.LOCAL])
    filled.delete("k2")
    assert_equal(filled, forgetful, KEYS - 1)
    assert filled.get("k1") is None
    assert filled.get("k2") is None


def test_dual_write_switched_on_again_makes_the_stores_equal(
    filled: HybridRedis, forgetful: dict[Store, ServerProcess]
) -> None:
    filled.change_settings(write_both=False)
    filled.set("k1", "changed meanwhile")
    filled.delete("k2")
    filled.change_settings(write_both=True)
    assert_equal(filled, forgetful, KEYS)
    with client(forgetful[Store.CLOUD].url) as cloud:
        assert cloud.get("k1") == b"changed meanwhile"
        assert cloud.get("k2") is None


@pytest.mark.parametrize("authority", list(Store))
def test_both_stores_lost_everything(
    filled: HybridRedis, forgetful: dict[Store, ServerProcess], authority: Store
) -> None:
    """Nobody is left to refill them from: they begin anew, for every client that saw them before, and for new ones."""
    urls = [forgetful[store].url for store in Store]
    with HybridRedis.from_urls(*urls) as other:
        assert other.get("k7") == b"7"
        if authority is Store.CLOUD:
            forgetful[Store.LOCAL].kill()
            filled.set("k1", "on the cloud store")
            other.set("k2", "on the cloud store")
        for store in Store:
            forgetful[store].kill()
        for store in (authority.other, authority):
            forgetful[store].start()
        clients = [filled, other]
        for client_ in clients:
            wait_until(lambda client_=client_: is_well(client_.status()), "both stores serve again", HEAL_S)
            assert client_.get("k7") is None
        with HybridRedis.from_urls(*urls) as late:
            clients.append(late)
            for client_ in clients:
                client_.incr("n")
            assert_equal(filled, forgetful, 1)
            assert late.get("n") == b"3"


def empty(connection: redis.Redis, *, begun: bool) -> None:
    """By hand. `begun`: and have it begun anew, as by a process that does not reach the other one."""
    with connection.pipeline() as pipe:
        pipe.flushall()
        if begun:
            marks = {HYBRID.identity: secrets.token_hex(8), HYBRID.partner: UNMET, HYBRID.authority: FIRST.record}
            pipe.mset(marks)
        pipe.execute()


@pytest.mark.parametrize("begun", [False, True], ids=["left", "begun"])
@pytest.mark.parametrize("store", list(Store))
def test_a_store_emptied_by_hand(
    filled: HybridRedis, forgetful: dict[Store, ServerProcess], store: Store, begun: bool
) -> None:
    """Its connections stay open; still, nobody reads from it before it is refilled."""
    filled.change_settings(read_preference=store)
    assert filled.get("k7") == b"7"
    with client(forgetful[store].url) as connection:
        for round_ in range(3):
            empty(connection, begun=begun)
            while not connection.exists("hash"):
                assert filled.get("k7") == b"7"
                assert filled.pipeline().get("k8").hget("hash", "a").execute() == [b"8", b"1"]
            filled.set("round", round_)
            assert_equal(filled, forgetful, KEYS + 2)


@pytest.mark.parametrize("begun", [False, True], ids=["left", "begun"])
def test_a_store_emptied_by_hand_under_tasks(
    forgetful: dict[Store, ServerProcess], filled: HybridRedis, begun: bool
) -> None:
    """Tasks of the asyncio client share a connection."""

    async def read() -> None:
        async with AsyncHybridRedis.from_urls(*(forgetful[store].url for store in Store), **PATIENT) as other:
            assert await other.get("k7") == b"7"
            with client(forgetful[Store.LOCAL].url) as connection:
                empty(connection, begun=begun)
                while not connection.exists("hash"):
                    assert await asyncio.gather(*(other.get(f"k{n}") for n in range(9))) == [
                        b"%d" % n for n in range(9)
                    ]

    asyncio.run(read())
    assert_equal(filled, forgetful, KEYS + 1)


def test_a_cloud_store_emptied_by_hand_that_nobody_reads(forgetful: dict[Store, ServerProcess]) -> None:
    """Under a process that had met it empty, and again as soon as it is refilled. Writes that go on hide nothing."""
    with client(forgetful[Store.LOCAL].url) as local:
        for number in range(KEYS):
            local.set(f"k{number}", number)
    urls = [forgetful[store].url for store in Store]
    with HybridRedis.from_urls(*urls, **PATIENT) as hybrid, client(urls[1]) as connection:
        assert hybrid.wait_in_sync(HEAL_S)
        for _ in range(3):
            connection.flushall()
            hybrid.set("k1", "written since")
            wait_until(lambda: connection.get("hybrid:identity") not in (None, OUTDATED), "it is refilled", HEAL_S)
        wait_until(lambda: connection.exists("k7"), "what nobody has written since is there again", HEAL_S)
        assert_equal(hybrid, forgetful, KEYS)


@pytest.mark.parametrize("store", list(Store))
def test_functions_are_there_again_where_a_restart_forgot_them(
    filled: HybridRedis, forgetful: dict[Store, ServerProcess], store: Store
) -> None:
    library = (
        "#!lua name=lib\nredis.register_function('push', function(k, a) return redis.call('RPUSH', k[1], a[1]) end)"
    )
    filled.function_load(library)
    assert filled.fcall("push", 1, "list", "a") == 1
    assert filled.wait_in_sync(HEAL_S)
    forgetful[store].kill()
    forgetful[store].start()
    wait_until(lambda: is_missed(filled.status(), store) or state_of(filled, store) is not StoreState.UP, "its loss")
    assert_equal(filled, forgetful, KEYS + 2)
    with client(forgetful[Store.CLOUD].url) as cloud, client(forgetful[Store.LOCAL].url) as local:
        [[*_, ours]], [[*_, theirs]] = (store.function_list(withcode=True) for store in (local, cloud))
        assert ours == theirs, "their code: the order of functions in a library is each server's own"
    assert filled.fcall("push", 1, "list", "b") == 2


def test_a_cloud_store_emptied_before_it_gets_the_record_that_it_lacks(
    forgetful: dict[Store, ServerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = [forgetful[store].url for store in Store]
    with HybridRedis.from_urls(*urls, **PATIENT) as hybrid:
        hybrid.mset({f"k{number}": number for number in range(KEYS)})
        assert hybrid.wait_in_sync(HEAL_S)
    asks = pairing.checked

    def emptying(wire: Wire, *commands: tuple[Any, ...]) -> list[Any]:
        replies = asks(wire, *commands)
        if replies[0] is not None and replies[1:] == [None]:
            cloud.flushall()
        return replies

    with client(urls[1]) as cloud, HybridRedis.from_urls(*urls, **PATIENT) as ships:
        ships.set("k", 1)
        assert ships.wait_in_sync(HEAL_S)
        cloud.delete("hybrid:authority")
        monkeypatch.setattr(pairing, "checked", emptying)
        with HybridRedis.from_urls(*urls, **PATIENT) as hybrid:
            hybrid.start()
            wait_until(lambda: cloud.exists("k7"), "it is refilled", HEAL_S)
            assert_equal(hybrid, forgetful, KEYS + 1)


def test_another_database_of_the_same_server_is_emptied(
    filled: HybridRedis, forgetful: dict[Store, ServerProcess]
) -> None:
    before = [filled._board.view(store) for store in Store]
    for store in Store:
        with client(f"{forgetful[store].url}/5") as connection:
            connection.flushdb()
        filled.change_settings(read_preference=store)
        assert filled.get("k7") == b"7"
    assert [filled._board.view(store) for store in Store] == before


def test_both_stores_emptied_by_hand(filled: HybridRedis, forgetful: dict[Store, ServerProcess]) -> None:
    with HybridRedis.from_urls(*(forgetful[store].url for store in Store)) as other:
        assert other.get("k7") == b"7"
        for store in Store:
            with client(forgetful[store].url) as connection:
                connection.flushall()

        def written() -> bool:
            try:
                return all(client_.set("k", 1) for client_ in (other, filled))
            except AllStoresDown:
                return False

        wait_until(written, "writes go on", HEAL_S)
        assert_equal(filled, forgetful, 1)
        assert other.get("k") == b"1"


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_write_that_waits_for_the_other_store_is_not_confirmed_by_a_wiped_one(rig: Rig, idempotent: bool) -> None:
    """The process that ships hangs, and dies: what waits for it stands on the local store alone, which is emptied."""
    fleet = rig.fleet(("local",), ack="both")
    [shipping] = fleet.workers
    wait_until(lambda: shipper_pid(rig.local) == shipping.pid, "the lease", HEAL_S)
    outcome: list[object] = []

    def write(hybrid: HybridRedis) -> None:
        try:
            outcome.append(hybrid.set("k", 1) if idempotent else hybrid.incr("k"))
        except OutcomeUnknown as error:
            outcome.append(error)

    hybrid = rig.client(ack="both", **PATIENT)
    hybrid.set("there", 1)
    with client(rig.local.url) as local:
        os.kill(shipping.pid, signal.SIGSTOP)
        writing = threading.Thread(target=write, args=(hybrid,))
        writing.start()
        wait_until(lambda: local.exists("k"), "the write")
        assert not outcome
        local.flushall()
        writing.join(HEAL_S)
        shipping.kill()  # it has read the entry, and would ship it after all
    rig.assert_healed(hybrid)
    [confirmed] = outcome
    assert isinstance(confirmed, OutcomeUnknown) or hybrid.get("k") == b"1"
    assert not idempotent or confirmed


MANY = 10_000


def write_many(hybrid: HybridRedis, value: str) -> None:
    for first in range(0, MANY, 500):
        hybrid.mset({f"k{number}": value for number in range(first, first + 500)})


def servers_of(rig: Rig) -> dict[Store, ServerProcess]:
    return {Store.LOCAL: rig.local, Store.CLOUD: rig.cloud}


@pytest.mark.parametrize("source", list(Store))
def test_a_wipe_while_the_other_store_catches_up_takes_nothing_from_it(rig: Rig, source: Store) -> None:
    """What is about to be copied is gone then, which is not to be taken for deleted."""
    servers = servers_of(rig)
    rig.link(Store.CLOUD, 0.02)
    hybrid = rig.client(ack="local", **PATIENT)
    write_many(hybrid, "first")
    assert hybrid.wait_in_sync(HEAL_S)
    servers[source.other].kill()
    wait_until(lambda: hybrid.set("k0", "written") and is_missed(hybrid.status(), source.other), "the outage", HEAL_S)
    write_many(hybrid, "second")
    servers[source.other].start()
    with client(servers[source].url) as wiped, client(servers[source.other].url) as behind:
        sample = [f"k{number}" for number in range(0, MANY, 50)]
        wait_until(lambda: b"second" in behind.mget(sample), "it catches up", HEAL_S)
        wiped.flushall()
    rig.assert_healed(hybrid)
    assert hybrid.dbsize() == MANY


@pytest.mark.parametrize("how", ["emptied by hand", "another empty one"])
def test_the_store_that_takes_writes_is_wiped_while_the_other_one_is_away(rig: Rig, how: str) -> None:
    """What that one has is all there is: nobody would refill it."""
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.mset({f"k{number}": number for number in range(KEYS)})
    assert hybrid.wait_in_sync(HEAL_S)
    rig.local.kill()
    hybrid.set("k1", "on the cloud store")
    if how == "emptied by hand":
        with client(rig.cloud.url) as cloud:
            cloud.flushall()
    else:
        rig.cloud.kill()
        shutil.rmtree(rig.cloud.folder)
        rig.cloud.start()
    wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.WIPED, "that it is noticed", HEAL_S)
    rig.local.start()
    rig.assert_healed(hybrid)  # also though nobody writes
    assert hybrid.mget("k1", "k2") == [b"1", b"2"]
    assert hybrid.dbsize() == KEYS
    late = rig.client(**PATIENT)
    assert late.incr("n") == 1
    rig.assert_healed(late)


@pytest.mark.parametrize("source", list(Store))
@pytest.mark.parametrize("alive", [True, False], ids=["applications go on", "applications restart"])
def test_a_store_is_wiped_while_the_other_one_is_refilled_from_it(rig: Rig, source: Store, alive: bool) -> None:
    """What has arrived there by then is all that is left."""
    servers = servers_of(rig)
    rig.link(Store.CLOUD, 0.05)
    hybrid = rig.client(ack="local", **PATIENT)
    write_many(hybrid, "v")
    assert hybrid.wait_in_sync(HEAL_S)
    with client(servers[source].url) as here, client(servers[source.other].url) as there:
        there.flushall()
        wait_until(
            lambda: there.dbsize() > MANY / 10 and there.get("hybrid:identity") == OUTDATED, "half of it", HEAL_S
        )
        here.flushall()
    if not alive:
        hybrid.close()
        hybrid = rig.client(ack="local", **PATIENT)
    wait_until(lambda: takes_writes(hybrid), "writes go on", HEAL_S)
    rig.assert_healed(hybrid)
    assert hybrid.dbsize() > MANY / 20  # some of what stood there was hybrid's own


def test_a_service_that_does_not_tell_is_emptied_by_hand(rig: Rig) -> None:
    """Its connections stay open, and nothing is said on them (Upstash has no CLIENT TRACKING): a checkpoint tells."""
    with refusing(rig.cloud.port) as service, client(rig.cloud.url) as cloud:
        service.refusal = lambda args: "ERR unknown command" if b"TRACKING" in map(bytes.upper, args[:2]) else None
        rig.cloud_url = service.url
        hybrid = rig.client(**PATIENT)
        for number in range(KEYS):
            hybrid.set(f"k{number}", number)
        assert hybrid.wait_in_sync(HEAL_S)
        for _ in range(2):
            cloud.flushall()
            for number in range(2 * EVERY_ENTRIES):
                hybrid.set("n", number)
            wait_until(lambda: cloud.exists("k7"), "what nobody has written since is there again", HEAL_S)
            rig.assert_healed(hybrid)
        assert hybrid.dbsize() == KEYS + 1
