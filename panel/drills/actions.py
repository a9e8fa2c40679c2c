"""What is done about drills. Each action checks the role itself and is audited."""

from __future__ import annotations

from collections.abc import Sequence

from hybrid.errors import HybridError
from hybrid.ops.drills import (
    Drill,
    DrillReport,
    Outcome,
    Step,
    Where,
    named_drills,
    parse_schedule,
    record_drill,
    require_known,
    run_drills,
    where_of,
)
from panel import actions
from panel.drills.queries import DRILL_JOB, forget_history
from panel.i18n import _
from panel.jobs import Job, JobFailed, Progress
from panel.process import process

__all__ = ["cancel_drills", "play", "set_schedule", "summary"]


def play(names: Sequence[str], where: Where | None = None) -> actions.Outcome:
    """Play these drills in the background, all for none; `where` as they like it themselves, or everywhere the same."""
    author, agent = actions.require_operator(), process().agent
    if agent is None:
        return actions.Outcome(False, _("A drill needs a running client."))
    client, settings = agent.client, agent.client.settings
    try:
        drills = named_drills(tuple(names))
        for drill in drills:
            where_of(drill, settings, where)
    except HybridError as error:
        return actions.Outcome(False, str(error))
    if any(job.running for job in process().jobs.of(DRILL_JOB)):
        return actions.Outcome(False, _("Drills are being played already; wait for their end, or cancel them."))

    def work(job: Job) -> list[DrillReport]:
        steps: dict[str, dict[str, Step]] = {drill.name: {} for drill in drills}
        done = 0

        def on_step(drill: Drill, step: Step) -> None:
            steps[drill.name] = {**steps[drill.name], step.id: step}
            job.note(f"steps:{drill.name}", steps[drill.name])
            job.note("drill", drill)
            job.say(Progress(phase=drill.title, done=done, total=len(drills), unit="drills", detail=step.name))

        def on_report(report: DrillReport) -> None:
            nonlocal done
            done += 1
            job.note(f"report:{report.drill}", report)
            if report.outcome is not Outcome.CANCELLED:
                keep(report)

        def keep(report: DrillReport) -> None:
            try:
                record_drill(client, report)
            except HybridError as error:
                job.note("unkept", str(error))
            forget_history()

        try:
            reports = run_drills(
                drills, settings, where=where, on_step=on_step, on_report=on_report, cancel=job.cancel, author=author
            )
        except HybridError as error:
            raise JobFailed(str(error)) from None
        job.summary = summary(reports)
        return reports

    title = drills[0].title if len(drills) == 1 else f"{len(drills)} drills"
    process().jobs.start(DRILL_JOB, work, title=title, author=author)
    actions.record(author, f"drills started: {', '.join(drill.name for drill in drills)}")
    return actions.Outcome(True, "")


def summary(reports: Sequence[DrillReport]) -> str:
    """How several drills ended, in one line."""
    counts = {outcome: sum(report.outcome is outcome for report in reports) for outcome in Outcome}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)


def cancel_drills() -> actions.Outcome:
    """Ask the drills that are played to end; they clean up after themselves."""
    actions.require_operator()
    for job in process().jobs.of(DRILL_JOB):
        job.cancel.set()
    return actions.Outcome(True, _("Stopping after the current step; what it left is removed."))


def set_schedule(text: str, seen: int | None = None) -> actions.Outcome:
    """Make this the schedule of all agents; an empty text ends it."""
    actions.require_operator()
    try:
        require_known(parse_schedule(text))
    except ValueError as error:
        return actions.Outcome(False, _("Nothing was changed: {error}").format(error=error))
    return actions.change_settings(seen, drill_schedule=text.strip() or None)
