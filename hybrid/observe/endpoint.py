"""A small HTTP server for monitors: health, probes and metrics, answered from memory on one thread.

Nothing here waits: a request that is not complete costs a coroutine, not a thread, and a slow client delays nobody.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from hybrid.errors import ConfigurationError
from hybrid.observe.shared_listener import SharedListener

__all__ = ["HttpEndpoint", "Reply", "Route", "json_reply", "listen_address"]

logger = logging.getLogger("hybrid.endpoint")

LONGEST_HEAD: Final = 16 * 1024
PATIENCE_S: Final = 5.0
"""How long a client may take to say what it wants, and an idle connection stays open."""

BACKLOG: Final = 256
PAUSE_S: Final = 1.0
"""How long nobody is accepted when the process has no more files to open."""

MOST_CLIENTS: Final = 500
LEAVE_S: Final = 0.5
"""How long those who have connected are given for their last request when the server ends."""


class Reply(NamedTuple):
    """What a route answers."""

    code: int
    body: bytes
    content_type: str


Route = Callable[[], Reply]


def json_reply(code: int, document: Mapping[str, Any]) -> Reply:
    return Reply(code, json.dumps(document).encode(), "application/json")


def listen_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, or a port alone, which means this machine only. Raises ConfigurationError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"--listen must be HOST:PORT or PORT, such as 127.0.0.1:8600, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


class HttpEndpoint:
    """Serves `routes` (by path; quick functions) on a thread, from `start` to `close`; has the address at once.

    Port 0: a free one. Several agents of one user may share an address: while one restarts, the other answers, those
    too who have connected meanwhile. Raises ConfigurationError when the address is not to be had.
    """

    def __init__(self, address: tuple[str, int], routes: Mapping[str, Route]) -> None:
        self._routes = dict(routes)
        self._clients = 0
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._taken: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, name="hybrid-http", daemon=True)
        try:
            self._shared = SharedListener(address)
        except OSError as error:
            self._loop.close()
            place = f"{address[0]}:{address[1]}"
            raise ConfigurationError(f"cannot listen on {place}: {error.strerror}; choose another --listen") from None
        self._socket = self._shared.listener

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        self._socket.listen(BACKLOG)
        self._thread.start()

    def close(self) -> None:
        """Stop listening; whoever has connected gets an answer."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(timeout=2 * LEAVE_S)
        self._shared.close()
        self._socket.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve_until_ended())
        finally:
            self._loop.close()

    async def _serve_until_ended(self) -> None:
        self._socket.setblocking(False)
        self._listen()
        giving = asyncio.create_task(self._shared.give())
        await self._ended.wait()
        giving.cancel()
        # Those who have connected and were not accepted yet would be reset.
        self._accept()
        self._loop.remove_reader(self._socket)
        self._socket.close()
        await self._leave()

    def _listen(self) -> None:
        if not self._ended.is_set():
            self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        """Serve all who have connected. (asyncio's own server, once closed, forgets whom it has just accepted.)"""
        try:
            while True:
                connection, _ = self._socket.accept()
                task = self._loop.create_task(self._take(connection))
                self._taken.add(task)
                task.add_done_callback(self._taken.discard)
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            logger.warning("the health endpoint accepts nobody for a moment: %s", error.strerror)
            self._loop.remove_reader(self._socket)
            self._loop.call_later(PAUSE_S, self._listen)

    async def _leave(self) -> None:
        """Until all who have connected are served, which some begin to be only now, or have had the time for it."""
        until_s = self._loop.time() + LEAVE_S
        while (serving := self._serving()) and (left_s := until_s - self._loop.time()) > 0:
            await asyncio.wait(serving, timeout=left_s)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    @staticmethod
    def _serving() -> set[asyncio.Task[None]]:
        return asyncio.all_tasks() - {asyncio.current_task()}

    async def _take(self, connection: socket.socket) -> None:
        reader = asyncio.StreamReader(LONGEST_HEAD)
        await self._loop.connect_accepted_socket(lambda: asyncio.StreamReaderProtocol(reader, self._serve), connection)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            while self._clients <= MOST_CLIENTS:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
                writer.write(self._answered(head))
                await asyncio.wait_for(writer.drain(), PATIENCE_S)
                if not self._keeps_alive(head):
                    break
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it left, or is too slow or too talkative: there is nobody to tell
        finally:
            self._clients -= 1
            writer.close()

    def _answered(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        reply = self._reply(method, path)
        lines = (
            f"HTTP/1.1 {reply.code} {HTTPStatus(reply.code).phrase}",
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(reply.body)}",
            "Cache-Control: no-store",
            "Connection: keep-alive" if self._keeps_alive(head) else "Connection: close",
            "\r\n",
        )
        return "\r\n".join(lines).encode() + (b"" if method == b"HEAD" else reply.body)

    def _keeps_alive(self, head: bytes) -> bool:
        """Whether another request may follow. One with a body gets its answer and no more: the body is not read."""
        lowered = head.lower()
        last = (b"connection: close", b"content-length:", b"transfer-encoding:")
        return b" http/1.1\r\n" in lowered and not self._ended.is_set() and not any(word in lowered for word in last)

    def _reply(self, method: bytes, path: str) -> Reply:
        route = self._routes.get(path)
        if method not in (b"GET", b"HEAD"):
            return json_reply(405, {"error": "only GET and HEAD are answered here"})
        if route is None:
            return json_reply(404, {"error": f"only {', '.join(self._routes)} are here"})
        try:
            return route()
        except Exception:
            # A monitor needs an answer, and the next request may fare better.
            logger.exception("answering %s failed", path)
            return json_reply(500, {"error": "the answer failed; the log says why"})
