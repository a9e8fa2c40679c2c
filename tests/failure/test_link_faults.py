"""Faults of the way to a store rather than of the store: cut, slow, refusing, hanging, and replies that get lost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import redis
from rig import HEAL_S, Rig, patient_with
from servers import wait_until

from hybrid import HybridRedis, OutcomeUnknown, Store

READERS = ("local", "cloud")
ROUND_TRIP_S = {Store.LOCAL: 0.0, Store.CLOUD: 0.02}
FAULTS: dict[str, dict[str, Any]] = {
    "cut": {"cut": True},
    "lose-reply": {"lose_reply": 3},
    "slow": {"slow": 20_000},
    "far": {"round_trip_s": 0.11},
    "refuse": {"refuse": True},
    "hang": {"hang": True},
}


@pytest.mark.parametrize("store", list(Store))
def test_faults_under_load(rig: Rig, store: Store) -> None:
    """One after the other, on the same workers: what one fault leaves behind must not spoil the next."""
    link = rig.link(store, ROUND_TRIP_S[store])
    fleet = rig.fleet(READERS, ack="both", threads=6, pause_s=0.02, **patient_with(store.other))
    watcher = rig.client(**patient_with(store.other))
    fleet.go()
    for name, fault in FAULTS.items():
        wait_until(fleet.after(20), f"tokens on a healthy link, before {name}", HEAL_S)
        link.apply(**fault)
        wait_until(fleet.after(30), f"tokens during {name}", HEAL_S)
        link.apply(round_trip_s=ROUND_TRIP_S[store])
        link.heal()
        rig.wait_well(watcher)
    wait_until(fleet.after(20), "tokens in the end", HEAL_S)
    history = fleet.stop()
    print(store, history)
    rig.assert_healed(watcher)
    rig.assert_kept(history)
    assert not history.failed
    assert not history.stale


def incr(client: HybridRedis, lose: Callable[[], None]) -> None:
    lose()
    client.incr("n")


def incr_in_a_pipeline(client: HybridRedis, lose: Callable[[], None]) -> None:
    lose()
    client.pipeline().incr("n").execute()


def incr_when_watched(client: HybridRedis, lose: Callable[[], None]) -> None:
    """As applications write it: a WatchError says that nothing was done, so it is tried again."""
    tries = count()

    def add(pipe: redis.client.Pipeline) -> None:
        pipe.get("n")
        pipe.multi()
        pipe.incr("n")
        if not next(tries):
            lose()

    client.transaction(add, "n")


@pytest.mark.parametrize("action", [incr, incr_in_a_pipeline, incr_when_watched])
def test_a_lost_reply_of_the_local_store_never_counts_twice(rig: Rig, action: Callable[..., None]) -> None:
    link = rig.link(Store.LOCAL, 0.0)
    client = rig.client(**patient_with(Store.CLOUD))
    client.set("other", 1)
    acked = unknown = 0
    while unknown < 3 and acked < 100:
        rig.wait_well(client)
        try:
            action(client, lambda: link.apply(lose_reply=1))
            acked += 1
        except OutcomeUnknown:
            unknown += 1
        link.heal()
    rig.assert_healed(client)
    value = int(client.get("n") or 0)
    print(f"{acked} acknowledged, {unknown} unknown, {value} counted")
    assert acked <= value <= acked + unknown


def test_a_lost_reply_of_the_cloud_store_never_counts_twice(rig: Rig) -> None:
    """The shipper does not know whether the entries arrived: it copies their keys instead of sending them again."""
    link = rig.link(Store.CLOUD, 0.02)
    client = rig.client(**patient_with(Store.LOCAL))
    total = 0
    for _ in range(3):
        link.apply(lose_reply=1)
        for _ in range(20):
            client.incr("n")
            client.rpush("l", total)
            total += 1
        wait_until(lambda: not link.state.faults.lose_reply, "the reply to be lost", HEAL_S)
    rig.assert_healed(client)
    with client.store(Store.CLOUD) as cloud:
        assert int(cloud.get("n")) == total
        assert cloud.lrange("l", 0, -1) == [str(number).encode() for number in range(total)]
