"""The run-test button: rehearse outages, see each step pass or fail with its reason, keep the report."""

from __future__ import annotations

import streamlit as st

from panel import queries, testview
from panel.queries import JobState

TICK_S = 1.0

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
    st.title("Tests", anchor=False, width="stretch")
    testview.run_button(running)
testview.intro()
if queries.overview() is None:
    st.info("The panel is still starting; the test needs its client.", icon=":material/info:")
st.fragment(draw_run, run_every=TICK_S if running else None, key="run")()
if not running:
    testview.history(runs)
