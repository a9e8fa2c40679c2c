"""One process cannot reach the local store, the others can: it must not take them to the cloud again and again."""

from __future__ import annotations

import threading
import time

from rig import HEAL_S, PATIENT, Rig
from servers import client as plain
from servers import wait_until

from hybrid import HybridRedis, Store
from hybrid.events import AuthorityMoved, Event


def test_a_process_that_is_cut_off_does_not_make_the_authority_flap(rig: Rig) -> None:
    moves: list[Event] = []

    def hear(event: Event) -> None:
        if isinstance(event, AuthorityMoved):
            moves.append(event)

    near = rig.client(**PATIENT, hooks=[hear])
    near.set("k", 1)
    direct = rig.local_url
    link = rig.link(Store.LOCAL, 0.0)
    with HybridRedis.from_urls(rig.local_url, rig.cloud_url, cloud_timeout_s=2.0) as far:
        far.incr("far")
        assert near.wait_in_sync(HEAL_S)
        link.apply(refuse=True, cut=True)
        stop = threading.Event()
        written = [1]

        def write() -> None:
            while not stop.is_set():
                far.incr("far")
                written[0] += 1

        thread = threading.Thread(target=write)
        thread.start()
        wait_until(lambda: len(moves) >= 3, "taken, handed back and taken again", HEAL_S)
        begun_s, before, counted = time.monotonic(), len(moves), 0
        while time.monotonic() - begun_s < 2.0:
            near.set(f"near:{counted}", counted)
            counted += 1
        assert len(moves) - before <= 4, moves
        stop.set()
        thread.join()
        link.heal()
        wait_until(lambda: far.status().authority is Store.LOCAL, "it returns", HEAL_S)
    rig.local_url = direct
    rig.assert_healed(near)
    with plain(rig.local.url) as local:
        assert int(local.get("far") or 0) == written[0]
        assert all(local.get(f"near:{number}") == b"%d" % number for number in range(counted))
