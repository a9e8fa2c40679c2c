"""What processes tell each other through the stores: pushed on channels, never polled, because the cloud is billed.

On the channel `applied` of the store whose log is shipped: `live P` and `behind P` (everything up to P is on the other
store, which is caught up, or is not), `behind 0-0 REASON` (it answers, and takes nothing of what is sent), `free 0-0`
(the shipper has given its lease back), and on the cloud's: `seal P` (the local store is lost, nothing after P was
shipped from its log) and `passed P` (everything up to P of the local store's log is on the cloud store: told this way
while the local store does not answer). On the channel `moved`: the new authority record. On the channel `config`: a new
live configuration, whole (`hybrid.core.live`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hybrid.core.authority import Position, position, position_text

__all__ = ["Progress", "Word"]


class Word(StrEnum):
    LIVE = "live"
    BEHIND = "behind"
    SEAL = "seal"
    PASSED = "passed"
    FREE = "free"


@dataclass(frozen=True, slots=True)
class Progress:
    """One message on the channel `applied`; `rest` is a packed `hybrid.core.tokens.Seal`, or a reason."""

    word: Word
    place: Position
    rest: bytes = b""

    @property
    def packed(self) -> bytes:
        return f"{self.word} ".encode() + position_text(self.place) + b" " + self.rest

    @classmethod
    def parse(cls, message: bytes) -> Progress:
        word, place, *rest = message.split(b" ", 2)
        return cls(Word(word.decode()), position(place), rest[0] if rest else b"")
