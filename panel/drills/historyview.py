"""Drills of all processes over time: a trend, a table, and any report again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from panel import format
from panel import queries as panel_queries
from panel.drills import queries, reportview
from panel.drills.queries import DrillReport, Known, Outcome
from panel.i18n import N_, _
from panel.jobview import follow
from panel.metrics.axes import PLAIN, SUFFIXES, moment, time_formats
from panel.metrics.charts import LEGEND_LINE_PX, UNCROWDED, Unit
from panel.said import said
from panel.tables import ONE_CLICK, clicked, csv_button, table_height
from panel.weatherline import follow_weather
from panel.widgets import zone

__all__ = ["history", "trend_figure"]

Pick = Callable[[DrillReport], float | None]
MEASURES: dict[str, tuple[str, Unit, Pick]] = {
    "rto": (N_("RTO, seconds"), Unit.SECONDS, lambda report: report.figures.rto_s),
    "sync": (N_("In sync after, seconds"), Unit.SECONDS, lambda report: report.figures.in_sync_s),
    "stall": (N_("Longest stall, milliseconds"), Unit.MS, lambda report: report.figures.longest_stall_ms),
    "rpo": (N_("RPO, writes"), Unit.COUNT, lambda report: report.figures.rpo_writes),
}
SYMBOLS = {Outcome.PASSED: "circle", Outcome.FAILED: "x", Outcome.INCONCLUSIVE: "diamond-open"}
CHART_PX = 300
LEAST_SPAN_S = 1800.0
THEME_COLORS = 5  # "#000001" and so on stand for them
DASHES = ("solid", "dash", "dot")


def history() -> None:
    """What was played lately, wherever it was."""
    follow_weather(panel_queries.overview())
    answer = queries.history()
    known, partial = answer.last, queries.is_partial()
    if not isinstance(answer, Known):
        if answer.pending:
            st.caption(_(":material/hourglass_empty: The history is being read…"))
        else:
            since = format.clock(answer.since_s, zone(), with_seconds=True)
            st.warning(
                _("The history is unknown since {time}. {why}").format(time=since, why=said(answer.why)),
                icon=":material/help:",
            )
        follow(answer.pending, "drill-history")
    if known is None:
        return
    if partial:
        st.warning(
            _("The local store keeps the history, and does not answer: only what was played since is known."),
            icon=":material/help:",
        )
    elif not known.value:
        st.info(_("No drill was played yet. Play one: it touches no data."), icon=":material/info:")
    if known.value:
        _trend(known.value)
        _table(known.value)


def _trend(reports: Sequence[DrillReport]) -> None:
    with st.container(border=True, key="drill-trend"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_("**Trend**"), width="content")
            st.space("stretch")
            measure = st.segmented_control(
                _("Measure"), list(MEASURES), default="rto", required=True, key="drill-measure",
                format_func=lambda name: _(MEASURES[name][0]), label_visibility="collapsed", wrap=True,
            )  # fmt: skip
        figure = trend_figure(reports, measure or "rto", zone())
        st.plotly_chart(figure, key=f"trend-{measure}", width="stretch")
        st.caption(_("A circle passed, a cross failed, an open diamond was on a machine too busy to judge."))


def trend_figure(reports: Sequence[DrillReport], measure: str, zone_name: str | None) -> dict[str, Any]:
    """One line per drill, oldest first; what was not measured is a gap."""
    title, unit, pick = MEASURES[measure]
    names = list(dict.fromkeys(report.drill for report in reversed(reports)))
    traces = []
    for number, name in enumerate(names):
        runs = [report for report in reversed(reports) if report.drill == name]
        color = f"#{number % THEME_COLORS + 1:06d}"
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": reportview.title_of(name),
                "x": [format.local_time(run.started_at_s, zone_name).replace(tzinfo=None).isoformat() for run in runs],
                "y": [pick(run) for run in runs],
                "marker": {
                    "symbol": [SYMBOLS.get(run.outcome, "circle-open") for run in runs],
                    "size": 9,
                    "color": color,
                },
                "line": {"width": 2, "color": color, "dash": DASHES[number // THEME_COLORS % len(DASHES)]},
            }
        )
    layout: dict[str, Any] = {
        "height": CHART_PX + LEGEND_LINE_PX * max(len(names) - UNCROWDED, 0) // 2,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom"},
        "separators": format.number(".") + format.number(","),
        "yaxis": {
            "title": {"text": _(title)}, "rangemode": "tozero", "automargin": True, "tickformat": PLAIN,
            "ticksuffix": SUFFIXES[unit], "hoverformat": ",.4~r",
        },
        "xaxis": {"type": "date", "automargin": True, **time_formats()},
    }  # fmt: skip
    times = [report.started_at_s for report in reports]
    if max(times) - min(times) < LEAST_SPAN_S:  # a lone point would stand between ticks of one and the same second
        middle_s = (max(times) + min(times)) / 2
        ends = (middle_s - LEAST_SPAN_S, middle_s + LEAST_SPAN_S)
        layout["xaxis"]["range"] = [moment(at_s, zone_name) for at_s in ends]
    return {"data": traces, "layout": layout}


def _table(reports: Sequence[DrillReport]) -> None:
    rows = [
        {
            "at_s": report.started_at_s, "drill": report.drill, "on": report.where.value,
            "outcome": report.outcome.value, "rto_s": report.figures.rto_s, "rpo_writes": report.figures.rpo_writes,
            "in_sync_s": report.figures.in_sync_s, "longest_stall_ms": report.figures.longest_stall_ms,
            "failed": report.figures.failed, "commands": report.figures.commands, "author": report.author,
        }
        for report in reports
    ]  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(_("**Runs** :gray[of all processes, newest first; choose one for its report]"), width="stretch")
        csv_button(rows, "drills", _("Runs"))
    frame = pd.DataFrame([_row(report) for report in reports])
    chosen = st.dataframe(
        frame, hide_index=True, key="drill-runs", on_select="rerun", selection_mode=ONE_CLICK,
        height=table_height(min(len(reports), 10)),
    )  # fmt: skip
    row = clicked(chosen["selection"], len(reports))
    if row is not None:
        found = reports[row]
        reportview.report(found, f"{found.started_at_s:.3f}", expanded=True)


def _row(report: DrillReport) -> dict[str, str]:
    figures = report.figures
    return {
        _("When"): f"{format.local_time(report.started_at_s, zone()):%Y-%m-%d %H:%M}",
        _("Drill"): reportview.title_of(report.drill),
        _("Outcome"): _(reportview.OUTCOMES[report.outcome][0]),
        "RTO": format.seconds(figures.rto_s),
        "RPO": reportview.rpo_text(report),
        _("In sync after"): format.seconds(figures.in_sync_s),
        _("Longest stall"): format.latency(figures.longest_stall_ms),
        _("Where"): _(reportview.PLACES[report.where]),
        _("By"): report.author,
    }
