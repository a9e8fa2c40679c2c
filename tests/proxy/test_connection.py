"""What concerns a connection: garbage, passwords, protocol versions, names; and the server that it leads to."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import pytest
import redis
from proxy.conftest import Open
from proxy.rig import Raw, requests
from servers import client, wait_until

from hybrid import CommandRefused, ConfigurationError, HybridRedis
from hybrid.proxy import ProxyServer, server
from hybrid.proxy.lanes import Lane
from hybrid.proxy.session import Session

PASSWORD = "sesame"


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        (b"*1\r\n:1\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n"),
        (b"PING\r\n*1\r\n$-5\r\n", b"+PONG\r\n-ERR Protocol error: invalid bulk length\r\n"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$600000000\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
        (b"\x16\x03\x01\x02\x00\x01" + b"x" * 70_000, b"-ERR Protocol error: too big inline request\r\n"),
        (b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"-ERR wrong number of arguments for 'get' command\r\n"),
        (b"POST / HTTP/1.1\r\nHost: here\r\n\r\nSET k v\r\n", b""),
        (b"QUIT\r\nPING\r\n", b"+OK\r\n"),
    ],
    ids=["no bulk", "negative", "too large", "a TLS client", "a browser", "a hostile page", "quit"],
)
def test_garbage_ends_one_connection_and_no_other(proxy: ProxyServer, raw: Raw, data: bytes, reply: bytes) -> None:
    with Raw(proxy.address) as other:
        other.send(data)
        assert other.rest().replace(b"GET'", b"get'") == reply
    assert raw.ask("PING", "GET k") == [b"+PONG\r\n", b"$-1\r\n"]


def test_half_a_request_hinders_nobody(proxy: ProxyServer, raw: Raw) -> None:
    with Raw(proxy.address) as other:
        other.send(requests("SET k v")[:-5])
        assert raw.ask("GET k") == [b"$-1\r\n"]


def test_without_the_password_nothing_is_served(open_proxy: Open) -> None:
    address = open_proxy(PASSWORD).address
    with Raw(address) as raw:
        refused = b"-NOAUTH Authentication required.\r\n"
        assert raw.ask("GET k", "PING", "MULTI", "SUBSCRIBE c", "CLIENT LIST") == [refused] * 5
        assert raw.ask("HELLO 3")[0].startswith(b"-NOAUTH HELLO must be called")
        wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
        assert raw.ask("AUTH wrong", "AUTH other sesame", "HELLO 3 AUTH default wrong") == [wrong] * 3
        assert raw.ask("AUTH sesame", "PING") == [b"+OK\r\n", b"+PONG\r\n"]
        assert raw.ask("RESET", "PING") == [b"+RESET\r\n", refused]
        assert raw.ask("HELLO 3 AUTH default sesame SETNAME me", "CLIENT GETNAME")[1] == b"$2\r\nme\r\n"
    with Raw(address) as raw:
        raw.send(b"*11\r\n")
        assert raw.rest() == b"-ERR Protocol error: unauthenticated multibulk length\r\n"
    with client(open_proxy(PASSWORD).url, password=PASSWORD) as r:
        assert r.ping()


def test_auth_where_there_is_no_password(raw: Raw) -> None:
    plain, user, other = raw.ask("AUTH x", "AUTH default x", "AUTH other x")
    assert plain.startswith(b"-ERR AUTH <password> called without any password configured")
    assert (user, other[:10]) == (b"+OK\r\n", b"-WRONGPASS")


def test_hello_changes_the_protocol(raw: Raw) -> None:
    two = raw.ask("HELLO")[0]
    assert two.startswith(b"*14\r\n$6\r\nserver\r\n$5\r\nredis\r\n") and b"$5\r\nproto\r\n:2\r\n" in two
    assert raw.ask("HELLO 3", "GET none", "HELLO 2", "GET none")[1::2] == [b"_\r\n", b"$-1\r\n"]
    assert raw.ask("HELLO 4") == [b"-NOPROTO unsupported protocol version\r\n"]
    assert raw.ask("HELLO x")[0].startswith(b"-ERR Protocol version is not an integer")
    assert raw.ask("HELLO 3 NONSENSE", "HELLO 3 SETNAME", "GET none")[2] == b"$-1\r\n"


def test_only_the_database_that_is_kept_on_both_stores(raw: Raw) -> None:
    good, bad, none = raw.ask("SELECT 0", "SELECT 1", "SELECT")
    assert (good, bad[:30], none[:30]) == (
        b"+OK\r\n",
        b"-ERR DB index is out of range:",
        b"-ERR wrong number of arguments",
    )


def test_the_only_database_has_number_0_here_whichever_one_the_url_names() -> None:
    lane = Lane.of(HybridRedis.from_urls("redis://localhost:1/2", "redis://localhost:2/1"), 2)
    assert lane.prepared((b"COPY", b"a", b"b", b"DB", b"0")).args == ("COPY", b"a", b"b")
    assert lane.prepared((b"SELECT", b"0")).args == ("PING", "OK")
    with pytest.raises(CommandRefused, match="that the URL names"):
        lane.prepared((b"COPY", b"a", b"b", b"DB", b"2"))


def test_clients_have_names_and_can_be_ended(proxy: ProxyServer, raw: Raw) -> None:
    assert (
        raw.ask("CLIENT SETNAME first", "CLIENT SETINFO LIB-NAME lib", "CLIENT SETINFO LIB-VER 1.2") == [b"+OK\r\n"] * 3
    )
    assert raw.ask('CLIENT SETNAME "a b"')[0].startswith(b"-ERR Client names cannot contain spaces")
    number = int(raw.ask("CLIENT ID")[0][1:])
    with Raw(proxy.address) as other:
        second = int(other.ask("CLIENT ID")[0][1:])
        assert second > number
        listed = raw.ask("CLIENT LIST")[0]
        assert f"id={number} ".encode() in listed and f"id={second} ".encode() in listed
        assert b"name=first" in listed and b"lib-name=lib lib-ver=1.2" in listed
        assert raw.ask(f"CLIENT KILL ID {second}", "CLIENT KILL ID 99999", "CLIENT KILL 1.2.3.4:5")[:2] == [
            b":1\r\n",
            b":0\r\n",
        ]
        assert other.rest() == b""
    assert raw.ask("CLIENT TRACKING ON", "CLIENT NONSENSE", "CLIENT REPLY OFF", "PING")[3] == b"+PONG\r\n"


def test_what_the_store_says_of_a_connection_reaches_it_whole(raw: Raw) -> None:
    tracking, number, text, wrong = raw.ask("CLIENT TRACKINGINFO", "CLIENT UNBLOCK 1", "CLIENT HELP", "CLIENT ID x")
    assert b"flags" in tracking and text.startswith(b"*")
    assert number.startswith(b"-ERR CLIENT UNBLOCK is refused") and wrong.startswith(b"-ERR wrong number of arguments")


def test_reset_begins_anew(raw: Raw) -> None:
    raw.ask("HELLO 3", "CLIENT SETNAME me", "MULTI", "SET k v")
    assert raw.ask("RESET") == [b"+RESET\r\n"]
    assert raw.ask("GET k", "CLIENT GETNAME", "EXEC") == [b"$-1\r\n", b"$-1\r\n", b"-ERR EXEC without MULTI\r\n"]


def test_what_tools_ask_first(r: redis.Redis, raw: Raw) -> None:
    assert b"Returns the string value" in raw.ask("COMMAND DOCS get")[0]
    assert r.command_count() > 100
    assert "redis_version" in r.info()
    assert r.client_info()["db"] == "0" or r.client_info()["db"] == 0


def test_closing_lets_everyone_have_their_answers(open_proxy: Open) -> None:
    served = open_proxy()
    with Raw(served.address) as raw, Raw(served.address) as waiting:
        raw.ask("PING")
        waiting.send(requests("PING", "BLPOP l 0"))
        assert waiting.reply() == b"+PONG\r\n"
        raw.send(requests(*["INCR n"] * 200))
        assert raw.reply() == b":1\r\n"
        served.close()
        assert raw.rest().endswith(b":200\r\n")
        assert waiting.rest() == b""
    with pytest.raises(OSError):
        socket.create_connection(served.address, timeout=1)


def test_too_many_clients_are_turned_away(proxy: ProxyServer, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    raw.ask("PING")
    monkeypatch.setattr(server, "MAX_CLIENTS", 1)
    with Raw(proxy.address) as other:
        assert other.rest() == b"-ERR max number of clients reached\r\n"
    monkeypatch.undo()
    with Raw(proxy.address) as other:
        assert other.ask("PING") == [b"+PONG\r\n"]
    wait_until(lambda: len(proxy.identities()) == 1, "the end of the second client")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_others_are_not_let_in_without_a_password(open_proxy: Open, host: str) -> None:
    with pytest.raises(ConfigurationError, match="can be reached from other machines: give a password"):
        ProxyServer(open_proxy().client, host, 0)


def test_an_address_that_cannot_be_had(open_proxy: Open) -> None:
    served = open_proxy()
    with pytest.raises(ConfigurationError, match="choose another --port"):
        ProxyServer(served.client, *served.address)
    with pytest.raises(ConfigurationError, match="no such address"):
        ProxyServer(served.client, "no host", 0)
    with pytest.raises(ConfigurationError, match="password is empty"):
        ProxyServer(served.client, port=0, password="")


def test_one_that_cannot_be_served_hinders_nobody(open_proxy: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has gone before it was looked at, or there is no thread for it: others are accepted all the same."""
    proxy = open_proxy()
    session, failures = server.Session, [OSError("gone"), RuntimeError("can't start new thread")]

    def unlucky(*args: Any) -> Session:
        if failures:
            raise failures.pop()
        return session(*args)

    monkeypatch.setattr(server, "Session", unlucky)
    for _ in range(2):
        with Raw(proxy.address) as other:
            assert other.rest() == b""
    with Raw(proxy.address) as other:
        assert other.ask("PING") == [b"+PONG\r\n"]


