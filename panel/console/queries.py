"""What the page Console reads: the lines run before, and what hybrid knows of each command."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

from redis.exceptions import RedisError

from hybrid.ops.console import COMMANDS, Answer, Command, Console, Line, Policy, Target, completions
from panel import reads
from panel.format import sentence
from panel.process import process

__all__ = [
    "COMMANDS",
    "Answer",
    "Command",
    "Line",
    "Policy",
    "Run",
    "Target",
    "completions",
    "earlier_lines",
    "keep_run",
    "remember_line",
    "runs",
    "syntax",
]

RUNS = "console-runs"
MOST_RUNS = 40
MOST_CHARS = 2_000_000
MOST_LINES = 200
SYNTAX_S = 3600.0
SYNTAX_PATIENCE_S = 0.3
NUMBERING: Final = re.compile(r"^\s*(\d+[)#~] )+")


@dataclass(frozen=True, slots=True)
class Run:
    """One line that was run. `text` is what was typed, "" where that held a password; `refused` is the reason why it
    did not run at all."""

    number: int
    shown: str
    text: str
    target: Target
    answers: tuple[Answer, ...] = ()
    refused: str = ""
    at_s: float = field(default_factory=time.time)

    @property
    def chars(self) -> int:
        return sum(len(line) for answer in self.answers for line in answer.lines)

    @property
    def cut(self) -> bool:
        """Whether an answer has more lines than were kept, and can be compared."""
        return any(answer.cut for answer in self.answers)

    @property
    def agree(self) -> bool | None:
        """Whether both stores answered the same; None where fewer than two answered."""
        answered = [answer.lines for answer in self.answers if not answer.silent]
        return answered[0] == answered[1] if len(answered) == 2 else None

    @property
    def reordered(self) -> bool:
        """Whether both stores answered the same lines in another order, as they may with the members of a set."""
        if self.agree is not False or self.cut or any(answer.failed for answer in self.answers):
            return False
        here, there = (sorted(NUMBERING.sub("", line) for line in answer.lines) for answer in self.answers)
        return here == there


def runs(state: MutableMapping[Any, Any]) -> list[Run]:
    """What this session ran, newest first."""
    found: list[Run] = state.setdefault(RUNS, [])
    return found


def keep_run(state: MutableMapping[Any, Any], run: Run) -> None:
    """Put it first, and let go of the oldest: an open tab must stay small."""
    kept, size = [run], run.chars
    for other in runs(state)[: MOST_RUNS - 1]:
        size += other.chars
        if size > MOST_CHARS:
            break
        kept.append(other)
    state[RUNS] = kept


def remember_line(user: str, text: str) -> None:
    """Keep a line for this person, across reloads and tabs, until the panel ends."""
    lines = process().lines.setdefault(user, deque(maxlen=MOST_LINES))
    if text in lines:
        lines.remove(text)
    lines.appendleft(text)


def earlier_lines(user: str) -> tuple[str, ...]:
    """The lines of this person, newest first, each once."""
    return tuple(process().lines.get(user, ()))


def syntax(name: str) -> reads.Answer[str | None]:
    """How a command is written; None where the store does not tell."""

    def ask() -> str | None:
        agent = process().agent
        if agent is None:
            raise reads.ReadFailed("The panel's client is not running.")
        try:
            return Console(agent.client).syntax(name)
        except RedisError as error:
            raise reads.ReadFailed(sentence(error)) from None

    return process().reads.get(("syntax", name), ask, max_age_s=SYNTAX_S, patience_s=SYNTAX_PATIENCE_S)
