"""What the page Keys changes. Each action checks the role itself, is audited, and says what came of it by store."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import RedisError

from hybrid.client import HybridRedis
from hybrid.errors import AllStoresDown, HybridError
from hybrid.ops.control import AuditEntry
from hybrid.ops.diff import Scope
from hybrid.ops.keys import Filter, KeyUndo, Rewritten, Walk, delete_keys, expire_keys, put_back
from hybrid.ops.keys.edit import Edit, Edited, Reached, apply_edit
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.run import SyncEnding, SyncResult, undo_sync
from hybrid.ops.transfer import Conflict, Format, ImportResult, export_keys, import_keys
from hybrid.types import Store
from panel.actions import Outcome, require_operator
from panel.i18n import N_, _, ngettext
from panel.jobs import Job, JobFailed, Progress
from panel.keys import queries
from panel.process import process

__all__ = [
    "BULK_JOB",
    "COLLECT_JOB",
    "EXPORT_JOB",
    "IMPORT_JOB",
    "Collected",
    "EditOutcome",
    "Exported",
    "apply",
    "collect",
    "delete_phrase",
    "start_delete",
    "start_expire",
    "start_export",
    "start_import",
    "start_undo",
    "take_back",
]

logger = logging.getLogger("hybrid.panel")

COLLECT_JOB = "collect keys"
BULK_JOB = "bulk change of keys"
EXPORT_JOB = "export keys"
IMPORT_JOB = "import keys"
MOST_KEYS = 200_000
MOST_EXPORT_BYTES = 256 * 1024 * 1024
NO_CLIENT = N_("Nothing was done: the panel's client is not running.")
REACHED = {
    Reached.WRITTEN: N_("written"),
    Reached.WAITING: N_("on its way"),
    Reached.DOWN: N_("down, gets it when it is back"),
    Reached.OFF: N_("not copied, writes go to the local store alone"),
}


@dataclass(frozen=True, slots=True)
class EditOutcome(Outcome):
    """An outcome with what takes the edit back, if anything does."""

    undo: KeyUndo | None = None


@dataclass(frozen=True, slots=True)
class Collected:
    """The keys that a bulk change would touch; `complete`: there are no others."""

    names: tuple[bytes, ...]
    complete: bool
    missing: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported, ready to be taken."""

    content: bytes
    count: int
    form: Format


# -- one key


def apply(edit: Edit) -> EditOutcome:
    """Run one edit on both stores, through the client."""
    return _edited(lambda client: apply_edit(client, edit), edit.words, edit.keys)


def _edited(act: Callable[[HybridRedis], Edited], words: str, keys: Sequence[bytes]) -> EditOutcome:
    author, client = require_operator(), _client()
    if client is None:
        return EditOutcome(False, _(NO_CLIENT))
    try:
        edited = act(client)
    except (HybridError, RedisError, OSError) as error:
        queries.forget()
        return EditOutcome(False, sentence(error))
    queries.forget()
    _note(author, f"{words}: {_shown(keys)}", {})
    return EditOutcome(True, by_store(edited), edited.undo)


def by_store(edited: Edited) -> str:
    """Where an edit is now: "Local: written. Cloud: on its way."."""
    parts = [f"{store.title()}: {_(REACHED[reached])}." for store, reached in edited.stores.items()]
    return " ".join(parts)


def take_back(undo: KeyUndo) -> Outcome:
    """Undo one edit, if nobody changed the key since."""
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))
    try:
        put_back(client, undo)
    except (HybridError, RedisError, OSError) as error:
        return Outcome(False, sentence(error))
    finally:
        queries.forget()
    _note(author, f"undo of {undo.words}: {_shown(list(undo.before))}", {})
    return Outcome(True, _("Taken back on both stores."))


# -- many keys


def collect(wanted: Filter) -> Outcome:
    """Find in the background which keys a bulk change would touch: the preview that it is confirmed by."""
    require_operator()
    stores = queries.stores_up()

    def work(job: Job) -> Collected:
        walk = Walk(wanted, most_names=MOST_KEYS)

        def told() -> None:
            looked_at = sum(walk.looked_at(store) for store in Store)
            job.say(Progress("looking for keys", len(walk.names), None, detail=f"about {looked_at:,} looked at"))

        while not (walk.ended or walk.is_full or job.cancel.is_set()):
            walk.fill(queries.lines(), stores, len(walk.names) + 5000, deadline_s=0.5, on_progress=told)
        job.summary = f"{len(walk.names):,} keys"
        return Collected(tuple(walk.names), walk.ended, tuple(walk.missing))

    return _started(COLLECT_JOB, lambda client, author, job: work(job), _("Look for keys"))


def delete_phrase(count: int) -> str:
    """What has to be typed before so many keys are deleted."""
    return f"delete {count}"


def start_delete(names: Sequence[bytes], *, keep_undo: bool = True) -> Outcome:
    """Delete keys on both stores in the background."""
    keys = tuple(names)

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        options = SyncOptions(undo=keep_undo, author=author)
        done = delete_keys(client, keys, options=options, cancel=job.cancel, on_progress=_teller(job, len(keys)))
        return _bulk_ended(job, done)

    return _started(BULK_JOB, work, _("Delete {count} keys").format(count=f"{len(keys):,}"))


