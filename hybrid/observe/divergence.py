"""How far both stores agree, as an agent knows it: what the periodic sync, wherever it runs, has noted."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

import redis

from hybrid.client import HybridRedis
from hybrid.core.divergence import Divergence
from hybrid.ops.metrics import raw_local
from hybrid.types import Store

__all__ = ["DivergenceWatch"]

logger = logging.getLogger("hybrid.sync")

INTERVAL_S: Final = 15.0


class DivergenceWatch(threading.Thread):
    """Looks from `start` to `close`; an agent's duty. `latest` is None while nothing was compared, or nothing is known:
    the local store is asked only, for the other one bills it."""

    def __init__(self, client: HybridRedis) -> None:
        super().__init__(name="hybrid-divergence", daemon=True)
        self._client = client
        self._stopped = threading.Event()
        self.latest: Divergence | None = None

    def close(self) -> None:
        self._stopped.set()
        if self.is_alive():
            self.join(timeout=2.0)

    def health(self) -> dict[str, Any]:
        """Its part of the health document."""
        found = self.latest
        if found is None:
            return {"divergence": None}
        return {
            "divergence": {
                "equal_share": found.equal_share,
                "open_differences": found.open_differences,
                "oldest_s": found.oldest_age_s(time.time()),
                "checked_at_s": found.checked_at_s,
            }
        }

    def run(self) -> None:
        while not self._stopped.is_set():
            self.latest = self._read()
            self._stopped.wait(INTERVAL_S)

    def _read(self) -> Divergence | None:
        engine = self._client._engine
        if not engine.board.reachable(Store.LOCAL):
            return None
        try:
            with raw_local(self._client) as local:
                return Divergence.parse(local.execute_command("GET", engine.names.divergence))
        except (redis.RedisError, OSError) as error:
            logger.debug("the divergence is not known now: %s", error)
            return None
