"""The connection over which one store's log goes to the other store, and how far it has got.

    read the log ──> groups ──> replay, or copy the state of the keys ──> pipe to the other store
                                                                             │ replies, in order
    trim the log, tell everyone how far  <──  applied  <─────────────────────┘

The log is trimmed as it is applied, so what stands in it is exactly what may be missing on the other store.
"""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import redis

from hybrid.core.ahead import Ahead
from hybrid.core.authority import Authority, Position, position
from hybrid.core.health import Evidence
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.core.resp import pack
from hybrid.core.scripts import FLUSH_SCRIPT
from hybrid.core.shipping import failed
from hybrid.core.tokens import Shipped
from hybrid.errors import HybridError
from hybrid.replication.announcer import Announcer
from hybrid.replication.attentive import Attentive
from hybrid.replication.bell import Bell
from hybrid.replication.board import Board
from hybrid.replication.endings import Ended, Outcome, TargetLost
from hybrid.replication.growth import Growth
from hybrid.replication.lease import Lease
from hybrid.replication.opening import Opening
from hybrid.replication.silence import Silence
from hybrid.stores.capabilities import remember_capabilities
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.pipe import Done, Pipe
from hybrid.stores.wire import HELD_UP_S, Wire
from hybrid.types import Store

__all__ = ["BATCH_ENTRIES", "CLOSE_MS", "WINDOW_COMMANDS", "Stream"]

WINDOW_BYTES: Final = 1024 * 1024
WINDOW_COMMANDS: Final = 20_000
CLOSE_MS: Final = 200
BATCH_ENTRIES: Final = 500
POLL_S: Final = 0.1

AWAY_S: Final = 0.25
"""A stream that was held up for longer, its process stopped perhaps, asks for the record before it sends anything: who
lost the local store may have claimed the authority meanwhile, and what is sent would replace what was written since."""

_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))


