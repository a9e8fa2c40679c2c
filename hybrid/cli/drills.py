"""Drills on the command line: `test --drill`, `--list`, `--history`."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import threading
import time

from hybrid.agent import Agent
from hybrid.cli.terminal import Terminal, aligned
from hybrid.errors import HybridError
from hybrid.ops.drills import (
    DRILLS,
    Drill,
    DrillReport,
    Finding,
    Outcome,
    Step,
    StepState,
    Where,
    drill_history,
    drills_json,
    drills_markdown,
    named_drills,
    record_drill,
    run_drills,
    where_of,
)
from hybrid.types import Store

__all__ = ["play", "show_history", "show_list", "step_line", "write_reports"]

SIGNS = {
    StepState.PASSED: "✓",
    StepState.FAILED: "✗",
    StepState.INCONCLUSIVE: "?",
    StepState.SKIPPED: "–",
}
FINDING_SIGNS = {Finding.KEPT: "✓", Finding.BROKEN: "✗", Finding.UNSURE: "?", Finding.NOT_CHECKED: "–"}
SHOWN_RUNS = 20


def step_line(step: Step) -> str:
    took = "" if step.duration_ms is None else f" ({step.duration_ms:.0f} ms)"
    return f"{SIGNS[step.state]} {step.state:8}{step.group:12} {step.name}{took}: {step.detail}"


def play(agent: Agent, options: argparse.Namespace, stop: threading.Event) -> int:
    """Play the drills that were asked for, and keep their reports."""
    terminal = Terminal()
    drills = named_drills(tuple(name for names in options.drill for name in names.split(",") if name))

    def told(drill: Drill, step: Step) -> None:
        if step.state is StepState.RUNNING:
            terminal.update(f"{drill.title}: {step.name}", plain=False)
        else:
            terminal.line(step_line(step))

    def ended(report: DrillReport) -> None:
        if not options.json:
            for line in summary(report):
                terminal.line(line)
        if report.outcome is not Outcome.CANCELLED:
            keep(agent, report)

    reports = run_drills(
        drills,
        agent.client.settings,
        where=Where(options.on) if options.on else None,
        on_step=told if not options.json else lambda drill, step: None,
        on_report=ended,
        cancel=stop,
        author=getpass.getuser(),
    )
    write_reports(options, drills_json(reports), drills_markdown(reports))
    terminal.line(drills_json(reports) if options.json else totals(reports))
    return exit_code(reports, len(drills))


def keep(agent: Agent, report: DrillReport) -> None:
    try:
        record_drill(agent.client, report)
    except HybridError as error:
        Terminal().line(f"not in the history: {error}")


def exit_code(reports: list[DrillReport], wanted: int) -> int:
    outcomes = {report.outcome for report in reports}
    if len(reports) < wanted or outcomes & {Outcome.FAILED, Outcome.CANCELLED, Outcome.SKIPPED}:
        return 1
    return 4 if Outcome.INCONCLUSIVE in outcomes else 0


def summary(report: DrillReport) -> list[str]:
    checked = [each for each in report.judgements if each.finding is not Finding.NOT_CHECKED]
    lines = [f"  {FINDING_SIGNS[each.finding]} {each.guarantee} {each.finding}: {each.reason}" for each in checked]
    return [*lines, f"  {report.title} {report.outcome}: {measured(report)}", ""]


def measured(report: DrillReport) -> str:
    figures = report.figures
    parts = [
        "RTO unknown" if figures.rto_s is None else f"RTO {figures.rto_s:.2f} s",
        "RPO unknown" if figures.rpo_writes is None else f"RPO {figures.rpo_writes} writes",
        f"{figures.failed} of {figures.commands} commands failed",
        "never in sync" if figures.in_sync_s is None else f"in sync after {figures.in_sync_s:.1f} s",
    ]
    return ", ".join(parts)


def totals(reports: list[DrillReport]) -> str:
    counts = {outcome: sum(report.outcome is outcome for report in reports) for outcome in Outcome}
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count) or "nothing was played"


def write_reports(options: argparse.Namespace, as_json: str, as_markdown: str) -> None:
    if options.output:
        options.output.write_text(as_json if options.output.suffix == ".json" else as_markdown)
    if options.markdown:
        options.markdown.write_text(as_markdown)


def show_list(agent: Agent, options: argparse.Namespace) -> int:
    settings = agent.client.settings
    places = {drill.name: where_of(drill, settings) for drill in DRILLS.values()}
    if options.json:
        rows = [
            {"name": drill.name, "title": drill.title, "about": drill.about, "checks": drill.checks, "on": places[name]}
            for name, drill in DRILLS.items()
        ]
        Terminal().line(json.dumps(rows, indent=2))
        return 0
    rows_ = [(drill.name, places[drill.name], " ".join(drill.checks), drill.about) for drill in DRILLS.values()]
    for line in aligned([("drill", "runs on", "checks", "what it does"), *rows_]):
        Terminal().line(line)
    return 0


def show_history(agent: Agent, options: argparse.Namespace) -> int:
    unasked: list[Store] = []
    reports = drill_history(agent.client, SHOWN_RUNS, on_unasked=unasked.append)
    for store in unasked:
        Terminal(sys.stderr).line(
            f"hybrid: the {store} store does not answer: drills whose reports it keeps are not among these"
        )
    if options.json:
        Terminal().line(json.dumps([report.to_dict() for report in reports], indent=2))
        return 0
    if not reports:
        if not unasked:
            Terminal().line("no drill was ever played: python -m hybrid test --drill all")
        return 0
    rows = [
        (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(report.started_at_s)),
            report.drill,
            report.where.value,
            report.outcome.value,
            measured(report),
            report.author,
        )
        for report in reports
    ]
    for line in aligned([("when", "drill", "on", "outcome", "measured", "by"), *rows]):
        Terminal().line(line)
    return 0
