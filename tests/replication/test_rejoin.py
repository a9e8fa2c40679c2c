"""The merge of a returning local store's tail, on real servers: nothing lost, nothing twice, however interrupted."""

from __future__ import annotations

import itertools
import secrets
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from hashlib import sha1
from typing import Any

import pytest
import redis
from servers import Stores, client, commands, run_packed

from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.core.commands import lookup, policy_of
from hybrid.core.conflict import Conflict
from hybrid.core.merge_script import Mark, Step, merge_call
from hybrid.core.names import Names
from hybrid.core.outcomes import ReplyLost
from hybrid.core.resp import pack
from hybrid.core.scripts import EFFECT_SCRIPT
from hybrid.core.state import KeyState, List
from hybrid.core.tokens import Seal
from hybrid.core.transaction import transaction
from hybrid.core.write import Write
from hybrid.errors import HybridError
from hybrid.events import ConflictsArchived, Event, EventLog, KeyRefused
from hybrid.replication import archive, merge_plan, rejoin
from hybrid.replication import merge as merging
from hybrid.replication.acks import Acks
from hybrid.replication.board import Board
from hybrid.replication.merge import Merge
from hybrid.replication.tail import Superseded, Tail
from hybrid.settings import Settings
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

pytestmark = pytest.mark.parametrize("stores", ["valkey"], indirect=True)
NAMES = Names()
CLOUD_2 = Authority(Holder.CLOUD, 2)
SEALED = b"2 0-0 0-0"
"""Nothing of the local log was shipped, for sure."""


class Apart:
    """Two stores that parted: what is written to each one is logged there."""

    def __init__(self, stores: Stores) -> None:
        self.servers = {Store.LOCAL: stores.local, Store.CLOUD: stores.cloud}
        self.local, self.cloud = (client(server.url) for server in self.servers.values())
        for store in (self.local, self.cloud):
            store.script_load(EFFECT_SCRIPT)
        self.cloud.set(NAMES.authority, CLOUD_2.record)
        self.cloud.set(NAMES.seal, SEALED)

    def both(self, *args: Any) -> None:
        """Written before they parted."""
        for store in (self.local, self.cloud):
            store.execute_command(*args)

    def write(self, store: redis.Redis, *lines: str, token: bytes | None = None) -> None:
        """Run commands (as one transaction) and log them, as a writer does."""
        writes = []
        for line in lines:
            args = tuple(line.split())
            writes.append(Write(args, pack(args), lookup(args), policy_of(lookup(args), args)))
        made = transaction(NAMES, writes, resp3=False)
        connection = store.connection_pool.get_connection()
        try:
            connection.send_packed_command([made.payload(token or secrets.token_hex(8).encode())])
            *_, ran, _, _ = [connection.read_response() for _ in range(made.replies)]
            assert isinstance(ran, list)
            connection.send_command("UNWATCH")
            connection.read_response()
        finally:
            store.connection_pool.release(connection)

    def merge(self, keep: Callable[[], bool] = lambda: True, known: Authority | None = None) -> list[Event]:
        return merge(self.servers[Store.LOCAL].url, self.servers[Store.CLOUD].url, keep, known)

    @property
    def archive(self) -> dict[bytes, Conflict]:
        entries = self.cloud.xrange(NAMES.conflicts)
        return {
            fields[b"key"]: Conflict.parse(entry_id, [part for pair in fields.items() for part in pair])
            for entry_id, fields in entries
        }


def merge(
    local_url: str | None,
    cloud_url: str | None,
    keep: Callable[[], bool] = lambda: True,
    known: Authority | None = None,
) -> list[Event]:
    """By a process that knows the record that stands on the cloud store, or `known`. What it tells."""
    assert local_url and cloud_url
    log = EventLog()
    board = Board(Settings(local_url=local_url, cloud_url=cloud_url), log)
    with client(cloud_url) as cloud:
        board.learn(known or Authority.parse(cloud.get(NAMES.authority)), source=Store.CLOUD)
    rejoin.merge_tail(Store.LOCAL, endpoints_of(local_url, cloud_url), NAMES, board, keep)
    return list(log.recent())


def endpoints_of(local_url: str, cloud_url: str) -> dict[Store, Endpoint]:
    return {
        Store.LOCAL: Endpoint(Store.LOCAL, local_url, NAMES, timeout_s=2.0),
        Store.CLOUD: Endpoint(Store.CLOUD, cloud_url, NAMES, timeout_s=2.0),
    }


def merge_in_batches(monkeypatch: pytest.MonkeyPatch, keys: int) -> None:
    """Of so many keys each."""
    monkeypatch.setattr(merging, "BATCH_KEYS", keys)
    monkeypatch.setattr(merging, "MOST_KEYS", keys)


@pytest.fixture
def apart(stores: Stores) -> Iterator[Apart]:
    made = Apart(stores)
    yield made
    made.local.close()
    made.cloud.close()


def test_what_commutes_merges_without_a_conflict(apart: Apart) -> None:
    apart.both("INCRBY", "n", 10)
    apart.both("SADD", "s", "old", "gone")
    apart.write(apart.local, "INCR n", "RPUSH l a", "HSET h f 1", "SADD s a", "SREM s gone", "ZINCRBY z 1 m")
    apart.write(apart.local, "INCRBY n 100", "RPUSH l b", "EXPIRE h 1000", "PFADD p x", "XADD x 1-1 f old")
    apart.write(apart.cloud, "INCR n", "RPUSH l c", "HSET h g 2", "SADD s b", "ZINCRBY z 2 m", "PFADD p y")
    apart.write(apart.cloud, "XADD x 2-1 f new")
    apart.merge()
    cloud = apart.cloud
    assert cloud.get("n") == b"112"
    assert cloud.lrange("l", 0, -1) == [b"c", b"a", b"b"]
    assert cloud.hgetall("h") == {b"f": b"1", b"g": b"2"}
    assert 0 < cloud.ttl("h") <= 1000
    assert cloud.smembers("s") == {b"old", b"a", b"b"}
    assert cloud.zscore("z", "m") == 3
    assert cloud.pfcount("p") == 2
    assert [fields for _, fields in cloud.xrange("x")] == [{b"f": b"new"}, {b"f": b"old"}]
    assert not apart.archive
    assert apart.local.xlen(NAMES.log) == 0
    assert apart.local.get(NAMES.authority) == CLOUD_2.record


