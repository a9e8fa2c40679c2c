"""Many requests on the way over one wire: who gets which reply."""

from __future__ import annotations

from typing import Any

import pytest

from hybrid.stores.pipe import Pipe


class Wire:
    """All replies are there at once."""

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)

    def arrived(self, *, readable: bool) -> list[Any]:
        replies, self.replies = self.replies, []
        return replies


def test_replies_stay_in_step_where_one_of_them_ends_the_work() -> None:
    pipe, heard = Pipe(Wire(b"1", b"2", b"3", b"4")), list[list[Any]]()  # type: ignore[arg-type]

    def ends(replies: list[Any]) -> None:
        heard.append(replies)
        raise InterruptedError

    pipe.push(b"", 1, heard.append)
    pipe.push(b"", 2, ends)
    pipe.push(b"", 1, heard.append)
    with pytest.raises(InterruptedError):
        pipe.collect(readable=True)
    pipe.collect(readable=False)
    assert heard == [[b"1"], [b"2", b"3"], [b"4"]]
    assert pipe.in_flight == 0
