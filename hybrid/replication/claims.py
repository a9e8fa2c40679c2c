"""What a writer does about the authority: takes it when its store is lost, and takes note of it at the fence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from hybrid.core.authority import Authority, Holder
from hybrid.core.connections import endings_of
from hybrid.core.outcomes import Fenced, NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.replication.opening import TAKE_OVER, UNKNOWN_STREAM
from hybrid.replication.reach import Reach
from hybrid.replication.relay import Relay
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["Claims"]


class Claims:
    """Of this process, on its own evidence."""

    def __init__(self, reach: Reach, relay: Relay) -> None:
        self._reach = reach
        self._relay = relay
        self._board = reach.board
        self._endpoints = reach.endpoints

    def claim(self) -> None:
        """Claim the authority for the store that is left: the other one is lost by this process's own evidence. A drain
        that did not end is taken back instead, while the local store is there to write to. A cloud store that lacks
        something is claimed only where nobody else reaches the local one."""
        known, routes = self._board.authority, self._board.routes
        if routes.claim and routes.writer is Store.LOCAL:
            self._claim_alone(known)
        elif self._board.may_rely and self._relay.is_answered():
            self._board.relay()
        else:
            self._claim_for_cloud(known)

    def _claim_alone(self, known: Authority) -> None:
        """For a local store that has everything this process knows of. The record on the cloud store, which decides at
        other times, cannot be asked: the shipper renews it once it can, and merges what only that store knows."""
        local = self._endpoints[Store.LOCAL]
        names = local.names
        self._succeed(
            Store.LOCAL,
            lambda record: known.of_local_alone if record.epoch <= known.epoch else None,
            # Of what is written from now on, nothing was sent: see `hybrid.replication.rejoin`. And the log will not
            # name what is merged: the next stream has to copy, even if the last one ended in order.
            also=lambda _: [("SET", names.sent, "0-0"), ("EVAL", TAKE_OVER, 1, names.stream, UNKNOWN_STREAM)],
            first=self._end_of_stream,
        )

    def _end_of_stream(self, local: Wire) -> bytes:
        """The command that ends the stream of the cloud's log to the local store. For others that store may be there
        still, and what they ship would arrive behind what is written here from now on, and replace it."""
        incoming = self._endpoints[Store.LOCAL].names.incoming
        _, name = local.exchange(pack(("WATCH", incoming)) + pack(("GET", incoming)), 2, decode=False)
        known = endings_of(name)
        return known[0] if len(known) == 1 else b""

    def _claim_for_cloud(self, known: Authority) -> None:
        def taken(record: Authority) -> Authority | None:
            if record.epoch > known.epoch:
                return None  # it was given back meanwhile, say: that is to be learned before anything is decided
            is_due = record.holder is not Holder.CLOUD or record.epoch < known.epoch
            return self._taken(record) if is_due else None

        self._succeed(Store.CLOUD, taken, also=self._shipped_before)

    def _shipped_before(self, record: Authority) -> Sequence[tuple[Any, ...]]:
        """What stands in the cloud's log while the local store has the authority was shipped before that got it back.
        Whoever did that may not have lived to trim it; a merge would take it for what was done since the two parted."""
        if record.store is Store.CLOUD or record.alone:
            return ()
        return [("XTRIM", self._endpoints[Store.CLOUD].names.log, "MAXLEN", 0)]

    def _succeed(
        self,
        store: Store,
        later: Callable[[Authority], Authority | None],
        *,
        also: Callable[[Authority], Sequence[tuple[Any, ...]]],
        first: Callable[[Wire], bytes] = lambda wire: b"",
    ) -> None:
        """Have the record that `later` makes of the one on `store` follow it, if it makes one, with the commands that
        `also` makes of it, and what `first` gives before, and take note of what stands there then."""
        endpoint = self._endpoints[store]
        try:
            generation, wire = endpoint.take_fenced(self._board.authority.epoch)
            if wire.authority is None:
                self._reach.greet(store)  # its data is gone: the greeting tells
            elif (record := later(wire.authority)) is not None:
                endpoint.move(wire, record, also=also(wire.authority), first=first(wire))
        except (NotSent, ReplyLost) as error:
            self._reach.failed(store, error)
            return
        endpoint.give_fenced(generation, wire)
        self._board.learn(wire.authority, source=store)

    def _taken(self, record: Authority) -> Authority:
        back = record.holder is Holder.DRAIN and self._board.reachable(Store.LOCAL)
        holder = Holder.LOCAL if back else Holder.CLOUD
        return Authority(holder, max(record.epoch, self._board.authority.epoch) + 1)

    def refused(self, store: Store, record: Authority | None) -> Fenced:
        """Take note of the record that stood at the fence."""
        if record is None:
            # New to replication, or wiped: the greeting tells, and creates the record or takes the store out of use.
            self._reach.greet(store)
        else:
            self._board.learn(record, source=store)
            self._renew_record(store)
        return Fenced(record)

    def _renew_record(self, store: Store) -> None:
        """The record of the local store lags behind the cloud's, which handed the authority back: the shipper may have
        died between the two. All was shipped before the first, so anybody may do the second. On the cloud store an
        older record means that it was lost with everything else, and begun anew by a process that did not know."""
        authority = self._board.authority
        if authority.admits(store):
            with suppress(NotSent, ReplyLost):
                self._endpoints[store].renew_record(authority)
