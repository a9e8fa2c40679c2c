"""Compare two stores of any size, at a known cost: see `run_diff`."""

from __future__ import annotations

from hybrid.ops.diff.file import DiffFile
from hybrid.ops.diff.job import run_diff
from hybrid.ops.diff.options import DiffOptions, DiffProgress

__all__ = ["DiffFile", "DiffOptions", "DiffProgress", "run_diff"]
