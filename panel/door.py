"""The panel's side of its front door: starts the doorman, who answers probes, and takes the connections he hands over.

Pages are drawn by threads of this process, and whoever draws holds up all others (Python runs one at a time): a probe
that was answered here took 80 ms while somebody walked from page to page. Without a doorman (where TLS ends in this
process, on another kind of event loop, or should it be killed) the panel answers for itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
from asyncio import AbstractEventLoop, BaseProtocol, Server
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from panel.access import AccessConfig, is_loopback
from panel.doorman import PROBED

__all__ = ["Answers", "Door"]

logger = logging.getLogger("hybrid.panel")

Answers = Callable[[], Mapping[str, tuple[int, Mapping[str, Any]]]]
"""Status and document by path; quick, from memory."""

Factory = Callable[[], BaseProtocol]
EVERY_S: Final = 0.1


class Door:
    """Makes the next server that is opened on `loop` be served through a doorman, until `close`. `probed` is called
    when somebody was answered by him, and returns at once.

    Everything is to be called on the loop.
    """

    def __init__(
        self, loop: AbstractEventLoop, access: AccessConfig, answers: Answers, probed: Callable[[], None]
    ) -> None:
        self._loop, self._access, self._answers, self._probed = loop, access, answers, probed
        self._doorman: subprocess.Popen[bytes] | None = None
        self._stream: socket.socket | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._open_server = loop.create_server
        with suppress(TypeError):  # a loop that is not written in Python has no room for it
            vars(loop)["create_server"] = self._create_server

    async def close(self) -> None:
        """End the doorman, and with it its hold on the port."""
        vars(self._loop).pop("create_server", None)
        for task in self._tasks:
            task.cancel()
        self._hang_up()
        if self._doorman is not None:
            await asyncio.to_thread(self._doorman.wait)

    async def _create_server(self, factory: Factory, *where: Any, **options: Any) -> Server:
        del vars(self._loop)["create_server"]
        server = await self._open_server(factory, *where, **{**options, "start_serving": False})
        if len(server.sockets) == 1 and not options.get("ssl") and self._may_answer(server.sockets[0].getsockname()):
            self._station(server, factory, options.get("backlog", 100))
        else:
            await server.start_serving()
        return server

    def _may_answer(self, address: tuple[str, int]) -> bool:
        """Without a password the gate looks at each connection, should it come from elsewhere (see `panel.gate`)."""
        return self._access.asks_who or is_loopback(address[0])

    def _station(self, server: Server, factory: Factory, backlog: int) -> None:
        self._stream, theirs = socket.socketpair()
        self._stream.setblocking(False)
        with theirs, server.sockets[0].dup() as listener:
            listener.listen(backlog)
            files = (listener.fileno(), theirs.fileno())
            command = [sys.executable, "-I", str(Path(__file__).with_name("doorman.py")), *map(str, files)]
            # A session of its own: Linux shares out a busy machine by sessions, and what draws uses up the panel's.
            self._doorman = subprocess.Popen(command, pass_fds=files, stdin=subprocess.DEVNULL, start_new_session=True)
        self._start(self._tell(self._stream))
        self._loop.add_reader(self._stream, self._take, self._stream, server, factory)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, stream: socket.socket) -> None:
        with suppress(OSError):  # who takes what is handed over notices, too
            while True:
                snapshot = {"hosts": self._access.allowed_hosts, "answers": self._answers()}
                await self._loop.sock_sendall(stream, json.dumps(snapshot).encode() + b"\n")
                await asyncio.sleep(EVERY_S)

    def _take(self, stream: socket.socket, server: Server, factory: Factory) -> None:
        try:
            data, files, _, _ = socket.recv_fds(stream, 64, 64)
        except OSError:
            data, files = b"", []
        if PROBED in data:
            self._probed()
        for connection in [socket.socket(fileno=file) for file in files]:
            connection.setblocking(False)
            if server.sockets:
                self._start(self._loop.connect_accepted_socket(factory, connection))
            else:
                connection.close()  # the server ends
        if not data:
            self._hang_up()
            if server.sockets:
                logger.warning("the process that answers health probes has ended; the panel answers them itself")
                self._start(server.start_serving())

    def _hang_up(self) -> None:
        if self._stream is not None:
            self._loop.remove_reader(self._stream)
            self._stream.close()
            self._stream = None
