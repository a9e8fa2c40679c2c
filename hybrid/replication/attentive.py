"""Reads from a stream's source without losing sight of the other store: should the source hang in the middle, what the
other one has confirmed is still told, and writers need not time out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hybrid.core.outcomes import ReplyLost
from hybrid.stores.exchange import Command
from hybrid.stores.wire import SILENT

if TYPE_CHECKING:
    from hybrid.replication.stream import Stream

__all__ = ["Attentive"]


class Attentive:
    """The wire on which `stream` reads states; a `hybrid.stores.exchange.RedisConnection`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._wire = stream.states
        self._is_due = False

    def pack_commands(self, commands: Iterable[Command], /) -> Any:
        return self._wire.pack_commands(commands)

    def send_packed_command(self, command: Any, /) -> Any:
        self._wire.send_packed_command(command)
        self._is_due = True

    def read_response(self) -> Any:
        if self._is_due:
            self._is_due = False
            self.attend()
        return self._wire.read_response()

    def attend(self) -> None:
        """Until an answer begins to come. If the stream has to end meanwhile, nobody else shall read the answer.

        Raises ReplyLost when it should have come: to begin to wait for it again would double the time that writers
        without a reply wait for the stream's last word.
        """
        stream, file = self._stream, self._wire.fileno()
        until_s = time.monotonic() + stream.endpoints[stream.source].patience_s
        try:
            while not stream.attend(file, max(until_s - time.monotonic(), 0.0)):
                if time.monotonic() > until_s:
                    raise ReplyLost(SILENT, silent=True)
        except BaseException:
            self._wire.disconnect()
            raise
