"""After a time of writing to the local store alone, both are made equal: once, whoever was restarted, in any order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis, StoreState
from hybrid.ops.compare import compare
from hybrid.ops.control import Control
from hybrid.replication import reunion

Open = Callable[..., HybridRedis]


@pytest.fixture
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def open_client(pair: Stores) -> Iterator[Open]:
    opened: list[HybridRedis] = []

    def open_(cloud: bool = True, **settings: Any) -> HybridRedis:
        patience = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0}
        opened.append(HybridRedis.from_urls(pair.local.url, pair.cloud.url if cloud else None, **patience, **settings))
        opened[-1].start()
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def formed(open_client: Open) -> None:
    """Make the two stores a pair that holds something."""
    hybrid = open_client()
    hybrid.mset({"a": 1, "b": 1})
    assert hybrid.wait_in_sync(10)
    hybrid.close()


def is_well(hybrid: HybridRedis) -> bool:
    cloud = hybrid.status().cloud
    return cloud is not None and cloud.state is StoreState.UP and not hybrid._engine.board.apart


def assert_equal(hybrid: HybridRedis, pair: Stores) -> None:
    assert hybrid.wait_in_sync(10)
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        found = compare(local, cloud)
        assert found.identical, found.differences
        assert local.exists("hybrid:apart") == 0


def equalized(hybrid: HybridRedis) -> int:
    return [line.what for line in Control(hybrid).audit()].count("equalized")


@pytest.mark.parametrize("how", [{"write_both": False}, {"cloud": False}], ids=["write_both=False", "no cloud URL"])
def test_restarted_with_both_again(pair: Stores, open_client: Open, how: dict[str, Any]) -> None:
    formed(open_client)
    alone = open_client(**how)
    alone.set("a", 2)
    alone.delete("b")
    alone.close()
    together = [open_client() for _ in range(3)]
    wait_until(lambda: all(is_well(hybrid) for hybrid in together))
    assert_equal(together[0], pair)
    assert equalized(together[0]) == 1


def test_one_is_restarted_after_the_other(pair: Stores, open_client: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reunion, "PATIENCE_S", 0.3)
    formed(open_client)
    alone = open_client(write_both=False)
    alone.set("a", 2)
    first = open_client()
    wait_until(lambda: is_well(first), "it does not wait for ever")
    with client(pair.cloud.url) as cloud:
        assert cloud.get("a") == b"2"
        alone.set("a", 3)
        alone.close()
        wait_until(lambda: cloud.get("a") == b"3", "the rest follows when nobody writes alone any more")
    wait_until(lambda: equalized(first) == 2)
    wait_until(lambda: is_well(first))
    assert_equal(first, pair)


def test_stores_that_were_never_a_pair_are_not_overwritten(pair: Stores, open_client: Open) -> None:
    with client(pair.cloud.url) as cloud:
        cloud.set("somebody", "else")
        alone = open_client(write_both=False)
        alone.set("a", 1)
        alone.close()
        hybrid = open_client()
        hybrid.set("b", 1)
        assert cloud.get("somebody") == b"else"
    assert equalized(hybrid) == 0


def test_in_one_process_alone(pair: Stores, open_client: Open) -> None:
    formed(open_client)
    hybrid = open_client()
    hybrid.change_settings(write_both=False)
    hybrid.set("a", 2)
    hybrid.change_settings(write_both=True)
    wait_until(lambda: is_well(hybrid))
    assert_equal(hybrid, pair)
    assert "dual write is on again" in "\n".join(event.message for event in hybrid.events.recent())
