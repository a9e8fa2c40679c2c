"""Messages of the relay: what is packed is read again, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.relay import Answer, Request, parsed

NAMES = st.binary(min_size=1).filter(lambda name: b" " not in name)
NUMBERS = st.integers(0, 2**40)


@given(NAMES, NUMBERS, st.sampled_from((2, 3)), NUMBERS, st.booleans(), st.binary(), st.lists(st.binary()))
def test_a_request_survives_the_way(
    name: bytes, epoch: int, protocol: int, replies: int, scripted: bool, payload: bytes, endings: list[bytes]
) -> None:
    request = Request(name, epoch, protocol, replies, scripted, payload, tuple(endings))
    assert parsed(request.packed) == request


@given(name=NAMES, place=st.tuples(NUMBERS, NUMBERS), replies=st.binary())
def test_an_answer_survives_the_way(name: bytes, place: tuple[int, int], replies: bytes) -> None:
    answer = Answer(name, place, replies)
    assert parsed(answer.packed) == answer


@pytest.mark.parametrize("message", [b"", b"ask", b"ask a b c d e f", b"answer a b", b"answer a 1-1", b"live 1-1 "])
def test_anything_else_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"neither|unpack|invalid"):
        parsed(message)
