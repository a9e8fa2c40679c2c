"""A stream begins by copying: the state of every key that the log names, or of all keys where the other store lost
its data. Copying twice does no harm, so nothing needs to be remembered of the stream before."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from secrets import token_hex
from typing import Any, Final

from hybrid import events
from hybrid.core.authority import Position, before, position, position_text
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.folding import Folded, forgotten
from hybrid.core.names import RESERVED
from hybrid.core.refusals import Refusal, reason_of, refusal_of
from hybrid.core.resp import pack
from hybrid.core.shipping import Field, Group, failed, groups
from hybrid.core.state import Absent, KeyState, check_field_ttl
from hybrid.core.state_replies import place_in
from hybrid.errors import CommandRefused, HybridError
from hybrid.replication.archive_copy import extend_archive
from hybrid.replication.copied import Copied
from hybrid.replication.copy import put_commands, read_states, temporary_key
from hybrid.replication.endings import TargetLost, log_unreadable
from hybrid.replication.fold import ask_folded, folded
from hybrid.replication.growth import measured
from hybrid.replication.keyless import judge_run_again
from hybrid.replication.packed_copy import PackedCopy
from hybrid.replication.stream import CLOSE_MS, Stream
from hybrid.replication.tail import ask_place
from hybrid.stores.pipe import ignore
from hybrid.types import Store, StoreState

__all__ = ["CatchUp"]

MARK_REFILLED: Final = (
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return false end "
    "redis.call('SET',KEYS[2],ARGV[3]) return redis.call('SET',KEYS[1],ARGV[2])"
)
"""One that was emptied meanwhile lacks what was copied before, also where somebody has begun anew on it."""

BATCH_KEYS: Final = 200
LISTED_KEYS: Final = 1000
FORGET_KEYS: Final = 2000
COPIED_KEYS: Final = 10_000
"""Of many keys so many are copied before it is noted that they are: to wait for the last of them takes a round trip."""

FEW_KEYS: Final = 1000
"""What busy writers have on their way at a time: copying it takes moments."""

LATE_S: Final = 2.0
"""What is held up for longer on its way to a service is left to the periodic sync."""

MOST_REFUSED: Final = 1000
"""More keys than that are not the keys' fault."""
PACKED_FROM_KEYS: Final = 100
"""Whether dumps can be used takes two round trips to find out: not worth it for a few keys that writers wait for."""


