"""Setting up, told in one line: what is being done, how far it is, how long it has taken."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

PLAIN_INTERVAL_S = 10.0


class Progress:
    """Redraws one line on a terminal; elsewhere (CI, a pipe) writes a line for each new step and every ten seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._started_s = time.monotonic()
        self._drawn_s = 0.0
        self._step = ""

    def show(self, step: str, detail: str = "") -> None:
        """Report `detail` of `step`; cheap enough to be called several times a second."""
        now_s = time.monotonic()
        text = f"  {step} {detail}".rstrip() + f"  ({now_s - self._started_s:.0f} s)"
        if self._live:
            self._stream.write("\r\033[K" + text[: shutil.get_terminal_size().columns - 1])
        elif step != self._step or now_s - self._drawn_s >= PLAIN_INTERVAL_S:
            self._drawn_s = now_s
            self._stream.write(text + "\n")
        self._step = step
        self._stream.flush()

    def done(self, text: str) -> None:
        """Replace the line with its result."""
        start = "\r\033[K" if self._live else ""
        self._stream.write(f"{start}  {text}  ({time.monotonic() - self._started_s:.0f} s)\n")
        self._stream.flush()

    def clear(self) -> None:
        """Leave the terminal on an empty line, ready for an error message."""
        if self._live:
            self._stream.write("\r\033[K")
            self._stream.flush()


class PipReport:
    """Reads pip's log line by line and knows how far it is."""

    _NAMED = re.compile(
        r"\s*(?:Collecting |Requirement already satisfied: |Ignoring |Processing \S*/)"
        r"([A-Za-z][\w.]*(?:-[A-Za-z][\w.]*)*)"
    )

    def __init__(self, pins: int, count_installed: Callable[[], int]) -> None:
        self._pins = pins
        self._count_installed = count_installed
        self._found: dict[str, None] = {}
        self._to_install = 0
        self._before = count_installed()

    def read(self, line: str) -> None:
        """Take in one line of the log."""
        if found := self._NAMED.match(line):
            self._found[found[1]] = None
        elif line.startswith("Installing collected packages:"):
            self._to_install = line.count(",") + 1

    def step(self) -> tuple[str, str]:
        """What pip is doing, and how far it is."""
        if self._to_install:
            new = self._count_installed() - self._before
            return "installing", f"{max(0, min(new, self._to_install))} of {self._to_install} packages"
        if not self._found:
            return "starting pip", ""
        latest = next(reversed(self._found))
        return "downloading", f"{min(len(self._found), self._pins)} of {self._pins} packages {latest}"
