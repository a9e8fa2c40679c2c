"""Figures of ECharts, for where the page ticks: kept by key, so nothing blinks. Plain data, no widgets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from panel import format
from panel.charts import NO_CHOICE, TIME_LABELS, ms_log_axes, value_axes, worded
from panel.metrics.axes import LEVEL_COLORS, MUTED, value_ticks
from panel.metrics.charts import Chart, Line, Unit

__all__ = ["echarts"]

DASHES = {"solid": "solid", "dash": "dashed", "dot": "dotted", "longdash": [12, 4], "dashdot": [8, 3, 2, 3]}
WORDS: Mapping[Unit, Callable[[float], str]] = {
    Unit.MS: format.latency,
    Unit.BYTES: format.size,
    Unit.PER_S: lambda value: f"{format.number(value, ',.1f')}/s",
}


def echarts(chart: Chart) -> dict[str, Any]:
    """The same, for a page that ticks: it keeps its place and does not blink."""
    marked = {
        "symbol": "none", "silent": True, "label": {"show": False},
        "data": [
            {
                "xAxis": round(mark.at_s * 1000),
                "lineStyle": {"color": LEVEL_COLORS.get(mark.level, MUTED), "opacity": 0.7},
            }
            for mark in chart.marks
        ],
    }  # fmt: skip
    series = [_series(chart, line) for line in chart.lines if line.shown]
    if series and chart.marks:
        series[0]["markLine"] = {**marked, "lineStyle": {"type": "dotted", "width": 1}}
    known = [value for line in chart.lines for _, value in line.points if value is not None]
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 36, "bottom": 4, "containLabel": True},
        "legend": {
            "type": "scroll", "top": 0, "left": 0, "itemWidth": 18, "itemGap": 9, **NO_CHOICE,
            "itemStyle": {"opacity": 1 if chart.bars else 0}, "textStyle": {"fontSize": 11},
        },
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "time", "min": round(chart.since_s * 1000), "max": round(chart.until_s * 1000), "splitNumber": 4,
            "axisLabel": {"formatter": TIME_LABELS},
        },
        "yAxis": ms_log_axes(known) if chart.log else value_axes(*value_ticks(chart.highest, chart.unit)),
        "series": series,
    }  # fmt: skip


def _series(chart: Chart, line: Line) -> dict[str, Any]:
    kind: dict[str, Any] = {"type": "line", "symbol": "none", "lineStyle": {"width": 2, "type": DASHES[line.style]}}
    if chart.bars:
        kind = {"type": "bar", "stack": "all", "barMaxWidth": 12}
    alone = sum(value is not None for _, value in line.points) < 3
    if alone and not chart.bars:
        kind |= {"symbol": "circle", "symbolSize": 5}
    points = [(at_s, None if value is None else round(value, 3)) for at_s, value in line.points]
    word = WORDS.get(chart.unit, lambda value: format.number(value, ",.0f"))
    return {"name": line.name, "color": line.color, **worded(points, word), **kind}
