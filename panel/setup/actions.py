"""What the page Connect your stores does: check, write `.env`, start again on the new stores, pair them."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from functools import partial
from typing import Any

from hybrid.errors import HybridError
from hybrid.ops.env_file import EnvPlan, write_env
from hybrid.ops.first_run import check_urls
from hybrid.ops.pair import Origin, Preview, pair, preview
from hybrid.types import Store
from panel.actions import Outcome, record, require_operator
from panel.i18n import _
from panel.jobs import Job, JobCancelled, JobFailed, Progress
from panel.process import process
from panel.said import said
from panel.setup.queries import COMPARE_JOB, PAIR_JOB

__all__ = ["CHECKS", "check", "compare", "connect", "make_pair"]

CHECKS = "setup-checks"


def check(state: MutableMapping[Any, Any], local_url: str, cloud_url: str) -> Outcome:
    """Try both URLs; the page shows what came of it. An operator's: the panel connects to what it is given."""
    require_operator()
    state[CHECKS] = {(local_url, cloud_url): check_urls(local_url, cloud_url)}
    return Outcome(True, "")


def connect(plan: EnvPlan) -> Outcome:
    """Write the lines that were shown, and start again on these stores."""
    author = require_operator()
    try:
        write_env(plan)
    except (HybridError, OSError) as error:
        return Outcome(False, _("Nothing was written: {error}").format(error=said(str(error))))
    process().restart()
    problem = process().problem
    if problem is not None:
        return Outcome(False, _("Written, but the stores did not start: {problem}").format(problem=said(problem)))
    record(author, ".env", dict.fromkeys(plan.variables, (None, "written")))
    process().introduced = True
    return Outcome(True, _("Written to {path}. The panel now runs on your stores.").format(path=plan.path))


def compare() -> Outcome:
    """Compare both stores in the background; nothing is changed."""
    author, agent = require_operator(), process().agent
    if agent is None:
        return Outcome(False, _("The panel's client is not running."))

    def work(job: Job) -> Any:
        found = told(lambda: preview(agent.client, partial(say, job)))
        job.summary = counts(found)
        return found

    process().jobs.start(COMPARE_JOB, work, title="Compare both stores", author=author)
    return Outcome(True, "")


def make_pair(origin: Origin, prefer: Store = Store.LOCAL) -> Outcome:
    """Make the two stores one pair, in the background."""
    author, agent = require_operator(), process().agent
    if agent is None:
        return Outcome(False, _("The panel's client is not running."))

    def work(job: Job) -> Any:
        done = told(lambda: pair(agent.client, origin, author=author, prefer=prefer, report=partial(say, job)))
        job.cancel.clear()  # who asked for it after the last word was too late
        record(author, "pair", {"from": (None, str(origin))})
        merged = [counts(done.merged)] if done.merged is not None else []
        job.summary = ", ".join([*merged, "one pair now" if done.in_sync else "the rest follows by itself"])
        return done

    process().jobs.start(PAIR_JOB, work, title="Make one pair of both stores", author=author)
    return Outcome(True, _("Pairing has begun."))


def say(job: Job, text: str, done: int, total: int | None) -> None:
    """Tell how far the job is. Raises JobCancelled: what was done until then does no harm."""
    if job.cancel.is_set():
        raise JobCancelled("stopped before the end: it can be begun again")
    job.say(Progress(text, done, total))


def counts(found: Preview) -> str:
    parts = (f"{found.equal:,} equal", f"{found.different:,} differ")
    return ", ".join([*parts, f"{found.only_local:,} only local", f"{found.only_cloud:,} only cloud"])


def told(act: Callable[[], Any]) -> Any:
    """An expected error as a sentence of the job, without a traceback."""
    try:
        return act()
    except HybridError as error:
        raise JobFailed(str(error)) from None
