"""Whether a store is one of the pair, and whether it lost its data: each store of a pair carries a mark.

A store without a mark whose partner has one, or whose partner holds data while it is empty, is new or was wiped:
it serves nothing until it is refilled. A process that does not reach its partner cannot know, and begins anew on it;
as soon as the two have met, it counts as wiped, and what was written there meanwhile is merged before it is refilled.
Where both lost everything, nobody is left to refill them from: they begin anew,
and the local one comes first. Where one lost everything while the other was outdated, which it is until it is refilled,
what that one has is all there is. Two stores that hold data and were never paired are not made one unasked: the
local one serves, the cloud one is left alone until an operator says whose data counts (`hybrid.ops.pair`).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from hybrid.core.apart import mark_apart
from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.health import Evidence
from hybrid.core.marks import UNMET, Marks
from hybrid.core.names import Names
from hybrid.core.outcomes import LeftAlone, NotSent, ReplyLost
from hybrid.core.resp import pack
from hybrid.replication.board import Board
from hybrid.replication.checkpoints import set_outdated
from hybrid.replication.records import checked
from hybrid.replication.tail import last_place
from hybrid.stores.capabilities import run_of
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import NEW, Purpose, Store, StoreState

__all__ = ["Pairing"]

UNPAIRED: Final = (
    "it holds data and was never paired with the other store, which holds data too: nothing is overwritten; run "
    "`python -m hybrid pair` to compare them and to say whose data counts, or give another URL"
)

FOREIGN: Final = (
    "the two stores are halves of different pairs: nothing is overwritten; give URLs of stores that belong together, "
    "or run `python -m hybrid pair` to say whose data counts"
)

SAME: Final = (
    "both URLs lead to the same store: each write would count twice; give the URL of another one, or leave "
    "UPSTASH_REDIS_URL out"
)

COMPLETE: Final = (
    "if ARGV[3]=='1' or redis.call('EXISTS',KEYS[1])==1 then "
    "if redis.call('SET',KEYS[1],ARGV[1],'NX') and ARGV[4]~='' then redis.call('SET',KEYS[3],ARGV[4]) end "
    "redis.call('SET',KEYS[2],ARGV[2],'NX') end "
    "return redis.call('MGET',KEYS[1],KEYS[2],KEYS[3])"
)
"""Gives a store the mark and the record that it lacks, the mark with what stands for its partner's; one that had its
mark and has lost it since gets none of them."""

PARTNER_S: Final = 0.5
"""How long a store without a mark, or that was just begun, waits for word of its partner."""


@dataclass(frozen=True, slots=True)
class _Greeting:
    mark: bytes | None
    user_keys: int
    partner: bytes | None = None

    @property
    def marks(self) -> Marks:
        return Marks(self.mark, self.partner)

    @classmethod
    def of(cls, mark: bytes | None, size: int, own: int, partner: bytes | None = None) -> _Greeting:
        """`own` of the store's `size` keys are hybrid's. It is counted last: one that was added since is no user's."""
        return cls(mark, max(0, size - own), partner)

    @property
    def is_blank(self) -> bool:
        return self.mark is None and self.user_keys == 0


