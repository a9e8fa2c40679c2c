"""A full copy by the command line beside other tools' command lines, those that are on the PATH.

Found on PyPI, npm and in Debian in November 2026 and able to copy from one server to another: `redisimp`,
`redis-data-transfer`. Both want a redis-py of their own, so each goes into an environment of its own. None compares.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Final

import redis

from benchmarks.diff import fill_mixed
from benchmarks.effort import QUICK, Effort
from benchmarks.million import CommandLine
from benchmarks.rig import Rig
from benchmarks.sync import hybrid_keys_only
from benchmarks.table import Row

__all__ = ["peer_rows"]

COMMANDS: Final[dict[str, Callable[[str, str], list[str]]]] = {
    "redisimp": lambda source, target: ["redisimp", "-s", source, "-d", target],
    "redis-data-transfer": lambda source, target: ["redis-data-transfer", source, target],
}
"""From two addresses (`host:port`) to what copies everything."""

OURS: Final = "hybrid"
TIMEOUT_S: Final = 120.0


def peer_rows(effort: Effort) -> Iterator[Row]:
    """Each process from its start to its end, into an empty store. The others have stores of their own: keys of hybrid
    that stand on both would end them."""
    keys, rounds = (2_000, 1) if effort is QUICK else (100_000, 3)
    peers = {name: command for name, command in COMMANDS.items() if shutil.which(name)}
    if not peers:
        yield Row(f"other tools on the PATH, of {', '.join(COMMANDS)}", "none: nothing to compare with", 0, "")
        return
    with Rig() as rig, Rig() as bare, tempfile.TemporaryDirectory(prefix="hybrid-bench-") as folder:
        line = CommandLine(rig, folder)
        with line.client() as hybrid:
            hybrid.ping()
            hybrid.wait_in_sync(TIMEOUT_S)
        for stores in (rig, bare):
            fill_mixed(stores.plain(stores.local.url), keys)
        addresses = [f"127.0.0.1:{server.port}" for server in (bare.local, bare.cloud)]
        taken: dict[str, list[float]] = {name: [] for name in (OURS, *peers)}
        for _ in range(rounds):
            for name, took_s in taken.items():
                stores = rig if name == OURS else bare
                target = stores.plain(stores.cloud.url)
                hybrid_keys_only(target)
                began_s = time.perf_counter()
                if name == OURS:
                    line.run("sync", "--direction", "local-to-cloud")
                else:
                    ran(peers[name](*addresses))
                took_s.append(time.perf_counter() - began_s)
                check(target, keys, name)
        mine = median(taken.pop(OURS))
        for name, took_s in taken.items():
            beside = f"{name}: {keys / median(took_s):,.0f} keys/s"
            what = f"full copy of {keys:,} keys by the command line, process and all, beside {name}"
            yield Row(what, f"{keys / mine:,.0f} keys/s", median(took_s) / mine, "times", beside)


def ran(words: list[str]) -> None:
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=TIMEOUT_S, check=True)


def check(store: redis.Redis, keys: int, name: str) -> None:
    """What was copied; a copy without expiries is one all the same."""
    if (there := sum(1 for key in store.scan_iter(count=1000) if not key.startswith(b"hybrid:"))) != keys:
        raise RuntimeError(f"{name} copied {there:,} of {keys:,} keys")
