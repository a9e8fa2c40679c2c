"""Manual failover and failback: the operator moves the authority, by the same fenced path as the automatic ones."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from hybrid.client import HybridRedis
from hybrid.errors import ConfigurationError, HybridError
from hybrid.replication.transfer import fail_back, fail_over
from hybrid.types import Status, Store

__all__ = ["Moved", "failback", "failover", "preview"]

logger = logging.getLogger("hybrid.control")


@dataclass(frozen=True, slots=True)
class Moved:
    """How it ended: who has the authority since which epoch, whether it is held there, how long it took."""

    authority: Store
    epoch: int
    held: bool
    took_s: float


def preview(status: Status) -> str:
    """What stands now, in one line to show before a move."""
    hold = ", held there until failback" if status.held else ""
    lag = "an unknown number of" if status.lag_entries is None else str(status.lag_entries)
    return f"the {status.authority} store takes writes (epoch {status.epoch}{hold}); {lag} entries wait to be shipped"


def failover(client: HybridRedis, *, author: str, timeout_s: float = 10.0) -> Moved:
    """Have the cloud store take the writes, and keep them until `failback`, over any restart.

    In order: the last local writes are shipped first, so nothing is in doubt; writers wait for about three cloud round
    trips and none fails. `author` is written to the log.

    Raises HybridError, with nothing changed, when the cloud store does not have everything within `timeout_s`.
    """
    started_s = _begin(client, author, "failover")
    record = fail_over(client._engine, timeout_s)
    return Moved(record.store, record.epoch, record.held, time.monotonic() - started_s)


def failback(client: HybridRedis, *, author: str, timeout_s: float = 30.0) -> Moved:
    """Give the authority back to the local store: at once when it has everything, else as soon as it has.

    The result tells who has it when the call ends, after `timeout_s` at the latest; the hold is lifted in any case.
    """
    started_s = _begin(client, author, "failback")
    fail_back(client._engine)
    board = client._engine.board
    board.wait_until_moved(Store.LOCAL, timeout_s)
    record = board.authority
    return Moved(record.store, record.epoch, record.held, time.monotonic() - started_s)


def _begin(client: HybridRedis, author: str, move: str) -> float:
    if not author.strip():
        raise ConfigurationError(f"say who asks for the {move}: author must not be empty")
    if not client.settings.replicated:
        raise HybridError(f"no {move}: only the local store is in use (see UPSTASH_REDIS_URL and REDIS_WRITE_BOTH)")
    client.start()
    logger.info("%s asks for a %s", author, move)
    return time.monotonic()