def test_a_proxy_is_closed_while_clients_come(open_proxy: Open) -> None:
    proxy = open_proxy()
    ended = threading.Event()

    def knock() -> None:
        while not ended.is_set():
            with suppress(OSError):
                socket.create_connection(proxy.address, timeout=1).close()

    knocking = [threading.Thread(target=knock) for _ in range(4)]
    for thread in knocking:
        thread.start()
    try:
        wait_until(lambda: len(proxy.identities()) > 0, "clients come")
        proxy.close()
    finally:
        ended.set()
        for thread in knocking:
            thread.join()


def test_a_client_that_reads_no_reply_before_it_has_asked_everything(proxy: ProxyServer) -> None:
    """As redis-py's pipelines do; requests and replies are more than the system keeps for a connection."""
    size, count = 1_000_000, 64
    with Raw(proxy.address) as raw:
        raw.send(requests(f"ECHO {'x' * size}") * count + requests("PING"))
        assert {len(raw.reply()) for _ in range(count)} == {len(f"${size}") + size + 4}
        assert raw.reply() == b"+PONG\r\n"


def test_who_has_said_goodbye_before_reading_gets_every_reply(proxy: ProxyServer) -> None:
    size, count = 1_000_000, 64
    with Raw(proxy.address) as raw:
        raw.send(requests(f"ECHO {'x' * size}") * count)
        raw.say_no_more()
        assert len(raw.rest()) == (len(f"${size}") + size + 4) * count
