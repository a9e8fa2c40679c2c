"""`python -m hybrid failover` and `failback`."""

from __future__ import annotations

import argparse
import json
import threading
from dataclasses import asdict

from hybrid.agent import Agent
from hybrid.cli.confirm import author, require_consent
from hybrid.cli.status import settled_overview
from hybrid.cli.terminal import Terminal
from hybrid.ops.failover import failback, failover, preview
from hybrid.types import Store

__all__ = ["run"]

EFFECTS = {
    "failover": "the cloud store takes the writes, and keeps them until `python -m hybrid failback`",
    "failback": "the local store takes the writes again, as soon as it has everything",
}
MOVES = {"failover": failover, "failback": failback}
GOALS = {"failover": Store.CLOUD, "failback": Store.LOCAL}


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Show what stands, ask, move. Exit code 1 when the authority is not yet where it was asked to be."""
    terminal = Terminal()
    with Agent.open(options.env_file, options.folder) as agent:
        agent.start()
        status = settled_overview(agent, stop).status
        if not options.json:
            terminal.line(f"now: {preview(status)}")
        require_consent(options.move, EFFECTS[options.move], yes=options.yes)
        moved = MOVES[options.move](agent.client, author=author())
    reached = moved.authority is GOALS[options.move]
    if options.json:
        terminal.line(json.dumps(asdict(moved)))
    elif reached:
        held = ", and keeps them until failback" if moved.held else ""
        terminal.line(
            f"the {moved.authority} store takes writes since epoch {moved.epoch}{held} ({moved.took_s * 1000:.0f} ms)"
        )
    else:
        terminal.line("the hold is lifted; the local store takes the writes as soon as it is up and has everything")
    return 0 if reached else 1
