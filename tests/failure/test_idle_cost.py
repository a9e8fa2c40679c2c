"""What an idle application costs on the cloud store: counted for a while, and taken for a day."""

from __future__ import annotations

import time

import pytest
import redis
from rig import Rig
from servers import client, wait_until

from hybrid.agent import Agent
from hybrid.replication import watcher
from hybrid.types import Store

COUNTED_S = 3.0
SPED_UP = 60
"""The PING after silence comes this much more often here, so that seconds of counting tell of a day."""

MOST_A_DAY = 10_000
DAY_S = 86_400


def commands(connection: redis.Redis) -> dict[str, int]:
    stats = connection.info("commandstats")
    return {name.removeprefix("cmdstat_"): row["calls"] for name, row in stats.items() if name != "cmdstat_info"}


def test_an_idle_application_costs_less_than_ten_thousand_commands_a_day(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual_s = watcher.SILENCE_S
    monkeypatch.setattr(watcher, "SILENCE_S", {**usual_s, Store.CLOUD: usual_s[Store.CLOUD] / SPED_UP})
    application = rig.client()
    application.set("key", "value")
    assert application.wait_in_sync(5)
    with client(rig.cloud.url) as cloud:
        cloud.ping()
        settled_at = commands(cloud)["ping"] + 4
        wait_until(lambda: commands(cloud)["ping"] >= settled_at, "nothing but PINGs")
        before, began_s = commands(cloud), time.monotonic()
        wait_until(lambda: time.monotonic() - began_s > COUNTED_S, "time without traffic")
        counted_s = time.monotonic() - began_s
        grown = {name: calls - before.get(name, 0) for name, calls in commands(cloud).items()}
    pings = grown.pop("ping")
    assert pings >= 2, "the test sees what there is"
    a_day = (pings / SPED_UP + sum(grown.values())) / counted_s * DAY_S
    assert a_day < MOST_A_DAY, grown


def test_an_agent_that_only_watches_is_counted_too(rig: Rig) -> None:
    with Agent.open(None, standing=True, local_url=rig.local_url, cloud_url=rig.cloud_url) as agent:
        agent.start()
        wait_until(lambda: agent.observer.ready and agent.health()[1]["status"] == "healthy", "healthy")
        traffic = agent.client._engine._traffic()
        wait_until(lambda: agent.client._engine._traffic()["cloud", "panel"][0] > 2, "the observer has read the cloud")
        by_purpose = {purpose: numbers[0] for (store, purpose), numbers in traffic.items() if store == "cloud"}
        assert set(by_purpose) == {"application", "shipping", "health", "sync", "panel"}
        assert by_purpose["health"] > 0
