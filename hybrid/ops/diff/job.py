"""A diff as a job: started, watched from other threads, cancelled, resumed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import redis

from hybrid.core.drift import Scope
from hybrid.ops.diff.file import DiffFile
from hybrid.ops.diff.options import DiffOptions, DiffProgress

__all__ = ["run_diff"]


def run_diff(
    local: redis.Redis,
    cloud: redis.Redis,
    folder: Path,
    *,
    scope: Scope = Scope(),
    options: DiffOptions = DiffOptions(),
    resume: str | None = None,
    cancel: threading.Event | None = None,
    on_progress: Callable[[DiffProgress], None] = lambda _: None,
) -> DiffFile:
    """Compare both stores and return the file with all that was found; `folder` keeps the history of diffs.

    The clients serve for their connection settings only. `resume` is the id of an unfinished diff in `folder`, whose
    scope then holds.

    Raises `redis.ConnectionError`, `redis.TimeoutError` or `redis.ResponseError` when a store cannot be read; what was
    found until then stays on disk and can be resumed.
    """
    raise NotImplementedError
