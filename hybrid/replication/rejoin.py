"""A store is back while the other one has the authority: what only it knows is merged before it catches up.

It is the local one after a failover, and the cloud one where the local store took over alone. Its unshipped tail is
everything in its log behind the seal. `hybrid.core.rejoin` decides, key by key, what becomes of it; here it is carried
out, a batch of keys in one transaction on the authority: the values, the commands applied again, the archive's entries,
and the mark that says up to which key the merge has got. WATCH on the keys and on the mark guards it: a merge that is
interrupted at any point, or done by two shippers at once, applies nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import redis

from hybrid import events
from hybrid.core.authority import Authority, Holder, Position, position, position_text
from hybrid.core.conflict import Conflict, Side
from hybrid.core.health import Evidence
from hybrid.core.names import RESERVED, Names
from hybrid.core.outcomes import ReplyLost
from hybrid.core.rejoin import Branch, Decision, Footprint, again, decision, hides_a_sum
from hybrid.core.resp import pack
from hybrid.core.shipping import Field, Group, groups
from hybrid.core.state import Absent, KeyState, plan_put
from hybrid.errors import HybridError
from hybrid.replication.archive import archive_command, put_of, same, trim_archive
from hybrid.replication.board import Board
from hybrid.replication.copy import read_states, temporary_key
from hybrid.replication.fold import folded
from hybrid.replication.records import one
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["Superseded", "last_place", "merge_tail"]

BATCH_KEYS: Final = 200
BATCH_ENTRIES: Final = 1000
TRIES: Final = 50
SLOWEST_BYTES_S: Final = 1_000_000

Keep = Callable[[], bool]


class Superseded(Exception):
    """The merge is not this process's to do any more: the authority has moved, or another one ships."""


def merge_tail(returning: Store, endpoints: Mapping[Store, Endpoint], names: Names, board: Board, keep: Keep) -> None:
    """Fence the returning store, bring over what only it has, and forget its log.

    A local store that restarted without its last seconds (its log ends before what was shipped from it) cannot tell
    which keys are old: it is found wiped, to be refilled as a whole. `keep` says whether the
    shipper's lease is still held. Of the cloud's log, whose shipper leaves no seal, everything may have arrived.

    Raises NotSent or ReplyLost when either store is lost, and Superseded; nothing is forgotten then, and all is safe to
    repeat.
    """
    wires = {store: endpoints[store].connect_raw(timeout_s=1.0) for store in Store}
    try:
        wire, endpoint, sealed, doubt = wires[returning], endpoints[returning.other], (0, 0), None
        record = _record(wires[returning.other], names, board, returning.other)
        if returning is Store.LOCAL:
            _fence(wire, endpoints[returning], board.authority)
            sealed, doubt = _sealed(wires[Store.CLOUD], names, board.authority)
            doubt = doubt or _sent(wire, names)
        else:
            endpoints[returning].renew_record(board.authority)
        fence = _record(wire, names, board, returning)
        if returning is Store.LOCAL:
            _end_stream(wire, wires[Store.CLOUD], names)
        end = last_place(wire, names.log)
        if end < sealed:
            board.observe(Store.LOCAL, Evidence.WIPED)
        tail = _Tail(returning, wire, names, sealed, doubt or end)
        if tail.keys or tail.spans_all:
            writer = endpoint.connect_raw(timeout_s=1.0)
            try:
                merge = _Merge(tail, end, wires[returning.other], writer, names, record, keep)
                merge.run()
                if merge.archived:
                    board.events.emit(events.ConflictsArchived(count=merge.archived))
            finally:
                writer.disconnect()
        _forget(wire, names, fence)
        if board.authority.alone:
            _end_alone(endpoints, board)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if isinstance(error, HybridError):
            raise
        raise ReplyLost(str(error), silent=isinstance(error, redis.TimeoutError)) from None
    finally:
        for wire in wires.values():
            wire.disconnect()


def _record(wire: Wire, names: Names, board: Board, store: Store) -> bytes | None:
    """The authority record that stands on `store`. Raises Superseded when it is a later one than this process knew: who
    shipped before has handed the authority back, and what the returning store's log holds now is new."""
    record: bytes | None = one(wire, "GET", names.authority)
    found = Authority.parse(record)
    if found is not None and found.epoch > board.authority.epoch:
        board.learn(found, source=store)
        raise Superseded("the authority has moved")
    return record


def _forget(wire: Wire, names: Names, fence: bytes | None) -> None:
    """Empty the returning store's log, if it has taken no write since the fence."""
    one(wire, "WATCH", names.authority)
    commands = [
        pack(("XTRIM", names.log, "MAXLEN", 0)),
        pack(("DEL", names.folded, names.folded_commands)),
    ]
    if one(wire, "GET", names.authority) != fence or _transaction(wire, commands) is None:
        raise Superseded("the authority has moved")


