from __future__ import annotations

import pytest

from hybrid.core.pace import SPAN_S, Pace

TIMEOUT_S = 0.08


@pytest.mark.parametrize(("slowest_s", "patience_s"), [(0.0, 0.08), (0.03, 0.08), (0.06, 0.12), (0.08, 0.16)])
def test_patience_follows_the_slowest_reply(slowest_s: float, patience_s: float) -> None:
    pace = Pace(TIMEOUT_S)
    for waited_s in (0.001, slowest_s, 0.002):
        pace.took(waited_s, 100.0)
    assert pace.patience_s(101.0) == pytest.approx(patience_s)


def test_a_reply_that_was_given_longer_says_nothing() -> None:
    pace = Pace(TIMEOUT_S)
    pace.took(0.9, 100.0)
    assert pace.patience_s(101.0) == TIMEOUT_S


def test_what_is_long_past_counts_no_more() -> None:
    pace = Pace(TIMEOUT_S)
    pace.took(0.06, 100.0)
    pace.took(0.001, 100.0 + SPAN_S)
    assert pace.patience_s(100.0 + SPAN_S) == pytest.approx(0.12)
    pace.took(0.001, 100.0 + 2 * SPAN_S)
    assert pace.patience_s(100.0 + 2 * SPAN_S) == TIMEOUT_S


def test_a_pause_without_replies_is_no_reason_for_patience() -> None:
    pace = Pace(TIMEOUT_S)
    pace.took(0.06, 100.0)
    assert pace.patience_s(100.0 + 3 * SPAN_S) == TIMEOUT_S
