"""A link in a process of its own: what steers it, and what that process runs (`python -m hybrid.stores.link`)."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from hybrid.errors import EmbeddedServerError
from hybrid.stores.control import ControlClient, ControlServer, environment
from hybrid.stores.ports import LOOPBACK
from hybrid.stores.proxy import Proxy
from hybrid.stores.records import write_record
from hybrid.stores.steering import Steering, answer_for_link

__all__ = ["RemoteLink", "main"]


class RemoteLink(Steering):
    """A link in another process: `spawn` starts one, `connect` finds a running one by its control file."""

    def __init__(self, control: ControlClient, port: int, process: subprocess.Popen[bytes] | None = None) -> None:
        self._control = control
        self.port = port
        self._process = process

    @classmethod
    def connect(cls, control: Path) -> RemoteLink:
        """Steer the link process that wrote this control file. Raises EmbeddedServerError when it is not running."""
        try:
            known = json.loads(control.read_text())
            return cls(ControlClient(known["port"], known["token"]), known["link_port"])
        except (OSError, ValueError, KeyError) as error:
            raise EmbeddedServerError(f"no link process answers at {control}: {error}") from error

    @classmethod
    def spawn(
        cls, target_host: str, target_port: int, control: Path, *, port: int = 0, round_trip_s: float = 0.06
    ) -> RemoteLink:
        """Start a link process that ends with this one, or at `close`. Raises EmbeddedServerError."""
        command = [
            sys.executable,
            "-m",
            "hybrid.stores.link",
            f"--target={target_host}:{target_port}",
            f"--port={port}",
        ]
        command += [f"--round-trip={round_trip_s}", f"--control={control}", "--while-stdin"]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment(), start_new_session=True
        )
        assert process.stdout is not None
        problem = process.stdout.readline().decode().strip()  # "ready", or what is wrong
        if problem == "ready":
            link = cls.connect(control)
            link._process = process
            return link
        process.wait()
        raise EmbeddedServerError(problem or "the link process did not start; its output says why")

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}"

    def _ask(self, do: str, **arguments: Any) -> Any:
        return self._control.ask(do, **arguments)

    def close(self) -> None:
        """Stop steering; a link that this object spawned ends too."""
        self._control.close()
        if self._process is not None and self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.close()
            self._process.stdout.close()
            self._process.wait()

    def __enter__(self) -> RemoteLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _run(options: argparse.Namespace) -> None:
    host, _, port = options.target.rpartition(":")
    proxy = Proxy(host, int(port), port=options.port, round_trip_s=options.round_trip)
    control = ControlServer(lambda caller, do, arguments: answer_for_link(proxy, do, arguments))
    await proxy.start()
    write_record(options.control, await control.start() | {"link_port": proxy.port, "pid": os.getpid()})
    print("ready", flush=True)  # noqa: T201
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if options.while_stdin:
        loop.add_reader(sys.stdin.fileno(), stopped.set)  # its end: whoever started us is gone
    await stopped.wait()
    control.close()
    await proxy.close()
    options.control.unlink(missing_ok=True)


def main() -> None:
    """`python -m hybrid.stores.link`."""
    parser = argparse.ArgumentParser(
        prog="python -m hybrid.stores.link", description="A delayed TCP link to one store."
    )
    parser.add_argument("--target", required=True, help="host:port of the store")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument(
        "--round-trip", type=float, default=0.06, help="delay in seconds, half each way (default: 0.06)"
    )
    parser.add_argument("--control", type=Path, required=True, help="file to write for those who steer the link")
    parser.add_argument("--while-stdin", action="store_true", help="end when standard input ends")
    try:
        asyncio.run(_run(parser.parse_args()))
    except (EmbeddedServerError, OSError) as error:
        print(error, flush=True)  # noqa: T201
        sys.exit(1)
