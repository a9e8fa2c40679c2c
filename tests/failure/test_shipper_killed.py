"""kill -9 of the process that ships the log for all: another one takes over, and nothing is lost or shipped twice."""

from __future__ import annotations

import pytest
from rig import PATIENT, Rig, shipper_pid
from servers import wait_until

from hybrid import Store

READERS = ("local", "cloud", "fastest", "local")
THREADS, TURNS = 16, 157


@pytest.mark.parametrize("ack", ["both", "local"])
def test_kill_9_of_the_process_that_ships(rig: Rig, ack: str) -> None:
    rig.link(Store.CLOUD, 0.02)
    fleet = rig.fleet(READERS, ack=ack, commands=TURNS, threads=THREADS, **PATIENT)
    fleet.go()
    wait_until(fleet.after(100), "the first tokens of all workers", 60)
    pid = shipper_pid(rig.local)
    [victim] = [worker for worker in fleet.workers if worker.pid == pid]
    victim.kill()
    history = fleet.finish()
    watcher = rig.client(**PATIENT)
    print(history)
    rig.assert_healed(watcher)
    rig.assert_kept(history)
    assert history.cut_short == 1
    assert not history.failed
    assert not history.unclear
    assert not history.stale
    assert shipper_pid(rig.local) != pid
