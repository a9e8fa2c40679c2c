"""Background jobs: threads of this process, so that they outlive page changes and reloads. Pages only render them.

The worker must not call Streamlit. It tells its `Job` how far it is (`say`), hands it notes for its own page (`note`),
and ends soon once `job.cancel` is set.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

__all__ = ["Job", "JobCancelled", "JobFailed", "JobState", "Jobs", "Progress"]

logger = logging.getLogger("hybrid.panel")

LEAST_S = 0.5  # a rate over less than this is noise


class JobState(StrEnum):
    """How far a job is."""

    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    BROKEN = "broken"


class JobFailed(Exception):
    """What the worker raises when it cannot go on for a reason that people should read: a store was lost, say."""


class JobCancelled(JobFailed):
    """What the worker raises to end because it was cancelled; the message says what there is of its work."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of a running job; None is "unknown", never zero.

    `done` of `total` units, called `unit` in the plural; `rate_per_s` and `eta_s` are worked out where the worker does
    not say them. `cloud_commands` and `cost_usd` are the cost on the cloud store so far. `detail` is for people.
    """

    phase: str = ""
    done: int = 0
    total: int | None = None
    unit: str = "keys"
    rate_per_s: float | None = None
    eta_s: float | None = None
    cloud_commands: int | None = None
    cost_usd: float | None = None
    detail: str = ""

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None while the whole is not known."""
        return None if not self.total else min(1.0, self.done / self.total)


class Job:
    """One run of one task. `notes` are by id, the latest of each kept; `result` is set when it has finished, `summary`
    says it in one line for lists, `problem` why it broke. Like what it says, its title is English: `panel.said`
    translates all of it where it is shown."""

    def __init__(self, number: int, kind: str, title: str = "", author: str = "") -> None:
        self.number = number
        self.kind = kind
        self.title = title or kind
        self.author = author
        self.started_at_s = time.time()
        self.finished_at_s: float | None = None
        self.cancel = threading.Event()
        self.result: Any = None
        self.summary = ""
        self.problem: str | None = None
        self._progress = Progress()
        self._phase_since_s = time.monotonic()
        self._notes: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._done = threading.Event()

    @property
    def state(self) -> JobState:
        if not self._done.is_set():
            return JobState.RUNNING
        if self.problem is not None:
            return JobState.BROKEN
        return JobState.CANCELLED if self.cancel.is_set() else JobState.FINISHED

    @property
    def running(self) -> bool:
        return not self._done.is_set()

    @property
    def elapsed_s(self) -> float:
        return (self.finished_at_s or time.time()) - self.started_at_s

    @property
    def progress(self) -> Progress:
        """The latest moment that the worker told."""
        return self._progress

    def say(self, progress: Progress) -> None:
        """Tell how far the job is. Rate and time left count from the beginning of the phase."""
        now_s = time.monotonic()
        if progress.phase != self._progress.phase:
            self._phase_since_s = now_s
        for_s = now_s - self._phase_since_s
        rate = progress.rate_per_s
        if rate is None and progress.done and for_s >= LEAST_S:
            rate = progress.done / for_s
        eta_s = progress.eta_s
        if eta_s is None and rate and progress.total is not None:
            eta_s = max(0, progress.total - progress.done) / rate
        self._progress = replace(progress, rate_per_s=rate, eta_s=eta_s)

    def note(self, note_id: str, note: Any) -> None:
        """Add a note, or replace the one of this id in its place."""
        with self._lock:
            self._notes[note_id] = note

    def noted(self, note_id: str) -> Any:
        """The note of this id; None while there is none."""
        with self._lock:
            return self._notes.get(note_id)

    @property
    def notes(self) -> tuple[Any, ...]:
        with self._lock:
            return tuple(self._notes.values())

    def wait(self, timeout_s: float) -> bool:
        """Whether the job ended within `timeout_s`."""
        return self._done.wait(timeout_s)

    def run(self, work: Callable[[Job], Any]) -> None:
        try:
            self.result = work(self)
        except JobCancelled as cancelled:
            self.summary = str(cancelled)
        except JobFailed as failure:
            logger.warning("the %s job ended early: %s", self.kind, failure)
            self.problem = str(failure)
        except Exception as error:
            logger.exception("the %s job failed", self.kind)
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            self.finished_at_s = time.time()
            self._done.set()


class Jobs:
    """The jobs of this process, one at a time of each kind; the latest ones are kept for the history."""

    def __init__(self, keep: int = 50) -> None:
        self._keep = keep
        self._jobs: list[Job] = []
        self._number = 0
        self._lock = threading.Lock()

    def start(self, kind: str, work: Callable[[Job], Any], *, title: str = "", author: str = "") -> Job:
        """Start `work` on its own thread; when one of this kind runs already, that one is returned instead."""
        with self._lock:
            running = next((job for job in self._jobs if job.kind == kind and job.running), None)
            if running is not None:
                return running
            self._number += 1
            job = Job(self._number, kind, title, author)
            self._forget()
            self._jobs.append(job)
        threading.Thread(target=job.run, args=(work,), name=f"hybrid-job-{kind}", daemon=True).start()
        return job

    def _forget(self) -> None:
        """Drop the oldest of those that ended."""
        ended = [job for job in self._jobs if not job.running]
        for job in ended[: max(0, len(self._jobs) + 1 - self._keep)]:
            self._jobs.remove(job)

    def of(self, *kinds: str) -> tuple[Job, ...]:
        """The jobs of these kinds, newest first; all jobs when none is named."""
        with self._lock:
            return tuple(job for job in reversed(self._jobs) if not kinds or job.kind in kinds)

    def find(self, number: int) -> Job | None:
        """The job of this number, while it is kept."""
        with self._lock:
            return next((job for job in self._jobs if job.number == number), None)

    def close(self, timeout_s: float = 5.0) -> None:
        """Cancel what runs and wait a moment for it."""
        for job in self.of():
            job.cancel.set()
        for job in self.of():
            job.wait(timeout_s)