def start_expire(names: Sequence[bytes], expires_in_s: float | None) -> Outcome:
    """Have keys expire after so many seconds, or never, on both stores."""
    keys = tuple(names)
    moment = None if expires_in_s is None else int((time.time() + expires_in_s) * 1000)

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        options = SyncOptions(author=author)
        tell = _teller(job, len(keys))
        return _bulk_ended(job, expire_keys(client, keys, moment, options=options, cancel=job.cancel, on_progress=tell))

    return _started(BULK_JOB, work, _("Set the expiry of {count} keys").format(count=f"{len(keys):,}"))


def start_undo(bundle: str) -> Outcome:
    """Bring back what a bulk change or an import overwrote, on both stores."""

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        done = undo_sync(client, bundle, everywhere=True, options=SyncOptions(author=author), cancel=job.cancel)
        return _bulk_ended(job, done)

    return _started(BULK_JOB, work, _("Undo of {bundle}").format(bundle=bundle))


def _teller(job: Job, total: int) -> Callable[[Rewritten], None]:
    return lambda done: job.say(Progress("writing", done.done, total, detail=f"{done.left:,} left alone"))


def _bulk_ended(job: Job, result: SyncResult) -> SyncResult:
    queries.forget()
    parts = [f"{result.copied:,} written", f"{result.deleted:,} deleted", f"{result.kept:,} left alone"]
    parts += [f"{result.busy:,} being written by others"] * bool(result.busy)
    ended = "" if result.ending is SyncEnding.FINISHED else f"{result.ending}: "
    job.summary = ended + ", ".join(part for part in parts if not part.startswith("0 "))
    job.note("undo", result.id if result.undo_until_s else None)
    _note(job.author, job.title, {result.id: (None, job.summary)})
    if result.ending is SyncEnding.FAILED:
        raise JobFailed(f"{job.summary}. {result.reason}")
    return result


# -- in and out


def start_export(wanted: Filter, names: Sequence[bytes] | None, store: Store | None, form: Format) -> Outcome:
    """Read keys into a file to be downloaded: `names`, or all that match by pattern and type."""
    scope = wanted.scope if names is None else Scope(keys=tuple(names))

    def work(client: HybridRedis, author: str, job: Job) -> Exported:
        out = _Bounded(job)

        def told(count: int) -> None:
            job.say(Progress("reading", count, None if names is None else len(names)))

        count = export_keys(client, out, scope, store=store, form=form, on_progress=told)
        job.summary = f"{count:,} keys"
        _note(author, job.title, {})
        return Exported(out.getvalue(), count, form)

    return _started(EXPORT_JOB, work, _("Export keys"))


class _Bounded(io.BytesIO):
    """A file in memory that ends when the job is cancelled, and before it harms the panel."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def write(self, content: bytes) -> int:  # type: ignore[override]
        if self._job.cancel.is_set():
            raise JobFailed("Cancelled: nothing was kept.")
        if self.tell() + len(content) > MOST_EXPORT_BYTES:
            raise JobFailed("More than 256 MB: narrow the filter, or use `python -m hybrid keys export`.")
        return super().write(content)


def start_import(content: bytes, conflict: Conflict, *, preview: bool) -> Outcome:
    """Write keys from JSON lines to both stores; `preview` only counts."""

    def work(client: HybridRedis, author: str, job: Job) -> ImportResult:
        rows = content.splitlines()

        def told(result: ImportResult) -> None:
            done = result.created + result.overwritten + result.skipped + result.expired
            job.say(Progress("checking" if preview else "writing", done, len(rows)))
            if job.cancel.is_set():
                raise JobFailed(f"Cancelled after {done:,} keys; those are written.")

        options = SyncOptions(author=author)
        result = import_keys(client, rows, conflict=conflict, preview=preview, options=options, on_progress=told)
        queries.forget()
        counts = f"{result.created:,} created, {result.overwritten:,} overwritten, {result.skipped:,} skipped"
        job.summary = (_("would be: ") if preview else "") + counts
        job.note("undo", result.undo)
        job.note("preview", preview)
        if not preview:
            _note(author, job.title, {"keys": (None, counts)})
        return result

    return _started(IMPORT_JOB, work, _("Preview of an import") if preview else _("Import keys"))


# -- common


def sentence(error: Exception) -> str:
    """An error as a sentence for people."""
    text = str(error).strip() or type(error).__name__
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _client() -> HybridRedis | None:
    agent = process().agent
    return None if agent is None else agent.client


def _started(kind: str, work: Callable[[HybridRedis, str, Job], object], title: str) -> Outcome:
    author, client = require_operator(), _client()
    if client is None:
        return Outcome(False, _(NO_CLIENT))
    running = next((job for job in process().jobs.of(kind) if job.running), None)
    if running is not None:
        return Outcome(False, _("{title} is still running; one goes at a time.").format(title=running.title))

    def told(job: Job) -> object:
        try:
            return work(client, author, job)
        except (HybridError, RedisError, OSError) as error:
            raise JobFailed(sentence(error)) from None

    process().jobs.start(kind, told, title=title, author=author)
    logger.info("%s started: %s", author, title)
    return Outcome(True, "")


def _shown(keys: Sequence[bytes]) -> str:
    text = ", ".join(key.decode(errors="backslashreplace") for key in keys)
    return text if len(text) <= 200 else ngettext("{n} key", "{n} keys", len(keys)).format(n=len(keys))


def _note(author: str, deed: str, changes: dict[str, tuple[object, object]]) -> None:
    logger.info("%s: %s", author, deed)
    client = _client()
    if client is None:
        return
    try:
        client.live.audit.note(AuditEntry(client.live.version, time.time(), author, deed, changes))
    except AllStoresDown:
        logger.warning("no store takes the note of it for the audit trail")
