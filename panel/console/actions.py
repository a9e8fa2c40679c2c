"""What the page Console runs. The role is checked here, and what may change something is put into the audit trail."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import streamlit as st

from hybrid.errors import CommandRefused, HybridError
from hybrid.ops.console import Console, Line, OperatorNeeded, Target
from panel import actions
from panel.console.queries import RUNS, Run, keep_run, remember_line, runs
from panel.i18n import _
from panel.process import process

__all__ = ["clear", "person", "planned", "run_line"]

logger = logging.getLogger("hybrid.panel")

READ_ONLY = "the panel is read-only (HYBRID_PANEL_READ_ONLY)"


def person() -> str:
    return str(st.user.get("name") or "viewer")


def planned(state: MutableMapping[Any, Any], text: str, target: Target, past_hybrid: bool) -> Line | None:
    """The line, fit to be run; None when it is not, and then the page shows why."""
    agent = process().agent
    try:
        if agent is None:
            raise HybridError(_("The panel's client is not running."))
        return Console(agent.client).planned(
            text, target, operator=actions.is_operator(), past_hybrid=past_hybrid and actions.is_operator()
        )
    except HybridError as error:
        if isinstance(error, OperatorNeeded) and actions.is_read_only():
            error = CommandRefused(error.command, READ_ONLY)
        keep_run(state, Run(_next(state), text, text, target, refused=str(error)))
        return None


def run_line(state: MutableMapping[Any, Any], line: Line, text: str) -> actions.Outcome:
    """Run a planned line (confirmed, where it asks) and keep the answers for the page."""
    if line.judgement.changes:
        actions.require_operator()
    agent = process().agent
    if agent is None:
        return actions.Outcome(False, _("The panel's client is not running."))
    answers = Console(agent.client).run(line)
    again = "" if "***" in line.shown else text
    if again:
        remember_line(person(), again)
    keep_run(state, Run(_next(state), line.shown if not again else text, again, line.target, answers))
    if line.judgement.changes:
        actions.record(person(), f"console, {line.target}", {line.shown: (None, _ending(answers))})
    else:
        logger.info("%s read on the console, %s: %s", person(), line.target, line.shown)
    return actions.Outcome(True, "")


def clear(state: MutableMapping[Any, Any]) -> None:
    state[RUNS] = []


def _next(state: MutableMapping[Any, Any]) -> int:
    return max((run.number for run in runs(state)), default=0) + 1


def _ending(answers: tuple[Any, ...]) -> str:
    return "failed" if all(answer.failed for answer in answers) else "done"
