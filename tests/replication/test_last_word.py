"""What a shipper says when the authority has left the store whose log it ships."""

from __future__ import annotations

from unittest.mock import MagicMock

from hybrid.core.authority import Authority, Holder
from hybrid.core.tokens import Shipped
from hybrid.replication.endings import Ended, Outcome
from hybrid.replication.last_word import LastWord


def test_it_goes_out_though_the_window_is_full() -> None:
    """To wait for room finds out once more that the stream has to end: that left a traceback, and writers waited."""
    stream = MagicMock()
    stream.accounts_for_all = stream.lease.is_held = True
    stream.push.side_effect = Ended(Outcome.MOVED)
    stream.target_errors.return_value.__exit__.return_value = False
    stream.board.authority, stream.under = Authority(Holder.CLOUD, 2), Authority(Holder.LOCAL, 1)
    stream.sent_to = stream.maybe_to = (5, 0)
    stream.shipped, stream.ahead.whole, stream.lease.taken_s = Shipped(), frozenset(), 0.0
    stream.endpoints.__getitem__.return_value.applied = b"channel"
    stream.drained.return_value = False
    LastWord(stream).moved()
    [((word, count, _), _)] = stream.pipe.push.call_args_list
    assert count == 1 and b"PUBLISH" in word and b"seal 5-0" in word
    assert stream.pipe.flush.called
