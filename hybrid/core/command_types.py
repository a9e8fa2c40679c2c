"""What the command table is made of: the replication policies, where keys stand, and one command's row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["Command", "Keys", "Operands", "Policy", "number", "word"]

Operands = Sequence[Any]
"""What follows a command's name (all the words of it), as the caller gave it."""


class Policy(Enum):
    """How a command reaches the other store."""

    READ = "read"
    """Changes nothing; any one store answers."""
    VERBATIM = "verbatim"
    """Logged as it was sent: replayed in order, it has the same result."""
    TIMED = "timed"
    """Logged as it was sent; its relative time becomes absolute from the entry's clock."""
    EFFECT = "effect"
    """Its result depends on the server's choice or arithmetic: a script runs it and logs what it did."""
    STATE = "state"
    """The state of its keys is copied."""
    BLOCKING = "blocking"
    """Waits, then runs its non-blocking twin, which is logged."""
    FLUSH = "flush"
    """Empties the user's keys on both stores and keeps hybrid's own."""
    ONE_STORE = "one store"
    """Runs on the authority only and is not replicated."""
    REFUSED = "refused"
    """Cannot be kept equal on two stores; the note says why."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a command's keys stand among its operands.

    `first` to `last` by `step` (`last` from the end when negative), then `operands[count_at]` keys after that number.
    `find` replaces both where the place depends on option words. Operands that are missing or malformed give fewer
    keys and never an error: the server is the one to complain about them.
    """

    first: int | None = None
    last: int = 0
    step: int = 1
    count_at: int | None = None
    find: Callable[[Operands], list[Any]] | None = None

    def of(self, operands: Operands) -> list[Any]:
        if self.find is not None:
            return self.find(operands)
        found: list[Any] = []
        if self.first is not None:
            end = self.last + 1 if self.last >= 0 else len(operands) + self.last + 1
            found.extend(operands[self.first : max(end, 0) : self.step])
        if self.count_at is not None and self.count_at < len(operands):
            start = self.count_at + 1
            count = max(number(operands[self.count_at]) or 0, 0)
            found.extend(operands[start : start + count * self.step : self.step])
        return found


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the command table. A rule, where there is one, looks at the operands and overrules its plain field."""

    name: str
    policy: Policy
    keys: Keys
    idempotent: bool
    """Sent twice it leaves the same data as once, and the second reply cannot mislead."""
    blind: bool
    """Its result does not depend on what its keys held before."""
    note: str = ""
    group: str = ""
    writes: Keys | None = None
    """The keys that it may change, where those are not all of `keys`."""
    policy_rule: Callable[[Operands], Policy] | None = None
    idempotent_rule: Callable[[Operands], bool] | None = None
    blind_rule: Callable[[Operands], bool] | None = None


def word(value: Any) -> str:
    """An operand as an option word: upper case, whatever type it came in."""
    if isinstance(value, str):
        return value.upper()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("latin-1").upper()
    return str(value)


def number(value: Any) -> int | None:
    """An operand as an integer, or None when it is none."""
    try:
        return int(bytes(value) if isinstance(value, (bytearray, memoryview)) else value)
    except (TypeError, ValueError, OverflowError):
        return None
