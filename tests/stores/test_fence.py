"""What a connection knows of its standing fence, whichever client it belongs to."""

from __future__ import annotations

import pytest
from redis import ResponseError

from hybrid.core.authority import FIRST
from hybrid.core.tokens import Shipped
from hybrid.stores.fence import StandingFence


class Connection(StandingFence):
    is_open = True

    def drop(self) -> None:
        self.is_open = False


def test_the_record_is_seen() -> None:
    connection = Connection()
    connection.see(FIRST.record)
    assert connection.authority == FIRST and connection.is_open
    connection.see(None)
    assert connection.authority is None and connection.is_open


def test_a_fence_that_is_not_known_is_not_kept() -> None:
    connection = Connection()
    connection.see(FIRST.record)
    connection.see(ResponseError("LOADING"))
    assert connection.authority is None and not connection.is_open


@pytest.mark.parametrize("count", [1, 300])
def test_the_last_token_of_a_connection_answers_for_all(count: int) -> None:
    first, second, shipped = Connection(), Connection(), Shipped()
    tokens = [first.next_token() for _ in range(count)]
    shipped.note(tokens[-1])
    assert all(map(shipped.holds, tokens))
    assert not shipped.holds(first.next_token())
    assert not shipped.holds(second.next_token())
