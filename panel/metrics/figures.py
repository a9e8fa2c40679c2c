"""Figures of Plotly, for where people explore: zoom, compare, save. Plain data, no widgets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from math import ceil, floor, log10
from typing import Any

from panel.charts import STORE_COLORS
from panel.format import currency, date_pattern, day_pattern, ms_text, number
from panel.i18n import N_, _
from panel.metrics.axes import (
    DAY_MS,
    LEVEL_COLORS,
    MUTED,
    PLAIN,
    SUFFIXES,
    byte_ticks,
    log_ticks,
    moment,
    time_formats,
)  # fmt: skip
from panel.metrics.charts import HEIGHT, Chart, Line, Mark, Unit
from panel.metrics.queries import CostRow, Costs, HeatRow
from panel.queries import Store

__all__ = ["config", "cost_figure", "heat_figure", "month_figure", "plotly"]

GRID = "rgba(125, 138, 163, 0.22)"
PURPOSE_COLORS: Mapping[str, str] = {
    N_("application"): "#4a82f2",
    N_("shipping"): "#9c62f2",
    N_("sync"): "#0f9b8e",
    N_("health"): "#7d8aa3",
    N_("panel"): "#c2820a",
}


def config(name: str) -> dict[str, Any]:
    """How Plotly behaves; a picture is saved under the name that the chart's CSV has."""
    return {
        "displaylogo": False, "modeBarButtonsToRemove": ["lasso2d", "select2d", "autoScale2d"],
        "toImageButtonOptions": {"filename": f"hybrid-{name}"},
    }  # fmt: skip


def plotly(chart: Chart, zone: str | None) -> dict[str, Any]:
    """Lines or bars with marks on a common time axis, in the reader's time zone."""
    layout = {**_layout(chart.since_s, chart.until_s, zone), "height": chart.height}
    layout["yaxis"] = _value_axis(chart)
    layout["shapes"] = [_rule(mark, zone) for mark in chart.marks]
    if chart.bars:
        layout["barmode"] = "stack"
    data = [_trace(chart, line, zone) for line in chart.lines]
    if chart.marks:
        layout["yaxis2"] = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
        data.append(_mark_trace(chart.marks, zone))
    return {"data": data, "layout": layout}


def _layout(since_s: float, until_s: float, zone: str | None) -> dict[str, Any]:
    return {
        "height": HEIGHT,
        "margin": {"l": 8, "r": 8, "t": 30, "b": 4},  # at the top stand the buttons
        "hovermode": "x unified",
        "showlegend": True,
        "hoverlabel": {"namelength": -1},
        "legend": {
            "orientation": "h", "x": 0, "y": 0, "yref": "container", "xanchor": "left", "yanchor": "bottom",
            "font": {"size": 11},
        },
        "xaxis": {
            "type": "date", "range": [moment(since_s, zone), moment(until_s, zone)], "showgrid": False,
            "automargin": True, "nticks": 7, **time_formats(),
        },
        "dragmode": "zoom",
        "separators": number(".") + number(","),
    }  # fmt: skip


def _value_axis(chart: Chart) -> dict[str, Any]:
    axis: dict[str, Any] = {"gridcolor": GRID, "automargin": True, "zeroline": False, "rangemode": "tozero"}
    known = [value for line in chart.lines for _at, value in line.points if value is not None]
    if chart.log:
        ticks = log_ticks(min(known, default=0.1), max(known, default=10.0))
        axis |= {"type": "log", "tickvals": ticks, "ticktext": [ms_text(tick) for tick in ticks], "rangemode": "normal"}
        axis["range"] = [log10(ticks[0]), log10(ticks[-1])]
    elif chart.unit is Unit.BYTES:
        ticks, texts = byte_ticks(chart.highest or 1024.0)
        axis |= {"tickvals": ticks, "ticktext": texts}
    else:
        axis |= {"ticksuffix": SUFFIXES[chart.unit], "tickformat": PLAIN}
        axis["range"] = [0, chart.highest * 1.1 or 1]
    return axis


