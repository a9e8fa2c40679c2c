"""Two stores that both hold data: nothing is overwritten unasked, and on the operator's word they become one pair."""

from __future__ import annotations

import pytest
from rig import HEAL_S, PATIENT, Rig
from servers import client as plain
from servers import wait_until

from hybrid import HybridRedis, Store, StoreState
from hybrid.errors import HybridError
from hybrid.ops import conflicts
from hybrid.ops.pair import Origin, Preview, pair, preview
from hybrid.replication import archive
from hybrid.types import StoreStatus

ARCHIVE = "hybrid:conflicts"


def test_the_first_write_to_two_empty_stores_is_confirmed_by_both(rig: Rig) -> None:
    rig.link(Store.CLOUD, 0.1)
    live = rig.client(ack="both", **PATIENT)
    live.set("first", 1)
    with plain(rig.cloud.url) as cloud:
        assert cloud.get("first") == b"1"


@pytest.fixture
def strangers(rig: Rig) -> Rig:
    """Equal: `same`; different: `k`, `l`; only here or there: `mine`, `theirs`."""
    with plain(rig.local.url) as local, plain(rig.cloud.url) as cloud:
        local.mset({"same": 1, "k": "local", "mine": 1})
        cloud.mset({"same": 1, "k": "cloud", "theirs": 1})
        local.rpush("l", "a")
        cloud.rpush("l", "b", *["x" * 100_000] * 8)
    return rig


def opened(rig: Rig) -> HybridRedis:
    """A live client: the local store serves, the cloud one is left alone and says why."""
    live = rig.client(**PATIENT)
    live.set("written", "live")
    wait_until(lambda: (live.status().cloud or live.status().local).state is StoreState.DOWN, "the cloud is refused")
    return live


def test_nothing_is_overwritten_unasked(strangers: Rig) -> None:
    live = opened(strangers)
    status = live.status()
    assert status.local.state is StoreState.UP
    assert status.cloud is not None and "python -m hybrid pair" in status.cloud.reason
    assert live.get("k") == b"local"
    live.set("k", "newer")
    with plain(strangers.cloud.url) as cloud:
        assert cloud.get("k") == b"cloud"
        assert not cloud.keys("hybrid:*")
    told: list[tuple[str, int, int | None]] = []
    assert preview(live, lambda *step: told.append(step)) == Preview(
        False, equal=1, different=2, only_local=2, only_cloud=1
    )
    assert told[-1][:2] == ("comparing", 9) and told[-1][2] >= 9


def counted(live: HybridRedis, times: int = 5) -> None:
    for _ in range(times):
        live.incr("n")


def test_from_local(strangers: Rig) -> None:
    live, operator = opened(strangers), strangers.client(**PATIENT)
    counted(live)
    assert pair(operator, Origin.LOCAL, author="test").in_sync
    counted(live)
    strangers.assert_healed(live)
    assert live.mget("k", "mine", "theirs", "n", "written") == [b"local", b"1", None, b"10", b"live"]
    assert live.lrange("l", 0, -1) == [b"a"]
    with pytest.raises(HybridError, match="one pair already"):
        pair(operator, Origin.LOCAL, author="test")


def test_from_cloud(strangers: Rig) -> None:
    live, operator = opened(strangers), strangers.client(**PATIENT)
    counted(live)
    assert pair(operator, Origin.CLOUD, author="test").in_sync
    counted(live)
    strangers.assert_healed(live)
    assert live.mget("k", "mine", "theirs", "n", "written") == [b"cloud", None, b"1", b"5", None]
    assert live.llen("l") == 9


@pytest.mark.parametrize("prefer", list(Store))
def test_merge(strangers: Rig, prefer: Store) -> None:
    live, operator = opened(strangers), strangers.client(**PATIENT)
    counted(live)
    done = pair(operator, Origin.MERGE, prefer=prefer, author="test")
    assert done.in_sync and done.merged is not None
    assert (done.merged.different, done.merged.only_cloud) == (2, 1)
    counted(live)
    strangers.assert_healed(live)
    assert live.mget("k", "mine", "theirs", "n") == [prefer.value.encode(), b"1", b"1", b"10"]
    assert live.llen("l") == (1 if prefer is Store.LOCAL else 9)
    with plain(strangers.local.url) as local, plain(strangers.cloud.url) as cloud:
        assert local.xlen(ARCHIVE) == 2
        assert local.xrange(ARCHIVE) == cloud.xrange(ARCHIVE), "the archive is on both stores"


