"""A sync over two real stores: whatever differs is made equal, guarded against live writes, and can be undone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis
from hybrid.core.drift import Cause, Difference
from hybrid.core.syncplan import Direction, Policy, Prefer, SyncCounts, SyncEnding, SyncResult
from hybrid.errors import ConfigurationError
from hybrid.ops.compare import compare
from hybrid.ops.diff import DiffOptions, run_diff
from hybrid.ops.sync.options import LEAST_COMMANDS, SyncOptions
from hybrid.ops.sync.run import apply_plan, fill_store, plan_sync, sync_history, undo_sync
from hybrid.stores.processes import ServerProcess

FAR_MS = 4_102_444_800_000
SAME = (
    "SET same v",
    "HSET hash a 1 b 2",
    "RPUSH list a b c",
    "SADD set a b",
    "ZADD zset 1 a 2 b",
    "XADD stream 1-0 f v",
)
LOCAL = (
    "SET string local",
    "SET only:local v",
    f"SET volatile v PXAT {FAR_MS}",
    "HSET hash c local",
    "RPUSH list local",
    "ZADD zset 3 local",
    "SADD other:type a",
)
CLOUD = (
    "SET string cloud",
    "RPUSH only:cloud a b",
    f"SET volatile v PXAT {FAR_MS + 60_000}",
    "HSET hash c cloud",
    "SADD set cloud",
    "XADD stream 2-0 f cloud",
    "SET other:type a",
)
DIFFERING = {
    b"string",
    b"only:local",
    b"only:cloud",
    b"volatile",
    b"hash",
    b"list",
    b"set",
    b"zset",
    b"stream",
    b"other:type",
}

Found = Callable[[], list[Difference]]


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture(scope="module")
def hybrid(pair: Stores) -> Iterator[HybridRedis]:
    opened = HybridRedis.from_urls(
        pair.local.url, pair.cloud.url, local_timeout_s=3.0, cloud_timeout_s=3.0, sync_enabled=False
    )
    with opened:
        opened.start()
        assert opened.wait_in_sync(10)
        yield opened


@pytest.fixture
def local(pair: Stores) -> Iterator[redis.Redis]:
    with client(pair.local.url) as opened:
        yield opened


@pytest.fixture
def cloud(pair: Stores) -> Iterator[redis.Redis]:
    with client(pair.cloud.url) as opened:
        yield opened


def run(store: redis.Redis, *lines: str) -> None:
    for line in lines:
        store.execute_command(*line.split())


@pytest.fixture
def drifted(hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis) -> None:
    """Both stores hold the same, but for what was written to each of them past hybrid."""
    hybrid.flushall()
    run(hybrid, *SAME)
    assert hybrid.wait_in_sync(10)
    run(local, *LOCAL)
    run(cloud, *CLOUD)


@pytest.fixture
def found(local: redis.Redis, cloud: redis.Redis, tmp_path: Path) -> Found:
    def differences() -> list[Difference]:
        with run_diff(local, cloud, tmp_path, options=DiffOptions(looks=1, pause_s=0.0)) as file:
            return list(file.differences())

    return differences


def state(store: redis.Redis) -> dict[bytes, tuple[bytes, int]]:
    """Everything on one store, for comparison with itself."""
    keys = sorted(key for key in store.scan_iter() if not key.startswith(b"hybrid:"))
    return {key: (store.dump(key), store.pexpiretime(key)) for key in keys}


def applied(hybrid: HybridRedis, differences: list[Difference], policy: Policy, **options: Any) -> SyncResult:
    plan = plan_sync(hybrid, lambda: differences, policy)
    return apply_plan(hybrid, plan, confirmed=plan.confirmation, options=SyncOptions(**options))


def assert_identical(hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis) -> None:
    assert hybrid.wait_in_sync(10)
    result = compare(local, cloud)
    assert result.identical, result.differences


@pytest.mark.usefixtures("drifted")
class TestDirections:
    def test_the_planted_differences_are_those_that_are_found(self, found: Found) -> None:
        assert {difference.key for difference in found()} == DIFFERING

    @pytest.mark.parametrize("direction", [Direction.CLOUD_TO_LOCAL, Direction.LOCAL_TO_CLOUD])
    def test_one_store_becomes_as_the_other(
        self, direction: Direction, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        source = cloud if direction is Direction.CLOUD_TO_LOCAL else local
        before = state(source)
        result = applied(hybrid, found(), Policy(direction, delete_extras=True))
        assert (result.ending, result.copied, result.deleted) == (SyncEnding.FINISHED, 9, 1)
        assert_identical(hybrid, local, cloud)
        assert {key: ttl for key, (_, ttl) in state(source).items()} == {key: ttl for key, (_, ttl) in before.items()}

    def test_extras_are_kept_unless_asked(
        self, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        result = applied(hybrid, found(), Policy(Direction.CLOUD_TO_LOCAL))
        assert (result.copied, result.kept) == (9, 1)
        assert local.exists("only:local") and not cloud.exists("only:local")
        assert [difference.cause for difference in found()] == [Cause.ONLY_LOCAL]

    def test_a_merge_keeps_what_either_has(
        self, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        asked = applied(hybrid, found(), Policy(Direction.MERGE))
        assert (asked.copied, asked.asked) == (2, 8)
        result = applied(hybrid, found(), Policy(Direction.MERGE, prefer=Prefer.LOCAL))
        assert result.copied == 8
        assert_identical(hybrid, local, cloud)
        assert cloud.get("string") == b"local" and local.lrange("only:cloud", 0, -1) == [b"a", b"b"]

    @pytest.mark.parametrize("direction", [Direction.CLOUD_TO_LOCAL, Direction.LOCAL_TO_CLOUD])
    def test_undo_puts_back_what_was_there_and_can_be_undone_too(
        self, direction: Direction, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        before = state(local), state(cloud)
        synced = applied(hybrid, found(), Policy(direction, delete_extras=True), author="tester")
        assert hybrid.wait_in_sync(10)
        undone = undo_sync(hybrid, synced.id)
        assert (undone.ending, undone.copied + undone.deleted, undone.changed) == (SyncEnding.FINISHED, 10, 0)
        assert [sorted(now) for now in (state(local), state(cloud))] == [sorted(then) for then in before]
        assert {difference.key for difference in found()} == DIFFERING
        redone = undo_sync(hybrid, undone.id)
        assert_identical(hybrid, local, cloud)
        assert [result.id for result in sync_history(hybrid, 3)] == [redone.id, undone.id, synced.id]
        assert sync_history(hybrid, 3)[2].author == "tester"
        assert undo_sync(hybrid).direction == f"undo {synced.id}", "it stands again"

    def test_an_undo_everywhere_is_a_write_like_any_other(
        self, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        synced = applied(hybrid, found(), Policy(Direction.LOCAL_TO_CLOUD, delete_extras=True))
        assert hybrid.wait_in_sync(10)
        undo_sync(hybrid, synced.id, everywhere=True)
        assert_identical(hybrid, local, cloud)
        assert local.get("string") == b"cloud" and local.lrange("only:cloud", 0, -1) == [b"a", b"b"]
        assert local.exists("only:local")  # what the sync only added, no undo takes away from where it came

    def test_what_changed_since_the_plan_is_left_alone(
        self, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        differences = found()
        run(cloud, "SET string newer", "RPUSH only:cloud c")
        local.set("only:cloud", "appeared")
        hybrid.set("volatile", "written")
        assert hybrid.wait_in_sync(10)
        result = applied(hybrid, differences, Policy(Direction.CLOUD_TO_LOCAL, delete_extras=True))
        assert (result.changed, result.equal, result.copied, result.deleted) == (2, 1, 6, 1)
        assert local.get("string") == b"local" and local.get("only:cloud") == b"appeared"
        assert local.get("volatile") == cloud.get("volatile") == b"written"

    def test_an_undo_leaves_what_was_written_since(
        self, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        synced = applied(hybrid, found(), Policy(Direction.CLOUD_TO_LOCAL, delete_extras=True))
        hybrid.set("string", "written since")
        assert hybrid.wait_in_sync(10)
        undone = undo_sync(hybrid, synced.id)
        assert undone.changed == 1
        assert local.get("string") == cloud.get("string") == b"written since"

    def test_a_budget_ends_it_in_order_and_another_sync_does_the_rest(
        self, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        cloud.mset({f"more:{i}": i for i in range(500)})
        policy = Policy(Direction.MERGE, prefer=Prefer.CLOUD)
        stopped = applied(hybrid, found(), policy, max_commands=1500)
        assert stopped.ending is SyncEnding.BUDGET
        assert 0 < stopped.copied < 510 and stopped.cloud_commands <= 1500
        rest = applied(hybrid, found(), policy, max_commands=100_000)
        assert rest.ending is SyncEnding.FINISHED and stopped.copied + rest.copied == 510
        assert_identical(hybrid, local, cloud)

    def test_a_cancelled_sync_has_done_nothing_by_halves(self, hybrid: HybridRedis, found: Found) -> None:
        cancel = threading.Event()
        cancel.set()
        plan = plan_sync(hybrid, lambda: found(), Policy(Direction.MERGE, prefer=Prefer.CLOUD))
        result = apply_plan(hybrid, plan, cancel=cancel)
        assert (result.ending, result.copied) == (SyncEnding.CANCELLED, 0)

    def test_what_a_killed_sync_has_done_can_be_undone(
        self, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        before = found()
        policy = Policy(Direction.CLOUD_TO_LOCAL, delete_extras=True)

        def killed(counts: SyncCounts) -> None:
            if counts.copied:
                raise SystemExit

        plan = plan_sync(hybrid, lambda: before, policy)
        with pytest.raises(SystemExit):
            apply_plan(hybrid, plan, on_progress=killed)
        assert (open_ := sync_history(hybrid)[0]).ending is SyncEnding.OPEN
        assert undo_sync(hybrid).direction == f"undo {open_.id}"
        assert found() == before
        applied(hybrid, before, policy)
        assert sync_history(hybrid)[0].ending is SyncEnding.FINISHED
        assert_identical(hybrid, local, cloud)

    def test_a_full_undo_bundle_stops_it(self, hybrid: HybridRedis, cloud: redis.Redis, found: Found) -> None:
        for i in range(3):
            cloud.set(f"big:{i}", bytes(range(256)) * 8192)
        for i in range(3):
            hybrid.set(f"big:{i}", threading.get_native_id())
        assert hybrid.wait_in_sync(10)
        for i in range(3):
            cloud.set(f"big:{i}", f"{i}" * 3_000_000)
        result = applied(hybrid, found(), Policy(Direction.LOCAL_TO_CLOUD), undo_bytes=1)
        assert result.ending is SyncEnding.UNDO_FULL

    def test_many_deletions_must_be_confirmed_by_words(
        self, hybrid: HybridRedis, cloud: redis.Redis, found: Found
    ) -> None:
        cloud.mset({f"extra:{i}": i for i in range(101)})
        plan = plan_sync(hybrid, found, Policy(Direction.LOCAL_TO_CLOUD, delete_extras=True))
        assert plan.confirmation == "delete 102 on cloud"
        with pytest.raises(ConfigurationError, match="delete 102 on cloud"):
            apply_plan(hybrid, plan, confirmed="yes")
        assert cloud.exists("extra:1")
        assert apply_plan(hybrid, plan, confirmed="delete 102 on cloud").deleted == 102
        assert not cloud.exists("extra:1")


class TestLiveWrites:
    """The point of it all: a sync takes part in the order of writes, it never breaks it."""

    @pytest.mark.parametrize("direction", [Direction.CLOUD_TO_LOCAL, Direction.LOCAL_TO_CLOUD, Direction.MERGE])
    def test_writers_go_on_and_no_write_is_lost_or_done_twice(
        self, direction: Direction, hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis, found: Found
    ) -> None:
        hybrid.flushall()
        hybrid.mset({f"count:{i}": 0 for i in range(40)})
        assert hybrid.wait_in_sync(10)
        stopped = threading.Event()
        written = [0] * 40

        def write() -> None:
            number = 0
            while not stopped.is_set():
                hybrid.incr(f"count:{number % 40}")
                written[number % 40] += 1
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            for round_ in range(6):
                for store, name in ((local, "local"), (cloud, "cloud")):
                    store.mset({f"drift:{round_}:{i}": name for i in range(60)})
                # Differences that are none: what a sync is told is never believed without a look.
                false = [Difference(b"count:%d" % i, (Cause.VALUE,), None, None) for i in range(40)]
                applied(hybrid, found() + false, Policy(direction, prefer=Prefer.CLOUD, delete_extras=True))
        finally:
            stopped.set()
            writer.join()
        assert_identical(hybrid, local, cloud)
        assert [int(local.get(f"count:{i}") or 0) for i in range(40)] == written

    def test_keys_that_wait_in_the_log_are_left_to_the_shipper(
        self, hybrid: HybridRedis, pair: Stores, local: redis.Redis, cloud: redis.Redis
    ) -> None:
        hybrid.flushall()
        hybrid.set("k", "old")
        assert hybrid.wait_in_sync(10)
        difference = Difference(b"k", (Cause.VALUE,), None, None)
        plan = plan_sync(hybrid, lambda: [difference], Policy(Direction.MERGE, prefer=Prefer.CLOUD))
        pair.cloud.pause()
        try:
            hybrid.change_settings(ack="local")
            hybrid.set("k", "new")
            pair.cloud.resume()
            result = apply_plan(hybrid, plan)
        finally:
            pair.cloud.resume()
            hybrid.change_settings(ack="both")
        assert result.copied == 0
        wait_until(lambda: cloud.get("k") == b"new")
        assert local.get("k") == b"new"


def test_an_empty_store_is_filled_in_big_steps_and_emptied_again(
    hybrid: HybridRedis, local: redis.Redis, cloud: redis.Redis
) -> None:
    hybrid.flushall()
    hybrid.mset({"both:0": 0, "both:1": 1})
    assert hybrid.wait_in_sync(10)
    local.mset({f"key:{i}": i for i in range(2500)})
    local.pexpireat("key:1", FAR_MS)
    part = fill_store(hybrid, options=SyncOptions(max_commands=300))
    assert part.ending is SyncEnding.BUDGET and 0 < part.copied <= 300
    assert undo_sync(hybrid, part.id).deleted == part.copied
    local.rpush("long", *(f"{i}" * 100 for i in range(5000)))
    result = fill_store(hybrid)
    assert (result.ending, result.copied, result.direction) == (SyncEnding.FINISHED, 2501, "fill")
    assert_identical(hybrid, local, cloud)
    cloud.set("key:2", "written since")
    undone = undo_sync(hybrid, result.id)
    assert (undone.deleted, undone.changed) == (2500, 1)
    assert cloud.get("key:2") == b"written since" and not cloud.exists("key:1", "long")
    assert local.exists("key:1", "long", "both:1") == 3 and cloud.exists("both:1")


@pytest.mark.parametrize("few_keys", [100_000, 0])
def test_the_smallest_budget_brings_a_fill_on(
    hybrid: HybridRedis,
    local: redis.Redis,
    cloud: redis.Redis,
    few_keys: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever way it finds out what the other store lacks: that alone must not use up the budget."""
    monkeypatch.setattr("hybrid.ops.sync.apply.FEW_KEYS", few_keys)
    hybrid.flushall()
    assert hybrid.wait_in_sync(10)
    local.mset({f"key:{i}": i for i in range(1000)})
    cloud.mset({f"key:{i}": i for i in range(0, 1000, 2)})
    part = fill_store(hybrid, options=SyncOptions(max_commands=LEAST_COMMANDS))
    assert part.ending is SyncEnding.BUDGET and part.copied > 0 and part.cloud_commands <= LEAST_COMMANDS
    with pytest.raises(ConfigurationError, match=f"{LEAST_COMMANDS} or more"):
        fill_store(hybrid, options=SyncOptions(max_commands=LEAST_COMMANDS - 1))