def _trace(chart: Chart, line: Line, zone: str | None) -> dict[str, Any]:
    times = [moment(at_s, zone) for at_s, _value in line.points]
    values = [value for _at, value in line.points]
    hover = {Unit.MS: "%{y:.3~f} ms", Unit.BYTES: "%{y:.4s}B", Unit.PER_S: "%{y:,.1f}/s"}.get(chart.unit, "%{y:,.0f}")
    common = {"x": times, "y": values, "name": line.name, "hovertemplate": f"{hover}"}
    if chart.bars:
        return {**common, "type": "bar", "marker": {"color": line.color}, "width": chart.slot_s * 1000}
    alone = sum(value is not None for value in values) < 3
    return {
        **common,
        "type": "scatter",
        "mode": "lines+markers" if alone else "lines",
        "line": {"color": line.color, "width": 1.8, "dash": line.style},
        "connectgaps": False,
        "visible": True if line.shown else "legendonly",
    }


def _rule(mark: Mark, zone: str | None) -> dict[str, Any]:
    at = moment(mark.at_s, zone)
    color = LEVEL_COLORS.get(mark.level, MUTED)
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "opacity": 0.6,
        "line": {"color": color, "width": 1, "dash": "dot"},
    }  # fmt: skip


def _mark_trace(marks: Sequence[Mark], zone: str | None) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "yaxis": "y2", "name": "Events", "showlegend": False, "cliponaxis": False,
        "x": [moment(mark.at_s, zone) for mark in marks], "y": [1] * len(marks),
        "text": [f"{mark.title}: {_brief(mark.text)}" for mark in marks], "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "symbol": "triangle-down", "size": 9, "color": [LEVEL_COLORS.get(mark.level, MUTED) for mark in marks],
        },
    }  # fmt: skip


