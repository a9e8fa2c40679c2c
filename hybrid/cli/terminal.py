"""Words on a terminal: a line that updates in place, a progress bar, tables. Without a terminal, plain lines."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

__all__ = ["Terminal", "aligned", "bar", "duration", "size"]

BAR_WIDTH = 24


class Terminal:
    """Writes to `output`. `update` shows a passing line: in place on a terminal, elsewhere as a line if `plain`."""

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output or sys.stdout
        self.interactive = self._output.isatty()
        self._passing = False

    def line(self, text: str = "") -> None:
        """A line that stays."""
        self._clear()
        self._output.write(text + "\n")
        self._output.flush()

    def update(self, text: str, *, plain: bool = True) -> None:
        if not self.interactive:
            if plain:
                self.line(text)
            return
        width = shutil.get_terminal_size().columns - 1
        self._clear()
        self._output.write(text[:width])
        self._output.flush()
        self._passing = True

    def close(self) -> None:
        """Remove the passing line."""
        self._clear()
        self._output.flush()

    def _clear(self) -> None:
        if self._passing:
            self._output.write("\r\x1b[K")
            self._passing = False


def bar(done: int, total: int, text: str) -> str:
    """A progress bar of `done` out of `total` steps."""
    filled = BAR_WIDTH * done // max(total, 1)
    return f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] {done}/{total} {text}"


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """The rows as lines with columns under each other."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def size(size_bytes: int | None) -> str:
    if size_bytes is None:
        return "unknown"
    value = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
