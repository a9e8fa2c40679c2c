"""MULTI, EXEC and WATCH of one client."""

from __future__ import annotations

from typing import Any

import redis
from redis import RedisError

from hybrid.core.commands import Policy, lookup, policy_of
from hybrid.errors import CommandRefused, QueueRefused
from hybrid.pipeline import HybridPipeline
from hybrid.proxy.batches import refusal_line
from hybrid.proxy.lanes import Lane
from hybrid.proxy.replies import NULL_ARRAY, OK, encoded, error_line, status_line
from hybrid.proxy.requests import Request

__all__ = ["Queue"]

QUEUED = status_line(b"QUEUED")
EXECABORT = b"-EXECABORT Transaction discarded because of previous errors.\r\n"


class Queue:
    """What a client has queued, and the connection that watches for it."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.open = False
        self._args: list[tuple[bytes, ...]] = []
        self._broken = False
        self._watching: HybridPipeline | None = None
        self._watch_lost = False

    @property
    def watching(self) -> bool:
        return self._watching is not None

    def multi(self) -> bytes:
        if self.open:
            return b"-ERR MULTI calls can not be nested\r\n"
        self.open = True
        return OK

    def add(self, request: Request) -> bytes:
        args = request[0]
        try:
            self.lane.prepared(args)
        except CommandRefused as error:
            self._broken = True
            return refusal_line(error, args)
        self._args.append(args)
        return QUEUED

    def exec(self) -> bytes:
        if not self.open:
            return b"-ERR EXEC without MULTI\r\n"
        protocol = self.lane.protocol
        try:
            if self._broken:
                return EXECABORT
            if self._watch_lost:
                return NULL_ARRAY[protocol]
            if not self._args and self._watching is None:
                return b"*0\r\n"
            return encoded(self._executed(), protocol)
        except redis.WatchError:
            return NULL_ARRAY[protocol]
        except QueueRefused:
            return EXECABORT
        except RedisError as error:
            return error_line(error)
        finally:
            self.reset()

    def _executed(self) -> list[Any]:
        pipeline = self._watching or HybridPipeline(self.lane, True, None)
        writes = [self.lane.prepared(args) for args in self._args]
        replies: list[Any] = self.lane._engine.drive(pipeline._run(writes))
        return replies

    def discard(self) -> bytes:
        if not self.open:
            return b"-ERR DISCARD without MULTI\r\n"
        self.reset()
        return OK

    def watch(self, args: tuple[bytes, ...]) -> bytes:
        if self.open:
            return b"-ERR WATCH inside MULTI is not allowed\r\n"
        if len(args) < 2:
            return b"-ERR wrong number of arguments for 'watch' command\r\n"
        if self._watching is None:
            self._watching = HybridPipeline(self.lane, True, None)
        try:
            self._watching.immediate_execute_command("WATCH", *args[1:])
        except redis.WatchError:
            self._lose()
        except RedisError as error:
            self.reset()
            return error_line(error)
        return OK

    def unwatch(self) -> bytes:
        self._unwatch()
        return OK

    def read(self, request: Request) -> bytes | None:
        """A read between WATCH and MULTI, from the connection that watches; None where it is to run as usual."""
        args = request[0]
        if self._watching is None or not _is_plain_read(args):
            return None
        try:
            reply = self._watching.immediate_execute_command(*args)
        except redis.WatchError:
            self._lose()
            return None
        except RedisError as error:
            return error_line(error)
        return encoded(reply, self.lane.protocol)

    def reset(self) -> None:
        """Forget all of it, and give the watching connection back."""
        self.open = self._broken = False
        self._args = []
        self._unwatch()

    def _lose(self) -> None:
        """The store was lost while watching: what changed since cannot be known, so EXEC is to do nothing."""
        self._unwatch()
        self._watch_lost = True

    def _unwatch(self) -> None:
        pipeline, self._watching = self._watching, None
        self._watch_lost = False
        if pipeline is not None:
            pipeline.reset()


def _is_plain_read(args: tuple[bytes, ...]) -> bool:
    try:
        return policy_of(lookup(args), args) is Policy.READ
    except CommandRefused:
        return False