def _end_alone(endpoints: Mapping[Store, Endpoint], board: Board) -> None:
    """The cloud store's record decides again."""
    settled = board.authority.succeeded_by(Holder.LOCAL)
    for store in (Store.CLOUD, Store.LOCAL):
        endpoints[store].renew_record(settled)
    board.learn(settled, source=Store.LOCAL)


def _fence(local: Wire, endpoint: Endpoint, authority: Authority) -> None:
    """Writers that have not heard yet are refused from now on: their standing WATCH breaks."""
    names = endpoint.names
    one(local, "WATCH", names.authority)
    known = Authority.parse(one(local, "GET", names.authority))
    if known is not None and known.epoch >= authority.epoch:
        one(local, "UNWATCH")
        return
    record = authority.record
    if _transaction(local, [pack(("SET", names.authority, record)), pack(("PUBLISH", endpoint.moved, record))]) is None:
        raise Superseded("the authority has moved")


def _end_stream(local: Wire, cloud: Wire, names: Names) -> None:
    """Have the cloud store close the connection over which the local log was shipped: what is held up on its way would
    arrive after the merge, and count twice. A service without CLIENT KILL refuses."""
    before = one(local, "GET", names.stream)
    if before is not None and len(known := before.split()) == 2:
        cloud.exchange(pack(("CLIENT", "KILL", "ID", known[0], "ADDR", known[1])), 1)


def _sealed(cloud: Wire, names: Names, authority: Authority) -> tuple[Position, Position | None]:
    """How far the local log was surely shipped, and up to where it may have been, as the last shipper said in this
    epoch. Without its word, nothing is sure, and everything is possible (None)."""
    record = one(cloud, "GET", names.seal)
    if record is not None:
        epoch, place, *doubt = record.decode().split(" ")
        if int(epoch) == authority.epoch:
            return position(place), position(doubt[0]) if doubt else None
    return (0, 0), None


def _sent(local: Wire, names: Names) -> Position | None:
    """Up to where the log may have been sent, as the last stream said when the cloud store was lost before this one."""
    place = one(local, "GET", names.sent)
    return None if place is None else position(place)


def last_place(wire: Wire, log: bytes) -> Position:
    """Where the log ends, also when all of it was trimmed."""
    reply = wire.exchange(pack(("XINFO", "STREAM", log)), 1)[0]
    if isinstance(reply, Exception):
        return (0, 0)
    return position(dict(zip(reply[::2], reply[1::2], strict=True))[b"last-generated-id"])


def _logged(wire: Wire, log: bytes, place: Position, open_fields: list[Field]) -> Iterator[tuple[Group, Position]]:
    """The groups behind `place`, each with the place to go on from; an unfinished one stays in `open_fields`."""
    while True:
        entries = one(wire, "XRANGE", log, b"(" + position_text(place), "+", "COUNT", BATCH_ENTRIES)
        if entries:
            place = position(entries[-1][0])
        for group in groups(entries, open_fields):
            yield group, place
        if len(entries) < BATCH_ENTRIES:
            return


class _Tail:
    """What the returning store's log holds behind the seal. It stands still: that store is fenced.

    `spans_all`: it emptied the store, or copied it whole, so that every key is concerned.
    """

    def __init__(self, store: Store, wire: Wire, names: Names, sealed: Position, doubt: Position) -> None:
        self.store = store
        self.wire = wire
        self._log = names.log
        self._sealed = sealed
        self._doubt = doubt
        self._folded = folded(wire, names)
        self.keys = set(self._folded.keys)
        self.spans_all = self._folded.concerns_all
        for group in self.groups():
            self.keys.update(group.keys)
            self.spans_all |= group.empties or group.refills

    def groups(self) -> Iterator[Group]:
        return (group for group, _ in _logged(self.wire, self._log, self._sealed, []))

    def branch(self, left_out: set[bytes]) -> Branch:
        branch = Branch(left_out=left_out, doubt=self._doubt)
        branch.start_from(self._folded)
        for group in self.groups():
            branch.add(group)
        return branch

    def states(self, keys: list[bytes]) -> dict[bytes, KeyState | Absent]:
        return _states(self.wire, keys, self._log)


