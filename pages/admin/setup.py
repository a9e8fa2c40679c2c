"""To stores of one's own: try the addresses, see what the stores can do, write `.env`, make them one pair."""

from __future__ import annotations

import streamlit as st

from panel import format, jobview, queries, widgets
from panel.i18n import _
from panel.setup import queries as setup
from panel.setup import view
from panel.setup.actions import CHECKS
from panel.weatherline import follow_weather, weather_line

widgets.title(_("Connect your stores"))
if not setup.needs_pairing(queries.overview()):  # that is told below, with what to do
    weather_line()
snapshot = queries.overview()
jobs = setup.pair_jobs()
if setup.needs_pairing(snapshot):
    view.pairing(jobs)
else:
    view.paired(jobs)
jobview.running_jobs(setup.COMPARE_JOB, setup.PAIR_JOB)
if jobs:
    jobview.finished_jobs(jobs, _("Pairing"))

st.subheader(_("1. Where are they?"), anchor=False)
in_use: list[str] = []
if snapshot is not None and not snapshot.embedded:
    in_use = [facts.status.address for facts in (snapshot.local, snapshot.cloud) if facts is not None]
    st.caption(
        _("In use now: {stores}. What you write here replaces them.").format(stores=format.escaped(", ".join(in_use)))
    )
local, cloud = view.urls_form()
found: list[setup.UrlCheck] = st.session_state.get(CHECKS, {}).get((local, cloud), [])
if found:
    st.subheader(_("2. What can they do?"), anchor=False)
    with st.grid(2, min_column_width=320):
        for each in found:
            view.check_card(each)
    if all(each.usable for each in found):
        if [each.address for each in found] != in_use:
            view.what_happens(found)
        st.subheader(_("3. Use them"), anchor=False)
        preset = view.preset_choice()
        view.write_form(setup.plan(local, cloud, preset))
    else:
        st.caption(_("Correct the address above and try again: only stores that can be used are written."))
follow_weather(snapshot)
