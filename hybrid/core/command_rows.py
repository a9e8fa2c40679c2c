"""The small vocabulary in which the command table is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Final

from hybrid.core.command_types import Command, Keys, Policy

NONE: Final = Keys()
FIRST: Final = Keys(first=0)
SECOND: Final = Keys(first=1, last=1)
BOTH: Final = Keys(first=0, last=1)
ALL: Final = Keys(first=0, last=-1)
ALL_BUT_LAST: Final = Keys(first=0, last=-2)
PAIRS: Final = Keys(first=0, last=-1, step=2)
TRIPLETS: Final = Keys(first=0, last=-1, step=3)
COUNTED: Final = Keys(count_at=0)
COUNTED_SECOND: Final = Keys(count_at=1)
STORED_COUNTED: Final = Keys(first=0, count_at=1)


def rows(
    policy: Policy, keys: Keys, names: str, *, idempotent: bool, blind: bool = False, **more: Any
) -> Iterator[Command]:
    """One row for each of the comma-separated names."""
    for name in names.split(","):
        yield Command(name.strip(), policy, keys, idempotent=idempotent, blind=blind, **more)


def reads(keys: Keys, names: str, note: str = "", **more: Any) -> Iterator[Command]:
    return rows(Policy.READ, keys, names, idempotent=True, note=note, **more)


def repeatable(keys: Keys, names: str, **more: Any) -> Iterator[Command]:
    """Writes, logged as sent, that may be sent twice."""
    return rows(Policy.VERBATIM, keys, names, idempotent=True, **more)


def counted_once(keys: Keys, names: str, **more: Any) -> Iterator[Command]:
    """Writes, logged as sent, that must not be sent twice."""
    return rows(Policy.VERBATIM, keys, names, idempotent=False, **more)


def one_store(names: str, note: str, keys: Keys = NONE, idempotent: bool = True) -> Iterator[Command]:
    return rows(Policy.ONE_STORE, keys, names, idempotent=idempotent, note=note)


def refused(names: str, note: str, keys: Keys = NONE) -> Iterator[Command]:
    return rows(Policy.REFUSED, keys, names, idempotent=False, note=note)


def section(group: str, *parts: Iterable[Command]) -> list[Command]:
    return [replace(command, group=group) for part in parts for command in part]
