from __future__ import annotations

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from servers import wait_until

from hybrid.errors import ConfigurationError
from hybrid.observe import endpoint as endpoint_module
from hybrid.observe.endpoint import HttpEndpoint, Reply, json_reply, listen_address

Serve = Callable[..., HttpEndpoint]


@pytest.fixture
def serve() -> Iterator[Serve]:
    opened: list[HttpEndpoint] = []

    def start(routes: dict[str, Callable[[], Reply]], port: int = 0) -> HttpEndpoint:
        opened.append(HttpEndpoint(("127.0.0.1", port), routes))
        opened[-1].start()
        return opened[-1]

    yield start
    for endpoint in opened:
        endpoint.close()


def fetched(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def connected(endpoint: HttpEndpoint) -> socket.socket:
    parts = urlsplit(endpoint.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=5.0)


def received(connection: socket.socket, count: int) -> bytes:
    """What arrives until `count` replies are there, or the server closes."""
    text = b""
    while text.count(b"HTTP/1.1 ") < count or not text.endswith(b"}"):
        part = connection.recv(65536)
        if not part:
            break
        text += part
    return text


def test_routes_are_answered_with_their_codes(serve: Serve) -> None:
    answers = [(200, {"status": "healthy"}), (503, {"status": "down"})]
    url = serve({"/api/health": lambda: json_reply(*answers.pop(0))}).url
    assert fetched(f"{url}/api/health") == (200, {"status": "healthy"})
    assert fetched(f"{url}/api/health?verbose=1") == (503, {"status": "down"})
    assert fetched(f"{url}/elsewhere")[0] == 404
    assert fetched(f"{url}/api/health")[0] == 500, "a route that fails is told, and the next one answered"


def test_one_connection_serves_many_requests_and_heads_have_no_body(serve: Serve) -> None:
    endpoint = serve({"/x": lambda: json_reply(200, {"x": 1})})
    with connected(endpoint) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n" * 2)
        assert received(connection, 2).count(b'{"x": 1}') == 2
        connection.sendall(b"HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n")
        text = received(connection, 9)
        assert b"Content-Length: 8" in text and text.endswith(b"\r\n\r\n")
        assert connection.recv(1) == b"", "closed as asked"


def test_a_body_or_another_method_ends_the_connection(serve: Serve) -> None:
    endpoint = serve({"/x": lambda: json_reply(200, {})})
    with connected(endpoint) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
        text = received(connection, 9)
        assert text.startswith(b"HTTP/1.1 405 ") and text.count(b"HTTP/1.1") == 1


def test_clients_that_say_nothing_delay_nobody_and_are_let_go(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "PATIENCE_S", 0.2)
    endpoint = serve({"/x": lambda: json_reply(200, {})})
    silent = [connected(endpoint) for _ in range(50)]
    silent[0].sendall(b"GET /x HTT")
    silent[1].sendall(b"x" * 100_000)
    assert fetched(f"{endpoint.url}/x") == (200, {})
    assert silent[0].recv(1) == b""
    wait_until(lambda: endpoint._clients == 0, "all are let go")
    for connection in silent:
        connection.close()


def test_a_port_of_another_program_is_one_clear_error() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigurationError, match="choose another --listen"):
            HttpEndpoint(other.getsockname(), {})


def test_two_agents_share_a_port_and_one_answers_when_the_other_ends(serve: Serve) -> None:
    first = serve({"/x": lambda: json_reply(200, {"from": 1})})
    port = int(first.url.rpartition(":")[2])
    second = serve({"/x": lambda: json_reply(200, {"from": 2})}, port)
    assert {fetched(f"{second.url}/x")[1]["from"] for _ in range(100)} == {1, 2}
    first.close()
    assert {fetched(f"{second.url}/x")[1]["from"] for _ in range(20)} == {2}


def test_who_connects_while_one_agent_follows_another_waits_in_the_socket_that_they_share(serve: Serve) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    first = serve({"/x": lambda: json_reply(200, {"from": 1})}, port)
    second = HttpEndpoint(("127.0.0.1", port), {"/x": lambda: json_reply(200, {"from": 2})})
    first.close()
    with connected(second) as waiting:
        waiting.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        second.start()
        assert received(waiting, 1).endswith(b'{"from": 2}')
    second.close()


def test_who_has_connected_before_the_end_gets_an_answer_and_who_says_nothing_is_let_go(serve: Serve) -> None:
    endpoint = serve({"/x": lambda: json_reply(200, {"x": 1})})
    with connected(endpoint) as asks, connected(endpoint) as silent:
        asks.sendall(b"GET /x HT")
        wait_until(lambda: endpoint._clients == 2, "both are served")
        closing = threading.Thread(target=endpoint.close)
        closing.start()
        wait_until(endpoint._ended.is_set, "the end has begun")
        asks.sendall(b"TP/1.1\r\n\r\n")
        answer = received(asks, 1)
        assert b"Connection: close" in answer and answer.endswith(b'{"x": 1}')
        assert silent.recv(1) == b""
        closing.join()


def test_who_was_not_accepted_yet_at_the_end_gets_an_answer(serve: Serve) -> None:
    busy, goes_on = threading.Event(), threading.Event()

    def ends() -> Reply:
        busy.set()
        goes_on.wait(5.0)
        endpoint._ended.set()
        return json_reply(200, {"x": 1})

    endpoint = serve({"/ends": ends, "/x": lambda: json_reply(200, {"x": 2})})
    with connected(endpoint) as first:
        first.sendall(b"GET /ends HTTP/1.1\r\n\r\n")
        busy.wait(5.0)
        with connected(endpoint) as second:
            second.sendall(b"GET /x HTTP/1.1\r\n\r\n")
            goes_on.set()
            assert received(first, 1).endswith(b'{"x": 1}') and received(second, 1).endswith(b'{"x": 2}')


def test_an_address_that_is_taken_leaves_all_requests_to_the_other_until_it_is_started(serve: Serve) -> None:
    first = serve({"/x": lambda: json_reply(200, {"from": 1})})
    second = HttpEndpoint(("127.0.0.1", int(first.url.rpartition(":")[2])), {"/x": lambda: json_reply(503, {})})
    assert {fetched(f"{second.url}/x")[0] for _ in range(20)} == {200}
    second.close()


def test_addresses() -> None:
    assert listen_address("8600") == ("127.0.0.1", 8600)
    assert listen_address("0.0.0.0:80") == ("0.0.0.0", 80)
    assert listen_address("[::1]:80") == ("::1", 80)
    for wrong in ("", "host", "host:", "host:99999", "host:-1"):
        with pytest.raises(ConfigurationError, match="--listen"):
            listen_address(wrong)
