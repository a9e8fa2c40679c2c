"""Are both stores healthy, who takes writes and reads, is anything waiting, what just happened?"""

from __future__ import annotations

import streamlit as st

from panel import actions, charts, queries, widgets
from panel.nav import page
from panel.queries import Store
from panel.verdict import verdict

SPANS_S = {"5 min": 300.0, "15 min": 900.0, "1 h": 3600.0}
TICK_S = 2.0

live = bool(st.session_state.get("live", True))
span = str(st.session_state.get("span") or "5 min")
every_s = TICK_S if live else None


def draw_headline() -> None:
    widgets.headline("Overview", verdict(queries.overview(), widgets.zone()))


def draw_stores() -> None:
    snapshot = queries.overview()
    widgets.answer_line(verdict(snapshot, widgets.zone()))
    if snapshot is None:
        st.skeleton(height=180)
        return
    with st.grid(2, min_column_width=340):
        for store in Store:
            widgets.store_card(snapshot, store, snapshot.taken_at_s - SPANS_S[span], span)


def draw_routing_facts() -> None:
    if snapshot := queries.overview():
        widgets.routing_facts(snapshot)


def draw_course() -> None:
    snapshot = queries.overview()
    if snapshot is None:
        return
    latency, events = st.columns([2, 1])
    with latency, st.container(border=True, height="stretch"):
        st.markdown("**Latency** :gray[client round trip, log scale]")
        stores = [Store.LOCAL, Store.CLOUD] if snapshot.cloud else [Store.LOCAL]
        since_s = snapshot.taken_at_s - SPANS_S[span]
        figure = charts.latency_chart(snapshot.samples, stores, since_s, snapshot.taken_at_s)
        st.echarts_chart(figure, key="latency", height=300, alt=f"Latency of each store over the last {span}")
    with events, st.container(border=True, height="stretch"):
        widgets.lag(snapshot)
        widgets.events(snapshot)


with st.container(horizontal=True, vertical_alignment="center", key="head"):
    with st.container(width="stretch"):
        widgets.fragment(draw_headline, "headline", every_s)
    st.segmented_control(
        "Time span", list(SPANS_S), default="5 min", required=True, key="span", label_visibility="collapsed"
    )
    st.toggle("Live", value=True, key="live", help="Off: nothing moves, so that you can look closely.")
    running = queries.demo_running()
    st.button(
        "Stop demo traffic" if running else "Start demo traffic",
        icon=":material/stop:" if running else ":material/play_arrow:",
        key="demo",
        disabled=not actions.is_operator(),
        on_click=widgets.perform,
        args=(actions.stop_demo if running else actions.start_demo,),
    )
    st.page_link(page("tests"), label="Run the test", icon=":material/fact_check:")

current = queries.overview()
if current is not None and current.embedded and not queries.introduced():
    widgets.introduction()
widgets.fragment(draw_stores, "stores", every_s)
if current is not None:
    facts = widgets.routing_form(current, "overview")
    with facts:
        widgets.fragment(draw_routing_facts, "routing-facts", every_s)
widgets.fragment(draw_course, "course", every_s)
