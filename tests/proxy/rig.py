"""A connection that sends bytes and shows the bytes that come back."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

from hybrid.core.resp import pack
from hybrid.proxy.replies import value_end

__all__ = ["Raw", "requests"]


def requests(*lines: str) -> bytes:
    """Commands, one a line, as a client packs them; quoted words may hold spaces."""
    return b"".join(pack([a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', line)]) for line in lines)


class Raw:
    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=10)
        self._rest = b""

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def say_no_more(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def ask(self, *lines: str) -> list[bytes]:
        """The replies to these commands, all sent at once."""
        self.send(requests(*lines))
        return [self.reply() for _ in lines]

    def reply(self) -> bytes:
        """The next reply in its own bytes."""
        while True:
            try:
                end = value_end(self._rest, 0)
            except (IndexError, ValueError):
                end = len(self._rest) + 1
            if end <= len(self._rest):
                reply, self._rest = self._rest[:end], self._rest[end:]
                return reply
            data = self._socket.recv(65536)
            assert data, f"the connection was closed after {self._rest!r}"
            self._rest += data

    def rest(self) -> bytes:
        """Everything until the other end closes."""
        parts: Sequence[bytes] = iter(lambda: self._socket.recv(65536), b"")  # type: ignore[assignment]
        return self._rest + b"".join(parts)
