"""One listening socket for all agents of a user that are given the same address.

Whoever connects waits in the socket's queue, not in a process's: an agent that ends, or is killed, takes nobody along
as long as another one has the socket. (With a socket each, by SO_REUSEPORT, the kernel resets those who wait at the one
that is closed.) The first agent makes the socket; later ones are given it over a Unix socket with an abstract name, at
which they then give it, too. Linux only: elsewhere each agent has a socket of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Final

__all__ = ["SharedListener"]

PATIENCE_S: Final = 10.0
"""How long to wait for an agent at the same address, which gives the socket once it has looked at its stores. If it
hangs, this one makes a socket of its own."""

RETRY_S: Final = 0.02


class SharedListener:
    """`listener` has the address; it listens already if others do. Raises OSError when the address is not to be had."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._office: socket.socket | None = None
        self.listener: socket.socket
        if sys.platform == "linux" and address[1]:
            self._share(address)
        else:
            self.listener = _bound(address)

    def _share(self, address: tuple[str, int]) -> None:
        name = f"\0hybrid-listener:{os.getuid()}:{address[0]}:{address[1]}"
        until_s = time.monotonic() + PATIENCE_S
        while (left_s := until_s - time.monotonic()) > 0:
            with suppress(OSError):
                self._office = _opened(name)
                break
            with suppress(OSError):
                self.listener, self._office = _given(name, left_s)
                return
            time.sleep(RETRY_S)
        try:
            self.listener = _bound(address)
        except OSError:
            self.close()
            raise

    async def give(self) -> None:
        """Let agents of the same user have the socket, until cancelled."""
        loop, office = asyncio.get_running_loop(), self._office
        if office is None:
            return
        office.setblocking(False)
        while True:
            asking, _ = await loop.sock_accept(office)
            with asking, suppress(OSError):
                if _user_of(asking) == os.getuid():
                    socket.send_fds(asking, [b"!"], [self.listener.fileno(), office.fileno()])

    def close(self) -> None:
        if self._office is not None:
            self._office.close()


def _opened(name: str) -> socket.socket:
    """The Unix socket at which one asks; raises OSError when there is one."""
    office = socket.socket(socket.AF_UNIX)
    try:
        office.bind(name)
        office.listen()
    except OSError:
        office.close()
        raise
    return office


def _given(name: str, timeout_s: float) -> tuple[socket.socket, socket.socket]:
    """The shared socket, and the one at which one asks for it. Raises OSError when nobody gives them."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(timeout_s)
        asking.connect(name)
        if _user_of(asking) != os.getuid():
            raise PermissionError(name)
        _, files, _, _ = socket.recv_fds(asking, 1, 2)
    if len(files) != 2:
        raise ConnectionResetError(name)
    listener, office = (socket.socket(fileno=file) for file in files)
    return listener, office


def _user_of(connection: socket.socket) -> int:
    size = struct.calcsize("3i")
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(user)


def _bound(address: tuple[str, int]) -> socket.socket:
    """A socket that has the address and does not listen yet: until it does, who shares it gets all the requests."""
    bound = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
