"""The longest call of four processes under mixed load, while a store is lost and returns, again and again."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import redis

from benchmarks.effort import Effort
from benchmarks.rig import SYNC_S, Rig
from benchmarks.stalls import LIMIT_MS
from benchmarks.table import Row
from hybrid.core.names import Names
from hybrid.ops.compare import compare
from hybrid.stores.control import environment
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

__all__ = ["crowd_rows"]

PROCESSES = 4
FAULTS: tuple[tuple[str, Callable[[ServerProcess], object], Callable[[ServerProcess], object]], ...] = (
    ("kill -9", ServerProcess.kill, ServerProcess.start),
    ("SIGSTOP", ServerProcess.pause, ServerProcess.resume),
)
NAMES = Names()
FEW_ENTRIES = 100
"""More than are on their way at any moment."""

Call = tuple[float, float, str, str]
"""See `benchmarks.application.Load`."""
Moment = tuple[float, str]
"""From when on (monotonic clock) calls count for which row."""


def crowd_rows(effort: Effort) -> Iterator[Row]:
    with Rig() as rig:
        stores = {store: rig.plain(server.url) for store, server in rig.servers.items()}
        with _applications(rig) as applications:
            time.sleep(effort.loss_s)
            moments = [moment for _ in range(effort.losses) for moment in _losses(rig, stores, effort)]
            calls = _stopped(applications)
        rig.hybrid().close()  # has found the stores in sync
        found = compare(*stores.values())
    for what, longest_s in _longest(moments, calls).items():
        yield _row(what, [took_s * 1000 for took_s in longest_s])
    failed = [error for *_, error in calls if error]
    yield Row("calls that failed", f"of {len(calls):,}", len(failed), "", target=0)
    yield Row("keys that differ afterwards", f"of {found.local_keys:,}", found.different, "keys", target=0)


def _row(what: str, longest_ms: Sequence[float]) -> Row:
    measured = f"{len(longest_ms)} times, median {statistics.median(longest_ms):,.0f} ms"
    return Row(f"longest call: {what}", measured, max(longest_ms), "ms", target=LIMIT_MS)


def _longest(moments: Sequence[Moment], calls: Sequence[Call]) -> dict[str, list[float]]:
    """The longest call that ended in each span, in seconds."""
    starts_s = [start_s for start_s, _ in moments]
    longest_s = [0.0] * len(moments)
    for began_s, took_s, *_ in calls:
        if (span := bisect_right(starts_s, began_s + took_s) - 1) >= 0:
            longest_s[span] = max(longest_s[span], took_s)
    found: dict[str, list[float]] = defaultdict(list)
    for (_, what), took_s in zip(moments, longest_s, strict=True):
        found[what].append(took_s)
    return found


def _losses(rig: Rig, stores: Mapping[Store, redis.Redis], effort: Effort) -> Iterator[Moment]:
    """Each fault of each store once, and when it began and ended."""
    for fault, cause, end in FAULTS:
        for store in Store:
            yield time.monotonic(), f"{fault} of the {store} store"
            cause(rig.servers[store])
            time.sleep(effort.loss_s)
            yield time.monotonic(), f"return of the {store} store after {fault}"
            end(rig.servers[store])
            _wait_well(stores)
            time.sleep(effort.loss_s)


def _wait_well(stores: Mapping[Store, redis.Redis]) -> None:
    """Until the local store has the authority, and the cloud store all but what is on its way."""
    until_s = time.monotonic() + SYNC_S
    while time.monotonic() < until_s:
        record, other = (store.get(NAMES.authority) for store in stores.values())
        if record == other and record.startswith(b"local") and stores[Store.LOCAL].xlen(NAMES.log) < FEW_ENTRIES:
            return
        time.sleep(0.02)
    raise RuntimeError("the stores did not come together again")


@contextmanager
def _applications(rig: Rig) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that work already."""
    with ExitStack() as opened:
        applications = [_application(rig, number) for number in range(PROCESSES)]
        for application in applications:
            opened.enter_context(application)
            opened.callback(application.kill)
        for application in applications:
            assert application.stdout is not None
            if application.stdout.readline() != "ready\n":
                raise RuntimeError("an application did not start")
        yield applications


def _application(rig: Rig, number: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.application", rig.local.url, rig.link.url, str(number)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment(), text=True)


def _stopped(applications: Sequence[subprocess.Popen[str]]) -> list[Call]:
    """Every call they made. The load ends before the first client closes: closing has a wait of its own."""
    for application in applications:
        assert application.stdin is not None
        application.stdin.write("stop\n")
        application.stdin.flush()
    calls: list[Call] = []
    for application in applications:
        assert application.stdout is not None
        calls += map(tuple, json.loads(application.stdout.readline()))
    return calls
