from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from servers import Stores, client, wait_until

from hybrid.errors import EmbeddedServerError
from hybrid.stores import proxy
from hybrid.stores.link import Faults, Link
from hybrid.stores.ports import free_port
from hybrid.stores.processes import ServerProcess
from hybrid.stores.relay import ends_whole


@pytest.fixture
def link(valkey: ServerProcess) -> Iterator[Link]:
    with Link("127.0.0.1", valkey.port, round_trip_s=0.0) as started:
        yield started


@pytest.fixture
def far(link: Link) -> Iterator[redis.Redis]:
    with client(link.url) as connection:
        connection.ping()
        yield connection


def elapsed_s(action: Callable[[], object]) -> float:
    started = time.monotonic()
    action()
    return time.monotonic() - started


def test_commands_and_pipelines_pass_unchanged(far: redis.Redis, valkey: ServerProcess) -> None:
    big = b"\r\n*1\x00" * 1_000_000
    far.set("big", big)
    pipeline = far.pipeline(transaction=False)
    for number in range(5_000):
        pipeline.rpush("numbers", number)
    assert pipeline.execute() == list(range(1, 5_001))
    assert far.get("big") == client(valkey.url).get("big") == big


def test_a_command_takes_at_least_the_round_trip_and_the_delay_changes_live(link: Link, far: redis.Redis) -> None:
    link.apply(round_trip_s=0.05)
    assert elapsed_s(far.ping) >= 0.05
    link.apply(round_trip_s=0.1)
    assert elapsed_s(far.ping) >= 0.1
    link.apply(round_trip_s=0.0)
    assert far.ping()
    assert link.state.connections_total == 1


def test_a_pipeline_pays_the_round_trip_once(link: Link, far: redis.Redis) -> None:
    link.apply(round_trip_s=0.05)
    pipeline = far.pipeline(transaction=False)
    for number in range(1_000):
        pipeline.set(f"key:{number}", number)
    assert elapsed_s(pipeline.execute) < 1_000 * 0.05


def test_refuse_resets_connections_and_refuses_new_ones_until_healed(link: Link, far: redis.Redis) -> None:
    link.apply(refuse=True)
    with pytest.raises(redis.ConnectionError):
        far.ping()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", link.port))
    assert link.state.connections == 0
    link.heal()
    assert far.ping()


def test_hang_lets_nothing_pass_and_loses_nothing(link: Link, far: redis.Redis, valkey: ServerProcess) -> None:
    link.apply(hang=True)
    with client(link.url, timeout_s=0.05) as impatient, pytest.raises(redis.TimeoutError):
        impatient.ping()
    with socket.create_connection(("127.0.0.1", link.port), timeout=10) as patient:
        patient.sendall(b"INCR hung\r\n")
        wait_until(lambda: link.state.connections >= 2)
        assert client(valkey.url).get("hung") is None
        link.heal()
        assert patient.recv(100) == b":1\r\n"
    assert far.ping()
    assert link.state.connections_total == 3


def test_cut_resets_now_and_only_once(link: Link) -> None:
    with socket.create_connection(("127.0.0.1", link.port), timeout=10) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        link.apply(cut=True)
        with pytest.raises(ConnectionResetError):
            connection.recv(100)
    with client(link.url) as again:
        assert again.ping()


@pytest.mark.parametrize("kind", ["valkey", "debian_redis"])
def test_lose_reply_runs_the_request_and_cuts(kind: str, request: pytest.FixtureRequest) -> None:
    store: ServerProcess = request.getfixturevalue(kind)
    with Link("127.0.0.1", store.port, round_trip_s=0.01) as link, client(link.url) as far, client(store.url) as near:
        far.ping()
        link.apply(lose_reply=2)
        with pytest.raises(redis.ConnectionError):
            far.incr("counter")
        with pytest.raises(redis.ConnectionError):
            far.pipeline(transaction=True).set("big", b"x" * 3_000_000).incr("counter").execute()
        assert near.mget("counter", "big") == [b"2", b"x" * 3_000_000]
        assert far.incr("counter") == 3
        assert link.state.faults.lose_reply == 0


def test_slow_limits_the_rate_and_heal_frees_what_is_under_way(link: Link, far: redis.Redis) -> None:
    value = b"x" * 20_000
    link.apply(slow=100_000)
    assert elapsed_s(lambda: far.set("slow", value)) >= 0.15
    link.apply(slow=10)
    with socket.create_connection(("127.0.0.1", link.port), timeout=10) as connection:
        connection.sendall(b"PING " + value + b"\r\n")  # 2,000 s at this rate
        wait_until(lambda: link.state.connections == 2)
        link.heal()
        assert connection.recv(100).startswith(b"$20000")


