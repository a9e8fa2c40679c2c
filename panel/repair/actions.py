"""What the pages Diff and Sync change. Each action checks the role itself, is audited, and says what came of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from hybrid.client import HybridRedis
from hybrid.errors import AllStoresDown, HybridError
from hybrid.ops import conflicts as archive
from hybrid.ops.control import AuditEntry
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
from panel.actions import Outcome, require_operator
from panel.format import plural
from panel.i18n import N_, _, ngettext
from panel.jobs import Job, JobFailed, Progress
from panel.process import process
from panel.repair import queries
from panel.repair.queries import DIFF_JOB, Selection

__all__ = [
    "DIFF_JOB",
    "KEY_JOB",
    "SYNC_JOB",
    "copy_key",
    "discard_conflicts",
    "keep_conflict",
    "merge_key",
    "restore_conflict",
    "start_diff",
    "start_sync",
    "start_undo",
    "sync_summary",
]

logger = logging.getLogger("hybrid.panel")

SYNC_JOB = "sync"
KEY_JOB = "merge of a key"
AT_ONCE_S = 3.0
NO_CLIENT = N_("Nothing was done: the panel's client is not running.")
CHANGED = ("diffs", "syncs", "look", "plan", "divergence", "conflicts")


# -- diff


def start_diff(
    scope: Scope, *, all_ttls: bool = False, max_commands: int | None = None, resume: str | None = None
) -> Outcome:
    """Compare in the background; `resume` goes on with an unfinished diff."""
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))
    options = queries.options_of(all_ttls, max_commands)

    def work(job: Job) -> str:
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
        finally:
            queries.forget("diffs", "plan")
        return file.id

    what = _("Compare {what}").format(what=queries.scope_text(scope))
    return _started(DIFF_JOB, work, what, author)


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
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))

    def work(job: Job) -> SyncResult:
        with queries.existing_diff(selection.diff_id) as file:
            plan = queries.planned(file, selection, direction, prefer, delete_extras)
            phrase = queries.PlanPreview(plan, ()).phrase
            if phrase is not None and typed.strip() != phrase:
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

    return _started(SYNC_JOB, work, _("Sync, {direction}").format(direction=_(DIRECTIONS[direction])), author)


def start_undo(bundle: str, *, everywhere: bool = False) -> Outcome:
    """Bring back in the background what the sync `bundle` overwrote."""
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))

    def work(job: Job) -> SyncResult:
        def told(counts: SyncCounts) -> None:
            job.say(Progress("undoing", counts.done, None, detail=f"{counts.copied + counts.deleted:,} put back"))

        options = SyncOptions(author=author)
        result = undo_sync(client, bundle, everywhere=everywhere, options=options, cancel=job.cancel, on_progress=told)
        return _ended(job, result)

    return _started(SYNC_JOB, work, _("Undo of {id}").format(id=bundle), author)


def _ended(job: Job, result: SyncResult) -> SyncResult:
    queries.forget(*CHANGED)
    job.summary = sync_summary(result)
    _audit(job.author, job.title, result)
    if result.ending is SyncEnding.FAILED:
        raise JobFailed(f"{job.summary}. {queries.sentence(result.reason)} Running it again does the rest.")
    return result


def sync_summary(result: SyncResult) -> str:
    """One line about a sync."""
    parts = [f"{result.copied:,} copied", f"{result.deleted:,} deleted"]
    for count, words in (
        (result.kept, "kept"),
        (result.asked, "undecided"),
        (result.changed, "changed meanwhile, left alone"),
        (result.busy, "being written, left alone"),
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
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))
    delete = typed.strip() == "delete"

    def work() -> SyncResult:
        policy = Policy(direction, delete_extras=delete, authority=client.status().authority)
        plan = plan_sync(client, lambda: (difference,), policy, pattern=queries.shown(difference.key))
        return apply_plan(client, plan, options=SyncOptions(author=author), confirmed=plan.confirmation)

    return _at_once(work, _("Copy a key, {direction}").format(direction=_(DIRECTIONS[direction])), author)


def merge_key(difference: Difference, base: Store, taken: Sequence[FieldDifference]) -> Outcome:
    """Give both stores the value of `base`, with the places `taken` as the other store has them."""
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))
    places = tuple(taken)
    return _at_once(
        lambda: merge_fields(client, difference, base, places, options=SyncOptions(author=author)),
        _("Merge a key by field"),
        author,
    )


def _at_once(act: Callable[[], SyncResult], title: str, author: str) -> Outcome:
    """Run something short as a job, so that a store that hangs does not hold up the page."""

    def work(job: Job) -> SyncResult:
        return _ended(job, act())

    outcome = _started(KEY_JOB, work, title, author)
    job = process().jobs.of(KEY_JOB)[0]
    if not outcome.done or not job.wait(AT_ONCE_S):
        return outcome if not outcome.done else Outcome(True, _("Still at it: it goes on in the background."))
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


# -- conflicts


def keep_conflict(conflict_id: str, *, force: bool = False) -> Outcome:
    """Agree with the value that won."""
    return _decided(
        lambda client, author: archive.keep(client, conflict_id, author=author, force=force),
        _("Kept: the other value has left the archive."),
        f"keep conflict {conflict_id}",
    )


def restore_conflict(conflict_id: str, *, force: bool = False) -> Outcome:
    """Make the value that lost live again, on both stores."""
    return _decided(
        lambda client, author: archive.restore(client, conflict_id, author=author, force=force),
        _("Restored on both stores; the value that it replaced has taken its place in the archive."),
        f"restore conflict {conflict_id}",
    )


def discard_conflicts(conflict_ids: Sequence[str] | None, *, typed: str = "") -> Outcome:
    """Throw archived values away for good; None for all of them, which has to be confirmed with the word discard."""
    if conflict_ids is None:
        require_operator()
        if typed.strip() != "discard":
            return Outcome(False, _("Nothing was thrown away: type the word discard first."))
        return _decided(
            lambda client, author: archive.discard_all(client, author=author), _("The archive is empty."), "discard all"
        )
    ids = tuple(conflict_ids)
    return _decided(
        lambda client, author: archive.discard(client, ids, author=author),
        ngettext("Thrown away: {n} archived value.", "Thrown away: {n} archived values.", len(ids)).format(n=len(ids)),
        f"discard {plural(len(ids), 'conflict')}",
    )


def _decided(act: Callable[[HybridRedis, str], object], said: str, deed: str) -> Outcome:
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))
    try:
        act(client, author)
    except (HybridError, RedisError, OSError) as error:
        return Outcome(False, queries.sentence(error))
    queries.forget("conflicts", "look")
    _note(author, deed, {})
    return Outcome(True, said)


# -- common


def _client() -> HybridRedis | None:
    agent = process().agent
    return None if agent is None else agent.client


def _started(kind: str, work: Callable[[Job], object], title: str, author: str) -> Outcome:
    def told(job: Job) -> object:
        try:
            return work(job)
        except (HybridError, RedisError, OSError) as error:
            raise JobFailed(queries.sentence(error)) from None

    running = next((job for job in process().jobs.of(kind) if job.running), None)
    if running is not None:
        return Outcome(False, _("{job} is still running; one goes at a time.").format(job=running.title))
    job = process().jobs.start(kind, told, title=title, author=author)
    logger.info("%s started: %s (job %d)", author, title, job.number)
    return Outcome(True, "")


def _audit(author: str, deed: str, result: SyncResult) -> None:
    _note(author, deed, {result.id: (None, sync_summary(result))})


def _note(author: str, deed: str, changes: dict[str, tuple[object, object]]) -> None:
    logger.info("%s: %s %s", author, deed, "; ".join(str(after) for _, after in changes.values()))
    client = _client()
    if client is None:
        return
    try:
        client.live.audit.note(AuditEntry(client.live.version, time.time(), author, deed, changes))
    except AllStoresDown:
        logger.warning("no store takes the note of it for the audit trail")


DIRECTIONS = {
    Direction.LOCAL_TO_CLOUD: N_("local to cloud"),
    Direction.CLOUD_TO_LOCAL: N_("cloud to local"),
    Direction.MERGE: N_("both ways"),
}
