"""The commands by which one batch of keys is merged: in one call, but for the first pieces of large values."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, Final

from hybrid.core.authority import position_text
from hybrid.core.conflict import Conflict, Side
from hybrid.core.footprint import Footprint
from hybrid.core.merge_script import Step
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.core.rejoin import Decision, why_kept
from hybrid.core.resp import pack, unpack
from hybrid.core.state import Absent, Body, KeyState, List, Stream, plan_put
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.replication.archive import archive_command, fitted, logged, put_of, same
from hybrid.replication.copy import Snapshot, temporary_key
from hybrid.replication.records import one, several
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.merge import Merge

__all__ = ["CONTESTED", "Plan", "Values"]

CONTESTED: Final = (Decision.KEEP_AUTHORITY, Decision.KEEP_RETURNING)

CALL_BYTES: Final = 4 * 1024 * 1024
"""What one call brings, unless a single key is more: Upstash takes 10 MB, and the server answers nobody meanwhile."""

CALL_COMMANDS: Final = 5000
"""The server takes about 4 µs for each."""

PUSHED_ITEMS: Final = 1000

Values = dict[bytes, Snapshot]
"""Of keys on the authority: each with the place of the log up to which it contains what was written."""


class Plan:
    """`steps`: what is to be done, key by key. `rest` are keys that were too much for one call, `refused` those that
    the authority cannot hold.

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
        self._bytes = self._commands = 0
        self.steps: list[Step] = []
        self.rest: set[bytes] = set()
        self.refused: set[bytes] = set()
        decisions = {key: Decision.KEEP_AUTHORITY if settle else merge.decided(key) for key in keys}
        for key, commands in merge.again([key for key in keys if decisions[key] is Decision.AGAIN]).items():
            if commands:
                self._add(Step(key, commands, guards=merge.guards(key)))
        for key in keys:
            if decisions[key] is Decision.AGAIN or not self._has_room(key):
                continue
            if decisions[key] in CONTESTED and merge.joins(key, ours[key], theirs[key][0]):
                self._add(self._joined(key, ours[key], theirs[key][0]))
            elif decisions[key] is Decision.COPY:
                self._add(self._copied(key, ours[key]))
            elif decisions[key] in CONTESTED and (
                merge.hides_a_sum(key, ours[key]) or not same(ours[key], theirs[key][0])
            ):
                self._add(self._settle(key, decisions[key], ours[key], theirs[key][0]))
        if settle:
            # What only the returning store wrote is not in the authority's log yet.
            self.steps += [Step(step.key, [pack(logged(merge.names, step.key))]) for step in self.steps]
        if any(step.conflict for step in self.steps):
            self.steps.append(Step(merge.names.conflicts, [pack(logged(merge.names, merge.names.conflicts))]))

    def _has_room(self, key: bytes) -> bool:
        if self._bytes >= CALL_BYTES or self._commands >= CALL_COMMANDS:
            self.rest.add(key)
        return key not in self.rest

    def _add(self, step: Step | None) -> None:
        if step is None:
            return
        size, count = sum(map(len, step.commands)), len(step.commands)
        if self.steps and (self._bytes + size > CALL_BYTES or self._commands + count > CALL_COMMANDS):
            self.rest.add(step.key)
            return
        self.steps.append(step)
        self._bytes += size
        self._commands += count

    @property
    def commands(self) -> list[bytes]:
        """Of all steps."""
        return [command for step in self.steps for command in step.commands]

    def _settle(self, key: bytes, decided: Decision, ours: KeyState | Absent, theirs: KeyState | Absent) -> Step | None:
        """None where the key is refused."""
        if decided is not Decision.KEEP_RETURNING:
            commands = self._archived(key, ours, theirs, returning_won=False)
            if self._merge.footprints(key)[1] is None:  # or else the returning store would keep its own
                commands.append(pack(logged(self._merge.names, key)))
            return Step(key, commands, conflict=True)
        put = self._put(key, ours)
        if put is None:
            return None
        archived = self._archived(key, theirs, ours, returning_won=True)
        return Step(key, [*archived[:-1], *put, archived[-1]], guards=self._merge.guards(key), conflict=True)

    def _joined(self, key: bytes, ours: KeyState | Absent, theirs: KeyState | Absent) -> Step | None:
        """What was done to a store that lacked what the authority holds (see `Merge.joins`). None where that is
        nothing, or the key is refused."""
        if isinstance(ours, Absent) or same(ours, theirs):
            return None
        if isinstance(theirs, Absent):
            return self._copied(key, ours)
        added = added_to(key, ours.body, theirs.body, self._merge.brought(key))
        return Step(key, added, guards=self._merge.guards(key)) if added else None

    def _copied(self, key: bytes, state: KeyState | Absent) -> Step | None:
        """None where the key is refused."""
        put = self._put(key, state)
        return None if put is None else Step(key, put, guards=self._merge.guards(key))

    def _put(self, key: bytes, state: KeyState | Absent) -> list[bytes] | None:
        """What gives the key its state; chunks of a large one are sent ahead. None where these are refused."""
        can = self._merge.can
        features = {"field_ttl": can.has_field_ttl, "stream_counters": can.has_stream_counters}
        temporary = temporary_key(key)
        *filling, last = plan_put(key, state, temporary, **features)
        try:
            for commands in filling:
                for command in commands:
                    one(self._merge.reader, *command)
        except HybridError as error:
            if isinstance(error, StoreUnavailable) or refusal_of(error) is not Refusal.THIS_KEY:
                raise
            one(self._merge.reader, "UNLINK", temporary)
            self.refused.add(key)
            return None
        return [pack(command) for command in last]

    def _archived(
        self, key: bytes, lost: KeyState | Absent, kept: KeyState | Absent, *, returning_won: bool
    ) -> list[bytes]:
        """The commands that archive the value that lost, the last of which adds the entry. What stays in place of one
        that is too large is kept at once where that is the returning store's."""
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
        fitting, aside = fitted(conflict, position_text(merge.tail.end))
        if aside and loser is returning:
            several(merge.tail.wire, *map(tuple, map(unpack, aside)))
            aside = []
        return [*aside, archive_command(merge.names, fitting)]


def added_to(key: bytes, ours: Body, theirs: Body, brought: Container[bytes] | None) -> list[bytes]:
    """The packed commands that add to the one list or stream what is left of the other, as far as it was `brought`
    there: what a shipper had still on its way to it is on the authority. None: all of it was."""
    if isinstance(ours, List) and isinstance(theirs, List):
        items = [item for item in ours.items if brought is None or item in brought]
        parts = (items[start : start + PUSHED_ITEMS] for start in range(0, len(items), PUSHED_ITEMS))
        return [pack(("RPUSH", key, *part)) for part in parts]
    assert isinstance(ours, Stream) and isinstance(theirs, Stream), "see `Merge.joins`"
    there = {entry for entry, _ in theirs.entries}
    entries = [pair for entry, pair in ours.entries if entry not in there and (brought is None or entry in brought)]
    groups = ((name, group) for name, group in ours.groups.items() if name not in theirs.groups)
    created = [pack(("XGROUP", "CREATE", key, name, group.last_delivered_id)) for name, group in groups]
    return created + [pack(("XADD", key, "*", *pair)) for pair in entries]
