"""Keeps a lease alive while its holder works: parsing one huge transaction must not cost the shipper its office."""

from __future__ import annotations

import threading

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.replication.lease import RENEW_S, Lease
from hybrid.stores.endpoint import Endpoint

__all__ = ["LeaseKeeper"]


class LeaseKeeper(threading.Thread):
    """Renews `lease` over a connection of its own until stopped, or until somebody else has it."""

    def __init__(self, endpoint: Endpoint, lease: Lease) -> None:
        super().__init__(name=f"hybrid-lease-{endpoint.store}", daemon=True)
        self._endpoint = endpoint
        self._lease = lease
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.is_set() and self._lease.is_held:
            try:
                self._renew_while_connected()
            except (NotSent, ReplyLost):
                self._stopped.wait(RENEW_S[self._endpoint.store] / 4)

    def _renew_while_connected(self) -> None:
        wire = self._endpoint.connect_raw()
        try:
            while self._lease.is_held:
                payload = self._lease.renew()
                asked_s = self._lease.asked_s
                self._lease.renewed(asked_s, wire.exchange(payload, 1)[0])
                if self._stopped.wait(RENEW_S[self._endpoint.store]):
                    return
        finally:
            wire.disconnect()
