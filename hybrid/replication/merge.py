"""What only the returning store has goes to the authority: `hybrid.core.rejoin` decides key by key what becomes of it,
here it is carried out.

A batch of keys is one transaction on the authority: the values, the commands applied again, the archive's entries, and
the mark that says up to which key the merge has got. WATCH on the keys and on the mark guards it, and a look into the
log (see `hybrid.core.merge_script`): a merge that is interrupted at any point, or done by two shippers at once, applies
nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from hybrid.core.authority import Position, position, position_text
from hybrid.core.lacking import lacking
from hybrid.core.merge_script import guarded_run
from hybrid.core.names import RESERVED, Names
from hybrid.core.rejoin import Branch, Decision, Footprint, Repeat, again, decision, hides_a_sum
from hybrid.core.resp import pack
from hybrid.core.shipping import Field
from hybrid.core.state import Absent, KeyState
from hybrid.errors import HybridError
from hybrid.replication.archive import trim_archive
from hybrid.replication.copy import read_states
from hybrid.replication.fold import ask_folded, folded
from hybrid.replication.merge_plan import CONTESTED, Plan, Values
from hybrid.replication.records import one, several, transaction
from hybrid.replication.tail import Superseded, Tail, logged, next_entries
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.wire import Wire

__all__ = ["Keep", "Merge"]

BATCH_KEYS: Final = 200
SCANNED_KEYS: Final = 1000
TRIES: Final = 50

REPLACED: Final = (Decision.COPY, Decision.KEEP_RETURNING)
JUDGED: Final = (*CONTESTED, Decision.LACKING)
"""Keys of which the authority's value has to be known."""

Keep = Callable[[], bool]


