"""A few at once, then one now and then."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.allowance import Allowance


def test_a_burst_then_one_each_time_that_has_passed() -> None:
    allowance = Allowance(burst=3, every_s=30.0)
    assert [allowance.take(1000.0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(1029.0)
    assert allowance.take(1030.0) and not allowance.take(1030.0)
    assert [allowance.take(5000.0) for _ in range(4)] == [True, True, True, False], "no more is saved up"


@given(st.lists(st.floats(0, 100), max_size=200))
def test_never_more_than_allowed(pauses_s: list[float]) -> None:
    allowance, now_s, taken = Allowance(burst=5, every_s=10.0), 1000.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        taken += allowance.take(now_s)
    assert taken <= 5 + sum(pauses_s) / 10.0 + 1e-6
