"""How a stream ends."""

from __future__ import annotations

from enum import Enum

__all__ = ["Ended", "Outcome", "TargetLost"]


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
