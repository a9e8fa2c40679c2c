"""The address says what is chosen, and Back in the browser goes to what was chosen before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from hybrid.ops.overview import Overview

OpenPage = Callable[..., AppTest]
ROOT = Path(__file__).resolve().parents[2]
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


def test_back_closes_a_key_and_leaves_a_folder(
    set_weather: Callable[[str], Overview | None], open_page: OpenPage
) -> None:
    set_weather("healthy")
    at = open_page("data/keys.py", query={"key": "a:1", "prefix": "a:", "view": "tree"})
    assert at.session_state["keys-open-key"] == "a:1"
    del at.query_params["key"]
    assert at.run().session_state["keys-open-key"] == ""
    assert at.session_state["keys-open-prefix"] == "a:"
    del at.query_params["prefix"]
    assert at.run().session_state["keys-open-prefix"] == ""
    at.query_params["key"] = "a:1"
    assert at.run().session_state["keys-open-key"] == "a:1"
    at.query_params["type"] = "hash"
    assert at.run().session_state["keys-type"] == "hash"
    assert "key" in at.query_params


def test_a_link_opens_its_key_whatever_was_open_before(
    set_weather: Callable[[str], Overview | None], open_page: OpenPage
) -> None:
    set_weather("healthy")
    at = open_page("data/keys.py", query={"key": "a:1"})
    at.switch_page(str(ROOT / "pages" / "watch" / "alerts.py")).run()
    at.switch_page(str(ROOT / "pages" / "data" / "keys.py"))
    at.query_params["key"] = "b:2"
    assert at.run().session_state["keys-open-key"] == "b:2"
    at.switch_page(str(ROOT / "pages" / "watch" / "alerts.py")).run()
    at.switch_page(str(ROOT / "pages" / "data" / "keys.py"))
    at.query_params.clear()
    assert at.run().session_state["keys-open-key"] == "b:2", "who comes back by the menu finds the key still open"


def test_back_closes_the_key_of_a_comparison(
    set_weather: Callable[[str], Overview | None], open_page: OpenPage
) -> None:
    set_weather("healthy")
    at = open_page("repair/diff.py", query={"key": "a:1"})
    at.session_state["diff-key"] = "b:2"
    assert at.run().query_params["key"] in ("b:2", ["b:2"])
    at.query_params["key"] = "a:1"
    assert at.run().session_state["diff-key"] == "a:1"
    del at.query_params["key"]
    assert at.run().session_state["diff-key"] == ""
    at.query_params["key"] = "a:1"
    assert at.run().session_state["diff-key"] == "a:1"
    for path in ("data/keys.py", "repair/diff.py"):
        at.switch_page(str(ROOT / "pages" / path))
        at.query_params.clear()
        at.run()
    assert at.session_state["diff-key"] == "a:1", "who comes back by the menu finds the key still open"
    assert not at.exception
