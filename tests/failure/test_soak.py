"""Random faults, one after the other, under load: `HYBRID_SOAK=20 python -m pytest tests/failure -m soak -s`.

`HYBRID_SOAK` is the number of seeds (3 by default), each of which takes about two minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import pytest
from rig import HEAL_S, Rig, shipper_pid
from servers import wait_until

from hybrid import Store

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

SEEDS = range(int(os.environ.get("HYBRID_SOAK", "3")))
ROUNDS = 8
READERS = ("local", "cloud", "fastest", "local")
Fault = tuple[Callable[[], object], Callable[[], object]]


def faults(rig: Rig) -> dict[str, Fault]:
    """What may go wrong, and how it ends, by name."""
    found: dict[str, Fault] = {}
    for store, server in ((Store.LOCAL, rig.local), (Store.CLOUD, rig.cloud)):
        link = rig.link(store, 0.02 if store is Store.CLOUD else 0.0)
        found[f"kill {store}"] = (server.kill, server.start)
        found[f"stop {store}"] = (server.pause, server.resume)
        for name in ("refuse", "hang", "cut"):
            found[f"{name} {store}"] = (lambda link=link, name=name: link.apply(**{name: True}), link.heal)  # type: ignore[misc]
        found[f"lose {store}"] = (lambda link=link: link.apply(lose_reply=2), link.heal)  # type: ignore[misc]
    return found


@pytest.mark.parametrize("ack", ["both", "local"])
@pytest.mark.parametrize("seed", SEEDS)
def test_random_faults(rig: Rig, seed: int, ack: str) -> None:
    random, menu = Random(seed), faults(rig)
    fleet = rig.fleet(READERS, ack=ack, seed=seed, threads=2, pause_s=0.005)
    watcher = rig.client()
    fleet.go()
    killed = random.randrange(ROUNDS)
    for number in range(ROUNDS):
        wait_until(fleet.after(40), "tokens while all is well", HEAL_S)
        if number == killed:
            pid = shipper_pid(rig.local)
            for worker in fleet.living:
                if worker.pid == pid:
                    worker.kill()
        name = random.choice(sorted(menu))
        print(f"seed {seed}, round {number}: {name}")
        begin, end = menu[name]
        begin()
        wait_until(fleet.after(random.choice((5, 40, 150))), f"tokens during {name}", HEAL_S)
        end()
        rig.wait_well(watcher)
    history = fleet.stop()
    print(ack, history)
    rig.assert_healed(watcher)
    rig.assert_kept(history)
    assert not history.failed
