"""Keeps a lease alive while its holder works: parsing one huge transaction must not cost the shipper its office.

A holder without a sign of life for ten seconds is stuck, and loses it, so that another process can take over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.replication.lease import RENEW_S, Lease
from hybrid.stores.endpoint import Endpoint

__all__ = ["LeaseKeeper"]

STUCK_S: Final = 10.0


class LeaseKeeper(threading.Thread):
    """Renews `lease` over a connection of its own until stopped, until somebody else has it, or until its holder is
    stuck; `on_stuck` is told then for how many seconds it has been."""

    def __init__(self, endpoint: Endpoint, lease: Lease, on_stuck: Callable[[float], None]) -> None:
        super().__init__(name=f"hybrid-lease-{endpoint.store}", daemon=True)
        self._endpoint = endpoint
        self._lease = lease
        self._on_stuck = on_stuck
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set() and self._is_needed():
            try:
                self._renew_while_connected()
            except (NotSent, ReplyLost):
                self._stopped.wait(RENEW_S[self._endpoint.store] / 4)

    def _is_needed(self) -> bool:
        if not self._lease.is_held:
            return False
        if (idle_s := self._lease.idle_s) < STUCK_S:
            return True
        self._stopped.set()
        self._on_stuck(idle_s)
        return False

    def _renew_while_connected(self) -> None:
        wire = self._endpoint.connect_raw()
        try:
            while self._is_needed():
                payload = self._lease.renew()
                asked_s = self._lease.asked_s
                self._lease.renewed(asked_s, wire.exchange(payload, 1)[0])
                if self._stopped.wait(RENEW_S[self._endpoint.store]):
                    return
        finally:
            wire.disconnect()
