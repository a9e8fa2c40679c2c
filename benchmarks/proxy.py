"""The proxy under redis-benchmark, beside the local store itself: requests a second, and errors."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

from benchmarks.effort import Effort
from benchmarks.rig import Rig
from benchmarks.table import Row

__all__ = ["proxy_rows"]

CLIENTS = 50
PIPELINES = (16, 1)
GETS_TARGET = 20_000
KEYS = 10_000
LONGEST_S = 90.0
PATIENCE_S = "2"
"""Everything here wants the same cores: a store that waits for one must not be taken for a dead one."""


def proxy_rows(effort: Effort) -> Iterator[Row]:
    """As in production: an agent ships, the proxy serves."""
    failures, runs = 0, max(effort.rounds // 10, 1)
    with Rig() as rig, ExitStack() as opened:
        rig.agent()
        ports = {ack: _serve(rig, ack, opened) for ack in ("local", "both")}
        requests = effort.calls * 200
        cases = [("GET", "local", depth, requests) for depth in PIPELINES]
        cases += [("SET", "local", depth, requests // 2) for depth in PIPELINES]
        # With both, every client waits for the link, pipelined or not.
        cases += [("SET", "both", depth, effort.calls * depth) for depth in PIPELINES]
        for command, ack, depth, count in cases:
            ours, failed = _best(ports[ack], command, depth, count, runs)
            theirs, _ = _best(rig.local.port, command, depth, count, runs)
            failures += failed
            how = f"pipelines of {depth}" if depth > 1 else "one at a time"
            name = f"{command}{f', ack={ack}' if command == 'SET' else ''}"
            target = GETS_TARGET if (command, depth) == ("GET", PIPELINES[0]) else None
            beside = f"the store itself {theirs:,.0f} / s"
            yield Row(
                f"proxy: {name}, {CLIENTS} clients, {how}", f"{count:,} × {runs}", ours, " / s", beside, target, True
            )
    yield Row("proxy: runs that ended with an error", "all of these", failures, "", target=0)


def _best(port: int, command: str, depth: int, count: int, runs: int) -> tuple[float, int]:
    """The best rate of some runs, because others use the machine too, and how many runs failed."""
    rates = [_rate(port, command, depth, count) for _ in range(runs)]
    return max(rate or 0.0 for rate in rates), sum(rate is None for rate in rates)


def _rate(port: int, command: str, depth: int, count: int) -> float | None:
    """Requests a second; None when redis-benchmark met an error, which ends it, or did not end."""
    tool = shutil.which("redis-benchmark")
    if tool is None:
        raise RuntimeError("redis-benchmark is not on PATH: install Debian's redis-tools")
    options = ["-p", port, "-c", CLIENTS, "-P", depth, "-n", count, "-r", KEYS, "-d", 100, "-t", command.lower(), "-q"]
    command_line = [tool, *map(str, options)]
    try:
        ran = subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        print(f"no end in {LONGEST_S:g} s: {' '.join(command_line)}", file=sys.stderr)
        return None
    found = re.search(rf"{command}: ([\d.]+) requests per second", ran.stdout)
    return float(found[1]) if found and not ran.returncode and "rror" not in ran.stdout + ran.stderr else None


def _serve(rig: Rig, ack: str, opened: ExitStack) -> int:
    """`python -m hybrid proxy`; the port that it serves."""
    patience = {"REDIS_LOCAL_TIMEOUT": PATIENCE_S, "REDIS_CLOUD_TIMEOUT": PATIENCE_S}
    settings = {"REDIS_URL": rig.local.url, "UPSTASH_REDIS_URL": rig.link.url, "REDIS_WRITE_ACK": ack, **patience}
    command = [sys.executable, "-m", "hybrid", "proxy", "--env-file", os.devnull, "--port", "0", "--json"]
    proxy = subprocess.Popen(command, env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True)
    opened.callback(proxy.wait)
    opened.callback(proxy.terminate)
    assert proxy.stdout is not None
    for line in proxy.stdout:
        document = json.loads(line)
        if document["event"] == "Listening":
            return int(urlsplit(document["url"]).port or 0)
    raise RuntimeError("the proxy did not begin to listen")
