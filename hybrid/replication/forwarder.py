"""One run of shipping: open the stream, catch up, follow the log, hand the authority back, say the last word."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

import redis

from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.tokens import Shipped
from hybrid.errors import HybridError
from hybrid.replication.board import Board
from hybrid.replication.catch_up import CatchUp
from hybrid.replication.checkpoints import Checkpoints
from hybrid.replication.endings import Ended, Outcome, TargetLost
from hybrid.replication.follow import Follow
from hybrid.replication.hand_back import HandBack
from hybrid.replication.last_word import LastWord
from hybrid.replication.lease import Lease
from hybrid.replication.stream import Stream
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["forward"]


def forward(
    endpoints: Mapping[Store, Endpoint],
    source: Store,
    names: Names,
    board: Board,
    lease: Lease,
    control: Wire,
    shipped: Shipped,
) -> Outcome:
    """Ship `source`'s log to the other store until the stream ends, and note in `shipped` what goes out. No reply is
    outstanding on `control` then, unless the authority was handed back: writers wait for the next stream.

    Raises NotSent or ReplyLost when the source is lost, HybridError when the other store refuses what it is sent.
    """
    stream = Stream(endpoints, source, names, board, lease, control, shipped)
    ended = None
    try:
        stream.open()
        checkpoints = Checkpoints(stream)
        checkpoints.check()
        _ship(stream, checkpoints)
    except Ended as end:
        ended = end.outcome
        if ended is Outcome.MOVED and source is Store.LOCAL:
            LastWord(stream).moved()
        if ended in (Outcome.YIELDED, Outcome.CLOSED) and stream.is_open:
            with suppress(TargetLost, Ended):
                stream.finish()
        if ended is not Outcome.HANDED_BACK:
            stream.settle_control()
        return ended
    except TargetLost:
        if lease.is_held:  # or else its successor has ended this stream, and knows better
            stream.announcer.note_sent()
            stream.fall_behind()
        stream.settle_control()
        return Outcome.BROKEN
    except (NotSent, ReplyLost) as error:
        if source is Store.LOCAL and stream.is_open:
            LastWord(stream).source_lost(error)
        raise
    except (HybridError, redis.ResponseError):
        stream.settle_control()
        raise
    finally:
        stream.close(in_order=ended in (Outcome.MOVED, Outcome.HANDED_BACK))


def _ship(stream: Stream, checkpoints: Checkpoints) -> NoReturn:
    catch_up = CatchUp(stream)
    follow = Follow(stream, catch_up)
    hand_back = HandBack(stream, follow, catch_up.packed)
    catch_up.run()
    while True:
        if stream.live and stream.lease.is_wanted:
            raise Ended(Outcome.YIELDED)
        # What the local store cannot take would be lost with the authority of the store that has it.
        may_return = stream.source is Store.CLOUD and not stream.board.authority.held and not catch_up.refused
        may_return = may_return and stream.board.may_return
        if stream.live and may_return and hand_back.run():
            raise Ended(Outcome.HANDED_BACK)
        checkpoints.forwarded(follow.step())
