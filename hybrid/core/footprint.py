"""What one log says happened to one key since the stores parted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from hybrid.core.authority import Position
from hybrid.core.lacking import Count

__all__ = ["GONE", "Counted", "Effect", "Footprint"]

GONE: Final = b"\x00gone"
"""What an element becomes that is removed."""


class Effect(NamedTuple):
    """What one command does to one key. `puts`: elements and what they become, None if that depends on more.

    `adds`: elements it adds a number to. `appends`: it adds an element of its own. `edits`: it moves or removes
    elements by place. `times`: it changes the key's expiry only. `counted`: applied twice, it would count twice.
    `replaces`: whatever the key held is gone. `sums`: it adds to something within, which is not looked at more closely.
    """

    family: str = ""
    puts: tuple[tuple[bytes, bytes | None], ...] = ()
    adds: tuple[bytes, ...] = ()
    appends: bool = False
    edits: bool = False
    times: bool = False
    counted: bool = False
    replaces: bool = False
    sums: bool = False


class Counted(NamedTuple):
    """What stands at this place of a log, in the transaction with this token."""

    place: Position
    token: bytes | None
    change: Count


@dataclass(slots=True)
class Footprint:
    """Everything one log did to one key. `whole`: it replaced or removed it, or did what is not known in detail.
    `anew`: it replaced or removed it, so that nothing depends on what it held before. `by_state`: the log names the
    key, and does not say what was done. `last`: its last entry; `fresh`: its last one that was not run again on the
    other store; `counts`: by how much it changed it; `ends_ms`: the expiry that it gave it last, None without."""

    last: Position = (0, 0)
    fresh: Position = (0, 0)
    token: bytes | None = None
    family: str = ""
    whole: bool = False
    anew: bool = False
    by_state: bool = False
    edits: bool = False
    times: bool = False
    ends_ms: int | None = None
    counted: bool = False
    sums: bool = False
    doubtful: bool = False
    puts: dict[bytes, bytes | None] = field(default_factory=dict)
    adds: set[bytes] = field(default_factory=set)
    counts: list[Counted] = field(default_factory=list)

    @property
    def is_past(self) -> bool:
        """Whether nothing happened since the stores parted: the key may have held something before."""
        return self.last == (0, 0)

    def _is_foreign(self, effect: Effect) -> bool:
        return bool(self.family and effect.family and self.family != effect.family)

    def add(self, effect: Effect | None) -> None:
        """Take in one more effect; None for one that is not known in detail."""
        if effect is None or effect.replaces or effect.sums or self._is_foreign(effect):
            self.whole = True
        if effect is not None:
            self.anew |= effect.replaces
            self.sums = effect.sums or (self.sums and not effect.replaces)
        if effect is None or self.whole:
            self.puts.clear()
            self.adds.clear()
            return
        self.family = self.family or effect.family
        self.puts.update(effect.puts)
        self.adds.update(effect.adds)
        self.edits |= effect.edits
        self.times |= effect.times
        self.counted |= effect.counted
