"""`python -m hybrid demo`."""

from __future__ import annotations

import argparse
import sys
import threading

from hybrid.agent import Agent
from hybrid.cli.terminal import Terminal
from hybrid.demo import Demo

__all__ = ["run"]


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Run the shop until Ctrl-C, or for so many seconds. Outages are shown, and do not end it."""
    if options.while_stdin:
        threading.Thread(target=stop_at_end_of_input, args=(stop,), name="hybrid-demo-input", daemon=True).start()
    terminal = Terminal()
    with Agent.open(options.env_file, options.folder) as agent:
        terminal.line(f"demo shop at {options.rate:g} actions/s on {stores_in_use(agent)}; Ctrl-C ends it")
        demo = Demo(agent.client, rate=options.rate, seed=options.seed)
        try:
            progress = demo.run(options.seconds, stop=stop, on_progress=lambda progress: terminal.update(progress.line))
        finally:
            demo.close()
        terminal.line(progress.line)
    return 0


def stores_in_use(agent: Agent) -> str:
    if agent.embedded:
        return "embedded servers"
    status = agent.client.status()
    cloud = f" and {status.cloud.address}" if status.cloud else ", without a cloud store"
    return f"{status.local.address}{cloud}"


def stop_at_end_of_input(stop: threading.Event) -> None:
    """The panel's demo must not outlive the panel, however that ends: its end closes our input."""
    sys.stdin.read()
    stop.set()
