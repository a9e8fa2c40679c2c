"""Keeps connections ready, so that a failover does not begin with connecting: that takes several round trips."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from typing import Final

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.replication.board import Board
from hybrid.stores.endpoint import Endpoint
from hybrid.types import Store

__all__ = ["Warmer", "warm"]

MOST_WIRES: Final = 16
SPARE_WIRES: Final = 2
AT_ONCE: Final = 4


class Warmer(threading.Thread):
    """Has at least as many idle wires to `endpoint` as were ever seen idle to its `peer` after use, and a few more, and
    their fences renewed.

    A thread of its own: the watcher of the store has news to hear meanwhile. What fails here shows there.
    """

    def __init__(self, endpoint: Endpoint, peer: Endpoint, board: Board) -> None:
        super().__init__(name=f"hybrid-warm-{endpoint.store}", daemon=True)
        self._endpoint = endpoint
        self._peer = peer
        self._board = board
        self._asked = threading.Event()
        self._most_needed = 1

    def ask(self) -> None:
        """Look whether there is something to do. Never waits."""
        # At any one moment most are in use: the most that were ever seen idle comes closer to what is needed.
        # The peer's own spare ones do not count: each side would follow the other up to the limit, at a price.
        self._most_needed = max(self._most_needed, self._peer.needed)
        if self._board.closing or self._is_needed:
            self._asked.set()

    @property
    def _is_needed(self) -> bool:
        return self._endpoint.least_idle < self._wanted or self._endpoint.has_stale_fences(self._epoch)

    @property
    def _wanted(self) -> int:
        return min(self._most_needed + SPARE_WIRES, MOST_WIRES)

    @property
    def _epoch(self) -> int:
        """Fences of a store that takes no writes may be old: they are renewed when it takes them. Those of the cloud
        store are also claimed behind, by writers that have waited for the local one already. A record of the local
        store alone is not on the cloud one."""
        authority, store = self._board.authority, self._endpoint.store
        is_claimed_from = store is Store.CLOUD and authority.admits(store.other) and not authority.alone
        return authority.epoch if authority.admits(store) or is_claimed_from else 0

    def run(self) -> None:
        while not self._board.closing:
            self._asked.wait()
            self._asked.clear()
            try:
                self._endpoint.renew_fences(self._epoch)
            except (NotSent, ReplyLost):
                continue  # the watcher finds out what this means
            warm(self._endpoint, self._wanted)


def warm(endpoint: Endpoint, count: int) -> None:
    """Have at least `count` idle wires of each kind to `endpoint`, several at a time: each takes a few round trips, and
    a store that has just come back may be needed soon. What fails is left to who needs it."""
    steps = deque(endpoint.to_warm(count))

    def work() -> None:
        with suppress(IndexError, NotSent, ReplyLost):
            while True:
                steps.popleft()()

    name = f"hybrid-warm-{endpoint.store}"
    helpers = [threading.Thread(target=work, name=name, daemon=True) for _ in range(min(len(steps), AT_ONCE))]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join()
