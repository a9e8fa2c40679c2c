"""The end of one store's log: where it is, what stands there, and which keys that concerns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from hybrid.core.authority import Position, position, position_text
from hybrid.core.names import Names
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.core.rejoin import Branch
from hybrid.core.resp import pack
from hybrid.core.shipping import Field, Group, groups
from hybrid.core.state import Absent, KeyState
from hybrid.core.state_replies import place_in
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.replication.copy import Snapshot, read_in_parts
from hybrid.replication.fold import folded
from hybrid.replication.records import one
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["Superseded", "Tail", "ask_place", "last_place", "logged", "next_entries"]

BATCH_ENTRIES: Final = 1000
FEW_ENTRIES: Final = 48
"""As many fit into one reply of any service, 10 MB, whatever they hold."""


def last_place(wire: Wire, log: bytes) -> Position:
    """Where the log ends, also when all of it was trimmed."""
    return place_in(wire.exchange(pack(ask_place(log)), 1)[0])


def ask_place(log: bytes) -> tuple[Any, ...]:
    """The command that tells where the log ends; its reply goes to `place_in`."""
    return ("XINFO", "STREAM", log)


def next_entries(log: bytes, place: Position, count: int = FEW_ENTRIES) -> tuple[Any, ...]:
    """The command that reads what stands behind `place`, a batch of it."""
    return ("XRANGE", log, b"(" + position_text(place), "+", "COUNT", count)


def logged(
    wire: Wire, log: bytes, place: Position, open_fields: list[Field], entries: list[Any] | None = None
) -> Iterator[tuple[Group, Position]]:
    """The groups behind `place`, each with the place to go on from; an unfinished one stays in `open_fields`. The reply
    to `next_entries` may be there already: `entries`."""
    count = FEW_ENTRIES
    while True:
        if entries is None:
            entries, count = _batch(wire, log, place)
        if entries:
            place = position(entries[-1][0])
        for group in groups(entries, open_fields):
            yield group, place
        if len(entries) < count:
            return
        entries = None


def _batch(wire: Wire, log: bytes, place: Position) -> tuple[list[Any], int]:
    """Entries behind `place`, and how many were asked for. Raises HybridError, NotSent or ReplyLost."""
    try:
        return one(wire, *next_entries(log, place, BATCH_ENTRIES)), BATCH_ENTRIES
    except StoreUnavailable:
        raise
    except HybridError as error:
        if refusal_of(error) is not Refusal.THIS_KEY:
            raise
        return one(wire, *next_entries(log, place)), FEW_ENTRIES


class Superseded(Exception):
    """The merge is not this process's to do any more: the authority has moved, another one ships, or the returning
    store has lost what was to be merged."""


class Tail:
    """What the returning store's log holds behind the seal, up to `end`. It stands still: that store is fenced.

    `spans_all`: it emptied the store (`empties`), or copied it whole, so that every key is concerned. `keyless` are its
    packed commands that change something other than keys. `lacks_past`: it was done to an empty store, in place of what
    the authority holds. With `is_whole` it concerns every key of the store, whatever the log says.
    """

    def __init__(
        self,
        store: Store,
        wire: Wire,
        names: Names,
        sealed: Position,
        end: Position,
        doubt: Position,
        *,
        lacks_past: bool = False,
        is_whole: bool = False,
    ) -> None:
        self.store = store
        self.wire = wire
        self.end = end
        self._log = names.log
        self._sealed = sealed
        self._doubt = doubt
        self.lacks_past = lacks_past
        self._folded = folded(wire, names)
        if is_whole:
            self._folded.refilled = max(end, (1, 0))
        self.keys = set(self._folded.keys)
        self.keyless = list(self._folded.commands)
        self.tokens: set[bytes] = set()
        self.empties = self._folded.emptied is not None
        self.spans_all = self._folded.concerns_all
        for group in self.groups():
            if group.token is not None:
                self.tokens.add(group.token)
            self.keys.update(group.keys)
            self.keyless += group.keyless
            self.empties |= group.empties
            self.spans_all |= group.empties or group.refills

    def groups(self) -> Iterator[Group]:
        return (group for group, _ in logged(self.wire, self._log, self._sealed, []))

    def branch(self, left_out: set[bytes]) -> Branch:
        branch = Branch(left_out=left_out, doubt=self._doubt)
        branch.start_from(self._folded)
        for group in self.groups():
            branch.add(group)
        return branch

    def states(self, keys: list[bytes], most_parts: int | None = None) -> dict[bytes, KeyState | Absent]:
        """Of those of these keys that are read first where only so many parts are wanted: a few megabytes, or one big
        key, are a part.

        Raises Superseded when the log does not end where it did: somebody has emptied the store, and the absence of
        these keys must not be taken for their end."""
        found: dict[bytes, Snapshot] = {}
        for part in islice(read_in_parts(self.wire, keys, log_key=self._log), most_parts):
            found |= part
        if any(position(place) != self.end for _, place in found.values()):
            raise Superseded("the returning store's log has moved")
        return {key: state for key, (state, _) in found.items()}
