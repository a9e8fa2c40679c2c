"""Notices a store that says nothing while a stream waits for it. Writers notice too, and wait for what it does then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hybrid.core.health import Evidence
from hybrid.core.outcomes import ReplyLost
from hybrid.core.transaction import FLUSH_S
from hybrid.replication.endings import TargetLost
from hybrid.stores.wire import HELD_UP_TIMES

if TYPE_CHECKING:
    from hybrid.replication.stream import Stream

__all__ = ["Silence"]

DETOUR_S: Final = 0.03
"""A local store that has not answered for so long: progress is told on the cloud's channel, before writers time out."""

SLOWEST_BYTES_S: Final = 1_000_000
"""A link slower than this counts as silent while much is on its way. With the window, it bounds how late a command can
still arrive."""


class Silence:
    """Of the two stores of `stream`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    @property
    def patience_s(self) -> float:
        """How long nothing needs to be done about either store."""
        return max(min(self._source_patience_s, self._target_patience_s), 0.0)

    @property
    def _source_patience_s(self) -> float:
        stream, silent_s = self._stream, self._stream.control.silent_s
        return (DETOUR_S if 0 < silent_s < DETOUR_S else stream.endpoints[stream.source].patience_s) - silent_s

    @property
    def _target_patience_s(self) -> float:
        """The other store is silent when a request has waited for the whole timeout, and none was answered for half of
        it: one that is busy answers others meanwhile."""
        stream, pipe = self._stream, self._stream.pipe
        allowed_s = stream.endpoints[stream.target].usual_patience_s + pipe.in_flight_bytes / SLOWEST_BYTES_S
        if stream.is_flushing:
            allowed_s += FLUSH_S
        return max(allowed_s - pipe.waiting_s, allowed_s / 2 - pipe.silent_s)

    def check(self) -> None:
        """Raises ReplyLost when the source is silent, TargetLost when the other store is."""
        self.check_source()
        self._check_target()

    def check_source(self) -> None:
        """An application finds out within the store's timeout that it hangs. Its shipper must not be later: writers
        without a reply wait for its last word."""
        stream = self._stream
        if stream.control.silent_s > DETOUR_S:
            stream.announcer.tell_by_detour()
        patience_s = stream.endpoints[stream.source].patience_s
        if stream.control.silent_s <= patience_s or self._is_held_up(stream.control.silent_s, patience_s):
            return
        if stream.control.wire.fileno() in stream.poll(with_reader=False, wait_s=0):
            stream.control.collect(readable=True)
            return
        stream.board.observe(stream.source, Evidence.SILENT, "no answer in time")
        raise ReplyLost("no answer in time", silent=True)

    def _is_held_up(self, silent_s: float, patience_s: float) -> bool:
        """Whether this thread went on so late that the store may have had to wait as well; not for ever."""
        return self._stream.is_held_up and silent_s < HELD_UP_TIMES * patience_s

    def _check_target(self) -> None:
        stream = self._stream
        patience_s = stream.endpoints[stream.target].usual_patience_s
        if self._target_patience_s > 0 or self._is_held_up(stream.pipe.silent_s, patience_s):
            return
        if stream.pipe.wire.fileno() in stream.poll(with_reader=False, wait_s=0):
            # The answers are there: this thread was busy elsewhere, and had not looked.
            stream.collect()
            return
        stream.endpoints[stream.target].retire()
        stream.board.observe(stream.target, Evidence.SILENT, "no answer in time")
        raise TargetLost
