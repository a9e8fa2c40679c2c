"""Are both stores healthy, who takes writes and reads, is anything waiting, what just happened?"""

from __future__ import annotations

import streamlit as st

from panel import charts, eventlist, firstday, pairfacts, queries, routing, storecard, widgets
from panel.alerts import queries as alerts
from panel.alerts.standing import with_incidents
from panel.i18n import _
from panel.links import from_address, to_address
from panel.nav import page
from panel.queries import Overview, Store
from panel.repair.agreement import agreement
from panel.verdict import verdict

SPANS_S = {"5 min": 300.0, "15 min": 900.0, "1 h": 3600.0}
FIRST_SPAN = "5 min"
TICK_S = 2.0

from_address("span", "span", list(SPANS_S), FIRST_SPAN)
live = bool(st.session_state.get("live", True))
span = str(st.session_state["span"])
to_address("span", span, FIRST_SPAN)
current = queries.overview()


with st.container(horizontal=True, vertical_alignment="center", key="head"):
    head = st.container(width="content")
    st.space("stretch")
    st.segmented_control(
        _("Time span"), list(SPANS_S), required=True, key="span", label_visibility="collapsed", wrap=True
    )
    st.toggle(_("Live"), value=True, key="live", help=_("Off: nothing moves, so that you can look closely."))
    firstday.demo_button(current)
    st.page_link(page("tests"), label=_("Run the test"), icon=":material/fact_check:")
answer = st.container()
if current is not None and current.embedded and not queries.introduced():
    firstday.introduction()
stores = st.container()
choices = routing.routing_form(current, "overview") if current is not None else st.container()
course = st.container()


def draw() -> None:
    """One tick: the last snapshot into every live part of the page. No store is asked."""
    snapshot = queries.overview()
    found = with_incidents(verdict(snapshot, widgets.zone()), alerts.snapshot())
    with head:
        widgets.headline(_("Overview"), found)
    with answer:
        widgets.answer_line(found)
    if snapshot is None:
        stores.skeleton(height=180)
        return
    if current is None or current.settings != snapshot.settings:
        st.rerun()  # the rest of the page can be drawn from now on, or is to be drawn anew
    with stores:
        draw_stores(snapshot)
    with choices:
        routing.routing_facts(snapshot)
    with course:
        draw_course(snapshot)


def draw_stores(snapshot: Overview) -> None:
    with st.grid(2, min_column_width=340):
        for store in Store:
            storecard.store_card(snapshot, store, snapshot.taken_at_s - SPANS_S[span], span)


def draw_course(snapshot: Overview) -> None:
    latency, events = st.columns([2, 1])
    with latency, st.container(border=True, height="stretch"):
        st.markdown(_("**Latency** :gray[client round trip, log scale]"))
        shown = [Store.LOCAL, Store.CLOUD] if snapshot.cloud else [Store.LOCAL]
        since_s = snapshot.taken_at_s - SPANS_S[span]
        figure = charts.latency_chart(snapshot.samples, shown, since_s, snapshot.taken_at_s)
        alt = _("Latency of each store over the last {span}").format(span=span)
        st.echarts_chart(figure, key="latency", height=270, alt=alt)
    with events, st.container(border=True, height="stretch"):
        with st.grid(2, min_column_width=140):
            pairfacts.lag(snapshot)
            pairfacts.agreement(snapshot, agreement(patience_s=0.0))
        eventlist.events(snapshot)


st.fragment(draw, run_every=TICK_S if live else None, key="tick")()
