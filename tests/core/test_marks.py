"""Which stores belong together, and which of two was begun anew without the other."""

from __future__ import annotations

import pytest

from hybrid.core.checkpoint import OUTDATED
from hybrid.core.marks import UNMET, Marks

A_PAIR = Marks(b"l", b"c"), Marks(b"c", b"l")


@pytest.mark.parametrize(
    ("begun", "other"),
    [
        pytest.param(Marks(b"n", UNMET), Marks(b"c", b"l"), id="the other one knows another"),
        pytest.param(Marks(b"n", UNMET), Marks(b"c", None), id="the other one held data when it got its mark"),
    ],
)
def test_a_store_that_was_begun_anew_is_a_newcomer_to_one_that_has_a_past(begun: Marks, other: Marks) -> None:
    assert begun.is_newcomer_to(other)
    assert not other.is_newcomer_to(begun)
    assert not begun.is_foreign_to(other)
    assert not other.is_foreign_to(begun)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(*A_PAIR, id="a pair"),
        pytest.param(Marks(b"l", UNMET), Marks(b"c", UNMET), id="both begin"),
        pytest.param(Marks(b"l", UNMET), Marks(b"c", b"l"), id="one has heard of the other"),
        pytest.param(Marks(b"l", UNMET), Marks(None, None), id="the other one is new"),
        pytest.param(Marks(b"l", UNMET), Marks(OUTDATED, b"x"), id="the other one is to be refilled"),
        pytest.param(Marks(OUTDATED, UNMET), Marks(b"c", b"l"), id="it is to be refilled"),
        pytest.param(Marks(b"l", None), Marks(b"c", b"x"), id="refilled by a version that names nobody"),
    ],
)
def test_the_logs_of_these_say_what_each_lacks(one: Marks, other: Marks) -> None:
    assert not one.is_newcomer_to(other)
    assert not other.is_newcomer_to(one)
    assert not one.is_foreign_to(other)


@pytest.mark.parametrize(
    ("marks", "lost"),
    [
        pytest.param(Marks(None, None), True, id="emptied"),
        pytest.param(Marks(OUTDATED, b"c"), True, id="to be refilled"),
        pytest.param(Marks(b"n", UNMET), True, id="begun anew without the other one"),
        pytest.param(Marks(b"n", b"c"), False, id="refilled"),
        pytest.param(Marks(b"l", UNMET), False, id="as it was, before it meets the other one"),
        pytest.param(Marks(b"l", b"c"), False, id="as it was"),
    ],
)
def test_a_store_has_lost_its_data_since_it_had_its_mark(marks: Marks, lost: bool) -> None:
    assert marks.is_lost_since(b"l") is lost


def test_halves_of_different_pairs_are_foreign() -> None:
    one, other = Marks(b"l", b"c"), Marks(b"d", b"m")
    assert one.is_foreign_to(other)
    assert other.is_foreign_to(one)
    assert not one.is_newcomer_to(other)
