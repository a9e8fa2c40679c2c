"""`python -m hybrid test`."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

from hybrid.agent import Agent
from hybrid.cli import drills
from hybrid.cli.terminal import Terminal, aligned, bar
from hybrid.errors import ConfigurationError
from hybrid.ops.drills import STEP_COUNT, Report, Step, StepState, run_test
from hybrid.ops.drills.report import LATENCY_HEAD, latency_row

__all__ = ["run"]


class Progress:
    """Prints each step as it ends, with a progress bar below while there is a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._done = 0

    def __call__(self, step: Step) -> None:
        if step.state is StepState.RUNNING:
            self._terminal.update(bar(self._done, STEP_COUNT, step.name), plain=False)
            return
        self._done += 1
        self._terminal.line(drills.step_line(step))


def run(options: argparse.Namespace, stop: threading.Event) -> int:
    """Run the test or drills; 0 when all passed, 3 when no store answered, 4 when nothing failed on a machine too
    busy to judge, else 1."""
    for path in (options.output, options.markdown):
        require_writable(path)
    with Agent.open(options.env_file, options.folder) as agent:
        if options.list:
            return drills.show_list(agent, options)
        if options.history:
            return drills.show_history(agent, options)
        if options.drill:
            return drills.play(agent, options, stop)
        return run_whole_test(agent, options, stop)


def run_whole_test(agent: Agent, options: argparse.Namespace, stop: threading.Event) -> int:
    terminal = Terminal()
    listener: dict[str, Any] = {} if options.json else {"on_step": Progress(terminal)}
    report = run_test(agent.client.settings, cancel=stop, **listener)
    drills.write_reports(options, report.to_json(), report.to_markdown())
    for line in [report.to_json()] if options.json else summary(report):
        terminal.line(line)
    return 0 if report.passed else 3 if no_store_answers(report) else 4 if report.inconclusive else 1


def require_writable(output: Path | None) -> None:
    """Said before a test of a minute, not after it."""
    if output is not None and not output.absolute().parent.is_dir():
        raise ConfigurationError(f"there is no folder {output.absolute().parent} to write the report to")


def no_store_answers(report: Report) -> bool:
    asked = [step for step in report.steps if step.group == "Status" and step.state is not StepState.SKIPPED]
    return bool(asked) and all(step.state is StepState.FAILED for step in asked)


def summary(report: Report) -> list[str]:
    lines = [""]
    if report.latency:
        lines += [*aligned([LATENCY_HEAD, *map(latency_row, report.latency)]), ""]
    if report.longest_stall_ms:
        rows = [
            (fault, f"{stall_ms:.0f} ms", f"{report.recovery_s[fault]:.1f} s" if fault in report.recovery_s else "–")
            for fault, stall_ms in report.longest_stall_ms.items()
        ]
        lines += [*aligned([("fault", "longest stall", "recovery"), *rows]), ""]
    return [*lines, report.verdict]
