"""What the pages Diff and Sync change. Each action checks the role itself, is audited, and says what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from redis.exceptions import ConnectionError, TimeoutError

from hybrid.client import HybridRedis
from hybrid.ops.diff import Difference, DiffJob, DiffProgress, DiffResult, Ending, FieldDifference, Scope
from hybrid.ops.sync.one_key import merge_fields
from hybrid.ops.sync.run import (
    Direction,
    Policy,
    Prefer,
    SyncCounts,
    SyncEnding,
    SyncOptions,
    SyncResult,
    apply_plan,
    plan_sync,
    undo_sync,
)
from hybrid.types import Purpose, Store
from panel.actions import Outcome, is_phrase, record
from panel.format import plural, sentence
from panel.i18n import N_, _
from panel.jobs import Job, JobFailed, Progress
from panel.process import process
from panel.repair import queries
from panel.repair.queries import DIFF_JOB, Selection
from panel.work import in_background

__all__ = [
    "DIFF_JOB",
    "KEY_JOB",
    "SYNC_JOB",
    "copy_key",
    "merge_key",
    "start_diff",
    "start_sync",
    "start_undo",
    "sync_summary",
]

logger = logging.getLogger("hybrid.panel")

SYNC_JOB = "sync"
KEY_JOB = "merge of a key"
AT_ONCE_S = 3.0
DIRECTIONS = {
    Direction.LOCAL_TO_CLOUD: N_("local to cloud"),
    Direction.CLOUD_TO_LOCAL: N_("cloud to local"),
    Direction.MERGE: N_("both ways"),
}
CHANGED = ("diffs", "syncs", "look", "plan", "divergence", "conflicts")


# -- diff


def start_diff(
    scope: Scope, *, all_ttls: bool = False, max_commands: int | None = None, resume: str | None = None
) -> Outcome:
    """Compare in the background; `resume` goes on with an unfinished diff."""
    options = queries.options_of(all_ttls, max_commands)

    def work(client: HybridRedis, author: str, job: Job) -> str:
        local, cloud = client.store(Store.LOCAL), client.store(Store.CLOUD, Purpose.SYNC)

        def told(progress: DiffProgress) -> None:
            job.say(_told(progress, diff))

        folder = queries.diff_folder()
        diff = DiffJob(local, cloud, folder, scope=scope, options=options, resume=resume, on_progress=told)
        job.note("diff", diff.file.id)
        try:
            with diff.file as file:
                diff.run(job.cancel)
                job.summary = diff_summary(file.result)
        except (ConnectionError, TimeoutError):
            raise JobFailed(
                "Broke off: a store does not answer. What was compared stays; Resume on the page Diff goes on."
            ) from None
        finally:
            queries.forget("diffs", "plan")
        return file.id

    return in_background(DIFF_JOB, f"Compare {queries.scope_text(scope)}", work)


def _told(progress: DiffProgress, diff: DiffJob) -> Progress:
    estimated = diff.file.result.estimated
    usd = estimated.usd / estimated.cloud_commands * progress.cloud_commands if estimated.usd else None
    return Progress(
        phase=progress.phase,
        done=progress.keys_done,
        total=progress.keys_total or None,
        rate_per_s=progress.keys_per_s or None,
        eta_s=progress.eta_s,
        cloud_commands=progress.cloud_commands,
        cost_usd=usd,
        detail=f"{progress.different:,} differ, {progress.suspected:,} suspected",
    )


def diff_summary(result: DiffResult) -> str:
    """One line about a diff."""
    compared = plural(result.compared, "key")
    if result.ending is not Ending.FINISHED:
        return f"{result.ending} after {compared}: {result.different:,} differ, {result.suspected:,} not confirmed yet"
    return f"{compared} compared, {result.different:,} differ"


# -- sync


def start_sync(
    selection: Selection,
    direction: Direction,
    *,
    prefer: Prefer = Prefer.ASK,
    delete_extras: bool = False,
    max_commands: int | None = None,
    typed: str = "",
) -> Outcome:
    """Make the selected differences equal in the background. `typed` confirms where keys are deleted."""

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        with queries.existing_diff(selection.diff_id) as file:
            plan = queries.planned(file, selection, direction, prefer, delete_extras)
            phrase = queries.PlanPreview(plan, ()).phrase
            if phrase is not None and not is_phrase(typed, phrase):
                raise JobFailed(f"Nothing was changed: it would delete keys, and the words “{phrase}” were not typed.")
            total, estimated = plan.sums.changes, plan.sums.cloud_commands

            def told(counts: SyncCounts) -> None:
                spent = round(estimated * counts.done / total) if total else 0
                detail = f"{counts.copied:,} copied, {counts.deleted:,} deleted, about {spent:,} cloud commands"
                job.say(Progress("copying", counts.done, total, detail=detail))

            options = SyncOptions(max_commands=max_commands, author=author)
            confirmed = plan.confirmation
            result = apply_plan(client, plan, options=options, confirmed=confirmed, cancel=job.cancel, on_progress=told)
        return _ended(job, result)

    return in_background(SYNC_JOB, f"Sync, {DIRECTIONS[direction]}", work)


def start_undo(bundle: str, *, everywhere: bool = False) -> Outcome:
    """Bring back in the background what the sync `bundle` overwrote."""

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        def told(counts: SyncCounts) -> None:
            job.say(Progress("undoing", counts.done, None, detail=f"{counts.copied + counts.deleted:,} put back"))

        options = SyncOptions(author=author)
        result = undo_sync(client, bundle, everywhere=everywhere, options=options, cancel=job.cancel, on_progress=told)
        return _ended(job, result)

    return in_background(SYNC_JOB, f"Undo of {bundle}", work)


def _ended(job: Job, result: SyncResult) -> SyncResult:
    queries.forget(*CHANGED)
    job.result, job.summary = result, sync_summary(result)
    record(job.author, job.title, {result.id: (None, job.summary)})
    if result.ending is SyncEnding.FAILED:
        raise JobFailed(f"{job.summary}. {sentence(result.reason)} Running it again does the rest.")
    return result


def sync_summary(result: SyncResult) -> str:
    """One line about a sync."""
    if result.ending is SyncEnding.OPEN:
        return f"{result.ending}: what it did is not known"
    parts = [f"{result.copied:,} copied", f"{result.deleted:,} deleted"]
    for count, words in (
        (result.kept, "kept"),
        (result.asked, "undecided"),
        (result.changed, "changed meanwhile and left alone"),
        (result.busy, "being written and left alone"),
        (result.equal, "equal by now"),
        (result.refused, "cannot be copied"),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    ended = "" if result.ending is SyncEnding.FINISHED else f"{result.ending}: "
    return ended + ", ".join(parts)


# -- one key


def copy_key(difference: Difference, direction: Direction, *, typed: str = "") -> Outcome:
    """Make one key equal: the other store gets the value of the one that `direction` starts from. Where that has none,
    the key is deleted, if `typed` is the word delete. Nothing happens if either value is another one by now."""
    delete = is_phrase(typed, "delete")

    def work(client: HybridRedis, author: str) -> SyncResult:
        policy = Policy(direction, delete_extras=delete)
        plan = plan_sync(client, lambda: (difference,), policy, pattern=queries.shown(difference.key))
        return apply_plan(client, plan, options=SyncOptions(author=author), confirmed=plan.confirmation)

    return _at_once(work, f"Copy a key, {DIRECTIONS[direction]}")


def merge_key(difference: Difference, base: Store, taken: Sequence[FieldDifference]) -> Outcome:
    """Give both stores the value of `base`, with the places `taken` as the other store has them."""
    places = tuple(taken)
    return _at_once(
        lambda client, author: merge_fields(client, difference, base, places, options=SyncOptions(author=author)),
        "Merge a key by field",
    )


def _at_once(act: Callable[[HybridRedis, str], SyncResult], title: str) -> Outcome:
    """Run something short as a job, so that a store that hangs does not hold up the page."""

    outcome = in_background(KEY_JOB, title, lambda client, author, job: _ended(job, act(client, author)))
    if not outcome.done:
        return outcome
    job = process().jobs.of(KEY_JOB)[0]
    if not job.wait(AT_ONCE_S):
        return Outcome(True, _("Still at it: it goes on in the background."))
    if job.problem is not None:
        return Outcome(False, job.problem)
    result: SyncResult = job.result
    if result.copied + result.deleted:
        return Outcome(True, _("Done: both stores have the same value now. It can be undone on the page Sync."))
    if result.equal:
        return Outcome(True, _("Nothing to do: both stores have the same value by now."))
    if result.refused:
        return Outcome(False, _("Nothing was changed: a value of this type cannot be copied."))
    if result.busy:
        return Outcome(False, _("Nothing was changed: writes to the key are on their way. Try again in a moment."))
    return Outcome(False, _("Nothing was changed: the value is another one by now. Look again."))
