"""What the servers say about themselves, what is in them, and what happens in them now; both side by side."""

from __future__ import annotations

import streamlit as st

from panel import jobview, queries, widgets
from panel.i18n import N_, _
from panel.insights import actions as starting
from panel.insights import keysview, liveview, serverview, view
from panel.insights import queries as insights
from panel.links import from_address, to_address
from panel.queries import Store
from panel.search import view as searchview
from panel.weatherline import follow_weather, weather_line

VIEWS = {
    "commands": N_("Commands"), "server": N_("Server"), "clients": N_("Clients"), "keys": N_("Keyspace"),
    "search": N_("Search"), "live": N_("Live"),
}  # fmt: skip

snapshot = queries.overview()
stores = [Store.LOCAL] if snapshot is not None and snapshot.cloud is None else list(Store)
with st.container(horizontal=True, vertical_alignment="center"):
    st.title(_("Insights"), anchor=False, width="content")
    st.space("stretch")
    from_address("show", "insights-view", list(VIEWS), "commands")
    chosen = st.segmented_control(
        _("View"), list(VIEWS), required=True, format_func=lambda name: _(VIEWS[name]),
        key="insights-view", label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    to_address("show", str(chosen), "commands")
    st.button(
        _("Refresh"), icon=":material/refresh:", key="insights-refresh", on_click=widgets.perform,
        args=(starting.ask_again,), help=_("Ask both servers again."),
    )  # fmt: skip
weather_line()


def draw_server() -> None:
    """What each server answers about itself."""
    if chosen == "live":
        liveview.monitor_part()
    answers = {store: insights.server(store) for store in stores}
    if Store.CLOUD in stores and insights.is_billed(Store.CLOUD) is not False:
        text = _("Asking the cloud store costs at most {n} commands; its answer is kept for five minutes.")
        st.caption(text.format(n=insights.SERVER_COMMANDS))
    if chosen == "commands":
        view.store_frames(stores, lambda store: view.slow_log(store, answers[store]))
        view.store_frames(stores, lambda store: view.commands(store, answers[store]))
    elif chosen == "server":
        view.store_frames(stores, lambda store: serverview.facts(store, answers[store]))
        serverview.all_of_it(stores, answers)
    elif chosen == "clients":
        view.store_frames(stores, lambda store: view.clients(store, answers[store]))
    else:
        liveview.pubsub_part(stores, answers)
    view.ages(answers)
    pending = any(getattr(answer, "pending", False) for answer in answers.values())
    jobview.follow(pending, "insights")


def draw_keyspace() -> None:
    """What is in each store, from scans in the background."""
    st.caption(_(
        "A scan walks through all names and measures all keys, or an even sample. It never blocks a server, and goes "
        "on when you leave the page. Each store is scanned by itself: nothing is taken from the other one."
    ))  # fmt: skip
    depth = keysview.choose_depth()
    view.store_frames(stores, lambda store: keysview.scan_frame(store, depth))
    jobview.running_jobs(*insights.SCAN_JOBS.values())
    keysview.results(stores)


if snapshot is None:
    st.caption(":material/hourglass_top: " + _("The panel is starting; nothing is known of the stores yet."))
elif snapshot.cloud is None:
    st.caption(_("No cloud store is configured: everything here is about the local store."))
if chosen == "keys":
    draw_keyspace()
elif chosen == "search":
    searchview.draw(stores)
else:
    draw_server()
follow_weather(snapshot)
