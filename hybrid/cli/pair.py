"""`python -m hybrid pair`."""

from __future__ import annotations

import argparse
import json
import threading
from dataclasses import asdict

from hybrid.agent import Agent
from hybrid.cli.confirm import author, require_consent
from hybrid.cli.status import settled_overview
from hybrid.cli.terminal import Terminal, aligned
from hybrid.ops.pair import Origin, Preview, pair, preview
from hybrid.types import Store

__all__ = ["described", "run"]


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Compare, show, ask, pair. Exit code 1 when the stores are not one pair at the end."""
    terminal = Terminal()

    def report(text: str, done: int, total: int | None) -> None:
        if not options.json:
            terminal.update(text if total is None else f"{text}: {done} of {total} keys", plain=False)

    with Agent.open(options.env_file, options.folder) as agent:
        agent.start()
        settled_overview(agent, stop)
        found = preview(agent.client, report)
        if not options.json:
            for line in described(found):
                terminal.line(line)
        if options.origin is None or found.paired:
            if options.json:
                terminal.line(json.dumps(asdict(found)))
            return 0 if found.paired else 1
        origin, prefer = Origin(options.origin), Store(options.prefer)
        require_consent(f"pair from {origin}", found.effect(origin, prefer), yes=options.yes)
        done = pair(agent.client, origin, author=author(), prefer=prefer, report=report)
    if options.json:
        terminal.line(json.dumps(asdict(done)))
    elif done.in_sync:
        terminal.line(f"one pair, in sync after {done.took_s:.1f} s")
    else:
        terminal.line("one pair, still copying: it goes on while any application or agent runs")
    return 0 if done.in_sync else 1


def described(found: Preview) -> list[str]:
    rows = [
        ("equal", str(found.equal)),
        ("different", str(found.different)),
        ("only on the local store", str(found.only_local)),
        ("only on the cloud store", str(found.only_cloud)),
    ]
    lines = [*aligned(rows), ""]
    if found.paired:
        return [*lines, "the stores are one pair already: there is nothing to do here"]
    ways = [(f"pair --from {origin}", found.effect(origin)) for origin in Origin]
    return [*lines, "the stores were never paired; what can be done:", *aligned(ways)]
