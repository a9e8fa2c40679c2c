"""Commands of one client on the stores: the flows of `HybridRedis`, with replies as bytes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from redis import RedisError
from redis.client import NEVER_DECODE

from hybrid.core import flows
from hybrid.core.actions import Ask, Flow
from hybrid.core.commands import Command
from hybrid.core.write import Write
from hybrid.pipeline import HybridPipeline
from hybrid.proxy.lanes import Lane
from hybrid.proxy.replies import NULL, NULL_ARRAY, encoded, error_line
from hybrid.proxy.requests import Request
from hybrid.proxy.wires import waiting

__all__ = ["Execution"]

_RAW: Final = {NEVER_DECODE: True}


class Execution:
    """What a session runs. No method raises for a command that fails: the error is its reply."""

    def __init__(self, lane: Lane, client: socket.socket) -> None:
        self.lane = lane
        self._socket = client

    @property
    def replicated(self) -> bool:
        return self.lane.settings.replicated

    def reads(self, requests: Sequence[Request]) -> bytes:
        """Reads that go to one store together; its replies come back untouched."""
        lane, payload, count = self.lane, _joined(requests), len(requests)
        flow = flows.read(lane._board, lane._board.readers, lambda store: Ask(store, payload, count, reads=True))
        return self._raw(flow, count)

    def on_authority(self, requests: Sequence[Request], name: str, *, idempotent: bool) -> bytes:
        """Commands that are not logged, for the store that takes writes."""
        lane, payload, count = self.lane, _joined(requests), len(requests)
        ask = flows.ask_authority(lane._board, lambda store: Ask(store, payload, count), name, idempotent=idempotent)
        return self._raw(ask, count)

    def writes(self, writes: Sequence[Write]) -> list[bytes]:
        """Writes, and reads between them, as one logged pipeline; a reply for each."""
        lane = self.lane
        try:
            replies = lane._engine.drive(HybridPipeline(lane, False, None)._run(list(writes)))
        except RedisError as error:
            return [error_line(error)] * len(writes)
        return [encoded(reply, lane.protocol) for reply in replies]

    def alone(self, command: Command, args: tuple[bytes, ...]) -> bytes:
        """One command whose reply is not simply the store's: a scan, whose cursor names its store; one that counts or
        lists keys, where hybrid's own are hidden; one that waits. Raises ClientGone, and CommandRefused."""
        protocol = self.lane.protocol
        flow = self.lane.called(args, _RAW)
        waiting.client = self._socket
        try:
            reply = self.lane._engine.drive(flow)
        except RedisError as error:
            return error_line(error)
        finally:
            waiting.client = None
        if reply is None:
            # All that wait say so when their time is over, also those that wait for a single value.
            return (NULL if command.name == "RANDOMKEY" else NULL_ARRAY)[protocol]
        return encoded(reply, protocol)

    def _raw(self, flow: Flow, count: int) -> bytes:
        try:
            raw: bytes = self.lane._engine.drive(flow).raw
        except RedisError as error:
            return error_line(error) * count
        return raw


def _joined(requests: Sequence[Request]) -> bytes:
    return requests[0][1] if len(requests) == 1 else b"".join([packed for _, packed in requests])
