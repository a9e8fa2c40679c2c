"""A loopback proxy before a store, which has that refuse commands, as a service does whose quota is used up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from hybrid.core.resp import pack

__all__ = ["QUOTA", "Refusing", "refusing"]

QUOTA = "ERR max requests limit exceeded. Limit: 500000, Usage: 500001."
"""What Upstash says to every command of a month whose quota is used up."""


class Refusing:
    """`refusal` says, for the arguments of a command, which error it gets; None lets it pass. A refused command is
    replaced by one that gets this error, so that all replies come in their order."""

    def __init__(self, port: int) -> None:
        self.refusal: Callable[[Sequence[bytes]], str | None] = lambda args: None
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse_all(self, error: str) -> None:
        self.refusal = lambda args: error

    def refuse_none(self) -> None:
        self.refusal = lambda args: None

    def close(self) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._server.accept()
                try:
                    there = socket.create_connection(("127.0.0.1", self._port))
                except OSError:
                    here.close()
                    continue
                for one in (here, there):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for way in (self._ask, self._answer):
                    threading.Thread(target=self._run, args=(way, here, there), daemon=True).start()

    @staticmethod
    def _run(way: Callable[[socket.socket, socket.socket], None], here: socket.socket, there: socket.socket) -> None:
        with suppress(OSError, ValueError):
            way(here, there)
        for one in (here, there):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    @staticmethod
    def _answer(here: socket.socket, there: socket.socket) -> None:
        while data := there.recv(65536):
            here.sendall(data)

    def _ask(self, here: socket.socket, there: socket.socket) -> None:
        stream = here.makefile("rb")
        while line := stream.readline():
            args = []
            for _ in range(int(line[1:])):
                size = int(stream.readline()[1:])
                args.append(stream.read(size))
                stream.readline()
            if (error := self.refusal(args)) is not None:
                args = [b"EVAL", b"return redis.error_reply(ARGV[1])", b"0", error.encode()]
            there.sendall(pack(args))


@contextmanager
def refusing(port: int) -> Iterator[Refusing]:
    opened = Refusing(port)
    try:
        yield opened
    finally:
        opened.close()
