"""The register of processes on real stores."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis, Store
from hybrid.core.registry import DROP_S, Presence, Process, Role
from hybrid.ops.control import Control
from hybrid.version import VERSION

Open = Callable[..., HybridRedis]


@pytest.fixture
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def open_client(pair: Stores) -> Iterator[Open]:
    opened: list[HybridRedis] = []

    def open_(name: str, **settings: Any) -> HybridRedis:
        patience = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0}
        opened.append(HybridRedis.from_urls(pair.local.url, pair.cloud.url, name=name, **{**patience, **settings}))
        opened[-1].start()
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def names(control: Control) -> dict[str, Presence]:
    return {process.name: presence for process, presence in control.processes()}


def test_a_process_says_who_it_is_and_signs_off(open_client: Open) -> None:
    shop, other = open_client("shop"), open_client("other", ack="local")
    control = Control(other)
    wait_until(lambda: names(control) == {"shop": Presence.CONNECTED, "other": Presence.CONNECTED})
    wait_until(lambda: {process.role for process, _ in control.processes()} == {Role.SHIPS, Role.STANDS_BY})
    found = {process.name: process for process, _ in control.processes()}
    assert (found["shop"].pid, found["shop"].hybrid_version, found["shop"].write_both) == (os.getpid(), VERSION, True)
    assert set(found["other"].pinned) == {"ack", "local_timeout_s", "cloud_timeout_s"}
    assert abs(found["shop"].started_s - time.time()) < 60
    shop.close()
    wait_until(lambda: names(control) == {"other": Presence.CONNECTED}, "it signed off")


def test_who_falls_silent_is_gone_and_later_dropped(pair: Stores, open_client: Open) -> None:
    hybrid = open_client("shop")
    control = Control(hybrid)
    wait_until(lambda: names(control))
    here = control.processes()[0][0]
    with client(pair.local.url) as local:
        for number, silent_s in enumerate((60.0, DROP_S + 60.0)):
            process = replace(here, id=f"x{number}", name=f"x{number}", seen_s=here.seen_s - silent_s)
            local.hset("hybrid:processes", process.id, process.record)
        local.hset("hybrid:processes", "rubbish", "rubbish")
        assert names(control) == {"shop": Presence.CONNECTED, "x0": Presence.GONE}
        hybrid.registry._beats = -1  # the next report sweeps
        wait_until(lambda: set(local.hkeys("hybrid:processes")) == {here.id.encode(), b"x0"})


def test_while_local_is_down_the_cloud_knows(pair: Stores, open_client: Open) -> None:
    hybrid = open_client("shop")
    hybrid.set("k", 1)
    control = Control(hybrid)
    wait_until(lambda: names(control))
    pair.local.kill()
    hybrid.set("k", 2)
    with client(pair.cloud.url) as cloud:
        wait_until(lambda: cloud.hlen("hybrid:processes") == 1, "it reported to the cloud")
        assert Process.parse(cloud.hvals("hybrid:processes")[0]).name == "shop"
        assert names(control) == {"shop": Presence.CONNECTED}
        pair.local.start()
        wait_until(lambda: cloud.hlen("hybrid:processes") == 0, "it moved back")
    wait_until(lambda: names(control) == {"shop": Presence.CONNECTED})
    assert hybrid._engine.board.reachable(Store.LOCAL)


def test_a_forked_child_is_a_process_of_its_own(pair: Stores, open_client: Open) -> None:
    hybrid = open_client("shop")
    control = Control(hybrid)
    wait_until(lambda: names(control))
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(mouth)
            hybrid.set("k", 1)
            os.read(ear, 1)  # until the parent has seen it
            hybrid.close()
        finally:
            os._exit(0)
    os.close(ear)
    try:
        wait_until(lambda: {process.pid for process, _ in control.processes()} == {os.getpid(), child})
    finally:
        os.close(mouth)
        os.waitpid(child, 0)
    wait_until(lambda: {process.pid for process, _ in control.processes()} == {os.getpid()}, "the child signed off")
