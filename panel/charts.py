"""Figures as plain data: what the sparklines and the latency chart draw. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

from panel.format import latency, ms_text
from panel.i18n import _
from panel.queries import Sample, Store

__all__ = [
    "NO_CHOICE", "STORE_COLORS", "TIME_LABELS", "latency_chart", "ms_log_axes", "sparkline", "thinned", "value_axes",
    "worded",
]  # fmt: skip

# One colour per store in both themes; both have at least 3:1 contrast on either background.
STORE_COLORS = {Store.LOCAL: "#4a82f2", Store.CLOUD: "#9c62f2"}
TIME_LABELS = {"month": "{yyyy}-{MM}-{dd}", "day": "{yyyy}-{MM}-{dd}"}
"""At midnight; between, a time axis of ECharts is numbers anyway. Names of months would be English."""
NO_CHOICE: Mapping[str, Any] = {"selectedMode": False}
"""Of a legend whose chart ticks: Streamlit draws each tick from nothing, so a line that a click on its name had hidden
would be back with the next one; and with the first line the marks would go."""
LEAST_MS = 0.05  # a log axis has no zero
CHART_POINTS = 150
LEAST_SPAN_S = 60.0
SPARK_POINTS = 40

Pick = Callable[[Sample], float | None]


def thinned(values: Sequence[tuple[float, float | None]], points: int) -> list[tuple[float, float | None]]:
    """At most `points` of (time, value), each the highest of its stretch: a peak stays, and so does a gap that long."""
    step = -(-len(values) // points) if values else 1
    stretches = (values[at : at + step] for at in range(0, len(values), step))
    return [(stretch[-1][0], _highest(value for _, value in stretch)) for stretch in stretches]


def _highest(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def sparkline(samples: Sequence[Sample], store: Store, pick: Pick, since_s: float) -> list[float]:
    """The known values of one fact, oldest first; empty when there is no line to draw yet."""
    values = [(sample.at_s, pick(sample)) for sample in samples if sample.store is store and sample.at_s >= since_s]
    known = [value for _, value in thinned(values, SPARK_POINTS) if value is not None]
    return known if len(known) > 1 else []


def latency_chart(samples: Sequence[Sample], stores: Sequence[Store], since_s: float, until_s: float) -> dict[str, Any]:
    """Round trips of both stores on a log axis: p99 solid, p50 dotted, a gap where a store did not answer."""
    first_s = min((sample.at_s for sample in samples if sample.at_s >= since_s), default=since_s)
    start_s = min(first_s, until_s - LEAST_SPAN_S)  # a panel just started has no long empty past to show
    series = [_line(samples, store, *line, since_s) for store in stores for line in LINES]
    return {
        "animation": False,
        "color": [STORE_COLORS[store] for store in stores for _ in LINES],
        "grid": {"left": 8, "right": 12, "top": 40, "bottom": 4, "containLabel": True},
        "legend": {
            "top": 0, "left": 0, "itemWidth": 18, "itemGap": 9, **NO_CHOICE,
            "itemStyle": {"opacity": 0}, "textStyle": {"fontSize": 11},
        },
        "tooltip": {"trigger": "axis"},
        "xAxis": {
            "type": "time", "min": round(start_s * 1000), "max": round(until_s * 1000), "splitNumber": 4,
            "axisLabel": {"formatter": TIME_LABELS},
        },
        "yAxis": ms_log_axes(value for one in series for _, value, _word in one["data"]),
        "series": series,
    }  # fmt: skip


def ms_log_axes(values: Iterable[float | None]) -> list[dict[str, Any]]:
    """Axes of ECharts for milliseconds, from one power of ten to another around the positive values.

    ECharts writes numbers in English only. So the log axis writes none, and beside it stands one of categories, as far
    apart as its powers: with the texts, in the reader's language.
    """
    known = [log10(value) for value in values if value is not None] or [-1.0, 1.0]
    low = floor(min(known))
    high = max(ceil(max(known)), low + 1)
    hidden = {"show": False}
    return [
        {
            "type": "log", "min": 10.0**low, "max": 10.0**high, "axisLabel": hidden, "minorSplitLine": hidden,
        },
        _beside([ms_text(10.0**power) for power in range(low, high + 1)]),
    ]  # fmt: skip


def value_axes(ticks: Sequence[float], texts: Sequence[str]) -> list[dict[str, Any]]:
    """The same for ticks that are equally far apart."""
    hidden = {"show": False}
    value = {"type": "value", "min": ticks[0], "max": ticks[-1], "interval": ticks[1] - ticks[0]}
    return [{**value, "axisLabel": hidden, "minorSplitLine": hidden}, _beside(texts)]


def _beside(texts: Sequence[str]) -> dict[str, Any]:
    hidden = {"show": False}
    return {
        "type": "category", "data": list(texts), "position": "left", "boundaryGap": False, "axisLine": hidden,
        "axisTick": hidden, "axisPointer": hidden,
    }  # fmt: skip


LINES: tuple[tuple[str, str, Pick], ...] = (
    ("p99", "solid", lambda sample: sample.p99_ms),
    ("p50", "dotted", lambda sample: sample.p50_ms),
)


def _line(samples: Sequence[Sample], store: Store, name: str, style: str, pick: Pick, since_s: float) -> dict[str, Any]:
    values = [(sample.at_s, pick(sample)) for sample in samples if sample.store is store and sample.at_s >= since_s]
    shown = [
        (at_s, None if value is None else round(max(value, LEAST_MS), 3))
        for at_s, value in thinned(values, CHART_POINTS)
    ]
    return {
        "name": f"{_(store.title())} {name}",
        "type": "line",
        "symbol": "none",
        "lineStyle": {"width": 2, "type": style},
        **worded(shown, latency),
    }


def worded(points: Iterable[tuple[float, float | None]], word: Callable[[float], str]) -> dict[str, Any]:
    """The data of a series of ECharts, with the words of its tooltip: left to itself that writes numbers in English."""
    return {
        "data": [[round(at_s * 1000), value, "" if value is None else word(value)] for at_s, value in points],
        "dimensions": ["at", "value", {"name": "word", "type": "ordinal"}],
        "encode": {"x": "at", "y": "value", "tooltip": "word"},
    }
