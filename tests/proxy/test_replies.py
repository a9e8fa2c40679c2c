"""Replies keep their bytes."""

from __future__ import annotations

import pytest
from redis import ResponseError

from hybrid.errors import AllStoresDown, CommandRefused, OutcomeUnknown
from hybrid.proxy.replies import Block, encoded, error_line, value_end

REPLIES = [
    b"+OK\r\n",
    b"-WRONGTYPE Operation against a key\r\n",
    b"-ERR bad \xff thing\r\n",
    b":-42\r\n",
    b"$0\r\n\r\n",
    b"$5\r\na\r\nbc\r\n",
    b"$-1\r\n",
    b"_\r\n",
    b",1.50\r\n",
    b"#t\r\n",
    b"(123456789012345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!5\r\nERR x\r\n",
    b"*0\r\n",
    b"*3\r\n$1\r\na\r\n:1\r\n+s\r\n",
    b"*2\r\n*-1\r\n*1\r\n*2\r\n*1\r\n:1\r\n%1\r\n+k\r\n+v\r\n",
    b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n#f\r\n",
    b"~2\r\n$1\r\na\r\n$1\r\nb\r\n",
    b">2\r\n+message\r\n*0\r\n",
    b"|1\r\n+ttl\r\n:3\r\n+with-attribute\r\n",
]


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_ends_where_it_ends(reply: bytes) -> None:
    assert value_end(reply + b"+next\r\n", 0) == len(reply)


@pytest.mark.parametrize("reply", REPLIES)
def test_what_was_taken_apart_is_put_together_unchanged(reply: bytes) -> None:
    protocol = 3 if reply == b"_\r\n" else 2
    inside = b"*2\r\n" + reply + b"*2\r\n" + reply + b":1\r\n"
    block = Block(inside + (b"+tail\r\n"), 2, ResponseError)
    assert encoded(block[0], protocol) == inside
    assert (len(block), block[1:], [*block][1]) == (2, [b"tail"], b"tail")


def test_hybrid_s_own_errors_tell_clients_whether_to_try_again() -> None:
    assert error_line(AllStoresDown("no store takes writes now")) == b"-MASTERDOWN no store takes writes now\r\n"
    assert error_line(OutcomeUnknown("INCR", "why")).startswith(b"-OUTCOMEUNKNOWN INCR: outcome unknown (why)")
    assert error_line(CommandRefused("MOVE", "two\r\nlines")) == b"-ERR MOVE is refused: two lines\r\n"
    assert error_line(ResponseError("plain words")) == b"-ERR plain words\r\n"


def test_a_type_that_no_store_sends_is_a_mistake() -> None:
    with pytest.raises(TypeError):
        encoded(object(), 2)