def test_what_the_other_store_cannot_take_is_not_counted_as_copied(server_pool: Pool, tmp_path: Path) -> None:
    """Fields cannot expire one by one in Redis 7.0."""
    urls = server_pool.get("valkey", "newer").url, server_pool.get("redis", "older").url
    with HybridRedis.from_urls(*urls, sync_enabled=False) as hybrid, client(urls[0]) as local, client(urls[1]) as cloud:
        hybrid.set("first", "v")
        assert hybrid.wait_in_sync(10)
        run(local, "SET plain v", "HSET session a 1 b 2", f"HPEXPIREAT session {FAR_MS} FIELDS 1 a")
        filled = fill_store(hybrid)
        assert (filled.copied, filled.refused) == (1, 1)
        with run_diff(local, cloud, tmp_path, options=DiffOptions(looks=1, pause_s=0.0)) as file:
            again = applied(hybrid, list(file.differences()), Policy(Direction.LOCAL_TO_CLOUD))
        assert (again.copied, again.refused) == (0, 1)
        assert cloud.get("plain") == b"v" and not cloud.exists("session")


def test_one_document_that_the_local_store_cannot_hold_keeps_no_other_key_from_it(
    server_pool: Pool, tmp_path: Path
) -> None:
    urls = server_pool.get("valkey", "plain").url, server_pool.get("redis-7.4", "documents").url
    with HybridRedis.from_urls(*urls, sync_enabled=False) as hybrid, client(urls[0]) as local, client(urls[1]) as cloud:
        hybrid.set("first", "v")
        assert hybrid.wait_in_sync(10)
        cloud.json().set("document", "$", {"a": 1})
        cloud.set("plain", "v")
        with run_diff(local, cloud, tmp_path, options=DiffOptions(looks=1, pause_s=0.0)) as file:
            done = applied(hybrid, list(file.differences()), Policy(Direction.CLOUD_TO_LOCAL))
        assert (done.ending, done.copied, done.refused) == (SyncEnding.FINISHED, 1, 1)
        assert local.get("plain") == b"v" and not local.exists("document")


def test_a_store_that_is_lost_in_the_middle_is_named(server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    local_server, cloud_server = server(), server()
    with (
        HybridRedis.from_urls(local_server.url, cloud_server.url, sync_enabled=False) as hybrid,
        client(local_server.url) as local,
        client(cloud_server.url) as cloud,
    ):
        hybrid.set("first", "v")
        assert hybrid.wait_in_sync(10)
        local.mset({f"key:{number}": "v" for number in range(500)})
        with run_diff(local, cloud, tmp_path, options=DiffOptions(looks=1, pause_s=0.0)) as file:
            plan = plan_sync(hybrid, file.differences, Policy(Direction.LOCAL_TO_CLOUD))
            done = apply_plan(hybrid, plan, on_progress=lambda _: local_server.kill())
    assert done.ending is SyncEnding.FAILED
    assert "the local store" in done.reason
