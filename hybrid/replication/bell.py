"""Wakes a thread that waits for sockets."""

from __future__ import annotations

import select
import socket
import time
from typing import Protocol

__all__ = ["Bell", "Ringing"]


class Ringing(Protocol):
    """Whatever wants to hear of a change, from any thread; it must return at once."""

    def ring(self) -> None: ...


class Bell:
    """`ring` from any thread ends a `wait`. `late_s`: by how much the last one took longer than it was to, which is the
    machine's doing."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self._rope, self._ear = socket.socketpair()
        self._rope.setblocking(False)
        self._ear.setblocking(False)

    def ring(self) -> None:
        try:
            self._rope.send(b"!")
        except OSError:
            return  # it is ringing already, or nobody waits any more

    def wait(self, timeout_s: float, *files: int) -> set[int]:
        """Those of `files` that are readable, as soon as there are any, the bell rings, or the time is over."""
        # poll(), because select() fails in a process with more than 1,024 open files.
        poll = select.poll()
        ear = self._ear.fileno()
        for file in (ear, *files):
            poll.register(file, select.POLLIN)
        until_s = time.monotonic() + timeout_s
        ready = {file for file, _ in poll.poll(timeout_s * 1000)}
        self.late_s = max(0.0, time.monotonic() - until_s)
        if ear in ready:
            self._quiet()
            ready.discard(ear)
        return ready

    def _quiet(self) -> None:
        try:
            while self._ear.recv(4096):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        self._rope.close()
        self._ear.close()
