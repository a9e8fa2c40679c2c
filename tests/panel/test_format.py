"""Numbers and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hybrid.ops.overview import Sample
from hybrid.types import Store
from panel import charts, format, i18n
from panel.metrics.axes import time_formats


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "unknown"), (0.334, "0.33 ms"), (1.14, "1.1 ms"), (62.4, "62 ms"), (1400, "1.4 s")],
)
def test_latency(value: float | None, shown: str) -> None:
    assert format.latency(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (999, "999 B"),
        (3_300_000, "3.15 MB"),
        (3.06 * 2**30, "3.06 GB"),
        (250 * 2**20, "250 MB"),
    ],
)
def test_size(value: float | None, shown: str) -> None:
    assert format.size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "unknown"), (5, "5 s"), (61, "1 min"), (7300, "2 h"), (41.5 * 86400, "41 d")]
)
def test_duration(value: float | None, shown: str) -> None:
    assert format.duration(value) == shown


def test_numbers_are_written_as_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (format.number(1234.5, ",.1f"), format.count(1234567), format.money(12.3)) == (
        "1,234.5",
        "1,234,567",
        "$12.30",
    )
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    shown = (format.number(1234.5, ",.1f"), format.count(1234567), format.latency(1400), format.size(3_300_000))
    assert shown == ("1.234,5", "1.234.567", "1,4 s", "3,15 MB")
    assert (format.money(12.3), format.seconds(0.42)) == ("US$ 12,30", "0,4 s")
    assert (format.seconds(0.04), format.seconds(0)) == ("40 ms", "0,0 s")


def test_clock_is_in_the_readers_zone_and_names_another_day() -> None:
    now = datetime.now(UTC)
    assert format.clock(now.timestamp(), "UTC") == f"{now:%H:%M}"
    assert format.clock(datetime(2020, 5, 3, 22, 30, tzinfo=UTC).timestamp(), "America/Sao_Paulo") == "03 May 19:30"
    assert format.clock(now.timestamp(), "Not/AZone")
    assert format.clock(None) == "unknown"


def test_no_name_of_a_month_is_english_in_portuguese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    assert format.clock(datetime(2020, 2, 3, 22, 30, tzinfo=UTC).timestamp(), "UTC") == "03/02 22:30"
    assert "%b" not in str(time_formats())


def test_thinning_keeps_peaks_and_gaps() -> None:
    values: list[tuple[float, float | None]] = [(float(at), 1.0) for at in range(100)]
    values[40] = (40.0, 99.0)
    values[60:70] = [(float(at), None) for at in range(60, 70)]
    thinned = charts.thinned(values, 10)
    assert len(thinned) == 10
    assert max(value for _, value in thinned if value is not None) == 99.0
    assert thinned[6] == (69.0, None)


def test_latency_chart_shows_a_gap_where_a_store_did_not_answer() -> None:
    samples = [Sample(at, Store.LOCAL, 0.3, value, 1, 1) for at, value in ((10.0, 1.0), (12.0, None), (14.0, 0.0))]
    figure = charts.latency_chart(samples, [Store.LOCAL], 0.0, 20.0)
    p99 = next(series for series in figure["series"] if series["name"] == "Local p99")
    assert p99["data"] == [[10000, 1.0, "1.0 ms"], [12000, None, ""], [14000, charts.LEAST_MS, "0.05 ms"]]
    assert figure["animation"] is False


def test_a_ticking_log_axis_is_labelled_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    values, texts = charts.ms_log_axes([0.3, None, 42.0])
    assert (values["min"], values["max"]) == (0.1, 100)
    assert texts["data"] == ["0.1 ms", "1 ms", "10 ms", "100 ms"]
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    assert charts.ms_log_axes([0.3, 42.0])[1]["data"] == ["0,1 ms", "1 ms", "10 ms", "100 ms"]
    samples = [Sample(at, Store.LOCAL, 1.0, 1.0, 1, 1) for at in (10.0, 12.0)]
    assert charts.latency_chart(samples, [Store.LOCAL], 0.0, 20.0)["yAxis"] == charts.ms_log_axes([1.0])
    assert charts.ms_log_axes([1.0])[1]["data"] == ["1 ms", "10 ms"], "an axis has a length"
    assert charts.ms_log_axes([])[1]["data"] == ["0,1 ms", "1 ms", "10 ms"]


def test_what_a_ticking_chart_says_of_a_point_is_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    samples = [Sample(at, Store.LOCAL, 0.25, 1.5, 1, 1) for at in (10.0, 12.0)]
    for series in charts.latency_chart(samples, [Store.LOCAL], 0.0, 20.0)["series"]:
        assert series["encode"]["tooltip"] == "word"
        assert {point[2] for point in series["data"]} == {"1,5 ms" if "p99" in series["name"] else "0,25 ms"}


def test_data_is_no_markup() -> None:
    assert format.escaped("news* of :red[x] `k_1`") == r"news\* of \:red\[x\] \`k\_1\`"
