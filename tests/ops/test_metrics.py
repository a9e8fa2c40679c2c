"""What applications measured, read back as rows, and as money."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date, timedelta

import pandas
import pytest
import redis
from servers import Stores, client, wait_until

from hybrid import HybridRedis
from hybrid.core.histogram import Histogram, bucket_of
from hybrid.core.metrics import Happening, Record
from hybrid.core.names import Names
from hybrid.core.spending import Price, Usage, cost_summary
from hybrid.observe.folding import fold
from hybrid.ops import metrics
from hybrid.stores.endpoint import Endpoint
from hybrid.types import Store

NAMES = Names()


@pytest.fixture
def hybrid(stores: Stores) -> Iterator[HybridRedis]:
    with HybridRedis.from_urls(stores.local.url, stores.cloud.url, decode_responses=True) as opened:
        yield opened


def histogram(*millis: float) -> Histogram:
    return Histogram.merged(Histogram({bucket_of(int(each * 1000)): 1}, int(each * 1000)) for each in millis)


def test_what_applications_did_is_there_when_they_have_closed(stores: Stores, hybrid: HybridRedis) -> None:
    began_s = time.time() - 1
    for _ in range(2):
        with HybridRedis.from_urls(stores.local.url, stores.cloud.url) as application:
            for number in range(20):
                application.set(f"key:{number}", "x")
                application.get(f"key:{number}")
            application.hset("hash", "field", 1)
            with pytest.raises(redis.ResponseError):
                application.incr("hash")
    records = metrics.read_records(hybrid, began_s)
    counts: dict[tuple[str, str], int] = {}
    for row in metrics.latency_rows(records):
        counts[row["store"], row["group"]] = counts.get((row["store"], row["group"]), 0) + row["count"]
    assert counts["local", "strings"] == 2 * (40 + 1)
    assert counts["local", "hashes"] == 2
    errors = metrics.error_rows(records)
    assert sum(row["count"] for row in errors) == 2 and {row["where"] for row in errors} == {"client"}
    traffic = [
        row for row in metrics.traffic_rows(records) if (row["store"], row["purpose"]) == ("local", "application")
    ]
    assert sum(row["commands"] for row in traffic) > 160
    assert sum(usage.commands for usage in metrics.read_days(hybrid).values()) > 20
    with client(stores.cloud.url) as cloud:
        assert not cloud.keys("hybrid:metrics*"), "the billed store keeps no metrics"


def test_rows_are_what_pandas_takes() -> None:
    record = Record(1000, 10, gauges={"lag_s": 2.0, "keys.local": 7})
    record.latency = {("local", "strings"): histogram(1, 2, 3, 100), ("cloud", "strings"): histogram(60)}
    record.errors = {("cloud", "refused"): (3,)}
    record.traffic = {("cloud", "health"): (4, 100, 200)}
    latency = pandas.DataFrame(metrics.latency_rows([record])).set_index(["store", "group"])
    assert latency.loc[("local", "strings"), "p50_ms"] == pytest.approx(2, rel=0.13)
    assert latency.loc[("local", "strings"), "max_ms"] == pytest.approx(100, rel=0.13)
    assert latency.loc[("cloud", "strings"), "count"] == 1
    heat = metrics.heat_rows([record], Store.LOCAL)
    assert sum(row["count"] for row in heat) == 4
    assert all(row["from_ms"] < row["to_ms"] for row in heat)
    assert metrics.heat_rows([record], Store.LOCAL, "hashes") == []
    assert metrics.throughput_rows([record])[1]["per_s"] == 0.4
    assert metrics.error_rows([record]) == [{"at_s": 1000, "where": "cloud", "kind": "refused", "count": 3}]
    assert metrics.gauge_rows([record], ["lag_s"]) == [{"at_s": 1000, "name": "lag_s", "value": 2.0}]
    (whole,) = metrics.by_store([record])
    assert whole.latency["local", "all"].count == 4


def test_one_failover_is_one_event_however_many_saw_it() -> None:
    record = Record(0, 10)
    for process in ("a", "b", "c"):
        record.events.append(Happening(5.0, process, "AuthorityMoved", "warning", "failover", "AuthorityMoved 2"))
        record.events.append(Happening(4.0, process, "StoreDown", "warning", "local store unavailable"))
    names = [row["event"] for row in metrics.event_rows([record])]
    assert names == ["StoreDown"] * 3 + ["AuthorityMoved"]


def test_hours_and_days_are_read_from_folded_records_and_the_rest(stores: Stores, hybrid: HybridRedis) -> None:
    now_s = int(time.time())
    with client(stores.local.url) as local:
        for age_s, key, span_s in ((5 * 3600, NAMES.metrics_600, 600), (3000, NAMES.metrics_60, 60)):
            record = Record(now_s - age_s, span_s, traffic={("cloud", "application"): (1, 0, 0)})
            local.xadd(key, {"d": record.packed()}, id=f"{(now_s - age_s) * 1000}-0")
        for age_s in (600, 20):
            record = Record(now_s - age_s, 10, traffic={("cloud", "application"): (1, 0, 0)})
            local.xadd(NAMES.metrics_10, {"n": f"{age_s}", "d": record.packed()}, id=f"{(now_s - age_s) * 1000}-0")

    def read(hours: float) -> tuple[int, set[int]]:
        records = metrics.read_records(hybrid, now_s - hours * 3600)
        return sum(row["commands"] for row in metrics.traffic_rows(records)), {record.span_s for record in records}

    assert read(0.5) == (2, {10})
    assert read(20) == (3, {60})
    assert read(30) == (4, {600})
    endpoint = Endpoint(Store.LOCAL, stores.local.url, NAMES, timeout_s=2.0)
    fold(wire := endpoint.connect_raw(), NAMES)
    wire.disconnect()
    assert read(30)[0] == 4, "folding moves counts, and neither loses nor doubles them"
    assert read(0.5)[0] == 2


def test_an_event_of_the_client_is_published(hybrid: HybridRedis, stores: Stores) -> None:
    began_s = time.time() - 1
    with HybridRedis.from_urls(stores.local.url, stores.cloud.url) as application:
        application.set("key", "value")
        application.change_settings(ack="local")
    wait_until(lambda: metrics.event_rows(metrics.read_records(hybrid, began_s)), "the event is there")
    assert "SettingsChanged" in {row["event"] for row in metrics.event_rows(metrics.read_records(hybrid, began_s))}


# -- money


def test_the_month_is_projected_from_the_last_days() -> None:
    today = date(2026, 11, 10)
    days = {today - timedelta(days=age): Usage(commands=100_000) for age in range(9)}
    days[today] = Usage(commands=50_000)
    days[date(2026, 10, 31)] = Usage(commands=10_000_000)
    summary = cost_summary(days, today, 0.5, Price(), budget_usd=3.0)
    assert (summary.month, summary.commands) == ("2026-11", 850_000)
    assert summary.usd == pytest.approx(1.70)
    assert summary.projected_commands == 850_000 + 100_000 * 20.5
    assert summary.projected_usd == pytest.approx(5.80)
    assert summary.budget_share == pytest.approx(5.80 / 3)


def test_bandwidth_is_free_up_to_its_limit() -> None:
    today = date(2026, 2, 28)
    days = {today: Usage(sent_bytes=150_000_000_000, received_bytes=60_000_000_000)}
    assert cost_summary(days, today, 1.0, Price()).usd == pytest.approx(10 * 0.03)
    assert cost_summary({}, today, 0.0, Price(), 1.0).projected_usd == 0


def test_rows_of_cost_by_day_and_purpose() -> None:
    days = {(date(2026, 11, 2), "shipping"): Usage(200_000), (date(2026, 11, 1), "health"): Usage(5_760)}
    rows = metrics.cost_rows(days, Price())
    assert [(row["day"], row["purpose"], round(row["usd"], 4)) for row in rows] == [
        ("2026-11-01", "health", 0.0115),
        ("2026-11-02", "shipping", 0.4),
    ]
