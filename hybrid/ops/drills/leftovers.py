"""What drills left behind that were killed: each is noted on the stores while it runs, and the next one, or an agent,
removes the keys of those that are long over."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

import redis

from hybrid.core.names import Names

__all__ = ["DEAD_S", "begin", "end", "key_prefix", "namespace", "sweep"]

logger = logging.getLogger("hybrid.drills")

DEAD_S: Final = 900.0
"""Several times what the longest drill takes: one that is noted for longer was killed."""

SCAN_KEYS: Final = 1000
_RUNNING: Final = Names().drilling


def key_prefix(drill_id: str) -> str:
    """With this begin the keys that a drill's application writes."""
    return f"hybrid-drill:{drill_id}:"


def namespace(drill_id: str) -> str:
    """With this begin hybrid's own keys of a drill."""
    return f"hybrid:drill:{drill_id}:"


def begin(store: redis.Redis, drill_id: str) -> None:
    """Note that a drill runs. Raises RedisError or OSError."""
    store.zadd(_RUNNING, {drill_id: time.time()})


def end(store: redis.Redis, drill_id: str) -> None:
    """Note that it has cleaned up. Raises RedisError or OSError."""
    store.zrem(_RUNNING, drill_id)


def sweep(store: redis.Redis) -> int:
    """Remove the keys of drills that were killed; how many drills those were. One command when there was none, else a
    scan of the whole store. Raises RedisError or OSError."""
    dead: list[Any] = list(store.zrange(_RUNNING, "-inf", time.time() - DEAD_S, byscore=True))
    for found in dead:
        drill_id = found if isinstance(found, str) else found.decode()
        for prefix in (key_prefix(drill_id), namespace(drill_id)):
            for key in store.scan_iter(match=f"{prefix}*", count=SCAN_KEYS):
                store.unlink(key)
        end(store, drill_id)
        logger.info("removed what the killed drill %s had left", drill_id)
    return len(dead)