class _Merge:
    """Brings the tail to the authority, in the order of the keys, from where an interrupted merge has got to."""

    def __init__(
        self, tail: _Tail, end: Position, reader: Wire, writer: Wire, names: Names, record: bytes | None, keep: Keep
    ) -> None:
        self._tail = tail
        self._end = position_text(end)
        self._reader = reader
        self._writer = writer
        self._names = names
        self._record = record
        self._keep = keep
        self._can = capabilities_of(reader)
        self._seen_to: Position = (0, 0)
        self._open_fields: list[Field] = []
        self._theirs = Branch(None if tail.spans_all else tail.keys)
        self._theirs.start_from(folded(reader, names))
        self._look()
        self._left_out = set(self._theirs.marks)
        self._ours = tail.branch(self._left_out)
        self._again: dict[bytes, list[bytes]] = {}
        self.archived = 0

    def run(self) -> None:
        done = self._done_to()
        keys = sorted(key for key in self._concerned() if done is None or key > done)
        self.again([key for key in keys if self.decided(key) is Decision.AGAIN])
        for start in range(0, len(keys), BATCH_KEYS):
            if not self._keep():
                raise Superseded("the shipper's lease was lost during the merge")
            self._merge(keys[start : start + BATCH_KEYS])
        if self.archived:
            trim_archive(self._reader, self._names)

    def _concerned(self) -> set[bytes]:
        keys = set(self._tail.keys)
        if self._tail.spans_all:
            for wire in (self._tail.wire, self._reader):
                keys.update(_all_keys(wire))
        return keys

    def _done_to(self) -> bytes | None:
        """The last key that was merged already, of this very tail; keys are merged in order."""
        end, _, key = (one(self._reader, "GET", self._names.merged) or b"").partition(b" ")
        return bytes(key) if end == self._end else None

    def _look(self) -> None:
        """Take in what was written on the authority since the last look; its log was empty when it took over."""
        for group, place in _logged(self._reader, self._names.log, self._seen_to, self._open_fields):
            self._theirs.add(group)
            self._seen_to = place

    def _merge(self, keys: list[bytes]) -> None:
        ours, before = self._tail.states(keys), self._done_to()
        hot: set[bytes] = set()
        for _ in range(TRIES):
            guarded = self._to_guard(keys, hot)
            # WATCH first, then look who wrote: what is written after the look breaks the transaction.
            one(self._writer, "WATCH", self._names.authority, self._names.merged, *guarded)
            self._look()
            if one(self._reader, "GET", self._names.authority) != self._record:
                raise Superseded("the authority has moved")
            if self._done_to() != before:
                raise Superseded("another shipper has taken over the merge")
            if not guarded >= self._to_guard(keys, hot):
                continue  # the clocks differ: a key that needed no guard does now
            seen = {key: self._theirs.of(key) for key in keys}
            seen_at = {key: known.last for key, known in seen.items() if known}
            plan = _Plan(self, keys, ours)
            replies = _transaction(self._writer, [*plan.commands, self._mark(keys[-1])])
            if replies is not None:
                self.archived += plan.conflicts
                self._archive_refused(plan, ours, replies)
                return
            self._look()
            hot |= {key for key in keys if (known := self._theirs.of(key)) and known.last != seen_at.get(key)}
        raise HybridError(
            f"the {self._tail.store} store's last writes could not be merged: their keys never stood still"
        )

    def _to_guard(self, keys: list[bytes], hot: set[bytes]) -> set[bytes]:
        """The keys that nobody may write meanwhile: those whose value is replaced, and those that commands are applied
        to again. A key that never stands still goes without in the latter case: all that was done to it commutes."""
        guards = (Decision.COPY, Decision.KEEP_RETURNING, Decision.AGAIN)
        decided = {key: self.decided(key) for key in keys}
        return {key for key, what in decided.items() if what in guards and not (what is Decision.AGAIN and key in hot)}

    def _mark(self, key: bytes) -> bytes:
        return pack(("SET", self._names.merged, self._end + b" " + key))

    def _archive_refused(self, plan: _Plan, ours: Mapping[bytes, KeyState | Absent], replies: list[Any]) -> None:
        """A command that one store took and the other does not (a sum too large, say) leaves a conflict."""
        refused = {key for key, at in plan.repeated if isinstance(replies[at], Exception)}
        if refused:
            late = _Plan(self, sorted(refused), ours, settle=True)
            _transaction(self._writer, late.commands)
            self.archived += late.conflicts

    def footprints(self, key: bytes) -> tuple[Footprint | None, Footprint | None]:
        return self._ours.of(key), self._theirs.of(key)

    def decided(self, key: bytes) -> Decision:
        return decision(*self.footprints(key))

    def hides_a_sum(self, key: bytes) -> bool:
        return hides_a_sum(*self.footprints(key))

    def again(self, keys: list[bytes]) -> dict[bytes, list[bytes]]:
        """The commands to apply again. The tail is read once, and once more for keys that are written meanwhile."""
        if missing := [key for key in keys if key not in self._again]:
            theirs = {key: self._theirs.of(key) for key in missing}
            self._again |= again(self._tail.groups(), theirs, self._left_out)
        return {key: self._again[key] for key in keys}

    def states(self, keys: list[bytes]) -> dict[bytes, KeyState | Absent]:
        return _states(self._reader, keys, self._names.log)

    def put(self, key: bytes, state: KeyState | Absent) -> list[bytes]:
        """The commands that put the state in one transaction; chunks of a large one are sent ahead."""
        plan = plan_put(
            key,
            state,
            temporary_key(key),
            field_ttl=self._can.has_field_ttl,
            stream_counters=self._can.has_stream_counters,
        )
        *filling, last = plan
        for commands in filling:
            for command in commands:
                one(self._reader, *command)
        return [pack(command) for command in last]

    def conflict(self, key: bytes, lost: KeyState | Absent, kept: KeyState | Absent, *, returning_won: bool) -> bytes:
        """The command that archives the value that lost."""
        ours, theirs = self.footprints(key)
        returning = self._tail.store
        prints = {returning: ours, returning.other: theirs}
        loser = returning.other if returning_won else returning

        def side(store: Store, state: KeyState | Absent) -> Side:
            known = prints[store] or Footprint()
            by = (known.token or b"").decode(errors="replace")
            return Side(store, put_of(key, state, self._can), known.last[0] or None, by)

        why = "written on both stores while they were apart; the newer value was kept"
        return archive_command(self._names, Conflict("", key, side(loser, lost), side(loser.other, kept), why))

    def log_archive(self) -> bytes:
        """The archive goes to the returning store as any key does."""
        return pack(("XADD", self._names.log, "*", "s", self._names.conflicts))


