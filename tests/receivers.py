"""Real receivers of alerts on loopback: an HTTP endpoint and an SMTP server, which remember what they got."""

from __future__ import annotations

import email
import json
import threading
from email.header import decode_header, make_header
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

__all__ = ["HttpReceiver", "SmtpReceiver"]


class HttpReceiver:
    """Takes Apprise's `json://`; while `broken` it answers 500."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.refused = 0
        self.broken = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.broken:
                    receiver.refused += 1
                else:
                    receiver.got.append(json.loads(body))
                self.send_response(500 if receiver.broken else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self._server.server_port}/hook-secret"

    def titles(self) -> list[str]:
        return [each["title"].removeprefix("Hybrid Redis ") for each in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class SmtpReceiver:
    """Takes Apprise's `mailto://`: as much of SMTP as a client needs to hand over a mail."""

    def __init__(self) -> None:
        self.got: list[Message] = []
        receiver = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 ready")
                while line := self.rfile.readline():
                    word = line[:4].strip().upper()
                    if word == b"DATA":
                        self.say("354 go on")
                        receiver.got.append(email.message_from_bytes(self.mail()))
                    self.say({b"QUIT": "221 bye", b"EHLO": "250 receiver"}.get(word, "250 taken"))
                    if word == b"QUIT":
                        return

            def mail(self) -> bytes:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b"."))
                return b"".join(lines)

            def say(self, text: str) -> None:
                self.wfile.write(text.encode() + b"\r\n")

        self._server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"mailto://127.0.0.1:{self._server.server_address[1]}?mode=insecure&from=hybrid@example.com&to=ops@example.com"

    def subjects(self) -> list[str]:
        return [str(make_header(decode_header(mail["Subject"]))).removeprefix("Hybrid Redis ") for mail in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
