"""A client from opening to closing: status, forks, passwords, what it costs while idle and per write."""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import redis
from client.rig import PATIENT, assert_equal
from servers import CONNECTING, Stores, client, commands, wait_until

from hybrid import Ack, AllStoresDown, ConfigurationError, Health, HybridRedis, Settings, Status, Store, StoreState
from hybrid.replication.board import Board
from hybrid.stores.link import Link
from hybrid.stores.processes import ServerProcess

Open = Callable[..., HybridRedis]

# -- closing


def test_close_flushes_what_was_written(linked_stores: tuple[Stores, Link], open_client: Open) -> None:
    stores, link = linked_stores
    hybrid = open_client(stores.local.url, link.url, ack="local")
    for n in range(500):
        hybrid.rpush("l", n)
    hybrid.close()
    with client(stores.cloud.url) as cloud, client(stores.local.url) as local:
        assert cloud.llen("l") == 500
        assert local.xlen("hybrid:log") == 0
        assert not local.exists("hybrid:lease"), "the next shipper need not wait"
    assert hybrid.events.recent()[-1].message == "hybrid stopped: entries still to ship: 0"


def test_closing_ends_threads_and_connections(stores: Stores) -> None:
    before = set(threading.enumerate())
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        connections = [len(store.client_list()) for store in (local, cloud)]
        with HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT) as hybrid:
            for again in range(2):  # as redis-py's, it opens once more when it is used after that
                hybrid.set("k", "v")
                assert set(threading.enumerate()) > before
                if not again:
                    hybrid.change_settings(ack="local")
                    hybrid.close()
            assert hybrid.settings.ack is Ack.LOCAL
        hybrid.close()
        wait_until(lambda: set(threading.enumerate()) <= before, "the end of all threads")
        wait_until(
            lambda: all(len(it.client_list()) <= n for it, n in zip((local, cloud), connections, strict=True)),
            "all connections closed",
        )


def test_closing_a_client_that_was_never_used(stores: Stores) -> None:
    before = threading.active_count()
    HybridRedis.from_urls(stores.local.url, stores.cloud.url).close()
    with HybridRedis.from_urls(stores.local.url):
        pass
    assert threading.active_count() <= before
    with client(stores.local.url) as local:
        assert local.keys("*") == []


class Interrupted(BaseException):
    """What Ctrl-C or a time limit raises in the main thread."""


@pytest.mark.parametrize("used", [True, False], ids=["used again", "closed at once"])
def test_a_start_that_is_interrupted_is_not_begun_twice(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, used: bool
) -> None:
    before, heard = set(threading.enumerate()), threading.Event()
    settled = Board.wait_settled

    def interrupt(*_: Any) -> None:
        heard.set()
        raise Interrupted

    def settled_late(*args: Any) -> None:
        while not heard.wait(0.05):  # a signal that comes as the main thread begins to wait is not heard
            os.kill(os.getpid(), signal.SIGUSR1)
        settled(*args)

    monkeypatch.setattr(Board, "wait_settled", settled_late)
    handler = signal.signal(signal.SIGUSR1, interrupt)
    try:
        hybrid = HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT)
        with pytest.raises(Interrupted):
            hybrid.set("k", "v")
    finally:
        signal.signal(signal.SIGUSR1, handler)
    if used:
        hybrid.set("k", "v")
        names = [thread.name for thread in set(threading.enumerate()) - before]
        assert names.count("hybrid-shipper") == names.count("hybrid-watch-local") == 1
    hybrid.close()
    wait_until(lambda: set(threading.enumerate()) <= before, "the end of all threads")


def test_the_context_manager_passes_exceptions_on(stores: Stores) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT) as hybrid,
    ):
        hybrid.set("k", "v")
        raise ZeroDivisionError
    with client(stores.cloud.url) as cloud:
        assert cloud.get("k") == b"v"


def test_two_clients_one_after_the_other_and_at_once(stores: Stores, open_client: Open) -> None:
    for _ in range(3):
        with HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT) as hybrid:
            hybrid.incr("n")
    both = [open_client(stores.local.url, stores.cloud.url, decode_responses=True) for _ in range(2)]
    for n in range(100):
        both[n % 2].incr("n")
    assert both[0].get("n") == both[1].get("n") == "103"
    for hybrid in both:
        assert_equal(hybrid, stores)


# -- status


