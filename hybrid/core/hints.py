"""Keys logged once more, by state, because they may expire before a command on them reaches the other store. See
`hybrid.core.transaction`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hybrid.core.actions import Action, Board, Claim, Commit, Flow, OnWire, wait_out
from hybrid.core.outcomes import Committed
from hybrid.core.transaction import Transaction, Verdict, verdict
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.types import Store

__all__ = ["HINT_ATTEMPTS", "Hints", "log_expiring", "log_state", "unseen"]

HINT_ATTEMPTS: Final = 5
"""How often what is logged behind a command that has done its work is routed anew."""

Hints = Callable[[tuple[bytes, ...]], Transaction]
"""Makes the transaction that logs the state of these keys."""


def log_expiring(board: Board, store: Store, result: Verdict, unseen: tuple[bytes, ...], hints: Hints) -> Flow:
    """Log the keys that were about to expire in the transaction with this `result` on `store`, and those of one whose
    replies nobody has seen. The result is a Verdict."""
    place = yield from log_state(board, tuple(dict.fromkeys(result.expiring + unseen)), hints, store)
    return result.at(place)


def log_state(board: Board, keys: tuple[bytes, ...], hints: Hints, store: Store | None = None) -> Flow:
    """Log the state of these keys on the store that takes writes by now: where it is another one than the one that ran
    the command, what was shipped to it may have come too late. The periodic sync finds what fails. The result is the
    place, if it is on `store`."""
    transaction = hints(keys)
    for _ in range(HINT_ATTEMPTS if keys else 0):
        routes = board.routes
        there = Store.LOCAL if routes.relayed else routes.writer
        if there is None:
            break
        if routes.claim and not routes.relayed:
            yield Claim()
            continue
        try:
            outcome = yield Commit(there, transaction, relayed=routes.relayed)
        except StoreUnavailable:
            continue
        except HybridError:
            break
        if isinstance(outcome, Committed):
            return verdict(transaction, outcome.replies).position if there is store else None
        yield from wait_out(board, outcome)
    return None


def unseen(action: Action | None) -> tuple[bytes, ...]:
    """The keys to log by state when whoever asked for this is gone (cancelled, interrupted) and sees no replies."""
    if isinstance(action, Commit):
        return action.transaction.unseen
    return action.unseen if isinstance(action, OnWire) else ()
