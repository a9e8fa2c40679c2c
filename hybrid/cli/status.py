"""`python -m hybrid status`."""

from __future__ import annotations

import argparse
import json
import threading
import time

from hybrid.agent import Agent
from hybrid.cli.terminal import Terminal, aligned, duration, size
from hybrid.observe.health import health_document
from hybrid.ops.overview import Overview, StoreFacts
from hybrid.types import Health, StoreState, StoreStatus

__all__ = ["EXIT_CODES", "run"]

EXIT_CODES = {Health.HEALTHY: 0, Health.DEGRADED: 1, Health.DOWN: 3}
SETTLE_S = 3.0
UNSETTLED = (StoreState.UNKNOWN, StoreState.CATCHING_UP)


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Print both stores; the exit code says how they are."""
    with Agent.open(options.env_file, options.folder) as agent:
        agent.start()
        overview = settled_overview(agent, stop)
    terminal = Terminal()
    if options.json:
        terminal.line(json.dumps(health_document(overview)[1], indent=2))
    else:
        for line in described(overview):
            terminal.line(line)
    return EXIT_CODES[overview.status.health]


def settled_overview(agent: Agent, stop: threading.Event) -> Overview:
    """The overview once each store is known to be up or down and was read, or after a few seconds as it is."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        overview = agent.observer.overview()
        facts = [store for store in (overview.local, overview.cloud) if store]
        if all(settled(store) for store in facts) or time.monotonic() > deadline or stop.wait(0.02):
            return overview


def settled(facts: StoreFacts) -> bool:
    if facts.status.state in UNSETTLED:
        return False
    return facts.observed_at_s is not None or facts.status.state is not StoreState.UP


def described(overview: Overview) -> list[str]:
    status = overview.status
    stores = [store for store in (overview.local, overview.cloud) if store]
    held = ", held until failback" if status.held else ""
    lines = [f"{status.health.value}: the {status.authority} store takes writes (epoch {status.epoch}{held})", ""]
    lines += aligned([HEAD, *(row(store) for store in stores)])
    lines += ["", *(f"{store.status.store}: {why(store.status)}" for store in stores if why(store.status))]
    if overview.cloud is None:
        lines.append("no cloud store is configured (UPSTASH_REDIS_URL): everything is on the local store alone")
    else:
        lines.append(waiting(overview))
    if overview.embedded:
        lines.append("embedded servers are used, because REDIS_URL is not set")
    return [line for number, line in enumerate(lines) if line or lines[number - 1 : number] != [""]]


HEAD = ("store", "state", "address", "software", "keys", "memory", "p50", "p99", "up for")


def row(facts: StoreFacts) -> tuple[str, ...]:
    status = facts.status
    return (
        status.store.value,
        status.state.value,
        status.address,
        facts.software or "unknown",
        "unknown" if facts.keys is None else str(facts.keys),
        size(facts.memory_bytes),
        milliseconds(facts.latency_p50_ms),
        milliseconds(facts.latency_p99_ms),
        duration(facts.uptime_s),
    )


def milliseconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} ms"


def why(status: StoreStatus) -> str:
    if status.state is StoreState.UP or not status.reason:
        return ""
    return f"{status.state} for {duration(max(time.time() - status.since_s, 0.0))}: {status.reason}"


def waiting(overview: Overview) -> str:
    status = overview.status
    if not overview.settings.replicated:
        return "writes go to the local store only (REDIS_WRITE_BOTH=false)"
    entries = "unknown" if status.lag_entries is None else f"{status.lag_entries} entries"
    conflicts = "unknown" if status.conflicts is None else str(status.conflicts)
    by_whom = ", nobody ships them" if status.is_unshipped else ""
    return f"to ship: {entries} ({duration(status.lag_s)} behind{by_whom}), conflicts: {conflicts}"
