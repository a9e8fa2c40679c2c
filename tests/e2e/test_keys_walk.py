"""Edit a key on both stores: create it, change it, see the difference before, find it on both, take it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect
from servers import wait_until

from scripts.screenshots import MODES, RunningPanel, open_context, photograph, wait_drawn

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"
PATIENT_MS = 30_000


def stores_of(panel: RunningPanel) -> list[redis.Redis]:
    """Both servers themselves, past the client and the link."""
    ports = json.loads((panel.folder / "stores" / "keeper.json").read_text())["ports"]
    return [redis.Redis(port=ports[name]) for name in ("local", "cloud")]


STOP = """() => {
  const it = document.activeElement, place = it.getBoundingClientRect(), style = getComputedStyle(it)
  const outlined = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none'
  return [it.getAttribute('aria-label') || it.innerText, place.right > 0 && style.visibility === 'visible', outlined]
}"""
ANN, BEA = b'{"name": "Ann"}', b'{"name": "Bea"}'


def test_a_key_is_edited_on_both(chromium: Browser, panel: RunningPanel) -> None:
    page = open_context(chromium, MODES[0]).new_page()
    errors: list[str] = []
    foreign: list[str] = []

    def told(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(message.text)

    def asked(request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            foreign.append(request.url)

    page.on("console", told)
    page.on("request", asked)
    page.goto(panel.link())
    expect(page.locator(".st-key-card-cloud")).to_contain_text("Up", timeout=PATIENT_MS)
    page.get_by_role("link", name="Keys", exact=False).first.click()
    expect(page.get_by_text("There are no keys yet")).to_be_visible(timeout=PATIENT_MS)

    create(page)
    local, cloud = stores_of(panel)
    assert (local.get("user:42"), cloud.get("user:42")) == (b'{"name": "Ann"}', b'{"name": "Ann"}')
    detail = page.locator(".st-key-keys-detail")
    expect(detail.get_by_text("equal", exact=False).first).to_be_visible(timeout=PATIENT_MS)

    page.locator(".st-key-keys-edit-text button").click()
    entry = page.get_by_label("Value", exact=True)
    entry.fill('{"name": "Bea"}')
    entry.press("Control+Enter")
    expect(page.get_by_text('+{"name": "Bea"}')).to_be_visible(timeout=PATIENT_MS)
    photograph(page, ARTIFACTS / "keys_edit_light.png")
    page.locator(".st-key-keys-form-save button").click()
    said = page.locator(".st-key-keys-said-box")
    expect(said).not_to_contain_text("Create", timeout=PATIENT_MS)  # it still speaks of the creation for a moment
    expect(said).to_contain_text("Local: written. Cloud: written.", timeout=PATIENT_MS)
    wait_until(lambda: (local.get("user:42"), cloud.get("user:42")) == (BEA, BEA), "the edit on both stores", 30)

    page.locator(".st-key-keys-undo button").click()
    expect(said).to_contain_text("Taken back", timeout=PATIENT_MS)
    wait_until(lambda: local.get("user:42") == ANN, "the edit taken back", 30)

    cloud.set("user:42", '{"name": "drift"}')
    page.locator(".st-key-keys-refresh button").click()
    expect(detail.get_by_text("differs").first).to_be_visible(timeout=PATIENT_MS)
    expect(detail.get_by_text("drift").first).to_be_visible(timeout=PATIENT_MS)
    open_by_a_click(page)
    switch_stands_in_line(page)
    walk_with_tab(page)
    photograph_views(chromium, page)
    assert foreign == []
    assert errors == []


def create(page: Page) -> None:
    page.locator(".st-key-keys-new button").click()
    name = page.get_by_label("Name", exact=True)
    name.fill("user:42")
    name.press("Enter")
    value = page.get_by_label("Value", exact=True)
    value.fill('{"name": "Ann"}')
    value.press("Control+Enter")
    page.locator(".st-key-keys-form-save button").click()
    expect(page.locator(".st-key-keys-said-box")).to_contain_text("Local: written. Cloud: written.", timeout=PATIENT_MS)


def open_by_a_click(page: Page) -> None:
    """A key that was closed opens from the list, where rows are painted on a canvas."""
    detail = page.locator(".st-key-keys-detail")
    page.locator(".st-key-keys-close button").click()
    expect(detail).to_have_count(0, timeout=PATIENT_MS)
    wait_drawn(page)
    box = page.locator("[data-testid=stDataFrame]").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 90, box["y"] + 35 + 17)
    expect(detail).to_contain_text("drift", timeout=PATIENT_MS)


def switch_stands_in_line(page: Page) -> None:
    """The labels of a row are on one line, whatever they are of."""
    main = page.get_by_test_id("stMain")
    boxes = [main.get_by_text(label, exact=True).first.bounding_box() for label in ("Store", "View")]
    tops = {box["y"] for box in boxes if box is not None}
    assert len(tops) == 1, tops


def walk_with_tab(page: Page) -> None:
    """No stop is out of sight, and links say that they are one."""
    page.reload()
    wait_drawn(page)
    stops = []
    for _ in range(8):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(STOP))
    assert [name for name, shown, _ in stops if not shown] == []
    assert [name for name, _, outlined in stops if not outlined] == []
    assert any("Overview" in name for name, *_ in stops)


def photograph_views(chromium: Browser, page: Page) -> None:
    """The address alone brings the same view, on every screen."""
    address = page.url
    assert "key=user" in address
    for mode in MODES:
        other = open_context(chromium, mode, page.context).new_page()
        other.goto(address)
        expect(other.locator(".st-key-keys-detail")).to_contain_text("drift", timeout=PATIENT_MS)
        photograph(other, ARTIFACTS / f"keys_{mode.name}.png")
        wide = "() => document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth"
        assert other.evaluate(wide), f"Keys overflows on {mode.name}"
        other.context.close()
