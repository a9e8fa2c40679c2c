"""What shippers say on the channels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.authority import Authority, Holder
from hybrid.core.tokens import Seal, Shipped, token
from hybrid.replication.messages import Progress, Word

PLACES = st.tuples(st.integers(0, 2**48), st.integers(0, 2**63))


@given(st.sampled_from(Word), PLACES, st.binary(max_size=40))
def test_a_message_is_read_as_it_was_written(word: Word, place: tuple[int, int], shipped: bytes) -> None:
    assert Progress.parse(Progress(word, place, shipped).packed) == Progress(word, place, shipped)


def test_a_message_without_more() -> None:
    assert Progress.parse(b"live 7-1") == Progress(Word.LIVE, (7, 1))
    assert Progress(Word.BEHIND, (7, 1)).packed.split() == [b"behind", b"7-1"]


def test_a_seal_says_which_writes_were_shipped() -> None:
    shipped = Shipped()
    for wire_id in (b"aaaaaaaa", b"bbbbbbbb"):
        shipped.note(token(wire_id, 3))
    seal = Seal(Authority(Holder.CLOUD, 2), 2, (7, 1), (8, 0), shipped)
    message = Progress.parse(Progress(Word.SEAL, (7, 1), seal.packed).packed)
    assert message.place == (7, 1)
    heard = Seal.parse(message.rest)
    assert (heard.under, heard.place, heard.maybe_to) == (seal.under, seal.place, seal.maybe_to)
    there = heard.shipped
    assert there.holds(token(b"aaaaaaaa", 3)) and there.holds(token(b"bbbbbbbb", 3))
    assert not there.holds(token(b"bbbbbbbb", 4))


@pytest.mark.parametrize("message", [b"", b"live", b"gone 7-1", b"live seven"])
def test_refuses_another_message(message: bytes) -> None:
    with pytest.raises(ValueError):
        Progress.parse(message)
