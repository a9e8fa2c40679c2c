"""A diff as a job: started, watched from other threads, cancelled, resumed."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import redis

from hybrid.core.drift import Ending, Scope
from hybrid.ops.diff.file import DiffFile, last_rotation
from hybrid.ops.diff.line import BudgetUsedUp, open_line
from hybrid.ops.diff.options import DiffOptions, DiffProgress
from hybrid.ops.diff.plan import DiffPlan, plan_diff
from hybrid.ops.diff.run import Run

__all__ = ["DiffJob", "estimate_diff", "run_diff"]

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
            run = Run(self, opened)
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
