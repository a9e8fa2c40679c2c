"""What the pages Diff and Sync read: diffs on disk, and what both stores say, asked beside the page."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from redis.exceptions import RedisError

from hybrid.client import HybridRedis
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops import conflicts as archive
from hybrid.ops.conflicts import ENTRY_BYTES, Conflict
from hybrid.ops.diff import (
    Budget,
    Cause,
    Cost,
    Difference,
    DiffFile,
    DiffOptions,
    DiffResult,
    Ending,
    Facts,
    FieldDifference,
    Part,
    Scope,
    estimate_diff,
    history,
)
from hybrid.ops.diff.export import field_row, rows, shown
from hybrid.ops.facts import entry_bytes
from hybrid.ops.keys import kind_word
from hybrid.ops.sync.one_key import MERGED_PARTS, KeyLook, look_at_key
from hybrid.ops.sync.periodic import DAILY_COMMANDS, Divergence, read_divergence
from hybrid.ops.sync.run import (
    Action,
    Direction,
    Policy,
    Prefer,
    SyncEnding,
    SyncPlan,
    SyncResult,
    Verb,
    plan_sync,
    sync_history,
)
from hybrid.types import Purpose, Store
from panel.format import plural, sentence
from panel.process import FOLDER_VARIABLE, process
from panel.reads import Answer, Known, ReadFailed, Unknown

__all__ = [
    "CONFLICTS_PAGE",
    "DAILY_COMMANDS",
    "DIFF_JOB",
    "ENTRY_BYTES",
    "MERGED_PARTS",
    "Action",
    "Answer",
    "Cause",
    "Conflict",
    "Cost",
    "DiffFile",
    "DiffOptions",
    "DiffResult",
    "Difference",
    "Direction",
    "Divergence",
    "Ending",
    "Estimate",
    "Facts",
    "FieldDifference",
    "KeyLook",
    "Known",
    "Part",
    "PlanPreview",
    "Policy",
    "Prefer",
    "Scope",
    "Selection",
    "SyncEnding",
    "SyncResult",
    "Unknown",
    "Verb",
    "conflicts",
    "diff_folder",
    "diffs",
    "divergence",
    "estimate",
    "existing_diff",
    "field_row",
    "forget",
    "kind_word",
    "last",
    "logged_bytes",
    "look",
    "opened_diff",
    "options_of",
    "plan_preview",
    "planned",
    "rows",
    "scope_text",
    "shown",
    "syncs",
]

T = TypeVar("T")
DIFF_JOB = "diff"
PREVIEWED = 100
CONFLICTS_PAGE = 50


@dataclass(frozen=True, slots=True)
class Selection:
    """Some of the differences of one diff: those with one of `causes` (all, if none) whose keys hold `containing`."""

    diff_id: str
    causes: tuple[Cause, ...] = ()
    containing: bytes = b""


@dataclass(frozen=True, slots=True)
class PlanPreview:
    """What a sync would do: the plan's sums with the words that confirm it, and its first actions."""

    plan: SyncPlan
    first: tuple[Action, ...]

    @property
    def deletes(self) -> int:
        return sum(self.plan.sums.deletes.values())

    @property
    def phrase(self) -> str | None:
        """What is to be typed first; None when nothing is deleted."""
        return self.plan.confirmation or ("delete" if self.deletes else None)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a diff would cost."""

    cost: Cost
    keys: int
    how: str


# -- diffs on disk


def diff_folder() -> Path:
    return Path(os.environ.get(FOLDER_VARIABLE, ".hybrid")) / "diffs"


def diffs(patience_s: float = 3.0) -> Answer[list[DiffResult]]:
    """The diffs on this machine, newest first, those of the command line too; not what is being compared just now."""
    folder = diff_folder()

    def ask() -> list[DiffResult]:
        found = history(folder)
        running = running_diffs()  # after it was read: a job notes its diff before it writes the first sums
        return [result for result in found if result.id not in running]

    return process().reads.get(("diffs", folder, *running_diffs()), ask, max_age_s=2.0, patience_s=patience_s)


def running_diffs() -> set[str]:
    return {str(job.noted("diff")) for job in process().jobs.of(DIFF_JOB) if job.running}


def existing_diff(diff_id: str) -> DiffFile:
    """The diff of this id, to be closed. Raises ConfigurationError when there is none."""
    return DiffFile.find(diff_folder(), diff_id)


def scope_text(scope: Scope) -> str:
    """What is compared, in English for `panel.said`."""
    if scope.keys is not None:
        return plural(len(scope.keys), "listed key")
    pattern = "everything" if scope.pattern == b"*" else shown(scope.pattern)
    return f"{pattern} ({scope.kind})" if scope.kind else pattern


def opened_diff(diff_id: str) -> DiffFile | None:
    """The diff of this id, to be closed; None when there is no such file, or nothing was written to it yet."""
    try:
        file = existing_diff(diff_id)
    except ConfigurationError:
        return None
    if file.recall("result") is None:
        file.close()
        return None
    return file


# -- asked beside the page


def estimate(scope: Scope, *, all_ttls: bool) -> Answer[Estimate]:
    """What comparing this would cost: about fifteen commands on each store."""

    def ask() -> Estimate:
        opened = client()
        cloud = opened.store(Store.CLOUD, Purpose.SYNC)
        plan = estimate_diff(opened.store(Store.LOCAL), cloud, scope=scope, options=options_of(all_ttls, None))
        return Estimate(plan.estimated, plan.keys_total, str(plan.strategy))

    return _asked(("estimate", scope, all_ttls), ask, max_age_s=300.0, patience_s=3.0)


def look(key: bytes) -> Answer[KeyLook]:
    """The key on both stores now."""
    return _asked(("look", key), lambda: look_at_key(client(), key), max_age_s=10.0, patience_s=2.0)


def planned(
    file: DiffFile, selection: Selection, direction: Direction, prefer: Prefer, delete_extras: bool
) -> SyncPlan:
    """The plan for the selected differences of `file`, which stays open while the plan is used."""
    policy = Policy(direction, prefer, delete_extras)
    causes, containing = selection.causes, selection.containing

    def differences() -> Iterable[Difference]:
        return file.differences(*causes, containing=containing)

    return plan_sync(client(), differences, policy, pattern=shown(file.scope.pattern))


def plan_preview(
    selection: Selection, direction: Direction, prefer: Prefer = Prefer.ASK, delete_extras: bool = False
) -> Answer[PlanPreview]:
    """What making the selected differences equal would do. Reads the diff, and of the stores only their size."""

    def ask() -> PlanPreview:
        with existing_diff(selection.diff_id) as file:
            plan = planned(file, selection, direction, prefer, delete_extras)
            first = tuple(islice(plan.actions(), PREVIEWED))
        return PlanPreview(replace(plan, differences=lambda: ()), first)

    question = ("plan", selection, direction, prefer, delete_extras)
    return _asked(question, ask, max_age_s=60.0, patience_s=2.0)


def syncs() -> Answer[list[SyncResult]]:
    """The latest syncs, newest first, of all processes."""
    return _asked(("syncs",), lambda: sync_history(client()), max_age_s=20.0)


def divergence(patience_s: float = 0.8) -> Answer[Divergence | None]:
    """What the periodic sync measured last; None inside when it never ran."""
    return _asked(("divergence",), lambda: read_divergence(client()), max_age_s=20.0, patience_s=patience_s)


def conflicts(before: str | None = None) -> Answer[list[Conflict]]:
    """A page of the conflict archive, the latest first; `before` is the id of the last one of the page before."""
    return _asked(
        ("conflicts", before),
        lambda: archive.listed(client(), limit=CONFLICTS_PAGE, before=before),
        max_age_s=10.0,
    )


def logged_bytes(store: Store) -> Answer[float | None]:
    """How much memory an entry of the log takes on the store that has it; None inside where it cannot tell."""

    def ask() -> float | None:
        with client().store(store) as asked:
            return entry_bytes(asked)

    return _asked(("log bytes", store), ask, max_age_s=10.0, patience_s=0.0)


def last(*question: object) -> Known[Any] | None:
    """What was answered last. Nobody is asked: that is idle while a store is down."""
    return process().reads.last(question)


def forget(*kinds: str) -> None:
    """Ask these anew the next time: something was changed."""
    process().reads.forget(*kinds)


def _asked(
    question: tuple[object, ...], ask: Callable[[], T], *, max_age_s: float, patience_s: float = 0.8
) -> Answer[T]:
    def said() -> T:
        try:
            return ask()
        except (HybridError, RedisError, OSError) as error:
            raise ReadFailed(sentence(error)) from None

    return process().reads.get(question, said, max_age_s=max_age_s, patience_s=patience_s)


# -- the panel's client


def client() -> HybridRedis:
    """Raises ConfigurationError while the panel's client is not running."""
    agent = process().agent
    if agent is None:
        raise ConfigurationError("the panel's client is not running")
    return agent.client


def options_of(all_ttls: bool, max_commands: int | None) -> DiffOptions:
    return DiffOptions(budget=Budget(max_commands), all_ttls=all_ttls)
