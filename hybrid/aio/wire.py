"""A connection on an event loop: requests of many tasks on their way at once, replies in the same order.

redis-py connects, authenticates and speaks TLS; then its transport is handed over to the protocol below. A task that is
cancelled leaves its request behind, and the reply is dropped when it comes: the connection stays in step.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import hiredis
from redis import RedisError
from redis.asyncio.connection import AbstractConnection

from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.wakefulness import AWAKE_S, Wakefulness
from hybrid.stores.fence import StandingFence
from hybrid.stores.meter import Tally
from hybrid.stores.reset import reset_at_close
from hybrid.stores.wire import plain_reason

__all__ = ["Awaited", "Request", "Wire", "opened"]

_INCOMPLETE: Final = object()
_SILENT: Final = "no answer in time"
_CLOSED: Final = getattr(select, "POLLRDHUP", 0)


class Request:
    """What is asked on one wire: told of its replies, or of their loss. The wire keeps its account of it here."""

    __slots__ = ("count", "patience_s", "replies", "sent_s")

    count: int
    patience_s: float
    replies: list[Any]
    sent_s: float

    def answer(self, replies: list[Any]) -> None:
        raise NotImplementedError

    def fail(self, error: NotSent | ReplyLost) -> None:
        raise NotImplementedError


class Awaited(Request):
    """A request that one task awaits."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[list[Any]]) -> None:
        self.future = future

    def answer(self, replies: list[Any]) -> None:
        if not self.future.done():
            self.future.set_result(replies)

    def fail(self, error: NotSent | ReplyLost) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Wire(StandingFence, asyncio.Protocol):
    """One connection to a store, for tasks of one loop.

    `on_lost` is called once when the connection fails, not when it is closed from here.
    """

    def __init__(self, connection: AbstractConnection, generation: int, timeout_s: float, tally: Tally) -> None:
        self.generation = generation
        self.connection = connection  # the meter counts what it did while it lives
        self.lost = False
        self.on_lost: Callable[[NotSent | ReplyLost], None] = lambda error: None
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._tally = tally
        self._pending: deque[Request] = deque()
        self._outbox: list[bytes] = []
        self._received_s = 0.0
        self._wakefulness = Wakefulness()
        self._alone: Request | None = None
        self._is_awake = False
        self._unsent_bytes = 0
        self._watchdog: asyncio.TimerHandle | None = None
        self._replies = hiredis.Reader(
            replyError=connection._parser.parse_error, notEnoughData=_INCOMPLETE, encoding=None
        )
        # Its streams close the transport when they are forgotten, so they are kept as long as the wire.
        writer: Any = connection._writer
        self._writer = writer
        connection._writer = connection._reader = None
        self._transport = writer.transport
        self._transport.set_protocol(self)
        self._poll = select.poll()
        self._poll.register(self._transport.get_extra_info("socket").fileno(), _CLOSED)

    # -- requests

    @property
    def is_idle(self) -> bool:
        return not self._pending

    def send(self, payload: bytes, count: int, request: Request, patience_s: float | None = None) -> None:
        """Send `payload`; `count` replies, error replies among them, go to `request`. Raises NotSent."""
        pending = self._pending
        if not pending and not self.lost and self._poll.poll(0):
            # The loop has not come to hear of it yet: a request into a closed connection would be in doubt.
            self._lose("connection closed by the store", silent=False)
        if self.lost:
            raise NotSent("connection closed")
        self._tally.commands += count
        self._tally.sent_bytes += len(payload)
        request.count, request.replies, request.sent_s = count, [], self._loop.time()
        request.patience_s = patience_s or self._timeout_s
        if pending:
            # Others are on their way: what is asked in this turn of the loop goes out in one piece.
            if not self._outbox:
                self._loop.call_soon(self._flush)
            self._outbox.append(payload)
            pending.append(request)
        else:
            pending.append(request)
            self._transport.write(payload)
            self._alone = request
            if self._wakefulness.choose() and not self._is_awake:
                self._is_awake = True
                self._loop.call_soon(self._stay_awake)
        self._watch_until(request.sent_s + request.patience_s)

    def exchange(self, payload: bytes, count: int, *, patience_s: float | None = None) -> asyncio.Future[list[Any]]:
        """Send `payload`; the future is of `count` replies, or of ReplyLost. Raises NotSent, and so may the future."""
        future: asyncio.Future[list[Any]] = self._loop.create_future()
        self.send(payload, count, Awaited(future), patience_s)
        return future

    async def exchange_alone(self, payload: bytes, count: int, *, patience_s: float | None = None) -> list[Any]:
        """As `exchange`, on a wire that no other task uses: one that is cancelled closes it, nobody wants the rest."""
        try:
            return await self.exchange(payload, count, patience_s=patience_s)
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; whoever still waits for a reply is told that it is lost."""
        self.on_lost = lambda error: None
        self._lose("connection closed", silent=False)

    def drop(self) -> None:
        self.close()

    # -- called by the loop

    def data_received(self, data: bytes) -> None:
        self._tally.received_bytes += len(data)
        self._received_s = self._loop.time()
        self._replies.feed(data)
        gets, pending = self._replies.gets, self._pending
        while (reply := gets()) is not _INCOMPLETE:
            if type(reply) is hiredis.PushNotification:
                self.flushes += 1
                continue
            if not pending:
                return self._lose("a reply that was not asked for", silent=False)
            first = pending[0]
            replies = first.replies
            replies.append(reply)
            if len(replies) == first.count:
                pending.popleft()
                if first is self._alone:
                    self._wakefulness.took(self._received_s - first.sent_s)
                first.answer(replies)

    def connection_lost(self, error: Exception | None) -> None:
        self._lose(plain_reason(error) if error else "connection closed by the store", silent=False)

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if not self.lost:
            self._transport.write(b"".join(outbox))

    def _stay_awake(self) -> None:
        """A loop that has something to do next looks at its connections without sleeping."""
        self._is_awake = bool(self._pending) and self._loop.time() - self._pending[0].sent_s < AWAKE_S
        if self._is_awake:
            self._loop.call_soon(self._stay_awake)

    def _watch_until(self, deadline_s: float) -> None:
        watchdog = self._watchdog
        if watchdog is not None:
            if watchdog.when() <= deadline_s:
                return
            watchdog.cancel()
        self._unsent_bytes = self._transport.get_write_buffer_size()
        self._watchdog = self._loop.call_at(deadline_s, self._bark)

    def _bark(self) -> None:
        """A deadline has come: it is that of a request long answered, or the store is silent."""
        watchdog, self._watchdog = self._watchdog, None
        if self.lost or not self._pending or watchdog is None:
            return
        first, now_s = self._pending[0], self._loop.time()
        unsent_bytes = self._transport.get_write_buffer_size()
        deadline_s = max(first.sent_s, self._received_s) + first.patience_s
        if unsent_bytes < self._unsent_bytes or now_s - watchdog.when() > first.patience_s / 2:
            # A large value is still going out; or the loop itself was held up, which says nothing of the store.
            deadline_s = now_s + first.patience_s
        if now_s < deadline_s:
            self._watch_until(deadline_s)
        else:
            self._lose(_SILENT, silent=True)

    def _lose(self, reason: str, *, silent: bool) -> None:
        if self.lost:
            return
        self.lost = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        reset_at_close(self._transport.get_extra_info("socket"))
        self._transport.abort()
        pending, self._pending = self._pending, deque()
        kept, self._outbox = len(self._outbox), []
        sent = len(pending) - kept
        for index, request in enumerate(pending):
            request.fail(ReplyLost(reason, silent=silent) if index < sent else NotSent(reason, silent=silent))
        self.on_lost(ReplyLost(reason, silent=silent))


async def opened(connection: AbstractConnection, generation: int, timeout_s: float, tally: Tally) -> Wire:
    """Connect. Raises NotSent when the store refuses, stays silent or rejects the credentials."""
    try:
        await connection.connect()
    except (RedisError, OSError) as error:
        reason = plain_reason(error)
        raise NotSent(reason, silent=reason == _SILENT) from None
    except BaseException:
        connection._close()
        raise
    return Wire(connection, generation, timeout_s, tally)
