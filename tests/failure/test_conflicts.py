"""Written on both stores while apart: what commutes merges, of the rest the newest wins, and no value is lost."""

from __future__ import annotations

import pytest
from rig import PATIENT, Rig, state_of, takes_writes
from servers import client as plain
from servers import commands, wait_until

from hybrid import HybridRedis, Store, StoreState
from hybrid.errors import HybridError
from hybrid.ops import conflicts
from hybrid.replication import archive

ARCHIVE = "hybrid:conflicts"


@pytest.fixture
def healed(rig: Rig) -> HybridRedis:
    """The cloud store was lost, then the local one, with writes that the cloud store, which took over, never saw."""
    hybrid = rig.client(**PATIENT)
    hybrid.mset({"n": 100, "k": "old", "d": "old"})
    hybrid.sadd("s", "old")
    assert hybrid.wait_in_sync(30)
    rig.cloud.kill()
    write(hybrid, "local")
    hybrid.set("only", "local")
    hybrid.delete("d")
    wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.DOWN, "the cloud store's end is noticed")
    rig.local.kill()
    rig.cloud.start()
    wait_until(lambda: takes_writes(hybrid), "the cloud store takes over")
    write(hybrid, "cloud")
    rig.local.start()
    rig.assert_healed(hybrid)
    return hybrid


@pytest.fixture
def parted(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> tuple[HybridRedis, list[conflicts.Conflict]]:
    """Three keys whose values that lost were too large for the archive, and stand on the local store."""
    monkeypatch.setattr(archive, "ENTRY_BYTES", 1000)
    hybrid = rig.client(**PATIENT)
    hybrid.mset({"a": "old", "b": "old", "c": "old"})
    assert hybrid.wait_in_sync(30)
    rig.cloud.kill()
    hybrid.mset(dict.fromkeys("abc", "local" * 1000))
    wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.DOWN, "the cloud store's end is noticed")
    rig.local.kill()
    rig.cloud.start()
    wait_until(lambda: takes_writes(hybrid), "the cloud store takes over")
    hybrid.mset(dict.fromkeys("abc", "cloud"))
    rig.local.start()
    rig.assert_healed(hybrid)
    return hybrid, sorted(conflicts.listed(hybrid), key=lambda conflict: conflict.key)


def test_a_large_value_that_lost_goes_with_its_entry(
    rig: Rig, parted: tuple[HybridRedis, list[conflicts.Conflict]]
) -> None:
    hybrid, [first, second, third] = parted
    with plain(rig.local.url) as local:

        def apart() -> set[bytes]:
            return set(local.scan_iter("hybrid:lost:*"))

        assert apart() == {each.lost.apart for each in (first, second, third)}
        conflicts.restore(hybrid, first.id, author="test")
        assert hybrid.get("a") == b"local" * 1000
        assert apart() == {second.lost.apart, third.lost.apart}
        assert conflicts.discard(hybrid, [second.id], author="test") == 1
        assert apart() == {third.lost.apart}
        assert conflicts.discard_all(hybrid, author="test") >= 1
        assert apart() == set()
    rig.assert_healed(hybrid)


def write(hybrid: HybridRedis, who: str) -> None:
    for number in range(5):
        hybrid.incr("n")
        hybrid.rpush("l", f"{who}{number}")
    hybrid.incrbyfloat("f", 0.5)
    hybrid.sadd("s", who)
    hybrid.hset("h", who, 1)
    hybrid.hincrby("h", "n", 1)
    hybrid.hincrbyfloat("h", "f", 0.5)
    hybrid.zincrby("z", 1, "m")
    hybrid.set("k", who)


