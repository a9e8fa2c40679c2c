"""The seal: how far the log of a local store that was lost has gone, for those who wait for a reply or a confirmation.

It is said twice. At once, behind everything that is still on its way to the cloud store, so that whoever hears it knows
that all of that has arrived: an early seal, under the record that still names the local store. And once more when
the authority has moved and everything is answered, to be kept for the rejoin.

An early seal promises that nothing more goes out from that log before the authority moves. A shipper that finds the
local store alive after all therefore gives the record a new epoch first, which makes the seal void (`Seal.is_valid`).
Another shipper cannot begin before the lease of this one has run out, and by then nobody believes an early seal.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from hybrid.core.authority import Authority, position_text
from hybrid.core.health import Evidence
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.core.tokens import EARLY_SEAL_S, Seal
from hybrid.replication.endings import Ended, TargetLost
from hybrid.replication.messages import Progress, Word
from hybrid.replication.stream import Stream
from hybrid.stores.pipe import Done, ignore
from hybrid.types import Store

__all__ = ["LastWord"]

SILENCE_S: Final = EARLY_SEAL_S + 0.5
"""How long nothing is shipped after an early seal that nobody took up, where its promise cannot be taken back."""


class LastWord:
    """Says how far `stream`, of the local store's log, has got; nothing until that knows what was sent before it."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        stream.live_from = None  # should it catch up with what it has sent, that is told to nobody any more
        # Made when the stream ends. One that was stopped until its lease ran out does not know what the next has sent.
        self._knows = stream.accounts_for_all and stream.lease.is_held

    def moved(self) -> None:
        """The authority has moved to the cloud store."""
        if not self._knows:
            return
        with suppress(TargetLost, Ended):
            self._publish(self._stream.board.authority)
            if self._stream.drained():
                self._keep()

    def source_lost(self, error: NotSent | ReplyLost) -> None:
        """The local store does not answer; a connection that was merely closed says nothing."""
        stream = self._stream
        is_lost = self._is_local_lost(error) and stream.board.reachable(Store.CLOUD)
        if not is_lost or not self._knows:
            return
        board, record, said_s = stream.board, stream.board.authority, time.monotonic()
        try:
            self._publish(record)
            drained = stream.drained()
        except (TargetLost, Ended):  # the cloud's record may be what ends a stream that had just been opened
            drained = False
        until_s = said_s + SILENCE_S
        board.wait_for(lambda: board.authority.store is Store.CLOUD or board.reachable(Store.LOCAL), SILENCE_S)
        if board.authority.store is Store.CLOUD:
            if drained:
                self.moved()
        elif not self._taken_back(record):
            board.wait_for(lambda: board.authority.store is Store.CLOUD, until_s - time.monotonic())

    def _is_local_lost(self, error: NotSent | ReplyLost) -> bool:
        """Silence tells of the store; a connection that was merely closed does not: a new one is tried."""
        board = self._stream.board
        if error.silent:
            board.observe(Store.LOCAL, Evidence.SILENT, str(error))
        elif board.authority.store is Store.LOCAL and board.reachable(Store.LOCAL):
            try:
                self._stream.endpoints[Store.LOCAL].probe()
            except (NotSent, ReplyLost) as failure:
                evidence = Evidence.SILENT if failure.silent else Evidence.REFUSED
                board.observe(Store.LOCAL, evidence, str(failure))
        return board.authority.store is not Store.LOCAL or not board.reachable(Store.LOCAL)

    def _publish(self, record: Authority) -> None:
        """Tell it behind everything that is on its way."""
        stream = self._stream
        stream.ahead.sent(stream.sent_to)
        maybe_to = max(stream.sent_to, stream.maybe_to)
        epoch = stream.under.epoch + 1
        covers_s = time.monotonic() - stream.lease.taken_s
        seal = Seal(record, epoch, stream.sent_to, maybe_to, stream.shipped, stream.ahead.whole, covers_s)
        channel = stream.endpoints[Store.CLOUD].applied
        word = pack(("PUBLISH", channel, Progress(Word.SEAL, stream.sent_to, seal.packed).packed))
        stream.send()
        self._send(word, lambda _: stream.board.acks[Store.LOCAL].seal(seal))

    def _send(self, command: bytes, done: Done) -> None:
        """Not by the stream: where its window is full it waits, and finds out once more that it has to end."""
        stream = self._stream
        with stream.target_errors():
            stream.pipe.push(command, 1, done)
            stream.pipe.flush()

    def _keep(self) -> None:
        """The record, from which the local store will rejoin, stops before the first failed replay: its keys are not
        settled, though it was shipped. Up to the second position nothing is to be applied again."""
        stream = self._stream
        if stream.board.authority.store is not Store.CLOUD:
            return
        shipped_to = max(stream.sent_to, stream.maybe_to, stream.applied)
        places = position_text(stream.applied) + b" " + position_text(shipped_to)
        record = b"%d %b" % (stream.board.authority.epoch, places)
        self._send(pack(("SET", stream.names.seal, record)), ignore)
        stream.drained()

    def _taken_back(self, record: Authority) -> bool:
        """Whether the record has a new epoch now, so that the early seal is void."""
        stream, cloud = self._stream, self._stream.endpoints[Store.CLOUD]
        renewed = Authority(record.holder, record.epoch + 1)
        try:
            generation, wire = cloud.take_fenced(record.epoch)
            if wire.authority == record:
                cloud.move(wire, renewed)
            found = wire.authority
            cloud.give_fenced(generation, wire)
            stream.board.learn(found, source=Store.CLOUD)
            if found != renewed:
                return found is not None and found.epoch > record.epoch
            stream.endpoints[Store.LOCAL].renew_record(renewed)
        except (NotSent, ReplyLost):
            return False
        return True