def _brief(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def heat_figure(
    rows: Sequence[HeatRow], store: Store, slot_s: int, since_s: float, until_s: float, zone: str | None
) -> dict[str, Any]:
    """How many calls took how long, by time: the darker, the more. The value axis is logarithmic."""
    least_ms = min(row["to_ms"] for row in rows) / 2  # a log axis has no zero, from which the shortest calls count
    bounds = sorted({max(row[end], least_ms) for row in rows for end in ("from_ms", "to_ms")})
    columns = max(1, ceil((until_s - since_s) / slot_s))
    step_s = slot_s * max(1, ceil(columns / 180))  # more columns than a screen can show help nobody
    first_s = floor(since_s / step_s) * step_s
    slots = [first_s + number * step_s for number in range(ceil((until_s - first_s) / step_s) + 1)]
    place = {bound: number for number, bound in enumerate(bounds[1:])}
    counts: list[list[int | None]] = [[None] * len(slots) for _bound in bounds[1:]]
    for row in rows:
        line, column = counts[place[row["to_ms"]]], int((row["at_s"] - first_s) // step_s)
        if 0 <= column < len(slots):
            line[column] = (line[column] or 0) + row["count"]
    layout = _layout(since_s, until_s, zone)
    ticks = log_ticks(bounds[0], bounds[-1])
    layout["yaxis"] = {
        "type": "log", "tickvals": ticks, "ticktext": [ms_text(tick) for tick in ticks], "showgrid": False,
        "automargin": True,
    }  # fmt: skip
    layout |= {"hovermode": "closest", "margin": {"l": 8, "r": 8, "t": 10, "b": 4}}
    color = STORE_COLORS[store]
    shades: list[list[Any]] = [
        [0, _faded(color, 0.12)],
        [0.15, _faded(color, 0.4)],
        [0.5, _faded(color, 0.75)],
        [1, color],
    ]
    trace = {
        "type": "heatmap", "x": [moment(slot, zone) for slot in slots], "y": bounds, "z": counts, "colorscale": shades,
        "hoverongaps": False, "hovertemplate": _("%{z:,} calls of about %{y:.3~f} ms") + "<br>%{x}<extra></extra>",
        "colorbar": {"thickness": 8, "outlinewidth": 0, "tickfont": {"size": 10}, "tickformat": "~s"},
    }  # fmt: skip
    return {"data": [trace], "layout": layout}


def _faded(color: str, opacity: float) -> str:
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def cost_figure(rows: Sequence[CostRow]) -> dict[str, Any]:
    """Commands to the cloud store by day (UTC), stacked by purpose; what they cost when pointed at."""
    purposes = [name for name in PURPOSE_COLORS if any(row["purpose"] == name for row in rows)]
    data = [
        {
            "type": "bar", "width": DAY_MS * 0.7, "name": _(purpose), "marker": {"color": PURPOSE_COLORS[purpose]},
            "x": [row["day"] for row in rows if row["purpose"] == purpose],
            "y": [row["commands"] for row in rows if row["purpose"] == purpose],
            "customdata": [row["usd"] for row in rows if row["purpose"] == purpose],
            "hovertemplate": _("%{y:,} commands") + f", {currency()}%{{customdata:.4f}}",
        }
        for purpose in purposes
    ]  # fmt: skip
    last = date.fromisoformat(max(row["day"] for row in rows))
    first = min(date.fromisoformat(min(row["day"] for row in rows)), last - timedelta(days=13))
    layout = _layout(0, 0, None)
    layout["xaxis"] |= {"range": [f"{first - timedelta(days=1)} 12:00", f"{last} 12:00"], **_days()}
    layout["yaxis"] = {"gridcolor": GRID, "automargin": True, "tickformat": PLAIN, "rangemode": "tozero"}
    layout |= {"barmode": "stack", "bargap": 0.25}
    return {"data": data, "layout": layout}


def _days() -> dict[str, Any]:
    """The formats of an axis of days."""
    return {"tickformatstops": [], "tickformat": day_pattern(), "hoverformat": date_pattern()}


def month_figure(costs: Costs) -> dict[str, Any]:
    """The month's cost so far, where it is heading, and the budget."""
    first = costs.today.replace(day=1)
    last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    spent: dict[date, float] = {}
    for row in costs.rows:
        day = date.fromisoformat(row["day"])
        if first <= day <= costs.today:
            spent[day] = spent.get(day, 0.0) + row["usd"]
    known = min(spent, default=costs.today)
    days = [known + timedelta(days=number) for number in range((costs.today - known).days + 1)]
    sums = [sum(usd for other, usd in spent.items() if other <= day) for day in days]
    color = STORE_COLORS[Store.CLOUD]
    line = {"color": color, "width": 2}
    data: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines+markers" if len(days) < 3 else "lines", "name": _("So far"),
            "x": [str(day) for day in days], "y": sums, "line": line, "hovertemplate": f"{currency()}%{{y:.4f}}",
        },
        {
            "type": "scatter", "mode": "lines", "name": _("Projected"), "x": [str(costs.today), str(last)],
            "y": [sums[-1], costs.month.projected_usd], "line": {**line, "dash": "dot"},
            "hovertemplate": f"{currency()}%{{y:.4f}}",
        },
    ]  # fmt: skip
    if costs.month.budget_usd:
        data.append({
            "type": "scatter", "mode": "lines", "name": _("Budget"), "x": [str(first), str(last)],
            "y": [costs.month.budget_usd] * 2, "line": {"color": LEVEL_COLORS["error"], "width": 1.2, "dash": "dash"},
            "hovertemplate": f"{currency()}%{{y:.2f}}",
        })  # fmt: skip
    layout = _layout(0, 0, None)
    layout["xaxis"] |= {"range": [str(first), str(last)], **_days()}
    layout["yaxis"] = {
        "gridcolor": GRID,
        "automargin": True,
        "tickprefix": currency(),
        "exponentformat": "none",
        "rangemode": "tozero",
    }
    return {"data": data, "layout": layout}
