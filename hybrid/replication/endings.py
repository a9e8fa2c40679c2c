"""How a stream ends."""

from __future__ import annotations

from enum import Enum

from hybrid.core.outcomes import NotSent
from hybrid.core.refusals import is_of_writes
from hybrid.errors import HybridError

__all__ = ["Ended", "Outcome", "TargetLost", "log_unreadable"]


class Outcome(Enum):
    """Why a stream ended."""

    BROKEN = "the other store was lost"
    LEASE_LOST = "the lease ran out"
    YIELDED = "an agent ships from now on"
    MOVED = "the authority moved"
    OVERGROWN = "the log grows faster than it is shipped"
    HANDED_BACK = "the authority was handed back"
    CLOSED = "the client closes"


class TargetLost(Exception):
    """The other store failed; what was on the way to it is in doubt."""


class Ended(Exception):
    """The stream has to end, for the reason `outcome`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


def log_unreadable(error: Exception) -> HybridError:
    """What to raise where the source answers with this error. That it takes no writes says nothing of the store that is
    shipped to."""
    return NotSent(str(error)) if is_of_writes(error) else HybridError(f"the replication log cannot be read: {error}")