def test_a_push_onto_a_list_that_others_have_emptied_is_not_lost(apart: Apart) -> None:
    for key in ("l", "r"):
        apart.both("RPUSH", key, "old")
    apart.write(apart.local, "LPUSHX l pushed", "RPUSHX r pushed", "RPUSHX none told:0")
    apart.write(apart.cloud, "LPOP l", "RPOP r", "RPUSH none theirs")
    apart.merge()
    kept = {key: apart.cloud.lrange(key, 0, -1) for key in ("l", "r")}
    lost = {key: list(found.lost.commands) for key, found in apart.archive.items()}
    for key, items in kept.items():
        assert b"pushed" in items or b"pushed" in lost[key.encode()][-1]
    assert apart.cloud.lrange("none", 0, -1) == [b"theirs"]


@pytest.mark.parametrize("expiry", ["EXPIRE n -1", "PEXPIRE n 1", "PEXPIREAT n 1000"])
def test_what_was_counted_after_an_expiry_that_is_over_is_not_lost(apart: Apart, expiry: str) -> None:
    apart.both("SET", "n", "5")
    apart.write(apart.local, expiry)
    wait_for_a_later_clock(apart)
    apart.write(apart.cloud, "INCR n")
    apart.merge()
    assert apart.cloud.get("n") == b"6"
    assert list(apart.archive[b"n"].lost.commands) == [[b"UNLINK", b"n"]]


def test_an_expiry_ends_what_was_counted_before_it(apart: Apart) -> None:
    apart.both("SET", "n", "5")
    apart.write(apart.cloud, "INCR n")
    wait_for_a_later_clock(apart)
    apart.write(apart.local, "PEXPIRE n 1")
    wait_for_a_later_clock(apart)
    apart.merge()
    assert not apart.cloud.exists("n")


def load(store: redis.Redis, library: str, answer: int) -> None:
    code = f"#!lua name={library}\nredis.register_function('{library}', function() return {answer} end)"
    store.function_load(code, replace=True)
    store.xadd(NAMES.log, {"v": pack(("FUNCTION", "LOAD", "REPLACE", code))})


def test_functions_of_both_stores_are_kept(apart: Apart) -> None:
    """Also where nothing else was written. Of two with one name that of the store in charge stays; the log has it."""
    load(apart.cloud, "theirs", 1)
    load(apart.cloud, "both", 2)
    load(apart.local, "ours", 3)
    load(apart.local, "both", 4)
    apart.write(apart.local, "SCRIPT LOAD return(7)")
    apart.merge()
    assert [apart.cloud.fcall(name, 0) for name in ("theirs", "both", "ours")] == [1, 2, 3]
    assert apart.cloud.evalsha(sha1(b"return(7)").hexdigest(), 0) == 7
    assert apart.local.xlen(NAMES.log) == 0


def test_a_script_that_is_loaded_before_each_call_is_loaded_once_or_twice(apart: Apart) -> None:
    """Each costs a round trip, and while they are made others come."""
    apart.write(apart.local, *["SCRIPT LOAD return(7)"] * 100)
    apart.write(apart.cloud, *["SCRIPT LOAD return(7)"] * 100)
    before = commands(apart.cloud)["script|load"]
    apart.merge()
    assert commands(apart.cloud)["script|load"] - before <= 2
    assert apart.local.xlen(NAMES.log) == 0


def test_a_key_that_only_the_local_store_wrote_is_copied(apart: Apart) -> None:
    apart.both("SET", "d", "old")
    apart.write(apart.local, "SET k new", "DEL d", "SET t 1 PX 100000")
    apart.merge()
    assert apart.cloud.mget("k", "d") == [b"new", None]
    assert apart.cloud.pttl("t") > 0
    assert not apart.archive


def test_the_newest_wins_and_both_values_are_in_the_archive(apart: Apart) -> None:
    apart.write(apart.local, "SET older local", "INCR mixed", token=b"0123456789abcdef")
    apart.write(apart.cloud, "SET older cloud", "SET newer cloud", "SET same 1")
    apart.cloud.delete("mixed")
    apart.write(apart.cloud, "SET mixed text")
    wait_for_a_later_clock(apart)
    apart.write(apart.local, "SET newer local", "SET same 1")
    apart.merge()
    assert apart.cloud.mget("older", "newer", "mixed") == [b"cloud", b"local", b"text"]
    archive = apart.archive
    assert set(archive) == {b"older", b"newer", b"mixed"}
    older, newer = archive[b"older"], archive[b"newer"]
    assert (older.lost.store, newer.lost.store) == (Store.LOCAL, Store.CLOUD)
    assert [list(side.commands) for side in (older.lost, older.kept)] == [
        [[b"SET", b"older", b"local"]],
        [[b"SET", b"older", b"cloud"]],
    ]
    assert archive[b"mixed"].lost.by == "0123456789abcdef"
    assert older.lost.at_ms and older.kept.at_ms and newer.kept.at_ms > (newer.lost.at_ms or 0)
    assert (b"s", NAMES.conflicts) in logged(apart.cloud), "the archive is on its way to the local store"


def logged(store: redis.Redis) -> list[tuple[bytes, bytes]]:
    return [pair for _, fields in store.xrange(NAMES.log) for pair in fields.items()]


def wait_for_a_later_clock(apart: Apart) -> None:
    seconds, micros = apart.cloud.time()
    while apart.local.time() <= (seconds, micros + 2000):
        pass


TAIL = (
    ("INCR n", "RPUSH l a", "HINCRBY h f 1", "ZINCRBY z 0.5 m", "XADD x 1-1 f 1", "APPEND t a", "SADD s a"),
    ("INCRBY n 10", "LPUSH l b", "HINCRBY h g 1", "ZINCRBY z 1.1 m", "XADD x 1-2 f 2", "APPEND t bc", "SET only 1"),
    ("DECR n", "RPUSH l c d", "HINCRBY h f 5", "ZADD z INCR 2 m", "XADD x 1-3 f 3", "APPEND t d"),
)


@pytest.mark.parametrize("arrived", range(len(TAIL) + 1))
def test_what_may_have_been_shipped_counts_once(apart: Apart, arrived: int) -> None:
    apart.cloud.delete(NAMES.seal)
    apart.both("SET", "n", "100")
    for lines in TAIL:
        apart.write(apart.local, *lines)
    for line in (line for lines in TAIL[:arrived] for line in lines):
        apart.cloud.execute_command(*line.split())
    apart.write(apart.cloud, "INCRBY n 1000", "LPUSH l e", "HINCRBY h f 100", "ZINCRBY z 4 m", "APPEND t x", "SADD s b")
    apart.write(apart.cloud, "XADD x 2-1 f 4")
    apart.merge()
    cloud = apart.cloud
    assert cloud.get("n") == b"1110"
    assert sorted(cloud.lrange("l", 0, -1)) == [b"a", b"b", b"c", b"d", b"e"]
    assert cloud.hgetall("h") == {b"f": b"106", b"g": b"1"}
    assert cloud.zscore("z", "m") == pytest.approx(7.6)
    assert sorted(fields[b"f"] for _, fields in cloud.xrange("x")) == [b"1", b"2", b"3", b"4"]
    assert sorted(cloud.get("t")) == sorted(b"abcdx")
    assert cloud.smembers("s") == {b"a", b"b"}
    assert cloud.get("only") == b"1"
    assert not apart.archive


