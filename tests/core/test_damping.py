"""The authority returns at once after the first move without a reason, and later and later after the next ones."""

from __future__ import annotations

from hybrid.core.damping import PAUSES_S, REMEMBERED_S, return_at_s


def test_it_returns_later_each_time() -> None:
    moves: list[float] = []
    now_s = 1000.0
    for pause_s in (*PAUSES_S, PAUSES_S[-1]):
        moves.append(now_s)
        assert return_at_s(moves, now_s) == now_s + pause_s
        now_s += pause_s + 0.1


def test_what_was_long_ago_is_forgotten() -> None:
    assert return_at_s([], 5.0) == 0.0
    assert return_at_s([1.0, 2.0, 3.0], 4.0 + REMEMBERED_S) == 0.0
    assert return_at_s([1.0, 2.0, 900.0], 900.0) == 900.0