class _Plan:
    """The commands for one batch of keys. `repeated`: at which places what was applied again stands, and of which key.

    With `settle`, every key is settled as a conflict that the authority's value wins.
    """

    def __init__(
        self, merge: _Merge, keys: list[bytes], ours: Mapping[bytes, KeyState | Absent], settle: bool = False
    ) -> None:
        self.commands: list[bytes] = []
        self.repeated: list[tuple[bytes, int]] = []
        self.conflicts = 0
        decisions = {key: Decision.KEEP_AUTHORITY if settle else merge.decided(key) for key in keys}
        for key, commands in merge.again([key for key in keys if decisions[key] is Decision.AGAIN]).items():
            self.repeated += [(key, len(self.commands) + number) for number in range(len(commands))]
            self.commands += commands
        contested = [key for key in keys if decisions[key] in (Decision.KEEP_AUTHORITY, Decision.KEEP_RETURNING)]
        theirs = merge.states(contested) if contested else {}
        for key in keys:
            if decisions[key] is Decision.COPY:
                self.commands += merge.put(key, ours[key])
            elif key in theirs and (merge.hides_a_sum(key) or not same(ours[key], theirs[key])):
                self._settle(merge, key, decisions[key], ours[key], theirs[key])
        if self.conflicts:
            self.commands.append(merge.log_archive())

    def _settle(
        self, merge: _Merge, key: bytes, decided: Decision, ours: KeyState | Absent, theirs: KeyState | Absent
    ) -> None:
        self.conflicts += 1
        if decided is Decision.KEEP_RETURNING:
            self.commands += [*merge.put(key, ours), merge.conflict(key, theirs, ours, returning_won=True)]
        else:
            self.commands.append(merge.conflict(key, ours, theirs, returning_won=False))


def _states(wire: Wire, keys: list[bytes], log: bytes) -> dict[bytes, KeyState | Absent]:
    return {key: state for key, (state, _) in read_states(wire, keys, log_key=log).items()}


def _all_keys(wire: Wire) -> Iterator[bytes]:
    cursor = b"0"
    while True:
        cursor, keys = one(wire, "SCAN", cursor, "COUNT", BATCH_ENTRIES)
        yield from (key for key in keys if not key.startswith(RESERVED))
        if cursor == b"0":
            return


def _transaction(wire: Wire, commands: list[bytes]) -> list[Any] | None:
    """Run packed commands as one transaction; None when something watched has changed."""
    payload = b"".join([pack(("MULTI",)), *commands, pack(("EXEC",))])
    timeout_s = 1.0 + len(payload) / SLOWEST_BYTES_S
    replies = wire.exchange(payload, len(commands) + 2, timeout_s=timeout_s)
    if isinstance(replies[-1], Exception):
        raise HybridError(str(next((reply for reply in replies if isinstance(reply, Exception)), replies[-1])))
    ran: list[Any] | None = replies[-1]
    return ran