def test_where_it_cannot_be_told_what_was_shipped_nothing_counts_twice(apart: Apart) -> None:
    apart.cloud.delete(NAMES.seal)
    apart.write(apart.local, "INCR n", "RPUSH l a", "XADD x 1-1 f 1")
    apart.cloud.set("n", 77)  # by somebody who does not write through hybrid
    apart.write(apart.cloud, "INCRBY n 5", "LPUSH l b", "LPOP l", "XADD x MAXLEN 9 2-1 f 2")
    apart.merge()
    assert apart.cloud.get("n") == b"82"
    assert apart.cloud.llen("l") == 0 and apart.cloud.xlen("x") == 1
    assert set(apart.archive) == {b"n", b"l", b"x"}


def test_a_key_that_never_stands_still_is_told_apart(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written on the authority after its value was looked at is neither lost nor counted twice."""
    apart.cloud.delete(NAMES.seal)
    apart.write(apart.local, "INCR n")
    apart.write(apart.local, "INCR n")
    apart.both("SET", "n", "1")  # local has 1 more than it shows: the cloud store has the first of the two
    apart.local.set("n", "2")
    apart.write(apart.cloud, "INCRBY n 100")
    guard = merging.Merge._guard

    def written_meanwhile(self: merging.Merge, watched: set[bytes]) -> None:
        apart.write(apart.cloud, "INCRBY n 100")
        guard(self, watched)

    monkeypatch.setattr(merging.Merge, "_guard", written_meanwhile)
    disturb(monkeypatch, lambda number: apart.write(apart.cloud, "INCRBY n 100"))
    apart.merge()
    written = sum(payload.count(b"INCRBY") for name, payload in logged(apart.cloud) if name == b"v")
    assert apart.cloud.get("n") == b"%d" % (2 + 100 * written)


@pytest.mark.parametrize("written", ["HSET k f new", "DEL k"])
def test_a_key_that_is_written_now_and_then_stays_guarded(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    """Once before the guard, and once behind it: the merge must not replace that, or bring the key back."""
    apart.write(apart.local, "HSET k f old")
    wait_for_a_later_clock(apart)
    apart.write(apart.cloud, "HSET k g 1")
    guard, run, waiting = merging.Merge._guard, merging.transaction, [written, "HSET k h 1"]

    def guarded(self: merging.Merge, keys: set[bytes]) -> None:
        if len(waiting) == 2:
            apart.write(apart.cloud, waiting.pop())
        guard(self, keys)

    def disturbed(wire: Wire, commands: list[bytes]) -> Any:
        if waiting:
            apart.write(apart.cloud, waiting.pop())
        return run(wire, commands)

    monkeypatch.setattr(merging.Merge, "_guard", guarded)
    monkeypatch.setattr(merging, "transaction", disturbed)
    apart.merge()
    assert not waiting
    assert apart.cloud.hget("k", "f") == (b"new" if "new" in written else None)


@pytest.mark.parametrize(
    ("ours", "theirs", "kept"),
    [
        (("SET k old",), "DEL k", "SREM other x"),
        (("SADD k m",), "SREM k m", "SREM other k:"),
        (("HSET k f 1",), "HDEL k f", "HDEL k2 f"),
        (("SET k old",), "UNLINK a b k", "UNLINK a b"),
    ],
)
def test_a_write_that_changes_nothing_behind_the_guard_is_the_newer_one(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, ours: tuple[str, ...], theirs: str, kept: str
) -> None:
    """WATCH does not see it."""
    for line, there in ((kept, 1), (theirs, 0)):
        apart.cloud.delete("k", NAMES.log, NAMES.merged, NAMES.conflicts)
        apart.write(apart.local, *ours)
        wait_for_a_later_clock(apart)
        run, waiting = merging.transaction, [line]

        def disturbed(wire: Wire, commands: list[bytes], run: Any = run, waiting: list[str] = waiting) -> Any:
            if waiting:
                apart.write(apart.cloud, waiting.pop())
            return run(wire, commands)

        monkeypatch.setattr(merging, "transaction", disturbed)
        apart.merge()
        assert apart.cloud.exists("k") == there
        assert bool(apart.archive) is not bool(there), "what did not come back is in the archive"


def disturb(monkeypatch: pytest.MonkeyPatch, disturbance: Callable[[int], Any]) -> None:
    """Ahead of each transaction of a merge; it is told its number."""
    run, number = merging.transaction, itertools.count(1)

    def disturbed(wire: Wire, commands: list[bytes]) -> Any:
        disturbance(next(number))
        return run(wire, commands)

    monkeypatch.setattr(merging, "transaction", disturbed)


def test_a_key_that_is_named_all_the_time_is_merged(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a member of somebody else's index, it is not written."""
    keys = [f"user:{number}" for number in range(60)]
    apart.write(apart.local, *(f"HSET {key} f 1" for key in keys))
    disturb(monkeypatch, lambda number: apart.write(apart.cloud, *(f"ZADD recent {number} {key}" for key in keys)))
    apart.merge()
    assert apart.cloud.exists(*keys) == len(keys)
    assert not apart.archive


def test_a_key_that_was_only_named_and_is_written_then_is_not_replaced(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart.write(apart.local, "SET k old")
    lines = {1: "SADD index k", 2: "SADD index k", 3: "SET k new"}
    disturb(monkeypatch, lambda number: number in lines and apart.write(apart.cloud, lines[number]))
    apart.merge()
    assert apart.cloud.get("k") == b"new"
    assert set(apart.archive) == {b"k"}


def test_what_is_written_during_the_merge_is_newer_whatever_the_clocks_say(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead_ms = (apart.cloud.time()[0] + 3600) * 1000
    apart.local.set("k", "local")
    apart.local.xadd(NAMES.log, {"v": pack(("SET", "k", "local"))}, id=f"{ahead_ms}-0")
    apart.write(apart.cloud, "SET k cloud")
    disturb(monkeypatch, lambda number: apart.write(apart.cloud, "SET k during"))
    apart.merge()
    assert apart.cloud.get("k") == b"during"
    assert list(apart.archive[b"k"].lost.commands) == [[b"SET", b"k", b"local"]]


def test_a_store_that_is_full_is_not_taken_for_merged(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    apart.write(apart.local, "SET k 1")
    disturb(monkeypatch, lambda number: apart.cloud.config_set("maxmemory", 1))
    try:
        with pytest.raises(HybridError, match="maxmemory"):
            apart.merge()
    finally:
        apart.cloud.config_set("maxmemory", 0)
    assert apart.local.xlen(NAMES.log) == 1
    monkeypatch.undo()
    apart.merge()
    assert apart.cloud.get("k") == b"1"


@pytest.mark.parametrize("conflict", [False, True])
def test_a_value_that_the_cloud_store_cannot_hold(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, conflict: bool
) -> None:
    """Of a key that was written there, too, it is archived; any other stays where it is."""
    if conflict:
        apart.write(apart.cloud, "SET k cloud")
        wait_for_a_later_clock(apart)
    apart.write(apart.local, "SET k 1", "SET other 1")
    put = merge_plan.plan_put

    def unknown(key: bytes, *args: Any, **features: Any) -> Any:
        return [[[b"MODULE.SET", key]]] if key == b"k" else put(key, *args, **features)

    monkeypatch.setattr(merge_plan, "plan_put", unknown)
    refused = [event for event in apart.merge() if isinstance(event, KeyRefused)]
    assert apart.cloud.mget("k", "other") == [b"cloud" if conflict else None, b"1"]
    if conflict:
        assert [list(side.commands) for side in (apart.archive[b"k"].lost, apart.archive[b"k"].kept)] == [
            [[b"SET", b"k", b"1"]],
            [[b"SET", b"k", b"cloud"]],
        ]
    else:
        assert not apart.archive
    assert bool(refused) is bool(apart.local.hexists(NAMES.refused, "k")) is not conflict
    assert apart.local.get("k") == b"1"


@pytest.mark.parametrize("newer", list(Store))
def test_what_is_too_large_for_the_archive_stays_where_it_is(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, newer: Store
) -> None:
    monkeypatch.setattr(archive, "ENTRY_BYTES", 1000)
    stores = {Store.LOCAL: apart.local, Store.CLOUD: apart.cloud}
    for store in (newer.other, newer):
        apart.write(stores[store], f"SET k {str(store) * 1000}", f"SET half {str(store) * 100}")
        wait_for_a_later_clock(apart)
    apart.merge()
    assert apart.cloud.get("k") == str(newer).encode() * 1000
    loser = str(newer.other).encode()
    [value] = [list(stores[newer.other].mget(key)) for key in stores[newer.other].keys("hybrid:lost:*")]
    assert value == [loser * 1000]
    assert not stores[newer].keys("hybrid:lost:*")
    kept = apart.archive[b"k"]
    assert (kept.lost.store, kept.kept.value) == (newer.other, b"")
    assert [command[0] for command in kept.lost.commands] == [b"COPY", b"PERSIST"]
    assert list(apart.archive[b"half"].lost.commands) == [[b"SET", b"half", loser * 100]]
    assert apart.archive[b"half"].kept.value == b""


@pytest.mark.parametrize(
    ("before", "moves", "since", "source", "archived"),
    [
        ("RPUSH from job", ["LMOVE from to LEFT RIGHT"], "RPUSH from other", [b"job", b"other"], {b"from", b"to"}),
        ("RPUSH from job", ["RPOPLPUSH from to"], "RPUSH from other", [b"job", b"other"], {b"from", b"to"}),
        ("RPUSH from job", ["RENAME from to"], "RPUSH from other", [b"job", b"other"], {b"from", b"to"}),
        (
            "RPUSH from job",
            ["LMOVE from by LEFT RIGHT", "LMOVE by to LEFT RIGHT"],
            "RPUSH from other",
            [b"job", b"other"],
            {b"from", b"to"},
        ),
        ("RPUSH from job", ["LMOVE from to LEFT RIGHT"], "RPUSH to other", [b"job"], {b"to"}),
    ],
)
def test_what_was_moved_stands_in_one_place(
    apart: Apart, before: str, moves: list[str], since: str, source: list[bytes], archived: set[bytes]
) -> None:
    """Where one of the keys is a conflict, the others go with it: merged by itself, each would have the item."""
    apart.both(*before.split())
    for move in moves:
        apart.write(apart.local, move)
    apart.write(apart.cloud, since)
    apart.merge()
    assert apart.cloud.lrange("from", 0, -1) == source
    assert b"job" not in apart.cloud.lrange("to", 0, -1)
    assert set(apart.archive) >= {b"to"} and set(apart.archive) <= archived | {b"from"}
    named = {payload for _, fields in apart.cloud.xrange(NAMES.log) for name, payload in fields.items() if name == b"s"}
    assert {b"from", b"to"} <= named | {since.split()[1].encode()}, "what the returning store has is replaced"


def test_a_queue_and_its_workers_go_together(apart: Apart) -> None:
    """More keys than guard one another."""
    workers = [f"worker:{number}" for number in range(3 * merging.MOST_GUARDS)]
    for worker in workers:
        apart.both("RPUSH", "queue", f"job:{worker}")
    for worker in workers:
        apart.write(apart.local, f"LMOVE queue {worker} LEFT RIGHT")
    apart.write(apart.cloud, "RPUSH queue other")
    apart.merge()
    assert apart.cloud.llen("queue") == len(workers) + 1
    assert not apart.cloud.exists(*workers)
    assert set(apart.archive) == {b"queue", *map(str.encode, workers)}


def test_what_the_authority_has_moved_stands_in_one_place(apart: Apart) -> None:
    apart.both("RPUSH", "from", "job")
    apart.write(apart.cloud, "LMOVE from to LEFT RIGHT")
    wait_for_a_later_clock(apart)
    apart.write(apart.local, "LINSERT from AFTER job other")
    apart.merge()
    assert (apart.cloud.lrange("from", 0, -1), apart.cloud.lrange("to", 0, -1)) == ([], [b"job"])
    assert set(apart.archive) == {b"from"}


def test_what_both_have_moved_stands_in_one_place(apart: Apart) -> None:
    """The authority's value stays of the one that both took it from, though the returning store's is newer."""
    apart.both("RPUSH", "from", "job")
    apart.write(apart.cloud, "LMOVE from there LEFT RIGHT")
    wait_for_a_later_clock(apart)
    apart.write(apart.local, "LMOVE from to LEFT RIGHT")
    apart.merge()
    assert not apart.cloud.exists("from", "to")
    assert apart.cloud.lrange("there", 0, -1) == [b"job"]
    assert b"to" in apart.archive


def test_what_was_moved_stands_in_one_place_though_the_merge_is_interrupted(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clocks, what the authority did since the merge began is the older one."""
    merge_in_batches(monkeypatch, 1)
    ahead_ms = (apart.cloud.time()[0] + 3600) * 1000
    apart.both("RPUSH", "from", "job")
    apart.local.lmove("from", "to")
    apart.local.xadd(NAMES.log, {"v": pack(("LMOVE", "from", "to", "LEFT", "RIGHT"))}, id=f"{ahead_ms}-0")
    run, held = Merge.run, iter((True, False))

    def begun(merge: Merge) -> None:
        apart.write(apart.cloud, "RPUSH from other")
        run(merge)

    with monkeypatch.context() as meanwhile, pytest.raises(Superseded, match="lease"):
        meanwhile.setattr(Merge, "run", begun)
        apart.merge(lambda: next(held))
    apart.merge()
    assert apart.cloud.lrange("from", 0, -1) == [b"job", b"other"]
    assert not apart.cloud.exists("to")
    assert set(apart.archive) == {b"from", b"to"}


def test_what_was_moved_is_copied_though_others_name_its_keys_all_the_time(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a member of a set, say: that changes neither of the keys, whichever part of the merge they are in."""
    merge_in_batches(monkeypatch, 1)
    apart.both("RPUSH", "from", "job")
    apart.write(apart.local, "LMOVE from to LEFT RIGHT")
    run = Merge._run

    def named_before(merge: Merge, steps: list[Step], mark: Mark) -> set[bytes] | None:
        apart.write(apart.cloud, "SADD queues from")
        return run(merge, steps, mark)

    monkeypatch.setattr(Merge, "_run", named_before)
    apart.merge()
    assert (apart.cloud.lrange("from", 0, -1), apart.cloud.lrange("to", 0, -1)) == ([], [b"job"])
    assert not apart.archive


@pytest.mark.parametrize("others", [["RPUSH another other"], []])
def test_what_was_moved_is_copied_where_nobody_wrote_its_keys(apart: Apart, others: list[str]) -> None:
    apart.both("RPUSH", "from", "job")
    apart.write(apart.local, "LMOVE from to LEFT RIGHT")
    for other in others:
        apart.write(apart.cloud, other)
    apart.merge()
    assert (apart.cloud.lrange("from", 0, -1), apart.cloud.lrange("to", 0, -1)) == ([], [b"job"])
    assert not apart.archive


@pytest.mark.parametrize(
    ("field", "payload"),
    [
        (b"v", pack(("DEL", "a", "k"))),
        (b"t", pack(("PEXPIRE", "k", 5))),
        (b"i", pack(("INCRBYFLOAT", "k", "0.5"))),
        (b"s", b"k"),
        (b"f", b"1"),
        (b"r", b"1"),
    ],
)
def test_whatever_the_log_says_of_a_guarded_key_leaves_it_alone(apart: Apart, field: bytes, payload: bytes) -> None:
    apart.cloud.xadd(NAMES.log, {"v": pack(("SET", "k", 0))}, id="1-1")
    apart.cloud.xadd(NAMES.log, {field: payload}, id="1-2")
    steps = [Step(key, [pack(("SET", key, 1))], guards=(b"k",) if key == b"k" else ()) for key in (b"k", b"free")]
    for place, left in ((b"1-1", [b"k"]), (b"1-2", [])):
        call = merge_call(NAMES.log, NAMES.merged, place, Mark(b"9-9", b"1-1", b"k", frozenset()), steps)
        assert run_packed(apart.cloud, call) == [left, []]
        assert Mark.parse(apart.cloud.get(NAMES.merged)) == Mark(b"9-9", b"1-1", b"k", frozenset(left))
        assert apart.cloud.mget("k", "free") == [None if left else b"1", b"1"]


@pytest.mark.parametrize("changed", [NAMES.authority, NAMES.merged])
def test_another_shipper_behind_the_guard_ends_the_merge(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, changed: bytes
) -> None:
    """It has moved the authority, or merged the same keys."""
    for store in (apart.local, apart.cloud):
        apart.write(store, "INCR n")
    disturb(monkeypatch, lambda number: apart.cloud.set(changed, b"cloud 9"))
    with pytest.raises(Superseded):
        apart.merge()
    assert apart.cloud.get("n") == b"1"


def test_the_largest_commands_are_merged(apart: Apart) -> None:
    for store, first in ((apart.local, "m"), (apart.cloud, "n")):
        apart.write(store, "SADD s " + " ".join([first] * 4600))
    apart.write(apart.local, "SET copied 1")
    store_state(apart.local, "members", 12000)
    apart.merge()
    assert apart.cloud.smembers("s") == {b"m", b"n"}
    assert apart.cloud.get("copied") == b"1"
    assert apart.cloud.scard("members") == 12000
    assert not apart.archive


def test_a_sum_of_floats_is_merged(apart: Apart) -> None:
    for store in (apart.local, apart.cloud):
        store.incrbyfloat("f", 0.5)
        store.xadd(NAMES.log, {"v": pack(("SET", "f", "0.5")), "i": pack(("INCRBYFLOAT", "f", "0.5"))})
    apart.write(apart.local, "SET copied 1")
    apart.merge()
    assert apart.cloud.mget("f", "copied") == [b"1", b"1"]


def store_state(store: redis.Redis, key: str, members: int) -> None:
    """A set that is logged by its state."""
    store.sadd(key, *range(members))
    store.xadd(NAMES.log, {"s": key})


def test_what_scripts_counted_on_both_stores_is_archived_though_the_sums_are_equal(apart: Apart) -> None:
    """Scripts are logged by the keys that they wrote."""
    for store in (apart.local, apart.cloud):
        store.incr("n")
        store.hincrby("h", "n", 1)
        store.zincrby("z", 1, "m")
        store.set("s", "text")
        for key in ("n", "h", "z", "s", "gone"):
            store.xadd(NAMES.log, {"s": key})
    apart.merge()
    assert sorted(apart.archive) == [b"h", b"n", b"z"]


def test_what_bit_fields_counted_on_both_stores_is_archived_though_they_are_equal(apart: Apart) -> None:
    for store in (apart.local, apart.cloud):
        apart.write(store, "BITFIELD counted INCRBY u8 0 1", "BITFIELD put SET u8 0 1", "BITFIELD counted GET u8 0")
    apart.merge()
    assert sorted(apart.archive) == [b"counted"]


def test_a_store_that_is_emptied_by_hand_while_it_is_merged_takes_nothing_along(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart.both("SET", "k", "old")
    apart.write(apart.local, "SET k new")
    states = merging.Tail.states

    def emptied(self: merging.Tail, *args: Any) -> Any:
        apart.local.flushall()
        return states(self, *args)

    monkeypatch.setattr(merging.Tail, "states", emptied)
    with pytest.raises(Superseded):
        apart.merge()
    assert apart.cloud.get("k") == b"old"


def test_what_its_writer_ran_again_counts_once(apart: Apart) -> None:
    apart.write(apart.local, "INCRBY n 10", token=b"a" * 16)
    apart.write(apart.local, "INCRBY n 100", token=b"b" * 16)
    apart.write(apart.cloud, "INCRBY n 10", token=b"a" * 16)
    apart.merge()
    assert apart.cloud.get("n") == b"110"
    assert not apart.archive


def test_an_emptied_store_empties_the_other_but_for_what_is_newer(apart: Apart) -> None:
    apart.both("SET", "old", 1)
    apart.local.xadd(NAMES.log, {"f": "1"})
    apart.local.delete("old")
    apart.write(apart.local, "SET after 1")
    apart.write(apart.cloud, "SET newer 1")
    apart.merge()
    assert apart.cloud.mget("old", "after", "newer") == [None, b"1", b"1"]


def test_a_sum_that_the_cloud_store_refuses_is_a_conflict(apart: Apart) -> None:
    apart.write(apart.local, "INCR n")
    apart.write(apart.cloud, f"INCRBY n {2**63 - 1}")
    apart.merge()
    assert int(apart.cloud.get("n") or 0) == 2**63 - 1
    assert list(apart.archive[b"n"].lost.commands) == [[b"SET", b"n", b"1"]]


def test_what_is_refused_is_a_conflict_also_if_the_merge_breaks_off_then(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart.write(apart.local, "INCR n", "SET other 1")
    apart.write(apart.cloud, f"INCRBY n {2**63 - 1}")

    def lost(number: int) -> None:
        if number == 2:
            raise ReplyLost("the process is killed", silent=False)

    with monkeypatch.context() as meanwhile, pytest.raises(ReplyLost):
        disturb(meanwhile, lost)
        apart.merge()
    assert not apart.archive
    apart.merge()
    assert apart.cloud.mget("n", "other") == [b"%d" % (2**63 - 1), b"1"]
    assert list(apart.archive[b"n"].lost.commands) == [[b"SET", b"n", b"1"]]
    apart.merge()
    assert apart.cloud.xlen(NAMES.conflicts) == 1


def test_large_values_and_binary_keys(apart: Apart) -> None:
    key, value = b"\x00\xff \r\n", b"\x01" * 1_500_000
    apart.local.rpush(key, value, value)
    apart.local.xadd(NAMES.log, {"s": key})
    apart.merge()
    assert apart.cloud.lrange(key, 0, -1) == [value, value]
    assert not apart.cloud.keys("hybrid:tmp:*")


def test_a_lost_lease_ends_the_merge_and_the_next_one_goes_on(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    merge_in_batches(monkeypatch, 2)
    names = [f"n{number}" for number in range(6)]
    apart.write(apart.local, *(f"INCR {name}" for name in names))
    apart.write(apart.cloud, *(f"INCR {name}" for name in names))
    held = iter((True, True, False))
    with pytest.raises(Superseded, match="lease"):
        apart.merge(lambda: next(held))
    assert apart.cloud.mget(names) == [b"2"] * 4 + [b"1"] * 2
    assert apart.local.xlen(NAMES.log) == 1
    apart.merge()
    assert apart.cloud.mget(names) == [b"2"] * 6


@pytest.mark.parametrize("batch_keys", [2, 6])
def test_what_was_left_alone_is_merged_by_the_next_one(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, batch_keys: int
) -> None:
    """Also when later batches were merged meanwhile."""
    merge_in_batches(monkeypatch, batch_keys)
    names = [f"n{number}" for number in range(6)]
    apart.write(apart.local, *(f"INCR {name}" for name in names))
    apart.write(apart.cloud, *(f"INCR {name}" for name in names))
    held = iter((True,) * (6 // batch_keys) + (False,))
    disturb(monkeypatch, lambda number: number == 1 and apart.write(apart.cloud, "INCR n0", "INCR n1"))
    with pytest.raises(Superseded, match="lease"):
        apart.merge(lambda: next(held))
    assert apart.cloud.mget(names) == [b"2"] * 6, "two of them have their two from the cloud store"
    apart.merge()
    assert apart.cloud.mget(names) == [b"3", b"3", b"2", b"2", b"2", b"2"]


def test_a_merge_that_ends_in_a_later_round_repeats_nothing(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    merge_in_batches(monkeypatch, 2)
    names = [f"n{number}" for number in range(6)]
    for store in (apart.local, apart.cloud):
        apart.write(store, *(f"INCR {name}" for name in names))
    lines = {1: ("INCR n0", "INCR n1"), 2: ("INCR n2",)}
    disturb(monkeypatch, lambda number: number in lines and apart.write(apart.cloud, *lines[number]))
    held = iter((True, True, True, True, False))
    with pytest.raises(Superseded, match="lease"):
        apart.merge(lambda: next(held))
    apart.merge()
    assert apart.cloud.mget(names) == [b"3", b"3", b"3", b"2", b"2", b"2"]


@pytest.mark.parametrize(("later", "left_s"), [("EXPIRE l 1000", 1000), ("PERSIST l", -1)])
def test_an_expiry_that_is_set_during_the_merge_is_the_newer_one(
    apart: Apart, monkeypatch: pytest.MonkeyPatch, later: str, left_s: int
) -> None:
    """Whatever is decided anew, what is to be done again is, too."""
    apart.write(apart.local, "RPUSH l a", "EXPIRE l 5")
    apart.write(apart.cloud, "RPUSH l b")
    disturb(monkeypatch, lambda number: number == 1 and apart.write(apart.cloud, later))
    apart.merge()
    assert apart.cloud.lrange("l", 0, -1) == [b"b", b"a"]
    assert apart.cloud.ttl("l") == pytest.approx(left_s, abs=5)


def test_a_call_brings_no_more_than_a_service_takes(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of values, of commands that are applied again, and of conflicts. What was too much for one is not forgotten."""
    monkeypatch.setattr(merge_plan, "CALL_BYTES", 100_000)
    values = {f"k{number:02}": str(number) * 15_000 for number in range(30)}
    for key, value in values.items():
        apart.write(apart.local, f"SET {key} {value}", f"APPEND {key}a {value}", f"SET {key}c {value}")
        apart.write(apart.cloud, f"APPEND {key}a x")
    wait_for_a_later_clock(apart)
    for key in values:
        apart.write(apart.cloud, f"SET {key}c later")
    run, sizes = merging.transaction, list[int]()

    def measured(wire: Wire, commands: list[bytes]) -> Any:
        sizes.append(sum(map(len, commands)))
        return run(wire, commands)

    monkeypatch.setattr(merging, "transaction", measured)
    held = iter((True, True, False))
    with pytest.raises(Superseded, match="lease"):
        apart.merge(lambda: next(held))
    apart.merge()
    assert len(sizes) > 10 and max(sizes) < 150_000
    assert apart.cloud.mget(values) == [value.encode() for value in values.values()]
    assert [apart.cloud.get(f"{key}a") for key in values] == [f"x{value}".encode() for value in values.values()]
    assert set(apart.archive) == {f"{key}c".encode() for key in values}
    assert sum(pair == (b"s", NAMES.conflicts) for pair in logged(apart.cloud)) <= len(sizes)


@pytest.mark.parametrize("tail", ["", "SET k 1"])
def test_what_is_still_on_its_way_from_the_returning_store_does_not_arrive(apart: Apart, tail: str) -> None:
    """The connection over which its log was shipped is ended, whether there is anything to merge or not."""
    with client(apart.servers[Store.CLOUD].url, single_connection_client=True) as shipping:
        about = shipping.client_info()
        apart.local.set(NAMES.stream, f"{about['id']} {about['addr']}")
        if tail:
            apart.write(apart.local, tail)
        apart.merge()
        assert int(about["id"]) not in {int(each["id"]) for each in apart.cloud.client_list()}


def test_what_had_to_be_read_once_more_is_merged_by_the_next_one(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key is written on the authority after its value was looked at; then the shipper dies."""
    merge_in_batches(monkeypatch, 1)
    apart.write(apart.local, "SET a local", "SET b local")
    guard, waiting = merging.Merge._guard, ["SET a cloud"]

    def written_meanwhile(self: merging.Merge, watched: set[bytes]) -> None:
        if waiting:
            apart.write(apart.cloud, waiting.pop())
        guard(self, watched)

    monkeypatch.setattr(merging.Merge, "_guard", written_meanwhile)
    held = iter((True, True, False))
    with pytest.raises(Superseded, match="lease"):
        apart.merge(lambda: next(held))
    assert not apart.archive
    apart.merge()
    assert apart.cloud.mget("a", "b") == [b"cloud", b"local"]
    assert list(apart.archive) == [b"a"]


def test_a_conflict_is_told_when_it_is_archived(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for a key that was left alone, because it was written at that moment."""
    apart.write(apart.cloud, "SET k cloud")
    wait_for_a_later_clock(apart)
    apart.write(apart.local, "SET k local")
    disturb(monkeypatch, lambda number: number == 1 and apart.write(apart.cloud, "SET k later"))
    assert [event.count for event in apart.merge() if isinstance(event, ConflictsArchived)] == [1]
    assert apart.cloud.get("k") == b"later"


def test_one_busy_key_does_not_hold_up_the_others(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"n{number}" for number in range(50)]
    apart.write(apart.local, *(f"INCR {name}" for name in names))
    apart.write(apart.cloud, *(f"INCR {name}" for name in names))
    calls: list[int] = []

    def busy(number: int) -> None:
        calls.append(number)
        apart.write(apart.cloud, "INCR n7")

    disturb(monkeypatch, busy)
    apart.merge()
    assert apart.cloud.mget(names) == [b"%d" % (4 if name == "n7" else 2) for name in names]
    assert len(calls) == 2, "in the second round, one that only counts goes without a guard"


def hand_back(apart: Apart) -> None:
    """Another shipper merged everything and handed the authority back; the local store takes writes again."""
    for store in (apart.cloud, apart.local):
        store.set(NAMES.authority, Authority(Holder.LOCAL, 4).record)
    apart.write(apart.local, "INCR n")


def test_who_comes_after_the_failback_merges_nothing(apart: Apart) -> None:
    """What stands in the local log then is new, and on its way to the cloud store already."""
    hand_back(apart)
    with pytest.raises(Superseded):
        apart.merge(known=CLOUD_2)
    assert (apart.local.xlen(NAMES.log), apart.cloud.get("n")) == (1, None)
    assert apart.local.get(NAMES.authority) == b"local 4"


def test_a_merge_during_which_the_authority_is_handed_back_ends(apart: Apart) -> None:
    apart.write(apart.local, "INCR n")
    with pytest.raises(Superseded):
        apart.merge(lambda: bool(hand_back(apart)) or True)
    assert (apart.local.xlen(NAMES.log), apart.cloud.get("n")) == (2, None)


def test_what_is_merged_is_not_run_again_by_its_writer(apart: Apart) -> None:
    """It had no reply; the seal says that its command was not shipped, so the cloud store gets it: from the writer, in
    the epoch of the claim, or from the merge, which begins another one."""
    apart.write(apart.local, "INCR n")
    apart.merge()
    record = Authority.parse(apart.cloud.get(NAMES.authority))
    acks = Acks()
    acks.seal(Seal(CLOUD_2, CLOUD_2.epoch, (0, 0), (0, 0)))
    assert (record, apart.cloud.get("n")) == (Authority(Holder.CLOUD, 3), b"1")
    assert acks.allows(CLOUD_2) and not acks.allows(record)


def test_a_merge_that_another_one_takes_over_still_knows_what_was_shipped(apart: Apart) -> None:
    apart.write(apart.local, "INCR n")
    with pytest.raises(Superseded):
        apart.merge(lambda: False)
    assert (apart.cloud.get(NAMES.authority), apart.cloud.get(NAMES.seal)) == (b"cloud 3", b"3 0-0 0-0")


def test_a_log_that_goes_on_is_not_forgotten(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    apart.write(apart.local, "INCR n")
    forget = rejoin._forget
    monkeypatch.setattr(rejoin, "_forget", lambda *args: (hand_back(apart), forget(*args)))
    with pytest.raises(Superseded):
        apart.merge()
    assert apart.local.xlen(NAMES.log) == 2


def test_keys_that_never_stand_still_are_merged_all_the_same(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody counts and writes at every step of the merge."""
    apart.write(apart.local, "INCRBY n 10", "SET k local", "SET only 1")
    apart.write(apart.cloud, "INCR n", "SET k cloud")
    run = merging.transaction

    def disturbed(wire: Wire, commands: list[bytes]) -> Any:
        apart.write(apart.cloud, "INCR n", "SET k cloud")
        disturbed.times += 1  # type: ignore[attr-defined]
        return run(wire, commands)

    disturbed.times = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(merging, "transaction", disturbed)
    apart.merge()
    assert int(apart.cloud.get("n") or 0) == 11 + disturbed.times  # type: ignore[attr-defined]
    assert apart.cloud.mget("k", "only") == [b"cloud", b"1"]
    assert set(apart.archive) == {b"k"}


def test_few_values_are_held_at_a_time(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones are read one by one, before the small ones of their batch."""
    monkeypatch.setattr(merging, "MOST_PARTS", 2)
    large, most = "x" * 100_000, list[int]()
    states = Tail.states

    def counted(self: Tail, *args: Any) -> Any:
        found = states(self, *args)
        most.append(sum(isinstance(it, KeyState) and isinstance(it.body, List) for it in found.values()))
        return found

    monkeypatch.setattr(Tail, "states", counted)
    for number in range(9):
        apart.write(apart.local, f"RPUSH k{number}:large {large}", f"SET k{number}:small 1")
    apart.merge()
    assert max(most) <= 2
    for number in range(9):
        assert apart.cloud.lrange(f"k{number}:large", 0, -1) == [large.encode()]
        assert apart.cloud.get(f"k{number}:small") == b"1"


def test_kill_9_in_the_middle_of_a_merge(apart: Apart) -> None:
    """Again and again, after a few batches each; the counters count each increment once, the lists hold each once."""
    count = 120
    for number in range(count):
        lines = (f"INCRBY n{number} 10", f"RPUSH l{number} a", f"SET only{number} 1")
        apart.write(apart.local, *lines)
        apart.write(apart.cloud, f"INCR n{number}", f"RPUSH l{number} b")
    program = textwrap.dedent("""
        import sys
        from hybrid.replication import merge as merging
        from replication.test_rejoin import merge
        merging.BATCH_KEYS = merging.MOST_KEYS = 3
        batches = 0
        def keep():
            global batches
            batches += 1
            print(batches, flush=True)
            return True
        merge(*sys.argv[1:], keep)
        print("done", flush=True)
    """)
    killed = 0
    for after in (7, 23, 10_000):
        urls = [server.url or "" for server in apart.servers.values()]
        process = subprocess.Popen(
            [sys.executable, "-c", program, *urls], stdout=subprocess.PIPE, env={"PYTHONPATH": ":".join(sys.path)}
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == b"done" or int(line) >= after:
                break
        killed += process.poll() is None and line.strip() != b"done"
        process.kill()
        process.communicate()
        # Writes go on between: what was merged already must not be merged again on top of them.
        apart.write(apart.cloud, *(f"INCRBY n{number} 100" for number in range(count)))
        copied = [number for number in range(0, count, 7) if apart.cloud.exists(f"only{number}")]
        if copied:
            apart.write(apart.cloud, *(f"INCRBY only{number} 5" for number in copied))
    assert killed
    assert apart.local.xlen(NAMES.log) == 0
    assert [int(value) for value in apart.cloud.mget([f"n{number}" for number in range(count)])] == [311] * count
    assert all(sorted(apart.cloud.lrange(f"l{number}", 0, -1)) == [b"a", b"b"] for number in range(count))
    assert all(int(apart.cloud.get(f"only{number}") or 0) % 5 == 1 for number in range(count))
    assert not apart.archive


def test_the_archive_is_bounded(apart: Apart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "KEPT_BYTES", 100_000)
    for number in range(8):
        apart.write(apart.local, f"SET k{number} {'x' * 30_000}")
        apart.write(apart.cloud, f"SET k{number} cloud")
    apart.cloud.xadd(NAMES.conflicts, {"key": "ancient", "store": "local"}, id="1-1")
    apart.merge()
    assert b"ancient" not in apart.archive
    assert 1 <= len(apart.archive) < 8


def archived(store: redis.Redis, key: str) -> None:
    store.xadd(NAMES.conflicts, {"key": key, "store": "cloud", "restore": ""})
    store.xadd(NAMES.log, {"s": NAMES.conflicts})


@pytest.mark.parametrize("theirs", [[], ["cloud"]])
def test_both_archives_are_kept(apart: Apart, theirs: list[str]) -> None:
    """The local store led alone, and archived; so did the cloud store, and so does the merge."""
    archived(apart.local, "local")
    for key in theirs:
        archived(apart.cloud, key)
    apart.write(apart.local, "SET a local")
    wait_for_a_later_clock(apart)
    apart.write(apart.cloud, "SET a cloud")
    apart.merge()
    assert sorted(apart.archive) == sorted([b"a", b"local", *map(str.encode, theirs)])
    assert logged(apart.cloud)[-1] == (b"s", NAMES.conflicts)


def test_what_was_discarded_stays_away(apart: Apart) -> None:
    for key in ("discarded", "kept"):
        apart.both("XADD", NAMES.conflicts, "1-1" if key == "discarded" else "2-1", "key", key, "store", "local")
    apart.local.xdel(NAMES.conflicts, "1-1")
    apart.local.xadd(NAMES.log, {"v": pack(("XDEL", NAMES.conflicts, "1-1"))})
    apart.merge()
    assert list(apart.archive) == [b"kept"]


def test_an_archive_whose_latest_entry_was_discarded_takes_more(apart: Apart) -> None:
    """A stream takes no id that is not beyond all that it has had."""
    apart.cloud.xadd(NAMES.conflicts, {"key": "discarded", "store": "local"}, id="9999999999999-1")
    apart.cloud.xdel(NAMES.conflicts, "9999999999999-1")
    archived(apart.local, "local")
    apart.cloud.xadd(NAMES.log, {"s": NAMES.conflicts})
    apart.merge()
    assert list(apart.archive) == [b"local"]


def test_nothing_waits_where_nothing_is_unshipped(apart: Apart) -> None:
    apart.cloud.set(NAMES.seal, b"2 %b %b" % ((apart.local.xadd(NAMES.log, {"v": "x"}),) * 2))
    apart.merge()
    assert apart.local.xlen(NAMES.log) == 0


def test_a_store_of_which_somebody_takes_the_authority_is_not_emptied_under_its_writers(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cloud store was begun anew by a process that does not reach the local one. That takes the authority just when
    the store was to be fenced, and writes on."""
    alone = FIRST.of_local_alone
    apart.local.mset({NAMES.identity: "mark", NAMES.partner: "another", NAMES.authority: alone.record})
    apart.cloud.mset({NAMES.identity: "new", NAMES.partner: "unmet", NAMES.authority: FIRST.record})
    renew_record = Endpoint.renew_record

    def too_late(endpoint: Endpoint, authority: Authority) -> None:
        renew_record(endpoint, FIRST)
        apart.cloud.set(NAMES.authority, CLOUD_2.record)

    monkeypatch.setattr(Endpoint, "renew_record", too_late)
    local_url, cloud_url = (server.url for server in apart.servers.values())
    assert local_url and cloud_url
    board = Board(Settings(local_url=local_url, cloud_url=cloud_url), EventLog())
    board.learn(alone, source=Store.LOCAL)
    endpoints = endpoints_of(local_url, cloud_url)
    with pytest.raises(Superseded):
        rejoin.merge_tail(Store.CLOUD, endpoints, NAMES, board, lambda: True)
    assert apart.cloud.mget(NAMES.identity, NAMES.authority) == [b"new", CLOUD_2.record]
    monkeypatch.undo()
    rejoin.merge_tail(Store.CLOUD, endpoints, NAMES, board, lambda: True)
    assert apart.cloud.get(NAMES.identity) == b"outdated"
