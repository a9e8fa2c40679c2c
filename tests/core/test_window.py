"""How many requests a store is given at a time."""

from __future__ import annotations

from collections import deque

import pytest

from hybrid.core.window import LEAST, MOST, Window

WORK_S = 0.001
"""What each request takes the store."""


def given(way_s: float, requests: int = 2000) -> list[tuple[int, float]]:
    """How many requests a store at this distance has at each answer, and how long it has had nothing to do so far."""
    window, on_the_way = Window(), deque[tuple[float, float]]()
    now_s = free_s = idle_s = 0.0
    seen = []
    for _ in range(requests):
        while len(on_the_way) < window.size:
            begins_s = max(now_s + way_s / 2, free_s)
            idle_s += begins_s - free_s
            free_s = begins_s + WORK_S
            on_the_way.append((now_s, free_s + way_s / 2))
        sent_s, now_s = on_the_way.popleft()
        window.took(now_s - sent_s)
        seen.append((window.size, idle_s))
    return seen


def test_a_store_on_this_machine_is_given_few() -> None:
    sizes = [size for size, _ in given(0.0)]
    assert max(sizes) <= 4 * LEAST and max(sizes[100:]) <= 4


@pytest.mark.parametrize("way_s", [0.004, 0.02])
def test_a_store_far_away_always_has_one_to_go_on_with_and_no_long_queue(way_s: float) -> None:
    seen = given(way_s)
    assert seen[-1][1] == seen[500][1], "it has had something to do since"
    assert max(size for size, _ in seen[500:]) <= way_s / WORK_S + 5


def test_there_is_a_limit() -> None:
    assert given(1.0)[-1][0] == MOST


def test_it_soon_gets_fewer_when_it_becomes_slow() -> None:
    window = Window()
    for _ in range(100):
        window.took(0.06)
    for _ in range(100):
        window.took(0.6)
    assert window.size == LEAST


def test_an_answer_that_was_there_at_once_is_no_reason_to_stop() -> None:
    window = Window()
    for _ in range(LEAST):
        window.took(0.0)
    assert window.size == 2 * LEAST


def test_it_doubles_with_each_round_over_a_long_way() -> None:
    window = Window()
    for rounds in range(1, 4):
        for _ in range(window.size):
            window.took(0.06)
        assert window.size == LEAST * 2**rounds
