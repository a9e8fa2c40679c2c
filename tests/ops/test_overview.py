from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import ANY

import pytest
from ops.fakes import FakeClient, status
from servers import Stores, client, wait_until

from hybrid.events import Event, InSync, Recovered, StoreDown, StoreUp
from hybrid.ops.facts import ServerFacts, entry_bytes, server_facts
from hybrid.ops.overview import Observer
from hybrid.settings import Settings
from hybrid.stores.link import Link
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store, StoreState

QUICK = {Store.LOCAL: 0.02, Store.CLOUD: 0.02}


@contextmanager
def watching(fake: FakeClient) -> Iterator[Observer]:
    observer = Observer(fake, intervals_s=QUICK)
    observer.start()
    try:
        yield observer
    finally:
        observer.close()


def test_facts_of_both_stores(stores: Stores) -> None:
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        local.mset({"a": 1, "b": 2, "hybrid:identity": "x"})
        cloud.mset({"a": 1, "hybrid:identity": "x"})
    fake = FakeClient(Settings(local_url=stores.local.url, cloud_url=stores.cloud.url), status())
    with watching(fake) as observer:
        wait_until(lambda: len({sample.store for sample in observer.overview().samples}) == 2)
        overview = observer.overview()
    assert overview.cloud is not None
    assert (overview.local.keys, overview.cloud.keys) == (2, 1)
    for facts in (overview.local, overview.cloud):
        assert facts.software is not None and facts.software.split()[0] in ("Redis", "Valkey")
        assert facts.latency_p50_ms is not None and facts.latency_p50_ms > 0
        assert facts.memory_bytes and facts.observed_at_s and facts.clients
        assert facts.memory_limit_bytes is None and facts.eviction_policy == "noeviction"


def test_a_store_whose_user_may_not_ask_for_info(stores: Stores) -> None:
    with client(stores.cloud.url) as cloud:
        cloud.set("a", 1)
        cloud.acl_setuser("app", enabled=True, passwords=["+pw"], commands=["+@all", "-info"], keys=["*"])
    url = stores.cloud.url.replace("://", "://app:pw@")
    fake = FakeClient(Settings(local_url=stores.local.url, cloud_url=url), status())
    with watching(fake) as observer:
        wait_until(lambda: observer.overview().cloud.observed_at_s is not None)
        facts = observer.overview().cloud
    assert facts is not None
    assert (facts.keys, facts.memory_bytes, facts.software) == (1, None, None)
    assert facts.latency_p50_ms is not None


def test_before_the_first_reading_everything_is_unknown(valkey: ServerProcess) -> None:
    overview = Observer(FakeClient(Settings(local_url=valkey.url), status(cloud=None))).overview()
    assert overview.cloud is None
    assert (overview.local.keys, overview.local.software, overview.local.observed_at_s) == (None, None, None)
    assert overview.samples == ()


def test_a_hung_cloud_delays_no_fact_of_the_local_store(stores: Stores) -> None:
    with Link("127.0.0.1", stores.cloud.port, round_trip_s=0.0) as link:
        link.apply(hang=True)
        settings = Settings(local_url=stores.local.url, cloud_url=link.url)
        fake = FakeClient(settings, status(cloud=StoreState.DOWN))
        with watching(fake) as observer:
            wait_until(lambda: len(observer.overview().samples) >= 5, "five samples")
            overview = observer.overview()
            link.heal()
    assert {sample.store for sample in overview.samples} == {Store.LOCAL}
    assert overview.cloud is not None and overview.cloud.observed_at_s is None


def test_an_outage_is_a_gap_in_the_samples_and_the_last_facts_stay(
    server: Callable[..., ServerProcess],
) -> None:
    process = server()
    fake = FakeClient(Settings(local_url=process.url), status(cloud=None))
    with watching(fake) as observer:
        wait_until(lambda: observer.overview().local.keys == 0)
        process.kill()
        wait_until(lambda: observer.overview().samples[-1].keys is None)
        facts = observer.overview().local
    assert (facts.keys, facts.observed_at_s) == (0, ANY)
    assert facts.software is not None


def test_an_event_brings_a_new_status_at_once(valkey: ServerProcess) -> None:
    fake = FakeClient(Settings(local_url=valkey.url), status())
    with watching(fake) as observer:
        wait_until(lambda: observer.overview().status is fake.reported)
        fake.reported = status(StoreState.DOWN)
        fake.events.emit(StoreDown(store=Store.LOCAL, reason="connection refused"))
        wait_until(lambda: observer.overview().local.status.state is StoreState.DOWN, timeout_s=0.8)
        assert [type(event) for event in observer.overview().events] == [StoreDown]


@pytest.mark.parametrize("back", [StoreUp, Recovered, InSync])
def test_a_store_that_is_back_is_read_at_once(back: Callable[..., Event], stores: Stores) -> None:
    fake = FakeClient(Settings(local_url=stores.local.url, cloud_url=stores.cloud.url), status())
    observer = Observer(fake, intervals_s=dict.fromkeys(Store, 3600.0))
    observer.start()
    try:
        wait_until(lambda: observer.overview().cloud.keys == 0)
        with client(stores.cloud.url) as cloud:
            cloud.set("written", "meanwhile")
        more = {"down_s": 1.0} if back is Recovered else {}
        fake.events.emit(back(store=Store.CLOUD, **more))
        wait_until(lambda: observer.overview().cloud.keys == 1)
    finally:
        observer.close()


def test_upstash_says_little_and_that_is_enough() -> None:
    info = {"upstash_version": "1.12.3", "redis_version": "8.2.0", "connected_clients": "many", "db0": {"keys": 7}}
    assert server_facts(info) == ServerFacts(software="Upstash 1.12.3", keys=7)
    assert server_facts({}) == ServerFacts()
    assert server_facts({"maxmemory": 0}).memory_limit_bytes is None


def test_an_entry_of_the_log_is_measured_where_there_is_one(valkey: ServerProcess) -> None:
    with client(valkey.url) as store:
        assert entry_bytes(store) is None
        for _ in range(100):
            store.xadd("hybrid:log", {"v": "x" * 100})
        each = entry_bytes(store)
    assert each is not None
    assert 100 < each < 200