class CatchUp:
    """Copies keys over `stream`.

    `copied` says how far the copied states reach. `open_fields` holds a group whose last entry was not read yet.
    `refused` are keys that the other store could not take; they are tried again when a stream begins, and when they are
    written. `packed` copies many keys at once.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.copied = Copied(stream)
        self.open_fields: list[Field] = []
        self.refused: set[bytes] = set()
        self.packed = PackedCopy(stream, self.copied)
        self._late = stream.endpoints[stream.target].late

    def run(self) -> None:
        """Copy what the log names up to its end now."""
        stream, names = self._stream, self._stream.names
        wiped = stream.refills = stream.board.is_wiped(stream.target)
        goes_on = stream.opening.is_clean and not wiped
        # What the stream before this one has noted of what it sent holds no longer from here on.
        first = ("DEL", names.sent), ("HKEYS", names.refused)
        _, refused, *found = self._asked(*first, *(() if wiped or goes_on else self._about_log()))
        self.refused = set(refused)
        if goes_on:
            self._go_on()
            return
        if wiped:
            self.hydrate()
            found = self._asked(*self._about_log())
        stream.opening.check_source(found[-1])
        tail, missed = place_in(found[0]), folded(stream.states, names, (found[1], found[2]))
        was_folded = bool(missed.keys or missed.commands or missed.concerns_all)
        for group in self._logged_until(tail, found[3]):
            missed.add(group)
            stream.shipped.note(group.token)
        stream.maybe_to, stream.accounts_for_all = tail, True
        self._make_good(missed)
        self._late |= dict.fromkeys(islice(missed.keys, FEW_KEYS), time.monotonic() + LATE_S)
        if not wiped:
            self.copy(self.refused - missed.keys.keys())
        if was_folded:
            for key in (names.folded, names.folded_commands):
                self._forget(stream.lease.doing("UNLINK", key))
        stream.live_from = stream.sent_to = tail
        stream.read_to = position_text(tail)
        is_recent = time.monotonic() - self.copied.noted_s < CLOSE_MS / 1000
        end = self.copied.to if is_recent else place_in(*self._asked(ask_place(names.log)))
        stream.at_end = end <= tail
        if wiped:
            # Without the record nobody could claim the authority for the refilled store, should the other one be lost.
            stream.push(pack(("SET", names.authority, stream.board.authority.record, "NX")), 1, stream.accepted)
            # With its mark it names its partner: one that has a mark, and names nobody, was begun anew.
            marks = mark, _ = token_hex(8), stream.opening.source_mark
            marked = ("EVAL", MARK_REFILLED, 2, names.identity, names.partner, OUTDATED, *marks)
            stream.push(pack(marked), 1, partial(self._refilled, mark))
        stream.push_advance(tail)
        stream.flush()

    def copy_again(self) -> None:
        """What a stream before this one had on its way may have arrived behind the copies, where the other store ends
        no connection: of the first keys in the log, as many as are on their way at a time, the state goes once more."""
        late, now_s = self._late, time.monotonic()
        if late and min(late.values()) <= now_s:
            keys = [key for key, due_s in late.items() if due_s <= now_s]
            if not self._stream.endpoints[self._stream.target].ends_connections:
                self.copy(keys)
            for key in keys:
                del late[key]

    def _refilled(self, mark: str, replies: list[Any]) -> None:
        """What was set at the beginning is gone if the store was emptied again meanwhile: then it lacks what had been
        copied before. The source names it, so that whoever meets it without data knows that it had some."""
        stream = self._stream
        stream.accepted(replies)
        if replies[0] is None:
            raise TargetLost
        stream.control.push(stream.lease.doing("SET", stream.names.partner, mark), 1, ignore)
        stream.control.flush()

    def _make_good(self, missed: Folded) -> None:
        """Bring everything over that the other store has missed."""
        stream = self._stream
        if missed.refilled is not None:
            self.hydrate()
        if missed.emptied is not None:
            self.empty()
        self._push_again(missed.commands)
        if missed.keys and not self._is_brief(missed):
            stream.fall_behind()
            if not stream.board.refusal(stream.target):  # or else each try would push the refusal out of sight
                stream.board.events.emit(events.CatchingUp(store=stream.target, keys=len(missed.keys)))
        keys = iter(missed.keys)
        while some := list(islice(keys, COPIED_KEYS)):
            self.copy(some)
            # A link that breaks again and again still gets on.
            for start in range(0, len(some), FORGET_KEYS):
                done = forgotten(some[start : start + FORGET_KEYS])
                self._forget(stream.lease.doing("HDEL", stream.names.folded, *done))

    def _is_brief(self, missed: Folded) -> bool:
        """Whether the cloud store lacks only what was on its way when the stream before this broke. It stays in use:
        writers go on waiting for it, for were the local store lost now, what they take for confirmed would be gone."""
        is_whole = missed.refilled is not None or self._stream.refills
        return not is_whole and self._stays_in_use(len(missed.keys))

    def _stays_in_use(self, lacks: int) -> bool:
        board, target = self._stream.board, self._stream.target
        may_be_up = board.state(target) is StoreState.UP or board.awaits_word
        return target is Store.CLOUD and may_be_up and lacks <= FEW_KEYS

    def _forget(self, command: bytes) -> None:
        """What was folded is on the other store, once all that was pushed is answered."""
        control = self._stream.control
        self._stream.push(b"", 0, lambda _: control.push(command, 1, ignore))

    def _go_on(self) -> None:
        """Nothing is in doubt: what stands in the log is new, and what was trimmed from it has arrived. The other store
        counts as caught up once it has answered what it was asked when the stream was opened."""
        stream, log, ask_marks = self._stream, self._stream.names.log, self._stream.names.ask_marks
        first = ("XRANGE", log, "-", "+", "COUNT", 1)
        described, entries, waiting, marks = self._asked(ask_place(log), first, ("XLEN", log), ask_marks)
        stream.opening.check_source(marks)
        stream.live_from = (0, 0)
        stream.sent_to = before(position(entries[0][0])) if entries else place_in(described)
        stream.accounts_for_all = True
        stream.push_advance(stream.sent_to)
        if not entries:
            stream.read_to, stream.at_end = position_text(stream.sent_to), True
        elif stream.now_ms() - position(entries[0][0])[0] < CLOSE_MS:
            stream.push(b"", 0, lambda _: stream.come_close())
        elif not self._stays_in_use(waiting):
            stream.fall_behind()
        stream.flush()

    def _asked(self, *commands: tuple[Any, ...]) -> list[Any]:
        """The source's replies. Only that there is no log yet is no error."""
        replies = self._stream.states.exchange(b"".join(map(pack, commands)), len(commands))
        for number, (command, reply) in enumerate(zip(commands, replies, strict=True)):
            if isinstance(reply, Exception) and command[0] != "XINFO":
                if command[0] != "XRANGE" or not self._stream.reads_fewer(reply):
                    raise log_unreadable(reply)
                [replies[number]] = self._asked((*command[:-1], self._stream.batch_entries))
        return replies

    def _about_log(self) -> tuple[tuple[Any, ...], ...]:
        """The questions about the log, and for the first of its entries. Of large ones fewer are read at a time; to ask
        the cloud store for their size takes a round trip, and is billed."""
        stream, names = self._stream, self._stream.names
        if stream.source is Store.LOCAL:
            stream.batch_entries = measured(stream.states, names).page(stream.batch_entries)
        return ask_place(names.log), *ask_folded(names), self._entries_from(b"-"), names.ask_marks

    def _entries_from(self, place: bytes) -> tuple[Any, ...]:
        return ("XRANGE", self._stream.names.log, place, "+", "COUNT", self._stream.batch_entries)

    def _logged_until(self, tail: Position, entries: list[Any]) -> Iterator[Group]:
        """The groups up to `tail`; `entries` are the first of the log."""
        while True:
            known = [entry for entry in entries if position(entry[0]) <= tail]
            yield from groups(known, self.open_fields)
            if len(known) < self._stream.batch_entries:
                self.open_fields.clear()
                return
            self._stream.keep_going()
            [entries] = self._asked(self._entries_from(b"(" + entries[-1][0]))

    def push_keyless(self, group: Group) -> None:
        """What changes something other than keys has no state to copy, and is replayed in any case."""
        self._push_again(group.keyless)

    def _push_again(self, commands: Iterable[bytes]) -> None:
        for packed in commands:
            self._stream.push(packed, 1, partial(self._pushed_again, packed))

    def _pushed_again(self, packed: bytes, replies: Sequence[Any]) -> None:
        judge_run_again(packed, failed(replies), self._stream.target, self._stream.board)

    def empty(self) -> None:
        """The source was emptied. A cluster has no script for that: there, key by key, what stands on it is made the
        same as on the source, where by now some of it may have been written again."""
        if not self._stream.capabilities.is_cluster:
            self._stream.push_flush()
            self.copied.places.clear()
            self.copied.lasting.clear()
            return
        self._copy_all(self._listed_by_target())

    def hydrate(self) -> None:
        """Make the other store the same as the source, key by key: it lost its data, is too old to tell what it
        lacks, or was left out for a while. What is written meanwhile is in the log."""
        stream = self._stream
        stream.await_replies()
        with stream.target_errors():
            known = stream.opening.target_has_mark()
            if stream.refills:
                # Whoever meets it half filled, when all who refill it have died, is to go on.
                outdated = ("SET", stream.names.identity, OUTDATED, "XX" if known else "NX")
                marked = stream.pipe.wire.exchange(pack(outdated), 1)
        if stream.refills:
            stream.accepted(marked)
            if marked[0] is None:
                raise TargetLost  # somebody has begun anew on it
        self._push_again(self._libraries())
        copied = self._copy_all(self._listed_by_target()) if known else 0
        copied += self._copy_all(self._listed_by_source())
        self.copy((stream.names.conflicts,))
        self._check_source()  # a listing that a wipe has cut short is no whole one
        stream.board.events.emit(events.CatchingUp(store=stream.target, keys=copied))

    def _libraries(self) -> list[bytes]:
        """The packed commands that load the source's functions; none where it has none, or does not tell."""
        found = self._stream.states.exchange(pack(("FUNCTION", "LIST", "WITHCODE")), 1)[0]
        if isinstance(found, Exception):
            return []
        facts = (dict(zip(library[::2], library[1::2], strict=True)) for library in found)
        return [pack(("FUNCTION", "LOAD", "REPLACE", each[b"library_code"])) for each in facts]

    def _copy_all(self, pages: Iterable[list[bytes]]) -> int:
        """Copy the keys of these pages; one that the source lacks is deleted. The result is how many there were."""
        copied = 0

        def listed() -> Iterator[bytes]:
            nonlocal copied
            for page in pages:
                keys = [key for key in page if not key.startswith(RESERVED)]
                copied += len(keys)
                yield from keys

        self._copy(listed())
        return copied

    def _listed_by_target(self) -> Iterator[list[bytes]]:
        stream, cursor = self._stream, None
        while cursor != b"0":
            stream.await_replies()
            with stream.target_errors():
                cursor, keys = stream.pipe.wire.exchange(_page(cursor or b"0"), 1)[0]
            yield keys

    def _listed_by_source(self) -> Iterator[list[bytes]]:
        """Asks for the next page before the last one is copied: over a link that takes a round trip."""
        lister, cursor = self._stream.another_to_source(), b"0"
        lister.send(_page(cursor))
        while True:
            cursor, keys = lister.receive(1)[0]
            if cursor != b"0":
                lister.send(_page(cursor))
            yield keys
            if cursor == b"0":
                return

    def copy(self, keys: Iterable[bytes]) -> None:
        """Put the state of `keys` on the other store, and remember up to which place of the log it reaches."""
        waiting, stream = list(keys), self._stream
        if stream.names.conflicts in waiting and extend_archive(stream, self.copied):
            waiting.remove(stream.names.conflicts)
        self._copy(waiting)

    def _copy(self, keys: Iterable[bytes]) -> None:
        """As `copy`; keys are asked for when it is their turn."""
        waiting = iter(keys)
        first = list(islice(waiting, PACKED_FROM_KEYS))
        if first:
            self._stream.flush()
        if self.packed.works or len(first) == PACKED_FROM_KEYS:
            for some in self.packed.copy(chain(first, waiting)):
                self._copy_by_type(some)
        else:
            self._copy_by_type(first)

    def _copy_by_type(self, keys: list[bytes]) -> None:
        stream = self._stream
        for start in range(0, len(keys), BATCH_KEYS):
            stream.keep_going()
            snapshots = self._read_states(keys[start : start + BATCH_KEYS])
            if any(isinstance(state, Absent) for state, _ in snapshots.values()):
                self._check_source()
            places = {key: position(place) for key, (_, place) in snapshots.items()}
            self.copied.note(places, max(places.values()))
            for key, (state, _) in snapshots.items():
                self.copied.see(key, state)
                self._put(key, state)
            stream.flush()

    def _check_source(self) -> None:
        """Raises NotSent when the source has lost its data."""
        stream = self._stream
        stream.opening.check_source(stream.states.exchange(pack(stream.names.ask_marks), 1)[0])

    def _put(self, key: bytes, state: KeyState | Absent) -> None:
        stream, temporary = self._stream, temporary_key(key)
        try:
            check_field_ttl(state, field_ttl=stream.capabilities.has_field_ttl)
            *filling, last = put_commands(key, state, stream.capabilities, temporary)
        except CommandRefused as refused:
            self._refuse(key, refused.reason)
            return
        if filling:
            refusals: list[Exception] = []
            for commands in filling:
                stream.push_group(commands, lambda replies: refusals.extend(filter(None, (failed(replies),))))
            # A large value is swapped in only once all of it has arrived.
            stream.await_replies()
            if refusals:
                stream.push(pack(("UNLINK", temporary)), 1, ignore)
                self._answered(key, refusals)
                return
        stream.push_group(last, partial(self._answered, key))

    def _answered(self, key: bytes, replies: Sequence[Any]) -> None:
        """One key that the other store cannot hold must not keep all others from it: it is noted, and reported."""
        error = failed(replies)
        if error is None:
            if key in self.refused:
                self.refused.discard(key)
                self._note("HDEL", key)
        elif refusal_of(error) is Refusal.THIS_KEY and len(self.refused) < MOST_REFUSED:
            self._refuse(key, error)
        else:
            raise HybridError(str(error))

    def _refuse(self, key: bytes, error: object) -> None:
        stream, reason = self._stream, reason_of(error)
        if key not in self.refused:
            stream.board.events.emit(events.KeyRefused(store=stream.target, key=key, reason=reason))
        self.refused.add(key)
        self._note("HSET", key, reason[:200])

    def _note(self, command: str, *args: bytes | str) -> None:
        stream = self._stream
        stream.control.push(stream.lease.doing(command, stream.names.refused, *args), 1, ignore)

    def _read_states(self, keys: list[bytes]) -> dict[bytes, Any]:
        with self._stream.source_errors():
            return read_states(self._stream.snapshots, keys, log_key=self._stream.names.log)


def _page(cursor: bytes) -> bytes:
    return pack(("SCAN", cursor, "COUNT", LISTED_KEYS))
