"""How measurements are shown: frames with a chart and its CSV, figures of the range, tables, costs, events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from panel import format
from panel.command_phrases import GROUPS
from panel.i18n import N_, _
from panel.metrics import queries
from panel.metrics.charts import HEIGHT, MARKED, Chart
from panel.metrics.figures import config, cost_figure, heat_figure, month_figure, plotly
from panel.metrics.live import echarts
from panel.metrics.queries import ALL, Costs, EventRow, Measured
from panel.queries import Overview, Store
from panel.said import said
from panel.tables import THREE_DIGITS, csv_button, heading, numbered, table_height
from panel.widgets import COLORS, STORE_ICONS, titled, zone

__all__ = ["SOURCE", "chart_frame", "costs_part", "events_part", "group_word", "heat_part", "numbers", "table_part"]

SOURCE = N_("Measured in every process that uses hybrid, each of its calls.")
NOTHING = N_("Nothing was measured here in this range.")
EVENT_ICONS = {
    "error": ":red[:material/error:]",
    "critical": ":red[:material/error:]",
    "warning": ":orange[:material/warning:]",
}
SHOWN_EVENTS = 200
QUANTILES = ("p50", "p95", "p99", "max")
STORE_WORDS = {Store.LOCAL: N_("Local"), Store.CLOUD: N_("Cloud")}
GROUP_WORDS = {
    ALL: N_("all commands"), "pipelines": N_("pipelines"), "other": N_("other"),
    **{name.lower(): name for name in GROUPS},
}  # fmt: skip


def group_word(group: str) -> str:
    return _(GROUP_WORDS.get(group, group)).lower()


def chart_frame(
    title: str,
    note: str,
    chart: Chart,
    rows: Sequence[Mapping[str, Any]],
    name: str,
    *,
    live: bool,
    empty: str = NOTHING,
) -> None:
    """One chart in its frame. What ticks is drawn by ECharts, which stays; what stands still by Plotly, for zooming."""
    with st.container(border=True, height="stretch", key=f"chart-{name}"):
        heading(title, note, rows, name)
        if chart.is_empty:
            return _empty(_(empty))
        if live:
            st.echarts_chart(echarts(chart), key=f"live-{name}", height=chart.height, alt=f"{title}, {note}")
        else:
            figure = plotly(chart, zone())
            st.plotly_chart(
                figure, key=f"plot-{name}", height=chart.height, config=config(name), alt=f"{title}, {note}"
            )


def _empty(sentence: str) -> None:
    with st.container(height=HEIGHT, border=False, vertical_alignment="center", horizontal_alignment="center"):
        st.caption(f":material/hourglass_empty: {sentence}", width="content")


def numbers(found: Measured, group: str) -> None:
    """The whole range in a few numbers, both stores side by side."""
    whole = {row["store"]: row for row in queries.latency_table(found) if row["group"] == group}
    length_s = max(found.until_s - found.shown_since_s, found.slot_s)
    failed = sum(row["count"] for row in queries.errors(found) if row["where"] == "client")
    with st.grid(6, min_column_width=130):
        for store in Store:
            row = whole.get(store.value)
            for name in ("p50", "p99"):
                _latency_number(found, store, name, row[f"{name}_ms"] if row else None)  # type: ignore[literal-required]
        calls = sum(row["count"] for row in whole.values())
        _number(
            _("Exchanges"), format.count(calls), _("{n} a second").format(n=format.number(calls / length_s, ",.1f"))
        )
        _number(_("Errors"), format.count(failed), _("seen by applications"))


def _number(label: str, shown: str, note: str) -> None:
    """A number with a word about it below, all of one height."""
    st.metric(
        label, shown, border=True, delta=" ", delta_arrow="off", delta_color="gray", delta_description=note,
        height="stretch",
    )  # fmt: skip


def _latency_number(found: Measured, store: Store, name: str, value_ms: float | None) -> None:
    """The quantile of the applications' calls; where they make none, what the agent's probes met last."""
    label, note = f":{COLORS[store]}[{_(STORE_WORDS[store])}] {name}", _("by applications")
    if value_ms is None:
        probes = queries.gauges(found, f"{name}_ms.{store.value}")
        value_ms, note = (probes[-1]["value"], _("by probes, last")) if probes else (None, _("not measured"))
    shown = _(":gray[unknown]") if value_ms is None else format.latency(value_ms)
    _number(label, shown, note)


def table_part(found: Measured) -> None:
    """Latency by store and command group over the whole range."""
    rows = queries.latency_table(found)
    with st.container(border=True, height="stretch", key="chart-groups"):
        heading(_("By command group"), _("the whole range, milliseconds"), rows, "groups")
        if not rows:
            return _empty(_(NOTHING))
        named = [{**row, "store": titled(Store(row["store"])), "group": group_word(row["group"])} for row in rows]
        st.dataframe(
            numbered(named, {"count": (",", ""), **{f"{name}_ms": (THREE_DIGITS, "") for name in QUANTILES}}),
            hide_index=True, key="groups", height=table_height(len(rows)),
            column_order=["store", "group", "count", "p50_ms", "p95_ms", "p99_ms", "max_ms"],
            column_config={
                "store": st.column_config.MultiselectColumn(
                    _("Store"), options=[_(store.title()) for store in Store], color=[COLORS[store] for store in Store],
                    width=70,
                ),
                "group": st.column_config.TextColumn(_("Commands"), width=95),
                "count": st.column_config.NumberColumn(_("Calls"), width=75),
                **{
                    f"{name}_ms": st.column_config.NumberColumn(name, width=62)
                    for name in QUANTILES
                },
            },
        )  # fmt: skip


def heat_part(found: Measured, store: Store, group: str) -> None:
    """Where all calls of one store lie, not only their quantiles."""
    rows = queries.heat(found, store, group)
    name = f"heat-{store}"
    with st.container(border=True, height="stretch", key=f"chart-{name}"):
        heading(
            f"{STORE_ICONS[store]} {_(STORE_WORDS[store])}", _("calls by how long they took, log scale"), rows, name
        )
        if not rows:
            return _empty(_("No call to this store was measured in this range."))
        figure = heat_figure(rows, store, found.slot_s, found.shown_since_s, found.until_s, zone())
        st.plotly_chart(
            figure,
            key=f"plot-{name}",
            height=HEIGHT,
            config=config(name),
            alt=_("Heat map of the latency of the {store} store").format(store=_(store)),
        )


def events_part(rows: Sequence[EventRow]) -> None:
    """Everything that the processes told, newest first."""
    with st.expander(
        _("Events in this range ({n})").format(n=len(rows)), icon=":material/history:", key="metrics-events"
    ):
        if not rows:
            st.caption(_("Nothing was reported: no failover, no outage, no change of the configuration."))
            return
        csv_button(rows, "events", _("all events of the range"))
        for row in list(reversed(rows))[:SHOWN_EVENTS]:
            icon = EVENT_ICONS.get(row["level"], ":gray[:material/info:]")
            title = _(MARKED.get(row["event"], ""))
            text = f"**{title}:** {said(row['message'])}" if title else said(row["message"])
            when = format.clock(row["at_s"], zone(), with_seconds=True)
            st.markdown(f"{icon} :gray[{when}] {text} :gray-badge[{row['process']}]")


# -- costs


def costs_part(costs: Costs, snapshot: Overview | None) -> None:
    """Cloud commands by day and purpose, and the month's money."""
    month = costs.month
    with st.grid(4, min_column_width=150):
        _number(_("Cloud commands"), format.count(month.commands), _("this month, so far"))
        _number(_("Cost"), format.money(month.usd), _("this month, so far"))
        projected = _("{n} commands").format(n=format.count(month.projected_commands))
        _number(_("Projected for the month"), format.money(month.projected_usd), projected)
        _budget(costs)
    st.caption(_price(costs, snapshot))
    if month.budget_usd is None:
        st.caption(_("A budget is set by `HYBRID_CLOUD_BUDGET`, in US dollars a month."))
    daily, course = st.columns(2)
    with daily, st.container(border=True, height="stretch", key="chart-costs"):
        heading(_("Cloud commands"), _("per day (UTC), by purpose"), costs.rows, "costs")
        st.plotly_chart(
            cost_figure(costs.rows), key="plot-costs", height=HEIGHT, config=config("costs"), alt=_("Commands per day")
        )
    with course, st.container(border=True, height="stretch", key="chart-month"):
        days = [{"day": row["day"], "purpose": row["purpose"], "usd": row["usd"]} for row in costs.rows]
        heading(_("Cost of this month"), _("so far, projected, budget"), days, "month")
        st.plotly_chart(
            month_figure(costs), key="plot-month", height=HEIGHT, config=config("month"), alt=_("Cost of the month")
        )


def _budget(costs: Costs) -> None:
    month = costs.month
    if month.budget_usd is None:
        _number(_("Budget"), f":gray[{_('not set')}]", _("for each month"))
        return
    over = (month.budget_share or 0) > 1
    st.metric(
        _("Budget"), format.money(month.budget_usd), border=True,
        delta=_("{share} of it projected").format(share=f"{month.budget_share or 0:.0%}"),
        delta_arrow="off", delta_color="red" if over else "green", height="stretch",
    )  # fmt: skip


def _price(costs: Costs, snapshot: Overview | None) -> str:
    price = _("At {usd} for 100,000 commands (`HYBRID_CLOUD_PRICE`).").format(
        usd=f"{format.currency()}{format.number(costs.price_usd, '.2f')}"
    )
    if snapshot is not None and snapshot.embedded:
        other = _("The embedded cloud store bills nobody: this is what the same traffic would cost.")
    else:
        other = _("Counted by hybrid itself, in every process; other users of the store are not in it.")
    return f"{price} {other}"
