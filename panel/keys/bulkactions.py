"""What the page Keys does with many keys, in the background: find, delete, expire, undo, export, import."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import ConnectionError, TimeoutError

from hybrid.client import HybridRedis
from hybrid.ops.diff import Scope
from hybrid.ops.keys import Filter, Rewritten, Walk, delete_keys, expire_keys, new_names, rename_keys
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.run import SyncEnding, SyncResult, undo_sync
from hybrid.ops.transfer import Conflict, Format, ImportResult, export_keys, import_keys
from hybrid.types import Store
from panel.actions import Outcome, record
from panel.format import sentence
from panel.jobs import Job, JobCancelled, JobFailed, Progress
from panel.keys import queries
from panel.repair.links import key_from
from panel.work import in_background

__all__ = [
    "BULK_JOB",
    "COLLECT_JOB",
    "EXPORT_JOB",
    "IMPORT_JOB",
    "Collected",
    "Exported",
    "collect",
    "delete_phrase",
    "new_names",
    "start_delete",
    "start_expire",
    "start_export",
    "start_import",
    "start_rename",
    "start_undo",
]

COLLECT_JOB = "collect keys"
BULK_JOB = "bulk change of keys"
EXPORT_JOB = "export keys"
IMPORT_JOB = "import keys"
MOST_KEYS = 200_000
MOST_EXPORT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Collected:
    """The keys that a bulk change would touch; `complete`: there are no others."""

    names: tuple[bytes, ...]
    complete: bool
    missing: tuple[Store, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported of `store`, ready to be taken."""

    content: bytes
    count: int
    form: Format
    store: Store


def collect(wanted: Filter) -> Outcome:
    """Find in the background which keys a bulk change would touch: the preview that it is confirmed by."""
    stores = queries.stores_up()

    def work(client: HybridRedis, author: str, job: Job) -> Collected:
        job.note("filter", wanted)
        walk = Walk(wanted, most_names=MOST_KEYS)

        def told() -> None:
            looked_at = sum(walk.looked_at(store) for store in Store)
            job.say(Progress("looking for keys", len(walk.names), None, detail=f"about {looked_at:,} looked at"))

        while not (walk.ended or walk.is_full or job.cancel.is_set()):
            walk.fill(queries.lines(), stores, len(walk.names) + 5000, deadline_s=0.5, on_progress=told)
        job.summary = _keys(len(walk.names))
        return Collected(tuple(walk.names), walk.ended, tuple(walk.missing))

    return in_background(COLLECT_JOB, "Look for keys", work)


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

    return in_background(BULK_JOB, f"Delete {len(keys):,} keys", work)


def start_expire(names: Sequence[bytes], expires_in_s: float | None) -> Outcome:
    """Have keys expire after so many seconds, or never, on both stores."""
    keys = tuple(names)
    moment = None if expires_in_s is None else int((time.time() + expires_in_s) * 1000)

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        options = SyncOptions(author=author)
        tell = _teller(job, len(keys))
        return _bulk_ended(job, expire_keys(client, keys, moment, options=options, cancel=job.cancel, on_progress=tell))

    return in_background(BULK_JOB, f"Set the expiry of {len(keys):,} keys", work)


def start_rename(names: Sequence[bytes], old: str, new: str) -> Outcome:
    """Put `new` into names in the place of `old`, on both stores; names that are taken are not overwritten."""
    wanted = new_names(names, key_from(old), key_from(new))

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        options = SyncOptions(author=author)
        tell = _teller(job, len(wanted))
        return _bulk_ended(job, rename_keys(client, wanted, options=options, cancel=job.cancel, on_progress=tell))

    return in_background(BULK_JOB, f"Rename {len(wanted):,} keys", work)


def start_undo(bundle: str) -> Outcome:
    """Take back a bulk change or an import, on both stores."""

    def work(client: HybridRedis, author: str, job: Job) -> SyncResult:
        done = undo_sync(client, bundle, everywhere=True, options=SyncOptions(author=author), cancel=job.cancel)
        return _bulk_ended(job, done)

    return in_background(BULK_JOB, f"Undo of {bundle}", work)


