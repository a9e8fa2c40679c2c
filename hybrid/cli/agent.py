"""`python -m hybrid agent`."""

from __future__ import annotations

import argparse
import json
import logging
import threading
import time
from dataclasses import asdict
from typing import Any

from hybrid.agent import Agent
from hybrid.cli.terminal import Terminal
from hybrid.events import Event
from hybrid.observe.endpoint import HttpEndpoint, listen_address
from hybrid.observe.routes import agent_routes

__all__ = ["event_document", "run"]

CLOUD_INTERVAL_S = 300.0
"""Nobody watches an agent's charts: reading the cloud store's facts every five minutes is 288 commands a day."""

FIRST_LOOK_S = 5.0


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Ship and watch until a signal comes. Events go to the log, or as JSON lines to standard output."""
    address = listen_address(options.listen) if options.listen else None
    if options.json and not options.verbose:
        logging.getLogger("hybrid").setLevel(logging.CRITICAL)  # the events are on standard output already
    agent = Agent.open(options.env_file, options.folder, standing=True, cloud_interval_s=CLOUD_INTERVAL_S)
    with agent:
        if options.json:
            terminal = Terminal()
            agent.client.events.add_hook(lambda event: terminal.line(json.dumps(event_document(event))))
        if address is None:
            agent.start()
            stop.wait()
        else:
            serve(agent, address, stop)
    return 0


def serve(agent: Agent, address: tuple[str, int], stop: threading.Event) -> None:
    """The address is taken before anything else begins, so that a wrong one is an error at once. Listening begins with
    the first look at the stores: until then, another agent at the same address answers every probe."""
    endpoint = HttpEndpoint(address, agent_routes(agent))
    try:
        agent.start()
        until_s = time.monotonic() + FIRST_LOOK_S
        while not agent.observer.ready and time.monotonic() < until_s and not stop.wait(0.02):
            pass
        endpoint.start()
        logging.getLogger("hybrid.agent").info("health: %s/api/health", endpoint.url)
        stop.wait()
    finally:
        endpoint.close()


def event_document(event: Event) -> dict[str, Any]:
    """An event as JSON: its name, level and message, and its own fields."""
    level = logging.getLevelName(event.level).lower()
    return {"event": type(event).__name__, "level": level, "message": event.message, **asdict(event)}
