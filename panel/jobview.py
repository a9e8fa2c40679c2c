"""How background jobs are shown, on any page: progress, rate, time left, cost so far, cancel; and the finished ones."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from panel import actions, format, queries
from panel.i18n import N_, _
from panel.queries import Job, JobState
from panel.said import said
from panel.widgets import perform, zone

__all__ = ["await_change", "finished_jobs", "follow", "job_line", "running_jobs"]

TICK_S = 1.0
IDLE_TICK_S = 3.0
STATES = {
    JobState.RUNNING: N_("running"),
    JobState.FINISHED: N_("finished"),
    JobState.CANCELLED: N_("cancelled"),
    JobState.BROKEN: N_("broke off"),
}
UNITS = (N_("keys"), N_("lines"), N_("commands"), N_("steps"))


def running_jobs(*kinds: str) -> None:
    """The running jobs of these kinds (all, if none is named), each with its progress and a way to cancel it. Ticks by
    itself while there is one, and draws the page anew when the last one ends, or when one begins in another tab."""
    numbers = {job.number for job in queries.jobs(*kinds) if job.running}
    if not numbers:
        return await_change(*kinds)

    def draw() -> None:
        running = [job for job in queries.jobs(*kinds) if job.running]
        if {job.number for job in running} != numbers:
            st.rerun()
        for job in running:
            _card(job)

    st.fragment(draw, run_every=TICK_S, key=f"jobs-{'-'.join(kinds)}")()


def await_change(*kinds: str) -> None:
    """Draw the page anew when a job of these kinds begins or ends, in another tab too."""
    numbers = {job.number for job in queries.jobs(*kinds) if job.running}

    def look() -> None:
        if {job.number for job in queries.jobs(*kinds) if job.running} != numbers:
            st.rerun()

    st.fragment(look, run_every=IDLE_TICK_S, key=f"to-come-{'-'.join(kinds)}")()


def follow(pending: bool, key: str, tick_s: float = TICK_S) -> None:
    """Draw the page anew every `tick_s` while an answer is awaited."""
    if not pending:
        return
    drawn_s = time.monotonic()

    def again() -> None:
        if time.monotonic() - drawn_s >= tick_s / 2:  # a tick of its own, not the drawing of the page
            st.rerun()

    st.fragment(again, run_every=tick_s, key=f"follow-{key}")()


def _card(job: Job) -> None:
    with st.container(border=True, key=f"job-{job.number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{format.escaped(said(job.title))}**", width="stretch")
            st.button(
                _("Cancel"), icon=":material/stop:", key=f"cancel-job-{job.number}",
                disabled=not actions.is_operator() or job.cancel.is_set(),
                on_click=perform, args=(actions.cancel_job, job.number),
            )  # fmt: skip
        progress = job.progress
        if progress.share is None:
            st.caption(job_line(job))
        else:
            st.progress(progress.share, text=job_line(job))
        if progress.detail:
            st.caption(said(progress.detail))


def job_line(job: Job) -> str:
    """How far a job is, in one line: "comparing · 12,000 of 50,000 keys · 8,000 keys/s · 5 s left · 340 commands"."""
    told = job.progress
    phase = said(told.phase) if told.phase else _("starting")
    so_far = _("{time} so far").format(time=format.duration(job.elapsed_s))
    if job.cancel.is_set():
        return " · ".join([_("stopping"), phase, so_far])
    parts = [phase]
    if told.total:
        parts.append(
            _("{done} of {total} {unit}").format(
                done=format.number(told.done), total=format.number(told.total), unit=_(told.unit)
            )
        )
    elif told.done:
        parts.append(f"{format.number(told.done)} {_(told.unit)}")
    if told.rate_per_s:
        parts.append(f"{format.number(told.rate_per_s, ',.0f')} {_(told.unit)}/s")
    if told.eta_s is not None:
        parts.append(_("{time} left").format(time=format.duration(told.eta_s)))
    if told.cloud_commands is not None:
        parts.append(_("{n} cloud commands").format(n=format.number(told.cloud_commands)))
    if told.cost_usd is not None:
        parts.append(format.money(told.cost_usd))
    return " · ".join([*parts, so_far])


def finished_jobs(jobs: Sequence[Job], title: str | None = None) -> None:
    """Ended jobs with what came of them, newest first."""
    ended = [job for job in jobs if not job.running]
    if not ended:
        return
    title = title or _("Jobs of this process")
    st.subheader(title, anchor=False)
    rows = [
        {
            _("Started"): format.clock(job.started_at_s, zone(), with_seconds=True),
            _("What"): said(job.title),
            _("State"): _(STATES[job.state]),
            _("Result"): said(job.problem or job.summary or ""),
            _("Took"): format.duration(job.elapsed_s),
            _("By"): job.author,
        }
        for job in ended
    ]
    if ended[0].state is JobState.BROKEN:  # longer than its place in the table
        st.warning(f"{format.escaped(said(ended[0].title))}: {format.escaped(said(ended[0].problem or ''))}",
                   icon=":material/warning:")  # fmt: skip
    st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"finished-{title}")
