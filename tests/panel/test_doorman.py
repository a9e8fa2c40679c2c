"""Who is answered at the panel's door, and who is handed over."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from panel import doorman
from panel.doorman import Doorman

HEALTHY, HANGS = {"status": "healthy", "age_s": 0.5}, {"status": "hangs"}
SNAPSHOT = {"hosts": ["127.0.0.1"], "answers": {"/api/health": (200, HEALTHY), "/api/health/live": (503, HANGS)}}
HOST = b"Host: 127.0.0.1:8501\r\n"


class Door:
    """A doorman at work on a thread, and the panel's end of the stream to him."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.panel, theirs = socket.socketpair()
        for opened in (self.listener, theirs):
            opened.setblocking(False)
        self.panel.settimeout(5.0)
        line = json.dumps(SNAPSHOT).encode() + b"\n"
        self.panel.sendall(line + line[:20])
        self.thread = threading.Thread(target=Doorman(self.listener, theirs).serve, daemon=True)
        self.thread.start()

    def connect(self, said: bytes) -> socket.socket:
        connection = socket.create_connection(self.listener.getsockname(), timeout=5.0)
        connection.sendall(said)
        return connection

    def answer(self, said: bytes) -> tuple[int, dict[str, object]]:
        """Status and document, when the connection has been closed."""
        with self.connect(said) as connection, connection.makefile("rb") as file:
            head, _, body = file.read().partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def handed_over(self) -> socket.socket:
        while True:
            _, files, _, _ = socket.recv_fds(self.panel, 1, 1)
            if files:
                return socket.socket(fileno=files[0])


@pytest.fixture
def door() -> Iterator[Door]:
    opened = Door()
    yield opened
    opened.panel.close()
    opened.thread.join(5.0)
    assert not opened.thread.is_alive(), "he leaves with the panel"
    opened.listener.close()


def test_plain_probes_are_answered_from_the_snapshot_with_its_age(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    code, document = door.answer(b"GET /api/health?verbose=1 HTTP/1.1\r\n" + HOST + b"Accept: */*\r\n\r\n")
    assert (code, document["status"]) == (200, "healthy")
    assert float(str(document["age_s"])) >= 0.5
    assert door.answer(b"GET /api/health/live HTTP/1.0\r\n" + HOST + b"\r\n") == (503, HANGS)
    monkeypatch.setattr(doorman, "STALE_S", 0.0)
    code, document = door.answer(b"GET /api/health HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (code, document["status"]) == (503, "hangs"), "a panel that says nothing for so long"


def test_the_panel_hears_of_probes_now_and_then(door: Door) -> None:
    for _ in range(3):
        door.answer(b"GET /api/health HTTP/1.1\r\n" + HOST + b"\r\n")
    assert door.panel.recv(64) == doorman.PROBED


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"POST /api/health HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /api/health HTTP/1.1\r\n" + HOST + b"Origin: http://elsewhere.example\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\n\r\n",
        b"GET /api/hea",
        b"\x16\x03\x01",
    ],
)
def test_everything_else_is_handed_over_untouched(door: Door, said: bytes) -> None:
    with door.connect(said) as asking, door.handed_over() as given:
        assert given.recv(1000) == said
        given.sendall(b"hello")
        assert asking.recv(5) == b"hello"
        assert given.getpeername() == asking.getsockname()


def test_who_says_nothing_makes_room_for_others(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "MOST_WAITING", 1)
    with door.connect(b"") as first, door.connect(b""), door.handed_over() as given:
        assert given.getpeername() == first.getsockname()