def test_status_is_a_frozen_snapshot(hybrid: HybridRedis) -> None:
    hybrid.set("k", "v")
    status = hybrid.status()
    assert isinstance(status, Status)
    assert status.health is Health.HEALTHY
    assert status.cloud is not None
    assert (status.local.state, status.cloud.state) == (StoreState.UP, StoreState.UP)
    assert (status.authority, status.local.store, status.cloud.store) == (Store.LOCAL, Store.LOCAL, Store.CLOUD)
    assert status.unconfirmed_writes == 0
    assert status.conflicts == 0
    assert isinstance(status.lag_entries, int)
    assert isinstance(status.lag_s, float)
    assert 0 <= time.time() - status.taken_at_s < 60
    assert 0 <= status.taken_at_s - status.local.since_s < 60
    for thing, name in ((status, "authority"), (status.local, "state"), (hybrid.settings, "ack")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, None)
    wait_until(lambda: hybrid.status().shipping_here, "this client ships")
    wait_until(lambda: hybrid.status().lag_entries == 0, "nothing waits")
    assert hybrid.status().shipper


def test_a_client_of_one_store_is_a_plain_one(stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, decode_responses=True)
    hybrid.set("k", "v", ex=100)
    assert hybrid.pipeline().incr("n").get("k").spop("none").execute() == [1, "v", None]
    assert hybrid.incrbyfloat("f", 1.5) == 1.5
    assert list(hybrid.blpop("l", timeout=0.05) or ()) == []
    hybrid.rpush("l", 1)
    assert list(hybrid.blpop("l", timeout=1)) == ["l", "1"]
    with hybrid.lock("lock"):
        pass
    status = hybrid.status()
    assert (status.cloud, status.lag_entries, status.health) == (None, None, Health.HEALTHY)
    assert hybrid.wait_in_sync(1)
    with client(stores.local.url) as local:
        assert not {b"hybrid:log", b"hybrid:lease"} & set(local.keys("hybrid:*"))
        assert {key for key in local.keys("*") if not key.startswith(b"hybrid:")} == {b"f", b"k", b"n"}
    assert hybrid.flushdb() is True
    assert hybrid.keys() == []


def test_store_gives_a_plain_client_of_one_store(hybrid: HybridRedis) -> None:
    hybrid.set("k", "v")
    for store in Store:
        plain = hybrid.store(store)
        assert type(plain) is redis.Redis
        assert plain.get("k") == "v"
        plain.close()


def test_latency_is_what_this_process_met(hybrid: HybridRedis) -> None:
    assert hybrid.latency(Store.LOCAL) is None
    for _ in range(20):
        hybrid.set("k", "v")
    found = hybrid.latency(Store.LOCAL)
    assert found is not None
    assert found.count >= 20
    assert 0 < found.p50_ms <= found.p99_ms


# -- forks


def in_child(hybrid: HybridRedis, results: Connection, seen: tuple[set[int], set[int]]) -> None:
    ids: set[int] = set()
    for n in range(100):
        hybrid.incr("n")
        hybrid.rpush("child", n)
        ids.add(hybrid.client_id())
        ids.add(hybrid.pipeline().incr("n").client_id().execute()[1])
    with hybrid.store(Store.LOCAL) as local, hybrid.store(Store.CLOUD) as cloud:
        own = [
            {int(entry["id"]) for entry in store.client_list()} - old
            for store, old in zip((local, cloud), seen, strict=True)
        ]
    results.send((not ids & seen[0], all(own), hybrid.get("n") is not None, hybrid.wait_in_sync(10)))
    hybrid.close()


def fork(target: Callable[..., None], *args: Any) -> Any:
    process = multiprocessing.get_context("fork").Process(target=target, args=args)
    process.start()
    return process


def test_parent_and_child_go_on_after_a_fork(hybrid: HybridRedis, stores: Stores) -> None:
    hybrid.set("n", 0)
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        seen = tuple({int(entry["id"]) for entry in store.client_list()} for store in (local, cloud))
    here, there = multiprocessing.Pipe()
    child = fork(in_child, hybrid, there, seen)
    for n in range(100):
        hybrid.incr("n")
        hybrid.rpush("parent", n)
        hybrid.pipeline().incr("n").execute()
    assert here.poll(30), "the child is stuck"
    assert here.recv() == (True, True, True, True)
    child.join(15)
    assert child.exitcode == 0
    assert hybrid.get("n") == "400"
    assert assert_equal(hybrid, stores).local_keys == 3


def count_in_child(hybrid: HybridRedis) -> None:
    for _ in range(20):
        hybrid.incr("n")
    hybrid.close()


def test_forks_while_threads_are_at_work(hybrid: HybridRedis, stores: Stores) -> None:
    done = threading.Event()
    counted = [0] * 3

    def work(index: int) -> None:
        while not done.is_set():
            hybrid.incr("n")
            counted[index] += 1

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: all(counted), "the threads")
        children = [fork(count_in_child, hybrid) for _ in range(4)]
        for child in children:
            child.join(30)
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    assert [child.exitcode for child in children] == [0] * 4
    assert hybrid.get("n") == str(sum(counted) + 80)
    assert_equal(hybrid, stores)


