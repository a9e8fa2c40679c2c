"""What the clients of one protocol version share: connections, and turns at the stores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from proxy.conftest import Open
from proxy.rig import Raw
from servers import Stores, client, wait_until

from hybrid.core.actions import Ask, Commit
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent
from hybrid.core.routing import Routes
from hybrid.core.transaction import hint
from hybrid.proxy import ProxyServer, lanes
from hybrid.replication.engine import Engine
from hybrid.types import Store, StoreState


def test_a_crowd_waits_for_its_turn(proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    most = lanes.SLOTS[Store.LOCAL]
    full, go, lock, now = threading.Event(), threading.Event(), threading.Lock(), 0
    peak = 0
    perform = Engine.perform

    def counted(engine: Engine, action: Any) -> Any:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
            if now >= most:
                full.set()
        go.wait(10)
        try:
            return perform(engine, action)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(Engine, "perform", counted)
    answers: list[bytes] = []

    def ask() -> None:
        with Raw(proxy.address) as raw:
            answers.extend(raw.ask("GET k"))

    crowd = [threading.Thread(target=ask) for _ in range(3 * most)]
    for each in crowd:
        each.start()
    assert full.wait(10)
    wait_until(lambda: len(proxy.identities()) >= 3 * most, "the whole crowd")
    go.set()
    for each in crowd:
        each.join()
    assert answers == [b"$-1\r\n"] * (3 * most)
    assert peak == most


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2 * max(lanes.SLOTS.values())) as pool:
        yield pool


class Relayed:
    """The engine of a lane whose writes another process runs, which answers none of them until it is let go."""

    def __init__(self, proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = proxy.lane(2)._engine
        self.go = threading.Event()
        self.asked = 0
        self._lock = threading.Lock()
        monkeypatch.setattr(self.engine, "board", self)
        monkeypatch.setattr(Engine, "perform", self._perform)
        self.routes = Routes((Store.CLOUD,), Store.CLOUD, claim=True, confirm=False, relayed=True)
        self.write = Commit(Store.LOCAL, hint(Names(), []), relayed=True)

    def state(self, store: Store) -> StoreState:
        return StoreState.DOWN if store is Store.LOCAL else StoreState.UP

    def _perform(self, action: Any) -> Any:
        if isinstance(action, Commit):
            with self._lock:
                self.asked += 1
            self.go.wait(60)
        return "done"


def test_what_waits_for_another_process_keeps_nobody_from_the_store(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> None:
    relayed, most = Relayed(proxy, monkeypatch), max(lanes.SLOTS.values())
    writes = [threads.submit(relayed.engine.perform, relayed.write) for _ in range(most)]
    wait_until(lambda: relayed.asked == most, "all to be asked")
    try:
        assert threads.submit(relayed.engine.perform, Ask(Store.CLOUD, b"")).result(10) == "done"
    finally:
        relayed.go.set()
    assert {write.result(10) for write in writes} == {"done"}


def test_what_waited_for_its_turn_asks_nobody_who_has_not_answered_the_others(
    proxy: ProxyServer, monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> None:
    relayed, most = Relayed(proxy, monkeypatch), lanes.SLOTS[lanes.RELAYED]
    writes = [threads.submit(relayed.engine.perform, relayed.write) for _ in range(most)]
    wait_until(lambda: relayed.asked == most, "all to be asked")
    late = threads.submit(relayed.engine.perform, relayed.write)
    relayed.routes = replace(relayed.routes, relayed=False)
    relayed.go.set()
    with pytest.raises(NotSent):
        late.result(10)
    assert relayed.asked == most
    assert {write.result(10) for write in writes} == {"done"}


def test_both_protocols_use_one_engine_and_connections_of_their_own(proxy: ProxyServer) -> None:
    two, three = proxy.lane(2), proxy.lane(3)
    assert two is proxy.lane(2) and two is not three
    assert two._board is three._board is proxy.client._board
    assert two.endpoints[Store.LOCAL] is not three.endpoints[Store.LOCAL]


def test_what_goes_to_the_stores_is_counted_as_the_client_s(proxy: ProxyServer) -> None:
    meter = proxy.client._engine.endpoints[Store.LOCAL].meter
    before = sum(numbers[0] for numbers in meter.totals().values())
    with Raw(proxy.address) as raw:
        raw.ask(*["GET k"] * 50)
    assert sum(numbers[0] for numbers in meter.totals().values()) >= before + 50


def test_connections_follow_what_the_client_learns(open_proxy: Open, stores: Stores) -> None:
    server = open_proxy()
    with client(server.url, protocol=2) as r:
        r.set("k", "v")
        lane = server.lane(2)
        wait_until(lambda: lane.endpoints[Store.CLOUD].idle > 0, "warm connections to the cloud store")
        server.client.change_settings(local_timeout_s=2.5)
        assert r.get("k") == b"v"
        assert lane.endpoints[Store.LOCAL].timeout_s == 2.5
        stores.cloud.kill()
        wait_until(lambda: server.client.status().cloud.state is StoreState.DOWN, "the loss of the cloud store")  # type: ignore[union-attr]
        assert r.get("k") == b"v"
