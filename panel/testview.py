"""How a test run is shown: live steps by group, the verdict, tables, downloads, history."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from panel import actions, format, queries
from panel.i18n import N_, _, ngettext
from panel.queries import Job, JobState, Report, Step, StepState
from panel.widgets import perform, zone

__all__ = ["SECTION", "history", "intro", "progress", "result", "run_button", "steps"]

SECTION = "tests-section"
"""The key of what the page is about."""

STEP_ICONS = {
    StepState.RUNNING: "spinner",
    StepState.PASSED: ":material/check_circle:",
    StepState.FAILED: ":material/cancel:",
    StepState.INCONCLUSIVE: ":material/hourglass_disabled:",
    StepState.SKIPPED: ":material/remove_circle:",
}
GROUPS = {
    "Status": N_("Status"),
    "Health": N_("Health"),
    "Commands": N_("Commands"),
    "Failover": N_("Failover"),
    "Recovery": N_("Recovery"),
    "Performance": N_("Performance"),
}


def run_button(running: bool) -> None:
    """The one thing to press; while a test runs, the way to stop it."""
    if running:
        st.button(
            _("Cancel"), icon=":material/stop:", key="cancel-test", disabled=not actions.is_operator(),
            on_click=perform, args=(actions.cancel_test,),
        )  # fmt: skip
    else:
        st.button(
            _("Run test"), icon=":material/play_arrow:", type="primary", key="run-test",
            disabled=not actions.is_operator(), on_click=start,
        )  # fmt: skip


def start() -> None:
    """Start the test, and turn to where it is shown."""
    perform(actions.start_test)
    st.session_state[SECTION] = "test"


def intro() -> None:
    st.caption(
        _(
            "Tries everything once, on keys of its own: your data is not touched, and no server is stopped. "
            "Outages are played at the test's own connections. Takes about a minute, also when you leave the page."
        )
    )


def progress(job: Job) -> None:
    """How far the run is, and what it does now."""
    found: Sequence[Step] = job.notes
    done = sum(step.state is not StepState.RUNNING for step in found)
    doing = next((step.name for step in reversed(found) if step.state is StepState.RUNNING), _("Starting"))
    share = min(1.0, done / queries.STEP_COUNT)
    line = _("{done} of {total} · {step} · {time}")
    time = format.duration(job.elapsed_s)
    st.progress(share, text=line.format(done=done, total=queries.STEP_COUNT, step=doing, time=time))


def steps(found: Sequence[Step]) -> None:
    """The steps by group, in the order of the run."""
    with st.grid(3, min_column_width=300):
        for group in dict.fromkeys(step.group for step in found):
            _group(group, [step for step in found if step.group == group])


def _group(group: str, found: Sequence[Step]) -> None:
    count = {state: sum(step.state is state for step in found) for state in StepState}
    passed = count[StepState.PASSED]
    with st.container(border=True, key=f"group-{group}", height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{_(GROUPS.get(group, group))}**", width="content")
            st.space("stretch")
            if failed := count[StepState.FAILED]:
                st.badge(_("{n} failed").format(n=failed), icon=":material/cancel:", color="red")
            elif unsure := count[StepState.INCONCLUSIVE]:
                busy = _("{n} too busy to judge").format(n=unsure)
                st.badge(busy, icon=STEP_ICONS[StepState.INCONCLUSIVE], color="orange")
            elif skipped := count[StepState.SKIPPED]:
                st.badge(_("{n} skipped").format(n=skipped), icon=":material/remove_circle:", color="gray")
            elif passed == len(found):
                st.badge(_("{n} passed").format(n=passed), icon=":material/check_circle:", color="green")
            else:
                st.badge(_("{n} passed so far").format(n=passed), icon=":material/pending:", color="blue")
        for step in found:
            _step(step)


def _step(step: Step) -> None:
    icon = STEP_ICONS[step.state]
    ran = step.duration_ms is not None and step.state is not StepState.SKIPPED
    took = "" if not ran else f" :gray[{format.latency(step.duration_ms)}]"
    bad = step.state in (StepState.FAILED, StepState.INCONCLUSIVE)
    name = f":red[{step.name}]" if bad else step.name
    with st.expander(f"{name}{took}", expanded=bad, type="step", icon=icon, key=f"step-{step.id}-{step.state}"):
        st.caption(step.detail or step.state.value)


def result(job: Job) -> None:
    """The verdict of a finished run, what was measured, and the report to keep."""
    if job.state is JobState.BROKEN:
        st.error(_("The test itself broke off: {problem}").format(problem=job.problem), icon=":material/error:")
        return
    report: Report = job.result
    _verdict(report)
    _measured(report)
    _downloads(report, job)


def _verdict(report: Report) -> None:
    failed = [step for step in report.steps if step.state is StepState.FAILED]
    took = format.duration(report.finished_at_s - report.started_at_s)
    when = format.clock(report.finished_at_s, zone())
    unsure = [step for step in report.steps if step.state is StepState.INCONCLUSIVE]
    if report.cancelled:
        text = _("Cancelled after {time}, at {when}. What had run is shown below.").format(time=took, when=when)
        st.info(text, icon=":material/stop_circle:")
    elif failed:
        count = ngettext("{n} step failed at {when}.", "{n} steps failed at {when}.", len(failed))
        others = len(failed) - 1
        more = ngettext("The other one is marked below.", "The other {n} are marked below.", others).format(n=others)
        first = f"{failed[0].name}: {failed[0].detail}".rstrip(".")
        text = f"{count.format(n=len(failed), when=when)} {first}. {more if others else ''}"
        st.error(text.strip(), icon=":material/cancel:")
    elif unsure:
        text = _(
            "Nothing failed, but at {when} the machine was too busy to judge: {step}. Try again when it is calmer."
        )
        st.warning(text.format(when=when, step=unsure[0].name), icon=STEP_ICONS[StepState.INCONCLUSIVE])
    else:
        skipped = sum(step.state is StepState.SKIPPED for step in report.steps)
        count = ngettext(
            "Passed at {when}: {n} step in {time}.", "Passed at {when}: {n} steps in {time}.", passed(report)
        )
        left = ngettext("{n} step skipped, see why below.", "{n} steps skipped, see why below.", skipped)
        text = count.format(when=when, n=passed(report), time=took)
        st.success(f"{text} {left.format(n=skipped)}" if skipped else text, icon=":material/check_circle:")


def passed(report: Report) -> int:
    return report.count(StepState.PASSED)


def _measured(report: Report) -> None:
    stalls = {name: format.latency(value) for name, value in report.longest_stall_ms.items()}
    recoveries = {name: format.seconds(value) for name, value in report.recovery_s.items()}
    if not (stalls or recoveries or report.latency):
        return
    measured, latency = st.columns([1, 1])
    with measured, st.container(border=True, height="stretch", key="measured"):
        for title, values in ((_("Longest stall of a call"), stalls), (_("Time to recover"), recoveries)):
            st.markdown(f"**{title}**")
            if not values:
                st.caption(_("Not measured in this run."))
            with st.grid(5, min_column_width=105):
                for name, shown in values.items():
                    st.metric(name.replace("_", " ").capitalize(), shown)
    with latency, st.container(border=True, height="stretch", key="latency"):
        st.markdown(_("**Latency** :gray[milliseconds]"))
        st.table(_latency_table(report), border="horizontal", hide_index=True)


def _latency_table(report: Report) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                _("Operation"): row.operation, _("Store"): row.store, _("Calls"): format.number(row.count),
                "p50": format.number(row.p50_ms, ".2f"), "p95": format.number(row.p95_ms, ".2f"),
                "p99": format.number(row.p99_ms, ".2f"),
            }
            for row in report.latency
        ],
        columns=[_("Operation"), _("Store"), _("Calls"), "p50", "p95", "p99"],
    )  # fmt: skip


def _downloads(report: Report, job: Job) -> None:
    name = f"hybrid-test-{job.number}"
    with st.container(horizontal=True):
        _download(_("Report (Markdown)"), report.to_markdown(), f"{name}.md", "text/markdown")
        _download(_("Report (JSON)"), report.to_json(), f"{name}.json", "application/json")


def _download(label: str, data: str, name: str, mime: str) -> None:
    st.download_button(label, data, name, mime, key=name, icon=":material/download:", on_click="ignore")


def history(jobs: Sequence[Job]) -> None:
    """The runs of this process, newest first."""
    if not jobs:
        return
    st.subheader(_("Runs of this process"), anchor=False)
    rows = [
        {
            _("Test run"): f"#{job.number}",
            _("Started"): format.clock(job.started_at_s, zone(), with_seconds=True),
            _("Took"): format.duration(job.elapsed_s),
            _("Result"): _outcome(job),
        }
        for job in jobs
    ]
    st.table(pd.DataFrame(rows), border="horizontal", hide_index=True)


def _outcome(job: Job) -> str:
    if job.state is JobState.RUNNING:
        return _(":material/pending: running")
    if job.state is JobState.BROKEN:
        return _(":red[:material/error: broke off]")
    report: queries.Report = job.result
    if report.cancelled:
        return _(":material/stop_circle: cancelled")
    failed = sum(step.state is StepState.FAILED for step in report.steps)
    if failed:
        return _(":red[:material/cancel: {n} failed]").format(n=failed)
    if report.inconclusive:
        return _(":orange[:material/hourglass_disabled: too busy to judge]")
    return _(":green[:material/check_circle: passed]")
