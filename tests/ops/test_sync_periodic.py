"""Anti-entropy over two real stores: what is written past hybrid is found, repaired and measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest
import redis
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis
from hybrid.core.divergence import Divergence
from hybrid.ops.compare import compare
from hybrid.ops.sync import periodic
from hybrid.ops.sync.periodic import AntiEntropy, read_divergence
from hybrid.settings import Settings
from hybrid.types import Store


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture(scope="module")
def hybrid(pair: Stores) -> Iterator[HybridRedis]:
    patience = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0}
    opened = HybridRedis.from_urls(pair.local.url, pair.cloud.url, cloud_price=0.0, **patience)
    with opened:
        opened.start()
        assert opened.wait_in_sync(10)
        yield opened


@pytest.fixture
def both(pair: Stores, hybrid: HybridRedis) -> Iterator[tuple[redis.Redis, redis.Redis]]:
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        hybrid.flushall()
        local.delete("hybrid:divergence")
        hybrid.mset({f"key:{i}": i for i in range(50)})
        assert hybrid.wait_in_sync(10)
        yield local, cloud


def test_a_step_repairs_what_was_written_past_hybrid_and_measures_it(
    hybrid: HybridRedis, both: tuple[redis.Redis, redis.Redis]
) -> None:
    local, cloud = both
    runner = AntiEntropy(hybrid._engine)
    cloud.set("key:1", "from elsewhere")
    cloud.hset("only:cloud", mapping={"a": "1"})
    local.set("only:local", "v")
    cloud.expire("key:2", 1000)
    began_s = time.time()
    found = runner.step()
    assert hybrid.wait_in_sync(10)
    assert compare(local, cloud).identical
    assert local.get("key:1") == b"from elsewhere" and local.hgetall("only:cloud") == {b"a": b"1"}
    assert cloud.get("only:local") == b"v" and local.ttl("key:2") > 900
    assert (found.rounds, found.sampled_before, found.differed_before, found.repaired_today) == (1, 52, 4, 4)
    assert found.equal_share == 1 - 4 / 52
    assert began_s <= found.began_before_s <= found.checked_at_s and found.began_s == 0.0
    assert found.open_differences == 0 and found.oldest_since_s is None
    assert read_divergence(hybrid) == found
    assert runner.step().equal_share == 1 - 0 / 104


@pytest.fixture
def priced(hybrid: HybridRedis) -> Iterator[None]:
    """Commands to the cloud store have their price, as they have unless it is said otherwise."""
    hybrid.change_settings(cloud_price=Settings().cloud_price)
    yield
    hybrid.change_settings(cloud_price=0.0)


@pytest.mark.usefixtures("priced")
def test_equal_stores_are_left_alone_for_few_commands(
    hybrid: HybridRedis, both: tuple[redis.Redis, redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic, "DAILY_COMMANDS", 10_000_000)
    runner = AntiEntropy(hybrid._engine)
    first = runner.step()
    assert first.equal_share == 1.0 and first.rounds == 1
    second = runner.step()
    assert second.cloud_commands_today - first.cloud_commands_today < 10


@pytest.mark.usefixtures("priced")
def test_a_used_up_budget_waits_for_the_next_day(
    hybrid: HybridRedis, both: tuple[redis.Redis, redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = AntiEntropy(hybrid._engine).step()
    monkeypatch.setattr(periodic, "DAILY_COMMANDS", 0)
    both[1].set("key:1", "from elsewhere")
    after = AntiEntropy(hybrid._engine).step()
    assert (after.seen, after.checked_at_s) == (before.seen, before.checked_at_s), "nothing was looked at"
    assert both[0].get("key:1") == b"1"


@pytest.mark.usefixtures("priced")
def test_a_big_store_costs_no_more_than_the_days_share(
    hybrid: HybridRedis, both: tuple[redis.Redis, redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the store does not say that it bills: a day of steps, by a clock of the test's own."""
    hybrid.mset({f"many:{number}": number for number in range(20_000)})
    assert hybrid.wait_in_sync(10)
    clock, runner = SimpleNamespace(**vars(time)), AntiEntropy(hybrid._engine)
    monkeypatch.setattr(periodic, "time", clock)

    def spent_by(hour: int) -> int:
        clock.time = lambda: 20_000 * 86_400 + hour * 3600
        clock.gmtime = lambda: time.gmtime(clock.time())
        return runner.step().cloud_commands_today

    spent = [spent_by(hour) for hour in range(0, 24, 2)]
    assert 0 < spent[0] <= periodic.STEP_COMMANDS and spent[0] < spent[6] < spent[-1] <= periodic.DAILY_COMMANDS


def test_a_newer_local_write_wins(
    hybrid: HybridRedis, pair: Stores, both: tuple[redis.Redis, redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    local, cloud = both
    cloud.set("key:1", "from elsewhere")
    runner = AntiEntropy(hybrid._engine)
    compared = runner._compared

    def compared_then_written(*args: object) -> object:
        found = compared(*args)  # type: ignore[arg-type]
        hybrid.set("key:1", "newer")
        return found

    monkeypatch.setattr(runner, "_compared", compared_then_written)
    runner.step()
    assert hybrid.wait_in_sync(10)
    assert local.get("key:1") == cloud.get("key:1") == b"newer"


def test_a_round_begins_anew_on_a_server_that_has_started_again(
    hybrid: HybridRedis, both: tuple[redis.Redis, redis.Redis], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periodic, "FREE_PAGES", 1)
    monkeypatch.setattr(periodic, "PAGE_KEYS", 10)
    local, _ = both
    runner = AntiEntropy(hybrid._engine)
    halfway = runner.step()
    assert "0" not in (halfway.local_cursor, halfway.cloud_cursor)
    local.set("hybrid:divergence", replace(halfway, cloud_run="of another life").packed)
    anew = runner.step()
    assert anew.cloud_cursor == halfway.cloud_cursor and anew.cloud_run == halfway.cloud_run
    assert anew.local_cursor != halfway.local_cursor


def test_it_runs_by_itself_in_the_process_that_ships(
    hybrid: HybridRedis, both: tuple[redis.Redis, redis.Redis]
) -> None:
    local, cloud = both
    cloud.set("key:1", "from elsewhere")
    hybrid.change_settings(sync_interval_s=0.05)
    try:
        wait_until(lambda: local.get("key:1") == b"from elsewhere", "the repair")
    finally:
        hybrid.change_settings(sync_interval_s=300.0)
    assert hybrid.status().authority is Store.LOCAL


def test_the_record_survives_the_way_to_a_store() -> None:
    record = Divergence(sampled=3, differed=1, oldest_since_s=5.0, day="2026-01-01", repaired_today=2)
    assert Divergence.parse(record.packed) == record
    assert Divergence.parse(None) is Divergence.parse(b"other") is Divergence.parse(b'{"other": 1}') is None
    assert Divergence().equal_share is None and record.equal_share == 1 - 1 / 3
    assert (record.oldest_age_s(7.0), Divergence().oldest_age_s(7.0)) == (2.0, None)
    assert record.on("2026-01-01") is record and record.on("2026-01-02").repaired_today == 0
