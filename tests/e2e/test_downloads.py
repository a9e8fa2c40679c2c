"""Downloads of a page that ticks, over a connection that is behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e.test_first_walk import PATIENT_MS, Watch
from playwright.sync_api import Browser, Page, WebSocketRoute, expect

from scripts.screenshots import MODES, RunningPanel, open_context, wait_drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


class Behind:
    """What the server sends to the page, held back while `holding`."""

    def __init__(self, page: Page) -> None:
        self.holding = False
        self.held: list[str | bytes] = []
        page.route_web_socket("**/_stcore/stream", self._connected)

    def _connected(self, browser_side: WebSocketRoute) -> None:
        self._browser_side = browser_side
        server = browser_side.connect_to_server()
        server.on_message(self._sent)

    def _sent(self, message: str | bytes) -> None:
        self.held.append(message)
        if not self.holding:
            self.release()

    def holds(self, part: bytes) -> bool:
        return any(part in message for message in self.held if isinstance(message, bytes))

    def release(self) -> None:
        self.holding = False
        while self.held:
            self._browser_side.send(self.held.pop(0))


def test_a_click_on_what_has_ticked_meanwhile(chromium: Browser, panel: RunningPanel, tmp_path: Path) -> None:
    page = open_context(chromium, MODES[0]).new_page()
    watch, behind = Watch(page), Behind(page)
    page.goto(panel.link())
    expect(page.locator(".st-key-card-cloud")).to_contain_text("Up", timeout=PATIENT_MS)
    page.goto(f"{panel.address}/measurements?follow=true")
    wait_drawn(page)
    button = page.locator(".st-key-csv-keys button:enabled").first
    expect(button).to_be_visible(timeout=PATIENT_MS)

    behind.holding = True
    while not behind.holds(b"csv-keys"):  # drawn again, which the browser does not know
        page.wait_for_timeout(100)
    page.wait_for_timeout(1000)  # and done, so that the server tidies up
    with page.expect_download(timeout=PATIENT_MS) as download:
        button.click()
        page.wait_for_timeout(100)
        behind.release()
    assert download.value.path().read_text().count("\n") > 1
    assert watch.errors == []
    assert "Traceback" not in panel.output


def test_a_button_stays_beside_a_long_title_on_a_phone(chromium: Browser, panel: RunningPanel) -> None:
    page = open_context(chromium, MODES[2]).new_page()
    page.goto(panel.link())
    expect(page.locator(".st-key-card-cloud")).to_contain_text("Up", timeout=PATIENT_MS)
    page.goto(f"{panel.address}/measurements")
    wait_drawn(page)
    title = page.get_by_text("Throughput all commands, exchanges a second")
    button = page.locator(".st-key-csv-throughput button:visible")
    expect(button).to_be_visible(timeout=PATIENT_MS)
    boxes = [part.bounding_box() for part in (title, button)]
    assert boxes[0] is not None and boxes[1] is not None
    assert boxes[1]["y"] < boxes[0]["y"] + boxes[0]["height"], boxes
