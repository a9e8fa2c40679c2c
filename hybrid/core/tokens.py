"""Which writes were shipped: by wire, the number of the last one.

A wire sends one transaction at a time and numbers those that are not idempotent, so the last number shipped of each
wire answers for all: a few bytes per wire, however many writes there were.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hybrid.core.authority import Authority, Position, position, position_text
from hybrid.core.outcomes import Confirmation, Fate
from hybrid.types import Store

__all__ = ["EARLY_SEAL_S", "Seal", "Shipped", "token"]

ID_BYTES: Final = 8
KEPT_WIRES: Final = 4096
EARLY_SEAL_S: Final = 1.0
"""How long an early seal is believed: well below the life of a shipper's lease on the local store."""


def token(wire_id: bytes, number: int) -> bytes:
    """The token of the `number`th transaction of a wire with this 8 byte id."""
    return wire_id + b"%08x" % (number & 0xFFFFFFFF)


class Shipped:
    """The last token shipped of each wire; of the wires heard of least lately, the oldest are forgotten."""

    def __init__(self, tokens: Mapping[bytes, bytes] | None = None) -> None:
        self._last: OrderedDict[bytes, bytes] = OrderedDict(tokens or {})

    def note(self, mark: bytes | None) -> None:
        if mark is None:
            return
        wire_id = mark[:ID_BYTES]
        # What a copied state contains may be noted before what stands in front of it in the log.
        self._last[wire_id] = max(mark, self._last.get(wire_id, b""))
        self._last.move_to_end(wire_id)
        if len(self._last) > KEPT_WIRES:
            self._last.popitem(last=False)

    def holds(self, mark: bytes) -> bool:
        """Whether the transaction with this token was shipped."""
        return self._last.get(mark[:ID_BYTES], b"") >= mark

    @property
    def packed(self) -> bytes:
        return b",".join(self._last.values())

    @classmethod
    def parse(cls, packed: bytes) -> Shipped:
        return cls({mark[:ID_BYTES]: mark for mark in packed.split(b",") if mark})


@dataclass(frozen=True, slots=True)
class Seal:
    """The last word of the shipper of a local store that was lost, said while `under` was the authority record. What it
    says was not shipped may be run again in `epoch`, the one that the claim makes: in a later one it may be merged.

    Everything up to `place` was shipped; nothing behind `maybe_to` was, in any form; copied states may contain some of
    what lies between, and do contain what has its token in `whole`. `shipped` holds the tokens of all that may have
    been shipped, of what was sent to the local store since `covers_s` before the seal was said: what an earlier shipper
    has shipped, this one cannot know. A seal under a record of the local store is an early one, see
    `hybrid.replication.last_word`.
    """

    under: Authority
    epoch: int
    place: Position
    maybe_to: Position
    shipped: Shipped = field(default_factory=Shipped)
    whole: frozenset[bytes] = frozenset()
    covers_s: float = 0.0

    def is_valid(self, authority: Authority, age_s: float) -> bool:
        """Whether it tells the truth once `authority` is known, `age_s` after it was heard."""
        if authority.store is not Store.CLOUD:
            return False
        if self.under.store is Store.CLOUD:
            return authority.epoch >= self.under.epoch
        return authority.epoch == self.under.epoch + 1 and age_s < EARLY_SEAL_S

    def fate(self, token: bytes, before_s: float) -> Fate:
        """What became of the transaction with this token, which has no reply and was sent `before_s` before this was
        heard."""
        if self.shipped.holds(token):
            return Fate.SHIPPED
        return Fate.UNSHIPPED if before_s <= self.covers_s else Fate.UNKNOWN

    def confirmation(self, place: Position, token: bytes) -> Confirmation:
        """Whether the other store has what was logged at `place`, by the transaction with `token` (empty without)."""
        if place <= self.place or token in self.whole:
            return Confirmation.APPLIED
        # The last of what was logged of it says what became of its keys; what was done comes before, with the token.
        is_gone = not self.shipped.holds(token) if token else place > self.maybe_to
        return Confirmation.UNSHIPPED if is_gone else Confirmation.AUTHORITY_LOST

    @property
    def packed(self) -> bytes:
        places = position_text(self.place), position_text(self.maybe_to)
        tokens = self.shipped.packed, b",".join(sorted(self.whole))
        numbers = b"%d" % self.epoch, b"%d" % (self.covers_s * 1000)
        return b" ".join((self.under.record, *numbers, *places, *tokens))

    @classmethod
    def parse(cls, packed: bytes) -> Seal:
        *record, epoch, covers_ms, place, maybe_to, shipped, whole = packed.split(b" ")
        under = Authority.parse(b" ".join(record))
        if under is None:
            raise ValueError("a seal names the record under which it was said")
        tokens = frozenset(filter(None, whole.split(b",")))
        places = position(place), position(maybe_to)
        return cls(under, int(epoch), *places, Shipped.parse(shipped), tokens, int(covers_ms) / 1000)