def _teller(job: Job, total: int) -> Callable[[Rewritten], None]:
    return lambda done: job.say(Progress("writing", done.done, total, detail=f"{done.left:,} left alone"))


def _bulk_ended(job: Job, result: SyncResult) -> SyncResult:
    queries.forget()
    parts = [f"{result.copied:,} written", f"{result.deleted:,} deleted", f"{result.kept:,} left alone"]
    parts += [f"{result.busy:,} being written by others"] * bool(result.busy)
    ended = "" if result.ending is SyncEnding.FINISHED else f"{result.ending}: "
    counts = ", ".join(part for part in parts if not part.startswith("0 ")) or "nothing written"
    job.summary = ended + counts
    job.note("undo", result.id if result.undo_until_s else None)
    record(job.author, job.title, {result.id: (None, job.summary)})
    if result.ending is SyncEnding.FAILED:
        raise JobFailed(f"Broke off: {counts}. {sentence(result.reason)}")
    return result


# -- in and out


def start_export(names: Sequence[bytes], store: Store, form: Format) -> Outcome:
    """Read keys as `store` has them into a file to be downloaded."""
    title = f"Export keys of the {store} store"

    def work(client: HybridRedis, author: str, job: Job) -> Exported:
        out = _Bounded(job)

        def told(count: int) -> None:
            job.say(Progress("reading", count, len(names)))

        unsupported: list[bytes] = []
        count = export_keys(
            client, out, Scope(keys=tuple(names)), store=store, form=form, on_progress=told,
            on_unsupported=unsupported.append,
        )  # fmt: skip
        lacking, others = len(names) - count - len(unsupported), len(unsupported)
        parts = [f"{lacking:,} not there"] * bool(lacking) + [f"{others:,} of a type that no file holds"] * bool(others)
        job.summary = ", ".join([_keys(count), *parts])
        record(author, job.title)
        return Exported(out.getvalue(), count, form, store)

    return in_background(EXPORT_JOB, title, work)


class _Bounded(io.BytesIO):
    """A file in memory that ends when the job is cancelled, and before it harms the panel."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    def write(self, content: bytes) -> int:  # type: ignore[override]
        if self._job.cancel.is_set():
            raise JobCancelled("Cancelled: nothing was kept.")
        if self.tell() + len(content) > MOST_EXPORT_BYTES:
            raise JobFailed("More than 256 MB: narrow the filter, or use `python -m hybrid keys export`.")
        return super().write(content)


def start_import(content: bytes, conflict: Conflict, *, preview: bool) -> Outcome:
    """Write keys from JSON lines to both stores; `preview` only counts."""

    def work(client: HybridRedis, author: str, job: Job) -> ImportResult:
        job.note("preview", preview)
        rows = content.splitlines()
        last = ImportResult()

        def told(result: ImportResult) -> None:
            nonlocal last
            last = result
            done = result.created + result.overwritten + result.skipped + result.expired
            job.say(Progress("checking" if preview else "writing", done, len(rows)))
            job.note("undo", result.undo)
            if job.cancel.is_set():
                written = f"Cancelled after {done:,} keys; those are written."
                raise JobCancelled("Cancelled: nothing was written." if preview else written)

        options = SyncOptions(author=author)
        try:
            last = import_keys(client, rows, conflict=conflict, preview=preview, options=options, on_progress=told)
        except (ConnectionError, TimeoutError) as error:
            again = "Import the file again, or take back what was written."
            raise JobFailed(f"Broke off after {_counts(last)}. {sentence(error)} {again}") from None
        finally:
            queries.forget()
            if not preview:
                record(author, job.title, {"keys": (None, _counts(last))})
        job.summary = "would be: " * preview + _counts(last)
        return last

    return in_background(IMPORT_JOB, "Preview of an import" if preview else "Import keys", work)


def _counts(result: ImportResult) -> str:
    return f"{result.created:,} created, {result.overwritten:,} overwritten, {result.skipped:,} skipped"


def _keys(count: int) -> str:
    return f"{count:,} key" if count == 1 else f"{count:,} keys"
