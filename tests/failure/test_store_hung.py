"""SIGSTOP of either store under load: connections stay open and nothing answers, which is worse than a refusal."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from rig import HEAL_S, Rig, is_well, patient_with
from servers import wait_until

from hybrid import Settings, Store, StoreState
from hybrid.core.transaction import FLUSH_S
from hybrid.stores.processes import ServerProcess

FAR_S, NEAR_S = 0.06, 0.02


@pytest.mark.parametrize(
    ("store", "ack", "round_trip_s"),
    [
        (Store.LOCAL, "both", NEAR_S),
        (Store.LOCAL, "local", FAR_S),
        (Store.CLOUD, "both", NEAR_S),
        (Store.CLOUD, "local", NEAR_S),
    ],
)
def test_a_store_that_hangs_under_load(rig: Rig, store: Store, ack: str, round_trip_s: float) -> None:
    rig.link(Store.CLOUD, round_trip_s)
    rig.assert_outlived(store, ack, ServerProcess.pause, ServerProcess.resume)


def test_who_does_not_ship_hears_of_a_hung_cloud_store_from_the_process_that_does(rig: Rig) -> None:
    clients = [rig.client(**patient_with(Store.LOCAL)) for _ in range(2)]
    wait_until(lambda: sum(each._engine.board.shipping for each in clients) == 1, "one of them ships")
    wait_until(lambda: all(is_well(each.status()) for each in clients), "both know that all is well")
    stands_by, ships = sorted(clients, key=lambda each: each._engine.board.shipping)
    rig.cloud.pause()
    ships.set("key", "value")  # something to ship, so that the silence shows
    wait_until(lambda: stands_by._engine.board.state(Store.CLOUD) is StoreState.DOWN, "it is found out")


def test_emptying_a_store_that_hangs_is_no_long_wait(rig: Rig) -> None:
    """A store that is emptied may be busy for seconds, and is given these. One that hangs before it began is lost."""
    client = rig.client(**patient_with(Store.CLOUD))
    client.set("key", "value")
    assert client.wait_in_sync(HEAL_S)
    rig.local.pause()
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(client.flushall).result(FLUSH_S), "sooner than an emptying is given"
    assert not client.exists("key")
    rig.local.resume()
    rig.wait_well(client)
    assert client.wait_in_sync(HEAL_S)
    assert not client.exists("key")


@pytest.mark.parametrize("ack", ["both", "local"])
def test_the_last_store_may_be_slow(rig: Rig, ack: str) -> None:
    """Twice its timeout: commands wait, because there is nowhere to go, and none fails or is in doubt."""
    client = rig.client(ack=ack)
    client.set("counter", 0)
    rig.cloud.kill()
    wait_until(lambda: client._engine.board.state(Store.CLOUD) is StoreState.DOWN, "the loss is known")
    with ThreadPoolExecutor(4) as threads:
        calls = [threads.submit(lambda: [client.incr("counter") and client.get("counter") for _ in range(50)])]
        calls += [threads.submit(lambda: [client.rpush("list", 1) for _ in range(50)]) for _ in range(3)]
        rig.local.pause()
        silent_s = 2 * Settings().local_timeout_s
        began_s = time.monotonic()
        wait_until(lambda: time.monotonic() - began_s > silent_s, "twice the timeout has passed")
        rig.local.resume()
        for call in calls:
            call.result(HEAL_S)
    assert (client.get("counter"), client.llen("list")) == (b"50", 150)
    assert client._engine.board.state(Store.LOCAL) is StoreState.UP
