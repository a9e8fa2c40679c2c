"""Two stores of their own, links, worker processes and a watcher: what a failure test is made of."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from fleet import Fleet, Worker
from history import History
from servers import client, wait_until

from hybrid import HybridRedis, Status, Store, StoreState
from hybrid.ops.compare import compare
from hybrid.stores.link import Link
from hybrid.stores.processes import ServerProcess

__all__ = [
    "HEAL_S",
    "PATIENCE_S",
    "PATIENT",
    "Rig",
    "is_missed",
    "is_well",
    "patient_with",
    "shipper_pid",
    "state_of",
    "takes_writes",
]

HEAL_S = 75.0
"""More than healing takes: a test that waits this long has found a store that does not come back. The authority comes
back after a minute where single processes keep taking it."""

PATIENCE_S = 2.0
"""Timeout for a store that has no fault: on a busy machine it must not be taken for a dead one."""
PATIENT = {f"{store}_timeout_s": PATIENCE_S for store in Store}


class Rig:
    """The stores keep their data over kill -9; `local_url` and `cloud_url` are how clients reach them."""

    def __init__(self, folder: Path, local: ServerProcess, cloud: ServerProcess, scratch: ServerProcess) -> None:
        self.folder, self.local, self.cloud, self._scratch = folder, local, cloud, scratch
        self._open = ExitStack()
        self._fleets = 0
        self._workers: list[Worker] = []
        self.local_url, self.cloud_url = local.url, cloud.url

    def link(self, store: Store, round_trip_s: float) -> Link:
        """Put a link before one store; clients that are opened from now on go through it."""
        server = self.local if store is Store.LOCAL else self.cloud
        link = self._open.enter_context(Link("127.0.0.1", server.port, round_trip_s=round_trip_s))
        setattr(self, f"{store}_url", link.url)
        return link

    def fleet(self, readers: Sequence[str], urls: Sequence[tuple[str, str]] = (), **spec: Any) -> Fleet:
        """Workers that are ready to go, one for each read preference; `urls` are their ways to both stores."""
        self._fleets += 1
        folder = self.folder / f"fleet-{self._fleets}"
        urls = urls or [(self.local_url, self.cloud_url)] * len(readers)
        fleet = self._open.enter_context(Fleet(folder, urls, readers, **spec))
        self._workers += fleet.workers
        return fleet

    def client(self, **options: Any) -> HybridRedis:
        """A started client in this process."""
        opened = HybridRedis.from_urls(self.local_url, self.cloud_url, **options)
        self._open.enter_context(opened)
        opened.start()
        return opened

    def close(self) -> None:
        self._open.close()

    def wait_well(self, watcher: HybridRedis) -> None:
        """Until both stores are up and local has the authority, by themselves."""
        deadline_s = time.monotonic() + HEAL_S
        while not is_well(status := watcher.status()):
            if time.monotonic() > deadline_s:
                self.dump_threads()
                pytest.fail(f"no way back in {HEAL_S:g} s: {status}\n{self.logs()}")
            time.sleep(0.02)

    def dump_threads(self) -> None:
        """Have every worker write what its threads are at into its log."""
        for worker in self._workers:
            if worker.alive:
                os.kill(worker.pid, signal.SIGUSR1)

    def logs(self) -> str:
        """The last lines of every worker's log."""
        logs = sorted(self.folder.glob("fleet-*/*.log"))
        return "\n".join(f"-- {log.name}\n{log.read_text()[-1500:]}" for log in logs)

    def assert_outlived(
        self,
        store: Store,
        ack: str,
        fail: Callable[[ServerProcess], None],
        recover: Callable[[ServerProcess], object],
    ) -> None:
        """Workers under load do not notice that `store` fails and recovers, and lose nothing."""
        patience = patient_with(store.other)
        fleet = self.fleet(("local", "cloud", "fastest"), ack=ack, threads=8, pause_s=0.02, **patience)
        watcher = self.client(**patience)
        fleet.go()
        wait_until(fleet.after(25), "the first tokens of all workers", HEAL_S)
        server = self.local if store is Store.LOCAL else self.cloud
        fail(server)
        wait_until(fleet.after(80), "tokens of all workers on the other store", HEAL_S)
        assert is_missed(watcher.status(), store)
        recover(server)
        self.wait_well(watcher)
        wait_until(fleet.after(25), "tokens of all workers after the return", HEAL_S)
        history = fleet.stop()
        print(store, ack, history)
        self.assert_healed(watcher)
        self.assert_kept(history)
        assert not history.failed
        if ack == "both":
            assert not history.stale

    def assert_healed(self, watcher: HybridRedis) -> None:
        """By itself: local has the authority, both stores are up and hold the same, key by key."""
        self.wait_well(watcher)
        assert watcher.wait_in_sync(HEAL_S), watcher.status()
        with client(self.local.url) as local, client(self.cloud.url) as cloud:
            found = compare(local, cloud)
        assert found.identical, found.differences[:20]
        assert found.local_keys, "an empty store proves nothing"

    def assert_kept(self, history: History) -> None:
        """No acknowledged token is lost, and none was applied twice."""
        with client(self.cloud.url) as cloud, client(self._scratch.url) as scratch:
            assert history.acked
            assert not history.lost(cloud, scratch)
            assert not history.doubled(cloud)
            assert not history.returned(cloud)


def patient_with(store: Store) -> dict[str, float]:
    """Settings of a client that does not give up on `store`, and on the other one as fast as by default."""
    return {f"{store}_timeout_s": PATIENCE_S}


def is_well(status: Status) -> bool:
    """Both stores up, local in charge."""
    stores = (status.local, status.cloud)
    return status.authority is Store.LOCAL and all(store and store.state is StoreState.UP for store in stores)


def state_of(hybrid: HybridRedis, store: Store) -> StoreState:
    """What this client knows of one of its two stores."""
    status = hybrid.status()
    assert status.cloud is not None
    return (status.local if store is Store.LOCAL else status.cloud).state


def takes_writes(hybrid: HybridRedis) -> bool:
    """Whether a write succeeds now."""
    try:
        return bool(hybrid.set("there", 1))
    except redis.ConnectionError:
        return False


def is_missed(status: Status, store: Store) -> bool:
    """Whether `store` is known to lack something: the other one has the authority, or entries wait for it."""
    return status.authority is store.other if store is Store.LOCAL else bool(status.lag_entries)


def shipper_pid(server: ServerProcess) -> int:
    """The process that holds the lease on this store's log; 0 when nobody does."""
    with client(server.url) as connection:
        holder = connection.get("hybrid:lease")
    return int(holder.split(b":")[-2]) if holder else 0
