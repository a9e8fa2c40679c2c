"""The marks by which a store is known again, and by which two stores of different pairs are told."""

from __future__ import annotations

from typing import NamedTuple

from hybrid.core.checkpoint import OUTDATED

__all__ = ["Marks"]


class Marks(NamedTuple):
    """Of one store: its own mark, and the one of its partner as the last stream from the local store saw it."""

    own: bytes | None
    partner: bytes | None

    def is_foreign_to(self, other: Marks) -> bool:
        """Whether each of the two names a third one. Where only one does, the other was refilled and has a new mark;
        where both are outdated, nobody can tell."""
        if self.partner is None or other.partner is None or self.own == other.own == OUTDATED:
            return False
        return self.partner != other.own and other.partner != self.own
