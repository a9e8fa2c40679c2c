"""One stream from the authority's log to the other store: catch up by copying, then follow by replaying.

    read the log ──> groups ──> replay, or copy the state of the keys ──> pipe to the other store
                                                                             │ replies, in order
    trim the log, tell everyone how far  <──  applied  <─────────────────────┘

The log is trimmed as it is applied, so what stands in it is exactly what may be missing on the other store: a stream
begins by copying the state of every key that the log names. Nothing else needs to be remembered.
"""

from __future__ import annotations

import re
import select
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from enum import Enum
from functools import partial
from typing import Any, Final

import redis

from hybrid import events
from hybrid.core.authority import Authority, Holder, Position, position, position_text
from hybrid.core.health import Evidence
from hybrid.core.names import RESERVED, Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.core.scripts import FLUSH_SCRIPT
from hybrid.core.shipping import Field, Group, failed, groups, plan
from hybrid.core.tokens import Shipped
from hybrid.core.transaction import FLUSH_S
from hybrid.errors import HybridError
from hybrid.replication.bell import Bell
from hybrid.replication.board import Board
from hybrid.replication.copy import plan_put as put_plan
from hybrid.replication.copy import read_states, temporary_key
from hybrid.replication.lease import RENEW_S, Lease
from hybrid.replication.messages import Progress, Word
from hybrid.replication.packed_copy import LOAD_RESTORE, PACKED_KEYS, can_pack, dump_command, packed_of, restore_command
from hybrid.replication.rejoin import last_place
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.pipe import Pipe
from hybrid.stores.wire import Wire
from hybrid.types import Store, StoreState

__all__ = ["Forwarder", "Outcome"]

BATCH_ENTRIES: Final = 500
BATCH_KEYS: Final = 200
WINDOW_BYTES: Final = 1024 * 1024
WINDOW_COMMANDS: Final = 20_000
BLOCK_MS: Final = 250
VOLATILE_HASHES: Final = 100_000
LINGER_S: Final = 0.002
CLOSE_MS: Final = 200
TRIM_S: Final = {Store.LOCAL: 0.005, Store.CLOUD: 1.0}
SLOWEST_BYTES_S: Final = 1_000_000
"""A link slower than this counts as silent while much is on its way. With the window, it bounds how late a command can
still arrive, which must stay below the expiry guard."""

_IDENTITY = re.compile(rb"id=(\d+) addr=(\S+)")
_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))


class Outcome(Enum):
    """Why a stream ended."""

    BROKEN = "the other store was lost"
    LEASE_LOST = "the lease ran out"
    MOVED = "the authority moved"
    CLOSED = "the client closes"


class _TargetLost(Exception):
    """The other store failed; what was on the way to it is in doubt."""


