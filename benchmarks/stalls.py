"""How long an application waits when a store is lost in the middle of its traffic."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from redis import RedisError

from benchmarks.effort import Effort
from benchmarks.multidb import multidb_client
from benchmarks.rig import Rig
from benchmarks.table import Row
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

__all__ = ["stall_rows"]

BEFORE_CALLS, BEFORE_S = 20, 30.0
AFTER_S = 0.5
LIMIT_MS = 250
FAULTS: tuple[tuple[str, Callable[[ServerProcess], None]], ...] = (
    ("kill -9", ServerProcess.kill),
    ("SIGSTOP", ServerProcess.pause),
)


@dataclass(frozen=True, slots=True)
class Stall:
    """How one loss went; without `recovered` the measurement was cut off at `longest_s`."""

    longest_s: float
    failed: int
    error: str
    recovered: bool


@dataclass(slots=True)
class Traffic:
    """SET and GET in turn, from one thread. A stall is the longest time between two calls that succeed."""

    client: Any
    succeeded: int = 0
    failed: int = 0
    error: str = ""
    longest_s: float = 0.0
    last_s: float = 0.0
    stopping: bool = False

    def run(self) -> None:
        self.last_s = time.perf_counter()
        for number in itertools.count():
            if self.stopping:
                return
            try:
                self.client.set("bench:stall", number) if number % 2 else self.client.get("bench:stall")
            except (RedisError, OSError) as error:
                self.failed += 1
                self.error = type(error).__name__
                time.sleep(0.001)  # as an application that tries again
                continue
            now_s = time.perf_counter()
            self.longest_s = max(self.longest_s, now_s - self.last_s)
            self.last_s = now_s
            self.succeeded += 1


def stall_rows(effort: Effort) -> Iterator[Row]:
    failed = 0
    for fault, cause in FAULTS:
        for store in Store:
            stall = _stall(lambda rig: rig.hybrid(), store, cause, effort)
            failed += stall.failed
            yield _row(f"HybridRedis, {fault} of the {store} store", stall, LIMIT_MS)
        stall = _stall(multidb_client, Store.LOCAL, cause, effort)
        yield _row(f"MultiDBClient, {fault} of the active database", stall)
    yield Row("calls that failed: HybridRedis, all of these", "", failed, "", target=0)


def _row(what: str, stall: Stall, target_ms: float | None = None) -> Row:
    failures = f"{stall.failed:,} failed with {stall.error}" if stall.failed else "no call failed"
    return Row(
        f"longest stall: {what}", failures, stall.longest_s * 1000, "ms", target=target_ms, beyond=not stall.recovered
    )


def _stall(
    connect: Callable[[Rig], Any], store: Store, cause: Callable[[ServerProcess], None], effort: Effort
) -> Stall:
    with Rig() as rig:
        traffic = Traffic(connect(rig))
        # A daemon: a client without a timeout may never come back.
        thread = threading.Thread(target=traffic.run, daemon=True)
        thread.start()
        if not _wait(lambda: traffic.succeeded >= BEFORE_CALLS, BEFORE_S):
            raise RuntimeError(f"no traffic before the fault: {traffic.failed} calls failed ({traffic.error})")
        traffic.longest_s = 0.0
        cause(rig.servers[store])
        lost_s = time.perf_counter()
        recovered = _wait(lambda: traffic.last_s > lost_s + AFTER_S, effort.stall_limit_s)
        longest_s = max(traffic.longest_s, 0.0 if recovered else time.perf_counter() - traffic.last_s)
        stall = Stall(longest_s, traffic.failed, traffic.error, recovered)
        traffic.stopping = True
        rig.kill()  # before closing: a client waits for a paused server, but not for one that is gone
        thread.join(1.0)
        traffic.client.close()
    return stall


def _wait(condition: Callable[[], bool], limit_s: float) -> bool:
    until_s = time.perf_counter() + limit_s
    while not (met := condition()) and time.perf_counter() < until_s:
        time.sleep(0.01)
    return met
