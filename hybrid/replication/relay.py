"""Writes of a process that alone cannot reach the local store, run there by the process that ships.

Such a process takes the authority to the cloud store once, as for any loss: it cannot know better. When it hears that
the authority was handed back while it still cannot reach the local store, somebody else can, and from then on it hands
its transactions over (`hybrid.core.relay`). They and their tokens are the same as if it had reached the store itself; a
lost answer is treated as a lost reply: by the shipper's seal, once the authority has moved.

At most once: the request is bound to an epoch, which the fence guards, and claimed on the local store before it is run,
because two processes may both believe that they ship. Who has asked and goes on without an answer revokes it, ahead of
the next write there: that breaks the WATCH under which it is run.
"""

from __future__ import annotations

import copy
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.relay import LARGEST_BYTES, NO_EPOCH, UNREACHED, Answer, Request, parsed, revocation
from hybrid.core.resp import pack
from hybrid.core.tokens import token
from hybrid.core.transaction import Transaction
from hybrid.replication.board import Board
from hybrid.replication.relay_worker import RelayWorker
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["Relay"]

ANSWER_S: Final = 1.0
"""How long an answer is waited for, beyond what the transaction takes."""

PRESENCE_S: Final = 1.0
"""How long somebody who ships is waited for, where it is not known that anybody does."""

ASK_AGAIN_S: Final = 0.25
"""Nobody may have been shipping just then."""

logger = logging.getLogger("hybrid")


class Relay:
    """Of one process: asks others, and does what others ask."""

    def __init__(self, endpoints: Mapping[Store, Endpoint], board: Board, names: Names) -> None:
        self._endpoints = endpoints
        self._board = board
        self._names = names
        self._answers: dict[bytes, Answer | None] = {}
        self._heard = threading.Condition()
        self._worker: RelayWorker | None = None

    def over(self, endpoints: Mapping[Store, Endpoint]) -> Relay:
        """The same, asking over other connections; what it hears is heard by this one."""
        other = copy.copy(self)
        other._endpoints = endpoints
        return other

    # -- asking

    def is_answered(self) -> bool:
        """Whether there is a process that ships, and reaches the local store: it refuses a request of no epoch."""
        request = Request(secrets.token_hex(8).encode(), NO_EPOCH, 2, 0, scripted=False, payload=b"")
        cloud = self._endpoints[Store.CLOUD]
        try:
            generation, wire = cloud.take()
            try:
                answer = self._answer_within(request, wire, PRESENCE_S)
                return answer is not None and answer.replies != UNREACHED
            finally:
                cloud.give(generation, wire)
        except (NotSent, ReplyLost):
            return False

    def run(self, transaction: Transaction, *, decode: bool) -> tuple[list[Any], bytes]:
        """The replies of the local store to `transaction`, and the token it had.

        Raises NotSent when it was not run, ReplyLost when that is not known.
        """
        name = secrets.token_hex(8).encode()
        traced = token(name[:8], 1) if transaction.traced else b""
        lost = self._endpoints[Store.LOCAL].lost
        endings, asked_s = lost.endings, time.monotonic()
        generation, wire = self._endpoints[Store.CLOUD].take()
        try:
            # The answer is read by this wire's parser, as the local store's own would.
            protocol = 3 if str(wire.protocol) == "3" else 2
            request = Request(
                name,
                self._board.authority.epoch,
                protocol,
                transaction.replies,
                transaction.scripted,
                transaction.payload(traced),
                endings,
            )
            if transaction.flushes:
                raise NotSent("it may take long, and until then nobody can tell whether anyone is at it")
            answer = self._answered(request, wire, transaction.work_s)
            lost.ended(endings)
            return wire.replayed(answer.replies, request.replies, decode=decode), traced
        except NotSent:
            raise
        except BaseException as error:
            # It may be run again, or what comes next is to come after it: others must not run it then.
            lost.add_revocation(*revocation(self._names.relay, name))
            if isinstance(error, ReplyLost):
                error.token, error.sent_s = traced, asked_s
            raise
        finally:
            self._endpoints[Store.CLOUD].give(generation, wire)

    def _answered(self, request: Request, wire: Wire, work_s: float) -> Answer:
        if len(request.packed) > LARGEST_BYTES:
            raise NotSent("too large to be relayed")
        answer = self._answer_within(request, wire, ANSWER_S + work_s)
        if answer is None:
            raise ReplyLost("the process that ships has not answered", silent=False)
        if not answer.replies:
            raise NotSent("the process that ships has refused")
        self._board.acks[Store.LOCAL].advance(answer.applied)
        return answer

    def _answer_within(self, request: Request, wire: Wire, seconds: float) -> Answer | None:
        """None without one, or when the authority has moved. Raises NotSent or ReplyLost."""
        until_s, epoch = time.monotonic() + seconds, self._board.authority.epoch
        self._answers[request.name] = answer = None
        asked = False
        try:
            while answer is None and time.monotonic() < until_s and self._board.authority.epoch == epoch:
                wire.exchange(pack(("PUBLISH", self._channel, request.packed)), 1)
                asked = True
                answer = self._heard_within(request, epoch, ASK_AGAIN_S)
        except NotSent as error:
            if asked:
                raise ReplyLost(str(error), silent=error.silent) from None
            raise
        finally:
            del self._answers[request.name]
        return answer

    def _heard_within(self, request: Request, epoch: int, seconds: float) -> Answer | None:
        board, name = self._board, request.name
        with self._heard:
            self._heard.wait_for(lambda: self._answers[name] or board.authority.epoch != epoch, seconds)
        return self._answers[name]

    @property
    def _channel(self) -> bytes:
        return self._endpoints[Store.CLOUD].relay

    # -- hearing

    def hear(self, message: bytes) -> None:
        """A message on the channel. Never waits."""
        try:
            heard = parsed(message)
        except ValueError:
            logger.warning("a message on %r that is not hybrid's was ignored", self._channel)
            return
        if isinstance(heard, Answer):
            if heard.name in self._answers:
                with self._heard:
                    self._answers[heard.name] = heard
                    self._heard.notify_all()
        elif self._board.shipping or (heard.epoch == NO_EPOCH and self._has_just_shipped()):
            if self._worker is None or not self._worker.is_alive():
                self._worker = RelayWorker(self._endpoints, self._board, self._names)
                self._worker.start()
            self._worker.take(heard)

    def _has_just_shipped(self) -> bool:
        """Whether it may be for want of the local store that this process ships no more, and nobody else may yet."""
        return time.monotonic() - self._board.shipped_s < PRESENCE_S

    def forget_after_fork(self) -> None:
        self._answers, self._heard, self._worker = {}, threading.Condition(), None