def test_a_fault_for_a_time_ends_by_itself(link: Link, far: redis.Redis) -> None:
    link.apply(round_trip_s=0.002)
    link.apply(round_trip_s=0.5, refuse=True, lose_reply=9, slow=1, hang=True, for_s=0.02)
    wait_until(lambda: link.state.faults == Faults(round_trip_s=0.002))
    assert far.ping()


def test_a_later_permanent_fault_outlives_the_time_of_an_earlier_one(link: Link) -> None:
    link.apply(hang=True, for_s=0.01)
    link.apply(slow=5, for_s=0.02)
    link.apply(hang=True)
    wait_until(lambda: link.state.faults.slow == 0)
    assert link.state.faults.hang


def test_a_client_that_closes_is_closed_at_the_store(link: Link, valkey: ServerProcess) -> None:
    with client(valkey.url) as near, socket.create_connection(("127.0.0.1", link.port)) as connection:
        connection.sendall(b"CLIENT SETNAME far\r\n")
        wait_until(lambda: any(entry["name"] == "far" for entry in near.client_list()))
        connection.close()
        wait_until(lambda: all(entry["name"] != "far" for entry in near.client_list()))
    wait_until(lambda: link.state.connections == 0)


def test_only_the_linked_store_is_far(linked_stores: tuple[Stores, Link]) -> None:
    stores, link = linked_stores
    link.apply(hang=True)
    with client(stores.local.url) as local, client(link.url, timeout_s=0.05) as cloud:
        assert local.ping()
        with pytest.raises(redis.TimeoutError):
            cloud.ping()


def test_a_dead_store_is_a_reset_connection(server: Callable[[], ServerProcess]) -> None:
    store = server()
    with Link("127.0.0.1", store.port, round_trip_s=0.0) as link, client(link.url) as far:
        far.ping()
        store.kill()
        with pytest.raises(redis.ConnectionError):
            far.ping()
        with pytest.raises(redis.ConnectionError):
            far.ping()
        store.start()
        assert far.ping()


def test_state_counts_bytes_each_way(link: Link) -> None:
    with socket.create_connection(("127.0.0.1", link.port), timeout=10) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100) == b"+PONG\r\n"
        state = link.state
    assert (state.bytes_to_store, state.bytes_to_client, state.connections) == (6, 7, 1)


def test_a_port_that_is_taken_is_refused_even_while_its_link_refuses(link: Link) -> None:
    link.apply(refuse=True)
    with pytest.raises(EmbeddedServerError, match=f"port {link.port} is taken"):
        Link("127.0.0.1", 1, port=link.port).start()


def test_close_resets_frees_the_port_and_may_be_repeated(valkey: ServerProcess) -> None:
    link = Link("127.0.0.1", valkey.port).start()
    port = link.port
    link.close()
    link.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with Link("127.0.0.1", valkey.port, port=port) as again:
        assert again.port == port


@pytest.mark.parametrize(
    ("requests", "whole"),
    [
        (b"*1\r\n$4\r\nPING\r\n", True),
        (b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPI", False),
        (b"*2\r\n$3\r\nGET\r\n", False),
        (b"*2\r\n$3\r\nGET\r\n$1\r\n*\r", False),
        (b"*2\r\n$3\r\nGET\r\n$1\r\n*\r\n", True),
        (b"*12", False),
        (b"*", False),
        (b"PING\r\n", True),
        (b"*1\r\n$5\r\nmulti\r\n", False),
        (b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nPING\r\n", False),
        (b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nEXEC\r\n", True),
    ],
)
def test_where_a_request_ends(requests: bytes, whole: bool) -> None:
    assert ends_whole(requests) is whole


def test_of_several_ports_that_look_free_one_that_can_be_had_is_taken(
    valkey: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's last connections keep its port from being shared for a minute."""
    with socket.create_server(("127.0.0.1", 0)) as left:
        port = left.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as one:
            left.accept()[0].close()  # this end closes first, and so keeps the address
            assert one.recv(1) == b""
    looks_free = iter([port, free_port()])
    monkeypatch.setattr(proxy, "free_port", lambda host: next(looks_free))
    with Link("127.0.0.1", valkey.port, round_trip_s=0.0) as link, client(link.url) as connection:
        assert link.port != port and connection.ping()
    with pytest.raises(EmbeddedServerError, match=f"port {port} is taken"):
        Link("127.0.0.1", valkey.port, port=port).start()