class Merge:
    """Brings the tail to the authority, in the order of the keys, from where an interrupted merge has got to.

    `arriving`: packed commands that end what is still on its way to the authority, sent ahead of the first look.
    """

    def __init__(
        self,
        tail: Tail,
        reader: Wire,
        writer: Wire,
        names: Names,
        record: bytes | None,
        keep: Keep,
        arriving: Sequence[bytes] = (),
    ) -> None:
        self.tail = tail
        self._end = position_text(tail.end)
        self.reader = reader
        self._writer = writer
        self.names = names
        self._record = record
        self._keep = keep
        self.can = capabilities_of(reader)
        self._seen_to: Position = (0, 0)
        self._open_fields: list[Field] = []
        self._theirs = Branch(None if tail.spans_all else tail.keys, counts=True)
        asked = *ask_folded(names), next_entries(names.log, self._seen_to), ("GET", names.merged)
        *parts, entries, mark = several(reader, *asked, ahead=arriving)
        self._theirs.start_from(folded(reader, names, tuple(parts)))
        self._look(entries)
        self._began = self._seen_to
        self._left_out = set(self._theirs.marks)
        self._ours = tail.branch(self._left_out)
        self._repeats: dict[bytes, list[Repeat]] = {}
        self._told: dict[bytes, bool] = {}
        self._done = self._done_by(mark)
        self.archived = 0

    def run(self) -> None:
        keys = sorted(key for key in self._concerned() if self._done is None or key > self._done)
        repeated = (Decision.AGAIN, Decision.LACKING)
        self._find_again([key for key in keys if self._decision(key) in repeated])
        for start in range(0, len(keys), BATCH_KEYS):
            if not self._keep():
                raise Superseded("the shipper's lease was lost during the merge")
            self._merge(keys[start : start + BATCH_KEYS])
        if self.archived:
            trim_archive(self.reader, self.names)

    def _concerned(self) -> set[bytes]:
        keys = set(self.tail.keys)
        if self.tail.spans_all:
            for wire in (self.tail.wire, self.reader):
                keys.update(_all_keys(wire))
        return keys

    def _done_by(self, mark: bytes | None) -> bytes | None:
        """The last key that was merged already, of this very tail; keys are merged in order."""
        end, _, key = (mark or b"").partition(b" ")
        return bytes(key) if end == self._end else None

    def _look(self, entries: list[Any] | None = None) -> None:
        """Take in what was written on the authority since the last look; its log was empty when it took over."""
        for group, place in logged(self.reader, self.names.log, self._seen_to, self._open_fields, entries):
            self._theirs.add(group)
            self._seen_to = place

    def _guard(self, keys: set[bytes]) -> None:
        """From here on, whatever is written to these keys, and to no other, breaks the next transaction; what was
        written before is known. Raises Superseded."""
        names = self.names
        _, _, entries, record, mark = several(
            self._writer,
            ("UNWATCH",),
            ("WATCH", names.authority, names.merged, *keys),
            next_entries(names.log, self._seen_to),
            ("GET", names.authority),
            ("GET", names.merged),
        )
        self._look(entries)
        if record != self._record:
            raise Superseded("the authority has moved")
        if self._done_by(mark) != self._done:
            raise Superseded("another shipper has taken over the merge")

    def _merge(self, keys: list[bytes]) -> None:
        ours, theirs = self.tail.states(keys), Values()
        hot: set[bytes] = set()
        named: set[bytes] = set()
        for _ in range(TRIES):
            theirs |= read_states(self.reader, self._unread(keys, theirs), log_key=self.names.log)
            guarded = self._to_guard(keys, hot)
            self._guard(guarded)
            if self._unread(keys, theirs):
                continue  # written meanwhile, so that more has to be known
            self._tell_apart(self._untold(keys), ours, theirs)
            if not guarded >= self._to_guard(keys, hot):
                continue
            plan = Plan(self, keys, ours, theirs)
            ran, found = self._run([self._mark(keys[-1]), *plan.commands], guarded, named)
            if ran:
                self._done = keys[-1]
                self.archived += plan.conflicts
                self._archive_refused(plan, ours, found[1:])
                return
            guarded_from = self._seen_to
            self._look()
            written = {key for key in guarded if (known := self._theirs.of(key)) and known.last > guarded_from}
            hot |= written
            # Others' commands have them among their arguments, which may go on for ever.
            named |= set(found) - written
        raise HybridError(
            f"the {self.tail.store} store's last writes could not be merged: their keys never stood still"
        )

    def _run(self, commands: list[bytes], guarded: set[bytes], named: set[bytes]) -> tuple[bool, list[Any]]:
        """Whether the commands were run, and for each its error or what stands for none; else a guarded key was
        written meanwhile, or was only named, which is not looked for where it is known already (`named`): these keys.

        Raises HybridError where the authority takes no writes: it may be full."""
        sought, place = guarded - named, position_text(self._seen_to)
        script = guarded_run(self.names.log, place, sought, commands) if sought else None
        replies = transaction(self._writer, commands if script is None else [script])
        if replies is None:
            return False, []
        if script is None:
            return True, [isinstance(reply, Exception) for reply in replies]
        if isinstance(replies[0], Exception):
            raise HybridError(str(replies[0]))
        ran, found = replies[0]
        return bool(ran), found

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

    def _to_guard(self, keys: list[bytes], hot: set[bytes]) -> set[bytes]:
        """The keys that nobody may write meanwhile: those whose value is replaced, and those that commands are applied
        to again. A key that never stands still goes without in the latter case: all that was done to it commutes."""
        untold = self._untold(keys)
        again = {key for key in keys if self.decided(key) is Decision.AGAIN or key in untold}
        return {key for key in keys if self.decided(key) in REPLACED} | (again - hot)

    def _mark(self, key: bytes) -> bytes:
        return pack(("SET", self.names.merged, self._end + b" " + key))

    def _archive_refused(self, plan: Plan, ours: Mapping[bytes, KeyState | Absent], errors: list[Any]) -> None:
        """A command that one store took and the other does not (a sum too large, a value of a module that is not there)
        leaves a conflict."""
        refused = sorted({key for key, at in plan.applied if errors[at]})
        if refused:
            theirs = read_states(self.reader, refused, log_key=self.names.log)
            late = Plan(self, refused, ours, theirs, settle=True)
            transaction(self._writer, late.commands)
            self.archived += late.conflicts

    def footprints(self, key: bytes) -> tuple[Footprint | None, Footprint | None]:
        return self._ours.of(key), self._theirs.of(key)

    def _decision(self, key: bytes) -> Decision:
        ours, theirs = self.footprints(key)
        what = decision(ours, theirs)
        if what is Decision.KEEP_RETURNING and theirs is not None and theirs.last > self._began:
            return Decision.KEEP_AUTHORITY  # the tail stands still by then, whatever the clocks say
        return what

    def decided(self, key: bytes) -> Decision:
        what = self._decision(key)
        if what is Decision.LACKING:
            return Decision.AGAIN if self._told.get(key) else Decision.KEEP_AUTHORITY
        return what

    def hides_a_sum(self, key: bytes) -> bool:
        return hides_a_sum(*self.footprints(key))

    def again(self, keys: list[bytes]) -> dict[bytes, list[bytes]]:
        """The commands to apply again."""
        self._find_again(keys)
        return {key: [packed for repeat in self._repeats[key] for packed in repeat.packed] for key in keys}

    def _find_again(self, keys: list[bytes]) -> None:
        """The tail is read once, and once more for keys that are written meanwhile."""
        if missing := [key for key in keys if key not in self._repeats]:
            theirs = {key: self._theirs.of(key) for key in missing}
            self._repeats |= again(self.tail.groups(), theirs, self._left_out)

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
