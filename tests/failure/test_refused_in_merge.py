"""The store that takes over cannot hold what the returning one brings: that must not keep the returning one away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
import redis
from refusing import Refusing, refusing
from rig import HEAL_S, PATIENT, Rig, state_of, takes_writes
from servers import client, wait_until

from hybrid import HybridRedis, Store, StoreState
from hybrid.events import Event, KeyRefused
from hybrid.ops import conflicts
from hybrid.ops.sync.pair import Pair
from hybrid.replication.tail import FEW_ENTRIES

BULK_BYTES = 1024 * 1024
REQUEST_BYTES = 10_000_000


def part(rig: Rig, hybrid: HybridRedis) -> None:
    """From here on, what is written goes to the local store alone."""
    rig.cloud.kill()
    wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.DOWN, "the cloud store's end is noticed", HEAL_S)


def change_over(rig: Rig, hybrid: HybridRedis) -> None:
    """The cloud store has the authority, and has not seen what was written since."""
    rig.local.kill()
    rig.cloud.start()
    wait_until(lambda: takes_writes(hybrid), "the cloud store takes over", HEAL_S)


@pytest.fixture
def limited(rig: Rig) -> Iterator[Refusing]:
    """The cloud store as a service that takes requests up to some size."""
    with refusing(rig.cloud.port) as proxy:
        rig.cloud_url = proxy.url

        def too_large(args: Sequence[bytes]) -> str | None:
            size = sum(map(len, args))
            words = f"ERR max request size exceeded. Limit: {REQUEST_BYTES} bytes, Actual: {size}"
            return words if size > REQUEST_BYTES else None

        proxy.refusal = too_large
        yield proxy


def test_a_value_that_only_the_returning_store_has_stays_there(rig: Rig, limited: Refusing) -> None:
    told: list[Event] = []
    hybrid = rig.client(ack="local", hooks=(told.append,), **PATIENT)
    hybrid.set("before", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    part(rig, hybrid)
    hybrid.set("huge", "x" * (2 * BULK_BYTES))
    hybrid.rpush("also", "first", "x" * REQUEST_BYTES)
    hybrid.set("small", 1)
    change_over(rig, hybrid)
    with client(rig.cloud.url) as cloud:
        cloud.config_set("proto-max-bulk-len", BULK_BYTES)
        rig.local.start()
        rig.wait_well(hybrid)
        assert cloud.mget("small", "huge", "also") == [b"1", None, None]
        assert (hybrid.strlen("huge"), hybrid.llen("also")) == (2 * BULK_BYTES, 2)
        wait_until(lambda: hybrid.status().refused_keys == 2, "it is noted", HEAL_S)
        assert {event.key for event in told if isinstance(event, KeyRefused)} == {b"huge", b"also"}
        assert not conflicts.count(hybrid)
        cloud.config_set("proto-max-bulk-len", 512 * BULK_BYTES)
    limited.refuse_none()
    hybrid.append("huge", "z")
    hybrid.rpush("also", "z")
    assert hybrid.wait_in_sync(HEAL_S)
    assert hybrid.status().refused_keys == 0
    rig.assert_healed(hybrid)


@pytest.mark.parametrize("megabytes", [(6, 6), (6, 12), (12, 6), (12, 12)])
def test_a_conflict_that_no_request_can_carry(rig: Rig, limited: Refusing, megabytes: tuple[int, int]) -> None:
    """The value that lost can be had back, however large both are."""
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.set("before", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    part(rig, hybrid)
    ours, theirs = (bytes([who]) * size * 1_000_000 for who, size in zip(b"lc", megabytes, strict=True))
    hybrid.set("k", ours, ex=1000)
    hybrid.mset({"other": 1, "large": "x" * 3_500_000})
    change_over(rig, hybrid)
    for start in range(0, len(theirs), 6_000_000):
        hybrid.setrange("k", start, theirs[start : start + 6_000_000])
    rig.local.start()
    rig.assert_healed(hybrid)
    assert hybrid.get("k") == theirs
    assert hybrid.strlen("large") == 3_500_000
    [conflict] = conflicts.listed(hybrid)
    assert conflict.size_bytes < REQUEST_BYTES
    conflicts.restore(hybrid, conflict.id, author="test", force=True)
    assert hybrid.get("k") == ours
    assert 0 < hybrid.ttl("k") <= 1000
    rig.assert_healed(hybrid)
    [replaced] = conflicts.listed(hybrid)
    conflicts.restore(hybrid, replaced.id, author="test", force=True)
    assert hybrid.get("k") == theirs
    assert hybrid.ttl("k") == -1
    rig.assert_healed(hybrid)
    assert hybrid.status().refused_keys == 0


def test_more_to_be_done_again_than_a_request_can_carry(rig: Rig, limited: Refusing) -> None:
    """Neither is lost: what is left out stands in the archive."""
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.set("before", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    part(rig, hybrid)
    with hybrid.pipeline(transaction=False) as pipe:
        for number in range(4000):
            pipe.rpush("jobs", f"{number:0>3000}")
        pipe.execute()
    hybrid.incr("n")
    change_over(rig, hybrid)
    hybrid.rpush("jobs", "cloud")
    hybrid.incr("n")
    rig.local.start()
    rig.assert_healed(hybrid)
    assert hybrid.lrange("jobs", 0, -1) == [b"cloud"]
    assert hybrid.get("n") == b"2"
    [conflict] = conflicts.listed(hybrid)
    conflicts.restore(hybrid, conflict.id, author="test")
    assert hybrid.llen("jobs") == 4000
    rig.assert_healed(hybrid)


@pytest.fixture
def limits_replies(rig: Rig) -> Iterator[Refusing]:
    """The cloud store as a service that gives no more than so much in a reply."""
    with refusing(rig.cloud.port) as proxy, client(rig.cloud.url) as beside:
        rig.cloud_url = proxy.url
        beside.response_callbacks.clear()

        def too_large(args: Sequence[bytes]) -> str | None:
            words = [arg.upper() for arg in args]
            if words[0] not in (b"XRANGE", b"XREAD"):
                return None
            at = words.index(b"BLOCK") if b"BLOCK" in words else len(words)
            try:
                size = len(repr(beside.execute_command(*args[:at], *args[at + 2 :])))
            except redis.ConnectionError:  # the store is down
                return None
            return f"ERR max response size exceeded. Limit: {REQUEST_BYTES} bytes" if size > REQUEST_BYTES else None

        proxy.refusal = too_large
        yield proxy


def test_a_log_that_no_reply_can_carry(rig: Rig, limits_replies: Refusing) -> None:
    """Of the store that took over, and of the one that comes back: both wrote values of many kilobytes."""
    hybrid = rig.client(ack="local", **PATIENT)
    hybrid.set("before", 1)
    assert hybrid.wait_in_sync(HEAL_S)
    part(rig, hybrid)
    hybrid.set("only", "local")
    change_over(rig, hybrid)
    for number in range(600):
        hybrid.set(f"k{number}", "x" * 25_000)
    with hybrid.pipeline() as pipe:
        for number in range(600):
            pipe.set(f"p{number}", "x" * 25_000)
        pipe.execute()
    rig.local.start()
    rig.assert_healed(hybrid)
    assert hybrid.get("only") == b"local"


def test_what_the_log_names_is_read_in_parts_that_a_service_gives(rig: Rig, limited: Refusing) -> None:
    hybrid = rig.client(**PATIENT)
    hybrid.set("before", 1)
    change_over(rig, hybrid)
    hybrid.set("after", 1)

    def too_much(args: Sequence[bytes]) -> str | None:
        is_large = args[0] == b"XRANGE" and int(args[-1]) > FEW_ENTRIES
        return f"ERR max request size exceeded. Limit: {REQUEST_BYTES} bytes" if is_large else None

    limited.refusal = too_much
    with Pair.of(hybrid, both=False) as pair:
        assert b"after" in pair.logged() and b"before" not in pair.logged()
