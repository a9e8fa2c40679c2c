"""Two stores of a million mixed keys: a full copy, planted differences found (also under writes), made equal, undone.

What compares and repairs is the command line, each time in a process of its own whose memory is measured.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.diff import fill_mixed
from benchmarks.effort import QUICK, Effort
from benchmarks.planted import Planted, plant, states
from benchmarks.rig import Rig
from benchmarks.table import Row
from hybrid import HybridRedis

__all__ = ["million_rows"]

WRITES_S: Final = 1000
TOGETHER: Final = 20
STRIDE: Final = 7919
MEMORY_MIB: Final = 300.0
SETTLE_S: Final = 60.0
PATIENT: Final = {"REDIS_LOCAL_TIMEOUT": "3", "REDIS_CLOUD_TIMEOUT": "3", "REDIS_SYNC_ENABLED": "false"}


def million_rows(effort: Effort) -> Iterator[Row]:
    keys, wanted = (4_000, 200) if effort is QUICK else (1_000_000, 1_000)
    with Rig() as rig, tempfile.TemporaryDirectory(prefix="hybrid-bench-") as folder:
        line = CommandLine(rig, folder)
        local, cloud = stores = rig.plain(rig.local.url), rig.plain(rig.cloud.url)
        with line.client() as hybrid:
            hybrid.ping()
            hybrid.wait_in_sync(SETTLE_S)
        fill_mixed(local, keys)
        filled = line.run("sync", "--direction", "local-to-cloud")
        yield filled.row(f"full copy of {keys:,} keys", keys)
        planted = plant(local, cloud, keys, wanted)
        before = states(stores, planted)
        yield from diff_rows(line, planted, keys, "")
        with line.client() as hybrid, writing(hybrid, keys, planted):
            yield from diff_rows(line, planted, keys, f", {WRITES_S:,} writes/s meanwhile")
            hybrid.wait_in_sync(SETTLE_S)
        synced = line.run("sync", "--direction", "local-to-cloud", "--delete-extras", "--yes")
        yield synced.row(f"sync of {wanted:,} differences, compared first", keys)
        yield count("differences left by the sync", len(line.run("diff", "--json").differences))
        undone = line.run("sync", "undo")
        yield undone.row(f"undo of {wanted:,} changes", wanted)
        after = states(stores, planted)
        changed = sum(now != then for now, then in zip(after, before, strict=True))
        yield count("keys that the undo left otherwise than before", changed)
        yield Row("client memory, the most of all of these", "", line.most_mib, " MiB", target=MEMORY_MIB)


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of the command line."""

    output: str
    took_s: float
    peak_mib: float

    @property
    def differences(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.output)["differences"]
        return found

    def row(self, what: str, keys: int) -> Row:
        rate = f"{keys / self.took_s:,.0f} keys/s, {self.peak_mib:.0f} MiB"
        return Row(what, rate, self.took_s, " s")


class CommandLine:
    """`python -m hybrid` over the stores of `rig`."""

    def __init__(self, rig: Rig, folder: str) -> None:
        self._urls = {"REDIS_URL": rig.local.url, "UPSTASH_REDIS_URL": rig.cloud.url}
        self._folder = folder
        self.most_mib = 0.0

    def client(self) -> HybridRedis:
        return HybridRedis.from_urls(*self._urls.values(), sync_enabled=False, local_timeout_s=3.0, cloud_timeout_s=3.0)

    def run(self, command: str, *arguments: str) -> Ran:
        """Raises RuntimeError when the command could not do its work."""
        words = [sys.executable, "-m", "hybrid", command, "--env-file", os.devnull, "--folder", self._folder]
        began_s = time.perf_counter()
        with subprocess.Popen(
            [*words, *arguments], env={**os.environ, **self._urls, **PATIENT}, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1):
            raise RuntimeError(f"{command} ended with {process.returncode}: {output}")
        ran = Ran(output, time.perf_counter() - began_s, usage.ru_maxrss / 1024)
        self.most_mib = max(self.most_mib, ran.peak_mib)
        return ran


def diff_rows(line: CommandLine, planted: Planted, keys: int, how: str) -> Iterator[Row]:
    ran = line.run("diff", "--json")
    found = {row["key"].encode(): row["cause"] for row in ran.differences}
    yield ran.row(f"diff of {keys:,} keys{how}", keys)
    missed = sum(found.get(key) != cause for key, cause in planted.items())
    yield count(f"planted differences missed, of {len(planted):,}{how}", missed)
    yield count(f"differences invented{how}", len(found.keys() - planted.keys()))


def count(what: str, result: int) -> Row:
    return Row(what, "", result, "", target=0)


@contextmanager
def writing(hybrid: HybridRedis, keys: int, planted: Planted) -> Iterator[None]:
    """An application that changes a thousand keys a second, none of the planted ones."""
    ending = threading.Event()
    writer = threading.Thread(target=write, args=(hybrid, keys, planted, ending))
    writer.start()
    try:
        yield
    finally:
        ending.set()
        writer.join()


def write(hybrid: HybridRedis, keys: int, planted: Planted, ending: threading.Event) -> None:
    others = (number for n in itertools.count() if b"key:%d" % (number := n * STRIDE % keys) not in planted)
    for turn in itertools.count():
        pipeline = hybrid.pipeline(transaction=False)
        for number in itertools.islice(others, TOGETHER):
            change(pipeline, number, turn)
        pipeline.execute()
        if ending.wait(TOGETHER / WRITES_S):
            return


def change(pipeline: Any, number: int, turn: int) -> None:
    key, kind = f"key:{number}", number % 20
    if kind < 10:
        pipeline.append(key, "+")
    elif kind < 13:
        pipeline.hset(key, "field-0", turn)
    elif kind < 15:
        pipeline.lset(key, 0, turn)
    elif kind < 17:
        pipeline.sadd(key, turn)
    elif kind < 19:
        pipeline.zincrby(key, 1, "part")
    else:
        pipeline.xadd(key, {"turn": turn}, maxlen=5)
