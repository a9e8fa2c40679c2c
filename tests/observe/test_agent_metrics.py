"""What an agent knows of all processes: counters that grow, `/metrics`, who is active."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis.observability import recorder as redis_recorder
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis
from hybrid.agent import Agent
from hybrid.core.divergence import Divergence
from hybrid.core.histogram import BUCKETS, upper_us
from hybrid.core.names import Names
from hybrid.observe import divergence, prometheus
from hybrid.observe.routes import agent_routes
from hybrid.ops import metrics_tail
from hybrid.replication import election
from hybrid.replication.board import Board
from hybrid.replication.election import Election
from hybrid.types import Store

NAMES = Names()


@pytest.fixture
def stores(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def agent(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    for module in (metrics_tail, divergence):
        monkeypatch.setattr(module, "INTERVAL_S", 0.05)
    monkeypatch.setattr(election, "RENEW_S", dict.fromkeys(Store, 0.05))
    urls = {"local_url": stores.local.url, "cloud_url": stores.cloud.url}
    with Agent.open(None, standing=True, **urls) as opened:
        opened.start()
        yield opened


def test_the_health_document_says_how_far_the_stores_agree(stores: Stores, agent: Agent) -> None:
    wait_until(lambda: agent.observer.ready, "the first look")
    assert agent.health()[1]["divergence"] is None, "nothing was compared yet"
    noted = Divergence(sampled=200, differed=1, open_differences=1, oldest_since_s=time.time() - 60, checked_at_s=5.0)
    with client(stores.local.url) as local:
        local.set(NAMES.divergence, noted.packed)
    wait_until(lambda: agent.health()[1]["divergence"], "it is known")
    found = agent.health()[1]["divergence"]
    assert (found["equal_share"], found["open_differences"], found["checked_at_s"]) == (0.995, 1, 5.0)
    assert 60 <= found["oldest_s"] < 120


def scraped(agent: Agent) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    reply = agent_routes(agent)["/metrics"]()
    assert reply.code == 200, reply.body
    families = text_string_to_metric_families(reply.body.decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_prometheus_gets_the_counts_of_all_processes(stores: Stores, agent: Agent) -> None:
    assert agent.metrics is not None
    wait_until(lambda: agent.observer.ready and agent.metrics and agent.metrics._place is not None, "it follows")
    for _ in range(2):
        with HybridRedis.from_urls(stores.local.url, stores.cloud.url) as application:
            for _ in range(25):
                application.set("key", "value")
    strings = (("group", "strings"), ("store", "local"))
    wait_until(lambda: scraped(agent).get(("hybrid_command_duration_seconds_count", strings)) == 50, "both are there")
    samples = scraped(agent)
    infinite = ("hybrid_command_duration_seconds_bucket", (*strings[:1], ("le", "+Inf"), *strings[1:]))
    assert samples[infinite] == 50
    assert samples["hybrid_store_up", (("store", "local"),)] == 1
    assert samples["hybrid_store_authority", (("store", "cloud"),)] == 0
    assert samples["hybrid_store_commands_total", (("purpose", "application"), ("store", "local"))] > 100
    assert agent.health()[1]["cost"] is not None
    with client(stores.cloud.url) as cloud:
        cloud.client_kill_filter(skipme=True, _type="normal")
    again = scraped(agent)
    assert all(again[name] >= value for name, value in samples.items() if name[0].endswith(("_total", "_count")))


def test_exported_bounds_are_bounds_of_our_buckets() -> None:
    ends = {upper_us(bucket) for bucket in range(BUCKETS)}
    assert set(prometheus.BUCKETS) <= ends, "else what lies across a bound would be counted above it"


def test_gauges_of_the_observer_are_recorded_by_the_agent(agent: Agent) -> None:
    expected = {"lag_entries", "conflicts", "keys.local", "keys.cloud", "memory_bytes.local", "memory_bytes.cloud"}
    wait_until(lambda: expected <= set(agent.client.recorder.take(0, 10).gauges), "facts of both stores")
    assert agent.client.recorder.take(0, 10).gauges["keys.local"] == 0


def test_one_agent_is_active_and_another_takes_over_at_once(stores: Stores, agent: Agent) -> None:
    wait_until(lambda: agent.is_active, "the only agent is active")
    engine = agent.client._engine
    second = Election(engine.endpoints, engine.board, NAMES)
    second.start()
    with client(stores.local.url) as local:
        calls = local.info("commandstats")["cmdstat_eval"]["calls"]
        wait_until(lambda: local.info("commandstats")["cmdstat_eval"]["calls"] > calls + 4, "both have asked")
    assert (agent.is_active, second.is_active) == (True, False)
    assert agent.election is not None
    agent.election.close()
    assert not agent.is_active
    wait_until(lambda: second.is_active, "the second one is active")
    looks: list[Store] = []
    second._board = cast(Board, SimpleNamespace(authority=engine.board.authority, reachable=looks.append))
    wait_until(lambda: len(looks) > 2, "it looks for a store to ask, and finds none")
    assert second.is_active, "who was active goes on, also when nobody can be asked"
    second.close()


def test_the_active_agent_comes_first_where_the_lease_moves() -> None:
    reachable = {Store.LOCAL, Store.CLOUD}
    board = SimpleNamespace(authority=SimpleNamespace(store=Store.LOCAL), reachable=reachable.__contains__)
    active, standing_by = (Election({}, cast(Board, board), NAMES) for _ in range(2))
    active.is_active, active._store, standing_by._store = True, Store.LOCAL, Store.LOCAL
    patience_s = election.PATIENCE_S
    assert active._place(0.0) is standing_by._place(0.0) is Store.LOCAL
    reachable.remove(Store.LOCAL)
    assert active._place(1.0) is Store.CLOUD
    assert standing_by._place(1.0) is None, "else both were active when the outage is to be told"
    assert standing_by._place(1.0 + patience_s) is Store.CLOUD
    active._store = standing_by._store = Store.CLOUD
    assert active._place(19.0) is standing_by._place(19.0) is Store.CLOUD
    reachable.add(Store.LOCAL)
    assert active._place(20.0) is Store.LOCAL
    assert standing_by._place(20.0) is None
    assert standing_by._place(20.0 + patience_s) is Store.LOCAL
    assert Election({}, cast(Board, board), NAMES)._place(0.0) is Store.LOCAL, "who starts has nothing to wait for"


def test_redis_pys_own_telemetry_is_fed_when_it_is_on(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(redis_recorder, "is_enabled", lambda: True)
    monkeypatch.setattr(redis_recorder, "record_operation_duration", lambda *args, **_: seen.append(args))
    with HybridRedis.from_urls(stores.local.url) as application:
        application.get("key")
    names = {(name, host, port, database) for name, _, host, port, database, *_ in seen if isinstance(name, str)}
    assert ("GET", "127.0.0.1", stores.local.port, "0") in names
