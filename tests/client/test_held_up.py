"""What was sent, and held up on its way to a store that lives, while its connection was lost to the client."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from client.rig import PATIENT
from servers import Stores, client

from hybrid import HybridRedis
from hybrid.aio import HybridRedis as AsyncHybridRedis
from hybrid.stores.processes import ServerProcess

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that resets a connection as it closes."""


class HoldingUp:
    """A way to a server that keeps the first request with `word` in it, resets the connection it came over, and sends
    the request on when it is told to."""

    def __init__(self, server: ServerProcess, word: bytes) -> None:
        self._server, self._word = server, word
        self.held: tuple[socket.socket, bytes] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._server.port))
            for ways in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=ways, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                if self._word in data and self.held is None:
                    self.held = target, data
                    source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    source.close()
                    return
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other way has ended

    def let_go(self) -> None:
        """Returns when the server has had the bytes, or would not have them."""
        assert self.held is not None
        target, data = self.held
        try:
            target.sendall(data)
            target.shutdown(socket.SHUT_WR)
            while target.recv(1 << 16):
                pass
        except OSError:
            pass  # the server has ended the connection
        target.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def way(stores: Stores) -> Iterator[HoldingUp]:
    made = HoldingUp(stores.local, b"held up")
    yield made
    made.close()


def test_what_arrives_late_does_not_replace_what_was_written_meanwhile(way: HoldingUp, stores: Stores) -> None:
    with HybridRedis.from_urls(way.url, stores.cloud.url, **PATIENT) as hybrid:
        hybrid.set("key", "before")
        hybrid.set("key", "held up")
        assert hybrid.getset("key", "newer") == b"held up"
        way.let_go()
        assert hybrid.get("key") == b"newer"
        hybrid.wait_in_sync(10)
    with client(stores.cloud.url) as cloud:
        assert cloud.get("key") == b"newer"


def test_nor_does_it_where_tasks_share_a_connection(way: HoldingUp, stores: Stores) -> None:
    async def write() -> list[bytes | None]:
        async with AsyncHybridRedis.from_urls(way.url, stores.cloud.url, **PATIENT) as hybrid:
            await hybrid.set("key", "before")
            await asyncio.gather(hybrid.set("key", "held up"), hybrid.set("other", "1"))
            await hybrid.set("key", "newer")
            await asyncio.to_thread(way.let_go)
            return [await hybrid.get("key"), await hybrid.get("other")]

    assert asyncio.run(write()) == [b"newer", b"1"]
