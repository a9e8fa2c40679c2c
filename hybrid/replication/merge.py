"""What only the returning store has goes to the authority: `hybrid.core.rejoin` decides key by key what becomes of it,
here it is carried out.

A batch of keys is one call on the authority (see `hybrid.core.merge_script`): the values, the commands applied again,
the archive's entries, and the mark that says how far the merge has got. WATCH on the mark guards it: a merge that is
interrupted at any point, or done by two shippers at once, applies nothing twice. Keys that are written meanwhile are
left alone, and decided anew in the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from hybrid.core.authority import Position, position, position_text
from hybrid.core.footprint import Footprint
from hybrid.core.lacking import lacking
from hybrid.core.merge_script import Mark, Step, merge_call
from hybrid.core.names import RESERVED, Names
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.core.rejoin import Branch, Decision, Repeat, again, brought, decision, hides_a_sum
from hybrid.core.resp import pack
from hybrid.core.shipping import Field
from hybrid.core.state import Absent, KeyState, List, Stream
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.replication.archive import archives_united, trim_archive
from hybrid.replication.board import Board
from hybrid.replication.copy import read_states
from hybrid.replication.fold import ask_folded, folded
from hybrid.replication.keyless import judge_run_again
from hybrid.replication.merge_plan import CONTESTED, Plan, Values
from hybrid.replication.records import one, several, transaction
from hybrid.replication.tail import Superseded, Tail, logged, next_entries
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["REFUSED", "Keep", "Merge"]

BATCH_KEYS: Final = 200
MOST_KEYS: Final = 2000
"""A batch takes two round trips or three, so batches grow as long as all goes into one call."""
MOST_PARTS: Final = 16
"""Of values that are held at a time, a few megabytes or one big key each."""
SCANNED_KEYS: Final = 1000
TRIES: Final = 50
LARGE_BYTES: Final = 512 * 1024
"""A smaller call is not refused for its size."""

MOST_GUARDS: Final = 16
"""Of larger nets of keys each is guarded by itself: a queue and its thousand workers would be a million guards."""

KEYLESS_S: Final = 1.0
"""What a command may take that makes a function or an index."""

REFUSED: Final = "it was refused when the stores were merged"

REPLACED: Final = (Decision.COPY, Decision.KEEP_RETURNING)
JUDGED: Final = (*CONTESTED, Decision.LACKING)
"""Keys of which the authority's value has to be known."""

Keep = Callable[[], bool]


class TooLarge(HybridError):
    """The authority takes no call of this size."""


