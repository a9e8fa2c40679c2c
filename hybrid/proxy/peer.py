"""The connection to a client: what it sends, and what it is answered."""

from __future__ import annotations

import select
import socket
import threading
from collections import deque
from typing import Final

from hybrid.proxy.requests import MAX_REQUEST_BYTES

__all__ = ["Peer"]

EARLY_BYTES: Final = 64 * 1024
_AT_ONCE: Final = socket.MSG_DONTWAIT


class Peer:
    """One thread calls `receive` and `answer`; any may call `push`.

    Clients may send all that they have to ask before they read the first reply, as redis-py's pipelines do. While one
    does not read, what it sends is taken in: the two would wait for each other for ever.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._sending = threading.Lock()
        self._early: deque[bytes] = deque()
        self._early_size = 0
        self._has_ended = False

    def receive(self, size: int) -> bytes:
        """What the client has sent, about `size` bytes at most; nothing when that was all."""
        if self._early:
            data = self._early.popleft()
            self._early_size -= len(data)
            return data
        return b"" if self._has_ended else self.socket.recv(size)

    def push(self, data: bytes) -> None:
        """Send what was not asked for."""
        with self._sending:
            self.socket.sendall(data)

    def answer(self, data: bytes, *, listens: bool) -> None:
        """Send a reply. With `listens` what the client sends meanwhile is taken in."""
        with self._sending:
            sent = self._sent(data)
            if sent == len(data):
                return
            left = memoryview(data)[sent:]
            while left:
                self._wait(listens=listens and not self._has_ended and self._early_size < MAX_REQUEST_BYTES)
                left = left[self._sent(left) :]

    def _sent(self, data: bytes | memoryview) -> int:
        """How much of it could be sent at once."""
        try:
            return self.socket.send(data, _AT_ONCE)
        except BlockingIOError:
            return 0

    def _wait(self, *, listens: bool) -> None:
        """Until the client reads. What it sends meanwhile is kept."""
        poll = select.poll()
        poll.register(self.socket, select.POLLOUT | (select.POLLIN if listens else 0))
        if any(event & select.POLLIN for _, event in poll.poll()):
            data = self.socket.recv(EARLY_BYTES)
            if data:
                self._early.append(data)
                self._early_size += len(data)
            self._has_ended = not data

    def shut(self, how: int) -> None:
        """End one direction of the connection, or both."""
        try:
            self.socket.shutdown(how)
        except OSError:
            return  # it is closed already

    def close(self) -> None:
        self.shut(socket.SHUT_RDWR)
        self.socket.close()
