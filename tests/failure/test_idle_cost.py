"""What idle processes cost on the cloud store: counted for seconds in which everything is sped up, taken for a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from rig import PATIENT, Rig, shipper_pid, state_of
from servers import CONNECTING, client, commands, wait_until

from hybrid.agent import Agent
from hybrid.cli.agent import CLOUD_INTERVAL_S
from hybrid.ops import overview
from hybrid.ops.pair import Origin, pair
from hybrid.ops.sync.periodic import DAILY_COMMANDS
from hybrid.replication import watcher
from hybrid.replication.engine import Engine
from hybrid.replication.lease import RENEW_S
from hybrid.types import Store, StoreState

COUNTED_S = 4.0
SPED_UP = 60
"""What is done from time to time is done this much more often here."""

MOST_A_DAY = 10_000
DAY_S = 86_400
APPLICATIONS = 4


@pytest.fixture
def sped_up(monkeypatch: pytest.MonkeyPatch) -> None:
    usual_s = watcher.SILENCE_S
    monkeypatch.setattr(watcher, "SILENCE_S", {**usual_s, Store.CLOUD: usual_s[Store.CLOUD] / SPED_UP})
    monkeypatch.setattr(watcher, "HEARSAY_S", watcher.HEARSAY_S / SPED_UP)
    monkeypatch.setattr(overview, "OWN_KEYS_INTERVAL_S", overview.OWN_KEYS_INTERVAL_S / SPED_UP)


@pytest.fixture
def open_agent(rig: Rig) -> Iterator[Callable[[float], Agent]]:
    """Start an agent that reads the cloud store's facts every so many seconds, as it does when not sped up."""
    opened: list[Agent] = []

    def open_(cloud_interval_s: float) -> Agent:
        urls = {"local_url": rig.local_url, "cloud_url": rig.cloud_url}
        agent = Agent.open(None, standing=True, cloud_interval_s=cloud_interval_s / SPED_UP, **urls, **PATIENT)
        opened.append(agent)
        agent.start()
        return agent

    yield open_
    for agent in opened:
        agent.close()


@pytest.mark.usefixtures("sped_up")
def test_four_applications_two_agents_and_a_panel_idle_for_less_than_ten_thousand_commands_a_day(
    rig: Rig, open_agent: Callable[[float], Agent]
) -> None:
    applications = [rig.client(**PATIENT) for _ in range(APPLICATIONS)]
    agents = [open_agent(CLOUD_INTERVAL_S), open_agent(CLOUD_INTERVAL_S), open_agent(overview.BILLED_INTERVAL_S)]
    engines = [each._engine for each in (*applications, *(agent.client for agent in agents))]
    applications[0].set("key", "value")
    assert applications[0].wait_in_sync(5)
    wait_until(lambda: all(engine.endpoints[Store.CLOUD].least_idle >= 3 for engine in engines), "all is warm")
    wait_until(lambda: any(agent.client._engine.board.shipping for agent in agents), "an agent ships")
    with client(rig.cloud.url) as cloud:
        before, counted_before, began_s = commands(cloud), by_purpose(engines), time.monotonic()
        wait_until(lambda: time.monotonic() - began_s > COUNTED_S, "time without traffic")
        counted_s = time.monotonic() - began_s
        grown = {name: calls - before.get(name, 0) for name, calls in commands(cloud).items()}
    counted = {purpose: now - counted_before[purpose] for purpose, now in by_purpose(engines).items()}
    made = {name: grown.pop(name, 0) for name in CONNECTING}
    grown = {name: calls for name, calls in grown.items() if calls}
    print(grown, made, counted)
    # A busy machine can seem to be a slow local store: what was shipped last is then told on the cloud's channel, too.
    assert grown.keys() <= {"ping", "info", "exists", "publish"} and grown["ping"] >= 4 and grown["info"] >= 4
    assert counted["health"] >= 4 and counted["panel"] >= 3 and counted["sync"] == 0
    a_day = sum(grown.values()) / SPED_UP / counted_s * DAY_S
    assert a_day + DAILY_COMMANDS < MOST_A_DAY, grown
    assert made["hello"] <= 5, "it ends"


@pytest.mark.usefixtures("sped_up")
def test_while_the_local_store_is_down_nobody_asks_the_cloud_who_ships(rig: Rig) -> None:
    applications = [rig.client(**PATIENT) for _ in range(APPLICATIONS)]
    assert applications[0].wait_in_sync(5)
    rig.local.kill()
    for application in applications:
        wait_until(lambda each=application: state_of(each, Store.LOCAL) is StoreState.DOWN, "all see that it is gone")
        application.set("key", "value")
    wait_until(lambda: not shipper_pid(rig.cloud), "who shipped has given up")
    with client(rig.cloud.url) as cloud:
        before, began_s = commands(cloud), time.monotonic()
        wait_until(lambda: time.monotonic() - began_s > 1.2 * RENEW_S[Store.CLOUD], "a lease would have been renewed")
        grown = {name for name, calls in commands(cloud).items() if calls > before.get(name, 0)}
    looked = {"info", "xlen", "memory|usage"}  # once, who has written
    assert grown - looked - {*CONNECTING} <= {"ping", "hset"}, grown
    rig.local.start()
    rig.wait_well(applications[0])


def test_a_store_that_is_none_of_the_pair_is_not_asked_all_the_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until somebody says whose data counts, which may take days. Each second four commands were sent."""
    monkeypatch.setattr(watcher, "LEFT_ALONE_RETRY_S", 3600.0)
    with client(rig.local.url) as local, client(rig.cloud.url) as cloud:
        local.set("k", "local")
        cloud.set("k", "cloud")
        live = rig.client(**PATIENT)
        pauses = [0.1 * 2**n for n in range(5)]  # the first ones are short
        wait_until(lambda: commands(cloud).get("dbsize", 0) >= len(pauses), "the first looks")
        seen = commands(cloud)["dbsize"]
        time.sleep(COUNTED_S)
        assert commands(cloud)["dbsize"] - seen <= 2
        assert state_of(live, Store.CLOUD) is StoreState.DOWN
        assert pair(live, Origin.LOCAL, author="test", timeout_s=30).in_sync, "who pairs them looks at once"


def by_purpose(engines: list[Engine]) -> dict[str, int]:
    """Commands to the cloud store that were counted, of all processes together."""
    counted = [engine.endpoints[Store.CLOUD].meter.totals() for engine in engines]
    return {purpose.value: sum(totals[purpose][0] for totals in counted) for purpose in counted[0]}