class _Ended(Exception):
    """The stream has to end, for the reason `outcome`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


class _ByState:
    """Groups of a batch that go by state, not copied yet: their keys, the place of the last one, their tokens."""

    def __init__(self) -> None:
        self.keys: dict[bytes, None] = {}
        self.place: Position | None = None
        self.tokens: list[bytes | None] = []

    def add(self, group: Group, keys: Iterable[bytes]) -> None:
        self.keys.update(dict.fromkeys(keys))
        self.place = group.place
        self.tokens.append(group.token)

    def clear(self) -> None:
        self.keys, self.place, self.tokens = {}, None, []


class Forwarder:
    """Ships `source`'s log to the other store; single-threaded; `run` returns when the stream ends.

    Raises NotSent or ReplyLost when the source is lost, HybridError when the other store refuses what it is sent.
    """

    def __init__(
        self,
        endpoints: Mapping[Store, Endpoint],
        source: Store,
        names: Names,
        board: Board,
        lease: Lease,
        control: Wire,
    ) -> None:
        self._endpoints = endpoints
        self._source = source
        self._target_store = source.other
        self._names = names
        self._board = board
        self._lease = lease
        self._control = Pipe(control)
        self._acks = board.acks[source]
        self._skip: dict[bytes, Position] = {}
        self._open_fields: list[Field] = []
        self._failed_groups: deque[Group] = deque()
        self._holds: deque[Position] = deque()
        self._applied: Position = (0, 0)
        self._beyond_hold: Position = (0, 0)
        self._announced: Position = (0, 0)
        self._announced_s = 0.0
        self._said_s = time.monotonic()
        self._flushing = 0
        self._read_to = b"0-0"
        self._live_from: Position | None = None
        self._live = False
        self._at_end = False
        self._shipped = Shipped()
        self._volatile: set[bytes] = set()
        self._packs: bool | None = None
        self._bell = Bell()

    def run(self) -> Outcome:
        """Open the connections, catch up, follow. Always leaves the control wire with no reply outstanding."""
        source = self._endpoints[self._source]
        wires: list[Wire] = []
        self._board.bells.add(self._bell)
        try:
            self._reader = source.connect_raw()
            wires.append(self._reader)
            self._states = source.connect_raw()
            wires.append(self._states)
            with self._target_errors():
                target = self._endpoints[self._target_store]
                wires.append(target.connect_raw())
                self._capabilities = target.known_capabilities(wires[2])
            self._target = Pipe(wires[2])
            self._end_previous_stream()
            return self._stream()
        except _TargetLost:
            self._fall_behind()
            return Outcome.BROKEN
        finally:
            self._board.bells.discard(self._bell)
            self._bell.close()
            for wire in wires:
                wire.disconnect()

    def _end_previous_stream(self) -> None:
        """Have the server close the connection of the stream before this one: what is still on its way there would
        arrive after the copies of this one, and undo them. A service without CLIENT KILL refuses; there, only the
        pause until the lease had run out protects."""
        before = self._states.exchange(pack(("GET", self._names.stream)), 1)[0]
        if isinstance(before, bytes) and len(known := before.split()) == 2:
            # Numbers begin anew when a server restarts; with the address, only the very connection can be meant.
            self._push(pack(("CLIENT", "KILL", "ID", known[0], "ADDR", known[1])), 1, _ignore)

        self._push(pack(("CLIENT", "INFO")), 1, self._remember_connection)
        if self._target_store is Store.LOCAL:
            self._await_replies()

    def _remember_connection(self, replies: list[Any]) -> None:
        if isinstance(replies[0], bytes) and (mine := _IDENTITY.match(replies[0])):
            self._control.push(pack(("SET", self._names.stream, b" ".join(mine.groups()))), 1, _ignore)
            self._control.flush()

    def _stream(self) -> Outcome:
        self._offset_ms = self._server_ms() - time.monotonic() * 1000
        try:
            self._catch_up()
            self._follow()
        except _Ended as end:
            if end.outcome is Outcome.MOVED and self._source is Store.LOCAL and self._drained():
                self._seal()
            self._settle_control()
            return end.outcome
        except (NotSent, ReplyLost):
            if self._source is Store.LOCAL and self._drained() and self._is_source_lost():
                # Whoever waits for the last entries needs to know how far they got, once the authority has moved.
                self._board.wait_until_moved(Store.CLOUD, 1.0)
                self._seal()
            raise
        raise AssertionError("following a log has no end of its own")

    # -- catching up: everything the log names, by state

    def _catch_up(self) -> None:
        wiped = self._board.state(self._target_store) is StoreState.WIPED
        if wiped:
            self._hydrate()
        tail = last_place(self._states, self._names.log)
        dirty: dict[bytes, None] = {}
        tokens: list[bytes | None] = []
        for group in self._logged_until(tail):
            if group.refills:
                self._hydrate()
                dirty.clear()
            if group.empties:
                self._push_flush()
                dirty.clear()
            dirty.update(dict.fromkeys(group.keys))
            tokens.append(group.token)
            self._push_keyless(group)
        if dirty:
            self._say(Word.BEHIND)
            self._board.observe(self._target_store, Evidence.BEHIND)
            self._board.events.emit(events.CatchingUp(store=self._target_store, keys=len(dirty)))
        self._copy(dirty)
        for token in tokens:
            self._shipped.note(token)
        self._live_from = tail
        self._read_to = position_text(tail)
        self._at_end = last_place(self._states, self._names.log) == tail
        self._push(b"", 0, lambda _: self._advance(tail))
        if wiped:
            self._push(pack(("SET", self._names.identity, self._lease.holder, "NX")), 1, self._accepted)
        self._flush()

    def _logged_until(self, tail: Position) -> Iterator[Group]:
        place = b"-"
        while True:
            command = ("XRANGE", self._names.log, place, position_text(tail), "COUNT", BATCH_ENTRIES)
            entries = self._states.exchange(pack(command), 1)[0]
            if isinstance(entries, Exception):
                raise HybridError(f"the replication log cannot be read: {entries}")
            yield from groups(entries, self._open_fields)
            if len(entries) < BATCH_ENTRIES:
                self._open_fields.clear()
                return
            place = b"(" + entries[-1][0]
            self._keep_going()

    def _hydrate(self) -> None:
        """Make the other store the same as the source, key by key: it lost its data, is too old to tell what it
        lacks, or was left out for a while. What is written meanwhile is in the log."""
        self._await_replies()
        with self._target_errors():
            known = self._target.wire.exchange(pack(("EXISTS", self._names.identity)), 1)[0]
        copied = self._copy_all(self._target.wire) if known else 0
        copied += self._copy_all(self._states)
        self._board.events.emit(events.CatchingUp(store=self._target_store, keys=copied))

    def _copy_all(self, listed: Wire) -> int:
        """Copy every key that stands on the store behind `listed`; one that the source lacks is deleted."""
        cursor, copied = b"0", 0
        while True:
            if listed is self._target.wire:
                self._await_replies()
            with self._target_errors() if listed is self._target.wire else nullcontext():
                cursor, keys = listed.exchange(pack(("SCAN", cursor, "COUNT", BATCH_KEYS)), 1)[0]
            keys = [key for key in keys if not key.startswith(RESERVED)]
            self._copy(keys)
            copied += len(keys)
            if cursor == b"0":
                return copied

    def _copy(self, keys: Iterable[bytes]) -> None:
        """Put the state of `keys` on the other store, and remember up to which place of the log it reaches."""
        waiting = list(keys)
        if waiting:
            self._flush()
            waiting = self._copy_packed(waiting)
        for start in range(0, len(waiting), BATCH_KEYS):
            self._keep_going()
            snapshots = self._read_states(waiting[start : start + BATCH_KEYS])
            for key, (state, place) in snapshots.items():
                groups_of_commands = put_plan(
                    key,
                    state,
                    temporary_key(),
                    field_ttl=self._capabilities.has_field_ttl,
                    stream_counters=self._capabilities.has_stream_counters,
                )
                *filling, last = groups_of_commands
                for commands in filling:
                    self._push_group([pack(command) for command in commands])
                if filling:
                    # A large value is swapped in only once all of it has arrived.
                    self._await_replies()
                self._push_group([pack(command) for command in last])
                self._skip[key] = position(place)
            self._flush()

    def _copy_packed(self, keys: list[bytes]) -> list[bytes]:
        """Copy what can go as dumps, many keys in a step; the result is left to be copied by type."""
        if self._packs is None and keys:
            self._packs = self._try_packing()
        waiting: deque[bytes] = deque(keys)
        by_type: list[bytes] = []
        while waiting and self._packs is not False:
            self._keep_going()
            some = [waiting.popleft() for _ in range(min(PACKED_KEYS, len(waiting)))]
            reply = self._states.exchange(dump_command(self._names.log, some), 1)[0]
            if isinstance(reply, Exception):
                self._packs = False  # no such script or command there
                waiting.extendleft(reversed(some))
                break
            packed = packed_of(some, reply)
            waiting.extendleft(reversed(packed.rest))
            by_type += packed.left
            if packed.keys:
                self._skip.update(dict.fromkeys(packed.keys, packed.place))
                self._push(restore_command(packed.values), 1, self._accepted)
                self._flush()
        return [*by_type, *waiting]

    def _read_states(self, keys: list[bytes]) -> dict[bytes, Any]:
        try:
            return read_states(self._states, keys, log_key=self._names.log)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise ReplyLost(str(error), silent=isinstance(error, redis.TimeoutError)) from None

    # -- following: new entries, replayed in order

    def _follow(self) -> None:
        self._ask_for_more()
        busy = False
        while True:
            self._keep_going()
            self._settle_failed()
            if self._live and self._source is Store.CLOUD and not self._board.authority.held:
                self._hand_back()
                continue
            if busy:
                # Many small batches would cost the application's threads more (each wakes this one) than a moment's
                # patience costs those who wait for a confirmation.
                self._bell.wait(LINGER_S)
            readable = self._poll()
            if self._target.wire.fileno() in readable:
                self._collect()
            if self._control.wire.fileno() in readable:
                self._control.collect(readable=True)
            busy = self._reader.fileno() in readable and self._has_room
            if busy:
                read_before = self._read_to
                self._forward(self._reader.receive(1)[0])
                self._ask_for_more()
                busy = self._read_to != read_before

    def _ask_for_more(self) -> None:
        command = ("XREAD", "COUNT", BATCH_ENTRIES, "BLOCK", BLOCK_MS, "STREAMS", self._names.log, self._read_to)
        self._reader.send(pack(command))

    def _forward(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            raise HybridError(f"the replication log cannot be read: {reply}")
        if not reply:
            self._at_end = True
            return
        # A wire that speaks RESP3 brings a mapping.
        entries = next(iter(reply.values() if isinstance(reply, dict) else (log[1] for log in reply)))
        self._read_to = entries[-1][0]
        self._at_end = len(entries) < BATCH_ENTRIES
        now_ms = self._now_ms()
        waiting = _ByState()
        for group in groups(entries, self._open_fields):
            if group.refills:
                self._refill(group.place)
                continue
            if group.empties:
                # What stood before is gone on both stores; what follows starts from nothing.
                self._push_flush()
                self._skip.clear()
                waiting.keys.clear()
            keys = group.keys if self._joins(group, waiting) else self._plan(group, now_ms)
            if keys is not None:
                self._push_keyless(group)
                waiting.add(group, keys)
                continue
            self._copy_waiting(waiting)
            payload, count = group.replay()
            self._push(payload, count, partial(self._replayed, group))
            self._shipped.note(group.token)
        self._copy_waiting(waiting)
        self._flush()
        self._forget_skips()

    def _refill(self, place: Position) -> None:
        """Dual write begins again: the other store missed what was written meanwhile, whatever the log says."""
        self._live = False
        self._live_from = place
        self._say(Word.BEHIND)
        self._board.observe(self._target_store, Evidence.BEHIND)
        self._hydrate()
        self._push(b"", 0, lambda _: self._advance(place))

    def _joins(self, group: Group, waiting: _ByState) -> bool:
        """Whether the group goes by state because others do."""
        if group.empties:
            return True
        # Reading states from the cloud takes two of its round trips, so there one copy serves for the rest of a batch.
        return waiting.place is not None and (
            self._source is Store.CLOUD or not waiting.keys.keys().isdisjoint(group.touched)
        )

    def _plan(self, group: Group, now_ms: float) -> tuple[bytes, ...] | None:
        keys = plan(group, self._skip, int(now_ms))
        return group.keys if keys is None and self._is_volatile(group) else keys

    def _push_keyless(self, group: Group) -> None:
        for packed in group.keyless:
            self._push(packed, 1, self._accepted)

    def _is_volatile(self, group: Group) -> bool:
        """Whether the group changes a hash whose fields expire one by one. The expiry guard of the writer sees keys
        only, so such a hash goes by state from the first entry that shows it to be one."""
        if group.times_fields:
            if len(self._volatile) > VOLATILE_HASHES:
                self._volatile.clear()
            self._volatile.update(group.keys)
        return bool(self._volatile) and not self._volatile.isdisjoint(group.touched)

    def _copy_waiting(self, waiting: _ByState) -> None:
        place = waiting.place
        if place is None:
            return
        self._copy(waiting.keys)
        self._push(b"", 0, lambda _: self._advance(place))
        for token in waiting.tokens:
            self._shipped.note(token)
        waiting.clear()

    def _forget_skips(self) -> None:
        if self._skip and position(self._read_to) > max(self._skip.values()):
            self._skip.clear()

    # -- the other store

    def _push_group(self, commands: list[bytes]) -> None:
        if len(commands) > 1:
            commands = [_MULTI, *commands, _EXEC]
        self._push(b"".join(commands), len(commands), self._accepted)

    def _push_flush(self) -> None:
        def done(replies: list[Any]) -> None:
            self._flushing -= 1
            self._accepted(replies)

        self._flushing += 1
        self._push(pack(("EVAL", FLUSH_SCRIPT, 1, self._names.log, 0)), 1, done)

    def _push(self, payload: bytes, count: int, done: Any) -> None:
        self._target.push(payload, count, done)
        while not self._has_room:
            self._flush()
            self._keep_going()
            if self._target.wire.fileno() in self._poll(with_reader=False):
                self._collect()

    def _await_replies(self) -> None:
        self._flush()
        while self._target.in_flight:
            self._keep_going()
            if self._target.wire.fileno() in self._poll(with_reader=False):
                self._collect()

    @property
    def _has_room(self) -> bool:
        return self._target.in_flight_bytes < WINDOW_BYTES and self._target.in_flight < WINDOW_COMMANDS

    def _flush(self) -> None:
        with self._target_errors():
            self._target.flush()
        self._collect(readable=False)

    def _collect(self, *, readable: bool = True) -> None:
        with self._target_errors():
            self._target.collect(readable=readable)
        self._announce()

    @contextmanager
    def _target_errors(self) -> Iterator[None]:
        """Tell the other store's failures from the source's."""
        try:
            yield
        except (NotSent, ReplyLost, redis.ConnectionError, redis.TimeoutError) as error:
            silent = getattr(error, "silent", isinstance(error, redis.TimeoutError))
            if silent or isinstance(error, NotSent):
                evidence = Evidence.SILENT if silent else Evidence.REFUSED
                self._endpoints[self._target_store].retire()
                self._board.observe(self._target_store, evidence, str(error))
            raise _TargetLost from error

    def _accepted(self, replies: list[Any]) -> None:
        """A copy that the store refuses (full, read-only, no permission) would otherwise be lost in silence."""
        error = failed(replies)
        if error is not None:
            raise HybridError(str(error))

    def _replayed(self, group: Group, replies: list[Any]) -> None:
        if failed(replies) is None:
            self._advance(group.place)
        else:
            # It failed on the authority as well, or the stores differ: the state of its keys settles it either way.
            self._failed_groups.append(group)
            self._holds.append(group.place)

    def _settle_failed(self) -> None:
        if self._failed_groups:
            group = self._failed_groups.popleft()
            self._copy(group.keys)
            self._push(b"", 0, lambda _: self._release())
            self._flush()

    def _advance(self, place: Position) -> None:
        if self._holds:
            self._beyond_hold = place
            return
        self._applied = max(self._applied, place)
        self._acks.advance(self._applied)
        if not self._live and self._is_close():
            self._live = True
            self._say(Word.LIVE)
            self._board.observe(self._target_store, Evidence.CAUGHT_UP)

    def _is_close(self) -> bool:
        """Whether the other store has everything but what is being written just now: whoever waits for it waits for
        one round trip, not for a backlog."""
        if self._live_from is None or self._applied < self._live_from or not self._at_end:
            return False
        return self._applied >= position(self._read_to) or self._now_ms() - self._applied[0] < CLOSE_MS

    def _release(self) -> None:
        place = self._holds.popleft()
        self._advance(max(place, self._beyond_hold))

    # -- the source

    def _keep_going(self) -> None:
        """Heed the lease and the board, notice silence. Called wherever the stream could otherwise stay long.

        Raises _Ended, _TargetLost or ReplyLost when the stream must not go on.
        """
        if self._board.closing:
            raise _Ended(Outcome.CLOSED)
        if self._board.authority.store is not self._source:
            raise _Ended(Outcome.MOVED)
        if not self._board.reachable(self._source):
            raise ReplyLost("no answer in time", silent=True)
        if not self._board.reachable(self._target_store):
            raise _TargetLost
        if time.monotonic() - self._said_s > RENEW_S[self._source]:
            self._say(Word.LIVE if self._live else Word.BEHIND)
        if not self._lease.is_held:
            raise _Ended(Outcome.LEASE_LOST)
        self._check_silence()

    def _check_silence(self) -> None:
        allowed_s = self._endpoints[self._target_store].timeout_s + self._target.in_flight_bytes / SLOWEST_BYTES_S
        if self._target.silent_s <= allowed_s + (FLUSH_S if self._flushing else 0.0):
            return
        if self._target.wire.fileno() in self._poll(with_reader=False, wait_ms=0):
            # The answers are there: this thread was busy elsewhere, and had not looked.
            self._collect()
            return
        self._endpoints[self._target_store].retire()
        self._board.observe(self._target_store, Evidence.SILENT, "no answer in time")
        raise _TargetLost

    def _say(self, word: Word) -> None:
        message = Progress(word, self._applied).packed
        self._said_s = time.monotonic()
        self._control.push(pack(("PUBLISH", self._endpoints[self._source].applied, message)), 1, _ignore)
        self._control.flush()

    def _announce(self) -> None:
        """Trim the log to what is not applied yet, and tell the other processes."""
        now_s = time.monotonic()
        idle = not self._target.in_flight and self._source is Store.LOCAL
        if self._applied <= self._announced or not (idle or now_s - self._announced_s > TRIM_S[self._source]):
            return
        self._announced, self._announced_s = self._applied, now_s
        ms, sequence = self._applied
        keep = position_text((ms, sequence + 1))
        self._control.push(pack(("XTRIM", self._names.log, "MINID", keep)), 1, _ignore)
        self._say(Word.LIVE if self._live else Word.BEHIND)

    def _poll(self, *, with_reader: bool = True, wait_ms: int = 100) -> set[int]:
        files = [self._target.wire.fileno(), self._control.wire.fileno()]
        if with_reader and self._has_room:
            if self._reader.has_replies():
                return {self._reader.fileno()}
            files.append(self._reader.fileno())
        return self._bell.wait(wait_ms / 1000, *files)

    def _is_source_lost(self) -> bool:
        """A connection that was merely closed says nothing: a new one is tried."""
        if self._board.authority.store is not self._source or not self._board.reachable(self._source):
            return True
        try:
            self._endpoints[self._source].connect_raw().disconnect()
        except (NotSent, ReplyLost):
            return True
        return False

    def _now_ms(self) -> float:
        """The source's clock, which its entries are stamped with."""
        return time.monotonic() * 1000 + self._offset_ms

    def _server_ms(self) -> float:
        seconds, micros = self._states.exchange(pack(("TIME",)), 1)[0]
        return int(seconds) * 1000 + int(micros) / 1000

    def _settle_control(self) -> None:
        """Read what is still due on the control wire: its owner goes on using it."""
        self._control.flush()
        while self._control.in_flight:
            self._control.collect(readable=True)

    def _fall_behind(self) -> None:
        self._live = False
        self._board.observe(self._target_store, Evidence.BEHIND)
        self._say(Word.BEHIND)
        self._settle_control()

    # -- ends of a stream

    def _seal(self) -> None:
        """Say how far the lost local store's log was shipped, now that the authority has moved and all is answered.

        Entries whose replay failed were shipped too, but their keys are not settled: the record, from which the local
        store will rejoin, stops before the first of them.
        """
        board, names = self._board, self._names
        if board.authority.store is not Store.CLOUD:
            return
        shipped_to = max(self._applied, self._beyond_hold, *self._holds)
        board.acks[Store.LOCAL].seal(shipped_to, self._shipped)
        record = f"{board.authority.epoch} ".encode() + position_text(self._applied)
        message = Progress(Word.SEAL, shipped_to, self._shipped.packed).packed
        self._push(
            pack(("SET", names.seal, record)) + pack(("PUBLISH", self._endpoints[self._target_store].applied, message)),
            2,
            self._accepted,
        )
        self._drained()

    def _drained(self) -> bool:
        """Whether everything sent to the other store was answered, within its timeout."""
        with self._target_errors():
            self._target.flush()
            poll = select.poll()
            poll.register(self._target.wire, select.POLLIN)
            timeout_s = self._endpoints[self._target_store].timeout_s
            while self._target.in_flight and poll.poll(timeout_s * 1000):
                self._target.collect(readable=True)
        return not self._target.in_flight

    def _hand_back(self) -> None:
        """Return the authority to local: stop writes, ship the last entries, let writes go on there."""
        cloud, board = self._endpoints[Store.CLOUD], self._board
        generation, wire = cloud.take_fenced(board.authority.epoch)
        record = wire.authority
        if record is not None and record.holder is Holder.CLOUD:
            halted = record.succeeded_by(Holder.HANDOVER)
            board.learn(halted, source=Store.CLOUD)
            rest = self._halt(cloud, wire, halted)
            record = self._completed(cloud, wire, halted, rest) if wire.authority == halted else wire.authority
        cloud.give_fenced(generation, wire)
        board.learn(record, source=Store.CLOUD)

    def _halt(self, cloud: Endpoint, wire: Wire, halted: Authority) -> list[Any]:
        """Stop writes, and read in the same round trip what was written before."""
        command = ("XREAD", "COUNT", WINDOW_COMMANDS, "STREAMS", self._names.log, self._read_to)
        rest: list[Any] = cloud.move(wire, halted, then=pack(command))
        return rest

    def _completed(self, cloud: Endpoint, wire: Wire, halted: Authority, rest: list[Any]) -> Authority | None:
        """The record after the attempt: local's, or the cloud's again where local was lost or somebody took it back."""
        returned = halted.succeeded_by(Holder.LOCAL)
        try:
            self._forward(rest)
            while not self._at_end:
                command = ("XREAD", "COUNT", BATCH_ENTRIES, "STREAMS", self._names.log, self._read_to)
                self._forward(self._states.exchange(pack(command), 1)[0])
            self._settle_all()
        except (_TargetLost, HybridError):
            with suppress(NotSent, ReplyLost):
                cloud.move(wire, halted.succeeded_by(Holder.CLOUD))
            raise
        cloud.move(wire, returned)
        if wire.authority == returned:
            self._welcome_local(returned)
        return wire.authority

    def _settle_all(self) -> None:
        """Everything sent is answered, and every failed replay is settled by state."""
        while True:
            if not self._drained():
                raise _TargetLost
            if not self._failed_groups:
                return
            self._settle_failed()

    def _welcome_local(self, authority: Authority) -> None:
        names = self._names
        for command in (
            ("SET", names.authority, authority.record),
            ("PUBLISH", self._endpoints[Store.LOCAL].moved, authority.record),
        ):
            self._push(pack(command), 1, self._accepted)
        if not self._drained():
            raise _TargetLost
        self._control.push(pack(("XTRIM", names.log, "MAXLEN", 0)), 1, _ignore)


def _ignore(_: list[Any]) -> None:
    """The reply says nothing that matters here; a lost connection shows elsewhere."""
