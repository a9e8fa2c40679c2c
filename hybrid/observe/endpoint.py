"""`/api/health` for monitors and load balancers, answered from the observer's snapshot: no store is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hybrid.errors import ConfigurationError

__all__ = ["PATH", "HealthEndpoint", "listen_address"]

PATH = "/api/health"


def listen_address(text: str) -> tuple[str, int]:
    """`HOST:PORT`, or a port alone, which means this machine only. Raises ConfigurationError."""
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(f"--listen must be HOST:PORT or PORT, such as 127.0.0.1:8600, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


class HealthEndpoint:
    """Serves the document of `answer` (HTTP status, JSON) on a thread, from `start` to `close`. Port 0: a free one."""

    def __init__(self, address: tuple[str, int], answer: Callable[[], tuple[int, dict[str, Any]]]) -> None:
        try:
            self._server = ThreadingHTTPServer(address, handler(answer))
        except OSError as error:
            place = f"{address[0]}:{address[1]}"
            raise ConfigurationError(f"cannot listen on {place}: {error.strerror}; choose another --listen") from None
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="hybrid-health", daemon=True)

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}{PATH}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def handler(answer: Callable[[], tuple[int, dict[str, Any]]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # a client that connects and says nothing must not hold a thread for ever
        server_version = "hybrid"
        sys_version = ""

        def do_GET(self) -> None:
            self._send(*(answer() if self.path.partition("?")[0] == PATH else (404, {"error": f"only {PATH} is here"})))

        do_HEAD = do_GET

        def _send(self, code: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
