"""A client of the stores for each version of the protocol that clients of the proxy speak.

All lanes share one engine: its board, its watchers and its shipper. Only their connections are their own.
"""

from __future__ import annotations

import copy
import threading
from queue import SimpleQueue
from typing import Any, Final, cast

from hybrid.client import HybridRedis
from hybrid.core.actions import Action, Ask, Commit
from hybrid.core.outcomes import NotSent
from hybrid.proxy.replies import opened
from hybrid.proxy.wires import RawEndpoint
from hybrid.replication.engine import Engine
from hybrid.replication.warmer import warm
from hybrid.types import Store, StoreState

__all__ = ["Lane", "Lanes"]


WARM_S: Final = 1.0
WARM_WIRES: Final = 16
RELAYED: Final = "relayed"
SLOTS: Final[dict[str, int]] = {Store.LOCAL: 8, Store.CLOUD: 128, RELAYED: 128}
"""More of them make a near store no faster. A far one serves many in the time of a round trip. What another process is
asked to write waits for that one, and keeps nobody from the store over which it is asked."""

_OF_TEXT: Final = ("decode_responses", "encoding", "encoding_errors")


class LaneEngine(Engine):
    """The engine over a lane's connections. At most `SLOTS` of its clients ask a store at once, and others wait their
    turn: a crowd would make the store, or this process, so slow that the store is taken for dead."""

    _slots: dict[str, SimpleQueue[None]]

    @classmethod
    def of(cls, engine: Engine, options: dict[str, Any]) -> LaneEngine:
        lane = cast("LaneEngine", copy.copy(engine))
        lane.__class__ = cls
        lane.endpoints = {store: RawEndpoint(endpoint, options) for store, endpoint in engine.endpoints.items()}
        lane.relay = engine.relay.over(lane.endpoints)
        lane.equip(engine.reach.over(lane.endpoints))
        lane._slots = {turn: SimpleQueue() for turn in SLOTS}
        for turn, slots in lane._slots.items():
            for _ in range(SLOTS[turn]):
                slots.put(None)
        return lane

    def perform(self, action: Action) -> Any:
        if not isinstance(action, Commit | Ask) or (isinstance(action, Ask) and action.timeout_s is not None):
            return super().perform(action)
        is_relayed = isinstance(action, Commit) and action.relayed
        slots = self._slots[RELAYED if is_relayed else action.store]
        slots.get()
        try:
            if is_relayed and not self.board.routes.relayed:
                raise NotSent("nobody has answered the others")
            if not is_relayed and self.board.state(action.store) is StoreState.DOWN:
                raise NotSent("it was lost while others were served")
            return super().perform(action)
        finally:
            slots.put(None)


class Lane(HybridRedis):
    """The client as one protocol version sees it: replies keep the bytes in which the store sent them."""

    protocol: int

    @classmethod
    def of(cls, client: HybridRedis, protocol: int) -> Lane:
        """A lane beside `client`, which must be started and be closed after it."""
        lane = cast("Lane", copy.copy(client))
        lane.__class__ = cls
        lane._original = client
        options: dict[str, Any] = {name: value for name, value in client._options.items() if name not in _OF_TEXT}
        lane._engine = LaneEngine.of(client._engine, {**options, "protocol": protocol})
        lane.protocol = protocol
        lane._resp3 = protocol == 3
        lane._is_utf8 = True
        lane._database = "0"  # whichever one the URL names
        lane.response_callbacks = {}
        return lane

    @staticmethod
    def _opened(reply: Any) -> Any:
        return opened(reply)

    @property
    def endpoints(self) -> dict[Store, RawEndpoint]:
        return cast("dict[Store, RawEndpoint]", self._engine.endpoints)

    def retire(self) -> None:
        """Close the lane's connections."""
        for endpoint in self.endpoints.values():
            endpoint.retire()

    def warm(self) -> None:
        """Have as many connections to the store that is not used as to the one that is, so that a failover does not
        begin with connecting."""
        for store, endpoint in self.endpoints.items():
            peer = self.endpoints.get(store.other)
            if peer is not None and self._board.state(store) is StoreState.UP:
                warm(endpoint, min(peer.needed, WARM_WIRES))


class Lanes:
    """The lanes in use, opened as clients ask for them, and a thread that keeps their connections warm."""

    def __init__(self, client: HybridRedis) -> None:
        self._client = client
        self._lanes: dict[int, Lane] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_warm, name="hybrid-proxy-warm", daemon=True)

    def start(self) -> None:
        self._client.start()
        self._thread.start()

    def of(self, protocol: int) -> Lane:
        with self._lock:
            if protocol not in self._lanes:
                self._lanes[protocol] = Lane.of(self._client, protocol)
            return self._lanes[protocol]

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            for lane in self._lanes.values():
                lane.retire()

    def _keep_warm(self) -> None:
        while not self._closed.wait(WARM_S):
            for lane in tuple(self._lanes.values()):
                lane.warm()
