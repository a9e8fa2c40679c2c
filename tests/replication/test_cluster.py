"""A real cluster as the cloud store: it gets everything, key by key in order, and never takes the writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cluster import Cluster
from servers import Pool, client, wait_until

from hybrid import AllStoresDown, ConfigurationError, HybridError, HybridRedis, Settings, Store, StoreState
from hybrid.aio import HybridRedis as AsyncHybridRedis
from hybrid.ops.diff import Cause, DiffFile, DiffOptions, run_diff
from hybrid.ops.failover import failover
from hybrid.ops.pair import Origin, pair
from hybrid.ops.sync import periodic
from hybrid.ops.sync.periodic import AntiEntropy
from hybrid.ops.sync.run import Direction, Policy, apply_plan, fill_store, plan_sync, undo_sync
from hybrid.proxy import ProxyServer
from hybrid.stores.processes import ServerProcess

PATIENT = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0}
Open = Callable[..., HybridRedis]


@pytest.fixture
def local(server_pool: Pool) -> ServerProcess:
    """Of the nodes' kind, so that values can be compared as dumps."""
    return server_pool.get("redis", "local")


@pytest.fixture
def hybrid(local: ServerProcess, cluster: Cluster) -> Iterator[HybridRedis]:
    with HybridRedis.from_urls(local.url, cluster.url, **PATIENT) as opened:
        yield opened


def values(states: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: dump for key, dump in states.items() if not key.startswith(b"hybrid:")}


def assert_equal(hybrid: HybridRedis, local: ServerProcess, cluster: Cluster) -> int:
    wait_until(lambda: hybrid.wait_in_sync(1), "both stores in sync", 20)
    with client(local.url) as here:
        expected = values({key: here.dump(key) for key in here.scan_iter(count=1000)})
    assert values(cluster.states()) == expected
    return len(expected)


def write_of_each_kind(hybrid: HybridRedis, prefix: str) -> None:
    hybrid.mset({f"{prefix}{number}": number for number in range(50)})
    hybrid.rename(f"{prefix}1", f"{prefix}renamed")
    hybrid.pipeline().incr(f"{prefix}2").rename(f"{prefix}3", f"{prefix}4").incr(f"{prefix}4").execute()
    hybrid.pipeline(transaction=False).incr(f"{prefix}4").incr(f"{prefix}5").delete(f"{prefix}6").execute()
    hybrid.sadd(f"{prefix}s1", 1, 2, 3)
    hybrid.sadd(f"{prefix}s2", 2)
    hybrid.sdiffstore(f"{prefix}s3", [f"{prefix}s1", f"{prefix}s2"])
    hybrid.spop(f"{prefix}s1")
    hybrid.rpush(f"{prefix}l", *range(100))
    hybrid.lmove(f"{prefix}l", f"{prefix}l2")
    hybrid.hset(f"{prefix}h", mapping={"f": 1, "g": 2})
    hybrid.zadd(f"{prefix}z", {"a": 1, "b": 2})
    hybrid.xadd(f"{prefix}x", {"f": "v"})
    hybrid.set(f"{prefix}expires", 1, ex=1000)
    hybrid.set(f"{prefix}large", "v" * 1_500_000)


def test_everything_arrives_whether_it_crosses_slots_or_not(
    hybrid: HybridRedis, local: ServerProcess, cluster: Cluster
) -> None:
    write_of_each_kind(hybrid, "k")
    assert assert_equal(hybrid, local, cluster) > 50
    assert all(node.dbsize() > 5 for node in cluster.asked), "every node has some"
    with hybrid.store(Store.CLOUD) as cloud:
        assert cloud.get("k4") == b"5"
    hybrid.flushall()
    hybrid.set("after", 1)
    assert assert_equal(hybrid, local, cluster) == 1


def test_a_slot_moves_while_its_keys_are_written(hybrid: HybridRedis, local: ServerProcess, cluster: Cluster) -> None:
    def write() -> None:
        for number in range(50):
            hybrid.rpush(f"{{k}}{number % 3}", number)
            hybrid.pipeline().incr("{k}count").incr(f"other{number % 20}").execute()

    write()
    before = cluster.owner(b"k")
    with cluster.moving(b"k"):
        hybrid.set("{k}new", 1)
        write()
    write()
    assert cluster.owner(b"k") != before
    assert_equal(hybrid, local, cluster)
    assert cluster.asked[cluster.owner(b"k")].get("{k}count") == b"150"


def test_a_node_is_killed_and_comes_back(hybrid: HybridRedis, local: ServerProcess, cluster: Cluster) -> None:
    write_of_each_kind(hybrid, "before")
    cluster.nodes[1].kill()
    write_of_each_kind(hybrid, "without")
    wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN, "the cluster counting as down")  # type: ignore[union-attr]
    assert hybrid.status().authority is Store.LOCAL
    cluster.nodes[1].start()
    assert_equal(hybrid, local, cluster)