class Pairing:
    """Greets stores on each new connection: checks the mark, learns the authority record, creates what is missing."""

    def __init__(
        self,
        names: Names,
        board: Board,
        hear: Callable[[Store, bytes | None], None],
        endpoints: Mapping[Store, Endpoint],
    ) -> None:
        """`hear` is given the live configuration that stands on each store."""
        self._names = names
        self._endpoints = endpoints
        self._board = board
        self._hear = hear
        self._heard = threading.Condition()
        self._greetings: dict[Store, _Greeting] = {}

    def greeting(self, store: Store) -> Callable[[Wire], Evidence]:
        return lambda wire: self._greet(store, wire)

    def _greet(self, store: Store, wire: Wire) -> Evidence:
        names = self._names
        if not self._board.settings.replicated:
            # The live configuration comes before anything else: it may say otherwise.
            self._hear(store, checked(wire, ("GET", names.config))[0])
        if not self._board.settings.replicated:
            self._part(store, wire)
            return Evidence.ANSWERED
        about_local = (("EXISTS", names.apart),) if store is Store.LOCAL else ()
        config, marks, size, own, *apart = checked(
            wire,
            ("GET", names.config),
            names.ask_marks,
            ("DBSIZE",),
            ("EXISTS", *names.keys),
            *about_local,
        )
        mark, partner = self._endpoints[store].marks(marks)
        greeting = _Greeting.of(mark, size, own, partner)
        self._refuse_foreign(store, greeting)
        self._hear(store, config)
        if not self._board.settings.replicated:
            self._part(store, wire)
            return Evidence.ANSWERED
        if store is Store.LOCAL:
            self._board.apart = apart == [1]
            if self._is_older(wire, mark):
                set_outdated(wire, names, mark)
                greeting = replace(greeting, mark=OUTDATED)
        if is_wiped := self._is_wiped(store, greeting, wire):
            # At once: where both are greeted at the same time, one of the two greetings has to see it.
            self._board.observe(store, Evidence.WIPED, NEW if self._is_new(store) else "")
        # A store that has its mark is begun anew from by nobody: the other one is refilled from it.
        both_lost = greeting.mark in (None, OUTDATED) and self._board.is_wiped(store.other)
        begins_anew = both_lost and self._begins_anew(store, greeting)
        if is_wiped and not begins_anew:
            self._learn_mark(store, OUTDATED)
            if greeting.mark is None:
                self._board.wipes[store] += 1
            return Evidence.WIPED
        was_wiped = self._board.is_wiped(store)
        if store is Store.CLOUD:
            self._wait_for_local_mark()
        record = self._next_life(Store.LOCAL) if begins_anew else FIRST
        outdated = begins_anew and greeting.mark == OUTDATED
        marked = self._mark_outdated(store, wire) if outdated else self._mark(store, wire, record, greeting)
        if marked is None:
            return self._greet(store, wire)
        return Evidence.ANSWERED if marked is Evidence.MARKED and not (begins_anew or was_wiped) else marked

    def _refuse_foreign(self, store: Store, greeting: _Greeting) -> None:
        """Raise LeftAlone where the two stores are halves of different pairs; the local one serves then."""
        with self._heard:
            if store is Store.CLOUD and greeting.partner is not None:
                self._wait_for_partner(store)
            other = self._greetings.get(store.other)
        if other is not None and greeting.marks.is_foreign_to(other.marks):
            raise LeftAlone(FOREIGN)

    def _wait_for_partner(self, store: Store) -> None:
        other, down = store.other, StoreState.DOWN
        self._heard.wait_for(lambda: other in self._greetings or self._board.state(other) is down, PARTNER_S)

    def _mark(self, store: Store, wire: Wire, record: Authority, greeting: _Greeting) -> Evidence | None:
        """Learn the store's mark and record; create what is missing. WIPED is one that was begun anew without the other
        one. None for a store that was emptied since it was seen to have a mark (`greeting`): a new one would hide that;
        and for one that is being refilled. A record older than `record` was left by a shipper that did not know yet how
        much was lost."""
        names = self._names
        keys = names.identity, names.authority, names.partner
        [(mark, found, partner)] = checked(wire, ("MGET", *keys))
        if mark == OUTDATED or (mark is None and greeting.mark is not None):
            return None
        if mark is None or found is None:  # a store that is full would refuse what is not needed either
            new = secrets.token_hex(8), record.record, int(mark is None), UNMET if greeting.is_blank else b""
            [(mark, found, partner)] = checked(wire, ("EVAL", COMPLETE, len(keys), *keys, *new))
            if mark in (None, OUTDATED):
                return None
        with self._heard:
            partner = self._endpoints[store].marks((mark, partner)).partner
            self._greetings[store] = replace(greeting, mark=mark, partner=partner)
        newcomers = [each for each in Store if self._is_newcomer(each, greeted=store)]
        for newcomer in newcomers:
            # Before the record is learned: with it that store may be found to have everything.
            self._board.observe(newcomer, Evidence.WIPED)
        self._learn_mark(store, OUTDATED if store in newcomers else mark)
        self._refuse_itself(store, wire, mark)
        authority = Authority.parse(found)
        if authority is not None and authority.epoch < record.epoch:
            self._endpoints[store].renew_record(record)
            authority = record
        self._board.learn(authority, source=store)
        return Evidence.WIPED if store in newcomers else Evidence.MARKED

    def _learn_mark(self, store: Store, mark: bytes) -> None:
        """Of one that lost its data none is learned before it is refilled: whoever has read there meanwhile is to find
        that it is another one. One that had none so far will have one, and may lose that again."""
        endpoint = self._endpoints[store]
        with self._heard:
            if mark == OUTDATED:
                endpoint.mark = endpoint.mark or OUTDATED
            else:
                if store is Store.LOCAL and mark != endpoint.mark:
                    self._board.acks[store].begin_anew()
                endpoint.mark = mark
            self._heard.notify_all()

    def _is_newcomer(self, store: Store, *, greeted: Store) -> bool:
        """Whether `store` was begun anew without the other one. The one of the two that was not `greeted` just now is
        looked at again where it would decide, because the two may have met since its greeting; where it cannot be, its
        next one tells."""
        with self._heard:
            marks = {each: greeting.marks for each, greeting in self._greetings.items()}
        if len(marks) < len(Store) or marks[store].partner != UNMET:
            return False
        may_have_met = store is greeted and marks[store.other].partner == UNMET
        if not may_have_met and not marks[store].is_newcomer_to(marks[store.other]):
            return False
        try:
            wire = self._endpoints[greeted.other].connect_raw(purpose=Purpose.HEALTH, patience_s=lambda: PARTNER_S)
            try:
                [found] = checked(wire, self._names.ask_marks)
            finally:
                wire.disconnect()
        except (NotSent, ReplyLost):
            return False
        marks[greeted.other] = self._endpoints[greeted.other].marks(found)
        return marks[store].is_newcomer_to(marks[store.other])

    def _wait_for_local_mark(self) -> None:
        """Of two URLs that lead to one server it is the cloud store's that is refused."""
        local, down = self._endpoints[Store.LOCAL], StoreState.DOWN
        with self._heard:
            self._heard.wait_for(lambda: local.mark or self._board.state(Store.LOCAL) is down, PARTNER_S)

    def _refuse_itself(self, store: Store, wire: Wire, mark: bytes | None) -> None:
        """Raise LeftAlone for the cloud store where it is the local one under another name."""
        local, cloud = (self._endpoints[each] for each in Store)
        if mark in (None, OUTDATED) or local.mark != cloud.mark:
            return
        # Of servers that do not say which they are, one mark tells; otherwise one was copied from the other.
        if self._is_one_server(store, wire) is False:
            return
        cloud.mark = None
        if store is Store.CLOUD:
            raise LeftAlone(SAME)
        self._board.observe(Store.CLOUD, Evidence.LEFT_ALONE, SAME)

    def _is_one_server(self, store: Store, wire: Wire) -> bool | None:
        """Whether `wire` leads to the server that the other store's URL leads to; None where one does not say which it
        is. False while the other one cannot be asked."""
        try:
            other = self._endpoints[store.other].connect_raw(purpose=Purpose.HEALTH)
            try:
                ask = pack(("INFO", "server"))
                here, there = (run_of(each.exchange(ask, 1, decode=False)[0]) for each in (wire, other))
            finally:
                other.disconnect()
        except (NotSent, ReplyLost):
            return False
        return None if here is None or there is None else here == there

    def _mark_outdated(self, store: Store, wire: Wire) -> Evidence | None:
        """Have a store serve that was outdated, because what it has is all there is. Of several processes one gives it
        its new mark. The result is as of `_mark`."""
        names = self._names
        _, mark = checked(wire, ("WATCH", names.identity), ("GET", names.identity))
        if mark == OUTDATED:
            # It is another half from now on, and names nobody before the next stream.
            mark_anew = ("SET", names.identity, secrets.token_hex(8))
            checked(wire, ("MULTI",), mark_anew, ("DEL", names.partner), ("EXEC",))
        return self._mark(store, wire, self._next_life(store), self._greetings[store])

    def _next_life(self, store: Store) -> Authority:
        """The record of a pair that begins anew from `store`, later than what its processes remember."""
        known, holder = self._board.authority, Holder(store.value)
        return known if known.holder is holder else known.succeeded_by(holder)

    def _begins_anew(self, store: Store, greeting: _Greeting) -> bool:
        """Whether `store`, which lost its data, is the one to begin anew from: the local one of two that are empty, or
        what is left of the two. Of two that are outdated it is the local one, too: it has older data, but all of it,
        where the cloud one was being refilled. The other one is looked at once more: it may have been refilled since
        its greeting, by another process, or marked as the first of a new pair.

        Raises NotSent or ReplyLost when it cannot be looked at: this greeting has to be repeated then."""
        other, board = store.other, self._board
        wire = self._endpoints[other].connect_raw(purpose=Purpose.HEALTH)
        try:
            ask = self._names.ask_marks, ("DBSIZE",), ("EXISTS", *self._names.keys)
            (mark, partner), size, own = checked(wire, *ask)
            now = _Greeting.of(mark, size, own, partner)
            marked: Evidence | None = None
            both_blank = greeting.is_blank and now.is_blank
            both_outdated = greeting.mark == mark == OUTDATED
            if other is Store.CLOUD and (both_blank or both_outdated):
                return True
            if greeting.mark == OUTDATED and (now.is_blank or partner == UNMET):
                return True
            if mark == OUTDATED and (greeting.is_blank or both_outdated):
                marked = self._mark_outdated(other, wire)
            elif both_blank or (
                mark not in (None, OUTDATED) and (self._greetings[other].mark is None or partner == UNMET)
            ):
                marked = self._mark(other, wire, self._next_life(Store.LOCAL), now)
            if marked is not None:
                board.observe(other, marked)
            return False
        finally:
            wire.disconnect()

    def _is_older(self, wire: Wire, mark: bytes | None) -> bool:
        """Whether the local store has its mark, and lacks what this process knows to have stood in its log, some of
        which may be on the cloud store, or on its way there."""
        known = self._board.acks[Store.LOCAL].known
        if mark is None or mark != self._endpoints[Store.LOCAL].mark:
            return False
        return last_place(wire, self._names.log) < known

    def _part(self, store: Store, wire: Wire) -> None:
        """Before the first write that skips the cloud: remember on the local store that the two are apart."""
        names = self._names
        self._endpoints[store].mark = None  # whatever is emptied from now on, nobody refills it
        if store is Store.LOCAL and checked(wire, ("EXISTS", names.identity))[0]:
            checked(wire, ("SET", names.apart, mark_apart(time.time()), "NX"))

    def _is_wiped(self, store: Store, greeting: _Greeting, wire: Wire) -> bool:
        other = store.other
        with self._heard:
            self._greetings[store] = greeting
            self._heard.notify_all()
            if greeting.mark == OUTDATED or (greeting.mark is None and self._endpoints[store].mark is not None):
                # What this process has seen before is gone, whatever the partner looks like, and until it is refilled.
                return True
            if greeting.mark is not None:
                return False
            self._wait_for_partner(store)
            partner = self._greetings.get(other)
        if partner is None or partner.user_keys == 0:
            return False
        if greeting.user_keys and partner.partner == UNMET:
            return False  # as if both had been met at once: the other one was empty
        if greeting.user_keys and (partner.mark is not None or store is Store.CLOUD):
            # Perhaps somebody else's data: neither to be served as ours, nor to be overwritten.
            itself = greeting.user_keys == partner.user_keys and self._is_one_server(store, wire)
            raise LeftAlone(SAME if itself else UNPAIRED)
        return greeting.user_keys == 0

    def _is_new(self, store: Store) -> bool:
        """Whether a store without data was never seen with any: not by this process, nor by the other store, which has
        no partner before the first one is filled."""
        if self._endpoints[store].mark not in (None, OUTDATED):
            return False
        with self._heard:
            self._wait_for_partner(store)
            partner = self._greetings.get(store.other)
        return partner is not None and partner.partner in (None, UNMET)