class Stream:
    """Single-threaded. `open` before use, `close` in any case.

    Attributes:
        source, target: the store whose log is shipped, and the one it goes to; `under`: the record by which it is.
        reader: the wire on which the log is awaited; `states`: the one on which the source is asked, `snapshots` the
            same for states of keys, of which there can be many.
        batch_entries: how many entries of the log are read at a time.
        read_to: the place of the last entry that was read; `at_end` whether it was the last one there.
        sent_to: every entry up to here was pushed to the other store; none beyond `maybe_to` was, in any form.
        applied: everything up to here is on the other store.
        live: whether the other store has everything but what is being written just now; `lags`: whether it lacks much.
        refills: whether the other store lost its data, and this stream brings it all of it.
        accounts_for_all: whether `sent_to` and `maybe_to` also say what the streams before this one have sent.
        ahead: what stands in the log between the two; `shipped`: the tokens of what was pushed, and of what may be
            contained in a copied state.
    """

    def __init__(
        self,
        endpoints: Mapping[Store, Endpoint],
        source: Store,
        names: Names,
        board: Board,
        lease: Lease,
        control: Wire,
        shipped: Shipped,
    ) -> None:
        self.endpoints = endpoints
        self.source = source
        self.target = source.other
        self.under = board.authority
        self.names = names
        self.board = board
        self.lease = lease
        self.control = Pipe(control)
        self.reader: Wire
        self.states: Wire
        self.snapshots: Attentive
        self.pipe: Pipe
        self.read_to = b"0-0"
        self.batch_entries = BATCH_ENTRIES
        self.at_end = False
        self.sent_to: Position = (0, 0)
        self.maybe_to: Position = (0, 0)
        self.ahead = Ahead()
        self.live = False
        self.lags = source is Store.CLOUD
        self.live_from: Position | None = None
        self.shipped = shipped
        self.applied: Position = (0, 0)
        self._holds: deque[Position] = deque()
        self._beyond_hold: Position = (0, 0)
        self._flushing = 0
        self._acks = board.acks[source]
        self._bell = Bell()
        self._wires: list[tuple[Endpoint, Wire]] = []
        self.accounts_for_all = False
        self.refills = False
        self.wipes = board.wipes[self.target]
        self.is_open = False
        self._was_away = False
        self.opening = Opening(self)
        self.announcer = Announcer(self)
        self.growth = Growth(self)
        self._silence = Silence(self)

    # -- opening and closing

    def open(self) -> None:
        """Connect, end the stream before this one, and learn the source's clock."""
        self.board.bells.add(self._bell)
        source = self.endpoints[self.source]
        self.reader = self._connected(source)
        self.states = self._connected(source)
        self.snapshots = Attentive(self)
        with self.source_errors():
            remember_capabilities(self.snapshots, source.known_capabilities(self.states))
        with self.target_errors():
            target = self.endpoints[self.target]
            wire = self._connected(target)
            self.capabilities = target.known_capabilities(wire)
        self.pipe = Pipe(wire)
        self.opening.ask()
        self.lease.goes_on()  # to connect may have taken long, and the record is asked for
        self.is_open = True

    def another_to_source(self) -> Wire:
        """One more wire to the source, for as long as the stream lasts."""
        return self._connected(self.endpoints[self.source])

    def _connected(self, endpoint: Endpoint) -> Wire:
        wire = endpoint.take_raw()
        self._wires.append((endpoint, wire))
        return wire

    def close(self, *, in_order: bool) -> None:
        """End the connections: what has not arrived is not to arrive later. After an end `in_order` one on which
        nothing is due serves the next stream, which then starts sooner: writers wait for it after a failback."""
        self.board.bells.discard(self._bell)
        self._bell.close()
        for endpoint, wire in self._wires:
            if in_order and wire is self.states:
                endpoint.give_raw(wire)
            else:
                wire.abort()

    # -- to the other store

    @property
    def is_flushing(self) -> bool:
        """Whether the other store is being emptied, which takes long."""
        return bool(self._flushing)

    @property
    def has_room(self) -> bool:
        """Whether the window allows more to be sent."""
        return self.pipe.in_flight_bytes < WINDOW_BYTES and self.pipe.in_flight < WINDOW_COMMANDS

    def push(self, payload: bytes, count: int, done: Done) -> None:
        """Send `payload`, when the window allows it; `done` gets its `count` replies."""
        self.pipe.push(payload, count, done)
        while not self.has_room:
            self._wait_for_replies()

    def push_group(self, commands: list[bytes], done: Done) -> None:
        """Packed commands that belong together, as a transaction."""
        if len(commands) > 1:
            commands = [_MULTI, *commands, _EXEC]
        self.push(b"".join(commands), len(commands), done)

    def push_flush(self) -> None:
        """Empty the other store, but for what is hybrid's own."""

        def done(replies: list[Any]) -> None:
            self._flushing -= 1
            self.accepted(replies)

        self._flushing += 1
        self.push(pack(("EVAL", FLUSH_SCRIPT, 1, self.names.log, 0)), 1, done)

    def push_advance(self, place: Position) -> None:
        """Once all that was pushed is answered, everything up to `place` is applied."""
        self.push(b"", 0, lambda _: self.advance(place))

    def note(self, place: Position, token: bytes | None) -> None:
        """Everything up to `place` is on its way, the transaction with `token` among it."""
        self.sent_to = max(self.sent_to, place)
        self.ahead.sent(self.sent_to)
        self._acks.expect(self.sent_to)
        self.shipped.note(token)

    def accepted(self, replies: list[Any]) -> None:
        """A copy that the store refuses (full, read-only, no permission) would otherwise be lost in silence."""
        error = failed(replies)
        if error is not None:
            raise HybridError(str(error))

    def send(self) -> None:
        """What was pushed. Raises TargetLost or Ended when this process was held up, and what it has read may have been
        replaced meanwhile."""
        if not self.pipe.is_flushed and self.look_again():
            if not self.lease.is_held:
                raise Ended(Outcome.LEASE_LOST)
            if self.board.authority.store is not self.source:
                raise TargetLost  # a last word would count what is dropped as sent
        with self.target_errors():
            self.pipe.flush()

    def flush(self) -> None:
        """Send what was pushed, and tell what the other store has answered so far."""
        self.send()
        self.collect(readable=False)

    def collect(self, *, readable: bool = True) -> None:
        """Take the replies that are there."""
        with self.target_errors():
            self.pipe.collect(readable=readable)
        self.announcer.announce()

    def await_replies(self) -> None:
        """Until everything sent is answered."""
        self.flush()
        while self.pipe.in_flight:
            self._wait_for_replies()

    def _wait_for_replies(self) -> None:
        self.flush()
        self.keep_going()
        if not self.pipe.in_flight:
            return
        readable = self.poll(with_reader=False)
        if self.pipe.wire.fileno() in readable:
            self.collect()
        if self.control.wire.fileno() in readable:
            self.control.collect(readable=True)

    def drained(self) -> bool:
        """Whether everything sent to the other store was answered, within its timeout. Unlike `await_replies` it goes
        on when the source is lost."""
        self.send()
        with self.target_errors():
            poll = select.poll()
            poll.register(self.pipe.wire, select.POLLIN)
            timeout_s = self.endpoints[self.target].timeout_s
            while self.pipe.in_flight and poll.poll(timeout_s * 1000):
                self.pipe.collect(readable=True)
        return not self.pipe.in_flight

    def finish(self) -> None:
        """Have all that was sent answered, and the log trimmed, so that the next shipper can go on from there."""
        if self.drained():
            self.announcer.finish()

    @property
    def is_settled(self) -> bool:
        """Whether all that was sent is on the other store."""
        return not self._holds and self.applied >= max(self.sent_to, self.maybe_to)

    @contextmanager
    def source_errors(self) -> Iterator[None]:
        """What redis-py says of the source, in our words."""
        try:
            yield
        except (redis.ConnectionError, redis.TimeoutError) as error:
            silent = getattr(error, "silent", isinstance(error, redis.TimeoutError))
            raise ReplyLost(str(error), silent=silent) from None

    @contextmanager
    def target_errors(self) -> Iterator[None]:
        """Tell the other store's failures from the source's."""
        try:
            yield
        except (NotSent, ReplyLost, redis.ConnectionError, redis.TimeoutError) as error:
            silent = getattr(error, "silent", isinstance(error, redis.TimeoutError))
            # Once connected, a connection that is merely closed says nothing of the store: a new one will.
            if silent or (isinstance(error, NotSent) and not self.is_open):
                evidence = Evidence.SILENT if silent else Evidence.REFUSED
                self.endpoints[self.target].retire()
                self.board.observe(self.target, evidence, str(error))
            raise TargetLost from error

    def reads_fewer(self, error: Exception) -> bool:
        """Whether less of the log is read at a time from now on, because a service gives no reply as large as that."""
        if self.batch_entries == 1 or refusal_of(error) is not Refusal.THIS_KEY:
            return False
        self.batch_entries = max(1, self.batch_entries // 4)
        return True

    # -- how far

    def advance(self, place: Position) -> None:
        """Everything up to `place` is on the other store, unless a failed replay before it is not settled yet."""
        if self._holds:
            self._beyond_hold = place
            return
        self.applied = max(self.applied, place)
        self._acks.advance(self.applied)
        self._look()

    def reach_end(self) -> None:
        """Nothing stands in the log behind what was read: what was applied before may have been the last of it."""
        self.at_end = True
        if not self._holds:
            self._look()

    def _look(self) -> None:
        if not self.live and self._is_close():
            self.come_close()

    def hold(self, place: Position) -> None:
        """What failed at `place` is to be settled before anything counts as applied."""
        self._holds.append(place)

    def release(self) -> None:
        """The oldest hold is settled."""
        place = self._holds.popleft()
        self.advance(max(place, self._beyond_hold))

    def come_close(self) -> None:
        """The other store has everything but what is being written just now."""
        self._check_refill()
        self.live, self.lags = True, False
        self.announcer.say()
        self.board.observe(self.target, Evidence.CAUGHT_UP)
        if self.refills:
            self.board.on_new_mark(self.target)  # its new mark is to be learned: it may come back with older data
        self.refills = False  # should it lose its data again, another stream begins

    def _check_refill(self) -> None:
        """That the store lost its data may have become known after this stream had begun: another one has to refill it,
        for what the log names would be taken for all that it lacks."""
        is_another = not self.refills or self.wipes != self.board.wipes[self.target]
        if is_another and self.board.is_wiped(self.target):
            raise TargetLost

    def fall_behind(self) -> None:
        """The other store lacks something: nobody shall read from it."""
        self.live, self.lags = False, True
        self.announcer.say()
        self.board.observe(self.target, Evidence.BEHIND)

    def _is_close(self) -> bool:
        """Whether the other store has everything but what is being written just now: whoever waits for it waits for
        one round trip, not for a backlog."""
        if self.live_from is None or self.applied < self.live_from or not self.at_end:
            return False
        return self.applied >= position(self.read_to) or self.now_ms() - self.applied[0] < CLOSE_MS

    # -- the source, and whether to go on

    def keep_going(self) -> None:
        """Heed the lease and the board, notice silence. Called wherever the stream could otherwise stay long.

        Raises Ended, TargetLost, NotSent or ReplyLost when the stream must not go on.
        """
        board = self.board
        if board.closing:
            raise Ended(Outcome.CLOSED)
        self._note_life()
        authority = board.authority
        if authority.store is not self.source:
            raise Ended(Outcome.MOVED)
        if authority.alone:
            raise Ended(Outcome.BROKEN)  # what only the cloud store has is to be merged first
        self._refuse_another(authority)
        self.under = authority
        self._check_reached()
        if board.is_wiped(self.source):
            raise NotSent(
                "its data is gone"
            )  # where nothing is written no entry tells, and nobody claims the other one
        if not board.reachable(self.target):
            raise TargetLost
        if self.is_open:
            self._check_refill()
        self.announcer.repeat()
        if not self.lease.is_held:
            raise Ended(Outcome.LEASE_LOST)
        if self.growth.is_too_long:
            raise Ended(Outcome.OVERGROWN)
        self._silence.check()
        self.growth.look()

    def _note_life(self) -> None:
        self._was_away |= self.is_open and self.source is Store.LOCAL and self.lease.idle_s > AWAY_S
        self.lease.goes_on()

    def look_again(self) -> bool:
        """Whether this process was held up since it last asked for the record; it has learned that then."""
        self._note_life()
        was_away = self._was_away
        if was_away:
            with self.target_errors():
                self.board.learn(self.endpoints[self.target].record(), source=self.target)
            self._refuse_another(self.board.authority)
            self._was_away = False
        return was_away

    def _refuse_another(self, authority: Authority) -> None:
        """While this process was held up the authority may have gone, and come back: what it has read is old then."""
        if self._was_away and authority.store is self.source and authority != self.under:
            raise TargetLost

    def poll(self, *, with_reader: bool = True, wait_s: float = POLL_S) -> set[int]:
        """The wires, by file number, that have something to read; after `wait_s` at the latest."""
        files = [self.pipe.wire.fileno(), self.control.wire.fileno()]
        if with_reader and self.has_room:
            if self.reader.has_replies():
                return {self.reader.fileno()}
            files.append(self.reader.fileno())
        if wait_s:
            # Not a moment longer than until the silence of a store counts.
            wait_s = min(wait_s, self._silence.patience_s + 0.001)
        return self._bell.wait(wait_s, *files)

    @property
    def is_held_up(self) -> bool:
        """Whether the machine let this thread go on only long after it was to: the stores may have had to wait as
        well."""
        return self._bell.late_s > HELD_UP_S

    def attend(self, file: int, wait_s: float) -> bool:
        """Take what comes on other connections until `file` has something to read, which is the result, something else
        comes, or `wait_s` have passed. Raises ReplyLost when the source is silent, whoever here found out."""
        self._note_life()  # reading a big key takes many calls
        pipe, control = self.pipe.wire.fileno(), self.control.wire.fileno()
        ready = self._bell.wait(min(wait_s, self._silence.patience_s + 0.001), file, pipe, control)
        if pipe in ready:
            self.collect()
        if control in ready:
            self.control.collect(readable=True)
        self._check_reached()
        self._silence.check_source()
        return file in ready

    def _check_reached(self) -> None:
        if not self.board.reachable(self.source):
            raise ReplyLost("no answer in time", silent=True)

    def linger(self, timeout_s: float) -> None:
        """Let a moment pass, unless something happens that concerns the stream."""
        self._bell.wait(timeout_s)

    def now_ms(self) -> float:
        """The source's clock, which its entries are stamped with."""
        return time.monotonic() * 1000 + self.opening.offset_ms

    def settle_control(self) -> None:
        """Read what is still due on the control wire: its owner goes on using it."""
        self.control.flush()
        while self.control.in_flight:
            self.control.collect(readable=True)
