"""The address says what is chosen, and Back in the browser goes to what was chosen before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from hybrid.ops.overview import Overview

OpenPage = Callable[..., AppTest]
CHOICES = (
    ("repair/sync.py", "section", "sync-section", "now", "conflicts", "history"),
    ("watch/tests.py", "section", "tests-section", "test", "drills", "schedule"),
    ("watch/alerts.py", "view", "view", "incidents", "rules", "sent"),
    ("watch/metrics.py", "range", "range", "1 h", "15 min", "6 h"),
    ("data/insights.py", "show", "insights-view", "commands", "keys", "live"),
    ("admin/console.py", "target", "console-target", "client", "each", "local"),
)


@pytest.mark.parametrize(("path", "name", "key", "default", "first", "second"), CHOICES)
def test_back_goes_to_the_choice_before(
    path: str, name: str, key: str, default: str, first: str, second: str,
    set_weather: Callable[[str], Overview | None], open_page: OpenPage,
) -> None:  # fmt: skip
    set_weather("healthy")
    at = open_page(path, query={name: first})
    assert at.session_state[key] == first
    at.button_group(key=key).set_value(second).run()
    assert (at.session_state[key], at.query_params[name]) == (second, second)
    at.query_params[name] = first
    assert at.run().session_state[key] == first
    del at.query_params[name]
    assert at.run().session_state[key] == default
    assert name not in at.query_params, "a visit that chooses nothing is one step in the browser's history"
    assert not at.exception
