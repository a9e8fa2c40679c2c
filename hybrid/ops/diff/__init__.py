"""Compare two stores of any size, at a known cost: see `run_diff` and `DiffJob`; `diff_key` for one key."""

from __future__ import annotations

from hybrid.ops.diff.file import DiffFile, history
from hybrid.ops.diff.job import DiffJob, estimate_diff, run_diff
from hybrid.ops.diff.one_key import diff_key
from hybrid.ops.diff.options import DiffOptions, DiffProgress

__all__ = ["DiffFile", "DiffJob", "DiffOptions", "DiffProgress", "diff_key", "estimate_diff", "history", "run_diff"]
