"""The page Metrics: charts of what was measured, gaps where nothing was, and words where nothing is known."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from hybrid.core.commands import COMMANDS
from hybrid.core.histogram import Histogram, bucket_of
from hybrid.core.metrics import Happening, Record
from hybrid.core.spending import CostSummary
from hybrid.observe.metrics import group_of
from hybrid.ops.overview import Overview
from hybrid.types import Store
from panel import i18n
from panel.format import ms_text
from panel.metrics import charts, figures, live, queries, view
from panel.metrics.axes import byte_ticks, log_ticks, value_ticks
from panel.metrics.charts import Unit
from panel.metrics.queries import CostRow, Costs, HeatRow, Measured
from panel.reads import Known, Unknown
from panel.tables import THREE_DIGITS, csv_of, numbered

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]
PAGE = "watch/metrics.py"
END = int(time.time()) // 10 * 10


def record(at_s: int, *, ms: float | None = 0.5, failed: int = 0, keys: int | None = 100) -> Record:
    found = Record(at_s, 10)
    if ms is not None:
        found.latency["local", "strings"] = Histogram({bucket_of(int(ms * 1000)): 20}, int(ms * 20_000))
        found.latency["local", "hashes"] = Histogram({bucket_of(int(ms * 4000)): 5}, int(ms * 20_000))
    if failed:
        found.errors["cloud", "timeout"] = (failed,)
    if keys is not None:
        found.gauges = {"keys.local": keys, "memory_bytes.local": 2_000_000, "lag_entries": 3, "p50_ms.cloud": 62.0}
    return found


def measured(*records: Record) -> Measured:
    return Measured(END - 3600, END, 10, records)


RECORDS = [record(END - 600 + 10 * number) for number in range(20)]
RECORDS += [record(END - 100 + 10 * number, ms=2.0, failed=2) for number in range(10)]
RECORDS[3].events.append(Happening(END - 570.0, "shop", "AuthorityMoved", "warning", "cloud takes writes", "k"))
RECORDS[4].events.append(Happening(END - 560.0, "shop", "KeyRefused", "warning", "a key was refused"))
FOUND = measured(*RECORDS)


def day_cost(day: str, purpose: str, commands: int) -> CostRow:
    return CostRow(
        day=day, purpose=purpose, commands=commands, sent_bytes=1, received_bytes=1, usd=commands * 2e-6
    )  # fmt: skip


COSTS = Costs(
    (
        day_cost("2026-11-22", "shipping", 900),
        day_cost("2026-11-23", "panel", 100),
    ),
    CostSummary("2026-11", 1000, 0.002, 30_000, 6.0, 5.0, 1.2),
    0.20,
    date(2026, 11, 23),
)  # fmt: skip


@pytest.fixture
def page(set_weather: SetWeather, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage) -> Callable[..., AppTest]:
    """Open the page in a weather, with these answers."""

    def open_(answer: Any = None, costs: Any = None, weather: str = "healthy") -> AppTest:
        set_weather(weather)
        monkeypatch.setattr(queries, "measured", lambda length_s: answer or Known(FOUND, time.time()))
        monkeypatch.setattr(queries, "costs", lambda: costs or Known(COSTS, time.time()))
        at = open_page(PAGE)
        assert not at.exception
        return at

    return open_


def specs(at: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in at.get("plotly_chart")]


def test_charts_of_both_stores_with_failovers_on_the_time_axis(page: Callable[..., AppTest], text_of: TextOf) -> None:
    at = page()
    latency = specs(at)[0]
    assert latency["layout"]["yaxis"]["type"] == "log"
    names = [trace["name"] for trace in latency["data"]]
    assert names == ["Local p99", "Local p95", "Local p50", "Cloud probe p50", "Events"]
    assert len(latency["layout"]["shapes"]) == 1  # the failover is marked, the refused key is in the list only
    assert "Failover" in latency["data"][-1]["text"][0]
    text = text_of(at)
    assert "cloud takes writes" in text and "a key was refused" in text
    assert [metric.value for metric in at.metric][:6] == ["0.51 ms", "8.2 ms", "62 ms", ":gray[unknown]", "750", "0"]


def test_probes_that_are_drawn_alone_can_be_downloaded(page: Callable[..., AppTest]) -> None:
    quiet = measured(*(record(END - 600 + 10 * number, ms=None) for number in range(20)))
    at = page(Known(quiet, time.time()))
    assert [trace["name"] for trace in specs(at)[0]["data"]] == ["Cloud probe p50"]
    first = at.get("download_button")[0]
    assert not first.proto.disabled


def test_live_mode_draws_what_keeps_its_place(page: Callable[..., AppTest]) -> None:
    at = page()
    still = len(at.get("plotly_chart"))
    at.toggle(key="follow").set_value(True).run()
    assert not at.exception
    assert len(at.get("plotly_chart")) < still  # heat maps and costs, which do not tick


def test_a_command_group_of_its_own(page: Callable[..., AppTest], text_of: TextOf) -> None:
    at = page()
    at.selectbox(key="commands").set_value("hashes").run()
    assert at.metric[4].value == "150"
    assert "round trip of hashes" in text_of(at)


def test_unknown_is_said_with_what_was_known(page: Callable[..., AppTest], text_of: TextOf) -> None:
    lost = Unknown("The local store does not answer.", END, last=Known(FOUND, END - 60))
    assert "The local store does not answer. Shown is what was read at" in text_of(page(lost))
    nothing = page(Unknown("The local store does not answer.", END))
    assert "The local store does not answer." in text_of(nothing)
    assert not [metric for metric in nothing.metric if "p50" in metric.label]


def test_nothing_measured_is_no_row_of_zeros(page: Callable[..., AppTest], text_of: TextOf) -> None:
    at = page(Known(measured(), END))
    assert "Nothing was measured in this range." in text_of(at)
    assert len(at.metric) == 4  # of the costs


def test_costs_with_projection_and_budget(page: Callable[..., AppTest], text_of: TextOf) -> None:
    at = page()
    money = {metric.label: metric for metric in at.metric}
    assert money["Projected for the month"].value == "$6.00"
    assert money["Budget"].delta == "120% of it projected"
    bars, month = specs(at)[-2:]
    assert [trace["name"] for trace in bars["data"]] == ["shipping", "panel"]
    assert [trace["name"] for trace in month["data"]] == ["So far", "Projected", "Budget"]
    assert month["data"][0]["y"] == [0.0018, 0.002]
    alone = page(weather="no cloud")
    assert "nothing is billed" in text_of(alone)


def test_how_a_budget_is_set_stands_where_a_phone_has_room_for_it(page: Callable[..., AppTest]) -> None:
    costs = replace(COSTS, month=replace(COSTS.month, budget_usd=None, budget_share=None))
    at = page(costs=Known(costs, time.time()))
    assert any("`HYBRID_CLOUD_BUDGET`" in caption.value for caption in at.caption)
    assert not any("HYBRID_" in metric.proto.delta_description for metric in at.metric)


def test_gaps_stay_gaps() -> None:
    found = measured(record(END - 100), record(END - 90), record(END - 30))
    (line, *_) = charts.gauge_chart(found, "keys", Unit.COUNT).lines
    assert [value for _, value in line.points] == [100, 100, None, 100]
    silent = measured(record(END - 100), record(END - 90, ms=None), record(END - 80))
    assert [value for _, value in charts.throughput_chart(silent).lines[0].points] == [2.5, 0.0, 2.5]
    assert len(charts.latency_chart(silent).lines[0].points) == 2  # no call has no latency


def test_both_ways_of_drawing_tell_the_same() -> None:
    marked = charts.marks(queries.events(FOUND))
    for chart in (
        charts.latency_chart(FOUND, marked=marked),
        charts.error_chart(FOUND, marked),
        charts.gauge_chart(FOUND, "memory_bytes", Unit.BYTES, marked),
    ):
        still, ticking = figures.plotly(chart, "America/Sao_Paulo"), live.echarts(chart)
        shown = [trace for trace in still["data"] if trace["name"] != "Events" and trace.get("visible") != "legendonly"]
        assert [trace["name"] for trace in shown] == [series["name"] for series in ticking["series"]]
        assert [len(trace["x"]) for trace in shown] == [len(series["data"]) for series in ticking["series"]]
        assert len(ticking["series"][0]["markLine"]["data"]) == 1
        assert ticking["legend"]["selectedMode"] is False  # what a click had hidden would be back with the next tick


def test_both_ways_of_drawing_speak_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    assert {group_of(name) for name in (*COMMANDS, "PIPELINE", "UNHEARD")} <= set(view.GROUP_WORDS)
    assert [view.group_word(group) for group in ("all", "keys", "other")] == ["todos os comandos", "chaves", "outros"]
    moved = Happening(
        END - 50.0, "shop", "AuthorityMoved", "warning", "failover: the cloud store has the authority now (epoch 2)"
    )
    failed = record(END - 60, failed=2, ms=2.0)
    failed.events.append(moved)
    found = measured(failed)
    (mark,) = charts.marks(queries.events(found))
    assert mark.text.startswith("failover: o armazenamento nuvem")
    assert charts.error_chart(found).lines[0].name == "nuvem: timeout"
    words = {
        series["data"][0][2]
        for chart in (
            charts.latency_chart(found), charts.throughput_chart(found), charts.error_chart(found),
            charts.gauge_chart(found, "memory_bytes", Unit.BYTES),
        )
        for series in live.echarts(chart)["series"]
    }  # fmt: skip
    assert {"2,5/s", "2", "1,91 MB"} < words


def test_names_of_many_lines_take_no_room_from_the_lines() -> None:
    """On a narrow screen each line of the legend pushes the lines together."""
    two, four = (charts.Chart((charts.Line("", "", ()),) * n, Unit.MS, 0, 1, 1) for n in (2, 4))
    assert four.height - two.height == 2 * charts.LEGEND_LINE_PX
    for chart in (two, four):
        assert figures.plotly(chart, "UTC")["layout"]["height"] == chart.height


def test_heat_map_counts_every_call() -> None:
    figure = figures.heat_figure(queries.heat(FOUND, Store.LOCAL), Store.LOCAL, 10, END - 600, END, "UTC")
    counted = sum(count or 0 for line in figure["data"][0]["z"] for count in line)
    assert counted == 30 * 25


def test_heat_map_of_calls_that_took_all_the_same_has_a_height() -> None:
    row: HeatRow = {"at_s": END - 100, "from_ms": 0.0, "to_ms": 0.1, "count": 3}
    trace = figures.heat_figure([row], Store.LOCAL, 10, END - 600, END, "UTC")["data"][0]
    assert len(trace["z"]) == 1
    assert trace["y"] == [0.05, 0.1], "on a log axis, without bounds of its own, it would be drawn with no height"


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2026-11-30T06:05", "2026-11-30T05:44", "The range ends before it begins."),
        ("2026-11-30T05:44", "2026-11-30T06:05", "Nothing was measured in this range."),
    ],
)
def test_a_range_of_ones_own_without_measurements_says_nothing_of_applications(
    since: str, until: str, words: str, set_weather: SetWeather, monkeypatch: pytest.MonkeyPatch, open_page: OpenPage
) -> None:
    set_weather("healthy")
    monkeypatch.setattr(queries, "measured_between", lambda *between: Known(measured(), time.time()))
    monkeypatch.setattr(queries, "costs", lambda: Known(COSTS, time.time()))
    at = open_page(PAGE, query={"range": "Custom", "from": since, "until": until})
    assert [info.value for info in at.info] == [words]


def test_a_picture_is_named_as_its_chart(page: Callable[..., AppTest]) -> None:
    names = [json.loads(chart.proto.config)["toImageButtonOptions"]["filename"] for chart in page().get("plotly_chart")]
    assert names[:2] == ["hybrid-latency", "hybrid-throughput"] and names[-2:] == ["hybrid-costs", "hybrid-month"]
    assert len(set(names)) == len(names)


def test_axes_are_labelled_with_round_values() -> None:
    assert log_ticks(0.3, 40) == [0.2, 0.5, 1, 2, 5, 10, 20, 50]
    assert log_ticks(0.3, 4000) == [0.1, 1, 10, 100, 1000, 10_000]
    assert [ms_text(each) for each in (0.05, 20, 5000)] == ["0.05 ms", "20 ms", "5 s"]
    assert byte_ticks(3_500_000)[1] == ["0 MB", "1 MB", "2 MB", "3 MB", "4 MB"]
    assert value_ticks(3500, Unit.PER_S)[1] == ["0/s", "1,000/s", "2,000/s", "3,000/s", "4,000/s"]
    assert value_ticks(2, Unit.COUNT)[1] == ["0", "1", "2"]
    assert value_ticks(0, Unit.SECONDS) == ([0, 0.5, 1.0], ["0 s", "0.5 s", "1 s"])


def test_live_axes_are_in_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(i18n, "language", lambda: "pt_BR")
    chart = charts.Chart((charts.Line("Local", "#4a82f2", ((END, 3500.0),)),), Unit.PER_S, END - 600, END, 10)
    value, texts = live.echarts(chart)["yAxis"]
    assert (value["max"], value["interval"], value["axisLabel"]) == (4000, 1000, {"show": False})
    assert texts["data"] == ["0/s", "1.000/s", "2.000/s", "3.000/s", "4.000/s"]


def test_an_axis_has_room_for_bars_on_one_another() -> None:
    lines = tuple(charts.Line(name, "#4a82f2", ((END, 60.0),)) for name in ("timeout", "refused"))
    chart = charts.Chart(lines, Unit.COUNT, END - 600, END, 10, bars=True)
    assert figures.plotly(chart, "UTC")["layout"]["yaxis"]["range"][1] >= 120
    assert live.echarts(chart)["yAxis"][0]["max"] >= 120


def test_an_axis_that_stands_still_writes_whole_numbers_as_the_one_that_ticks_does() -> None:
    chart = charts.Chart((charts.Line("Lag", "#4a82f2", ((END, 15_000.0),)),), Unit.COUNT, END - 600, END, 10)
    assert value_ticks(15_000, Unit.COUNT)[1][-1] == "15,000"
    assert figures.plotly(chart, "UTC")["layout"]["yaxis"]["tickformat"] == ",~r"
    assert figures.cost_figure(COSTS.rows)["layout"]["yaxis"]["tickformat"] == ",~r"


def test_a_table_writes_no_exponents() -> None:
    written = numbered([{"ms": 1734.4}, {"ms": 0.1921}], {"ms": (THREE_DIGITS, "")}).to_string()
    assert "1,730" in written and "0.192" in written


def test_a_table_writes_no_fractions_of_whole_numbers_where_one_is_missing() -> None:
    written = numbered([{"length": 5000}, {"length": None}], {"length": (",", "")}).to_string()
    assert "5,000" in written and "5,000.0" not in written


def test_the_whole_range_is_dated_by_its_beginning() -> None:
    assert {row["at_s"] for row in queries.latency_table(FOUND)} == {int(FOUND.since_s)}


def test_csv_has_a_readable_time() -> None:
    first, second = csv_of(queries.gauges(FOUND, "keys.local")).splitlines()[:2]
    assert first == "time,at_s,name,value"
    assert datetime.fromisoformat(second.split(",")[0]).timestamp() == END - 600
    assert csv_of([]) == ""
    assert csv_of([{"key": "=1+1", "bytes": -1}]) == "key,bytes\r\n'=1+1,-1\r\n", "names are anyone's data"
