"""The commands by which one batch of keys is merged: in one transaction, but for the first pieces of large values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from hybrid.core.conflict import Conflict, Side
from hybrid.core.rejoin import Decision, Footprint
from hybrid.core.resp import pack
from hybrid.core.state import Absent, KeyState, plan_put
from hybrid.replication.archive import archive_command, put_of, same
from hybrid.replication.copy import Snapshot, temporary_key
from hybrid.replication.records import one
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.merge import Merge

__all__ = ["CONTESTED", "Plan", "Values"]

CONTESTED: Final = (Decision.KEEP_AUTHORITY, Decision.KEEP_RETURNING)

Values = dict[bytes, Snapshot]
"""Of keys on the authority: each with the place of the log up to which it contains what was written."""


class Plan:
    """`applied`: at which places what a key is given stands, and of which key; `conflicts`: how many there are.

    With `settle`, every key is settled as a conflict that the authority's value wins.
    """

    def __init__(
        self,
        merge: Merge,
        keys: list[bytes],
        ours: Mapping[bytes, KeyState | Absent],
        theirs: Values,
        *,
        settle: bool = False,
    ) -> None:
        self._merge = merge
        self.commands: list[bytes] = []
        self.applied: list[tuple[bytes, int]] = []
        self.conflicts = 0
        decisions = {key: Decision.KEEP_AUTHORITY if settle else merge.decided(key) for key in keys}
        for key, commands in merge.again([key for key in keys if decisions[key] is Decision.AGAIN]).items():
            self._apply(key, commands)
        for key in keys:
            if decisions[key] is Decision.COPY:
                self._put(key, ours[key])
            elif decisions[key] in CONTESTED and (merge.hides_a_sum(key) or not same(ours[key], theirs[key][0])):
                self._settle(key, decisions[key], ours[key], theirs[key][0])
        if self.conflicts:
            # The archive goes to the returning store as any key does.
            self.commands.append(pack(("XADD", merge.names.log, "*", "s", merge.names.conflicts)))

    def _settle(self, key: bytes, decided: Decision, ours: KeyState | Absent, theirs: KeyState | Absent) -> None:
        self.conflicts += 1
        if decided is Decision.KEEP_RETURNING:
            self._put(key, ours)
            self.commands.append(self._archived(key, theirs, ours, returning_won=True))
        else:
            self.commands.append(self._archived(key, ours, theirs, returning_won=False))

    def _put(self, key: bytes, state: KeyState | Absent) -> None:
        """Give the key its state; chunks of a large one are sent ahead."""
        can = self._merge.can
        features = {"field_ttl": can.has_field_ttl, "stream_counters": can.has_stream_counters}
        *filling, last = plan_put(key, state, temporary_key(key), **features)
        for commands in filling:
            for command in commands:
                one(self._merge.reader, *command)
        self._apply(key, [pack(command) for command in last])

    def _apply(self, key: bytes, commands: Sequence[bytes]) -> None:
        self.applied += [(key, len(self.commands) + number) for number in range(len(commands))]
        self.commands += commands

    def _archived(self, key: bytes, lost: KeyState | Absent, kept: KeyState | Absent, *, returning_won: bool) -> bytes:
        """The command that archives the value that lost."""
        merge = self._merge
        ours, theirs = merge.footprints(key)
        returning = merge.tail.store
        prints = {returning: ours, returning.other: theirs}
        loser = returning.other if returning_won else returning

        def side(store: Store, state: KeyState | Absent) -> Side:
            known = prints[store] or Footprint()
            by = (known.token or b"").decode(errors="replace")
            return Side(store, put_of(key, state, merge.can), known.last[0] or None, by)

        why = "written on both stores while they were apart; the newer value was kept"
        return archive_command(merge.names, Conflict("", key, side(loser, lost), side(loser.other, kept), why))
