"""The library of drills, playing them, and what the last ones found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import streamlit as st

from panel import actions as panel_actions
from panel import format
from panel.drills import actions, queries, reportview
from panel.drills.queries import DRILLS, Drill, DrillReport, Where
from panel.i18n import N_, _, ngettext
from panel.queries import Job, JobState
from panel.widgets import perform

__all__ = ["drills"]

TICK_S = 1.0
MOST_STEPS = 8
CHOICES = {"": N_("Where each is safe"), Where.SERVERS.value: N_("All on throwaway servers")}
SAFE = {
    Where.STORES: (
        N_("on the stores in use"),
        ":material/verified_user:",
        N_("Safe here: faults at the drill's own connections, keys of its own. No data, server or program is touched."),
    ),
    Where.SERVERS: (
        N_("on throwaway servers"),
        ":material/science:",
        N_("Safe here: two servers are started for it on this machine, really killed or stopped, and thrown away."),
    ),
}


def drills() -> None:
    """Choose and play; follow what is played; read what it found."""
    jobs = queries.drill_jobs()
    running = bool(jobs) and jobs[0].running
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            _("Where"), list(CHOICES), default="", required=True, key="drill-where", disabled=running,
            format_func=lambda value: _(CHOICES[value]),
            help=_("Throwaway servers are real ones, killed, stopped and emptied for real. The stores in use are not."),
            wrap=True,
        )  # fmt: skip
        where = Where(chosen) if chosen else None
        st.space("stretch")
        if running:
            st.button(
                _("Cancel"), icon=":material/stop:", key="cancel-drills", on_click=perform,
                args=(actions.cancel_drills,), disabled=not panel_actions.is_operator(),
            )  # fmt: skip
        else:
            _play_button(_("Play all"), (), where, "play-all", type="primary")
    if jobs:
        _follow(jobs[0], running)
    _library(where, running)


def _play_button(label: str, names: tuple[str, ...], where: Where | None, key: str, **options: str) -> None:
    st.button(
        label, icon=":material/play_arrow:", key=key, on_click=perform, args=(actions.play, names, where),
        disabled=not panel_actions.is_operator(), **options,  # type: ignore[arg-type]
    )  # fmt: skip


def _follow(job: Job, running: bool) -> None:
    def draw() -> None:
        if job.running:
            _progress(job)
        elif running:
            st.rerun()  # it ended just now: the whole page changes, not only this part

    if running:
        st.fragment(draw, run_every=TICK_S, key="drill-progress")()
    else:
        _result(job)


def _progress(job: Job) -> None:
    told, found = job.progress, queries.playing(job)
    total = told.total or 1
    name = reportview.title_of(found.drill.name) if found.drill else _("Starting")
    with st.container(border=True, key="drill-now"):
        line = _("{done} of {total} · {drill} · {time}").format(
            done=told.done, total=total, drill=name, time=format.duration(job.elapsed_s)
        )
        ended = sum(step.state is not queries.StepState.RUNNING for step in found.steps)
        share = (told.done + ended / MOST_STEPS) / total
        st.progress(min(1.0, share), text=f"{_('stopping')} · {line}" if job.cancel.is_set() else line)
        reportview.steps(found.steps)
    if found.reports:
        with st.container(horizontal=True):
            for report in found.reports:
                word, icon, color = reportview.OUTCOMES[report.outcome]
                st.badge(f"{reportview.title_of(report.drill)}: {_(word)}", icon=icon, color=color)


def _result(job: Job) -> None:
    found = queries.playing(job)
    if job.state is JobState.BROKEN:
        st.error(_("The drills broke off: {problem}").format(problem=job.problem), icon=":material/error:")
    if not found.reports:
        return
    counts = Counter(report.outcome for report in found.reports)
    played = len(found.reports) - counts[queries.Outcome.CANCELLED] - counts[queries.Outcome.SKIPPED]
    heading = ngettext("{n} drill played", "{n} drills played", played).format(n=played)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(heading, anchor=False, width="content")
        if passed := counts[queries.Outcome.PASSED]:
            st.badge(_("{n} passed").format(n=passed), icon=":material/check_circle:", color="green")
        if failed := counts[queries.Outcome.FAILED]:
            st.badge(_("{n} failed").format(n=failed), icon=":material/cancel:", color="red")
        if missed := (job.progress.total or 0) - played:
            st.badge(_("{n} not played").format(n=missed), icon=":material/stop_circle:", color="gray")
        st.space("stretch")
        if len(found.reports) > 1:
            reportview.downloads(found.reports, f"all-{job.number}")
    if problem := job.noted("unkept"):
        st.warning(_("Not in the history: {problem}").format(problem=problem), icon=":material/history_toggle_off:")
    for report in found.reports:
        expanded = len(found.reports) == 1 or report.outcome is queries.Outcome.FAILED
        reportview.report(report, f"{job.number}-{report.drill}", expanded=expanded)


def _library(where: Where | None, running: bool) -> None:
    places, last = queries.places(), _last()
    st.subheader(_("Library"), anchor=False)
    with st.grid(3, min_column_width=290):
        for drill in DRILLS.values():
            _card(drill, where or places[drill.name], where, last.get(drill.name), running)


def _last() -> Mapping[str, DrillReport]:
    """The latest report of each drill, as far as the history is known."""
    known = queries.history().last
    return {} if known is None else {report.drill: report for report in reversed(known.value)}


def _card(drill: Drill, place: Where, where: Where | None, last: DrillReport | None, running: bool) -> None:
    with st.container(border=True, key=f"drill-{drill.name}", height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{_(drill.title)}**", width="content")
            st.space("stretch")
            if last is not None:
                reportview.badge(last.outcome)
        st.caption(_(drill.about))
        words, icon, why = SAFE[place]
        st.space("stretch")
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(_(words), icon=icon, color="green", help=_(why))
            st.caption(" ".join(drill.checks), width="content", help=_("The guarantees that it puts to the test."))
            st.space("stretch")
            if not running:
                _play_button(_("Play"), (drill.name,), where, f"play-{drill.name}")
