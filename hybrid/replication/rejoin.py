"""A store is back while the other one has the authority: what only it knows is merged before it catches up.

It is the local one after a failover, and the cloud one where the local store took over alone. Its unshipped tail is
everything in its log behind the seal. It is fenced first, so that the tail stands still, and forgotten at last.

Either may have lost its data, and was begun anew by a process that did not reach the other one (`Marks`). Then all its
log is the tail, done to what it lacks; and what it holds is outdated at last, to be refilled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import redis

from hybrid import events
from hybrid.core.authority import Authority, Holder, Position, position
from hybrid.core.connections import endings_of
from hybrid.core.health import Evidence
from hybrid.core.names import Names
from hybrid.core.outcomes import ReplyLost
from hybrid.core.resp import pack
from hybrid.errors import HybridError
from hybrid.replication.board import Board
from hybrid.replication.checkpoints import outdating
from hybrid.replication.merge import REFUSED, Keep, Merge
from hybrid.replication.records import one, several, transaction
from hybrid.replication.seal import kept_seal, restated
from hybrid.replication.tail import Superseded, Tail, last_place
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["merge_tail"]

PATIENCE_S: Final = 1.0


def merge_tail(returning: Store, endpoints: Mapping[Store, Endpoint], names: Names, board: Board, keep: Keep) -> None:
    """Fence the returning store, bring over what only it has, and forget its log.

    A local store that restarted without its last seconds (its log ends before what was shipped from it) cannot tell
    which keys are old: it is found wiped, to be refilled as a whole. `keep` says whether the
    shipper's lease is still held. Of the cloud's log, whose shipper leaves no seal, everything may have arrived.

    Raises NotSent or ReplyLost when either store is lost, and Superseded; nothing is forgotten then, and all is safe to
    repeat.
    """
    with _taken(endpoints[returning]) as wire, _taken(endpoints[returning.other]) as reader:
        endpoint = endpoints[returning.other]
        record, seal, marks = several(reader, ("GET", names.authority), ("GET", names.seal), names.ask_marks)
        _check(record, board, returning.other)
        there, here = endpoint.marks(marks), endpoints[returning].marks(one(wire, *names.ask_marks))
        if there.is_newcomer_to(here):
            board.observe(returning.other, Evidence.WIPED)
            board.on_new_mark(returning)  # for it has what that one lacks, whatever this process knew of it
            raise Superseded("the authority was begun anew, and is the one to be merged")
        is_newcomer = here.is_newcomer_to(there)
        if returning is Store.CLOUD and not (is_newcomer or board.authority.alone):
            return  # its data is gone, and nothing was written there since
        sealed, doubt, arriving = (0, 0), (0, 0) if is_newcomer else None, []
        if returning is Store.LOCAL:
            _fence(wire, endpoints[returning], board.authority)
            if not is_newcomer:
                sealed, doubt = kept_seal(seal, board.authority)
                doubt = doubt or _sent(wire, names)
        else:
            endpoints[returning].renew_record(board.authority)
        fence = one(wire, "GET", names.authority)
        _check(fence, board, returning)
        if (fenced := Authority.parse(fence)) is not None and fenced.admits(returning):
            raise Superseded("a process that does not reach the other store has taken the authority to this one")
        if returning is Store.LOCAL:
            arriving = _endings(wire, names)
        end = last_place(wire, names.log)
        if end < sealed:
            board.observe(Store.LOCAL, Evidence.WIPED)
        # Where dual write was off for a while, the log does not say what was written then.
        is_whole = is_newcomer and bool(one(wire, "EXISTS", names.apart))
        tail = Tail(returning, wire, names, sealed, end, doubt or end, lacks_past=is_newcomer, is_whole=is_whole)
        if tail.keys or tail.keyless or tail.spans_all:
            if returning is Store.LOCAL:
                record = _begin(endpoint, board, seal)
            with _taken(endpoint) as writer:
                merge = Merge(tail, reader, writer, names, record, keep, board, arriving)
                merge.run()
                if merge.archived:
                    board.events.emit(events.ConflictsArchived(count=merge.archived))
                for key in sorted(merge.refused):
                    board.events.emit(events.KeyRefused(store=returning.other, key=key, reason=REFUSED))
        elif arriving:
            reader.exchange(b"".join(arriving), len(arriving))
        _forget(wire, names, fence, outdating(names) if is_newcomer else _forgetting(names))
        if is_newcomer:
            board.observe(returning, Evidence.WIPED)
        if board.authority.alone:
            _end_alone(endpoints, board)


@contextmanager
def _taken(endpoint: Endpoint) -> Iterator[Wire]:
    """A wire to the store, kept for the stream that follows if all goes well: to connect takes round trips for which
    writers wait. Errors of redis-py's are put in our words."""
    wire = endpoint.take_raw(lambda: PATIENCE_S)
    try:
        yield wire
    except (redis.ConnectionError, redis.TimeoutError) as error:
        wire.disconnect()
        if isinstance(error, HybridError):
            raise
        raise ReplyLost(str(error), silent=isinstance(error, redis.TimeoutError)) from None
    except BaseException:
        wire.disconnect()
        raise
    endpoint.give_raw(wire)


