"""A time series on both stores: what each says of it, and its last samples as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import streamlit as st

from panel import format
from panel.charts import STORE_COLORS, TIME_LABELS, value_axes, worded
from panel.i18n import _, ngettext
from panel.keys import queries
from panel.keys.queries import SeriesInfo, Store
from panel.metrics.axes import round_values
from panel.repair.links import key_text
from panel.repair.pieces import missing, store_name
from panel.widgets import zone

__all__ = ["about", "chart", "moment_text"]

CHART_PX = 190
LINE_STYLES = {Store.LOCAL: "solid", Store.CLOUD: "dashed"}
END_OF_CALENDAR_MS = 253_402_300_800_000
Samples = tuple[tuple[int, float], ...]


def moment_text(at_ms: int, zone: str | None) -> str:
    """2026-12-01 23:45:00.123 in the reader's time zone; empty beyond the year 9999."""
    if at_ms >= END_OF_CALENDAR_MS - 86_400_000:
        return ""
    return f"{format.local_time(at_ms / 1000, zone):%Y-%m-%d %H:%M:%S}.{at_ms % 1000:03}"


def about(store: Store, key: bytes) -> None:
    """Retention, duplicates, labels, rules and ends, as this store has them."""
    answer = queries.about_series(store, key)
    found = answer.last
    missing(answer, _("The time series"), f"keys-about-{store}")
    if found is not None:
        st.caption(" · ".join(facts(found.value)))


def facts(series: SeriesInfo) -> list[str]:
    ends = [moment_text(at_ms, zone()) for at_ms in (series.first_ms, series.last_ms) if at_ms is not None]
    kept = _("samples are kept for ever")
    if series.retention_ms is not None:
        kept = _("samples are kept for {time}").format(time=format.seconds(series.retention_ms / 1000))
    chunks = ngettext("{n} chunk of {size}", "{n} chunks of {size}", series.chunks)
    labels = [f"{key_text(name)}={key_text(value or b'')}" for name, value in series.labels.items()]
    return [
        *([_("{first} to {last}").format(first=ends[0], last=ends[1])] if ends else []),
        kept,
        _("of two samples at one time: {policy}").format(policy=series.on_duplicate or _("as the server says")),
        chunks.format(n=format.number(series.chunks), size=format.size(series.chunk_bytes)),
        *([_("labels: {labels}").format(labels=format.escaped(", ".join(labels)))] if labels else []),
        *([_("filled from {key}").format(key=format.code(key_text(series.source)))] if series.source else []),
        *(
            _("{how} of each {time} goes to {key}").format(
                how=rule.aggregation, time=format.seconds(rule.bucket_ms / 1000), key=format.code(key_text(rule.target))
            )
            for rule in series.rules
        ),
    ]


def chart(key: bytes, stores: tuple[Store, ...]) -> None:
    """The last samples of both stores, one line over the other: where they part they differ."""
    answer = queries.last_samples(key, stores)
    found = answer.last
    missing(answer, _("The chart"), "keys-chart")
    if found is None or max(map(len, found.value.values()), default=0) < 2:
        return
    count = max(map(len, found.value.values()))
    title = _("The last {n} samples").format(n=format.number(count))
    st.caption(title)
    st.echarts_chart(figure(found.value), key="keys-series-chart", height=CHART_PX, alt=title)


def figure(samples: Mapping[Store, Samples]) -> dict[str, Any]:
    values = [value for found in samples.values() for _at_ms, value in found if isfinite(value)] or [0.0]
    ticks = round_values(max(values), least=min(values))
    return {
        "animation": False,
        "grid": {"left": 8, "right": 16, "top": 30, "bottom": 4, "containLabel": True},
        "legend": {
            "top": 0, "left": 0, "itemWidth": 22, "itemGap": 12, "itemStyle": {"opacity": 0},
            "textStyle": {"fontSize": 11},
        },
        "tooltip": {"trigger": "axis"},
        "xAxis": {"type": "time", "splitNumber": 4, "axisLabel": {"formatter": TIME_LABELS, "hideOverlap": True}},
        "yAxis": value_axes(ticks, [number_text(tick) for tick in ticks]),
        "series": [line(store, found) for store, found in samples.items()],
    }  # fmt: skip


def line(store: Store, samples: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {
        "name": store_name(store),
        "type": "line",
        "symbol": "none",
        "color": STORE_COLORS[store],
        "lineStyle": {"width": 2, "type": LINE_STYLES[store]},
        **worded([(at_ms / 1000, value) for at_ms, value in samples], number_text),
    }


def number_text(value: float) -> str:
    return format.number(value, ",.10g")
