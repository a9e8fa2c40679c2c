"""How fast, how much, what failed, what it costs: as all application processes measured it, on one time axis."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from panel import format, jobview, queries, widgets
from panel.i18n import N_, _
from panel.links import from_address, to_address
from panel.metrics import charts, view
from panel.metrics import queries as metrics
from panel.metrics.charts import Unit
from panel.metrics.queries import ALL, Measured
from panel.queries import Store
from panel.reads import Answer, Known
from panel.said import said
from panel.weatherline import weather_line

SPANS_S = {"15 min": 900.0, "1 h": 3600.0, "6 h": 21_600.0, "24 h": 86_400.0, "7 d": 604_800.0}
CUSTOM = N_("Custom")
FIRST_SPAN = "1 h"
TICK_S = 10.0
KEPT = N_("Kept for 2 hours by 10 seconds, for 26 hours by the minute, for 8 days by 10 minutes.")
FIRST = N_(
    "Nothing was measured in this range. Every process reports 10 seconds after its first call: start an application."
)
NOTHING = N_("Nothing was measured in this range.")
BACKWARDS = N_("The range ends before it begins.")
NO_CLOUD = N_("No cloud store is configured, so nothing is sent there and nothing is billed.")


def choose_range() -> tuple[float, float] | float:
    """The last so many seconds, or two Unix times."""
    if span != CUSTOM:
        return SPANS_S[span]
    zone = ZoneInfo(widgets.zone() or "UTC")
    now = datetime.now(zone).replace(tzinfo=None, second=0, microsecond=0)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        since = st.datetime_input(_("From"), now - timedelta(hours=2), key="from", bind="query-params", width=220)
        until = st.datetime_input(_("Until"), now, key="until", bind="query-params", width=220)
        st.caption(_(KEPT))
    return since.replace(tzinfo=zone).timestamp(), until.replace(tzinfo=zone).timestamp()


def ask() -> Answer[Measured]:
    return metrics.measured_between(*chosen) if isinstance(chosen, tuple) else metrics.measured(chosen)


def why_nothing() -> str:
    """That no application runs is told by the latest stretch alone."""
    if not isinstance(chosen, tuple):
        return FIRST
    since_s, until_s = chosen
    return NOTHING if since_s < until_s else BACKWARDS


def latest(answer: Answer[Measured]) -> Measured | None:
    """What was read last, of this range."""
    return answer.last.value if answer.last else None


def say_state(answer: Answer[Measured]) -> None:
    """How old the numbers are, or why there are none."""
    zone = widgets.zone()
    if isinstance(answer, Known):
        at, slot = format.clock(answer.at_s, zone, with_seconds=True), format.duration(answer.value.slot_s)
        text = _("As of {time}, in steps of {slot}.").format(time=at, slot=slot)
        st.caption(f"{text} {_(view.SOURCE)}")
    elif answer.pending:
        st.caption(":material/hourglass_top: " + _("The measurements are being read."))
    else:
        last = (
            _("Shown is what was read at {time}.").format(time=format.clock(answer.last.at_s, zone))
            if answer.last
            else ""
        )
        since = format.clock(answer.since_s, zone)
        text = _("Unknown since {time}. {why}").format(time=since, why=said(answer.why))
        st.warning(f"{text} {last}".strip(), icon=":material/help:")


def choose_group(found: Measured | None) -> str:
    """The command group to look at; one that does not occur in this range is all of them."""
    groups = [ALL, *(metrics.groups(found) if found else ())]
    if st.session_state.get("commands") not in (None, *groups):
        st.session_state["commands"] = ALL
    chosen_group = st.selectbox(
        _("Commands"), groups, format_func=view.group_word, key="commands", bind="query-params",
        label_visibility="collapsed", width=190,
    )  # fmt: skip
    return str(chosen_group)


def draw_courses() -> None:
    """The charts that share the time axis. In live mode this ticks: whatever is drawn here must keep its place."""
    answer = ask()
    say_state(answer)
    found = latest(answer)
    if found is None:
        return
    if not found.records:
        st.info(_(why_nothing()), icon=":material/hourglass_empty:")
        return
    marked = charts.marks(metrics.events(found))
    view.numbers(found, group)
    view.chart_frame(
        _("Latency"), _("round trip of {group}, log scale").format(group=view.group_word(group)),
        charts.latency_chart(found, group, marked),
        metrics.latency(found, group) or metrics.probes(found), "latency", live=live,
    )  # fmt: skip
    with st.grid(2, min_column_width=330):
        view.chart_frame(
            _("Throughput"), _("{group}, exchanges a second").format(group=view.group_word(group)),
            charts.throughput_chart(found, group, marked), metrics.throughput(found, group), "throughput", live=live,
        )  # fmt: skip
        view.chart_frame(
            _("Errors"), _("by place and kind"), charts.error_chart(found, marked), metrics.errors(found), "errors",
            live=live, empty=_("No error was reported in this range."),
        )  # fmt: skip
        if Store.CLOUD in stores:
            view.chart_frame(
                _("Lag"), _("entries on the way to the other store"), charts.lag_chart(found, marked),
                metrics.gauges(found, "lag_entries", "lag_s"), "lag",
                live=live, empty=_("The lag is not known for this range."),
            )  # fmt: skip
        draw_gauge(_("Memory"), "memory_bytes", Unit.BYTES, found, marked)
        draw_gauge(_("Keys"), "keys", Unit.COUNT, found, marked)
        draw_gauge(_("Clients"), "clients", Unit.COUNT, found, marked)


def draw_gauge(title: str, name: str, unit: Unit, found: Measured, marked: tuple[charts.Mark, ...]) -> None:
    rows = metrics.gauges(found, *(f"{name}.{store}" for store in Store))
    chart = charts.gauge_chart(found, name, unit, marked)
    view.chart_frame(title, _("as each store says"), chart, rows, name, live=live)


def draw_range(found: Measured) -> None:
    """What sums up the whole range, and so needs no tick."""
    with st.grid(2, min_column_width=330):
        for store in stores:
            view.heat_part(found, store, group)
    view.table_part(found)
    view.events_part(metrics.events(found))


def draw_costs() -> None:
    st.subheader(_("Cost of the cloud store"), anchor=False)
    if Store.CLOUD not in stores:
        st.caption(_(NO_CLOUD))
        return
    answer = metrics.costs()
    costs = answer.last.value if answer.last else None
    if not isinstance(answer, Known) and not answer.pending:
        st.warning(
            _("Unknown since {time}. {why}").format(
                time=format.clock(answer.since_s, widgets.zone()), why=said(answer.why)
            ),
            icon=":material/help:",
        )
    if costs is None:
        st.caption(_("What was spent is not known yet."))
    elif not costs.rows:
        st.caption(_("No command to the cloud store was counted yet."))
    else:
        view.costs_part(costs, snapshot)


snapshot = queries.overview()
stores = [Store.LOCAL] if snapshot is not None and snapshot.cloud is None else list(Store)
with st.container(horizontal=True, vertical_alignment="center"):
    st.title(_("Metrics"), anchor=False, width="content")
    st.space("stretch")
    room = st.container(width="content")
    from_address("range", "range", [*SPANS_S, CUSTOM], FIRST_SPAN)
    span = str(
        st.segmented_control(
            _("Range"), [*SPANS_S, CUSTOM], required=True, key="range", label_visibility="collapsed", wrap=True,
            format_func=lambda name: _(CUSTOM) if name == CUSTOM else name,
        )
    )  # fmt: skip
    to_address("range", span, FIRST_SPAN)
    live = st.toggle(
        _("Live"), value=False, key="follow", bind="query-params", disabled=span == CUSTOM,
        help=_("On: the charts follow every 10 seconds. Off: they stand still, to be zoomed, compared and saved."),
    )  # fmt: skip
    st.button(_("Refresh"), icon=":material/refresh:", key="metrics-refresh", help=_("Read what was measured since."))
weather_line()
live = live and span != CUSTOM
chosen = choose_range()
first = ask()
settled = latest(first)
with room:
    group = choose_group(settled)
st.fragment(draw_courses, run_every=TICK_S if live else None, key="courses")()
if settled is not None and settled.records:
    draw_range(settled)
draw_costs()
empty = settled is not None and not settled.records and span != CUSTOM
jobview.follow(empty or first.pending, "metrics")
