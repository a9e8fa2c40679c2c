"""Recording, merging and folding: however counts are split and merged, their sums stay exact."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from servers import client

from hybrid import events
from hybrid.core.histogram import BUCKETS, Histogram, bucket_of, upper_us
from hybrid.core.metrics import Record, by_slot
from hybrid.core.names import Names
from hybrid.observe import folding
from hybrid.observe.folding import fold, records_of
from hybrid.observe.metrics import Recorder
from hybrid.observe.publisher import WAITING, Publisher
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

NAMES = Names()
GET = ("local", "strings")


# -- histograms


@given(st.integers(0, 2**40))
def test_a_value_is_below_the_upper_bound_of_its_bucket_by_at_most_an_eighth(micros: int) -> None:
    bucket = bucket_of(micros)
    assert 0 <= bucket < BUCKETS
    if micros < 2**27:
        assert micros < upper_us(bucket) <= micros * 1.125 + 1


def test_buckets_leave_no_gap() -> None:
    for bucket in range(BUCKETS - 1):
        assert bucket_of(upper_us(bucket)) == bucket + 1
        assert bucket_of(upper_us(bucket) - 1) == bucket


@given(st.lists(st.lists(st.integers(0, 10**7), max_size=30), max_size=5))
def test_merging_is_exact(parts: list[list[int]]) -> None:
    def recorded(values: list[int]) -> Histogram:
        return Histogram.merged(Histogram({bucket_of(value): 1}, value) for value in values)

    merged = Histogram.merged(map(recorded, parts))
    whole = recorded([value for part in parts for value in part])
    assert (merged.counts, merged.sum_us) == (whole.counts, whole.sum_us)
    assert Histogram.unpacked(merged.packed()).counts == whole.counts
    values = sorted(value for part in parts for value in part)
    median = merged.quantile_ms(0.5)
    assert (median is None) == (not values)
    if values and median is not None:
        assert values[(len(values) - 1) // 2] < median * 1000 <= values[(len(values) - 1) // 2] * 1.125 + 1


# -- the recorder


def test_every_thread_counts_also_one_that_has_ended() -> None:
    recorder = Recorder()

    def work() -> None:
        for _ in range(500):
            recorder.record(Store.LOCAL, "GET", 0.001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    seen = recorder.take(0, 10).latency.get(GET, Histogram()).count
    for thread in threads:
        thread.join()
    del threads, thread
    work()
    seen += recorder.take(10, 10).latency[GET].count
    assert seen == 9 * 500
    assert recorder.take(20, 10).is_empty, "nothing is taken twice"


def test_commands_are_grouped_and_errors_traffic_and_events_taken() -> None:
    traffic = {("cloud", "shipping"): (5, 100, 10)}
    recorder = Recorder(lambda: dict(traffic), "app:1")
    for name in ("GET", "SET", "HGET", "pipeline", "no such"):
        recorder.record(Store.CLOUD, name, 0.05)
    recorder.error("cloud", "silent")
    recorder.event(events.AuthorityMoved(authority=Store.CLOUD, epoch=7))
    recorder.event(events.Started(local="up", cloud="up", sync="on"))
    first = recorder.take(0, 10)
    groups = {group: histogram.count for (_, group), histogram in first.latency.items()}
    assert groups == {"strings": 2, "hashes": 1, "pipelines": 1, "other": 1}
    assert first.errors == {("cloud", "silent"): (1,)}
    assert [(event.event, event.process, event.key) for event in first.events] == [
        ("AuthorityMoved", "app:1", "AuthorityMoved 7")
    ]
    traffic["cloud", "shipping"] = (7, 150, 10)
    assert recorder.take(10, 10).traffic == {("cloud", "shipping"): (2, 50, 0)}
    again = Record.unpacked(first.packed())
    assert (again.errors, again.traffic, again.events) == (first.errors, first.traffic, first.events)


# -- publishing and folding


@pytest.fixture
def endpoint(valkey: ServerProcess) -> Endpoint:
    return Endpoint(Store.LOCAL, valkey.url, NAMES, timeout_s=2.0)


@pytest.fixture
def local(valkey: ServerProcess) -> Iterator[redis.Redis]:
    with client(valkey.url) as connection:
        yield connection


def record(at_s: int, count: int) -> Record:
    made = Record(at_s, 10, traffic={("cloud", "application"): (count, 0, 0)}, gauges={"lag_s": float(count)})
    made.latency[GET] = Histogram({5: count}, 5 * count)
    return made


def test_records_wait_for_the_local_store_and_none_is_lost(endpoint: Endpoint, local: redis.Redis) -> None:
    is_up = False
    recorder = Recorder()
    publisher = Publisher(recorder, endpoint, NAMES, lambda: is_up)
    for number in range(WAITING * 3):
        recorder.record(Store.LOCAL, "GET", 0.001)
        publisher._take(number * 10)
        publisher._publish()
    assert len(publisher._waiting) <= WAITING
    assert not local.exists(NAMES.metrics_10)
    is_up = True
    publisher._publish()
    found = records_of(raw(local, NAMES.metrics_10))
    assert sum(each.latency[GET].count for each in found) == WAITING * 3
    assert not publisher._waiting


def test_a_store_that_forbids_it_is_no_error(
    endpoint: Endpoint, local: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(Recorder(), endpoint, NAMES, lambda: True)
    publisher._publish()
    publisher._folded_minute = 0
    local.execute_command("ACL", "SETUSER", "default", "-@all", "+acl")
    try:
        publisher._publish()
    finally:
        local.execute_command("ACL", "SETUSER", "default", "+@all")
    assert not caplog.records


def raw(local: redis.Redis, key: bytes) -> list[tuple[bytes, list[bytes]]]:
    return [(place, [part for item in fields.items() for part in item]) for place, fields in local.xrange(key)]


def test_folding_keeps_every_count_and_folds_nothing_twice(endpoint: Endpoint, local: redis.Redis) -> None:
    now_ms = int(time.time()) // 600 * 600_000 - 600_000
    for index in range(120):
        at_s = now_ms // 1000 - 1200 + index * 10
        fields = {"n": f"a:{index}", "d": record(at_s, index).packed()}
        local.xadd(NAMES.metrics_10, fields, id=f"{at_s * 1000 + 10_000}-0")
    local.xadd(NAMES.metrics_10, fields, id=f"{now_ms}-7")  # sent again, because its reply was lost
    wires = [endpoint.connect_raw() for _ in range(2)]
    threads = [threading.Thread(target=fold, args=(wire, NAMES)) for wire in wires]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(3):
        fold(wires[0], NAMES)
        folding._fold(wires[1], NAMES.metrics_10, NAMES.metrics_600, 600, None)
    total = sum(range(120))
    for key, span_s in ((NAMES.metrics_60, 60), (NAMES.metrics_600, 600)):
        folded = records_of(raw(local, key))
        assert sum(each.latency[GET].count for each in folded) == total
        assert {each.span_s for each in folded} == {span_s}
        assert all(each.at_s % span_s == 0 for each in folded)
        assert max(each.gauges["lag_s"] for each in folded) == 119
    assert sum(int(value) for value in local.hgetall(NAMES.metrics_days).values()) == total
    for wire in wires:
        wire.disconnect()


def test_a_broken_entry_spoils_nothing() -> None:
    good = record(0, 1).packed()
    entries = [(b"1-0", [b"d", b"{}"]), (b"2-0", [b"x", b"y"]), (b"3-0", [b"d", good]), (b"4-0", [b"d", b"[1]"])]
    assert len(records_of(entries)) == 1


def test_old_days_are_forgotten(endpoint: Endpoint, local: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_DAYS_FIELDS", 1)
    today = folding.day_of(time.time())
    local.hset(NAMES.metrics_days, mapping={"2020-01-01|cloud|panel|commands": 1, f"{today}|cloud|panel|commands": 2})
    now_s = int(time.time()) - 120
    local.xadd(NAMES.metrics_10, {"n": "a:1", "d": record(now_s, 3).packed()}, id=f"{now_s * 1000}-0")
    wire = endpoint.connect_raw()
    fold(wire, NAMES)
    wire.disconnect()
    assert not any(name.startswith(b"2020") for name in local.hkeys(NAMES.metrics_days))
    assert local.hget(NAMES.metrics_days, f"{today}|cloud|panel|commands") == b"2"


def test_slots() -> None:
    whole = by_slot([record(55, 1), record(61, 2), record(119, 3)], 60)
    assert [(each.at_s, each.latency[GET].count) for each in whole] == [(0, 1), (60, 5)]
