"""A diff as a job: started, watched from other threads, cancelled, resumed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

import redis

from hybrid.core.cost import SCAN_KEYS, TTL_SAMPLE, Cost, Strategy, usd_of
from hybrid.core.drift import DiffResult, Ending, Scope, Sighting
from hybrid.core.names import RESERVED
from hybrid.ops.diff.confirm import Confirmation
from hybrid.ops.diff.file import DiffFile, Suspect, last_rotation
from hybrid.ops.diff.line import Account, BudgetUsedUp, Line, open_line
from hybrid.ops.diff.log import read_in_flight
from hybrid.ops.diff.looks import FactsLook, Look, QuickLook, absent_locally
from hybrid.ops.diff.options import DiffOptions, DiffProgress
from hybrid.ops.diff.plan import DiffPlan, plan_diff
from hybrid.ops.diff.readers import ScriptReader
from hybrid.ops.diff.scan import END, scan_pages

__all__ = ["DiffJob", "estimate_diff", "run_diff"]

CHECKPOINT_S = 1.0
PAGES_TOGETHER = 4  # on a billed store a page is little: several share a round trip
NO_SCOPE = Scope()
NO_OPTIONS = DiffOptions()


class _Cancelled(Exception):
    """Somebody asked for the end."""


def run_diff(
    local: redis.Redis,
    cloud: redis.Redis,
    folder: Path,
    *,
    scope: Scope = NO_SCOPE,
    options: DiffOptions = NO_OPTIONS,
    resume: str | None = None,
    cancel: threading.Event | None = None,
    on_progress: Callable[[DiffProgress], None] = lambda _: None,
) -> DiffFile:
    """Compare both stores and return the file with all that was found; `folder` keeps the history of diffs.

    The clients serve for their connection settings only. `resume` is the id of an unfinished diff in `folder`, whose
    scope then holds. hybrid's own keys are left out.

    Raises `redis.ConnectionError`, `redis.TimeoutError` or `redis.ResponseError` when a store cannot be read; what was
    found until then stays on disk and can be resumed. Raises ConfigurationError when there is no diff to resume.
    """
    job = DiffJob(local, cloud, folder, scope=scope, options=options, resume=resume, on_progress=on_progress)
    return job.run(cancel or threading.Event())


def estimate_diff(
    local: redis.Redis, cloud: redis.Redis, *, scope: Scope = NO_SCOPE, options: DiffOptions = NO_OPTIONS
) -> DiffPlan:
    """What `run_diff` would do and cost, for about fifteen commands on each store. Raises as `run_diff` does."""
    with open_line(local) as here, open_line(cloud) as there:
        return plan_diff(here, there, scope, options)


class DiffJob:
    """One diff. `progress` may be read from any thread; `start` runs it in a thread of its own."""

    def __init__(
        self,
        local: redis.Redis,
        cloud: redis.Redis,
        folder: Path,
        *,
        scope: Scope = NO_SCOPE,
        options: DiffOptions = NO_OPTIONS,
        resume: str | None = None,
        on_progress: Callable[[DiffProgress], None] = lambda _: None,
    ) -> None:
        self._clients = (local, cloud)
        self._on_progress = on_progress
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: Exception | None = None
        self.progress = DiffProgress()
        if resume:
            self.file = DiffFile.find(folder, resume)
            scope = self.file.scope
        else:
            rotation = last_rotation(folder) + 1 if options.rotation is None else options.rotation
            self.file = DiffFile.create(folder, time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2))
            self.file.remember(rotation=rotation)
            self.file.remember_scope(scope)
        self._options = replace(options, rotation=self.file.recall("rotation"))
        self._scope = scope

    # -- from other threads

    def start(self) -> None:
        """Run in a thread; `error` holds what it failed with, `file` what it found."""

        def run() -> None:
            try:
                self.run(self._stop)
            except Exception as error:  # whoever watches the job must learn of it
                self.error = error

        self._thread = threading.Thread(target=run, name="hybrid-diff", daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """End soon; what was found stays, and can be resumed."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether the job has ended within `timeout_s`."""
        if self._thread:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    # -- the work

    def run(self, stop: threading.Event) -> DiffFile:
        """Compare, in this thread. See `run_diff`."""
        self._stop = stop
        with ExitStack() as opened:
            run = _Run(self, opened)
            try:
                run.compare()
                run.end(Ending.FINISHED)
            except _Cancelled:
                run.end(Ending.CANCELLED)
            except BudgetUsedUp:
                run.end(Ending.BUDGET)
            except Exception:
                run.end(Ending.FAILED)
                raise
        return self.file

    def say(self, progress: DiffProgress) -> None:
        self.progress = progress
        self._on_progress(progress)

    def pause(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise _Cancelled

    @property
    def facts(self) -> tuple[tuple[redis.Redis, redis.Redis], Scope, DiffOptions]:
        return self._clients, self._scope, self._options


class _Run:
    """The state of one run: connections, plan, counts."""

    def __init__(self, job: DiffJob, opened: ExitStack) -> None:
        (local, cloud), self.scope, self.options = job.facts
        self.job = job
        self.file = job.file
        self.started_s = time.monotonic()
        self.before = self.file.result if self.file.recall("result") else None
        self.compared = self.before.compared if self.before else 0
        self.in_flight = 0
        self.seen = 0
        self.phase = "planning"
        self.checkpoint_s = self.started_s
        self.accounts = Account(), Account(self.options.budget.max_commands)
        self.plan: DiffPlan | None = None
        self.begun_at_s = self.before.started_at_s if self.before else time.time()
        self.end(Ending.FAILED)  # until it is known better: a process that is killed leaves this
        both = zip((local, cloud), self.accounts, strict=True)
        lines = [opened.enter_context(open_line(client, account)) for client, account in both for _ in range(2)]
        self.local, self.local_scan, self.cloud, self.cloud_scan = lines

    def compare(self) -> None:
        self.plan = plan_diff(self.local, self.cloud, self.scope, self.options)
        self.checkpoint()
        self.look_at_local_keys(self.plan)
        if self.scope.keys is None:
            self.look_for_cloud_keys()
        self.confirm(self.plan)

    # -- the first look: all local keys, then those that only the cloud has

    def look_at_local_keys(self, plan: DiffPlan) -> None:
        self.phase = "comparing"
        look: Look
        if isinstance(plan.local, ScriptReader) and isinstance(plan.cloud, ScriptReader):
            look = QuickLook(plan.local, plan.cloud, self.options.ttl_tolerance_ms)
        else:
            look = FactsLook(plan.local, plan.cloud, self.options.ttl_tolerance_ms)
        for place, keys in self.pages_of("local_place", self.local_scan):
            self.suspect(look.feed(keys))
            self.compared += len(keys)
            if self.passed(len(keys)) or not place or plan.strategy is Strategy.BILLED:
                self.suspect(look.drain())
                self.checkpoint(local_place=place)

    def look_for_cloud_keys(self) -> None:
        self.phase = "looking for keys only in the cloud"
        self.seen = 0
        for place, keys in self.pages_of("cloud_place", self.cloud_scan):
            absent = absent_locally(self.local, keys, self.scope)
            self.suspect([(key, Sighting(None, None), 0) for key in absent])
            self.compared += len(absent)
            if self.passed(len(keys)) or not place:
                self.checkpoint(cloud_place=place)

    def pages_of(self, name: str, line: Line) -> Iterator[tuple[str, list[bytes]]]:
        """Pages of keys behind the last checkpoint, each with the place behind it: "" at the end."""
        place = self.file.recall(name)
        if place == "":
            return
        if self.scope.keys is not None:
            yield from self.listed_pages(int(place or 0))
            return
        pages = scan_pages(line, self.scope, place.encode() if place else END)
        billed = self.plan is not None and self.plan.strategy is Strategy.BILLED
        while group := list(islice(pages, PAGES_TOGETHER if billed else 1)):
            cursor = group[-1][0]
            yield "" if cursor == END else cursor.decode(), [key for _, keys in group for key in keys]

    def listed_pages(self, first: int) -> Iterator[tuple[str, list[bytes]]]:
        keys = [key for key in dict.fromkeys(self.scope.keys or ()) if not key.startswith(RESERVED)]
        for start in range(first, len(keys), SCAN_KEYS):
            end = start + SCAN_KEYS
            yield "" if end >= len(keys) else str(end), keys[start:end]

    # -- later looks

    def confirm(self, plan: DiffPlan) -> None:
        self.phase = "confirming"
        self.seen = 0
        looks = max(1, self.options.looks - (plan.strategy is Strategy.BILLED))
        confirmation = Confirmation(
            self.file,
            plan.local,
            plan.strict_cloud,
            read_log=lambda: read_in_flight((self.local, self.cloud), self.options.names),
            pause=self.job.pause,
            passed=self.passed,
            looks=looks,
            pause_s=self.options.pause_s,
            ttl_tolerance_ms=self.options.ttl_tolerance_ms,
        )
        self.in_flight = confirmation.run()

    def suspect(self, suspects: list[Suspect]) -> None:
        if suspects:
            self.file.suspect(suspects)

    # -- what is told and kept

    def passed(self, count: int) -> bool:
        """Count keys; whether a checkpoint is due. Raises when the job is to end."""
        self.seen += count
        self.job.pause(0)
        now_s = time.monotonic()
        if now_s - self.checkpoint_s < CHECKPOINT_S:
            return False
        self.checkpoint_s = now_s
        return True

    def checkpoint(self, **places: str) -> None:
        """From here on this run can be resumed."""
        self.file.remember(**places)
        self.end(Ending.FAILED)
        self.job.say(self.progress())

    def progress(self) -> DiffProgress:
        total = self.plan.keys_total if self.plan else 0
        rate = self.seen / max(1e-6, time.monotonic() - self.started_s)
        left = max(0, total - self.seen)
        return DiffProgress(
            phase=self.phase,
            keys_done=self.seen,
            keys_total=max(total, self.seen),
            suspected=self.file.suspected,
            different=self.file.different,
            cloud_commands=self.spent().cloud_commands,
            keys_per_s=rate,
            eta_s=left / rate if rate and self.phase == "comparing" else None,
        )

    def spent(self) -> Cost:
        """What this run took so far."""
        local, cloud = self.accounts
        return Cost(
            local_commands=local.commands,
            cloud_commands=cloud.commands,
            local_bytes=local.size_bytes,
            cloud_bytes=cloud.size_bytes,
            seconds=time.monotonic() - self.started_s,
            usd=usd_of(self.plan.price, cloud.commands, cloud.size_bytes) if self.plan else 0.0,
        )

    def end(self, ending: Ending) -> None:
        """Write the sums as they are now."""
        sampled = self.plan is not None and self.plan.strategy is Strategy.BILLED and not self.options.all_ttls
        self.file.remember_result(
            DiffResult(
                id=self.file.id,
                scope=self.scope,
                strategy=self.plan.strategy if self.plan else "",
                ending=ending,
                started_at_s=self.begun_at_s,
                ended_at_s=time.time(),
                compared=self.compared,
                in_flight=self.in_flight,
                suspected=0 if ending is Ending.FINISHED else self.file.suspected,
                ttl_share=1 / TTL_SAMPLE if sampled else 1.0,
                estimated=self.before.estimated if self.before else self.plan.estimated if self.plan else Cost(),
                actual=self.spent() + (self.before.actual if self.before else Cost()),
            )
        )
        if ending is not Ending.FAILED:
            self.job.say(replace(self.progress(), phase=ending.value, eta_s=None))