def _check(record: bytes | None, board: Board, store: Store) -> None:
    """`record` stands on `store`. Raises Superseded when it is a later one than this process knew: who shipped before
    has handed the authority back, and what the returning store's log holds now is new."""
    found = Authority.parse(record)
    if found is not None and found.epoch > board.authority.epoch:
        board.learn(found, source=store)
        raise Superseded("the authority has moved")


def _begin(cloud: Endpoint, board: Board, seal: bytes | None) -> bytes:
    """Give the record a new epoch, under which `seal` stays valid. Writers that lost a reply run their commands again
    in the epoch that the claim made, if they were not shipped; what they do later, the merge would not see, and it
    would count twice."""
    generation, wire = cloud.take_fenced(board.authority.epoch)
    begun = None
    if wire.authority is not None and wire.authority == board.authority:
        begun = replace(wire.authority, epoch=wire.authority.epoch + 1)
        cloud.move(wire, begun, also=restated(cloud.names.seal, seal, begun))
    found = wire.authority
    cloud.give_fenced(generation, wire)
    board.learn(found, source=Store.CLOUD)
    if begun is None or found != begun:
        raise Superseded("the authority has moved")
    return begun.record


def _forgetting(names: Names) -> list[tuple[Any, ...]]:
    """The commands that empty a log."""
    return [("XTRIM", names.log, "MAXLEN", 0), ("UNLINK", names.folded, names.folded_commands)]


def _forget(wire: Wire, names: Names, fence: bytes | None, commands: list[tuple[Any, ...]]) -> None:
    """Run `commands` on the returning store, if it has taken no write since the fence."""
    one(wire, "WATCH", names.authority)
    if one(wire, "GET", names.authority) != fence or transaction(wire, list(map(pack, commands))) is None:
        raise Superseded("the authority has moved")


def _end_alone(endpoints: Mapping[Store, Endpoint], board: Board) -> None:
    """The cloud store's record decides again."""
    settled = board.authority.succeeded_by(Holder.LOCAL)
    for store in (Store.CLOUD, Store.LOCAL):
        endpoints[store].renew_record(settled)
    board.learn(settled, source=Store.LOCAL)


def _fence(local: Wire, endpoint: Endpoint, authority: Authority) -> None:
    """Writers that have not heard yet are refused from now on: their standing WATCH breaks."""
    names = endpoint.names
    one(local, "WATCH", names.authority)
    known = Authority.parse(one(local, "GET", names.authority))
    if known is not None and known.epoch >= authority.epoch:
        one(local, "UNWATCH")
        return
    record = authority.record
    if transaction(local, [pack(("SET", names.authority, record)), pack(("PUBLISH", endpoint.moved, record))]) is None:
        raise Superseded("the authority has moved")


def _endings(local: Wire, names: Names) -> list[bytes]:
    """The commands by which the cloud store closes the connection over which the local log was shipped: what is held up
    on its way would arrive after the merge, and count twice. A service without CLIENT KILL refuses."""
    known = endings_of(one(local, "GET", names.stream))
    return known if len(known) == 1 else []


def _sent(local: Wire, names: Names) -> Position | None:
    """Up to where the log may have been sent, as the last stream said when the cloud store was lost before this one."""
    place = one(local, "GET", names.sent)
    return None if place is None else position(place)