def test_what_commutes_merges_and_the_rest_is_archived(rig: Rig, healed: HybridRedis) -> None:
    assert healed.mget("n", "f", "only", "d", "k") == [b"110", b"1", b"local", None, b"cloud"]
    assert sorted(healed.lrange("l", 0, -1)) == sorted(
        f"{who}{number}".encode() for who in ("local", "cloud") for number in range(5)
    )
    assert healed.smembers("s") == {b"old", b"local", b"cloud"}
    assert healed.hgetall("h") == {b"local": b"1", b"cloud": b"1", b"n": b"2", b"f": b"1"}
    assert healed.zscore("z", "m") == 2
    [conflict] = conflicts.listed(healed)
    assert (conflict.key, conflict.lost.store, conflict.kept.store) == (b"k", Store.LOCAL, Store.CLOUD)
    assert [list(side.commands) for side in (conflict.lost, conflict.kept)] == [
        [[b"SET", b"k", b"local"]],
        [[b"SET", b"k", b"cloud"]],
    ]
    assert healed.status().conflicts == 1, "also after the failback"

    restored = conflicts.restore(healed, conflict.id, author="test")
    assert restored == conflict
    assert healed.get("k") == b"local"
    [replaced] = conflicts.listed(healed)
    assert (replaced.lost, replaced.kept) == (conflict.kept, conflict.lost), "they have changed places"
    healed.set("k", "newer")
    for act in (conflicts.keep, conflicts.restore):
        with pytest.raises(HybridError, match="written since"):
            act(healed, replaced.id, author="test")
    conflicts.restore(healed, replaced.id, author="test", force=True)
    assert healed.get("k") == b"cloud"
    [newer] = conflicts.listed(healed)
    conflicts.keep(healed, newer.id, author="test")
    assert conflicts.count(healed) == 0
    rig.assert_healed(healed)
    with plain(rig.local.url) as local, plain(rig.cloud.url) as cloud:
        assert local.xlen(ARCHIVE) == cloud.xlen(ARCHIVE) == 0


NOTHING = ("PING",)


@pytest.mark.parametrize(
    ("here", "there", "whole"),
    [
        (NOTHING, NOTHING, False),
        (("XTRIM", ARCHIVE, "MAXLEN", "250"), NOTHING, False),
        (("XDEL", ARCHIVE, "150-0"), NOTHING, True),
        (("XDEL", ARCHIVE, "300-0"), NOTHING, True),
        (NOTHING, ("XDEL", ARCHIVE, "150-0"), True),
        (NOTHING, ("XADD", ARCHIVE, "301-0", "key", "there"), True),
        (NOTHING, ("DEL", ARCHIVE), True),
        (("DEL", ARCHIVE), NOTHING, True),
    ],
    ids=["it grew", "cut off", "one gone", "the last one gone", "one lost", "one of its own", "all lost", "all gone"],
)
def test_the_archive_goes_to_the_other_store_by_what_is_new(
    rig: Rig, here: tuple[str, ...], there: tuple[str, ...], whole: bool
) -> None:
    hybrid = rig.client(**PATIENT)
    hybrid.set("k", 1)
    assert hybrid.wait_in_sync(30)
    with plain(rig.local.url) as local, plain(rig.cloud.url) as cloud:
        for server, change in ((local, here), (cloud, there)):
            pipe = server.pipeline(transaction=False)
            for number in range(1, 301):
                pipe.xadd(ARCHIVE, {"key": f"k{number}", "restore": "x"}, id=f"{number}-0")
            pipe.execute()
            server.execute_command(*change)
        for number in range(120):
            local.xadd(ARCHIVE, {"key": f"new{number}"}, id=f"1000-{number}")
        local.execute_command(*(here if here[0] == "DEL" else NOTHING))
        cloud.config_resetstat()
        local.xadd("hybrid:log", {"s": ARCHIVE})
        hybrid.set("k", 2)
        assert hybrid.wait_in_sync(30)
        assert cloud.xrange(ARCHIVE) == local.xrange(ARCHIVE)
        assert cloud.exists(ARCHIVE) == (here[0] != "DEL")
        added = commands(cloud).get("xadd", 0)
    assert added > 300 if whole and here[0] != "DEL" else added <= 121
