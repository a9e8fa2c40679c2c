"""What the clients of one protocol version share: connections, and turns at the stores."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from proxy.conftest import Open
from proxy.rig import Raw
from servers import Stores, client, wait_until

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
