"""kill -9 of either store under load: no command fails, and on its return both stores become equal by themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rig import HEAL_S, Rig, is_well, patient_with
from servers import client as connect
from servers import wait_until

from hybrid import Store
from hybrid.stores.processes import ServerProcess

FAR_S, NEAR_S = 0.06, 0.02


@pytest.mark.parametrize(
    ("store", "ack", "round_trip_s"),
    [
        (Store.LOCAL, "both", FAR_S),
        (Store.LOCAL, "local", NEAR_S),
        (Store.CLOUD, "both", NEAR_S),
        (Store.CLOUD, "local", NEAR_S),
    ],
)
def test_kill_9_under_load(rig: Rig, store: Store, ack: str, round_trip_s: float) -> None:
    rig.link(Store.CLOUD, round_trip_s)
    rig.assert_outlived(store, ack, ServerProcess.kill, ServerProcess.start)


def test_consumers_that_found_nothing_survive_kill_9(rig: Rig) -> None:
    client = rig.client()
    client.xgroup_create("stream", "group", mkstream=True)
    client.xreadgroup("group", "reads", {"stream": ">"})
    client.xautoclaim("stream", "group", "claims", 0)
    rig.local.kill()
    rig.local.start()
    rig.assert_healed(client)
    assert len(client.xinfo_consumers("stream", "group")) == 2


@pytest.mark.parametrize("fail", [ServerProcess.kill, ServerProcess.pause], ids=["killed", "hung"])
def test_a_session_never_goes_back_in_time(rig: Rig, fail: Callable[[ServerProcess], None]) -> None:
    """Reading from the cloud store, across a failover and the way back: never older than what was acknowledged."""
    rig.link(Store.CLOUD, NEAR_S)
    client = rig.client(read_preference="cloud", **patient_with(Store.CLOUD))
    written = 0

    def write_and_read(times: int = 1) -> bool:
        nonlocal written
        for _ in range(times):
            client.set("seq", written + 1)
            written += 1
            assert int(client.get("seq")) == written
        return is_well(client.status())

    write_and_read(50)
    fail(rig.local)
    assert not write_and_read(50)
    rig.local.start()
    rig.local.resume()
    wait_until(write_and_read, "the way back", HEAL_S)
    write_and_read(50)
    rig.assert_healed(client)
    with connect(rig.cloud.url) as cloud:
        wait_until(lambda: not cloud.xlen("hybrid:log"), "what was handed back to leave the cloud store's log", HEAL_S)
