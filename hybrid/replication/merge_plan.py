"""The commands by which one batch of keys is merged: in one call, but for the first pieces of large values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hybrid.core.conflict import Conflict, Side
from hybrid.core.merge_script import Step
from hybrid.core.rejoin import Decision, Footprint, why_kept
from hybrid.core.resp import pack
from hybrid.core.state import Absent, KeyState, plan_put
from hybrid.replication.archive import archive_command, logged, put_of, same
from hybrid.replication.copy import Snapshot, temporary_key
from hybrid.replication.records import one
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.merge import Merge

__all__ = ["CONTESTED", "Plan", "Values"]

CONTESTED: Final = (Decision.KEEP_AUTHORITY, Decision.KEEP_RETURNING)

CALL_BYTES: Final = 4 * 1024 * 1024
"""What one call brings, and the last key of it more: Upstash takes 10 MB, and the server answers nobody meanwhile."""

Values = dict[bytes, Snapshot]
"""Of keys on the authority: each with the place of the log up to which it contains what was written."""


class Plan:
    """`steps`: what is to be done, key by key. `rest` are keys that were too much for one call.

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
        self._bytes = 0
        self.steps: list[Step] = []
        self.rest: set[bytes] = set()
        decisions = {key: Decision.KEEP_AUTHORITY if settle else merge.decided(key) for key in keys}
        for key, commands in merge.again([key for key in keys if decisions[key] is Decision.AGAIN]).items():
            if commands and self._has_room(key):
                self._add(Step(key, commands, guarded=merge.is_guarded(key)))
        for key in keys:
            if decisions[key] is Decision.AGAIN or not self._has_room(key):
                continue
            if decisions[key] is Decision.COPY:
                self._add(Step(key, self._put(key, ours[key]), guarded=merge.is_guarded(key)))
            elif decisions[key] in CONTESTED and (merge.hides_a_sum(key) or not same(ours[key], theirs[key][0])):
                self._settle(key, decisions[key], ours[key], theirs[key][0])
        if any(step.conflict for step in self.steps):
            self.steps.append(Step(merge.names.conflicts, [pack(logged(merge.names))]))

    def _has_room(self, key: bytes) -> bool:
        if self._bytes >= CALL_BYTES:
            self.rest.add(key)
        return key not in self.rest

    def _add(self, step: Step) -> None:
        self.steps.append(step)
        self._bytes += sum(map(len, step.commands))

    @property
    def commands(self) -> list[bytes]:
        """Of all steps."""
        return [command for step in self.steps for command in step.commands]

    def _settle(self, key: bytes, decided: Decision, ours: KeyState | Absent, theirs: KeyState | Absent) -> None:
        if decided is Decision.KEEP_RETURNING:
            put, archived = self._put(key, ours), self._archived(key, theirs, ours, returning_won=True)
            step = Step(key, [*put, archived], guarded=self._merge.is_guarded(key), conflict=True)
        else:
            step = Step(key, [self._archived(key, ours, theirs, returning_won=False)], conflict=True)
        self._add(step)

    def _put(self, key: bytes, state: KeyState | Absent) -> list[bytes]:
        """What gives the key its state; chunks of a large one are sent ahead."""
        can = self._merge.can
        features = {"field_ttl": can.has_field_ttl, "stream_counters": can.has_stream_counters}
        *filling, last = plan_put(key, state, temporary_key(key), **features)
        for commands in filling:
            for command in commands:
                one(self._merge.reader, *command)
        return [pack(command) for command in last]

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

        conflict = Conflict("", key, side(loser, lost), side(loser.other, kept), why_kept(ours, theirs))
        return archive_command(merge.names, conflict)
