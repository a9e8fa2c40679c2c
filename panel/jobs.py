"""Background jobs: threads of this process, so that they outlive page changes and reloads. Pages only render them.

The worker must not call Streamlit; it hands notes to its `Job`, and the page reads them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Any

__all__ = ["Job", "JobState", "Jobs"]

logger = logging.getLogger("hybrid.panel")


class JobState(StrEnum):
    """How far a job is."""

    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    BROKEN = "broken"


class Job:
    """One run of one task. `notes` are by id, the latest of each kept; `result` is set when it has finished."""

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.kind = kind
        self.started_at_s = time.time()
        self.finished_at_s: float | None = None
        self.cancel = threading.Event()
        self.result: Any = None
        self.problem: str | None = None
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
    def elapsed_s(self) -> float:
        return (self.finished_at_s or time.time()) - self.started_at_s

    def note(self, note_id: str, note: Any) -> None:
        """Add a note, or replace the one of this id in its place."""
        with self._lock:
            self._notes[note_id] = note

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
        except Exception as error:
            logger.exception("the %s job failed", self.kind)
            self.problem = f"{type(error).__name__}: {error}"
        finally:
            self.finished_at_s = time.time()
            self._done.set()


class Jobs:
    """The jobs of this process, one at a time of each kind; the latest ones are kept for the history."""

    def __init__(self, keep: int = 20) -> None:
        self._keep = keep
        self._jobs: list[Job] = []
        self._number = 0
        self._lock = threading.Lock()

    def start(self, kind: str, work: Callable[[Job], Any]) -> Job:
        """Start `work` on its own thread; when one of this kind runs already, that one is returned instead."""
        with self._lock:
            running = next((job for job in self._jobs if job.kind == kind and job.state is JobState.RUNNING), None)
            if running is not None:
                return running
            self._number += 1
            job = Job(self._number, kind)
            self._jobs = [*self._jobs, job][-self._keep :]
        threading.Thread(target=job.run, args=(work,), name=f"hybrid-job-{kind}", daemon=True).start()
        return job

    def of(self, kind: str) -> tuple[Job, ...]:
        """The jobs of this kind, newest first."""
        with self._lock:
            return tuple(job for job in reversed(self._jobs) if job.kind == kind)

    def close(self, timeout_s: float = 5.0) -> None:
        """Cancel what runs and wait a moment for it."""
        for job in tuple(self._jobs):
            if job.state is JobState.RUNNING:
                job.cancel.set()
                job.wait(timeout_s)
