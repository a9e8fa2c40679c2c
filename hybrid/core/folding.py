"""A log that has grown too long, folded: which keys it may have changed, instead of how.

While one store is away the log of the other grows with every write. Beyond a cap its oldest entries become fields of a
hash, one for each key they name, so that what must be remembered is bounded by the number of keys. A key that is only
named here goes by state, as everything does that is older than a second.

The hash has a field `k<key>` for each key, and `emptied` or `refilled` where the store was; each holds the position of
the last entry that says so. Commands that change no key (scripts, functions) are kept as they are, in a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from hybrid.core.authority import Position, position, position_text
from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.shipping import Group

__all__ = ["Folded", "forgotten"]

_KEY: Final = b"k"
_EMPTIED: Final = b"emptied"
_REFILLED: Final = b"refilled"


@dataclass(slots=True)
class Folded:
    """What a stretch of a log may have changed. `emptied` and `refilled`: the last time that all of the store was, the
    later of the two only; keys named before that count no more."""

    keys: dict[bytes, Position] = field(default_factory=dict)
    emptied: Position | None = None
    refilled: Position | None = None
    commands: list[bytes] = field(default_factory=list)

    def add(self, group: Group) -> None:
        """Take in the next group."""
        if group.empties or group.refills:
            self.keys.clear()
            self.emptied = group.place if group.empties else None
            self.refilled = group.place if not group.empties else None
        self.keys.update(dict.fromkeys(group.keys, group.place))
        self.commands += group.keyless

    @property
    def concerns_all(self) -> bool:
        return self.emptied is not None or self.refilled is not None

    def stored(self, names: Names) -> Iterator[bytes]:
        """The packed commands that add this to what was folded before."""
        if self.concerns_all:
            yield pack((b"UNLINK", names.folded))
        fields = [(_KEY + key, place) for key, place in self.keys.items()]
        fields += [
            (name, place) for name, place in ((_EMPTIED, self.emptied), (_REFILLED, self.refilled)) if place is not None
        ]
        for start in range(0, len(fields), 1000):
            pairs = [part for name, place in fields[start : start + 1000] for part in (name, position_text(place))]
            yield pack((b"HSET", names.folded, *pairs))
        if self.commands:
            yield pack((b"RPUSH", names.folded_commands, *self.commands))

    def load(self, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """Take in fields of the hash."""
        for name, place in fields:
            if name == _EMPTIED:
                self.emptied = position(place)
            elif name == _REFILLED:
                self.refilled = position(place)
            else:
                self.keys[name[1:]] = position(place)


def forgotten(keys: Iterable[bytes]) -> Iterator[bytes]:
    """The fields of the hash for these keys."""
    return (_KEY + key for key in keys)
