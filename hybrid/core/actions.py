"""What a flow asks of whoever performs it (see `hybrid.core.flows`), and what it knows of the world."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Final, NamedTuple, Protocol

from hybrid.core.authority import Authority, Position
from hybrid.core.outcomes import Fenced
from hybrid.core.routing import Routes
from hybrid.core.transaction import Transaction
from hybrid.types import Store

__all__ = [
    "FENCE_PAUSE_S",
    "Action",
    "Ask",
    "AwaitAuthority",
    "AwaitConfirmation",
    "AwaitStore",
    "Board",
    "Borrow",
    "Claim",
    "Commit",
    "Flow",
    "OnWire",
    "Pause",
    "Trace",
    "wait_out",
]

FENCE_PAUSE_S: Final = 0.01


class Ask(NamedTuple):
    """Send `payload` to `store` on a plain wire; the result is as many `replies`. One that `reads` raises NotSent where
    the store was found emptied: what it answered is not so."""

    store: Store
    payload: bytes
    replies: int = 1
    decode: bool = True
    timeout_s: float | None = None
    reads: bool = False


class Commit(NamedTuple):
    """Run a transaction on `store` behind the fence; the result is Committed or Fenced. `token`: the one it had when it
    was run before, on a store that was lost: by it, a merge of that store's log knows that it was run again. `relayed`:
    have another process run it."""

    store: Store
    transaction: Transaction
    decode: bool = True
    token: bytes = b""
    relayed: bool = False


class Claim(NamedTuple):
    """Claim the authority for the cloud store; the board learns the outcome."""


class AwaitAuthority(NamedTuple):
    """Wait until the board knows a later authority than this, or for a moment."""

    than: Authority


class AwaitStore(NamedTuple):
    """Wait until a store can be asked again, or the board has no more hope of that."""


class AwaitConfirmation(NamedTuple):
    """Wait until the store that is not `store` has everything up to `position`, where the transaction with `token` (if
    it has one) stands since this `epoch` of the authority; the result is a Confirmation."""

    store: Store
    position: Position
    epoch: int
    token: bytes = b""


class Trace(NamedTuple):
    """Find out what became of the transaction with this token, sent to `store` at `sent_s`; the result is a Fate."""

    store: Store
    token: bytes
    sent_s: float = 0.0


class Pause(NamedTuple):
    """Let some time pass."""

    seconds: float


class Borrow(NamedTuple):
    """Take a fenced wire to `store` for a pipeline that watches keys; the result is the driver's loan, or Fenced."""

    store: Store


class OnWire(NamedTuple):
    """Send `payload` on the wire of a loan; the result is as many `replies`. `unseen`: as of a `Transaction`."""

    loan: Any
    payload: bytes
    replies: int = 1
    decode: bool = True
    unseen: tuple[bytes, ...] = ()


Action = Ask | Commit | Claim | AwaitAuthority | AwaitStore | AwaitConfirmation | Pause | Trace | Borrow | OnWire
Flow = Generator[Action, Any, Any]


class Board(Protocol):
    """What a flow needs to know of the world; read anew before each attempt."""

    @property
    def routes(self) -> Routes: ...
    @property
    def authority(self) -> Authority: ...
    @property
    def confirms(self) -> bool:
        """Whether a write is to wait for the other store to have it."""
        ...

    @property
    def hopeful(self) -> bool:
        """Whether stores that are down are being tried once more, because none is left."""
        ...


def wait_out(board: Board, outcome: Fenced) -> Flow:
    """After a refusal at the fence: wait for the end of a handover or drain, and take it back if it does not come."""
    before = board.authority
    if before.is_moving:
        yield AwaitAuthority(before)
        if board.authority == before:
            yield Claim()
    elif outcome.authority is None or outcome.authority.epoch < before.epoch:
        # The record is about to be written: by a greeting, or by the shipper that hands the authority back.
        yield Pause(FENCE_PAUSE_S)
