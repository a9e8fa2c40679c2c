"""The data path, decided once: generators that yield what to do and receive what came of it.

A driver (the sync client's, or the asyncio one's) performs each action and sends its result back, or throws
`NotSent` / `ReplyLost`. Nothing here knows a socket, a thread or a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hybrid.core.actions import (
    Ask,
    AwaitConfirmation,
    AwaitStore,
    Board,
    Borrow,
    Claim,
    Commit,
    Flow,
    Pause,
    Trace,
    wait_out,
)
from hybrid.core.authority import Position
from hybrid.core.commands import keys_of, lookup
from hybrid.core.effects import Blocking, Command
from hybrid.core.hints import Hints, log_expiring, log_state
from hybrid.core.outcomes import Confirmation, Fate, Fenced, NotSent, ReplyLost, WritesRefused
from hybrid.core.resp import pack
from hybrid.core.transaction import Transaction, Verdict, verdict
from hybrid.errors import AllStoresDown, OutcomeUnknown, StoreUnavailable
from hybrid.types import Store

__all__ = ["ask_authority", "block", "borrow", "confirm", "read", "take_over", "write"]

LEAST_WAIT_S: Final = 0.002
"""Redis 6.2 takes a millisecond for none, and would wait for ever."""
WAIT_SLICE_S: Final = 1.0
"""A blocking command waits on its store in slices, so that it notices a failover."""

FIRST_PAUSE_S: Final = 0.001
LONGEST_PAUSE_S: Final = {Store.LOCAL: 0.02, Store.CLOUD: 1.0}
"""Polling, where no command waits without changing anything (several keys, sorted sets). The cloud is billed."""

_PING: Final = pack(("PING",))

ATTEMPTS: Final = 50
"""How often one command is routed anew: each attempt follows new evidence, or a short pause at the fence. More would
mean a flapping store."""


def read(board: Board, readers: Callable[[], tuple[Store, ...]], action: Callable[[Store], Ask]) -> Flow:
    """Ask the preferred store, then the other. Raises AllStoresDown when none can answer."""
    for _ in range(ATTEMPTS):
        if stores := readers():
            try:
                return (yield action(stores[0]))
            except StoreUnavailable:
                continue
        if not (yield from _tried_again(board)):
            break
    raise AllStoresDown("no store can answer reads now")


def _tried_again(board: Board) -> Flow:
    """Whether to look once more: perhaps one of the stores is back already, and nobody has noticed."""
    if hopeful := board.hopeful:
        yield AwaitStore()
    return hopeful


def ask_authority(board: Board, action: Callable[[Store], Ask], name: str, *, idempotent: bool) -> Flow:
    """Ask the store that takes writes, for what is not replicated.

    Raises:
        AllStoresDown: no store takes writes now.
        OutcomeUnknown: the reply was lost and the command is not idempotent.
    """
    asked: Store | None = None
    for _ in range(ATTEMPTS):
        writer = board.routes.writer
        if writer is None:
            if not (yield from _tried_again(board)):
                break
            continue
        try:
            return (yield action(writer))
        except NotSent:
            continue
        except ReplyLost as error:
            if not idempotent:
                raise OutcomeUnknown(name, f"sent to the {writer} store, {error}") from None
            asked = writer
    raise _nobody_serves(board, asked)


def _nobody_serves(board: Board, asked: Store | None) -> AllStoresDown:
    """`asked`: the store that may have done it all the same, since only its reply was lost, or its confirmation."""
    doubt = f"; the {asked} store, lost since, may have done it" if asked else ""
    return AllStoresDown(board.routes.refusal + doubt)


def write(
    board: Board,
    transaction: Transaction,
    hints: Hints,
    *,
    confirm: bool,
    decode: bool = True,
) -> Flow:
    """Run a logged transaction on the authority; with `confirm`, return when the other store has it too.

    The result is a `Verdict`. Raises AllStoresDown or OutcomeUnknown as `ask_authority` does.
    """
    token = b""
    unshipped: Verdict | None = None
    unseen: tuple[bytes, ...] = ()
    asked: Store | None = None
    for _ in range(ATTEMPTS):
        routes = board.routes
        store = Store.LOCAL if routes.relayed else routes.writer
        if store is None:
            if not (yield from _tried_again(board)):
                break
            continue
        if routes.claim and not routes.relayed:
            yield Claim()
            continue
        if transaction.flushes and not routes.relayed:
            # It may take long, so it is waited for long: that the store hangs already is found out before.
            try:
                yield Ask(store, _PING)
            except StoreUnavailable:
                continue
        try:
            outcome = yield Commit(store, transaction, decode, token, routes.relayed)
        except WritesRefused as refused:
            yield from take_over(board, store, refused)
            continue
        except NotSent:
            continue
        except ReplyLost as error:
            token, asked = error.token, store
            if transaction.idempotent:
                unseen = transaction.unseen
            else:
                yield from _trace(board, transaction, store, error, hints)
            continue
        if isinstance(outcome, Fenced):
            if token and not transaction.idempotent:
                return _too_late(transaction, unshipped)
            yield from wait_out(board, outcome)
            continue
        token = outcome.token
        result = verdict(transaction, outcome.replies)
        if result.expiring or unseen:
            result = yield from log_expiring(board, store, result, unseen, hints)
            unseen = ()
        if not confirm or result.position is None:
            return result
        confirmation = yield from _confirmation(board, store, result.position, outcome.epoch, token)
        if _settled(confirmation, transaction, store):
            return result
        unshipped, asked = result, store
    if token and not transaction.idempotent:
        # On its return, the lost store's log is merged: whoever runs the command again would count it twice.
        raise OutcomeUnknown(transaction.name, "its store was lost, and no other takes writes now")
    raise _nobody_serves(board, asked)


def take_over(board: Board, store: Store, refused: WritesRefused) -> Flow:
    """Have the cloud store take the writes that `store`, the local one, refuses, if it has not taken over meanwhile.
    Raises what that one said where it cannot."""
    if board.routes.spare:
        yield Claim()
    elif board.authority.admits(store):
        raise refused.error from None


def confirm(board: Board, store: Store, place: Position, epoch: int, name: str) -> Flow:
    """Return when the other store has what was written at `place` in this epoch, or cannot say so now.

    Raises OutcomeUnknown when `store` was lost first: for what is not to be run again.
    """
    if (yield from _confirmation(board, store, place, epoch)) in (Confirmation.UNSHIPPED, Confirmation.AUTHORITY_LOST):
        raise _lost_unconfirmed(name, store)


def _confirmation(board: Board, store: Store, place: Position, epoch: int, token: bytes = b"") -> Flow:
    """The other store is not waited for while it cannot confirm. It is when it takes writes itself now: the authority
    moved while the reply was on its way, and what was written may be on the lost store alone. A write that another
    process has run was confirmed to that one."""
    routes = board.routes
    if board.confirms or (routes.writer is store.other and not routes.relayed):
        return (yield AwaitConfirmation(store, place, epoch, token))
    return Confirmation.UNAVAILABLE


def _lost_unconfirmed(name: str, store: Store) -> OutcomeUnknown:
    return OutcomeUnknown(name, f"applied on the {store} store, which was lost before it confirmed")


def _trace(board: Board, transaction: Transaction, store: Store, error: ReplyLost, hints: Hints) -> Flow:
    """Return only if the transaction may be run again on the other store without counting twice."""
    fate = yield Trace(store, error.token, error.sent_s)
    if fate is not Fate.UNSHIPPED:
        known = fate.value if fate is Fate.SHIPPED else str(error)
        yield from log_state(board, transaction.unseen, hints)
        raise OutcomeUnknown(transaction.name, f"sent to the {store} store, {known}") from None


def _too_late(transaction: Transaction, unshipped: Verdict | None) -> Verdict:
    """The lost store came back before the transaction could be run again on the other one. What that store had answered
    is merged; whether it had run what it did not answer, nobody says."""
    if unshipped is None:
        raise OutcomeUnknown(transaction.name, "its store came back before it could be run again")
    return unshipped


def borrow(board: Board) -> Flow:
    """Borrow a fenced wire to the authority. Raises AllStoresDown."""
    for _ in range(ATTEMPTS):
        routes = board.routes
        if routes.writer is None:
            if not (yield from _tried_again(board)):
                break
            continue
        if routes.claim:
            yield Claim()
            continue
        try:
            loan = yield Borrow(routes.writer)
        except StoreUnavailable:
            continue
        if not isinstance(loan, Fenced):
            return loan
        yield from wait_out(board, loan)
    raise AllStoresDown(board.routes.refusal)


def _settled(confirmation: Confirmation, transaction: Transaction, store: Store) -> bool:
    """Whether the write is as safe as it can be; False asks for it to be run again on the new authority.

    Running it again after UNSHIPPED is safe even for a command that is not idempotent: the entry never left the lost
    store, and when that store returns, the new authority's value of the key wins.
    """
    if confirmation is Confirmation.UNSHIPPED:
        return False
    if confirmation is Confirmation.AUTHORITY_LOST:
        if transaction.idempotent:
            return False
        raise _lost_unconfirmed(transaction.name, store)
    return True


def block(
    board: Board, blocking: Blocking, attempt: Callable[[Command], Flow], remaining_s: Callable[[], float]
) -> Flow:
    """Wait on the authority until one of the attempts finds something; the result is the raw reply, None in the end.

    Attempts are logged writes, so each is made only when there is something to find, unless it is free: an empty one
    would be logged, and billed, for nothing.
    """
    pause_s = FIRST_PAUSE_S
    while True:
        left_s = remaining_s()
        if blocking.free or (yield from _has_data(board, blocking, left_s)):
            for index, command in enumerate(blocking.attempts):
                reply = yield from attempt(command)
                if not blocking.empty(reply):
                    return blocking.shape(index, reply)
        if left_s <= 0:
            return None
        if blocking.wait is None:
            yield Pause(min(pause_s, left_s))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S[board.authority.store])


def _has_data(board: Board, blocking: Blocking, left_s: float) -> Flow:
    slice_s = max(min(left_s, WAIT_SLICE_S), LEAST_WAIT_S)
    if blocking.wait is None:
        keys = [key for command in blocking.attempts for key in keys_of(lookup(command), command)]
        payload, timeout_s = pack(("EXISTS", *keys)), None
    else:
        payload, timeout_s = pack((*blocking.wait[:-1], slice_s)), slice_s + 1.0
    replies = yield from ask_authority(
        board, lambda store: Ask(store, payload, timeout_s=timeout_s), "wait", idempotent=True
    )
    if isinstance(replies[0], Exception):
        raise replies[0]
    return bool(replies[0]) or (blocking.wait is not None and replies[0] is not None)
