"""The demo application as a child process on the same stores, behind the panel's button."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import fields
from enum import StrEnum
from typing import IO, Any, Protocol

from hybrid.settings import Settings
from hybrid.stores.control import environment

__all__ = ["CLOUD_COMMANDS_PER_S", "DemoProcess", "settings_environment"]

RATE = 50.0
CLOUD_COMMANDS_PER_S = 250
"""About what its writes cost at this rate."""

STOP_TIMEOUT_S = 10.0


class Client(Protocol):
    @property
    def settings(self) -> Settings: ...


class Attached(Protocol):
    """The part of an `Agent` that the demo needs: where the stores are."""

    @property
    def client(self) -> Client: ...


def settings_environment(settings: Settings) -> dict[str, str]:
    """The environment variables that make another process use the same settings."""
    values = {f.metadata["variable"]: getattr(settings, f.name) for f in fields(settings)}
    return {variable: variable_text(value) for variable, value in values.items()}


def variable_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case tuple():
            return ",".join(value)
        case StrEnum():
            return value.value
        case _:
            return str(value)


class DemoProcess:
    """At most one `python -m hybrid demo` at a time. It ends with this process, however that ends.

    `last_line` is its latest line: how it goes, or why it stopped.
    """

    def __init__(self) -> None:
        self.last_line = ""
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    @property
    def running(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    def start(self, agent: Attached, *, rate: float = RATE) -> None:
        """Start the demo on the agent's stores, unless it runs. Raises OSError when no process can be started."""
        with self._lock:
            if self.running:
                return
            self.last_line = ""
            self._process = subprocess.Popen(
                # No .env and no command line argument: the settings, with their secrets, travel in the environment.
                [sys.executable, "-m", "hybrid", "demo", "--env-file", os.devnull, f"--rate={rate}", "--while-stdin"],
                env={**environment(), **settings_environment(agent.client.settings), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C in the terminal is for the panel, which then stops this one
            )
            assert self._process.stdout is not None
            threading.Thread(
                target=self._listen, args=(self._process.stdout,), name="hybrid-demo-output", daemon=True
            ).start()

    def stop(self) -> None:
        """End the demo and wait for it. Does nothing when it does not run."""
        with self._lock:
            process, self._process = self._process, None
            if process is None:
                return
            assert process.stdin is not None
            process.stdin.close()  # the demo ends when nobody holds its input any more
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _listen(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self.last_line = line.rstrip()