@pytest.mark.parametrize("prefer", list(Store))
def test_a_value_that_is_too_large_for_the_archive(
    strangers: Rig, monkeypatch: pytest.MonkeyPatch, prefer: Store
) -> None:
    monkeypatch.setattr(archive, "ENTRY_BYTES", 1000)
    operator = strangers.client(**PATIENT)
    pair(operator, Origin.MERGE, prefer=prefer, author="test")
    live = strangers.client(**PATIENT)
    strangers.assert_healed(live)
    [conflict] = [each for each in conflicts.listed(live) if each.key == b"l"]
    assert conflict.size_bytes < 1000
    assert live.llen("l") == (1 if prefer is Store.LOCAL else 9)
    conflicts.restore(live, conflict.id, author="test", force=True)
    assert live.llen("l") == (9 if prefer is Store.LOCAL else 1)
    strangers.assert_healed(live)


def test_one_of_them_is_paired_with_another(strangers: Rig) -> None:
    """The local store of another machine on the same cloud: it is the one that is refused."""
    with plain(strangers.cloud.url) as cloud:
        cloud.mset({"hybrid:identity": "someone", "hybrid:authority": "local 5"})
    live = strangers.client(**PATIENT)
    assert live.get("k") == b"cloud"
    live.set("written", 1)
    assert pair(live, Origin.CLOUD, author="test").in_sync
    strangers.assert_healed(live)
    assert live.mget("k", "mine", "written") == [b"cloud", None, b"1"]


def test_a_store_that_was_left_alone_and_is_lost_is_named_and_down_since_then(strangers: Rig) -> None:
    live = opened(strangers)

    def cloud() -> StoreStatus:
        found = live.status().cloud
        assert found is not None
        return found

    wait_until(lambda: "never paired" in cloud().reason, "the cloud is left alone")
    alone = cloud()
    with pytest.raises(HybridError, match="the cloud store was lost: "):
        preview(live, lambda *_: strangers.cloud.kill())
    wait_until(lambda: cloud().reason == "connection refused", "that it is lost", HEAL_S)
    assert cloud().since_s > alone.since_s
    with pytest.raises(HybridError, match="the cloud store was lost: connection refused"):
        pair(live, Origin.MERGE, author="test")


@pytest.mark.parametrize("held", [0, 1], ids=["empty", "with data"])
def test_one_server_under_two_names_is_no_pair(rig: Rig, held: int) -> None:
    """Each write counted twice, and all was said to be well."""
    other_name = rig.local.url.replace("127.0.0.1", "localhost")
    with plain(rig.local.url) as server:
        for number in range(held):
            server.set(f"old:{number}", 1)
        for _ in range(3):  # whichever of the two is greeted first
            with HybridRedis.from_urls(rig.local.url, other_name, **PATIENT) as live:
                live.start()
                live.delete("n", "l")
                for number in range(5):
                    live.incr("n")
                    live.rpush("l", number)
                status = live.status()
                assert status.local.state is StoreState.UP
                assert status.cloud is not None and status.cloud.state is StoreState.DOWN
                assert "lead to the same store" in status.cloud.reason
            assert (server.get("n"), server.llen("l")) == (b"5", 5)


def test_a_server_that_was_copied_from_the_other_is_another_one(rig: Rig) -> None:
    """Out of its snapshot, mark and all."""
    with plain(rig.local.url) as local, plain(rig.cloud.url) as cloud:
        for server in (local, cloud):
            server.mset({"k": 1, "hybrid:identity": "both", "hybrid:authority": "local 1"})
    live = rig.client(**PATIENT)
    live.incr("k")
    rig.assert_healed(live)


def test_each_of_them_is_paired_with_another(strangers: Rig) -> None:
    """The URL of a wrong store, say."""
    with plain(strangers.local.url) as local, plain(strangers.cloud.url) as cloud:
        local.mset({"hybrid:identity": "a", "hybrid:partner": "b", "hybrid:authority": "local 5"})
        cloud.mset({"hybrid:identity": "c", "hybrid:partner": "d", "hybrid:authority": "local 7"})
    live = opened(strangers)
    status = live.status()
    assert status.local.state is StoreState.UP
    assert status.cloud is not None and "different pairs" in status.cloud.reason
    assert live.get("k") == b"local"
    with plain(strangers.cloud.url) as cloud:
        assert cloud.mget("k", "theirs", "hybrid:authority") == [b"cloud", b"1", b"local 7"]
    assert not preview(live).paired
    assert pair(live, Origin.LOCAL, author="test").in_sync
    strangers.assert_healed(live)
    with plain(strangers.local.url) as local, plain(strangers.cloud.url) as cloud:
        assert cloud.get("hybrid:partner") == local.get("hybrid:identity")


def test_a_refilled_store_is_no_stranger(rig: Rig) -> None:
    live = rig.client(**PATIENT)
    live.set("k", 1)
    assert live.wait_in_sync(HEAL_S)
    for server in (rig.local, rig.cloud, rig.cloud, rig.local):
        with plain(server.url) as store:
            store.flushall()
        server.kill()
        server.start()
        rig.wait_well(live)
        live.incr("n")
        rig.assert_healed(live)
        with HybridRedis.from_urls(rig.local.url, rig.cloud.url, **PATIENT) as fresh:
            fresh.incr("n")
            rig.wait_well(fresh)
