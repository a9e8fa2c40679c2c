"""The real panel in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from scripts.screenshots import RunningPanel, browser, find_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Not for the whole session: while Playwright is at work its event loop counts as running, and others need one."""
    if find_chromium() is None and "chromium" not in os.environ.get("HYBRID_REQUIRE", ""):
        pytest.skip("chromium is not installed; HYBRID_REQUIRE=chromium turns this skip into a failure")
    with browser() as started:
        yield started


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[RunningPanel]:
    """`python app.py` on two embedded servers."""
    # A browser beside everything else keeps a small machine busy: a late answer must not count as an outage here.
    with RunningPanel(tmp_path, {"REDIS_LOCAL_TIMEOUT": "0.5", "REDIS_CLOUD_TIMEOUT": "0.9"}) as running:
        yield running
