"""When the other store counts as caught up."""

from __future__ import annotations

from collections import deque
from unittest.mock import Mock

import pytest

from hybrid.replication.follow import Follow
from hybrid.replication.stream import Stream


@pytest.mark.parametrize("held", [False, True], ids=["all is well", "a failed replay is not settled yet"])
def test_a_log_that_ends_with_a_full_batch_is_at_its_end_without_a_further_entry(held: bool) -> None:
    stream = object.__new__(Stream)
    stream.live, stream.live_from, stream.at_end = False, (0, 0), False  # as a full batch has left it
    stream.applied, stream.read_to = (5, 0), b"5-0"
    stream._holds = deque([(5, 0)] if held else [])
    stream.come_close = Mock()  # type: ignore[method-assign]
    assert Follow(stream, Mock()).forward(None) == 0
    assert (stream.at_end, stream.come_close.called) == (True, not held)
