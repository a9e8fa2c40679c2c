"""One diff on disk: its sums, its differences, and where it stopped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hybrid.core.drift import Cause, Difference, DiffResult

__all__ = ["DiffFile"]


class DiffFile:
    """A diff's SQLite file; any thread may use it. Close it, or use it as a context."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def result(self) -> DiffResult:
        """The sums: final once the diff has ended."""
        raise NotImplementedError

    def differences(self, *causes: Cause, offset: int = 0, limit: int | None = None) -> Iterator[Difference]:
        """The confirmed differences in order of their keys, only those with one of `causes` if any are given."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
