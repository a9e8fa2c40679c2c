"""What comes back from one store: told apart by what it proves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple

from hybrid.core.authority import Authority
from hybrid.errors import StoreUnavailable
from hybrid.types import Store

__all__ = ["Committed", "Confirmation", "Fate", "Fenced", "NotSent", "ReplyLost", "WritesRefused", "named"]


class NotSent(StoreUnavailable):
    """The server cannot have acted: no connection, or the request did not get out whole. `silent`: it did not
    answer in time."""

    def __init__(self, message: str, *, silent: bool = False) -> None:
        super().__init__(message)
        self.silent = silent


class WritesRefused(NotSent):
    """The server answers, takes no writes at all now, and did nothing. `error`: its words."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class LeftAlone(NotSent):
    """The store answers, and is none of this pair: nothing is done there until somebody says what it is."""


class ReplyLost(StoreUnavailable):
    """The request went out and no reply came back: the server may have acted. `silent`: it did not answer in time.
    `token` traces a transaction that is not idempotent, sent at `sent_s` (monotonic clock)."""

    def __init__(self, message: str, *, silent: bool) -> None:
        super().__init__(message)
        self.silent = silent
        self.token = b""
        self.sent_s = 0.0


@contextmanager
def named(store: Store) -> Iterator[None]:
    """A failure in here is one of this store, and says so."""
    try:
        yield
    except (NotSent, ReplyLost) as error:
        error.args = (f"the {store} store was lost: {error}",)
        raise


class Committed(NamedTuple):
    """The transaction ran in this `epoch` of the authority; `replies` are those of its parts, in order. `token` traces
    one that is not idempotent."""

    replies: list[Any]
    epoch: int
    token: bytes = b""


class Fenced(NamedTuple):
    """The transaction did nothing, because the authority record is this (None: the store has none, it was wiped)."""

    authority: Authority | None


class Fate(Enum):
    """What became of a transaction without a reply."""

    UNSHIPPED = "it never reached the other store, and never will: it can be run again there"
    SHIPPED = "it was applied, and its reply is lost"
    UNKNOWN = "nobody can tell"


class Confirmation(Enum):
    """How waiting for the other store ended."""

    APPLIED = "the other store has it"
    UNAVAILABLE = "the other store is down or behind: only the authority has it"
    AUTHORITY_LOST = "the authority was lost before the entry was known to be shipped"
    UNSHIPPED = "the authority was lost, and the entry never reached the other store"
    OVERDUE = "no shipper confirmed it in time"
