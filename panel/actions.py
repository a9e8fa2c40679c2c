"""Every change that the panel makes. Each checks the role itself (a disabled button is no protection) and is logged."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import streamlit as st

from hybrid.errors import HybridError
from hybrid.ops.control import change_settings as change_client_settings
from hybrid.ops.drills import Report, Step, run_test
from panel.jobs import Job
from panel.process import process
from panel.queries import TEST_JOB

__all__ = [
    "NotAllowed",
    "Outcome",
    "cancel_test",
    "change_settings",
    "dismiss_introduction",
    "is_operator",
    "require_operator",
    "start_agent",
    "start_demo",
    "start_test",
    "stop_demo",
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
    return st.user.get("role") == "operator"


def require_operator() -> str:
    """The name of the operator at the keys. Raises NotAllowed for anyone else."""
    if not is_operator():
        raise NotAllowed("Only an operator may do this.")
    return str(st.user.get("name") or "operator")


def change_settings(**changes: Any) -> Outcome:
    """Change the live settings of this process."""
    author = require_operator()
    agent = process().agent
    if agent is None:
        return Outcome(False, "Nothing was changed: the panel's client is not running.")
    try:
        change_client_settings(agent.client, author=author, **changes)
    except HybridError as error:
        return Outcome(False, f"Nothing was changed: {error}")
    return Outcome(True, "Applied in this process.")


def start_demo() -> Outcome:
    """Start the demo application on the panel's stores."""
    author, agent = require_operator(), process().agent
    if agent is None:
        return Outcome(False, "The demo needs running stores.")
    try:
        process().demo.start(agent)
    except (HybridError, OSError) as error:
        return Outcome(False, f"The demo did not start: {error}")
    logger.info("%s started demo traffic", author)
    return Outcome(True, "Demo traffic is running: watch the keys grow.")


def stop_demo() -> Outcome:
    author = require_operator()
    process().demo.stop()
    logger.info("%s stopped demo traffic", author)
    return Outcome(True, "Demo traffic has stopped.")


def start_test() -> Outcome:
    """Start the test in the background; it goes on when the page is left."""
    author, agent = require_operator(), process().agent
    if agent is None:
        return Outcome(False, "The test needs a running client.")
    settings = agent.client.settings

    def work(job: Job) -> Report:
        def on_step(step: Step) -> None:
            job.note(step.id, step)

        return run_test(settings, on_step=on_step, cancel=job.cancel)

    job = process().jobs.start(TEST_JOB, work)
    logger.info("%s started test run %d", author, job.number)
    return Outcome(True, "")


def cancel_test() -> Outcome:
    require_operator()
    for job in process().jobs.of(TEST_JOB):
        job.cancel.set()
    return Outcome(True, "Stopping after the current step.")


def dismiss_introduction() -> None:
    process().introduced = True


def start_agent() -> Outcome:
    """Try to start again, after a setting was corrected."""
    require_operator()
    process().start()
    problem = process().problem
    return Outcome(problem is None, problem or "Started.")
