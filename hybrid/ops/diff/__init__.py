"""Compare two stores of any size, at a known cost: see `run_diff` and `DiffJob`; `diff_key` for one key."""

from __future__ import annotations

from hybrid.core.cost import Budget, Cost
from hybrid.core.drift import Cause, Difference, DiffResult, Ending, Facts, Scope
from hybrid.core.field_diff import FieldDifference, Part
from hybrid.ops.diff.file import DiffFile, history
from hybrid.ops.diff.job import DiffJob, estimate_diff, run_diff
from hybrid.ops.diff.one_key import diff_key
from hybrid.ops.diff.options import DiffOptions, DiffProgress

__all__ = [
    "Budget",
    "Cause",
    "Cost",
    "DiffFile",
    "DiffJob",
    "DiffOptions",
    "DiffProgress",
    "DiffResult",
    "Difference",
    "Ending",
    "Facts",
    "FieldDifference",
    "Part",
    "Scope",
    "diff_key",
    "estimate_diff",
    "history",
    "run_diff",
]
