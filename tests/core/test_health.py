"""Every state with every evidence, against a table in words."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from hybrid.core.health import Evidence, View, next_view
from hybrid.types import StoreState

TABLE = """
unknown     | it answers           | catching up
unknown     | connection refused   | down
unknown     | no answer in time    | down
unknown     | connection lost      | down
unknown     | it is none of this pair | down
unknown     | it had everything    | stays
unknown     | entries are waiting for it | stays
unknown     | its data is gone     | wiped
unknown     | it has its mark again | catching up
down        | it answers           | catching up
down        | connection refused   | stays
down        | no answer in time    | stays
down        | connection lost      | stays
down        | it is none of this pair | stays
down        | it had everything    | stays
down        | entries are waiting for it | stays
down        | its data is gone     | wiped
down        | it has its mark again | catching up
catching up | it answers           | stays
catching up | connection refused   | down
catching up | no answer in time    | down
catching up | connection lost      | down
catching up | it is none of this pair | down
catching up | it had everything    | up
catching up | entries are waiting for it | stays
catching up | its data is gone     | wiped
catching up | it has its mark again | stays
up          | it answers           | stays
up          | connection refused   | down
up          | no answer in time    | down
up          | connection lost      | down
up          | it is none of this pair | down
up          | it had everything    | stays
up          | entries are waiting for it | catching up
up          | its data is gone     | wiped
up          | it has its mark again | stays
wiped       | it answers           | stays
wiped       | connection refused   | down
wiped       | no answer in time    | down
wiped       | connection lost      | down
wiped       | it is none of this pair | down
wiped       | it had everything    | up
wiped       | entries are waiting for it | stays
wiped       | its data is gone     | stays
wiped       | it has its mark again | catching up
"""
"""What a store was | what is seen of it | what it is then."""

ROWS = [tuple(cell.strip() for cell in line.split("|")) for line in TABLE.strip().splitlines()]


def test_the_table_is_complete() -> None:
    pairs = {(state.value, evidence.value) for state, evidence in itertools.product(StoreState, Evidence)}
    assert {(was, seen) for was, seen, _ in ROWS} == pairs
    assert len(ROWS) == len(pairs)


@pytest.mark.parametrize(("was", "seen", "then"), ROWS)
def test_next_view(was: str, seen: str, then: str) -> None:
    before = View(StoreState(was), 1.0, "an older reason")
    after = next_view(before, Evidence(seen), 2.0)
    if then == "stays":
        assert after is before, "callers tell by identity that nothing changed"
    else:
        assert after == View(StoreState(then), 2.0, seen, Evidence(seen) is Evidence.LEFT_ALONE)


def test_a_reason_says_more_than_the_evidence() -> None:
    view = View(StoreState.UP, 1.0)
    assert next_view(view, Evidence.REFUSED, 2.0, "password required").reason == "password required"


def test_a_store_that_stays_down_may_have_another_reason() -> None:
    down = View(StoreState.DOWN, 1.0, "connection refused")
    assert next_view(down, Evidence.REFUSED, 2.0, "still loading its data") == replace(
        down, reason="still loading its data"
    )
    assert next_view(down, Evidence.REFUSED, 2.0, "connection refused") is down


def test_a_store_that_was_left_alone_is_down_from_when_it_answers_no_more() -> None:
    alone = next_view(View(StoreState.UP, 1.0), Evidence.LEFT_ALONE, 2.0, "never paired")
    lost = next_view(alone, Evidence.REFUSED, 3.0, "connection refused")
    loading = next_view(lost, Evidence.REFUSED, 4.0, "still loading its data")
    back = next_view(loading, Evidence.LEFT_ALONE, 5.0, "never paired")
    assert [view.since_s for view in (alone, lost, loading, back)] == [2.0, 3.0, 3.0, 5.0]


def test_a_store_that_returns_serves_only_once_it_caught_up() -> None:
    view = View(StoreState.UP, 0.0)
    states = []
    for evidence in (Evidence.SILENT, Evidence.CAUGHT_UP, Evidence.ANSWERED, Evidence.ANSWERED, Evidence.CAUGHT_UP):
        view = next_view(view, evidence, 1.0)
        states.append(view.state)
    down, catching_up, up = StoreState.DOWN, StoreState.CATCHING_UP, StoreState.UP
    assert states == [down, down, catching_up, catching_up, up]
