"""Tells the processes how far a log is applied, and trims it that far."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from hybrid.core.authority import Position, position_text
from hybrid.core.health import Evidence
from hybrid.core.resp import pack
from hybrid.replication.lease import RENEW_S
from hybrid.replication.messages import Progress, Word
from hybrid.stores.pipe import ignore
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.replication.stream import Stream

__all__ = ["Announcer"]

TRIM_S: Final = {Store.LOCAL: 0.005, Store.CLOUD: 1.0}


class Announcer:
    """For `stream`, over its control connection."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._announced: Position = (0, 0)
        self._announced_s = 0.0
        self._detoured: Position = (0, 0)
        self._said_s = time.monotonic()

    def say(self) -> None:
        """Tell the place, and whether the other store has caught up or lags behind. A stream that has only begun knows
        neither, and takes nothing back of what the one before it said."""
        stream = self._stream
        if not stream.lease.is_held:
            return  # there is a successor, who knows better
        word = Word.LIVE if stream.live else Word.BEHIND if stream.lags else Word.PASSED
        message = Progress(word, stream.applied).packed
        self._said_s = time.monotonic()
        stream.control.push(pack(("PUBLISH", stream.endpoints[stream.source].applied, message)), 1, ignore)
        stream.control.flush()

    def announce(self) -> None:
        """Trim the log to what is not applied yet and tell the place, if there is progress and it is time to."""
        stream, now_s = self._stream, time.monotonic()
        # A cloud store that keeps the authority is worth the price of prompt confirmations.
        idle = not stream.pipe.in_flight and (stream.source is Store.LOCAL or stream.board.authority.held)
        is_due = idle or now_s - self._announced_s > TRIM_S[stream.source]
        if stream.applied <= self._announced or not is_due:
            return
        self._announced, self._announced_s = stream.applied, now_s
        self.trim()
        self.say()

    def trim(self) -> None:
        """Take what is applied out of the log. Not sent yet: see `Pipe.flush`."""
        stream, (ms, sequence) = self._stream, self._stream.applied
        stream.control.push(pack(("XTRIM", stream.names.log, "MINID", position_text((ms, sequence + 1)))), 1, ignore)

    def repeat(self) -> None:
        """Say it again after a while: for processes that came, and as a sign of life."""
        stream = self._stream
        if time.monotonic() - self._said_s > RENEW_S[stream.source]:
            self.say()
            if stream.live:
                # While dual write begins again nobody believes it, and the copy may be complete before that is over.
                stream.board.observe(stream.target, Evidence.CAUGHT_UP)

    def tell_by_detour(self) -> None:
        """The local store does not answer: tell it on the cloud's channel, before writers time out."""
        stream = self._stream
        if stream.source is Store.LOCAL and stream.applied > self._detoured:
            self._detoured = stream.applied
            channel = stream.endpoints[Store.CLOUD].applied
            stream.pipe.push(pack(("PUBLISH", channel, Progress(Word.PASSED, stream.applied).packed)), 1, ignore)
            stream.send()

    def finish(self) -> None:
        """Trim the log once more, and mark that nothing of it is in doubt if that is so."""
        stream = self._stream
        self.announce()
        if stream.source is Store.LOCAL and stream.live and stream.is_settled and stream.opening.knows_run:
            stream.control.push(stream.lease.set(stream.names.stream, stream.opening.clean_mark), 1, ignore)

    def note_sent(self) -> None:
        """The stream has ended, and what stands in the log beyond this place was never sent: should the local store be
        lost before the next stream begins, that can be applied again without counting twice."""
        stream = self._stream
        if stream.source is Store.LOCAL and stream.accounts_for_all:
            place = position_text(max(stream.applied, stream.sent_to, stream.maybe_to))
            stream.control.push(stream.lease.set(stream.names.sent, place), 1, ignore)
