"""What actions on the stores have in common: the panel's client, work in the background, errors as sentences."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from redis.exceptions import RedisError

from hybrid.client import HybridRedis
from hybrid.errors import HybridError
from panel.actions import Outcome, require_operator
from panel.format import sentence
from panel.i18n import N_, _
from panel.jobs import Job, JobFailed
from panel.process import process
from panel.said import said

__all__ = ["FAILURES", "NO_CLIENT", "client", "in_background"]

logger = logging.getLogger("hybrid.panel")

FAILURES: Final = (HybridError, RedisError, OSError)
"""What work on the stores may raise that is no fault of the panel."""
NO_CLIENT: Final = N_("Nothing was done: the panel's client is not running.")


def client() -> HybridRedis | None:
    """The panel's client; None while none runs."""
    agent = process().agent
    return None if agent is None else agent.client


def in_background(kind: str, title: str, work: Callable[[HybridRedis, str, Job], object]) -> Outcome:
    """Run `work` with the client, the author and the job, on a thread; of each kind one goes at a time. Raises
    NotAllowed."""
    author, found = require_operator(), client()
    if found is None:
        return Outcome(False, _(NO_CLIENT))
    running = next((job for job in process().jobs.of(kind) if job.running), None)
    if running is not None:
        return Outcome(False, _("{title} is still running; one goes at a time.").format(title=said(running.title)))

    def told(job: Job) -> object:
        try:
            return work(found, author, job)
        except FAILURES as error:
            raise JobFailed(sentence(error)) from None

    process().jobs.start(kind, told, title=title, author=author)
    logger.info("%s started: %s", author, title)
    return Outcome(True, "")
