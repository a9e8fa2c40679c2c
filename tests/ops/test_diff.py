from __future__ import annotations

import json
import random
import secrets
import threading
from collections.abc import Callable, Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import Pool, Stores, client

from hybrid import HybridRedis
from hybrid.core.cost import FREE, UPSTASH, Budget, Strategy
from hybrid.core.drift import Cause, Difference, DiffResult, Ending, Facts, Scope
from hybrid.core.fingerprint import facts_of
from hybrid.core.state import KeyState
from hybrid.errors import ConfigurationError
from hybrid.ops.diff import (
    DiffFile,
    DiffJob,
    DiffOptions,
    DiffProgress,
    confirm,
    diff_key,
    estimate_diff,
    history,
    readers,
    run_diff,
)
from hybrid.ops.diff.export import write_csv, write_json_lines
from hybrid.ops.diff.line import Line, open_line
from hybrid.ops.diff.readers import PlainReader, ScriptReader, can_run_scripts
from hybrid.replication.copy import read_states
from hybrid.stores.processes import ServerProcess

FAR_MS = 4_102_444_800_000
QUICK = DiffOptions(pause_s=0.01)
BILLED = DiffOptions(pause_s=0.01, price=UPSTASH)
SAME = (
    "SET string v",
    "SET empty ''",
    f"SET volatile v PXAT {FAR_MS}",
    "SETRANGE long 50000 end",
    "PFADD loglog a b c",
    "HSET hash a 1 b 2",
    "RPUSH list a b c",
    "SADD set a b c",
    "SADD numbers 1 2 3",
    "ZADD zset 1.5 a 2 b inf c -0 d",
    *(f"XADD stream {i}-0 f v{i}" for i in range(1, 5)),
    "XGROUP CREATE stream g 0",
    "XCLAIM stream g ann 0 1-0 2-0 TIME 1000 RETRYCOUNT 3 FORCE JUSTID",
    "XGROUP CREATECONSUMER stream g bob",
)
PLANTED = [
    ("SET string w", "string", Cause.VALUE),
    ("SETRANGE long 40000 x", "long", Cause.VALUE),
    ("DEL string", "string", Cause.ONLY_LOCAL),
    ("SET extra v", "extra", Cause.ONLY_CLOUD),
    ("PERSIST volatile", "volatile", Cause.TTL),
    (f"PEXPIREAT volatile {FAR_MS + 1500}", "volatile", Cause.TTL),
    (f"PEXPIREAT list {FAR_MS}", "list", Cause.TTL),
    ("PFADD loglog d", "loglog", Cause.VALUE),
    ("HSET hash a 9", "hash", Cause.VALUE),
    ("HDEL hash a", "hash", Cause.VALUE),
    ("LMOVE list list LEFT RIGHT", "list", Cause.VALUE),
    ("SADD set d", "set", Cause.VALUE),
    ("SREM numbers 1", "numbers", Cause.VALUE),
    ("ZADD zset 1.5000000000000002 a", "zset", Cause.VALUE),
    ("XDEL stream 2-0", "stream", Cause.VALUE),
    ("XSETID stream 9-0", "stream", Cause.VALUE),
    ("XGROUP CREATE stream h 0", "stream", Cause.STREAM_GROUP),
    ("XGROUP SETID stream g 1-0", "stream", Cause.STREAM_GROUP),
    ("XGROUP CREATECONSUMER stream g eve", "stream", Cause.STREAM_GROUP),
    ("XACK stream g 1-0", "stream", Cause.STREAM_GROUP),
    ("XCLAIM stream g bob 0 1-0 TIME 1000 RETRYCOUNT 3 JUSTID", "stream", Cause.STREAM_GROUP),
    ("XCLAIM stream g ann 0 1-0 TIME 99000 RETRYCOUNT 3 JUSTID", "stream", Cause.STREAM_GROUP),
]
BIG = (
    *(f"HSET big-hash {' '.join(f'f{i} {i}{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"SADD big-set {' '.join(f'm{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"RPUSH big-list {' '.join(f'i{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"ZADD big-zset {' '.join(f'{i}.5 m{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"XADD big-stream {i}-0 f {'v' * 40}" for i in range(1, 500)),
    "XDEL big-stream 7-0",
    "XGROUP CREATE big-stream g 9-0",
    "XCLAIM big-stream g ann 0 400-0 TIME 1000 RETRYCOUNT 3 FORCE JUSTID",
)
BIG_PLANTED = [
    ("HSET big-hash f2999 x", "big-hash"),
    ("SADD big-set extra", "big-set"),
    ("LSET big-list 1234 x", "big-list"),
    ("ZADD big-zset 7 m2000", "big-zset"),
    ("XADD big-stream 500-0 f v", "big-stream"),
]


def run(url: str, *lines: str, prefix: str = "") -> None:
    with client(url) as commands:
        commands.response_callbacks.clear()  # redis-py cannot read XCLAIM JUSTID
        pipeline = commands.pipeline(transaction=False)
        for line in lines:
            pipeline.execute_command(*with_prefix(line, prefix))
        pipeline.execute()


def with_prefix(line: str, prefix: str) -> list[str]:
    words = ["" if word == "''" else word for word in line.split()]
    at = 2 if words[0] in ("XGROUP", "XINFO") else 1
    return [
        *words[:at],
        prefix + words[at],
        *(prefix + w if words[0] == "LMOVE" and w == "list" else w for w in words[at + 1 :]),
    ]


def differences(stores: Stores, folder: Path, **more: object) -> tuple[DiffResult, list[Difference]]:
    arguments: dict[str, Any] = {"options": QUICK, **more}
    with (
        client(stores.local.url) as local,
        client(stores.cloud.url, decode_responses=True) as cloud,
        run_diff(local, cloud, folder, **arguments) as file,
    ):
        return file.result, list(file.differences())


@pytest.fixture
def pair(server_pool: Pool) -> Stores:
    """Two empty servers of one kind."""
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def equal(stores: Stores) -> Stores:
    """Two stores that hold the same, of every type, small and big, written in another order; the small ones once for
    each planted difference, under its number."""
    for store, seed in ((stores.local, 1), (stores.cloud, 2)):
        for number in range(len(PLANTED)):
            run(store.url, *SAME, prefix=f"{number}:")
        big = list(BIG[:12])  # elements of hashes and sets have no order
        random.Random(seed).shuffle(big)
        run(store.url, *big, *BIG[12:])
    return stores


KEYS = 11 * len(PLANTED) + 5
ALL_BILLED = DiffOptions(pause_s=0.01, price=UPSTASH, all_ttls=True)


@pytest.mark.parametrize("options", [QUICK, ALL_BILLED], ids=["free", "billed"])
def test_every_planted_difference_is_found_and_none_invented(
    equal: Stores, tmp_path: Path, options: DiffOptions
) -> None:
    result, found = differences(equal, tmp_path, options=options)
    assert not found
    assert (result.ending, result.different, result.equal, result.in_flight) == (Ending.FINISHED, 0, True, 0)
    assert result.compared == KEYS
    assert result.strategy == (Strategy.BILLED if options.price else Strategy.DIGEST)
    assert 0.5 < result.estimated.cloud_commands / result.actual.cloud_commands < 2

    planted = {f"{number}:{key}".encode(): cause for number, (_, key, cause) in enumerate(PLANTED)}
    for number, (change, _, _) in enumerate(PLANTED):
        run(equal.cloud.url, change, prefix=f"{number}:")
    for change, key in BIG_PLANTED:
        run(equal.cloud.url, change)
        planted[key.encode()] = Cause.VALUE
    result, found = differences(equal, tmp_path, options=options)
    assert {difference.key: difference.cause for difference in found} == planted
    assert len(found) == result.different == len(planted) and not result.equal
    assert result.counts[Cause.STREAM_GROUP] == 6


def test_a_fingerprint_is_the_same_by_script_and_by_reading(equal: Stores) -> None:
    """Big keys are digested in pieces there, and as a whole here."""
    for store in (equal.local, equal.cloud):
        run(store.url, "HSET mixed a 1 b 2", "SET binary \x00\xff", "RPUSH one x")
        with client(store.url) as plain, open_line(plain) as line:
            assert can_run_scripts(line)
            keys = list(plain.keys("*"))
            states = read_states(line, keys)
            expected = {key: facts_of(state) for key, (state, _) in states.items() if isinstance(state, KeyState)}
            assert ScriptReader(line, counted=True).facts(keys) == expected
            assert PlainReader(line, True).facts(keys) == expected
            assert len(expected) == KEYS + 3


def test_field_expiries_count_within_the_tolerance(server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    stores = Stores(server("valkey"), server("valkey"))
    for store, shift_ms in ((stores.local, 0), (stores.cloud, 400)):
        with client(store.url) as plain:
            for key in (b"near", b"far", b"lost"):
                plain.hset(key, mapping={"a": "1", "b": "2"})
                plain.hpexpireat(key, FAR_MS + shift_ms * (10 if key == b"far" else 1), "a")
    with client(stores.cloud.url) as cloud:
        cloud.hpersist("lost", "a")
    _, found = differences(stores, tmp_path)
    assert [(d.key, d.causes) for d in found] == [(b"far", (Cause.VALUE,)), (b"lost", (Cause.VALUE,))]
    assert found[0].detail.startswith("field ttl")


def test_a_key_that_differs_in_several_ways_counts_under_each(pair: Stores, tmp_path: Path) -> None:
    run(pair.local.url, "XADD events 1-1 a 1", "XADD events 2-1 a 1", "PEXPIRE events 500000")
    run(pair.cloud.url, "XADD events 1-1 a 1")
    run(pair.local.url, *(f"XGROUP CREATE events group{number} 0" for number in range(12)))
    with (
        client(pair.local.url) as local,
        client(pair.cloud.url) as cloud,
        run_diff(local, cloud, tmp_path, options=QUICK) as file,
    ):
        causes = (Cause.VALUE, Cause.STREAM_GROUP, Cause.TTL)
        assert [difference.causes for difference in file.differences()] == [causes]
        assert (file.result.different, file.result.counts) == (1, dict.fromkeys(causes, 1))
        for cause in causes:
            assert (file.count(cause), [each.key for each in file.differences(cause)]) == (1, [b"events"])
        assert file.count(*causes) == 1 and not file.count(Cause.TYPE)


def test_what_is_too_large_to_be_read_is_judged_by_its_fingerprint(
    pair: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hash of a million fields, read from both stores, took 440 MB of the client's memory."""
    monkeypatch.setattr(confirm, "MOST_READ_BYTES", 9)
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        for store, text in ((local, "here"), (cloud, "there")):
            store.hset("large", "field", text)
            store.hset("small", "field", text[:4])
        with run_diff(local, cloud, tmp_path, options=QUICK) as file:
            details = {difference.key: difference.detail for difference in file.differences()}
    assert details == {
        b"large": "hash of 9 and 10 bytes",
        b"small": "fields: 'field' = 'here' / 'field' = 'ther'",
    }


def test_expiries_within_the_tolerance_and_keys_about_to_expire_are_equal(pair: Stores, tmp_path: Path) -> None:
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        for number in range(500):
            local.set(f"k{number}", "v", pxat=FAR_MS)
            cloud.set(f"k{number}", "v", pxat=FAR_MS + 900)
        local.set("due", "v", px=600)
        result, found = differences(pair, tmp_path)
        assert not found and result.compared >= 500
        options = DiffOptions(pause_s=0.01, ttl_tolerance_ms=500)
        result, _ = differences(pair, tmp_path, options=options)
        assert result.counts[Cause.TTL] == 500


def test_only_what_is_in_scope_is_compared(equal: Stores, tmp_path: Path) -> None:
    run(equal.local.url, "SET one:a 1", "SET one:b 1", "SET two:a 1", "HSET one:h a 1", "SET hybrid:own 1")
    run(equal.cloud.url, "SET one:a 2", "SET one:c 1", "SET two:a 2", "SET one:h x", "SET hybrid:own 2")
    for options in (QUICK, ALL_BILLED):
        scopes = {
            Scope(b"one:*"): [b"one:a", b"one:b", b"one:c", b"one:h"],
            Scope(b"*:*", "hash"): [b"one:h"],
            Scope(b"one:*", "string"): [b"one:a", b"one:b", b"one:c", b"one:h"],
            Scope(keys=(b"two:a", b"one:c", b"0:hash", b"nowhere", b"hybrid:own")): [b"one:c", b"two:a"],
        }
        for scope, expected in scopes.items():
            result, found = differences(equal, tmp_path, scope=scope, options=options)
            assert [d.key for d in found] == expected
            assert result.scope == scope


def test_a_store_that_cannot_run_the_scripts_is_read(pair: Stores, tmp_path: Path) -> None:
    for store in (pair.local, pair.cloud):
        run(store.url, *SAME)
    run(pair.cloud.url, "HSET hash a 9", "PERSIST volatile", "SET extra v")
    with client(pair.cloud.url) as cloud:
        cloud.execute_command("ACL", "SETUSER", "default", "-memory")
        try:
            result, found = differences(pair, tmp_path)
        finally:
            cloud.execute_command("ACL", "SETUSER", "default", "+memory")
    assert result.strategy == Strategy.READ
    assert {d.key: d.cause for d in found} == {
        b"hash": Cause.VALUE,
        b"volatile": Cause.TTL,
        b"extra": Cause.ONLY_CLOUD,
    }


def test_long_strings_are_not_read_where_both_servers_have_digest(
    pair: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server of the tests has the command: what stands in for it here reads the values."""
    exchange = readers.exchange

    def with_digest(line: Line, commands: Sequence[Sequence[bytes]]) -> list[Any]:
        if not commands or commands[0][0] != b"DIGEST":
            return exchange(line, commands)
        values = exchange(line, [(b"GET", key) for _, key in commands])
        return [sha1(value).digest() if isinstance(value, bytes) else value for value in values]

    monkeypatch.setattr(readers, "exchange", with_digest)
    for store in (pair.local, pair.cloud):
        run(store.url, *(f"SETRANGE long:{number} 100000 end" for number in range(9)), f"SETRANGE huge {5 * 2**20} end")
    run(pair.cloud.url, "SETRANGE long:3 50000 x", "DEL long:4", "RPUSH long:4 a")
    with client(pair.cloud.url) as cloud:
        cloud.config_resetstat()
        _, found = differences(pair, tmp_path, options=BILLED)
        read = cloud.info("commandstats")
    assert {d.key: d.cause for d in found} == {b"long:3": Cause.VALUE, b"long:4": Cause.TYPE}
    assert "cmdstat_getrange" not in read and read["cmdstat_mget"]["calls"] <= 4


def test_a_thousand_equal_strings_cost_at_most_ten_commands_where_they_are_billed(pair: Stores, tmp_path: Path) -> None:
    fill(pair, 20_000)
    with client(pair.cloud.url) as cloud:
        before = cloud.info("stats")["total_commands_processed"]
        result, found = differences(pair, tmp_path, options=BILLED)
        asked = cloud.info("stats")["total_commands_processed"] - before
    assert not found and result.equal
    assert asked <= 10 * 20
    # the greeting of two connections and the two INFO are not the diff's
    assert result.actual.cloud_commands == pytest.approx(asked, abs=12)
    assert result.estimated.cloud_commands == pytest.approx(result.actual.cloud_commands, rel=0.25)
    assert result.actual.usd == pytest.approx(result.actual.cloud_commands * 0.2 / 100_000)
    assert result.ttl_share < 1


def fill(stores: Stores, count: int) -> None:
    for store in (stores.local, stores.cloud):
        with client(store.url) as plain:
            for start in range(0, count, 5000):
                plain.mset({f"key:{number}": f"value {number}" for number in range(start, start + 5000)})


def test_a_budget_stops_cleanly_and_the_rest_is_resumed(pair: Stores, tmp_path: Path) -> None:
    fill(pair, 15_000)
    run(pair.cloud.url, "SET key:77 x", "DEL key:14000", "SET extra v")
    expected = {b"key:77": Cause.VALUE, b"key:14000": Cause.ONLY_LOCAL, b"extra": Cause.ONLY_CLOUD}
    diff_id, runs, spent = None, 0, 0
    while True:
        budget = DiffOptions(pause_s=0.01, price=UPSTASH, budget=Budget(60))
        result, found = differences(pair, tmp_path, options=budget, resume=diff_id)
        runs += 1
        assert result.actual.cloud_commands - spent <= 60
        spent = result.actual.cloud_commands
        diff_id = result.id
        if result.ending is Ending.FINISHED:
            break
        assert result.ending is Ending.BUDGET and not result.equal
        assert runs < 20
    assert runs > 2
    assert {d.key: d.cause for d in found} == expected
    assert result.compared == 15_001
    assert [known.id for known in history(tmp_path)] == [diff_id]


def test_what_is_looked_at_again_after_a_break_is_counted_once(
    pair: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget breaks it off some pages behind the last checkpoint, as a store that is killed does."""
    monkeypatch.setattr("hybrid.ops.diff.run.CHECKPOINT_S", 0.0)
    fill(pair, 15_000)
    checkpoints: list[int] = []

    def end_checkpoints(progress: DiffProgress) -> None:
        if progress.phase == "comparing" and progress.keys_done:
            checkpoints.append(progress.keys_done)
            monkeypatch.setattr("hybrid.ops.diff.run.CHECKPOINT_S", float("inf"))

    options = DiffOptions(pause_s=0.01, price=FREE, budget=Budget(100))
    broken, _ = differences(pair, tmp_path, options=options, on_progress=end_checkpoints)
    assert broken.ending is Ending.BUDGET
    assert [broken.compared] == checkpoints
    resumed, _ = differences(pair, tmp_path, resume=broken.id)
    assert (resumed.equal, resumed.compared) == (True, 15_000)
    assert resumed.actual.cloud_commands > 150 + broken.actual.cloud_commands - 100  # what was spent, was spent


@pytest.mark.parametrize("phase", ["comparing", "looking for keys only in the cloud"])
def test_no_key_is_passed_over_by_a_comparison_that_goes_on_after_a_store_has_started_again(
    server: Callable[..., ServerProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """A server that has started again keeps its keys in another order: a cursor of before says nothing of it."""
    monkeypatch.setattr("hybrid.ops.diff.run.CHECKPOINT_S", 0.0)
    stores = Stores(server(persistent=True), server(persistent=True))
    fill(stores, 5000)
    with client(stores.cloud.url) as cloud:
        cloud.mset({f"key:{number}": "drifted" for number in range(0, 5000, 50)})
        cloud.mset({f"extra:{number}": "v" for number in range(100)})
    cancel = threading.Event()

    def cancel_in_phase(progress: DiffProgress) -> None:
        if progress.phase == phase and progress.keys_done:
            cancel.set()

    broken, _ = differences(stores, tmp_path, cancel=cancel, on_progress=cancel_in_phase)
    assert broken.ending is Ending.CANCELLED and broken.compared > 0
    for store in (stores.local, stores.cloud):
        store.kill()
        store.start()
    resumed, _ = differences(stores, tmp_path, resume=broken.id)
    assert resumed.counts == {Cause.VALUE: 100, Cause.ONLY_CLOUD: 100}
    assert resumed.compared == 5100


def test_every_phase_is_told_with_how_far_it_is(pair: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the later looks at what is suspected, which take longest where much differs."""
    monkeypatch.setattr("hybrid.ops.diff.run.CHECKPOINT_S", 0.0)
    fill(pair, 5000)
    seen: list[DiffProgress] = []
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        local.mset({f"only:{number}": 1 for number in range(300)})
        run_diff(local, cloud, tmp_path, options=QUICK, on_progress=seen.append)
    last = {progress.phase: (progress.keys_done, progress.keys_total) for progress in seen}
    assert list(last) == ["planning", "comparing", "looking for keys only in the cloud", "confirming", "finished"]
    assert last["comparing"] == (5300, 5300)
    assert last["looking for keys only in the cloud"] == (5000, 5000)
    done, total = last["confirming"]
    assert done == total >= 300


def test_a_job_is_watched_and_cancelled_from_another_thread(pair: Stores, tmp_path: Path) -> None:
    fill(pair, 5000)
    seen: list[DiffProgress] = []
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        job = DiffJob(local, cloud, tmp_path, options=QUICK, on_progress=lambda p: (seen.append(p), job.cancel()))
        job.start()
        assert job.wait(10) and job.error is None
        assert job.progress.phase == "cancelled" and seen[0].keys_total == 5000
        assert job.file.result.ending is Ending.CANCELLED and not job.file.result.equal
        assert run_diff(local, cloud, tmp_path, options=QUICK, resume=job.file.id).result.equal
        with pytest.raises(ConfigurationError, match="no diff"):
            run_diff(local, cloud, tmp_path, resume="20010101-000000-abcd")


def test_a_store_that_is_lost_leaves_a_diff_that_can_be_resumed(pair: Stores, tmp_path: Path) -> None:
    fill(pair, 5000)
    run(pair.cloud.url, "SET key:1 x")
    with client(pair.local.url) as local, client("redis://127.0.0.1:1") as nowhere, client(pair.cloud.url) as cloud:
        job = DiffJob(local, nowhere, tmp_path)
        job.start()
        assert job.wait(10) and isinstance(job.error, redis.ConnectionError)
        assert job.file.result.ending is Ending.FAILED
        with run_diff(local, cloud, tmp_path, options=QUICK, resume=job.file.id) as file:
            assert [d.key for d in file.differences(Cause.VALUE)] == [b"key:1"]
            assert not list(file.differences(Cause.TTL)) and not list(file.differences(offset=1))


def test_keys_with_entries_in_flight_are_no_drift(pair: Stores, tmp_path: Path) -> None:
    run(pair.local.url, "SET waiting new", "SET drift new", "XADD hybrid:log * s waiting")
    run(pair.cloud.url, "SET waiting old", "SET drift old")
    result, found = differences(pair, tmp_path, options=DiffOptions(pause_s=0.001))
    assert [d.key for d in found] == [b"drift"]
    assert result.in_flight == 1


def test_real_drift_is_found_while_a_client_writes(pair: Stores, tmp_path: Path) -> None:
    written, stop = [0], threading.Event()
    with HybridRedis.from_urls(pair.local.url, pair.cloud.url, ack="local") as writer:
        writer.ping()
        assert writer.wait_in_sync(20)
        fill(pair, 5000)
        run(pair.cloud.url, *(f"SET key:{number} drifted" for number in range(0, 5000, 250)))

        def write() -> None:
            while not stop.is_set():
                number = written[0] = written[0] + 1
                if number % 250:
                    writer.set(f"key:{number % 5000}", number)
                writer.incr("hot")
                writer.set(f"short:{number}", "v", px=20)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
                found = [
                    list(run_diff(local, cloud, tmp_path, options=DiffOptions(pause_s=0.05)).differences())
                    for _ in range(2)
                ]
        finally:
            stop.set()
            thread.join()
    assert written[0] > 100
    for differences_found in found:
        assert [d.key for d in differences_found] == sorted(b"key:%d" % number for number in range(0, 5000, 250))


def test_the_estimate_asks_little(pair: Stores) -> None:
    fill(pair, 5000)
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        plan = estimate_diff(local, cloud, options=BILLED)
        assert (plan.keys_total, plan.strategy) == (5000, Strategy.BILLED)
        assert 0 < plan.estimated.cloud_commands - (5 + 10 + 25) <= 20  # SCAN, MGET, PEXPIRETIME; what planning takes
        assert estimate_diff(local, cloud, options=DiffOptions(price=FREE)).strategy == Strategy.DIGEST


def test_the_history_keeps_the_last_twenty(pair: Stores, tmp_path: Path) -> None:
    for _ in range(22):
        DiffFile.create(tmp_path, f"20260101-000000-{secrets.token_hex(2)}").close()
    result, _ = differences(pair, tmp_path)
    assert len(list(tmp_path.glob("*.diff"))) == 20
    assert history(tmp_path) == [result]
    assert (tmp_path / f"{result.id}.diff").stat().st_mode & 0o077 == 0


def test_one_key_field_by_field(pair: Stores) -> None:
    run(pair.local.url, "HSET h a 1 b 2")
    run(pair.cloud.url, "HSET h a 1 b 3 c 4")
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        assert [(d.part, d.name, d.local, d.cloud) for d in diff_key(local, cloud, b"h")] == [
            ("field", b"b", b"2", b"3"),
            ("field", b"c", None, b"4"),
        ]


def test_differences_as_csv_and_json(tmp_path: Path) -> None:
    here = Facts("string", b"1", None, 3)
    found = [
        Difference(b"=cmd()", (Cause.VALUE, Cause.TTL), here, Facts("string", b"2", 5, 4), "x"),
        Difference(b"\xff", (Cause.ONLY_LOCAL,), here, None),
    ]
    write_csv(tmp_path / "d.csv", found)
    lines = (tmp_path / "d.csv").read_text().splitlines()
    assert lines[0].startswith("key,cause,causes")
    assert lines[1].startswith('\'=cmd(),value,"value, ttl",string,string,3,4,,5,x')
    assert lines[2].startswith("\\xff,only local,only local,string,,3,")
    write_json_lines(tmp_path / "d.jsonl", found)
    assert [json.loads(line)["key"] for line in (tmp_path / "d.jsonl").read_text().splitlines()] == ["=cmd()", "\\xff"]
