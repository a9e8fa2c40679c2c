"""Performs the flows of all tasks of one event loop. Whatever waits for a thread or asks a store in one, does so in a
thread: the loop is never blocked. The engine, its watchers and its shipper are those of the other client."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import redis

from hybrid.aio.commits import Commits
from hybrid.aio.endpoint import LoopEndpoint
from hybrid.aio.progress import LOOK_S, Progress
from hybrid.aio.shared import Shared
from hybrid.aio.wire import Wire
from hybrid.core.actions import (
    Action,
    Ask,
    AwaitAuthority,
    AwaitConfirmation,
    AwaitStore,
    Borrow,
    Claim,
    Commit,
    Flow,
    OnWire,
    Pause,
    Trace,
)
from hybrid.core.authority import admits_write
from hybrid.core.hints import log_state, unseen
from hybrid.core.outcomes import Committed, Confirmation, Fate, Fenced, NotSent, ReplyLost
from hybrid.core.tokens import Seal
from hybrid.core.transaction import hint
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.replication.confirmations import OVERDUE_S
from hybrid.replication.engine import HANDOVER_S, Engine
from hybrid.types import Store

__all__ = ["Driver", "Loan"]

logger = logging.getLogger("hybrid")

T = TypeVar("T")
THREADS: Final = 4
CLOSED: Final = "this client was closed"
SHARED_BYTES: Final = 64 * 1024
SHARED_REPLIES: Final = 128
"""A larger request has a wire of its own, so that others need not stand behind it."""


@dataclass(frozen=True, slots=True)
class Loan:
    """A fenced wire lent to a pipeline that watches keys."""

    store: Store
    wire: Wire


class Driver:
    """One per loop and client: the connections that the loop's tasks share."""

    def __init__(self, engine: Engine, endpoints: dict[Store, LoopEndpoint]) -> None:
        self.loop = asyncio.get_running_loop()
        self._engine, self._endpoints = engine, endpoints
        self._warm = self._is_closed = False
        self._threads = ThreadPoolExecutor(THREADS, "hybrid-aio")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running: dict[Hashable, asyncio.Future[Any]] = {}
        self._plain = {store: Shared(endpoint, engine) for store, endpoint in endpoints.items()}
        self._commits = {
            store: Commits(endpoint, engine, self._spawn, self.in_thread, self._log_unseen)
            for store, endpoint in endpoints.items()
        }
        self._unseen: dict[bytes, None] = {}
        self._progress = {store: Progress(engine.board.acks[store]) for store in Store}
        self._rung = False
        self._performs: dict[type[Any], Callable[[Any], Awaitable[Any]]] = {
            Ask: self._ask,
            Commit: self._commit,
            AwaitConfirmation: self._confirmation,
            AwaitAuthority: self._await_authority,
            AwaitStore: lambda _: self.once("store", engine.board.wait_for_store),
            Trace: self._fate,
            Pause: lambda action: asyncio.sleep(action.seconds),
            OnWire: self._on_wire,
            Borrow: self._borrow,
            Claim: lambda _: self.once("claim", engine.claims.claim),
        }
        engine.board.bells.add(self)

    def warm(self) -> None:
        """Have connections to both stores, so that neither the first command nor a failover begins with connecting."""
        for store in self._endpoints:
            if self._engine.board.reachable(store):
                self._plain[store].warm()
                if self._engine.board.settings.replicated:
                    self._commits[store].warm()

    def ring(self) -> None:
        """Called by the board, in any thread, when a state or the authority has changed."""
        if not self._rung:
            self._rung = True
            try:
                self.loop.call_soon_threadsafe(self._hear)
            except RuntimeError:  # the loop is closed
                self._engine.board.bells.discard(self)

    def _hear(self) -> None:
        self._rung = False
        if self._engine.board.closing:
            self.close()  # from another loop, or because the client was dropped unclosed
        elif self._warm:
            self.warm()

    def forget(self) -> None:
        """Hear of nothing any more: the loop is closed, or is about to be."""
        self._warm, self._is_closed = False, True
        self._engine.board.bells.discard(self)
        for progress in self._progress.values():
            progress.close()
        self._threads.shutdown(wait=False)

    def close(self) -> None:
        """Close the connections; to be called in the loop. Tasks that wait are told so: what they ask from now on is
        not sent."""
        self.forget()
        self._performs = dict.fromkeys(self._performs, self._perform_nothing)
        for task in self._tasks:
            task.cancel()
        for commits in self._commits.values():
            commits.close(CLOSED)
        for endpoint in self._endpoints.values():
            endpoint.close()

    async def _perform_nothing(self, action: Action) -> Any:
        """After the end. A write that was answered is not failed because nobody confirms it any more, and of one that
        was not, nobody learns what became of it."""
        match action:
            case AwaitConfirmation():
                return Confirmation.OVERDUE
            case Trace():
                return Fate.UNKNOWN
            case AwaitAuthority() | AwaitStore() | Claim() | Pause():
                return None
        raise NotSent(CLOSED)

    # -- driving

    async def start(self) -> None:
        """Start the engine, if it is not, and have connections ready."""
        if self._engine.board.closing:
            self._engine.start()  # says that it is closed
        if self._is_closed:
            raise StoreUnavailable(CLOSED)
        if not self._engine.started:
            await self.once("start", self._engine.start)
        if not self._warm:
            self._warm = True
            self.warm()

    async def drive(self, flow: Flow) -> Any:
        """Perform what the flow asks for until it returns; its result is the result."""
        if not self._warm or not self._engine.started:
            await self.start()
        action: Action | None = None
        try:
            action = next(flow)
            while True:
                try:
                    result = await self._performs[type(action)](action)
                except HybridError as error:
                    action = flow.throw(error)
                else:
                    action = flow.send(result)
        except StopIteration as end:
            if isinstance(end.value, Exception):
                self._engine.metrics.error("client", type(end.value).__name__)
            return end.value
        except HybridError as error:
            self._engine.metrics.error("client", type(error).__name__)
            raise
        except redis.RedisError:
            raise
        except BaseException:
            self._log_unseen(unseen(action))
            raise

    def _log_unseen(self, keys: tuple[bytes, ...]) -> None:
        """Whoever asked for what was done to these keys is gone: nobody sees whether one was about to expire."""
        if keys and self._warm and not self.loop.is_closed():
            is_first = not self._unseen
            self._unseen.update(dict.fromkeys(keys))
            if is_first:
                self._spawn(self._log_all_unseen())

    async def _log_all_unseen(self) -> None:
        engine, keys = self._engine, tuple(self._unseen)
        self._unseen.clear()
        with suppress(HybridError):
            await self.drive(log_state(engine.board, keys, partial(hint, engine.names)))

    async def _fate(self, action: Trace) -> Fate:
        confirmations = self._engine.confirmations
        seal = await self._last_word("last word", action.store, partial(confirmations.last_word, action.store))
        return confirmations.fate_by(seal, action)

    async def _last_word(self, what: str, store: Store, work: Callable[[], Seal | None]) -> Seal | None:
        """None, too, when this is closed meanwhile."""
        with suppress(NotSent):
            return await self.once((what, store), work)
        return None

    async def _await_authority(self, action: AwaitAuthority) -> None:
        await self.once(action, partial(self._engine.board.wait_for_authority, action.than, HANDOVER_S))

    async def _on_wire(self, action: OnWire) -> list[Any]:
        store, wire = action.loan.store, action.loan.wire
        try:
            replies = await wire.exchange_alone(action.payload, action.replies)
        except (ReplyLost, asyncio.CancelledError):
            self._endpoints[store].endpoint.lost.add(wire)
            raise
        return self._decoded(store, replies, action.decode)

    async def _ask(self, action: Ask) -> list[Any]:
        store = action.store
        started_s = time.perf_counter()
        if action.timeout_s is None and action.replies <= SHARED_REPLIES and len(action.payload) <= SHARED_BYTES:
            wire = self._plain[store].wire or await self._plain[store].connected()
            patience_s = self._endpoints[store].endpoint.patience_s
            replies = await wire.exchange(action.payload, action.replies, patience_s=patience_s)
            await self._check_refusal(action, wire, replies[0])
            if wire.flushes > wire.looked:
                await self._look_for_mark(action, wire)
        else:
            replies = await self._ask_alone(action)
        if action.timeout_s is None:  # a command that waits says nothing of the store
            self._engine.metrics.record_request(store, action.payload, time.perf_counter() - started_s)
        return self._decoded(store, replies, action.decode)

    async def _ask_alone(self, action: Ask) -> list[Any]:
        store, endpoint = action.store, self._endpoints[action.store]
        try:
            wire = await endpoint.take()
        except NotSent as error:
            self._engine.reach.failed(store, error)
            raise
        wire.on_lost = partial(self._engine.reach.cut, store)
        patience_s = action.timeout_s or endpoint.endpoint.patience_s
        replies = await wire.exchange_alone(action.payload, action.replies, patience_s=patience_s)
        await self._check_refusal(action, wire, replies[0])
        if wire.flushes > wire.looked:
            await self._look_for_mark(action, wire)
        endpoint.give(wire)
        return replies

    async def _check_refusal(self, action: Ask, wire: Wire, reply: Any) -> None:
        """Raises NotSent where the store refuses not only this command, but whatever it is asked."""
        if not isinstance(reply, Exception) or not (action.reads or action.replies == 1):
            return
        if (refused := await self._endpoints[action.store].refusal(wire, reply)) is not None:
            raise self._engine.reach.refused(action.store, refused)

    async def _look_for_mark(self, action: Ask, wire: Wire) -> None:
        """The store has said that it was emptied. Raises NotSent if so: a read has found nothing there."""
        try:
            is_lost = await self._endpoints[action.store].has_lost(wire)
        except (NotSent, ReplyLost):
            is_lost = True  # the wire's loss is told elsewhere
        else:
            if is_lost:
                self._engine.reach.emptied(action.store)
        if is_lost and action.reads:
            raise NotSent("it was emptied")

    def _commit(self, action: Commit) -> Awaitable[Committed | Fenced]:
        if action.relayed:
            return self.in_thread(partial(self._engine.requests.relayed, action))
        if self._engine.board.is_unsealed(action.store):
            return self._commit_sealed(action)
        return self._submitted(action)

    async def _commit_sealed(self, action: Commit) -> Committed | Fenced:
        await self._await_seal()
        return await self._submitted(action)

    async def _await_seal(self) -> None:
        await self.once("seal", self._engine.board.await_seal)

    def _submitted(self, action: Commit) -> asyncio.Future[Committed | Fenced]:
        decode = self._endpoints[action.store].decode if action.decode else None
        return self._commits[action.store].submit(action.transaction, action.token, decode=decode)

    def _decoded(self, store: Store, replies: list[Any], decode: bool) -> list[Any]:
        decoded = self._endpoints[store].decode
        return decoded(replies) if decode and decoded is not None else replies

    # -- confirmation

    async def _confirmation(self, action: AwaitConfirmation) -> Confirmation:
        confirmations, progress = self._engine.confirmations, self._progress[action.store]
        confirmations.expect(action)
        await progress.reached(action.position, self._engine.board.settings.cloud_timeout_s / 2)
        deadline_s = time.monotonic() + OVERDUE_S
        while (known := confirmations.known(action, deadline_s)) is None:
            await progress.reached(action.position, LOOK_S)
        if known is Confirmation.AUTHORITY_LOST:
            wait = partial(confirmations.wait_for_seal, action.store, None)
            return confirmations.after_loss(action, await self._last_word("seal", action.store, wait))
        return known

    # -- watching

    async def _borrow(self, action: Borrow) -> Loan | Fenced:
        store, engine = action.store, self._engine
        if engine.board.is_unsealed(store):
            await self._await_seal()
        try:
            wire = await self._endpoints[store].take_fenced(engine.board.authority.epoch)
        except (NotSent, ReplyLost) as error:
            engine.reach.failed(store, error)
            raise
        if engine.board.settings.replicated and not admits_write(wire.authority, store, engine.board.authority):
            self._endpoints[store].give_fenced(wire)
            return await self.in_thread(partial(engine.claims.refused, store, wire.authority))
        return Loan(store, wire)

    async def unwatch(self, loan: Loan) -> None:
        """Renew the standing WATCH of the wire, which was a WATCH of keys too. Raises NotSent or ReplyLost."""
        await self._endpoints[loan.store].fence(loan.wire)

    def give_back(self, loan: Loan, *, renew: bool) -> None:
        """Return the wire; one that watched keys first has to `renew` its standing WATCH, nobody waits for that."""
        if renew:
            self._spawn(self._give_back(loan))
        else:
            self._endpoints[loan.store].give_fenced(loan.wire)

    async def _give_back(self, loan: Loan) -> None:
        try:
            await self.unwatch(loan)
        except (NotSent, ReplyLost):
            return
        self._endpoints[loan.store].give_fenced(loan.wire)

    # -- threads and tasks

    async def once(self, what: Hashable, work: Callable[[], T]) -> T:
        """Do `work` in a thread; tasks that ask for the same meanwhile share it, and its outcome."""
        running = self._running.get(what)
        if running is None:
            running = self._running[what] = self.in_thread(work)
            running.add_done_callback(partial(self._forget, what))
        result: T = await asyncio.shield(running)
        return result

    def in_thread(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Do `work` in one of the threads that wait for nothing else: the application may fill those of the loop.
        Raises NotSent when this is closed."""
        if self._is_closed:
            raise NotSent(CLOSED)
        # As the loop's own `run_in_executor` does; trio-asyncio's takes no executor of ours.
        return asyncio.wrap_future(self._threads.submit(work), loop=self.loop)

    def _forget(self, what: Hashable, done: asyncio.Future[Any]) -> None:
        del self._running[what]
        if not done.cancelled():
            done.exception()  # those who awaited it have it

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a connection's task failed", exc_info=error)
