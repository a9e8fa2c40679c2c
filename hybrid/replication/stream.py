"""The connection over which one store's log goes to the other store, and how far it has got.

    read the log ──> groups ──> replay, or copy the state of the keys ──> pipe to the other store
                                                                             │ replies, in order
    trim the log, tell everyone how far  <──  applied  <─────────────────────┘

The log is trimmed as it is applied, so what stands in it is exactly what may be missing on the other store.
"""

from __future__ import annotations

import re
import select
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from itertools import chain
from typing import Any, Final

import redis

from hybrid.core.authority import Position, position, position_text
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.health import Evidence
from hybrid.core.marks import Marks
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.core.scripts import FLUSH_SCRIPT
from hybrid.core.shipping import failed
from hybrid.core.tokens import Shipped
from hybrid.core.transaction import FLUSH_S
from hybrid.errors import HybridError
from hybrid.replication.bell import Bell
from hybrid.replication.board import Board
from hybrid.replication.lease import RENEW_S, Lease
from hybrid.replication.messages import Progress, Word
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.pipe import Done, Pipe
from hybrid.stores.wire import Wire
from hybrid.types import Store, StoreState

__all__ = ["UNKNOWN_STREAM", "Ended", "Outcome", "Stream", "TargetLost", "ignore"]

WINDOW_BYTES: Final = 1024 * 1024
WINDOW_COMMANDS: Final = 20_000
CLOSE_MS: Final = 200
DETOUR_S: Final = 0.03
"""A local store that has not answered for so long: progress is told on the cloud's channel, before writers time out."""

TRIM_S: Final = {Store.LOCAL: 0.005, Store.CLOUD: 1.0}
MEASURE_S: Final = 2.0
MAX_ENTRIES: Final = 100_000
"""A longer log is folded. Half of the entries stay: the newest, whose keys tend to be written again."""

SLOWEST_BYTES_S: Final = 1_000_000
"""A link slower than this counts as silent while much is on its way. With the window, it bounds how late a command can
still arrive, which must stay below the expiry guard."""

POLL_S: Final = 0.1
_RUN = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_IDENTITY = re.compile(rb"^id=(\d+) addr=(\S+)", re.MULTILINE)
UNKNOWN_STREAM: Final = b"unknown"
_TAKE_OVER: Final = (
    "local before=redis.call('GET',KEYS[1]) "
    "if not before or string.sub(before,1,5)=='clean' then redis.call('SET',KEYS[1],ARGV[1]) end return before"
)
_MULTI, _EXEC = pack(("MULTI",)), pack(("EXEC",))


class Outcome(Enum):
    """Why a stream ended."""

    BROKEN = "the other store was lost"
    LEASE_LOST = "the lease ran out"
    YIELDED = "an agent ships from now on"
    MOVED = "the authority moved"
    OVERGROWN = "the log grows faster than it is shipped"
    HANDED_BACK = "the authority was handed back"
    CLOSED = "the client closes"


class TargetLost(Exception):
    """The other store failed; what was on the way to it is in doubt."""


