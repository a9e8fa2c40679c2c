"""An outage so long that the log is folded: it stays within its cap, and what it stood for arrives all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rig import HEAL_S, PATIENT, Rig
from servers import client, wait_until

from hybrid import HybridRedis
from hybrid.core.authority import Position
from hybrid.core.shipping import Entry, Group
from hybrid.events import Event, LogFolded
from hybrid.ops.compare import compare
from hybrid.replication import fold, growth, shipper
from hybrid.replication.catch_up import CatchUp
from hybrid.types import Store, StoreState

CAP = 300
WRITES = 2_000


@pytest.fixture(autouse=True)
def small_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "MAX_ENTRIES", CAP)
    monkeypatch.setattr(shipper, "LOOK_S", dict.fromkeys(Store, 0.05))


def write_much(hybrid: HybridRedis) -> None:
    for number in range(WRITES):
        key = number % 40
        if number == WRITES // 2:
            hybrid.flushall()
        hybrid.set(f"string:{key}", number)
        hybrid.rpush(f"list:{key}", number)
        hybrid.hset(f"hash:{key}", str(number % 7), number)
        if number % 10 == 0:
            hybrid.delete(f"list:{key}")


def is_folded(hybrid: HybridRedis) -> bool:
    status = hybrid.status()
    return bool(status.folded_keys) and status.lag_entries is not None and status.lag_entries <= CAP


def assert_equal(rig: Rig) -> None:
    with client(rig.local.url) as local, client(rig.cloud.url) as cloud:
        result = compare(local, cloud)
        assert result.equal > 0
        assert result.different == 0, result.differences


def test_a_folded_log_is_caught_up_with(rig: Rig) -> None:
    hybrid = rig.client(ack="local", **PATIENT)
    for key in ("only before", "string:1"):
        hybrid.set(key, 1)
    assert hybrid.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN, "the outage to be seen", HEAL_S)  # type: ignore[union-attr]
    write_much(hybrid)
    wait_until(lambda: is_folded(hybrid), "the log to be folded", HEAL_S)
    assert not hybrid.wait_in_sync(0.1), "folded keys wait as entries do"
    rig.cloud.start()
    rig.wait_well(hybrid)
    assert hybrid.wait_in_sync(HEAL_S)
    assert hybrid.status().folded_keys == 0
    assert_equal(rig)
    with client(rig.cloud.url) as cloud:
        assert not cloud.exists("only before"), "the store was emptied after that"


def test_a_folded_log_is_merged_when_the_stores_change_places(rig: Rig) -> None:
    """The cloud store returns while the local one is away, and takes writes."""
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.set("string:0", "old")
    assert hybrid.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN, "the outage to be seen", HEAL_S)  # type: ignore[union-attr]
    for number in range(WRITES):
        hybrid.set(f"string:{number % 40}", number)
    wait_until(lambda: is_folded(hybrid), "the log to be folded", HEAL_S)
    rig.local.kill()
    rig.cloud.start()
    wait_until(lambda: hybrid.status().cloud.state is StoreState.UP, "the cloud store to take over", HEAL_S)  # type: ignore[union-attr]
    hybrid.set("string:3", "written on the cloud")
    rig.local.start()
    rig.wait_well(hybrid)
    assert hybrid.wait_in_sync(HEAL_S)
    assert_equal(rig)
    assert hybrid.get("string:3") == b"written on the cloud"
    assert hybrid.get("string:39") == str(WRITES - 1).encode(), "what only the folded log knew is not lost"
    assert hybrid.status().folded_keys == 0


def test_a_log_of_large_values_that_grows_faster_than_it_is_shipped(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few entries, and much memory: nothing is away, the link is slow."""
    monkeypatch.setattr(growth, "MAX_BYTES", 1024 * 1024)
    monkeypatch.setattr(growth, "MEASURE_S", 0.05)
    monkeypatch.setattr(growth, "MAX_ENTRIES", 100_000)
    rig.link(Store.CLOUD, 0.3)
    told: list[Event] = []
    hybrid = rig.client(ack="local", hooks=(told.append,), **PATIENT)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    number = 0
    while not any(isinstance(event, LogFolded) for event in told):
        hybrid.set(f"string:{number % 40}", str(number) * 5_000)
        number += 1
        assert number < 20_000, "the log only grows"
    assert hybrid.wait_in_sync(HEAL_S)
    assert_equal(rig)


@pytest.mark.parametrize(
    ("entries", "size_bytes", "count"),
    [
        (0, 0, fold.LEAST_ENTRIES),
        (200_000, 0, 1000),
        (100_000, 20_000_000, 1000),
        (7_200, 468_000_000, 32),
        (9, 10**9, 8),
    ],
)
def test_a_step_of_the_fold_is_bounded_by_bytes(entries: int, size_bytes: int, count: int) -> None:
    """A step that takes longer than it takes until the lease is renewed does nothing, however often it is tried."""
    assert fold.step_entries(entries, size_bytes) == count


def test_a_transaction_of_more_entries_than_a_step_reads_is_folded(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key that a script writes without having been given it is an entry of its own."""
    monkeypatch.setattr(fold, "STEP_BYTES", 1)
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN, "the outage to be seen", HEAL_S)  # type: ignore[union-attr]
    for _ in range(CAP // 10):
        hybrid.eval("for i = 1, 20 do redis.call('INCR', 'n' .. i) end", 0)
    wait_until(lambda: is_folded(hybrid), "the log to be folded", HEAL_S)
    rig.cloud.start()
    rig.wait_well(hybrid)
    assert hybrid.wait_in_sync(HEAL_S)
    assert_equal(rig)


def test_large_entries_are_read_a_few_at_a_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read 60 MB in one go keeps the local store from answering for as long as it takes to count as down."""
    item, pages = "x" * 100_000, list[int]()
    logged_until = CatchUp._logged_until

    def seen(self: CatchUp, tail: Position, entries: list[Entry]) -> Iterator[Group]:
        pages.append(len(entries))
        return logged_until(self, tail, entries)

    monkeypatch.setattr(CatchUp, "_logged_until", seen)
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.set("before", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    wait_until(lambda: hybrid.status().cloud.state is StoreState.DOWN, "the outage to be seen", HEAL_S)  # type: ignore[union-attr]
    for number in range(2 * CAP // 3):
        hybrid.hset("hash", str(number), item)
    rig.cloud.start()
    rig.wait_well(hybrid)
    assert hybrid.wait_in_sync(HEAL_S)
    assert 0 < max(pages) * len(item) <= growth.PAGE_BYTES
    assert_equal(rig)
