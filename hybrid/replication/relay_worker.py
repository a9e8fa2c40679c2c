"""The thread of the process that ships which runs the writes that others ask for, see `hybrid.replication.relay`."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from hybrid.core.authority import Position, admits_write, position
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.refusals import is_unknown_script
from hybrid.core.relay import CLAIMED, NO_EPOCH, UNREACHED, Answer, Request, claim
from hybrid.core.resp import pack
from hybrid.replication.board import Board
from hybrid.replication.records import checked
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["RelayWorker"]

SHIPPED_S: Final = 0.5
"""How long the shipping process waits until the cloud store has what it ran, before it answers."""

KEPT_S: Final = 2.0
"""Longer than anybody waits for an answer."""

TRIES: Final = 20
"""What was not run because other requests were claimed at the same time is tried again."""

LOOK_S: Final = 0.05
IDLE_S: Final = 5.0

logger = logging.getLogger("hybrid")


class _Waiting(NamedTuple):
    """An answer that waits until the cloud store has everything up to `place`."""

    name: bytes
    place: Position
    until_s: float
    replies: bytes


class _Given(NamedTuple):
    """An answer, and when it was published."""

    answer: Answer
    at_s: float


class RelayWorker(threading.Thread):
    """Runs what others ask, in order, and answers each when the cloud store has it; again, if it is asked again."""

    def __init__(self, endpoints: Mapping[Store, Endpoint], board: Board, names: Names) -> None:
        super().__init__(name="hybrid-relay", daemon=True)
        self._endpoints = endpoints
        self._board = board
        self._names = names
        self._requests: deque[Request] = deque()
        self._waiting: deque[_Waiting] = deque()
        self._given: dict[bytes, _Given] = {}
        self._woken = threading.Event()
        self._wires: dict[int, Wire] = {}

    def take(self, request: Request) -> None:
        self._requests.append(request)
        self._woken.set()

    def run(self) -> None:
        acks, asked_s = self._board.acks[Store.LOCAL], time.monotonic()
        while not self._board.closing and time.monotonic() - asked_s < IDLE_S:
            self._woken.wait(LOOK_S if self._waiting else IDLE_S)
            self._woken.clear()
            if self._requests or self._waiting:
                asked_s = time.monotonic()
            try:
                self._turn()
            except Exception:
                logger.exception("relaying failed and goes on")
            (acks.listeners.add if self._waiting else acks.listeners.discard)(self._woken.set)
        acks.listeners.discard(self._woken.set)
        for wire in self._wires.values():
            wire.disconnect()

    def _turn(self) -> None:
        answers = []
        while self._requests:
            request = self._requests.popleft()
            if (given := self._given.get(request.name)) is not None:
                answers.append(given.answer)
            else:
                answers += self._run(request)
        applied, now_s = self._board.acks[Store.LOCAL].applied, time.monotonic()
        while self._waiting and (self._waiting[0].place <= applied or self._waiting[0].until_s < now_s):
            waiting = self._waiting.popleft()
            answers.append(Answer(waiting.name, applied, waiting.replies))
        if answers:
            self._given |= {answer.name: _Given(answer, now_s) for answer in answers}
            self._publish(answers)
        while self._given and now_s - next(iter(self._given.values())).at_s > KEPT_S:
            del self._given[next(iter(self._given))]

    def _run(self, request: Request) -> list[Answer]:
        """Run it, and have its answer wait. The result is the answer if nothing was run; none if that is not known."""
        refused = [Answer(request.name, (0, 0), b"")]
        try:
            wire = self._wire(request.protocol)
            if not self._claimed(wire, request):
                return []  # another process runs it, or has refused
            if request.endings:
                wire.exchange(b"".join(request.endings), len(request.endings))
            for _ in range(TRIES):
                if not self._admits(wire, request) or not self._stands(wire, request):
                    wire.authority = None  # its WATCH is to be given up
                    return refused
                raw, replies = wire.exchange_raw(request.payload, request.replies)
                wire.see(replies[-1])
                if (ran := replies[-3]) is not None:
                    break
                wire.authority = None  # another claim may have broken it, which tells nothing of this one
            else:
                return refused
            errors = [reply for reply in ran if isinstance(reply, Exception)] if isinstance(ran, list) else []
            if any(map(is_unknown_script, errors)):
                wire.effects_loaded = False  # who asked sees it, and asks again
            place = self._logged_to(wire)
        except (NotSent, ReplyLost) as error:
            logger.debug("what another process asked for is not known to have been done: %s", error)
            return [Answer(request.name, (0, 0), UNREACHED)] if request.epoch == NO_EPOCH else []
        self._waiting.append(_Waiting(request.name, place, time.monotonic() + SHIPPED_S, raw))
        return []

    def _logged_to(self, wire: Wire) -> Position:
        [entries] = checked(wire, ("XREVRANGE", self._names.log, "+", "-", "COUNT", 1))
        return position(entries[0][0]) if entries else (0, 0)  # none: all of it is on the cloud store already

    def _wire(self, protocol: int) -> Wire:
        wire = self._wires.get(protocol)
        if wire is None or not wire.is_connected or not wire.is_quiet():
            endpoint = self._endpoints[Store.LOCAL]
            wire = self._wires[protocol] = endpoint.connect(protocol=protocol, decode_responses=False)
        return wire

    def _admits(self, wire: Wire, request: Request) -> bool:
        """Whether the record of the request's epoch is in force; the standing WATCH of `wire` guards it then."""
        endpoint = self._endpoints[Store.LOCAL]
        if wire.authority is None or wire.authority.epoch != request.epoch:
            endpoint.fence(wire)
        if request.scripted and not wire.effects_loaded:
            endpoint.load_effects(wire)
        asked_under = wire.authority is not None and wire.authority.epoch == request.epoch
        return asked_under and admits_write(wire.authority, Store.LOCAL, self._board.authority)

    def _claimed(self, wire: Wire, request: Request) -> bool:
        """Whether it is this process that runs it."""
        claimed, kept = wire.exchange(b"".join(claim(self._names.relay, request.name)), 2)
        return claimed == 1 and not isinstance(kept, Exception)

    def _stands(self, wire: Wire, request: Request) -> bool:
        """Whether it was not revoked; the WATCH guards that, too, from here on."""
        key = self._names.relay
        _, claimed = checked(wire, ("WATCH", key), ("HGET", key, request.name))
        return bool(claimed == CLAIMED)

    def _publish(self, answers: list[Answer]) -> None:
        endpoint = self._endpoints[Store.CLOUD]
        payload = b"".join(pack(("PUBLISH", endpoint.relay, answer.packed)) for answer in answers)
        try:
            generation, wire = endpoint.take()
            wire.exchange(payload, len(answers))
            endpoint.give(generation, wire)
        except (NotSent, ReplyLost) as error:
            logger.debug("an answer was lost: %s", error)