class Ended(Exception):
    """The stream has to end, for the reason `outcome`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


class Stream:
    """Single-threaded. `open` before use, `close` in any case.

    Attributes:
        source, target: the store whose log is shipped, and the one it goes to.
        reader: the wire on which the log is awaited; `states`: the one on which states are read.
        read_to: the place of the last entry that was read; `at_end` whether it was the last one there.
        sent_to: every entry up to here was pushed to the other store; none beyond `maybe_to` was, in any form.
        applied: everything up to here is on the other store.
        live: whether the other store has everything but what is being written just now.
        refills: whether the other store lost its data, and this stream brings it all of it.
        is_clean: whether the stream before this one ended in order: nothing that stands in the log was sent yet.
        accounts_for_all: whether `sent_to` and `maybe_to` also say what the streams before this one have sent.
        shipped: the tokens of what was pushed, and of what may be contained in a copied state.
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
        self.endpoints = endpoints
        self.source = source
        self.target = source.other
        self.names = names
        self.board = board
        self.lease = lease
        self.control = Pipe(control)
        self.reader: Wire
        self.states: Wire
        self.pipe: Pipe
        self.read_to = b"0-0"
        self.at_end = False
        self.sent_to: Position = (0, 0)
        self.maybe_to: Position = (0, 0)
        self.live = False
        self.live_from: Position | None = None
        self.shipped = Shipped()
        self.applied: Position = (0, 0)
        self._holds: deque[Position] = deque()
        self._beyond_hold: Position = (0, 0)
        self._announced: Position = (0, 0)
        self._announced_s = 0.0
        self._detoured: Position = (0, 0)
        self._said_s = time.monotonic()
        self._measured_s = time.monotonic()
        self._is_overgrown = False
        self._flushing = 0
        self._acks = board.acks[source]
        self._bell = Bell()
        self._wires: list[tuple[Endpoint, Wire]] = []
        self.is_clean = False
        self.accounts_for_all = False
        self.refills = False
        self._local_run = b""
        self._source_marks = Marks(None, None)
        self.is_open = False

    # -- opening and closing

    def open(self) -> None:
        """Connect, end the stream before this one, and learn the source's clock."""
        self.board.bells.add(self._bell)
        source = self.endpoints[self.source]
        self.reader = self._connected(source)
        self.states = self._connected(source)
        with self.target_errors():
            target = self.endpoints[self.target]
            wire = self._connected(target)
            self.capabilities = target.known_capabilities(wire)
        self.pipe = Pipe(wire)
        self._local_run = self._run_of_local()
        self._end_previous()
        self._offset_ms = self._server_ms() - time.monotonic() * 1000
        self.is_open = True

    def _connected(self, endpoint: Endpoint) -> Wire:
        wire = endpoint.take_raw()
        self._wires.append((endpoint, wire))
        return wire

    def close(self, *, in_order: bool) -> None:
        """End the connections. After an end `in_order` one on which nothing is due serves the next stream, which then
        starts sooner: writers wait for it after a failback."""
        self.board.bells.discard(self._bell)
        self._bell.close()
        for endpoint, wire in self._wires:
            if in_order and wire is self.states:
                endpoint.give_raw(wire)
            else:
                wire.disconnect()

    def _end_previous(self) -> None:
        """Have the server close the connection of the stream before this one: what is still on its way there would
        arrive after the copies of this one, and undo them. It stays known until this stream has a name of its own: if
        that breaks before, the next one has to do the same. A service without CLIENT KILL refuses; there, only the
        pause until the lease had run out protects."""
        taken = pack(("EVAL", _TAKE_OVER, 1, self.names.stream, UNKNOWN_STREAM))
        about_pair = pack(("MGET", self.names.identity, self.names.partner))
        before, marks = self.states.exchange(taken + about_pair, 2)
        self._source_marks = Marks(*marks)
        self.is_clean = self.accounts_for_all = self.source is Store.LOCAL and before == self.clean_mark
        if not self.is_clean and isinstance(before, bytes) and len(known := before.split()) > 1:
            for number, address in zip(known[::2], known[1::2], strict=True):
                # Numbers begin anew when a server restarts; with the address, only the very connection can be meant.
                self.push(pack(("CLIENT", "KILL", "ID", number, "ADDR", address)), 1, ignore)
        self.push(about_pair, 1, self._check_mark)
        self.push(pack(("CLIENT", "INFO")), 1, self._remember_connection)
        if self.target is Store.LOCAL:
            self.await_replies()

    def _check_mark(self, replies: list[Any]) -> None:
        """A store that came back empty may be met here before its watcher has greeted it: what the log names would then
        be taken for all that it lacks."""
        marks = Marks(*replies[0])
        if marks.own in (None, OUTDATED) and self.board.state(self.target) is not StoreState.WIPED:
            self.endpoints[self.target].retire()
            self.board.observe(self.target, Evidence.LOST, "its mark is gone")
            raise TargetLost
        if self.source is Store.LOCAL:
            self._introduce(self._source_marks, marks)

    def _introduce(self, local: Marks, cloud: Marks) -> None:
        """Have each store name the other one."""
        if local.own not in (None, cloud.partner):
            self.pipe.push(pack(("SET", self.names.partner, local.own)), 1, ignore)
        if cloud.own not in (None, OUTDATED, local.partner):
            self.control.push(pack(("SET", self.names.partner, cloud.own)), 1, ignore)

    def _run_of_local(self) -> bytes:
        """The local server's name for its current run. A server that was restarted may have lost its last seconds."""
        ask = pack(("INFO", "server"))
        if self.source is Store.LOCAL:
            reply = self.states.exchange(ask, 1)[0]
        else:
            with self.target_errors():
                reply = self.pipe.wire.exchange(ask, 1)[0]
        found = _RUN.search(reply) if isinstance(reply, bytes) else None
        return found.group(1) if found else b"?"

    @property
    def clean_mark(self) -> bytes:
        """Stands in the local store in place of the last stream's connection when nothing of its log is in doubt, as
        long as the server runs."""
        return b"clean:" + self._local_run

    def _remember_connection(self, replies: list[Any]) -> None:
        # A cluster has one connection for each node.
        if isinstance(replies[0], bytes) and (mine := _IDENTITY.findall(replies[0])):
            self.control.push(pack(("SET", self.names.stream, b" ".join(chain(*mine)))), 1, ignore)
            self.control.flush()

    # -- to the other store

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
        self.shipped.note(token)

    def accepted(self, replies: list[Any]) -> None:
        """A copy that the store refuses (full, read-only, no permission) would otherwise be lost in silence."""
        error = failed(replies)
        if error is not None:
            raise HybridError(str(error))

    def flush(self) -> None:
        with self.target_errors():
            self.pipe.flush()
        self.collect(readable=False)

    def collect(self, *, readable: bool = True) -> None:
        """Take the replies that are there."""
        with self.target_errors():
            self.pipe.collect(readable=readable)
        self._announce()

    def await_replies(self) -> None:
        """Until everything sent is answered."""
        self.flush()
        while self.pipe.in_flight:
            self._wait_for_replies()

    def _wait_for_replies(self) -> None:
        self.flush()
        self.keep_going()
        if self.pipe.in_flight and self.pipe.wire.fileno() in self.poll(with_reader=False):
            self.collect()

    def drained(self) -> bool:
        """Whether everything sent to the other store was answered, within its timeout. Unlike `await_replies` it goes
        on when the source is lost."""
        with self.target_errors():
            self.pipe.flush()
            poll = select.poll()
            poll.register(self.pipe.wire, select.POLLIN)
            timeout_s = self.endpoints[self.target].timeout_s
            while self.pipe.in_flight and poll.poll(timeout_s * 1000):
                self.pipe.collect(readable=True)
        return not self.pipe.in_flight

    def finish(self) -> None:
        """Have all that was sent answered, and the log trimmed, so that the next shipper can go on from there."""
        if not self.drained():
            return
        self._announce()
        settled = not self._holds and self.applied >= max(self.sent_to, self.maybe_to)
        if self.source is Store.LOCAL and self.live and settled and self._local_run != b"?":
            self.control.push(pack(("SET", self.names.stream, self.clean_mark)), 1, ignore)

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

    # -- how far

    def advance(self, place: Position) -> None:
        """Everything up to `place` is on the other store, unless a failed replay before it is not settled yet."""
        if self._holds:
            self._beyond_hold = place
            return
        self.applied = max(self.applied, place)
        self._acks.advance(self.applied)
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
        self.live = True
        self.say(Word.LIVE)
        self.board.observe(self.target, Evidence.CAUGHT_UP)

    def _check_refill(self) -> None:
        """That the store lost its data may have become known after this stream had begun: another one has to refill it,
        for what the log names would be taken for all that it lacks."""
        if not self.refills and self.board.state(self.target) is StoreState.WIPED:
            raise TargetLost

    def fall_behind(self) -> None:
        """The other store lacks something: nobody shall read from it."""
        self.live = False
        self.say(Word.BEHIND)
        self.board.observe(self.target, Evidence.BEHIND)

    def note_sent(self) -> None:
        """The stream has ended, and what stands in the log beyond this place was never sent: should the local store be
        lost before the next stream begins, that can be applied again without counting twice."""
        if self.source is Store.LOCAL and self.accounts_for_all:
            place = position_text(max(self.applied, self.sent_to, self.maybe_to))
            self.control.push(pack(("SET", self.names.sent, place)), 1, ignore)

    def _is_close(self) -> bool:
        """Whether the other store has everything but what is being written just now: whoever waits for it waits for
        one round trip, not for a backlog."""
        if self.live_from is None or self.applied < self.live_from or not self.at_end:
            return False
        return self.applied >= position(self.read_to) or self.now_ms() - self.applied[0] < CLOSE_MS

    def say(self, word: Word) -> None:
        """Tell the other processes how far the log is applied."""
        message = Progress(word, self.applied).packed
        self._said_s = time.monotonic()
        self.control.push(pack(("PUBLISH", self.endpoints[self.source].applied, message)), 1, ignore)
        self.control.flush()

    def _announce(self) -> None:
        """Trim the log to what is not applied yet, and tell the other processes."""
        now_s = time.monotonic()
        # A cloud store that keeps the authority is worth the price of prompt confirmations.
        idle = not self.pipe.in_flight and (self.source is Store.LOCAL or self.board.authority.held)
        if self.applied <= self._announced or not (idle or now_s - self._announced_s > TRIM_S[self.source]):
            return
        self._announced, self._announced_s = self.applied, now_s
        self.trim()
        self.say(Word.LIVE if self.live else Word.BEHIND)

    def trim(self) -> None:
        """Take what is applied out of the log. Not sent yet: see `Pipe.flush`."""
        ms, sequence = self.applied
        keep = position_text((ms, sequence + 1))
        self.control.push(pack(("XTRIM", self.names.log, "MINID", keep)), 1, ignore)

    # -- the source, and whether to go on

    def keep_going(self) -> None:
        """Heed the lease and the board, notice silence. Called wherever the stream could otherwise stay long.

        Raises Ended, TargetLost or ReplyLost when the stream must not go on.
        """
        board = self.board
        if board.closing:
            raise Ended(Outcome.CLOSED)
        if board.authority.store is not self.source:
            raise Ended(Outcome.MOVED)
        if not board.reachable(self.source):
            raise ReplyLost("no answer in time", silent=True)
        if not board.reachable(self.target):
            raise TargetLost
        if self.is_open:
            self._check_refill()
        if time.monotonic() - self._said_s > RENEW_S[self.source]:
            self.say(Word.LIVE if self.live else Word.BEHIND)
        if not self.lease.goes_on():
            raise Ended(Outcome.LEASE_LOST)
        if self._is_overgrown:
            raise Ended(Outcome.OVERGROWN)
        self._check_source()
        self._check_target()
        self._check_length()

    def _check_source(self) -> None:
        """An application finds out within the store's timeout that it hangs. Its shipper must not be later: writers
        without a reply wait for its last word."""
        silent_s = self.control.silent_s
        if silent_s > DETOUR_S:
            self._tell_by_detour()
        if silent_s <= self.endpoints[self.source].timeout_s:
            return
        if self.control.wire.fileno() in self.poll(with_reader=False, wait_s=0):
            self.control.collect(readable=True)
            return
        self.board.observe(self.source, Evidence.SILENT, "no answer in time")
        raise ReplyLost("no answer in time", silent=True)

    def _tell_by_detour(self) -> None:
        if self.source is Store.LOCAL and self.applied > self._detoured:
            self._detoured = self.applied
            channel = self.endpoints[Store.CLOUD].applied
            self.pipe.push(pack(("PUBLISH", channel, Progress(Word.PASSED, self.applied).packed)), 1, ignore)
            with self.target_errors():
                self.pipe.flush()

    def _check_length(self) -> None:
        """A log that grows faster than it is shipped is better folded: a key goes over once then, however often it is
        written. The cloud's, with its price by the command, is looked at when a stream begins."""
        if self.source is Store.CLOUD or time.monotonic() - self._measured_s < MEASURE_S:
            return
        self._measured_s = time.monotonic()
        self.control.push(pack(("XLEN", self.names.log)), 1, self._measured)
        self.control.flush()

    def _measured(self, replies: list[Any]) -> None:
        self._is_overgrown = isinstance(replies[0], int) and replies[0] > MAX_ENTRIES

    def _check_target(self) -> None:
        allowed_s = self.endpoints[self.target].timeout_s + self.pipe.in_flight_bytes / SLOWEST_BYTES_S
        if self.pipe.silent_s <= allowed_s + (FLUSH_S if self._flushing else 0.0):
            return
        if self.pipe.wire.fileno() in self.poll(with_reader=False, wait_s=0):
            # The answers are there: this thread was busy elsewhere, and had not looked.
            self.collect()
            return
        self.endpoints[self.target].retire()
        self.board.observe(self.target, Evidence.SILENT, "no answer in time")
        raise TargetLost

    def poll(self, *, with_reader: bool = True, wait_s: float = POLL_S) -> set[int]:
        """The wires, by file number, that have something to read; after `wait_s` at the latest."""
        files = [self.pipe.wire.fileno(), self.control.wire.fileno()]
        if with_reader and self.has_room:
            if self.reader.has_replies():
                return {self.reader.fileno()}
            files.append(self.reader.fileno())
        if wait_s and (silent_s := self.control.silent_s):
            # Not a moment longer than until the source's silence counts.
            limit_s = DETOUR_S if silent_s < DETOUR_S else self.endpoints[self.source].timeout_s
            wait_s = min(wait_s, max(limit_s - silent_s, 0.0) + 0.001)
        return self._bell.wait(wait_s, *files)

    def linger(self, timeout_s: float) -> None:
        """Let a moment pass, unless something happens that concerns the stream."""
        self._bell.wait(timeout_s)

    def is_source_lost(self) -> bool:
        """A connection that was merely closed says nothing: a new one is tried."""
        if self.board.authority.store is not self.source or not self.board.reachable(self.source):
            return True
        try:
            self.endpoints[self.source].probe()
        except (NotSent, ReplyLost) as error:
            self.board.observe(self.source, Evidence.SILENT if error.silent else Evidence.REFUSED, str(error))
            return True
        return False

    def now_ms(self) -> float:
        """The source's clock, which its entries are stamped with."""
        return time.monotonic() * 1000 + self._offset_ms

    def _server_ms(self) -> float:
        seconds, micros = self.states.exchange(pack(("TIME",)), 1)[0]
        return int(seconds) * 1000 + int(micros) / 1000

    def settle_control(self) -> None:
        """Read what is still due on the control wire: its owner goes on using it."""
        self.control.flush()
        while self.control.in_flight:
            self.control.collect(readable=True)


def ignore(_: list[Any]) -> None:
    """The reply says nothing that matters here; a lost connection shows elsewhere."""
