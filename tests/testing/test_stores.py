"""What `hybrid.testing` gives to users: the faults are real, and end."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from servers import wait_until

from hybrid import HybridRedis, OutcomeUnknown, Store, StoreState
from hybrid.ops.failover import failback, failover
from hybrid.testing import StorePair, two_stores

pytest_plugins = ["hybrid.testing.fixtures"]


def state(client: HybridRedis, store: Store) -> StoreState | None:
    found = getattr(client.status(), store.value)
    return found.state if found else None


def test_the_local_store_dies_and_returns(hybrid_stores: StorePair, hybrid_redis: HybridRedis) -> None:
    hybrid_redis.set("k", "v")
    hybrid_stores.local.kill()
    assert not hybrid_stores.local.running
    assert hybrid_redis.get("k") == "v" and hybrid_redis.incr("n") == 1
    assert hybrid_redis.status().authority is Store.CLOUD
    hybrid_stores.local.restart()
    hybrid_stores.assert_identical()
    with hybrid_stores.local.direct(decode_responses=True) as local:
        assert local.get("n") == "1"


@pytest.mark.parametrize("fault", ["hang", "stall", "cut"])
def test_a_cloud_store_that_cannot_be_used_is_missed(
    hybrid_stores: StorePair, hybrid_redis: HybridRedis, fault: str
) -> None:
    hybrid_redis.set("before", 1)
    getattr(hybrid_stores.cloud, fault)()
    hybrid_redis.set("during", 1)
    wait_until(lambda: state(hybrid_redis, Store.CLOUD) is StoreState.DOWN)
    hybrid_stores.heal()
    hybrid_stores.assert_identical()


def test_a_wiped_store_is_refilled(hybrid_stores: StorePair, hybrid_redis: HybridRedis) -> None:
    hybrid_redis.set("k", "v")
    assert hybrid_redis.wait_in_sync(10)
    hybrid_stores.cloud.wipe()
    hybrid_stores.assert_identical()
    with hybrid_stores.cloud.direct(decode_responses=True) as cloud:
        assert cloud.get("k") == "v"


def test_while_the_cloud_store_takes_the_writes_they_are_not_healthy(
    hybrid_stores: StorePair, hybrid_redis: HybridRedis
) -> None:
    hybrid_redis.set("k", 1)
    hybrid_stores.wait_healthy()
    failover(hybrid_redis, author="test")
    with pytest.raises(AssertionError, match=r"not healthy in 0\.5 s"):
        hybrid_stores.wait_healthy(0.5)
    failback(hybrid_redis, author="test")
    hybrid_stores.wait_healthy()


def test_a_lost_reply_is_not_counted_twice(hybrid_stores: StorePair, hybrid_redis: HybridRedis) -> None:
    hybrid_redis.incr("n")
    hybrid_stores.local.lose_replies()
    with suppress(OutcomeUnknown):
        hybrid_redis.incr("n")
    hybrid_stores.assert_identical()
    assert hybrid_redis.get("n") == "2"


def test_slow_lines_and_short_breaks_are_no_failure(hybrid_stores: StorePair) -> None:
    client = hybrid_stores.client(cloud_timeout_s=3.0)
    hybrid_stores.cloud.delay(0.02)
    hybrid_stores.cloud.slow(1_000_000)
    client.set("k", "v" * 10_000)
    hybrid_stores.cloud.reset_connections()
    client.set("k", "w")
    hybrid_stores.assert_identical()


def test_an_application_is_pointed_at_them(hybrid_stores: StorePair, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in hybrid_stores.environ.items():
        monkeypatch.setenv(name, value)
    with HybridRedis.from_env(None) as client:
        assert client.set("k", 1)
        assert client.status().cloud is not None


def test_without_pytest(tmp_path: Path) -> None:
    with two_stores(tmp_path, persistent=False) as stores:
        stores.client().set("k", 1)
        stores.assert_identical()
    assert not stores.local.running
