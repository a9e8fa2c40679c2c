"""The marks by which a store is known again, and by which two stores of different pairs are told."""

from __future__ import annotations

from typing import Final, NamedTuple

from hybrid.core.checkpoint import OUTDATED

__all__ = ["UNMET", "Marks"]

UNMET: Final = b"unmet"
"""Stands in place of the partner's mark on a store that was empty when it got its own, until the two have met: what it
has is in its log."""


class Marks(NamedTuple):
    """Of one store: its own mark, and the one of its partner as the last stream between the two saw it. The reply
    to `Names.ask_marks` has them in this order."""

    own: bytes | None
    partner: bytes | None

    @property
    def is_gone(self) -> bool:
        """Whether the store has lost its data, and was not refilled since."""
        return self.own in (None, OUTDATED)

    def is_lost_since(self, known: bytes) -> bool:
        """Whether the store has lost its data since it had the mark `known`: one that was refilled names its partner
        with its new mark, one that was begun anew does not."""
        return self.is_gone or (self.own != known and self.partner == UNMET)

    def is_foreign_to(self, other: Marks) -> bool:
        """Whether each of the two names a third one. Where only one does, the other was refilled and has a new mark;
        where both are outdated, nobody can tell."""
        if {self.partner, other.partner} & {None, UNMET} or self.own == other.own == OUTDATED:
            return False
        return self.partner != other.own and other.partner != self.own

    def is_newcomer_to(self, other: Marks) -> bool:
        """Whether this store was begun anew by a process that did not reach the other one, which has a past: the log
        does not say what this one lacks. Of two that were both begun like that, the logs say everything."""
        if self.partner != UNMET or {self.own, other.own} & {None, OUTDATED}:
            return False
        return other.partner not in (self.own, UNMET)
