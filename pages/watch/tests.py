"""Rehearsing what can go wrong: the run-test button, drills one by one, their history, their schedule."""

from __future__ import annotations

import streamlit as st

from panel import jobview, queries, testview
from panel.drills import historyview, scheduleview, view
from panel.drills.queries import DRILL_JOB
from panel.i18n import N_, _
from panel.links import from_address, to_address
from panel.queries import JobState
from panel.weatherline import weather_line

TICK_S = 1.0
PLAYED = (queries.TEST_JOB, DRILL_JOB)
SECTIONS = {
    "test": N_("Full test"),
    "drills": N_("Drills"),
    "history": N_("History"),
    "schedule": N_("Schedule"),
}

runs = queries.test_runs()
running = bool(runs) and runs[0].state is JobState.RUNNING


def draw_run() -> None:
    found = queries.test_runs()
    if not found:
        return
    job = found[0]
    if job.state is JobState.RUNNING:
        testview.progress(job)
    elif running:
        st.rerun()  # it ended just now: the whole page changes, not only this part
    else:
        testview.result(job)
    testview.steps(job.notes)


with st.container(horizontal=True, vertical_alignment="center"):
    st.title(_("Tests"), anchor=False, width="stretch")
    testview.run_button(running)
weather_line()
if queries.overview() is None:
    st.info(_("The panel is still starting; the test needs its client."), icon=":material/info:")
from_address("section", testview.SECTION, list(SECTIONS), "test")
section = st.segmented_control(
    _("Section"), list(SECTIONS), required=True, key=testview.SECTION,
    format_func=lambda name: _(SECTIONS[name]), label_visibility="collapsed",
)  # fmt: skip
to_address("section", str(section), "test")
jobview.await_change(*PLAYED)
if section == "drills":
    view.drills()
elif section == "history":
    historyview.history()
elif section == "schedule":
    scheduleview.schedule()
else:
    testview.intro()
    st.fragment(draw_run, run_every=TICK_S if running else None, key="run")()
    if not running:
        testview.history(runs)