class Merge:
    """Brings the tail to the authority, in the order of the keys, from where an interrupted merge has got to.

    Afterwards `archived` is how many conflicts there were, and `refused` are the keys that only the returning store
    has, because the authority cannot hold them. `arriving`: packed commands that end what is still on its way to the
    authority, sent ahead of the first look.
    """

    def __init__(
        self,
        tail: Tail,
        reader: Wire,
        writer: Wire,
        names: Names,
        record: bytes | None,
        keep: Keep,
        board: Board,
        arriving: Sequence[bytes] = (),
    ) -> None:
        self.tail = tail
        self._end = position_text(tail.end)
        self.reader = reader
        self._writer = writer
        self.names = names
        self._record = record
        self._keep = keep
        self._board = board
        self.can = capabilities_of(reader)
        self._seen_to: Position = (0, 0)
        self._open_fields: list[Field] = []
        self._theirs = Branch(None if tail.spans_all else tail.keys, counts=True)
        asked = *ask_folded(names), next_entries(names.log, self._seen_to), ("GET", names.merged)
        *parts, entries, mark = several(reader, *asked, ahead=arriving)
        found = folded(reader, names, tuple(parts))
        self._theirs.start_from(found)
        self._keyless = found.commands
        self._look(entries)
        self._began = position_text(self._seen_to)
        self._left_out = set(self._theirs.marks)
        self._ours = tail.branch(self._left_out)
        self._repeats: dict[bytes, list[Repeat]] = {}
        self._told: dict[bytes, bool] = {}
        self._kept: dict[int, tuple[Position, bool]] = {}
        self._marked: bytes | None = mark
        self._done: bytes | None = None
        self._left: frozenset[bytes] = frozenset()
        self._refused: frozenset[bytes] = frozenset()
        if (known := Mark.parse(mark)) is not None and known.end == self._end:
            _, self._began, self._done, self._left, self._refused = known
        self._alone: dict[bytes, Position] = {}
        self._hot: set[bytes] = set()
        self._named: set[bytes] = set()
        self._brought: set[bytes] | None = None
        self.archived = 0
        self.refused: set[bytes] = set()

    def run(self) -> None:
        if self.names.conflicts in self.tail.keys:
            self._unite_archives()
        if self.tail.keyless:
            self._run_keyless()
        self._settle_refused()
        keys = sorted(key for key in self._concerned() if self._done is None or key > self._done or key in self._left)
        repeated = (Decision.AGAIN, Decision.LACKING)
        self._find_again([key for key in keys if self._decision(key) in repeated])
        for _ in range(TRIES):
            keys = self._merge_all(keys)
            if not keys:
                break
        else:
            raise HybridError(
                f"the {self.tail.store} store's last writes could not be merged: their keys never stood still"
            )
        if self.archived:
            trim_archive(self.reader, self.names)

    def _concerned(self) -> set[bytes]:
        keys = self.tail.keys - {self.names.conflicts}
        if self.tail.spans_all:
            keys.update(_all_keys(self.tail.wire))
        if self.tail.empties or (self.tail.spans_all and not self.tail.lacks_past):
            keys.update(_all_keys(self.reader))
        return keys

    def _unite_archives(self) -> None:
        """First, and not as other keys: what this merge archives would be replaced, or be a conflict itself."""
        key = self.names.conflicts
        for _ in range(TRIES):
            self._guard({key})
            ours, (theirs, _) = self.tail.states([key])[key], read_states(self.reader, [key])[key]
            commands = archives_united(self.names, ours, theirs, removes=self.footprints(key)[1] is None)
            if not commands:
                one(self._writer, "UNWATCH")
                return
            if transaction(self._writer, commands) is not None:
                return
        raise HybridError("the archives of conflicts could not be united: one never stood still")

    def _run_keyless(self) -> None:
        """The tail's functions, scripts and indexes; then the authority's own once more, so that these stay where both
        made the same: the returning store gets them from the log."""
        ours_ran = False
        due = _last_of_each([*self.tail.keyless, *self._keyless])
        while due:
            known = len(self._keyless)
            replies = self._writer.exchange(b"".join(due), len(due), timeout_s=KEYLESS_S * len(due))
            for packed, reply in zip(due, replies, strict=True):
                error = reply if isinstance(reply, Exception) else None
                judge_run_again(packed, error, self.tail.store.other, self._board)
            self._guard(set())
            one(self._writer, "UNWATCH")
            run, due = due, _last_of_each(self._keyless[known:])
            if ours_ran and set(due) <= set(run):
                break  # they come all the time: some applications load their script before each call
            ours_ran = True

    def _look(self, entries: list[Any] | None = None) -> None:
        """Take in what was written on the authority since the last look; its log was empty when it took over."""
        for group, place in logged(self.reader, self.names.log, self._seen_to, self._open_fields, entries):
            self._theirs.add(group)
            self._keyless += group.keyless
            self._seen_to = place

    def _guard(self, watched: set[bytes]) -> None:
        """From here on, another shipper that goes on with this merge breaks the next call, and so does whatever changes
        one of the keys `watched`; what was written before is known. Raises Superseded."""
        names = self.names
        _, _, entries, record, mark = several(
            self._writer,
            ("UNWATCH",),
            ("WATCH", names.authority, names.merged, *watched),
            next_entries(names.log, self._seen_to),
            ("GET", names.authority),
            ("GET", names.merged),
        )
        self._look(entries)
        if record != self._record:
            raise Superseded("the authority has moved")
        if mark != self._marked:
            raise Superseded("another shipper has taken over the merge")

    def _merge_all(self, keys: list[bytes]) -> list[bytes]:
        """Batch by batch. The keys that are left for later: they were written meanwhile."""
        left, size = list[bytes](), BATCH_KEYS
        while keys:
            some, keys = keys[:size], keys[size:]
            alone, rest = self._merge(some)
            left, keys = left + alone, rest + keys
            size = max(len(some) - len(rest), 1) if rest else min(2 * size, MOST_KEYS)
        return left

    def _merge(self, keys: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Those that are left for later, and those that were too much for one call."""
        if not self._keep():
            raise Superseded("the shipper's lease was lost during the merge")
        ours = self.tail.states(keys, MOST_PARTS)
        later = [key for key in keys if key not in ours]
        keys = [key for key in keys if key in ours]
        theirs = read_states(self.reader, self._unread(keys, {}), log_key=self.names.log)
        watched = self._named.intersection(guard for key in keys for guard in (key, *self.guards(key)))
        self._guard(watched)
        self._tell_why(keys)
        unread = self._unread(keys, theirs)
        ready = [key for key in keys if key not in set(unread)]
        self._tell_apart(self._untold(ready), ours, theirs)
        plan = Plan(self, ready, ours, theirs)
        steps = [step._replace(guards=tuple(key for key in step.guards if key not in watched)) for step in plan.steps]
        done = max(keys[-1], self._done or b"")
        left = (self._left - set(keys)).union(later, unread, plan.rest)
        try:
            ran = self._run(steps, Mark(self._end, self._began, done, left, frozenset(plan.refused)))
        except TooLarge:
            if len(keys) > 1:
                return [], sorted([*keys, *later])
            ran = self._run([], Mark(self._end, self._began, done, left, frozenset(keys)))
        if ran is None:
            self._left |= set(keys)
            self._alone |= dict.fromkeys(watched, self._seen_to)
            return keys, later
        self._alone |= dict.fromkeys(alone := ran, self._seen_to)
        self.archived += sum(step.conflict and step.key not in alone for step in steps)
        self._settle_refused()
        return sorted(alone.union(unread)), sorted(plan.rest.union(later))

    def _run(self, steps: list[Step], mark: Mark) -> set[bytes] | None:
        """Which keys were left alone, because they were written or named meanwhile; None if nothing was done. Raises
        TooLarge, and HybridError where the authority takes no writes: it may be full."""
        names = self.names
        call = merge_call(names.log, names.merged, position_text(self._seen_to), mark, steps)
        try:
            replies = transaction(self._writer, [call])
            if replies is None:
                return None
            if isinstance(replies[0], Exception):
                raise HybridError(str(replies[0]))
        except StoreUnavailable:
            raise
        except HybridError as error:
            if len(call) > LARGE_BYTES and refusal_of(error) is Refusal.THIS_KEY:
                raise TooLarge(str(error)) from None
            raise
        alone, refused = replies[0]
        self._done, self._left, self._refused = mark.done, mark.left.union(alone), mark.refused.union(refused)
        self._marked = mark.record(alone, refused)
        return set(alone)

    def _tell_why(self, keys: list[bytes]) -> None:
        """Why those of these keys that were left alone were: by now it is known what was written."""
        for key in self._alone.keys() & set(keys):
            known, place = self._theirs.of(key), self._alone.pop(key)
            if known is not None and known.last > place:
                self._hot.add(key)
                self._named.discard(key)
            else:
                # Others' commands have it, or what goes with it, among their arguments, which may go on for ever.
                self._named.update((key, *self.guards(key)))

    def _unread(self, keys: list[bytes], theirs: Values) -> list[bytes]:
        """Those of which the authority's value has to be known: it is archived or kept in a conflict, or tells what of
        the tail is there already. One that is to be replaced must be the last one."""
        return [
            key
            for key in keys
            if self._decision(key) in JUDGED
            and (key not in theirs or (self.decided(key) is Decision.KEEP_RETURNING and self._is_old(key, theirs)))
        ]

    def _is_old(self, key: bytes, theirs: Values) -> bool:
        known = self._theirs.of(key)
        return known is not None and known.last > position(theirs[key][1])

    def guards(self, key: bytes) -> tuple[bytes, ...]:
        """What nobody may write meanwhile: the key, where its value is replaced, with what goes with it, or where
        commands are applied to it again. One that never stands still goes without in the latter case: all that was done
        to it commutes."""
        what = self.decided(key)
        if what in REPLACED:
            net = self._ours.net(key)
            return tuple(net) if 0 < len(net) <= MOST_GUARDS else (key,)
        return (key,) if what is Decision.AGAIN and key not in self._hot else ()

    def _settle_refused(self) -> None:
        """A command that one store took and the other does not (a sum too large, a value of a module that is not there)
        leaves a conflict. What only the local store has stays there, as any key that the cloud store cannot hold."""
        while self._refused:
            keys = sorted(self._refused)
            ours, theirs = self.tail.states(keys), read_states(self.reader, keys, log_key=self.names.log)
            self._guard(set())
            if self.tail.store is Store.LOCAL:
                self.refused.update(key for key in keys if self.footprints(key)[1] is None)
            plan = Plan(self, [key for key in keys if key not in self.refused], ours, theirs, settle=True)
            mark = Mark(self._end, self._began, self._done or b"", self._left, frozenset(plan.rest))
            call = pack(("SET", self.names.merged, mark.record()))
            for key in self.refused.intersection(keys):
                one(self.tail.wire, "HSET", self.names.refused, key, REFUSED)
            if transaction(self._writer, [call, *plan.commands]) is not None:
                self._marked, self._refused = mark.record(), mark.refused
                self.archived += sum(step.conflict for step in plan.steps)

    def footprints(self, key: bytes) -> tuple[Footprint | None, Footprint | None]:
        """What happened to the key on the returning store, and on the authority; None where nothing did. What the
        returning store lacks has happened on the authority, before everything else."""
        ours, theirs = self._ours.of(key), self._theirs.of(key)
        return ours, Footprint() if theirs is None and self.tail.lacks_past else theirs

    def joins(self, key: bytes, ours: KeyState | Absent, theirs: KeyState | Absent) -> bool:
        """Whether what is left of it goes beside what the authority holds, which the returning store lacked, rather
        than in its place. Where nothing came of what was done there, nothing is replaced: a worker may have looked for
        a job, a script may have read."""
        if not self.tail.lacks_past:
            return False
        if isinstance(ours, Absent) or isinstance(theirs, Absent):
            known = (self._ours if isinstance(ours, Absent) else self._theirs).of(key)
            return known is None or not known.anew  # it was not removed on purpose
        return type(ours.body) is type(theirs.body) and isinstance(ours.body, List | Stream)

    def brought(self, key: bytes) -> set[bytes] | None:
        """What the tail has added to lists and streams; None where it does not tell all that it did to this one."""
        known = self._ours.of(key)
        if known is None or known.by_state:
            return None
        if self._brought is None:
            self._brought = brought(self.tail.groups())
        return self._brought

    def _decision(self, key: bytes) -> Decision:
        """Of keys between which something was moved, the returning store replaces all, or none: else it would stand in
        two places."""
        what = self._decision_alone(key)
        if what in REPLACED and self._is_kept(self._ours.net(key)):
            return Decision.KEEP_AUTHORITY
        return what

    def _is_kept(self, net: Set[bytes]) -> bool:
        """Whether the authority's value stays of any of these keys, by what is known of it now."""
        if not net:
            return False
        seen_to, is_kept = self._kept.get(id(net), (None, False))
        if seen_to != self._seen_to:
            is_kept = any(self._decision_alone(key) is Decision.KEEP_AUTHORITY for key in net)
            self._kept[id(net)] = self._seen_to, is_kept
        return is_kept

    def _decision_alone(self, key: bytes) -> Decision:
        ours, theirs = self.footprints(key)
        what = decision(ours, theirs)
        if what is Decision.KEEP_RETURNING and self._theirs.net(key):
            return Decision.KEEP_AUTHORITY
        if what is Decision.KEEP_RETURNING and theirs is not None and theirs.last > position(self._began):
            return Decision.KEEP_AUTHORITY  # the tail stands still by then, whatever the clocks say
        return what

    def decided(self, key: bytes) -> Decision:
        what = self._decision(key)
        if what is Decision.LACKING:
            return Decision.AGAIN if self._told.get(key) else Decision.KEEP_AUTHORITY
        return what

    def hides_a_sum(self, key: bytes, value: KeyState | Absent) -> bool:
        return isinstance(value, KeyState) and hides_a_sum(*self.footprints(key), has_number=value.has_number)

    def again(self, keys: list[bytes]) -> dict[bytes, list[bytes]]:
        """The commands to apply again, by what the authority is known to have done."""
        self._find_again(keys)
        due = {key: [it for it in self._repeats[key] if it.is_due(self._theirs.of(key))] for key in keys}
        return {key: [packed for repeat in repeats for packed in repeat.packed] for key, repeats in due.items()}

    def _find_again(self, keys: list[bytes]) -> None:
        """The tail is read once, and once more for keys that are written meanwhile."""
        if missing := [key for key in keys if key not in self._repeats]:
            self._repeats |= again(self.tail.groups(), missing, self._left_out, lacks_past=self.tail.lacks_past)

    def _untold(self, keys: list[bytes]) -> list[bytes]:
        """Those of which a part of the tail may be on the authority already, and nobody has looked yet which."""
        return [key for key in keys if key not in self._told and self._decision(key) is Decision.LACKING]

    def _tell_apart(self, keys: list[bytes], ours: Mapping[bytes, KeyState | Absent], theirs: Values) -> None:
        """Find out what of the tail the authority lacks, from its values as of a place of its log that the last look
        has reached. That stays as it is, whatever is done there meanwhile."""
        self._find_again(keys)
        for key in keys:
            (state, place), known = theirs[key], self._theirs.of(key)
            counts, to = known.counts if known else (), position(place)
            done = [each.change for each in counts if each.place <= to and each.token not in self.tail.tokens]
            repeats = self._repeats[key]
            flags = lacking([repeat.args for repeat in repeats], ours[key], state, done)
            self._told[key] = flags is not None
            if flags is not None:
                self._repeats[key] = [repeat for repeat, lacks in zip(repeats, flags, strict=True) if lacks]


def _all_keys(wire: Wire) -> Iterator[bytes]:
    cursor = b"0"
    while True:
        cursor, keys = one(wire, "SCAN", cursor, "COUNT", SCANNED_KEYS)
        yield from (key for key in keys if not key.startswith(RESERVED))
        if cursor == b"0":
            return


def _last_of_each(commands: Sequence[bytes]) -> list[bytes]:
    """Each command once, in the order of their last times: run again, that leaves what all of them would."""
    return list(dict.fromkeys(reversed(commands)))[::-1]