def test_while_local_is_down_the_cluster_is_read_and_not_written(
    hybrid: HybridRedis, local: ServerProcess, cluster: Cluster
) -> None:
    hybrid.mset({f"k{number}": number for number in range(100)})
    assert_equal(hybrid, local, cluster)
    local.kill()
    assert hybrid.mget("k1", "k2") == [b"1", b"2"]
    assert sum(1 for _ in hybrid.scan_iter("k*")) == 100
    assert hybrid.dbsize() == 100
    with pytest.raises(AllStoresDown, match="a cluster takes none in its place"):
        hybrid.set("k1", "new")
    local.start()  # it kept nothing
    # Both may be equal a moment before the local store takes writes again.
    wait_until(lambda: hybrid.wait_in_sync(1) and hybrid.status().authority is Store.LOCAL, "the refill", 20)
    assert hybrid.incr("k1") == 2
    assert assert_equal(hybrid, local, cluster) == 100


def test_diff_sync_and_undo(hybrid: HybridRedis, local: ServerProcess, cluster: Cluster, tmp_path: Path) -> None:
    def differences() -> DiffFile:
        options = DiffOptions(looks=1, pause_s=0.05)
        return run_diff(hybrid.store(Store.LOCAL), hybrid.store(Store.CLOUD), tmp_path, options=options)

    write_of_each_kind(hybrid, "k")
    assert_equal(hybrid, local, cluster)
    with hybrid.store(Store.CLOUD) as cloud:
        cloud.set("k10", "drifted")
        cloud.delete("k11", "k12")
        cloud.set("extra", 1)
        cloud.pexpire("kh", 100_000)
    planted = {b"k10": Cause.VALUE, b"k11": Cause.ONLY_LOCAL, b"k12": Cause.ONLY_LOCAL}
    planted |= {b"extra": Cause.ONLY_CLOUD, b"kh": Cause.TTL}
    found = differences()
    assert {difference.key: difference.causes[0] for difference in found.differences()} == planted
    plan = plan_sync(hybrid, found.differences, Policy(Direction.LOCAL_TO_CLOUD, delete_extras=True))
    apply_plan(hybrid, plan, confirmed=plan.confirmation)
    assert_equal(hybrid, local, cluster)
    undo_sync(hybrid)
    found = differences()
    assert {difference.key: difference.causes[0] for difference in found.differences()} == planted
    plan = plan_sync(hybrid, found.differences, Policy(Direction.CLOUD_TO_LOCAL, delete_extras=True))
    apply_plan(hybrid, plan, confirmed=plan.confirmation)
    assert_equal(hybrid, local, cluster)
    assert hybrid.get("k10") == b"drifted"


def test_a_fill_and_the_periodic_sync(
    hybrid: HybridRedis, local: ServerProcess, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = SimpleNamespace(**vars(time))  # in the night, little of the day's commands may be spent yet
    noon.time = lambda: 20_000 * 86_400 + 12 * 3600
    noon.gmtime = lambda: time.gmtime(noon.time())
    monkeypatch.setattr(periodic, "time", noon)
    write_of_each_kind(hybrid, "k")
    keys = assert_equal(hybrid, local, cluster)
    with hybrid.store(Store.CLOUD) as cloud:
        for number in range(20, 40):
            cloud.delete(f"k{number}")
        assert fill_store(hybrid).copied == 20
        assert assert_equal(hybrid, local, cluster) == keys
        for number in range(20):
            cloud.set(f"direct{number}", number)
        cloud.delete("k20")
        cloud.set("k21", "written directly")
    assert AntiEntropy(hybrid._engine).step().repaired_today == 22
    assert assert_equal(hybrid, local, cluster) == keys + 20
    assert hybrid.mget("direct1", "k20", "k21") == [b"1", b"20", b"written directly"]


def test_a_cluster_that_lost_its_data_is_refilled(local: ServerProcess, cluster: Cluster) -> None:
    with HybridRedis.from_urls(local.url, cluster.url, **PATIENT) as first:
        write_of_each_kind(first, "k")
        first.mset({f"{number}": number for number in range(300)})
        assert_equal(first, local, cluster)
    cluster.refresh()
    with HybridRedis.from_urls(local.url, cluster.url, **PATIENT) as second:
        second.incr("after")
        assert assert_equal(second, local, cluster) > 300


def test_a_full_cluster_and_a_full_local_store_become_a_pair(
    hybrid: HybridRedis, local: ServerProcess, cluster: Cluster
) -> None:
    for number in range(60):
        cluster.asked[cluster.owner(b"k%d" % number)].set(f"k{number}", "cloud")
    with client(local.url) as here:
        here.mset({f"k{number}": "local" for number in range(30, 90)})
    assert pair(hybrid, Origin.CLOUD, author="ana").in_sync
    wait_until(lambda: hybrid.status().authority is Store.LOCAL, "the authority's return")
    assert assert_equal(hybrid, local, cluster) == 60
    assert hybrid.get("k40") == b"cloud"


def test_what_a_cluster_cannot_be_is_refused(local: ServerProcess, cluster: Cluster, hybrid: HybridRedis) -> None:
    with pytest.raises(ConfigurationError, match="must not be a cluster"):
        Settings(local_url=cluster.url)
    with pytest.raises(ConfigurationError, match="the proxy does not serve a cluster"):
        ProxyServer(hybrid)
    with pytest.raises(HybridError, match="the cloud store is a cluster"):
        failover(hybrid, author="ana")

    async def opened() -> Any:
        return AsyncHybridRedis.from_urls(local.url, cluster.url)

    with pytest.raises(ConfigurationError, match="the asyncio client does not serve a cluster"):
        asyncio.run(opened())
