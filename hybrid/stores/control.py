"""Steering a link that lives in another process: one JSON object per line over a loopback connection.

A control file (readable by its owner only) says where to connect and holds the token that must come first: loopback is
open to every user of a machine. `RemoteLink` has the methods of `hybrid.stores.link.Link`.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hybrid.errors import EmbeddedServerError
from hybrid.stores.ports import LOOPBACK
from hybrid.stores.proxy import Faults, LinkState, Proxy
from hybrid.stores.records import write_record

__all__ = ["ControlClient", "ControlServer", "RemoteLink", "answer_for_link", "environment"]

_TIMEOUT_S = 30.0


class ControlServer:
    """Answers control connections on the running event loop.

    `answer(caller, do, arguments)` returns what is sent back as JSON; an EmbeddedServerError goes back as its message,
    and a ConnectionError hangs up. `gone(caller)` is called when a connection ends, for whatever reason.
    """

    def __init__(
        self,
        answer: Callable[[int, str, dict[str, Any]], Awaitable[Any]],
        gone: Callable[[int], None] = lambda caller: None,
    ) -> None:
        self._answer = answer
        self._gone = gone
        self._token = secrets.token_hex(16)
        self._callers = itertools.count(1)
        self._server: asyncio.Server

    async def start(self) -> dict[str, Any]:
        """Listen; returns what a ControlClient needs."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return {"port": self._server.sockets[0].getsockname()[1], "token": self._token}

    def close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = next(self._callers)
        try:
            token = await asyncio.wait_for(reader.readline(), _TIMEOUT_S)
            if not hmac.compare_digest(token.strip(), self._token.encode()):
                return
            while line := await reader.readline():
                writer.write(await self._reply(caller, line) + b"\n")
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            pass  # the other side is gone, or is not one of ours
        finally:
            writer.close()
            self._gone(caller)

    async def _reply(self, caller: int, line: bytes) -> bytes:
        request = json.loads(line)
        try:
            return json.dumps({"ok": await self._answer(caller, request.pop("do"), request)}).encode()
        except (EmbeddedServerError, TypeError) as error:
            return json.dumps({"error": str(error)}).encode()


class ControlClient:
    """One control connection; thread-safe. A forked child gets a connection of its own at its first use.

    Raises ConnectionError when nobody answers, EmbeddedServerError when the answer is an error.
    """

    def __init__(self, port: int, token: str) -> None:
        self._address, self._token = (LOOPBACK, port), token
        self._lock = threading.Lock()
        self._connect()

    def __repr__(self) -> str:
        return f"<ControlClient port={self._address[1]}>"

    def ask(self, do: str, **arguments: Any) -> Any:
        if os.getpid() != self._pid:
            self._lock = threading.Lock()  # the parent's may have been held at the fork
            self._connect()
        with self._lock:
            try:
                self._socket.sendall(json.dumps({"do": do} | arguments).encode() + b"\n")
                line = self._reader.readline()
            except OSError as error:
                raise ConnectionError(f"the control connection failed: {error}") from error
        if not line:
            raise ConnectionError("the control connection was closed")
        answer = json.loads(line)
        if "error" in answer:
            raise EmbeddedServerError(answer["error"])
        return answer["ok"]

    def close(self) -> None:
        self._reader.close()
        self._socket.close()

    def _connect(self) -> None:
        self._pid = os.getpid()
        self._socket = socket.create_connection(self._address, _TIMEOUT_S)
        self._reader = self._socket.makefile("rb")
        self._socket.sendall(self._token.encode() + b"\n")


class RemoteLink:
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

    @property
    def state(self) -> LinkState:
        answer = self._control.ask("state")
        return LinkState(**(answer | {"faults": Faults(**answer["faults"])}))

    def apply(
        self,
        *,
        round_trip_s: float | None = None,
        refuse: bool | None = None,
        hang: bool | None = None,
        cut: bool = False,
        lose_reply: int | None = None,
        slow: int | None = None,
        for_s: float | None = None,
    ) -> None:
        """As `Link.apply`."""
        changes = {"round_trip_s": round_trip_s, "refuse": refuse, "hang": hang, "lose_reply": lose_reply, "slow": slow}
        self._control.ask("apply", cut=cut, for_s=for_s, **changes)

    def heal(self) -> None:
        """As `Link.heal`."""
        self._control.ask("heal")

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


async def answer_for_link(proxy: Proxy, do: str, arguments: dict[str, Any]) -> Any:
    """What the process of `proxy` answers to a RemoteLink."""
    if do == "apply":
        return await proxy.apply(**arguments)
    if do == "heal":
        return await proxy.heal()
    if do == "state":
        return asdict(proxy.state)
    raise EmbeddedServerError(f"unknown request {do!r}")


def environment() -> dict[str, str]:
    """The environment for a Python process that must find this very package."""
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


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
