"""kill -9 of the process that ships the log for all: another one takes over, and nothing is lost or shipped twice."""

from __future__ import annotations

import os

import pytest
from rig import HEAL_S, PATIENT, Rig, shipper_pid
from servers import client as connect
from servers import wait_until

from hybrid import Store
from hybrid.replication import board, shipper

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


def test_a_process_that_starts_while_nobody_ships(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know whether the cloud store has everything, and waits for whoever is to ship next to say it."""
    monkeypatch.setattr(board, "WORD_S", HEAL_S)  # a busy machine takes longer to begin to ship than a quiet one
    rig.link(Store.CLOUD, 0.02)
    fleet = rig.fleet(READERS[:1], ack="both", **PATIENT)
    fleet.go()
    wait_until(fleet.after(20), "the first tokens", HEAL_S)
    fleet.workers[0].kill()
    starts = rig.client(ack="both", **PATIENT)
    assert shipper_pid(rig.local) != os.getpid()
    starts.set("key", "value")
    with connect(rig.cloud.url) as cloud:
        assert cloud.get("key") == b"value"
    assert not starts.status().unconfirmed_writes


def test_who_closes_between_a_failback_and_its_next_lease(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease that came with the authority does not run out: writers of other processes would wait for that."""
    closing = rig.client(**PATIENT)
    closing.set("k", 1)
    assert closing.wait_in_sync(HEAL_S)
    rig.local.kill()
    closing.set("k", 2)
    board, begins = closing._board, shipper.renamed

    def closes(holder: str) -> str:
        if board.authority.store is Store.LOCAL:
            board.close()
        return begins(holder)

    monkeypatch.setattr(shipper, "renamed", closes)
    rig.local.start()
    thread = closing._engine.shipper
    assert thread is not None
    thread.join(HEAL_S)
    assert not thread.is_alive()
    assert not shipper_pid(rig.local)
