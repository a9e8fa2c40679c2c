"""Random faults under load, one after the other: stores, processes, the ways of single processes.

`HYBRID_SOAK=20 python -m pytest tests/failure -m soak -s` takes 20 seeds (3 by default) through each profile, half
a minute each; `HYBRID_SOAK=117-140` takes these. A seed decides on the faults, not on the moments of a real machine.
"""

from __future__ import annotations

import os
import time
from random import Random

import pytest
from nemesis import PROFILES, Nemesis
from rig import HEAL_S, Rig
from servers import wait_until

from hybrid import Store

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1200)]

READERS = ("local", "cloud", "fastest", "local")
FAULTS = 8
STORM_GAPS_S = (1.0, 4.0)
FAR_S = (0.002, 0.02, 0.06)
PATIENCE = {"local_timeout_s": 0.3, "cloud_timeout_s": 0.6}
"""A busy machine must not seem to be a fault of its own: two at once may leave a process without any store."""


def seeds() -> range:
    first, _, last = os.environ.get("HYBRID_SOAK", "3").rpartition("-")
    return range(int(first or 1), int(last) + 1)


@pytest.mark.parametrize("ack", ["both", "local"])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("seed", seeds())
def test_random_faults(rig: Rig, seed: int, profile: str, ack: str) -> None:
    random = Random(f"{seed} {profile} {ack}")
    watcher, far_s = rig.client(**PATIENCE), random.choice(FAR_S)
    links = [{store: rig.link(store, far_s if store is Store.CLOUD else 0.0) for store in Store} for _ in READERS]
    urls = [(ways[Store.LOCAL].url, ways[Store.CLOUD].url) for ways in links]
    fleet = rig.fleet(
        READERS, urls=urls, preferring=seed % 2 == 0, ack=ack, seed=seed, threads=2, pause_s=0.005, **PATIENCE
    )
    fleet.go()
    nemesis = Nemesis(rig, fleet, links, random, profile)
    print(f"seed {seed}, {profile}, ack={ack}, cloud {far_s * 1000:g} ms away", flush=True)
    for _ in range(FAULTS):
        if profile == "storm":
            time.sleep(random.uniform(*STORM_GAPS_S))
        else:
            wait_until(fleet.after(10), "tokens while all is well", HEAL_S)
            rig.wait_well(watcher)
            assert watcher.wait_in_sync(HEAL_S) or profile != "wiped", "a wipe may only strike stores that are equal"
        nemesis.strike()
    healed_from_s = time.monotonic()
    rig.wait_well(watcher)
    history = fleet.stop()
    rig.assert_healed(watcher)
    print(f"  healed within {time.monotonic() - healed_from_s:.1f} s: {history}", flush=True)
    if profile != "wiped" or ack == "both":
        rig.assert_kept(history)
    # In a storm a store may be lost that alone had everything.
    assert profile == "storm" or not history.failed
