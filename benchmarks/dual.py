"""What an application would write by hand: each write to both stores from two threads, waiting for both."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import redis

from benchmarks.effort import Effort
from benchmarks.rig import SYNC_S, Rig
from benchmarks.table import Row
from hybrid.ops.compare import compare

__all__ = ["DualWriter", "dual_rows"]

HOT_KEYS = 20
NEARER_S = 0.04
"""Round trip of the second writer's link: no two application servers are equally far from the cloud."""


class DualWriter:
    """One application server. `set` returns when both stores have answered."""

    def __init__(self, local_url: str, cloud_url: str) -> None:
        self._clients = [redis.Redis.from_url(url) for url in (local_url, cloud_url)]
        self._pool = ThreadPoolExecutor(len(self._clients))

    def set(self, key: str, value: str) -> None:
        for answer in [self._pool.submit(client.set, key, value) for client in self._clients]:
            answer.result()

    def close(self) -> None:
        self._pool.shutdown()
        for client in self._clients:
            client.close()


def dual_rows(effort: Effort) -> Iterator[Row]:
    """How many of 20 hot keys differ after two application servers wrote each of them at the same moment."""
    with Rig() as rig:
        nearer = rig.nearer_link(NEARER_S)
        urls = (rig.link.url, nearer.url)
        clients = [rig.hybrid(url) for url in urls]  # first, because two full stores are nobody's pair
        writers = [DualWriter(rig.local.url, url) for url in urls]
        with closing(writers[0]), closing(writers[1]):
            _write_hot_keys("by-hand", [writer.set for writer in writers], effort.dual_writes)
        _write_hot_keys("by-client", [client.set for client in clients], effort.dual_writes)
        for client in clients:
            client.wait_in_sync(SYNC_S)
        yield _differing(rig, "by-hand", "dual write with threads", effort, None)
        yield _differing(rig, "by-client", "HybridRedis", effort, 0)


def _write_hot_keys(prefix: str, setters: list[Callable[[str, str], object]], count: int) -> None:
    meeting = threading.Barrier(len(setters), timeout=SYNC_S)

    def write(writer: int, store: Callable[[str, str], object]) -> None:
        for number in range(count):
            meeting.wait()
            store(f"{prefix}:{number % HOT_KEYS}", f"{writer}:{number}")

    with ThreadPoolExecutor(len(setters)) as pool:
        for done in [pool.submit(write, *pair) for pair in enumerate(setters)]:
            done.result()


def _differing(rig: Rig, prefix: str, name: str, effort: Effort, target: float | None) -> Row:
    found = compare(rig.plain(rig.local.url), rig.plain(rig.cloud.url), match=f"{prefix}:*")
    if not found.equal + found.different:
        raise RuntimeError(f"{name} wrote nothing")
    written = f"{2 * effort.dual_writes} writes to {HOT_KEYS} keys"
    return Row(f"two writers, {name}: keys that differ afterwards", written, found.different, "keys", target=target)
