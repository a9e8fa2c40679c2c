"""What goes wrong in a soak: stores, processes, and the ways of single processes, as a seed decides."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from fleet import Fleet
from rig import Rig, shipper_pid
from servers import client

from hybrid.stores.link import Link
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

__all__ = ["PROFILES", "Fault", "Nemesis"]

STORES = ("kill", "stop", "restart")
PROCESSES = ("kill worker", "stop worker", "kill shipper", "stop shipper")
LINKS = ("refuse", "hang", "cut", "lose replies", "slow")
EVERYTHING = (*STORES, *PROCESSES, *LINKS)
PROFILES = {
    "single": EVERYTHING,
    "wiped": ("wipe", "wipe", "empty", *STORES, *PROCESSES),
    "links": LINKS,
    "storm": (*STORES, *EVERYTHING),
}
"""Faults by the name of the profile. In a storm one comes before the last one is healed."""

LENGTHS_S = (0.1, 0.5, 1.5, 3.0)


@dataclass(frozen=True)
class Fault:
    """One that has begun; `end` ends it, after `length_s`."""

    name: str
    length_s: float
    end: Callable[[], object]


class Nemesis:
    """`links` are the ways of each worker to both stores."""

    def __init__(self, rig: Rig, fleet: Fleet, links: list[dict[Store, Link]], random: Random, profile: str) -> None:
        self._rig, self._fleet, self._links, self._random = rig, fleet, links, random
        self._kinds = PROFILES[profile]

    def strike(self) -> None:
        """One fault from its beginning to its end."""
        fault = self._begin(self._random.choice(self._kinds))
        print(f"  {fault.name} for {fault.length_s:g} s", flush=True)
        time.sleep(fault.length_s)
        fault.end()

    def _begin(self, kind: str) -> Fault:
        length_s = self._random.choice(LENGTHS_S)
        if kind in LINKS:
            return self._link_fault(kind, length_s)
        if kind in PROCESSES:
            return self._process_fault(kind, length_s)
        return self._store_fault(kind, self._random.choice(tuple(Store)), length_s)

    def _store_fault(self, kind: str, store: Store, length_s: float) -> Fault:
        server: ServerProcess = self._rig.local if store is Store.LOCAL else self._rig.cloud
        name = f"{kind} {store}"
        if kind == "stop":
            server.pause()
            return Fault(name, length_s, server.resume)
        if kind == "empty":  # by hand: its connections stay
            with client(server.url) as connection:
                connection.flushall()
            return Fault(name, 0.0, lambda: None)
        server.kill()
        if kind == "wipe":
            shutil.rmtree(server.folder)
        return Fault(name, 0.0 if kind == "restart" else length_s, server.start)

    def _process_fault(self, kind: str, length_s: float) -> Fault:
        worker = self._random.choice(self._fleet.living)
        if kind.endswith("shipper"):
            pid = shipper_pid(self._rig.local)
            worker = next((worker for worker in self._fleet.living if worker.pid == pid), worker)
        if kind.startswith("stop"):
            os.kill(worker.pid, signal.SIGSTOP)
            return Fault(f"{kind} {worker.spec.name}", length_s, lambda: os.kill(worker.pid, signal.SIGCONT))
        worker.kill()
        return Fault(f"{kind} {worker.spec.name}", length_s, lambda: self._fleet.replace(worker))

    def _link_fault(self, kind: str, length_s: float) -> Fault:
        number, store = self._random.randrange(len(self._links)), self._random.choice(tuple(Store))
        link = self._links[number][store]
        if kind == "lose replies":
            link.apply(lose_reply=self._random.randrange(1, 4))
        elif kind == "slow":
            link.apply(slow=20_000)
        else:
            link.apply(**{kind: True})
        return Fault(f"{kind}: w{number} to {store}", length_s, link.heal)
