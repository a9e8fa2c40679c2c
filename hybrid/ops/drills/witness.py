"""Tells "the machine was too busy to judge" from a failure: how late this process is woken, how late stores answer.

A machine that lets this process wait for as long as a store's timeout makes that store look dead. No client can tell
the two apart; a drill must, or it cries wolf.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import redis

from hybrid.events import Event, StoreDown
from hybrid.types import Store

__all__ = ["Witness", "fallen_out"]

NAP_S = 0.01
ASK_EVERY_S = {Store.LOCAL: 0.02, Store.CLOUD: 0.1}
"""Often enough to meet a pause as long as a timeout; the cloud store may bill each command."""

LATE_SHARE = 0.5
"""A process that is woken so late, as a share of the shortest timeout, leaves too little of it for the store."""

SLOW_SHARE = 0.8
"""A store that takes so much of its timeout without any fault will miss it at times."""


class Witness:
    """Watches how this process is woken from `start` to `close`, and from `ask` on how stores answer. `timeouts_s` by
    store are those of the drill's client. `excuse` the stores that a fault is about to silence."""

    def __init__(self, timeouts_s: Mapping[Store, float]) -> None:
        self._timeouts_s = timeouts_s
        self._stop = threading.Event()
        self._excused: frozenset[Store] = frozenset()
        self._era = 0
        self._latest_s = 0.0
        self._slowest_s = dict.fromkeys(timeouts_s, 0.0)
        self._threads: list[threading.Thread] = []

    def start(self) -> Witness:
        self._spawn("hybrid-drill-witness", self._nap)
        return self

    def ask(self, connect: Callable[[Store], redis.Redis]) -> None:
        """Ask each store through the client that `connect` opens: by the same way as the drill's client."""
        for store in self._timeouts_s:
            self._spawn(f"hybrid-drill-witness-{store}", self._ask, store, connect)

    def _spawn(self, name: str, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10.0)

    def excuse(self, *stores: Store) -> None:
        """From now on these stores, and no others, are expected not to answer."""
        self._excused = frozenset(stores)
        self._era += 1

    def reset(self) -> None:
        """Forget what was seen so far."""
        self._latest_s = 0.0
        self._slowest_s = dict.fromkeys(self._timeouts_s, 0.0)

    @property
    def busy(self) -> str:
        """Why what came late since the start proves nothing, in words; "" where it does."""
        shortest_s = min(self._timeouts_s.values())
        if self._latest_s >= LATE_SHARE * shortest_s:
            return (
                f"this process got no time for {self._latest_s * 1000:.0f} ms at a stretch, and a store counts as down "
                f"after {shortest_s * 1000:.0f} ms"
            )
        for store, took_s in self._slowest_s.items():
            if took_s >= SLOW_SHARE * self._timeouts_s[store]:
                return (
                    f"the {store} store needed {took_s * 1000:.0f} ms for an answer without any fault, and counts as "
                    f"down after {self._timeouts_s[store] * 1000:.0f} ms"
                )
        return ""

    def _nap(self) -> None:
        while True:
            began_s = time.monotonic()
            if self._stop.wait(NAP_S):
                return
            self._latest_s = max(self._latest_s, time.monotonic() - began_s - NAP_S)

    def _ask(self, store: Store, connect: Callable[[Store], redis.Redis]) -> None:
        with connect(store) as client:
            while not self._stop.wait(ASK_EVERY_S[store]):
                era, began_s = self._era, time.monotonic()
                if store in self._excused:
                    continue
                try:
                    client.ping()
                except (redis.RedisError, OSError):
                    continue  # a store that is really gone is the drill's to tell, not that it was slow
                if era == self._era:
                    self._slowest_s[store] = max(self._slowest_s[store], time.monotonic() - began_s)


def fallen_out(seen: Iterable[Event], harmed: Collection[Store], since_s: float, healed_s: float | None) -> str:
    """That a store counted as down to which nothing was done, or nothing more; "" if none did. Unix times: of what was
    seen before `since_s` nothing is told, and from `healed_s` on the `harmed` stores are whole again."""
    for event in seen:
        if not isinstance(event, StoreDown) or event.at_s < since_s:
            continue
        if event.store not in harmed:
            return f"the {event.store} store, to which nothing was done, counted as down: {event.reason}"
        if healed_s is not None and event.at_s > healed_s:
            return f"the {event.store} store was whole again, and counted as down once more: {event.reason}"
    return ""
