"""What is read for drills: the library, what runs, history and schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from redis.exceptions import RedisError

from hybrid.ops.drills import (
    DRILLS,
    GUARANTEES,
    Drill,
    DrillReport,
    Figures,
    Finding,
    Outcome,
    Step,
    StepState,
    Where,
    drill_history,
    drills_json,
    drills_markdown,
    next_slot,
    parse_schedule,
    where_of,
)
from panel import queries
from panel.jobs import Job
from panel.process import process
from panel.queries import StoreState
from panel.reads import Answer, Known, ReadFailed, Unknown

__all__ = [
    "DRILLS",
    "DRILL_JOB",
    "GUARANTEES",
    "Answer",
    "Drill",
    "DrillReport",
    "Figures",
    "Finding",
    "Known",
    "Outcome",
    "Playing",
    "Step",
    "StepState",
    "Unknown",
    "Where",
    "drill_jobs",
    "drills_json",
    "drills_markdown",
    "forget_history",
    "history",
    "is_partial",
    "places",
    "playing",
    "schedule",
    "schedule_problem",
    "when_next",
]

DRILL_JOB = "drill"
HISTORY = "drill history"


@dataclass(frozen=True, slots=True)
class Playing:
    """How far a job is: what it plays now, the steps of that drill in order, and the reports so far."""

    drill: Drill | None
    steps: tuple[Step, ...]
    reports: tuple[DrillReport, ...]


def drill_jobs() -> tuple[Job, ...]:
    """The jobs of this process that play drills, newest first."""
    return process().jobs.of(DRILL_JOB)


def playing(job: Job) -> Playing:
    """What a job of drills has told so far."""
    drill = job.noted("drill")
    steps = () if drill is None else tuple((job.noted(f"steps:{drill.name}") or {}).values())
    return Playing(drill, steps, tuple(note for note in job.notes if isinstance(note, DrillReport)))


def places() -> dict[str, Where]:
    """Where each drill would run by itself; throwaway servers while nothing is known of the stores."""
    agent = process().agent
    if agent is None:
        return dict.fromkeys(DRILLS, Where.SERVERS)
    return {drill.name: where_of(drill, agent.client.settings) for drill in DRILLS.values()}


def history() -> Answer[Sequence[DrillReport]]:
    """The latest reports of all processes, newest first."""
    agent = process().agent

    def ask() -> Sequence[DrillReport]:
        if agent is None:
            raise ReadFailed("The panel is still starting.")
        try:
            return drill_history(agent.client)
        except RedisError as error:
            raise ReadFailed(f"{error}".capitalize() + ".") from None

    return process().reads.get((HISTORY, is_partial()), ask)


def is_partial() -> bool:
    """Whether the cloud store alone can be asked for the history, which the local one keeps: it knows what was played
    since."""
    snapshot = queries.overview()
    if snapshot is None or snapshot.cloud is None:
        return False
    return (snapshot.local.status.state, snapshot.cloud.status.state) == (StoreState.DOWN, StoreState.UP)


def forget_history() -> None:
    process().reads.forget(HISTORY)


def schedule() -> str:
    """The schedule in force; "" for none."""
    agent = process().agent
    return "" if agent is None else agent.client.settings.drill_schedule or ""


def when_next(text: str) -> datetime | None:
    """When a schedule is due next, by this machine's clock; None for an empty one."""
    return next_slot(parse_schedule(text), datetime.now())


def schedule_problem(text: str) -> str | None:
    """What is wrong with a schedule; None for nothing."""
    try:
        parse_schedule(text)
    except ValueError as error:
        return str(error)
    return None
