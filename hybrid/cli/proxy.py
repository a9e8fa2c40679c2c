"""`python -m hybrid proxy`."""

from __future__ import annotations

import argparse
import json
import os
import resource
import threading

from hybrid.agent import Agent
from hybrid.cli.agent import event_document
from hybrid.cli.terminal import Terminal
from hybrid.errors import ConfigurationError
from hybrid.proxy import MAX_CLIENTS, ProxyServer

__all__ = ["run"]


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Serve until a signal comes. Events go to standard error in words, or as JSON lines to standard output."""
    terminal = Terminal()
    allow_open_files()
    agent = Agent.open(options.env_file, options.folder)
    try:
        if options.json:
            agent.client.events.add_hook(lambda event: terminal.line(json.dumps(event_document(event))))
        with ProxyServer(agent.client, options.host, options.port, password=password(options.password_env)) as server:
            server.start()
            listening = {"event": "Listening", "level": "info", "message": f"listening on {server.url}"}
            terminal.line(json.dumps({**listening, "url": server.url}) if options.json else server.url)
            stop.wait()
    finally:
        agent.close()
    return 0


def allow_open_files() -> None:
    """As many clients as the system lets this process have: its usual limit is a thousand files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * MAX_CLIENTS
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def password(variable: str | None) -> str | None:
    """The password that the environment holds, so that it stands on no command line. Raises ConfigurationError."""
    if variable is None:
        return None
    value = os.environ.get(variable)
    if not value:
        raise ConfigurationError(f"--password-env names {variable}, and the environment has no such variable, or empty")
    return value
