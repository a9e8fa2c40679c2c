"""Whether the other store has a write; and what became of one when the store that took it was lost."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from hybrid.core.actions import AwaitConfirmation, Trace
from hybrid.core.authority import Position
from hybrid.core.outcomes import Confirmation, Fate, NotSent, ReplyLost
from hybrid.core.tokens import Seal
from hybrid.replication.acks import NEVER
from hybrid.replication.board import SEAL_S
from hybrid.replication.claims import Claims
from hybrid.replication.reach import Reach
from hybrid.types import Store

__all__ = ["OVERDUE_S", "Confirmations"]

CONFIRM_SLICE_S: Final = 0.05
OVERDUE_S: Final = 5.0
"""Longer than a shipper's lease lives, so that a killed shipper is succeeded before a write stops waiting for it."""


class Confirmations:
    """Of this process's writes. `confirmation`, `last_word` and `wait_for_seal` wait; the others say what is known."""

    def __init__(self, reach: Reach, claims: Claims) -> None:
        self._reach = reach
        self._board = reach.board
        self._claims = claims

    def confirmation(self, action: AwaitConfirmation) -> Confirmation:
        store, place, board = action.store, action.position, self._board
        acks = board.acks[store]
        self.expect(action)
        acks.wait(place, board.settings.cloud_timeout_s / 2)
        deadline_s = time.monotonic() + OVERDUE_S
        while (known := self.known(action, deadline_s)) is None:
            acks.wait(place, CONFIRM_SLICE_S)
        if known is Confirmation.AUTHORITY_LOST:
            return self.after_loss(action, self.wait_for_seal(store, place))
        return known

    def expect(self, action: AwaitConfirmation) -> None:
        """From now on until it is confirmed, the local store is asked whether it is there (see `Watcher`)."""
        if self._board.acks[action.store].expect(action.position) and action.store is Store.LOCAL:
            self._reach.look(Store.LOCAL)

    def known(self, action: AwaitConfirmation, deadline_s: float) -> Confirmation | None:
        """What can be said now: None asks to wait on, AUTHORITY_LOST to ask for the seal."""
        store, board = action.store, self._board
        if board.acks[store].has(action.position, action.epoch):
            return Confirmation.APPLIED
        if board.acks[store].epoch > action.epoch:
            return Confirmation.AUTHORITY_LOST
        if store is Store.CLOUD and board.authority.store is Store.LOCAL:
            # Everything was shipped before the authority was handed back, but not if it was taken.
            return Confirmation.AUTHORITY_LOST if board.authority.alone else Confirmation.APPLIED
        if board.authority.store is not store or board.state(store).is_lost:
            is_taken = store is Store.LOCAL or board.routes.claim
            return Confirmation.AUTHORITY_LOST if is_taken else Confirmation.UNAVAILABLE
        if not board.confirms:
            board.unconfirmed += 1
            return Confirmation.UNAVAILABLE
        if time.monotonic() > deadline_s or board.closing:
            board.unconfirmed += 1
            return Confirmation.OVERDUE
        self._reach.look(store.other)
        return None

    def after_loss(self, action: AwaitConfirmation, seal: Seal | None) -> Confirmation:
        """The local store died with this entry perhaps unshipped: the shipper's seal tells."""
        acks = self._board.acks[action.store]
        if acks.has(action.position, action.epoch):
            return Confirmation.APPLIED
        if seal is None or acks.epoch > action.epoch:
            return Confirmation.AUTHORITY_LOST
        return seal.confirmation(action.position, action.token)

    def fate(self, action: Trace) -> Fate:
        """What became of a transaction without a reply."""
        return self.fate_by(self.last_word(action.store), action)

    def fate_by(self, seal: Seal | None, action: Trace) -> Fate:
        if seal is None:
            return Fate.UNKNOWN
        return seal.fate(action.token, self._board.acks[action.store].sealed_s - action.sent_s)

    def last_word(self, store: Store) -> Seal | None:
        """A lost reply can be explained only if its store is lost too, and the last shipper said what it shipped."""
        return self.wait_for_seal(store, None) if store is Store.LOCAL and self._reach.is_lost(store) else None

    def wait_for_seal(self, store: Store, place: Position | None) -> Seal | None:
        """Claim the authority if nobody has, and wait a moment for the shipper's last word (or for `place`)."""
        if self._board.routes.claim:
            self._claims.claim()
        else:
            self._make_ready(store.other)
        if store is Store.CLOUD:
            return None  # of its log, nobody keeps one
        acks = self._board.acks[store]
        began, deadline_s = acks.epoch, time.monotonic() + SEAL_S
        while (seal := acks.sealed(self._board.authority)) is None and (left_s := deadline_s - time.monotonic()) > 0:
            if acks.wait(place or NEVER, left_s) or acks.epoch > began:
                break
        return seal

    def _make_ready(self, store: Store) -> None:
        """Have a wire with a fresh fence at hand when the wait is over: the write is then run again there."""
        board, endpoint = self._board, self._reach.endpoints[store]
        if board.authority.store is store:
            with suppress(NotSent, ReplyLost):
                endpoint.give_fenced(*endpoint.take_fenced(board.authority.epoch))
