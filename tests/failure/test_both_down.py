"""Both stores down: refused at once, on what is known, and recovered from by itself when one of them returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rig import HEAL_S, Rig
from servers import wait_until

from hybrid import AllStoresDown, HybridRedis, Store
from hybrid.replication.watcher import RETRY_S
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.processes import ServerProcess

COMMANDS: dict[str, Callable[[HybridRedis], Any]] = {
    "GET": lambda client: client.get("k"),
    "SET": lambda client: client.set("k", 1),
    "INCR": lambda client: client.incr("n"),
    "BLPOP": lambda client: client.blpop("l", 1),
    "SCAN": lambda client: client.scan(),
    "PUBLISH": lambda client: client.publish("c", "m"),
    "pipeline": lambda client: client.pipeline().incr("n").get("k").execute(),
    "transaction": lambda client: client.transaction(lambda pipe: pipe.multi(), "k"),
}


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the threads that tried to connect."""
    attempts: list[str] = []
    connect = Endpoint.connect

    def counted(self: Endpoint, **overrides: Any) -> Any:
        attempts.append(threading.current_thread().name)
        return connect(self, **overrides)

    monkeypatch.setattr(Endpoint, "connect", counted)
    yield attempts


def is_degraded(client: HybridRedis) -> bool:
    routes = client._board.routes
    return routes.writer is None and not routes.reads


def lose(client: HybridRedis, fail: Callable[[ServerProcess], None], rig: Rig) -> None:
    """Take both stores away, and go on writing until that is known."""
    for server in (rig.cloud, rig.local):
        fail(server)

    def known() -> bool:
        with pytest.raises(AllStoresDown):
            for _ in range(1000):
                client.set("k", "lost")
        return is_degraded(client)

    wait_until(known, "both stores known to be down", HEAL_S)


@pytest.mark.parametrize("fail", [ServerProcess.kill, ServerProcess.pause], ids=["refused", "hung"])
def test_refused_at_once_and_recovered(rig: Rig, connecting: list[str], fail: Callable[[ServerProcess], None]) -> None:
    rig.link(Store.CLOUD, 0.02)
    client = rig.client()
    client.set("k", 0)
    lose(client, fail, rig)
    me = threading.current_thread().name
    connecting.clear()
    for name, command in COMMANDS.items():
        with pytest.raises(AllStoresDown):
            print(name, command(client))
    assert me not in connecting, "a command waited for a connection to a store that is known to be down"
    loaded: list[int] = []
    assert client.get_or_load("cached", lambda: loaded.append(1) or 7, ex=60) == 7
    assert client.cached(ex=60)(lambda: 8)() == 8
    assert loaded
    assert me not in connecting
    for server in (rig.local, rig.cloud):
        server.start()
        server.resume()
    rig.wait_well(client)
    client.set("k", "found")
    rig.assert_healed(client)
    assert client.get("k") == b"found"


@pytest.mark.parametrize("first", list(Store))
def test_one_that_returns_is_enough(rig: Rig, first: Store) -> None:
    rig.link(Store.CLOUD, 0.02)
    client = rig.client()
    client.set("before", 1)
    lose(client, ServerProcess.kill, rig)
    servers = {Store.LOCAL: rig.local, Store.CLOUD: rig.cloud}
    servers[first].start()
    wait_until(lambda: not is_degraded(client), f"work on the {first} store alone", HEAL_S)
    client.set("alone", first)
    assert client.incr("n") == 1
    assert client.get("alone") == first.encode()
    assert client.get_or_load("cached", lambda: 7, ex=600) == 7
    assert client.get("cached") == b"7"
    servers[first.other].start()
    rig.assert_healed(client)
    assert client.mget("before", "alone", "n", "cached") == [b"1", first.encode(), b"1", b"7"]


def test_a_store_that_has_just_come_back_is_found(rig: Rig) -> None:
    """Nobody has noticed its return, because it is tried once a second by then, when the other one is lost."""
    client = rig.client()
    client.set("k", 0)
    rig.cloud.kill()
    watcher = client._engine.reach.watchers[Store.CLOUD]
    wait_until(lambda: watcher._pause_s >= RETRY_S[Store.CLOUD][1], "long pauses between the attempts", HEAL_S)
    rig.cloud.start()
    rig.local.kill()
    client.set("k", 1)
    assert client.get("k") == b"1"
