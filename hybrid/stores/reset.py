"""Closing a connection so that what has not gone out yet never does: arriving late, it would replace what is written
meanwhile."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Final

__all__ = ["reset_at_close"]

_AT_ONCE: Final = struct.pack("ii", 1, 0)


def reset_at_close(sock: socket.socket | None) -> None:
    """Have `close` send a reset and drop what waits to be sent (SO_LINGER of no time): else the system goes on sending
    it after the close. Nothing is done where it is closed already: a TLS transport has no socket then, and uvloop's
    complains."""
    if sock is not None and sock.fileno() >= 0:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
