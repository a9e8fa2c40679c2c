"""What the subscriptions of both clients share: they are on the store that takes writes, where `publish` goes."""

from __future__ import annotations

from typing import Final

import redis

from hybrid.base import Base
from hybrid.types import Store

__all__ = ["LOOK_S", "LOST", "PATIENCE_S", "PAUSE_S", "Following"]

LOOK_S: Final = 0.2
"""How often a listener looks whether the store that takes writes is another one now. Asks no store."""

PAUSE_S: Final = 0.02
PATIENCE_S: Final = 5.0
"""How long a subscription is tried while no store can be reached that is not known to be down."""

LOST: Final = (redis.ConnectionError, redis.TimeoutError, OSError)


class Following:
    """Mixed into redis-py's PubSub classes: which store a subscription belongs on now."""

    _client: Base
    _store: Store | None

    @property
    def _has_moved(self) -> bool:
        return self._client._writer() is not self._store
