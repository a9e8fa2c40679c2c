"""The command line."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

from benchmarks.aio import aio_rows
from benchmarks.crowd import crowd_rows
from benchmarks.diff import diff_rows
from benchmarks.dual import dual_rows
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.failover import failover_rows
from benchmarks.keys import keys_rows
from benchmarks.latency import latency_rows
from benchmarks.metrics import metrics_rows
from benchmarks.million import million_rows
from benchmarks.outage import lasting_rows, volume_rows
from benchmarks.panel import panel_rows
from benchmarks.peers import peer_rows
from benchmarks.probes import probe_rows
from benchmarks.proxy import proxy_rows
from benchmarks.rig import LINK_S
from benchmarks.stalls import stall_rows
from benchmarks.sync import copy_rows, hold_rows
from benchmarks.table import Row, as_json, markdown, plain
from benchmarks.throughput import throughput_rows
from hybrid.stores.processes import find_server

__all__ = ["main"]

PARTS: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "latency": latency_rows,
    "throughput": throughput_rows,
    "stalls": stall_rows,
    "dual": dual_rows,
}
FAILOVER: dict[str, Callable[[Effort], Iterator[Row]]] = {"stalls": stall_rows, "failover": failover_rows}
OUTAGE: dict[str, Callable[[Effort], Iterator[Row]]] = {"lasting": lasting_rows, "volume": volume_rows}
SYNC: dict[str, Callable[[Effort], Iterator[Row]]] = {"copy": copy_rows, "peers": peer_rows, "holds": hold_rows}
AIO: dict[str, Callable[[Effort], Iterator[Row]]] = {"aio": aio_rows}
DIFF: dict[str, Callable[[Effort], Iterator[Row]]] = {"diff": diff_rows}
WATCHING: dict[str, Callable[[Effort], Iterator[Row]]] = {"metrics": metrics_rows}
CROWD: dict[str, Callable[[Effort], Iterator[Row]]] = {"crowd": crowd_rows}
KEYS: dict[str, Callable[[Effort], Iterator[Row]]] = {"keys": keys_rows}
MILLION: dict[str, Callable[[Effort], Iterator[Row]]] = {"million": million_rows}
PANEL: dict[str, Callable[[Effort], Iterator[Row]]] = {"panel": panel_rows, "probes": probe_rows}
PROXY: dict[str, Callable[[Effort], Iterator[Row]]] = {"proxy": proxy_rows}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for and print one table; the exit code says only whether it ran."""
    options = _parser().parse_args(arguments)
    logging.getLogger("hybrid").addHandler(logging.NullHandler())  # faults are made here on purpose
    effort = QUICK if options.quick else FULL
    try:
        rows = [row for part in options.only or options.parts for row in _announced(options.parts[part](effort))]
    except KeyboardInterrupt:
        return 130
    print(options.render(rows, _facts()))
    return 0


def _announced(rows: Iterator[Row]) -> Iterator[Row]:
    """The same rows; each is said on standard error as it comes, because the whole takes minutes."""
    for row in rows:
        print(f"{row.what}: {row.cells[3]} ({row.verdict})", file=sys.stderr, flush=True)
        yield row


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    for name, parts, text in (
        ("client", PARTS, "the client beside redis-py, MultiDBClient and a dual write"),
        ("failover", FAILOVER, "what losing a store costs, beside MultiDBClient"),
        ("outage", OUTAGE, "ten minutes without the cloud store under steady writes, and the writes of an hour"),
        ("crowd", CROWD, "how long four busy processes wait when a store is lost, and when it returns"),
        ("aio", AIO, "the asyncio client beside redis.asyncio, and a thousand tasks over the link"),
        ("proxy", PROXY, "the proxy under redis-benchmark, beside the store itself"),
        ("metrics", WATCHING, "what recording metrics and answering probes costs"),
        ("diff", DIFF, "the diff beside pipelined reads of both stores in plain redis-py"),
        ("keys", KEYS, "pages, filters and badges of the key browser at a million keys on each side"),
        (
            "panel",
            PANEL,
            "the panel in Chromium at a million keys on each side: pages, filters, big values, memory, probes",
        ),
        ("sync", SYNC, "a full copy beside pipelined DUMP and RESTORE in plain redis-py; how long it holds a server"),
        ("million", MILLION, "a million keys on each side: differences found, made equal, undone; memory"),
    ):
        benchmark = benchmarks.add_parser(name, help=text)
        benchmark.add_argument("--quick", action="store_true", help="tiny counts: shows that it runs, measures nothing")
        benchmark.add_argument("--only", choices=parts, action="append", help="this part alone; may be repeated")
        form = benchmark.add_mutually_exclusive_group()
        form.add_argument("--markdown", dest="render", action="store_const", const=markdown, help="a Markdown table")
        form.add_argument("--json", dest="render", action="store_const", const=as_json, help="for a machine to read")
        benchmark.set_defaults(render=plain, parts=parts)
    return parser


def _facts() -> list[str]:
    packages = ", ".join(f"{name} {version(name)}" for name in ("redis", "hiredis"))
    server = find_server()
    python = f"Python {platform.python_version()}"
    return [
        time.strftime("%Y-%m-%d %H:%M %Z"),
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {python}, {packages}",
        f"two servers from {server.source} ({server.path.name}), append-only file; link {LINK_S * 1000:.0f} ms",
    ]
