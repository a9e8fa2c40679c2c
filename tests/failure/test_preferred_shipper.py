"""Agents ship rather than applications, and take over in order: nothing is lost, doubled or copied anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from rig import Rig
from servers import client, wait_until

from hybrid import HybridRedis
from hybrid.replication import shipper
from hybrid.replication.lease import TERM_S
from hybrid.types import Health, Store


def open_preferred(rig: Rig, **settings: Any) -> HybridRedis:
    agent = HybridRedis.from_urls(rig.local_url, rig.cloud_url, **settings)
    agent.prefer_shipping()
    agent.start()
    return agent


def test_an_application_hands_the_lease_to_an_agent_while_it_writes(rig: Rig) -> None:
    application = rig.client()
    application.set("n", 0)
    wait_until(lambda: application.status().shipping_here, "the application ships")
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            application.incr("n")
            application.rpush("list", written)
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with open_preferred(rig) as agent:
            wait_until(lambda: agent.status().shipping_here, "the agent ships")
            assert not application.status().shipping_here
            before = written
            wait_until(lambda: written > before + 20, "writes go on")
            with open_preferred(rig) as second:
                assert not second.status().shipping_here, "an agent does not give way to an agent"
                agent.close()
                wait_until(
                    lambda: second.status().shipping_here, "the second agent takes over", TERM_S[Store.LOCAL] * 4
                )
                assert not application.status().shipping_here
        wait_until(lambda: application.status().shipping_here, "without an agent the application ships again")
    finally:
        stop.set()
        writer.join()
    rig.assert_healed(application)
    with client(rig.cloud.url) as cloud:
        assert int(cloud.get("n")) == written
        assert [int(each) for each in cloud.lrange("list", 0, -1)] == list(range(written))


def test_writers_are_confirmed_by_both_stores_while_an_agent_takes_over_on_a_long_way(rig: Rig) -> None:
    """To open its stream takes the agent several round trips, and what was written meanwhile waits as long."""
    rig.link(Store.CLOUD, 0.15)
    application = rig.client(cloud_timeout_s=2.0)
    application.set("n", 0)
    wait_until(lambda: application.status().shipping_here and application.status().health is Health.HEALTHY, "ready")
    stop = threading.Event()
    writers = [threading.Thread(target=lambda: until(stop, lambda: application.incr("n"))) for _ in range(8)]
    for writer in writers:
        writer.start()
    try:
        with open_preferred(rig, cloud_timeout_s=2.0) as agent:
            wait_until(lambda: agent.status().shipping_here, "the agent ships")
            before = application.get("n")
            wait_until(lambda: int(application.get("n")) > int(before) + 20, "writes go on")
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert application.status().unconfirmed_writes == 0


def until(stop: threading.Event, act: Callable[[], object]) -> None:
    while not stop.is_set():
        act()


def test_the_next_shipper_need_not_come_to_look(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers wait for a confirmation while nobody ships: who gives the lease back in order says so."""
    monkeypatch.setattr(shipper, "RENEW_S", dict.fromkeys(Store, 60.0))
    first = rig.client()
    wait_until(lambda: first.status().shipping_here, "the first ships")
    second = rig.client()
    second.set("n", 1)
    first.close()
    wait_until(lambda: second.status().shipping_here, "the second takes over")
