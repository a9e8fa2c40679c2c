"""The operator moves the authority: no command fails, nothing is in doubt, and it stays where it was put."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from rig import HEAL_S, PATIENT, Rig
from servers import client as plain
from servers import wait_until

from hybrid import HybridRedis, Status, Store, StoreState
from hybrid.core.authority import Authority, Holder
from hybrid.core.resp import pack
from hybrid.errors import HybridError
from hybrid.ops.failover import failback, failover
from hybrid.stores.processes import ServerProcess


def counting(hybrid: HybridRedis, key: str, stop: threading.Event, failed: list[Exception]) -> Callable[[], int]:
    """Count `key` up until `stop`; the result waits for the end and tells how often."""
    counted = [0]

    def run() -> None:
        while not stop.is_set():
            try:
                hybrid.incr(key)
            except Exception as error:
                failed.append(error)
                return
            counted[0] += 1

    thread = threading.Thread(target=run)
    thread.start()

    def end() -> int:
        thread.join()
        return counted[0]

    return end


def all_up(status: Status) -> bool:
    return status.cloud is not None and {status.local.state, status.cloud.state} == {StoreState.UP}


def test_there_and_back_under_writes(rig: Rig) -> None:
    rig.link(Store.CLOUD, 0.02)
    writers = [rig.client(**PATIENT, ack=ack) for ack in ("both", "local")]
    for writer in writers:
        wait_until(lambda writer=writer: all_up(writer.status()), "both stores up", HEAL_S)
    operator = rig.client(**PATIENT)
    wait_until(lambda: all_up(operator.status()), "both stores up", HEAL_S)
    stop, failed = threading.Event(), list[Exception]()
    ends = [counting(writer, f"n{number}", stop, failed) for number, writer in enumerate(writers)]

    moved = failover(operator, author="test")
    assert (moved.authority, moved.held) == (Store.CLOUD, True)
    wait_until(lambda: all_up(operator.status()), "local follows", HEAL_S)
    assert failover(operator, author="test").epoch == moved.epoch, "nothing is left to do"
    operator.close()
    with plain(rig.cloud.url) as cloud:
        seen = int(cloud.get("n0") or 0)
        wait_until(lambda: int(cloud.get("n0") or 0) > seen + 5, "writes go on there")
        assert cloud.get("hybrid:authority") == f"cloud {moved.epoch} held".encode()

    late = rig.client(**PATIENT)
    wait_until(lambda: all_up(late.status()), "both stores up", HEAL_S)
    assert late.status().held and late.status().authority is Store.CLOUD, "it outlives who asked for it"
    back = failback(late, author="test")
    assert (back.authority, back.held) == (Store.LOCAL, False)
    with plain(rig.local.url) as local:
        seen = int(local.get("n0") or 0)
        wait_until(lambda: int(local.get("n0") or 0) > seen + 5, "writes go on there")
    stop.set()
    counts = [end() for end in ends]
    assert not failed
    rig.assert_healed(late)
    assert [int(value or 0) for value in late.mget("n0", "n1")] == counts
    assert late.status().conflicts == 0


def test_a_cloud_store_that_lacks_something_is_given_nothing(rig: Rig) -> None:
    writer = rig.client()
    wait_until(lambda: all_up(writer.status()), "both stores up", HEAL_S)
    rig.cloud.kill()
    writer.set("k", 1)
    with pytest.raises(HybridError, match="nothing was changed: the cloud store"):
        failover(writer, author="test", timeout_s=0.2)
    writer.set("k", 2)
    rig.cloud.start()
    rig.assert_healed(writer)


def test_a_drain_whose_operator_died_is_taken_back(rig: Rig) -> None:
    """As a kill -9 between the two steps leaves it: both records say drain."""
    writer = rig.client()
    writer.set("k", 1)
    wait_until(lambda: all_up(writer.status()), "both stores up", HEAL_S)
    record = Authority(Holder.DRAIN, writer.status().epoch + 1).record
    for server in (rig.cloud, rig.local):
        with plain(server.url) as connection:
            connection.set("hybrid:authority", record)
    writer.set("k", 2)
    assert writer.status().authority is Store.LOCAL
    rig.assert_healed(writer)
    with plain(rig.local.url) as local:
        assert local.get("k") == b"2"
        assert local.get("hybrid:authority") == f"local {writer.status().epoch}".encode()


def test_a_held_authority_outlives_restarts_and_an_automatic_failover_can_be_held(rig: Rig) -> None:
    writer = rig.client()
    writer.set("k", 1)
    wait_until(lambda: all_up(writer.status()), "both stores up", HEAL_S)
    rig.local.kill()
    writer.set("k", 2)
    assert failover(writer, author="test").held
    rig.local.start()
    wait_until(lambda: all_up(writer.status()), "local follows", HEAL_S)
    writer.incr("k")
    status = writer.status()
    assert (status.authority, status.held) == (Store.CLOUD, True)
    assert failback(writer, author="test").authority is Store.LOCAL
    rig.assert_healed(writer)
    assert writer.get("k") == b"3"


@pytest.mark.parametrize("fail", [ServerProcess.kill, ServerProcess.pause], ids=["refused", "hung"])
def test_the_cloud_store_is_lost_while_it_holds_the_authority(rig: Rig, fail: Callable[[ServerProcess], None]) -> None:
    """A local store that has everything takes over; what only the cloud store knew is merged when it returns."""
    rig.link(Store.CLOUD, 0.02)
    writer, other = rig.client(ack="local"), rig.client()
    writer.set("k", 1)
    wait_until(lambda: all_up(writer.status()) and all_up(other.status()), "both stores up", HEAL_S)
    failover(writer, author="test")
    for client in (writer, other):
        wait_until(lambda client=client: all_up(client.status()), "local follows", HEAL_S)
        client.incr("n")
        client.set("k", 2)
    assert writer.wait_in_sync(HEAL_S)
    fail(rig.cloud)
    for client in (writer, other):
        client.set("k", 3)  # a command that counts, caught without a reply, would be unknown
    for number in range(20):
        for client in (writer, other):
            client.incr("n")
            client.rpush("l", number)
            client.set("k", number)
            assert client.get("k") == b"%d" % number
    assert writer.status().authority is Store.LOCAL
    with plain(rig.local.url) as local:
        assert local.get("n") == b"42"
    rig.cloud.resume() if fail is ServerProcess.pause else rig.cloud.start()
    rig.assert_healed(writer)
    rig.assert_healed(other)
    assert [writer.get("n"), writer.get("k"), writer.llen("l")] == [b"42", b"19", 40]
    # What waited in the sockets of a store that hung runs there late, though it was run again elsewhere.
    assert writer.status().conflicts == 0 or fail is ServerProcess.pause


def test_what_only_a_lost_cloud_store_knew_is_merged_into_the_local_one(rig: Rig) -> None:
    """Written there past every shipper, as by a process that cannot reach the local store."""
    writer = rig.client()
    writer.mset({"ours": 0, "theirs": 0, "both": 0, "n": 1})
    wait_until(lambda: all_up(writer.status()), "both stores up", HEAL_S)
    failover(writer, author="test")
    wait_until(lambda: all_up(writer.status()), "local follows", HEAL_S)
    assert writer.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    writer.mset({"ours": "local", "both": "local"})
    writer.incr("n")
    rig.cloud.start()
    # Before anybody's watcher is there: the log of the cloud store gets a tail, behind what was shipped.
    late = time.time_ns() // 1_000_000 + 1000
    with plain(rig.cloud.url) as cloud:
        for key, value in (("theirs", "cloud"), ("both", "cloud")):
            pipe = cloud.pipeline()
            pipe.set(key, value)
            pipe.xadd("hybrid:log", {"v": pack(("SET", key, value))}, id=f"{late}-*")
            pipe.execute()
    rig.assert_healed(writer)
    assert writer.mget("ours", "theirs", "n") == [b"local", b"cloud", b"2"]
    assert writer.get("both") in (b"local", b"cloud")
    assert writer.status().conflicts == 1
