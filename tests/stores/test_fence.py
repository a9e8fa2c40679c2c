"""What a connection knows of its standing fence, whichever client it belongs to."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from redis import ResponseError

from hybrid.core.authority import FIRST, Position
from hybrid.core.names import Names
from hybrid.core.outcomes import NotSent
from hybrid.core.tokens import Shipped
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.fence import StandingFence
from hybrid.types import Store


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


@pytest.mark.parametrize(("known_before", "is_older"), [((2, 0), False), ((4, 0), True)])
def test_the_end_of_the_log_is_compared_with_what_was_known_when_it_was_asked_for(
    known_before: Position, is_older: bool
) -> None:
    """Other threads log more while the answer is on its way."""
    endpoint = Endpoint(Store.LOCAL, "redis://localhost:1", Names(), timeout_s=1.0)
    endpoint.mark = b"mark"
    wire, known = StandingFence(), [known_before, (9, 0)]
    endpoint.known_place = lambda: known.pop(0)
    _, count = endpoint.fence_request(wire)
    replies = [b"OK", b"OK", b"local 1", b"", [b"mark", b"other"], [b"last-generated-id", b"3-0"]]
    assert count == len(replies)
    with pytest.raises(NotSent) if is_older else nullcontext():
        endpoint.fenced(wire, replies)
