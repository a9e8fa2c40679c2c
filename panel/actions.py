"""Every change that the panel makes. Each checks the role itself (a disabled button is no protection) and is logged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import streamlit as st

from hybrid.errors import HybridError
from hybrid.ops.control import Changed, Control, EnvPlan
from hybrid.ops.drills import Report, Step, run_test
from panel.i18n import _
from panel.jobs import Job
from panel.process import process
from panel.queries import TEST_JOB
from panel.said import said

__all__ = [
    "NotAllowed",
    "Outcome",
    "cancel_job",
    "cancel_test",
    "change_settings",
    "dismiss_introduction",
    "end_override",
    "is_operator",
    "is_phrase",
    "is_read_only",
    "override_settings",
    "record",
    "require_operator",
    "start_agent",
    "start_demo",
    "start_test",
    "stop_demo",
    "write_env",
]

logger = logging.getLogger("hybrid.panel")


class NotAllowed(Exception):
    """The person signed in may look but not change."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an action, in a sentence for the person who asked; "" where the page itself shows it."""

    done: bool
    sentence: str


def is_operator() -> bool:
    """Whether this person may change things. The access gate says who it is; nobody else can."""
    return st.user.get("role") == "operator" and not is_read_only()


def is_read_only() -> bool:
    """Whether this panel changes nothing, whoever asks."""
    access = process().access
    return access is not None and access.config.read_only


def require_operator() -> str:
    """The name of the operator at the keys. Raises NotAllowed for anyone else, and for all while it is read-only."""
    if is_read_only():
        raise NotAllowed(_("The panel is read-only here (HYBRID_PANEL_READ_ONLY)."))
    if not is_operator():
        raise NotAllowed(_("Only an operator may do this."))
    return str(st.user.get("name") or "operator")


def is_phrase(typed: str | None, phrase: str) -> bool:
    """Whether what was typed confirms: a phone begins a line with a capital letter by itself."""
    return (typed or "").strip().casefold() == phrase.casefold()


def record(author: str, deed: str, changes: Mapping[str, tuple[Any, Any]] = MappingProxyType({})) -> None:
    """Put what was just done into the log and into the audit trail on the stores, which Settings shows."""
    said = "; ".join(f"{name}: {after}" for name, (_before, after) in changes.items())
    logger.info("%s: %s %s", author, deed, said)
    control = process().control
    if control is not None:
        control.note(author, deed, changes)


def change_settings(seen: int | None = None, **changes: Any) -> Outcome:
    """Change the live settings of every process. `seen` is the version that the operator saw."""
    return _steered(lambda control, author: control.change(author, seen, **changes))


def override_settings(seen: int | None, for_s: float, **changes: Any) -> Outcome:
    """Change live settings of every process for a while."""
    return _steered(lambda control, author: control.override(author, seen, for_s=for_s, **changes))


def end_override() -> Outcome:
    """Revert what is overridden, before its time."""
    return _steered(lambda control, author: control.end_override(author))


def _steered(act: Callable[[Control, str], Changed]) -> Outcome:
    author, control = require_operator(), process().control
    if control is None:
        return Outcome(False, _("Nothing was changed: the panel's client is not running."))
    try:
        changed = act(control, author)
    except HybridError as error:
        return Outcome(False, _("Nothing was changed: {error}").format(error=said(str(error))))
    if not changed.changes:
        return Outcome(True, _("Nothing to change: it is so already."))
    words = [_("Applied in every process: version {n}.").format(n=changed.version)]
    words += [
        _("The {store} store is down and gets it when it returns.").format(store=_(store)) for store in changed.missed
    ]
    words += [
        _("{process} keeps its own {settings}: its code says so.").format(process=name, settings=", ".join(held))
        for name, held in changed.pinned.items()
    ]
    return Outcome(True, " ".join(words))


def write_env(plan: EnvPlan) -> Outcome:
    """Write the lines that were shown to `.env`."""
    author, control = require_operator(), process().control
    if control is None:
        return Outcome(False, _("Nothing was written: the panel's client is not running."))
    try:
        control.write_env(author, plan)
    except HybridError as error:
        return Outcome(False, _("Nothing was written: {error}").format(error=error))
    return Outcome(True, _("Written to {path}.").format(path=plan.path))


def start_demo() -> Outcome:
    """Start the demo application on the panel's stores."""
    author, agent = require_operator(), process().agent
    if agent is None:
        return Outcome(False, _("The demo needs running stores."))
    try:
        process().demo.start(agent)
    except (HybridError, OSError) as error:
        return Outcome(False, _("The demo did not start: {error}").format(error=error))
    record(author, "demo traffic started")
    return Outcome(True, _("Demo traffic is running: watch the keys grow."))


def stop_demo() -> Outcome:
    author = require_operator()
    process().demo.stop()
    record(author, "demo traffic stopped")
    return Outcome(True, _("Demo traffic has stopped."))


def start_test() -> Outcome:
    """Start the test in the background; it goes on when the page is left."""
    author, agent = require_operator(), process().agent
    if agent is None:
        return Outcome(False, _("The test needs a running client."))
    settings = agent.client.settings

    def work(job: Job) -> Report:
        def on_step(step: Step) -> None:
            job.note(step.id, step)

        return run_test(settings, on_step=on_step, cancel=job.cancel)

    process().jobs.start(TEST_JOB, work)
    record(author, "test started")
    return Outcome(True, "")


def cancel_test() -> Outcome:
    require_operator()
    for job in process().jobs.of(TEST_JOB):
        job.cancel.set()
    return Outcome(True, _("Stopping after the current step."))


def cancel_job(number: int) -> Outcome:
    """Ask a background job to end soon."""
    author, job = require_operator(), process().jobs.find(number)
    if job is None or not job.running:
        return Outcome(True, _("It has ended already."))
    job.cancel.set()
    logger.info("%s cancelled %s", author, job.title)
    return Outcome(True, _("Stopping: {title}.").format(title=said(job.title)))


def dismiss_introduction() -> None:
    process().introduced = True


def start_agent() -> Outcome:
    """Try to start again, after a setting was corrected."""
    require_operator()
    process().start()
    problem = process().problem
    return Outcome(problem is None, problem or _("Started."))
