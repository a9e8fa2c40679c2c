"""Writes of all tasks of a loop to one store: they wait for a fenced wire, and go together (group commit)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from hybrid.aio.endpoint import LoopEndpoint
from hybrid.aio.wire import Request, Wire
from hybrid.core.authority import admits_write
from hybrid.core.group import GROUP_BYTES, GROUP_PARTS, group, shares
from hybrid.core.outcomes import Committed, Fenced, NotSent, ReplyLost
from hybrid.core.scripts import LOAD_EFFECTS
from hybrid.core.transaction import Transaction
from hybrid.replication.engine import Engine
from hybrid.types import Store, StoreState

__all__ = ["Commits", "Member"]

WIRES: Final = {Store.LOCAL: 2, Store.CLOUD: 8}
"""Groups on their way at once. A far store needs more, so that a write does not wait a round trip for its turn."""


Decode = Callable[[list[Any]], list[Any]]


class Member:
    """One task's transaction, and the future that it awaits. `decode`: how it wants the replies, None as they are."""

    __slots__ = ("decode", "future", "runs_again", "token", "transaction")

    def __init__(
        self,
        transaction: Transaction,
        future: asyncio.Future[Committed | Fenced],
        token: bytes,
        decode: Decode | None,
    ) -> None:
        self.transaction = transaction
        self.future = future
        self.token = token
        self.runs_again = bool(token)
        self.decode = decode

    def commit(self, replies: list[Any], epoch: int) -> None:
        """It ran in this epoch, with these replies."""
        if self.decode is not None:
            try:
                replies = self.decode(replies)
            except Exception as error:  # its own, and no reason to lose the others' replies
                return self.fail(error)
        self.end(Committed(replies, epoch, self.token))

    def end(self, outcome: Committed | Fenced) -> None:
        if not self.future.done():
            self.future.set_result(outcome)

    def fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Commits:
    """The queue before one store's fenced wires."""

    def __init__(
        self,
        endpoint: LoopEndpoint,
        engine: Engine,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        in_thread: Callable[[Callable[[], Fenced]], asyncio.Future[Fenced]],
        on_unseen: Callable[[tuple[bytes, ...]], None],
    ) -> None:
        """`on_unseen` hears of the keys of a transaction that was sent, when its task was cancelled meanwhile."""
        self._endpoint, self._engine, self._spawn, self._in_thread = endpoint, engine, spawn, in_thread
        self._on_unseen = on_unseen
        self._store = endpoint.store
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Member] = deque()
        self._idle: list[Wire] = []
        self._wires = 0  # open, or being opened
        self._closed: str | None = None

    def submit(
        self, transaction: Transaction, token: bytes = b"", *, decode: Decode | None
    ) -> asyncio.Future[Committed | Fenced]:
        """The outcome to come. It raises NotSent or ReplyLost. `token`: see `hybrid.core.actions.Commit`."""
        if self._closed is not None:
            raise NotSent(self._closed)
        future: asyncio.Future[Committed | Fenced] = self._loop.create_future()
        self._queue.append(Member(transaction, future, token, decode))
        self.pump()
        return future

    def warm(self) -> None:
        """Have a wire before the first write."""
        for wire in [wire for wire in self._idle if not self._endpoint.is_good(wire)]:
            self._idle.remove(wire)
            self._wires -= 1
            wire.close()
        if not self._wires:
            self._open()

    def close(self, reason: str) -> None:
        """What was not sent yet never is, for this `reason`."""
        self._closed = reason
        self._fail_all(NotSent(reason))

    def pump(self) -> None:
        """Send what waits, as far as there are wires."""
        while self._queue and self._idle:
            wire = self._idle.pop()
            if not self._endpoint.is_good(wire):
                wire.close()
                self._wires -= 1
                continue
            if wire.epoch < self._engine.board.authority.epoch:
                # Idle wires miss what happens.
                self._spawn(self._look_again(wire))
            else:
                self._serve(wire)
        if self._queue and self._wires < WIRES[self._store]:
            if self._engine.board.state(self._store) is StoreState.DOWN:
                # Whoever waits need not wait for a connection to a store that was found dead meanwhile.
                self._fail_all(NotSent("it is down"))
            else:
                self._open()

    def _open(self) -> None:
        self._wires += 1
        self._spawn(self._connect())

    async def _connect(self) -> None:
        try:
            wire = await self._endpoint.connect_fenced()
        except (NotSent, ReplyLost) as error:
            self._wires -= 1
            if not self._wires:
                self._engine.reach.failed(self._store, error)
                self._fail_all(error)
            return
        except BaseException as error:
            self._wires -= 1
            self._fail_all(NotSent(str(error)))
            raise
        wire.on_lost = partial(self._lost, wire)
        self._serve(wire)

    def _serve(self, wire: Wire) -> None:
        """Use a wire whose record was just seen: that alone says whether the store takes writes."""
        record = wire.authority
        if not self._queue:
            self._idle.append(wire)
        elif not admits_write(record, self._store, self._engine.board.authority):
            self._refuse_all(wire)
        else:
            self._send(wire)

    async def _look_again(self, wire: Wire) -> None:
        try:
            await self._endpoint.fence(wire)
        except (NotSent, ReplyLost):
            self._wires -= 1
            self.pump()
        except BaseException as error:
            self._wires -= 1
            self._fail_all(NotSent(str(error)))
            raise
        else:
            self._serve(wire)

    def _lost(self, wire: Wire, error: NotSent | ReplyLost) -> None:
        if wire in self._idle:
            self._idle.remove(wire)
            self._wires -= 1
        self._engine.reach.cut(self._store, error)

    def _refuse_all(self, wire: Wire) -> None:
        members, self._queue = self._queue, deque()
        self._spawn(self._refuse(wire, members))

    async def _refuse(self, wire: Wire, members: Any) -> None:
        """The record says that another store takes writes. Taking note of it may have to ask a store."""
        try:
            fenced = await self._in_thread(partial(self._engine.claims.refused, self._store, wire.authority))
        except BaseException as error:
            for member in members:
                member.fail(NotSent(str(error)))
            raise
        finally:
            self._idle.append(wire)
        for member in members:
            member.end(fenced)
        self.pump()

    def _fail_all(self, error: NotSent | ReplyLost) -> None:
        members, self._queue = self._queue, deque()
        for member in members:
            member.fail(NotSent(str(error), silent=error.silent))

    # -- one group

    def _send(self, wire: Wire) -> None:
        members = self._next_members(wire)
        if not members:
            self._idle.append(wire)
            return
        payload, replies, work_s, scripted = group(
            self._engine.names, [member.transaction for member in members], [member.token for member in members]
        )
        loads = scripted and not wire.effects_loaded
        if loads:
            payload, replies = LOAD_EFFECTS + payload, replies + 2
        endings = self._endpoint.endpoint.lost.endings
        if endings:
            payload, replies = b"".join(endings) + payload, replies + len(endings)
        flight = _Flight(self, wire, members, endings, loads)
        patience_s = self._endpoint.endpoint.patience_s + work_s
        try:
            wire.send(payload, replies, flight, patience_s)
        except NotSent as error:
            flight.fail(error)

    def _next_members(self, wire: Wire) -> list[Member]:
        members: list[Member] = []
        allows = self._engine.board.acks[Store.LOCAL].allows
        parts = size_bytes = 0
        while self._queue and parts < GROUP_PARTS and size_bytes < GROUP_BYTES:
            member = self._queue.popleft()
            if member.future.done():
                continue  # its task was cancelled
            if member.runs_again and not allows(wire.authority):
                member.end(Fenced(wire.authority))
                continue
            transaction = member.transaction
            parts += transaction.replies
            size_bytes += len(transaction.head) + len(transaction.tail)
            member.token = member.token or (wire.next_token() if transaction.traced else b"")
            members.append(member)
        return members

    def landed(self, flight: _Flight, replies: list[Any]) -> None:
        """The replies of a group are there."""
        wire, members = flight.wire, flight.members
        self._look_for_cancelled(members)
        name = members[0].transaction.name
        self._engine.metrics.record(self._store, name, self._loop.time() - flight.sent_s)
        if flight.endings:
            self._endpoint.endpoint.lost.ended(flight.endings)
            replies = replies[len(flight.endings) :]
        if flight.loads:
            wire.effects_loaded = True
            replies = replies[2:]
        ran, epoch = replies[-3], wire.epoch
        wire.see(replies[-1])
        if ran is None:
            self._spawn(self._refuse(wire, members))
            return
        if isinstance(ran, Exception):
            self._sort_out(members, replies[1:-3], ran, isinstance(replies[-1], Exception))
        else:
            self._hand_out(wire, members, ran, epoch)
        self._idle.append(wire)
        self.pump()

    def _look_for_cancelled(self, members: list[Member]) -> None:
        for member in members:
            if member.transaction.guarded and member.future.cancelled():
                self._on_unseen(member.transaction.unseen)

    def _hand_out(self, wire: Wire, members: list[Member], ran: list[Any], epoch: int) -> None:
        if len(members) == 1 and not members[0].transaction.scripted:
            return members[0].commit(ran, epoch)
        again: list[Member] = []
        for member, share in zip(members, shares([it.transaction for it in members], ran), strict=True):
            if member.transaction.lacks_script(share):
                wire.effects_loaded = False
                if member.transaction.size == 1:
                    again.append(member)
                    continue
            if (refused := member.transaction.refused_writes(share)) is not None:
                member.fail(refused)
            else:
                member.commit(list(share), epoch)
        self._queue.extendleft(reversed(again))

    def _sort_out(self, members: list[Member], queued: list[Any], aborted: Exception, refuses_all: bool) -> None:
        """The server refused to queue some command, and ran nothing: the other members go again without it, unless it
        refuses whatever it is asked."""
        if refuses_all:
            failure = self._engine.reach.refused(self._store, aborted)
            for member in members:
                member.fail(NotSent(str(failure)))
            return
        again: list[Member] = []
        for member, share in zip(members, shares([it.transaction for it in members], queued), strict=True):
            if any(isinstance(reply, Exception) for reply in share):
                member.fail(member.transaction.refusal(share, aborted))
            else:
                again.append(member)
        if len(again) == len(members):
            for member in members:
                member.fail(aborted)
        else:
            self._queue.extendleft(reversed(again))

    def failed(self, flight: _Flight, error: NotSent | ReplyLost) -> None:
        """The wire was lost with a group on it."""
        self._wires -= 1
        self._look_for_cancelled(flight.members)
        if isinstance(error, ReplyLost):
            self._endpoint.endpoint.lost.add(flight.wire)
        for member in flight.members:
            if isinstance(error, NotSent):
                member.fail(NotSent(str(error), silent=error.silent))
            else:
                lost = ReplyLost(str(error), silent=error.silent)
                lost.token, lost.sent_s = member.token, time.monotonic() - (self._loop.time() - flight.sent_s)
                member.fail(lost)
        self._loop.call_soon(self.pump)


class _Flight(Request):
    """A group on its way."""

    __slots__ = ("_commits", "endings", "loads", "members", "wire")

    def __init__(
        self, commits: Commits, wire: Wire, members: list[Member], endings: tuple[bytes, ...], loads: bool
    ) -> None:
        self._commits = commits
        self.wire = wire
        self.members = members
        self.endings = endings
        self.loads = loads

    def answer(self, replies: list[Any]) -> None:
        self._commits.landed(self, replies)

    def fail(self, error: NotSent | ReplyLost) -> None:
        self._commits.failed(self, error)
