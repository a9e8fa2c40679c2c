"""Asking another process of ours: one JSON object per line over a loopback connection.

A control file (readable by its owner only) says where to connect and holds the token that must come first: loopback is
open to every user of a machine.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import os
import secrets
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hybrid.errors import EmbeddedServerError
from hybrid.stores.ports import LOOPBACK

__all__ = ["ControlClient", "ControlServer", "environment"]

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


def environment() -> dict[str, str]:
    """The environment for a Python process that must find this very package."""
    package_root = str(Path(__file__).resolve().parents[2])
    paths = [package_root, os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
