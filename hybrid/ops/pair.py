"""Two stores that hold data and were never paired: compare them, and make them one on the operator's word."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hybrid.client import HybridRedis
from hybrid.errors import ConfigurationError, HybridError
from hybrid.replication.unite import Comparison, Unity
from hybrid.types import Store, StoreState

__all__ = ["Origin", "Paired", "Preview", "pair", "preview"]

logger = logging.getLogger("hybrid.control")

COMMANDS_PER_KEY = 4
POLL_S = 0.05

Report = Callable[[str, int, int | None], None]
"""Told now and then what is being done, in words, and of how many of how many keys; None where nobody counts them."""


class Origin(StrEnum):
    """Whose data the pair begins with."""

    LOCAL = "local"
    """The local store's: the cloud store is made the same, and what only it has is deleted."""
    CLOUD = "cloud"
    """The cloud store's: the local store is made the same, and what only it has is deleted."""
    MERGE = "merge"
    """Both: nothing is deleted, and of two different values one goes to the conflict archive."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What the two stores hold, in keys. `paired`: they are one pair already, and `pair` refuses."""

    paired: bool
    equal: int
    different: int
    only_local: int
    only_cloud: int

    def effect(self, origin: Origin, prefer: Store = Store.LOCAL) -> str:
        """What `pair` would do, in one sentence."""
        if origin is Origin.MERGE:
            return (
                f"{self.only_local} keys are copied to the cloud store and {self.only_cloud} to the local one; of "
                f"{self.different} the {prefer} store's value stays, and the other goes to the conflict archive"
            )
        source = Store(origin.value)
        copied, deleted = self.only_local, self.only_cloud
        if source is Store.CLOUD:
            copied, deleted = deleted, copied
        return (
            f"{copied} keys are copied to the {source.other} store, {self.different} are overwritten there, and "
            f"{deleted} that only it has are DELETED"
        )


@dataclass(frozen=True, slots=True)
class Paired:
    """How it ended. `in_sync`: the stores are one already, else still at it; `merged`: what a merge found."""

    origin: Origin
    in_sync: bool
    took_s: float
    merged: Preview | None = None


def preview(client: HybridRedis, report: Report = lambda *_: None) -> Preview:
    """Compare the stores, key by key. Reads both of them whole: about four commands for each key of the cloud store.

    Raises HybridError when a store cannot be read.
    """
    with _unity(client) as unity:
        sizes = unity.sizes()
        total = sum(sizes.values())
        report(f"about {sizes[Store.CLOUD] * COMMANDS_PER_KEY:,} cloud commands", 0, total)
        paired = unity.is_paired
        found = unity.compare(lambda counts: report("comparing", _read(counts), total))
    return _preview(found, paired)


def pair(
    client: HybridRedis,
    origin: Origin,
    *,
    author: str,
    prefer: Store = Store.LOCAL,
    timeout_s: float = 600.0,
    report: Report = lambda *_: None,
) -> Paired:
    """Make the two stores one pair. Applications may run on: they write to the local store until it is done.

    `prefer` says whose value stays where a merge finds two; the other is archived. Interrupted at any point, it can be
    run again. Returns when the stores are in sync, or after `timeout_s`; the rest happens by itself then.

    Raises HybridError when the stores are paired already, or one of them cannot be used.
    """
    if not author.strip():
        raise ConfigurationError("say who pairs the stores: author must not be empty")
    started_s = time.monotonic()
    merged: Preview | None = None
    with _unity(client) as unity:
        if unity.is_paired:
            raise HybridError("these two stores are one pair already; nothing was changed")
        logger.info("%s pairs the stores: %s, prefer %s", author, origin, prefer)
        if origin is Origin.MERGE:
            total = sum(unity.sizes().values())
            merged = _preview(
                unity.merge(prefer, author, lambda counts: report("comparing", _read(counts), total)), False
            )
        source = Store.CLOUD if origin is Origin.CLOUD else Store.LOCAL
        report(f"the {source.other} store is filled from the {source} one", 0, None)
        unity.take(source)
    client._engine.renew()  # a store that was left alone is not looked at often
    in_sync = _wait_for_pair(client, started_s + timeout_s)
    return Paired(origin, in_sync, time.monotonic() - started_s, merged)


def _unity(client: HybridRedis) -> Unity:
    if not client.settings.replicated:
        raise HybridError("there is nothing to pair: only the local store is in use (UPSTASH_REDIS_URL)")
    client.start()
    return Unity(client._engine.endpoints, client._engine.names)


def _wait_for_pair(client: HybridRedis, deadline_s: float) -> bool:
    """Until both stores are up, the local one has the authority and everything is on both."""
    while (left_s := deadline_s - time.monotonic()) > 0:
        status = client.status()
        up = status.cloud is not None and {status.local.state, status.cloud.state} == {StoreState.UP}
        if up and status.authority is Store.LOCAL and client.wait_in_sync(min(left_s, 1.0)):
            return True
        time.sleep(POLL_S)
    return False


def _preview(found: Comparison, paired: bool) -> Preview:
    return Preview(paired, found.equal, found.different, found.only_local, found.only_cloud)


def _read(counts: Comparison) -> int:
    return 2 * (counts.equal + counts.different) + counts.only_local + counts.only_cloud
