"""A client of the stores for each version of the protocol that clients of the proxy speak.

All lanes share one engine: its board, its watchers and its shipper. Only their connections are their own.
"""

from __future__ import annotations

import copy
import logging
import threading
from typing import Any, Final, cast

from redis import RedisError

from hybrid.client import HybridRedis
from hybrid.proxy.wires import RawEndpoint
from hybrid.types import Store, StoreState

__all__ = ["Lane", "Lanes"]

logger = logging.getLogger("hybrid")

WARM_S: Final = 1.0
WARM_WIRES: Final = 16
_OF_TEXT: Final = ("decode_responses", "encoding", "encoding_errors")


class Lane(HybridRedis):
    """The client as one protocol version sees it: replies keep the bytes in which the store sent them."""

    protocol: int

    @classmethod
    def of(cls, client: HybridRedis, protocol: int) -> Lane:
        """A lane beside `client`, which must be started and be closed after it."""
        lane = cast("Lane", copy.copy(client))
        lane.__class__ = cls
        lane._closed = True
        engine = lane._engine = copy.copy(client._engine)
        options: dict[str, Any] = {name: value for name, value in client._options.items() if name not in _OF_TEXT}
        engine.endpoints = {
            store: RawEndpoint(endpoint, {**options, "protocol": protocol})
            for store, endpoint in client._engine.endpoints.items()
        }
        lane.protocol = protocol
        lane._resp3 = protocol == 3
        lane._is_utf8 = True
        lane.response_callbacks = {}
        return lane

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
                endpoint.warm(min(peer.idle, WARM_WIRES))


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
                try:
                    lane.warm()
                except RedisError as error:  # the store was lost in this moment: its watcher knows, or will
                    logger.debug("connections could not be kept ready: %s", error)