def test_a_fork_before_the_first_use(open_hybrid: Open, stores: Stores) -> None:
    hybrid = open_hybrid(decode_responses=True)
    child = fork(count_in_child, hybrid)
    hybrid.incr("n")
    child.join(30)
    assert child.exitcode == 0
    assert hybrid.get("n") == "21"
    assert_equal(hybrid, stores)


# -- passwords

SECRET = "s3cret-Passw0rd"
WRONG = "wr0ng-Passw0rd"


def with_password(server: ServerProcess, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{server.port}"


@pytest.fixture
def guarded(server: Callable[..., ServerProcess]) -> ServerProcess:
    """A server with a password."""
    return locked(server())


def locked(process: ServerProcess) -> ServerProcess:
    with client(process.url) as admin:
        admin.config_set("requirepass", SECRET)
    return process


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Everything that was logged, at any level, tracebacks too."""
    caplog.set_level(logging.DEBUG)
    yield lambda: caplog.text


def everything_shown(hybrid: HybridRedis) -> str:
    """What a client, its settings, status and events look like to anyone who prints them."""
    shown = [hybrid, hybrid.settings, hybrid.status(), *hybrid.events.recent(), *hybrid._engine.endpoints.values()]
    return "\n".join(f"{thing!r} {thing!s}" for thing in shown)


def test_the_right_password_works_and_is_never_shown(
    guarded: ServerProcess, stores: Stores, open_client: Open, said: Callable[[], str]
) -> None:
    hybrid = open_client(stores.local.url, with_password(guarded, SECRET))
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(10)
    hybrid.change_settings(cloud_timeout_s=2.0, cloud_url=with_password(guarded, SECRET))
    assert SECRET not in everything_shown(hybrid) + said()
    hybrid.close()


def test_a_wrong_cloud_password_is_said_clearly_and_local_carries_on(
    guarded: ServerProcess, stores: Stores, open_client: Open, said: Callable[[], str]
) -> None:
    hybrid = open_client(stores.local.url, with_password(guarded, WRONG))
    assert hybrid.set("k", "v") is True
    assert hybrid.get("k") == b"v"
    status = hybrid.status()
    assert status.cloud is not None
    assert (status.cloud.state, status.cloud.reason) == (StoreState.DOWN, "wrong user name or password")
    assert status.health is Health.DEGRADED
    assert "cloud store unavailable: wrong user name or password; the local store carries on" in said()
    assert WRONG not in everything_shown(hybrid) + said()


def test_a_missing_cloud_password_is_said_clearly(guarded: ServerProcess, stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, guarded.url)
    assert hybrid.set("k", "v") is True
    status = hybrid.status()
    assert status.cloud is not None
    assert (status.cloud.state, status.cloud.reason) == (StoreState.DOWN, "password required")


@pytest.mark.parametrize("cause", ["no password", "a replica"])
def test_a_store_that_refuses_to_serve_is_down_and_left_in_peace(
    server: Callable[..., ServerProcess], stores: Stores, open_client: Open, cause: str
) -> None:
    refusing = server()
    with client(refusing.url) as admin:
        hybrid = open_client(stores.local.url, refusing.url)
        if cause == "a replica":
            admin.execute_command("REPLICAOF", "127.0.0.1", "1")
        else:
            admin.config_set("requirepass", SECRET)
        before = admin.info("stats")["total_connections_received"]
        assert hybrid.set("k", "v") is True
        wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN, "the refusal is noticed")  # type: ignore[union-attr]
        assert hybrid.status().cloud.reason  # type: ignore[union-attr]
        assert admin.info("stats")["total_connections_received"] - before < 50


def test_a_wrong_password_everywhere(
    guarded: ServerProcess, server: Callable[..., ServerProcess], open_client: Open, said: Callable[[], str]
) -> None:
    other = locked(server())
    hybrid = open_client(with_password(guarded, WRONG), with_password(other, WRONG))
    for call in (lambda: hybrid.set("k", "v"), lambda: hybrid.get("k"), lambda: hybrid.pipeline().incr("n").execute()):
        with pytest.raises(AllStoresDown) as error:
            call()
        assert WRONG not in f"{error.value!r} {error.value}"
    assert hybrid.status().local.reason == "wrong user name or password"
    assert WRONG not in everything_shown(hybrid) + said()


# -- costs


def calls(store: redis.Redis) -> int:
    """Commands that the store has run so far, but for this question and for connections that are made ready."""
    return sum(times for name, times in commands(store).items() if name not in (*CONNECTING, "info"))


def test_a_write_costs_the_cloud_one_command_and_silence_costs_nothing(stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, stores.cloud.url, ack="local")
    hybrid.set("first", 1)
    assert hybrid.wait_in_sync(10)
    with client(stores.cloud.url) as cloud:
        before = calls(cloud)
        for n in range(2000):
            hybrid.set(f"k:{n % 100}", n)
        assert hybrid.wait_in_sync(10)
        assert calls(cloud) - before <= 2000 * 1.05 + 20

        idle = calls(cloud)
        time.sleep(2)  # nothing happens: there is no condition to wait for
        assert calls(cloud) == idle, "the cloud is asked nothing before 30 s of silence"


def test_local_reads_cost_the_cloud_nothing(stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, stores.cloud.url)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(10)
    with client(stores.cloud.url) as cloud:
        before = calls(cloud)
        for _ in range(200):
            hybrid.strlen("k")
            hybrid.keys()
            hybrid.status()
        assert calls(cloud) == before


def test_waiting_costs_the_cloud_nothing(stores: Stores, open_client: Open) -> None:
    hybrid = open_client(stores.local.url, stores.cloud.url)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(10)
    with client(stores.cloud.url) as cloud:
        before = calls(cloud)
        assert hybrid.blpop("l", timeout=1) is None
        assert hybrid.bzpopmin("z", timeout=0.2) is None
        assert calls(cloud) == before


def test_a_pool_names_the_local_store(stores: Stores, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UPSTASH_REDIS_URL", stores.cloud.url)
    pool = redis.ConnectionPool.from_url(f"{stores.local.url}/0", decode_responses=True, socket_timeout=9)
    parts = {"host": "127.0.0.1", "port": stores.local.port, "decode_responses": True, "ack": "local"}
    for opened in (HybridRedis(connection_pool=pool), HybridRedis.from_pool(pool), HybridRedis(**parts)):
        with opened as hybrid:
            hybrid.set("k", "v")
            assert hybrid.get("k") == "v"
            assert hybrid.settings.cloud_url == stores.cloud.url
    assert (hybrid.settings.ack, hybrid.live.pinned) == (Ack.LOCAL, ("ack",))
    monkeypatch.delenv("UPSTASH_REDIS_URL")
    with HybridRedis.from_urls(stores.local.url, stores.cloud.url, ack="local") as hybrid:
        assert HybridRedis.from_pool(hybrid.connection_pool).settings == hybrid.settings
    secret = redis.ConnectionPool.from_url("rediss://me:p%40ss@host:7/0")
    with HybridRedis(connection_pool=secret) as hybrid:
        assert hybrid.settings.local_url == "rediss://me:p%40ss@host:7/0"
    made = HybridRedis(host="::1", password="p@ss", ssl=True, cloud_url=stores.cloud.url).settings
    assert (made.local_url, made.cloud_url) == ("rediss://:p%40ss@[::1]:6379/0", stores.cloud.url)
    for wrong, words in (({}, "from_env"), ({"settings": "localhost"}, "from_env"), ({"port": 1, "no": 1}, "'no'")):
        with pytest.raises(ConfigurationError, match=words):
            HybridRedis(**wrong)


def test_a_client_of_one_connection_outlives_the_one_it_came_from(stores: Stores) -> None:
    hybrid = HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT).client()
    assert hybrid.set("k", "v") and hybrid.get("k") == b"v"
    hybrid.set_response_callback("GET", lambda reply: "mine")
    assert hybrid.get("k") == "mine" and hybrid.client().client().get("k") == "mine"


def test_fastest_reads_where_answers_come_sooner(stores: Stores, open_client: Open) -> None:
    with Link("127.0.0.1", stores.local.port, round_trip_s=0.04) as far, client(stores.cloud.url) as cloud:
        hybrid = open_client(far.url, stores.cloud.url, read_preference="fastest", **PATIENT)
        hybrid.set("k", "v")
        assert hybrid.wait_in_sync(10)
        cloud.config_resetstat()
        assert hybrid.get("k") == b"v"
        assert cloud.info("commandstats")["cmdstat_get"]["calls"] == 1


def test_a_connection_that_is_opened_while_the_client_closes_is_closed(stores: Stores) -> None:
    hybrid = HybridRedis.from_urls(stores.local.url, stores.cloud.url, **PATIENT)
    hybrid.start()
    endpoint = hybrid._engine.endpoints[Store.LOCAL]
    late = endpoint.connect()
    hybrid.close()
    endpoint.give(endpoint.generation, late)
    assert not late.is_connected
    assert endpoint.idle == 0


def test_a_class_derived_from_a_client_has_private_names_of_its_own(stores: Stores) -> None:
    class Derived(HybridRedis):  # as walrus' Database
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._scripts = self._encoding = self._errors = None

    with Derived(settings=Settings(local_url=stores.local.url, cloud_url=stores.cloud.url)) as derived:
        assert derived.set("ключ", "v") and derived.get("ключ") == b"v"
        assert derived.eval("return redis.call('INCR', 'n')", 0) == 1
        assert_equal(derived, stores)
