"""Failback, fenced: stop writes on the cloud store, ship the last entries, let writes go on at the local one."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any, Final

from hybrid.core.authority import Authority, Holder
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.errors import HybridError
from hybrid.replication.endings import TargetLost
from hybrid.replication.follow import Follow
from hybrid.replication.lease import Lease
from hybrid.replication.packed_copy import PackedCopy, rest_command, rest_of
from hybrid.replication.stream import WINDOW_COMMANDS, Stream
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.pipe import ignore
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["HandBack"]

TAKEN_BACK_S: Final = (1.0, 8.0)
"""How long after a handover that writers took back, because it took too long, the next one begins: at first, and at the
most. They have waited, and have much to write now."""


class HandBack:
    """Of the cloud store's authority, over `stream`, which ships the cloud store's log."""

    def __init__(self, stream: Stream, follow: Follow, packed: PackedCopy) -> None:
        self._stream = stream
        self._follow = follow
        self._packed = packed
        self._pause_s, self._due_s = TAKEN_BACK_S[0], 0.0

    def run(self) -> bool:
        """Try once; whether the local store has the authority now. Reads go on throughout.

        Raises TargetLost when the local store is lost in between: the cloud store has the authority again then.
        """
        if time.monotonic() < self._due_s:
            return False
        board, cloud = self._stream.board, self._stream.endpoints[Store.CLOUD]
        packs = self._packed.can_pack()  # to find out takes a while: now, not while writers wait
        generation, wire = cloud.take_fenced(board.authority.epoch)
        record, handed_back = wire.authority, False
        if record is not None and record.holder is Holder.CLOUD and not record.held:
            halted = record.succeeded_by(Holder.HANDOVER)
            board.learn(halted, source=Store.CLOUD)
            rest = self._halt(cloud, wire, halted, packs)
            if is_halted := wire.authority == halted:
                handed_back = self._completed(cloud, wire, halted, rest)
            if is_halted and not handed_back:
                self._due_s = time.monotonic() + self._pause_s
                self._pause_s = min(2 * self._pause_s, TAKEN_BACK_S[1])
        elif record is not None and record.holder is Holder.HANDOVER:
            # Begun by a shipper that died, or whose connection was cut: nobody else would complete it.
            handed_back = self._completed(cloud, wire, record, self._rest())
        cloud.give_fenced(generation, wire)
        board.learn(wire.authority, source=Store.CLOUD)
        return handed_back

    def _halt(self, cloud: Endpoint, wire: Wire, halted: Authority, packs: bool) -> Any:
        """Stop writes, and read in the same round trip what was written before, with the states that are to be copied
        where they can be packed: writers wait."""
        log, read_to = self._stream.names.log, self._stream.read_to
        if not packs:
            command = pack(("XREAD", "COUNT", WINDOW_COMMANDS, "STREAMS", log, read_to))
            return cloud.move(wire, halted, then=command)
        reply = cloud.move(wire, halted, then=rest_command(log, read_to, WINDOW_COMMANDS))
        if isinstance(reply, Exception):
            return self._rest()
        entries, packed = rest_of(reply)
        self._packed.noted(packed)
        self._packed.restore(packed)
        return [[log, entries]] if entries else None

    def _rest(self) -> Any:
        stream = self._stream
        command = ("XREAD", "COUNT", stream.batch_entries, "STREAMS", stream.names.log, stream.read_to)
        return stream.states.exchange(pack(command), 1)[0]

    def _completed(self, cloud: Endpoint, wire: Wire, halted: Authority, rest: Any) -> bool:
        """Whether the record names the local store now: it does not where somebody took it back."""
        stream, returned = self._stream, halted.succeeded_by(Holder.LOCAL)
        try:
            self._follow.forward(rest)
            while not stream.at_end:
                self._follow.forward(self._rest())
            self._settle_all()
        except (TargetLost, HybridError):
            with suppress(NotSent, ReplyLost):
                cloud.move(wire, halted.succeeded_by(Holder.CLOUD))
            raise
        # Another shipper would not know that nothing is in doubt, and begin by copying while writers wait. One that
        # still holds the lease shipped before the authority moved; the merge has closed its connection to the cloud.
        lease = Lease(Store.LOCAL, stream.names.lease, stream.lease.holder)
        stream.push(lease.seize(), 1, ignore)
        stream.flush()
        cloud.move(wire, returned)
        if wire.authority != returned:
            return False
        self._welcome_local(returned, lease)
        return True

    def _settle_all(self) -> None:
        """Everything sent is answered, and every failed replay is settled by state."""
        while True:
            if not self._stream.drained():
                raise TargetLost
            if not self._follow.settle_failed():
                return

    def _welcome_local(self, authority: Authority, lease: Lease) -> None:
        stream = self._stream
        stream.push(lease.set(stream.names.stream, stream.opening.clean_mark), 1, stream.accepted)
        if not stream.drained():
            raise TargetLost
        with stream.target_errors():
            stream.endpoints[Store.LOCAL].renew_record(authority)
        stream.announcer.trim()  # and not all of it: somebody may have claimed the authority again
        with suppress(NotSent, ReplyLost):
            stream.control.flush()
