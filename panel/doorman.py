"""Answers health probes in front of the panel, in a process of its own: a page that is drawn delays none, nor does a
panel that hangs.

Everybody who connects to the panel's port comes here first. Who asks for a probe, and for nothing that has to be
judged, is answered from the panel's latest snapshot; every other connection is handed to the panel, untouched. Ends
with the panel. `panel.door` starts it, as a file: it needs the standard library only, and is small and there at once.

The panel sends snapshots, one a line: {"hosts": [NAME, ...], "answers": {PATH: [CODE, DOCUMENT], ...}}.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import sys
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

LONGEST_HEAD: Final = 16 * 1024
MOST_WAITING: Final = 400
"""Connections that wait for their first bytes, or for the panel: below the usual limit of open files."""

JUDGED: Final = frozenset({"origin", "content-length", "transfer-encoding"})
"""Headers of which the panel has to make something."""

TOLD_S: Final = 1.0
"""The panel hears of probes so often at most."""

STALE_S: Final = 60.0
"""The panel sends ten snapshots a second: after so long without one it hangs."""


PROBED: Final = b"?"
HANDED: Final = b"!"
"""What the panel is told: somebody was answered; here is a connection."""


class PanelGone(Exception):
    """There is nobody left to answer for."""


class Doorman:
    """Serves `listener`, and hands over to the panel at the other end of `panel`; both are non-blocking."""

    def __init__(self, listener: socket.socket, panel: socket.socket) -> None:
        self._listener, self._panel = listener, panel
        self._silent: dict[socket.socket, None] = {}  # in the order in which they came
        self._handed: deque[socket.socket] = deque()
        self._received = b""
        self._snapshot: dict[str, Any] = {"hosts": [], "answers": {}}
        self._snapshot_at_s = self._told_s = 0.0
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(panel, selectors.EVENT_READ, self._hear)

    def serve(self) -> None:
        """Until the panel has ended."""
        with suppress(PanelGone, ConnectionError):
            while True:
                for key, _ in self._selector.select():
                    key.data(key.fileobj)
                self._hand_over()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                if len(self._silent) + len(self._handed) >= MOST_WAITING:
                    self._make_room()
                connection, _ = listener.accept()
                connection.setblocking(False)
                self._silent[connection] = None
                self._selector.register(connection, selectors.EVENT_READ, self._look)

    def _make_room(self) -> None:
        if self._silent:
            self._pass_on(next(iter(self._silent)))
        self._hand_over()
        if len(self._handed) >= MOST_WAITING:
            self._handed.popleft().close()

    def _look(self, connection: socket.socket) -> None:
        """Peek, so that the panel finds everything that was sent."""
        try:
            head = connection.recv(LONGEST_HEAD, socket.MSG_PEEK)
        except OSError:
            head = b""
        reply = self._reply(head)
        if head and reply is None:
            self._pass_on(connection)
            return
        self._forget(connection)
        with connection, suppress(OSError):
            connection.recv(len(head))  # closed with something unread, the answer would be lost on the way
            connection.send(reply or b"")
        if reply:
            self._tell()

    def _tell(self) -> None:
        """Let the panel know that somebody has asked."""
        if time.monotonic() - self._told_s >= TOLD_S:
            self._told_s = time.monotonic()
            with suppress(BlockingIOError):  # it has enough to take
                self._panel.send(PROBED)

    def _reply(self, head: bytes) -> bytes | None:
        """The answer to a plain probe; None for whatever the panel has to look at."""
        if not head.endswith(b"\r\n\r\n"):
            return None
        request, *lines = head.decode("latin-1").rstrip().split("\r\n")
        headers = dict(line.lower().replace(" ", "").split(":", 1) for line in lines if ":" in line)
        host = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
        method, _, rest = request.partition(" ")
        answer = self._snapshot["answers"].get(rest.partition(" ")[0].partition("?")[0])
        plain = host in self._snapshot["hosts"] and not headers.keys() & {
            "origin",
            "content-length",
            "transfer-encoding",
        }
        return self._written(*answer) if answer is not None and plain and method == "GET" else None

    def _written(self, code: int, document: dict[str, Any]) -> bytes:
        silent_s = time.monotonic() - self._snapshot_at_s
        if silent_s > STALE_S:
            code, document = 503, {"status": "hangs", "age_s": round(silent_s, 3)}
        elif "age_s" in document:
            document = {**document, "age_s": round(document["age_s"] + silent_s, 3)}
        body = json.dumps(document).encode()
        head = (
            f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body

    def _forget(self, connection: socket.socket) -> None:
        del self._silent[connection]
        self._selector.unregister(connection)

    def _pass_on(self, connection: socket.socket) -> None:
        self._forget(connection)
        self._handed.append(connection)

    def _hand_over(self) -> None:
        """What the panel does not take yet is offered again when it does."""
        with suppress(BlockingIOError):
            while self._handed:
                socket.send_fds(self._panel, [HANDED], [self._handed[0].fileno()])
                self._handed.popleft().close()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._handed else 0)
        self._selector.modify(self._panel, wanted, self._hear)

    def _hear(self, panel: socket.socket) -> None:
        with suppress(BlockingIOError):
            while received := panel.recv(1 << 16):
                *lines, self._received = (self._received + received).split(b"\n")
                if lines:
                    self._snapshot, self._snapshot_at_s = json.loads(lines[-1]), time.monotonic()
            raise PanelGone


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the panel, and this ends after it
    listener, panel = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    for opened in (listener, panel):
        opened.setblocking(False)
    Doorman(listener, panel).serve()


if __name__ == "__main__":
    main()
