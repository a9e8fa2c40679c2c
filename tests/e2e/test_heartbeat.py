"""A page that is drawn anew at a price, while somebody can see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.test_first_walk import PATIENT_MS
from e2e.test_outage_walk import opened
from playwright.sync_api import Browser, Page, expect
from servers import client

from hybrid.stores.processes import ServerProcess
from panel.heartbeat import SCRIPT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


def begin(page: Page, every_ms: int) -> None:
    """As Streamlit calls the component."""
    page.evaluate(
        """async ([script, every_ms]) => {
          window.component ??= (await import(`data:text/javascript,${encodeURIComponent(script)}`)).default
          window.end = window.component({data: {every_ms}, setTriggerValue: () => { window.beats++ }})
        }""",
        [SCRIPT, every_ms],
    )


def hide(page: Page, hidden: bool) -> None:
    page.evaluate(f"Object.defineProperty(document, 'hidden', {{value: {json.dumps(hidden)}, configurable: true}})")


def test_a_hidden_tab_is_not_drawn_anew(chromium: Browser) -> None:
    page = chromium.new_page()
    page.clock.install()
    page.evaluate("window.beats = 0")
    begin(page, 6000)
    seen = []
    for hidden in (False, True, False):
        hide(page, hidden)
        page.clock.run_for(12_000)
        seen.append(page.evaluate("window.beats"))
    assert seen == [2, 2, 4]
    begin(page, 3000)
    page.clock.run_for(6000)
    assert page.evaluate("window.beats") == 6, "the first clock goes no more"
    page.evaluate("window.end()")
    page.clock.run_for(60_000)
    assert page.evaluate("window.beats") == 6
    page.close()


def test_a_live_key_follows_what_others_write(
    chromium: Browser, server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    local, cloud = server(persistent=True), server(persistent=True)
    with opened(chromium, local, cloud, tmp_path) as (panel, page, watch), client(local.url) as store:
        store.set("k", "before")
        page.goto(f"{panel.address}/keys?key=k")
        detail = page.locator(".st-key-keys-detail")
        expect(detail).to_contain_text("before", timeout=PATIENT_MS)
        page.locator(".st-key-keys-live label").click()
        for value in ("during", "after"):
            store.set("k", value)
            expect(detail).to_contain_text(value, timeout=PATIENT_MS)
        assert watch.errors == []
