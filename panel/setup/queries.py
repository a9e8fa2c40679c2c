"""What the page Connect your stores reads: how a URL fares, what `.env` would hold, how far a pairing is."""

from __future__ import annotations

from hybrid.errors import ConfigurationError
from hybrid.ops.env_file import EnvPlan
from hybrid.ops.first_run import CHECK_COMMANDS, EXAMPLES, UrlCheck, overruled, planned_setup
from hybrid.ops.pair import Origin, Paired, Preview
from panel.jobs import Job
from panel.process import process
from panel.queries import Overview
from panel.verdict import stranger, writing_store

__all__ = [
    "CHECK_COMMANDS",
    "COMPARE_JOB",
    "EXAMPLES",
    "PAIR_JOB",
    "EnvPlan",
    "Origin",
    "Paired",
    "Preview",
    "UrlCheck",
    "needs_pairing",
    "overruled",
    "pair_jobs",
    "plan",
]

COMPARE_JOB = "compare before pairing"
PAIR_JOB = "pair"


def plan(local_url: str, cloud_url: str, preset: str | None) -> EnvPlan | str:
    """What would be written, or the sentence that says why nothing can be."""
    try:
        return planned_setup(local_url, cloud_url, preset)
    except ConfigurationError as error:
        return str(error)


def needs_pairing(snapshot: Overview | None) -> bool:
    """Whether both stores answer, hold data and were never made one pair: then an operator says whose data counts."""
    facts = stranger(snapshot)
    return snapshot is not None and facts is not None and writing_store(snapshot) is facts.status.store.other


def pair_jobs() -> tuple[Job, ...]:
    """Comparisons and pairings, newest first."""
    return process().jobs.of(COMPARE_JOB, PAIR_JOB)
