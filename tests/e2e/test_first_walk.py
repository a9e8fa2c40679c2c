"""The first day: open the printed link, see both stores, start traffic, switch reads, sign out; test and drill."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from panel.nav import PAGES
from scripts.screenshots import MODES, RunningPanel, open_context, photograph

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]
ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"
PATIENT_MS = 30_000
NOTE_REMOVED = """() => {
  window.removed = []
  const parts = (node) => node instanceof HTMLElement && node.matches('[data-testid]')
  const note = (change) => window.removed.push(...[...change.removedNodes].filter(parts).map((node) => node.outerHTML))
  for (const card of document.querySelectorAll('[class*="st-key-card-"]'))
    new MutationObserver((changes) => changes.forEach(note)).observe(card, {childList: true, subtree: true})
}"""


class Watch:
    """What the browser complained about, and every address it asked outside this machine."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("console", self._console)
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
            self.foreign.append(request.url)


def test_first_walk(chromium: Browser, panel: RunningPanel) -> None:
    link = panel.link()
    context = open_context(chromium, MODES[0])
    page = context.new_page()
    watch = Watch(page)

    page.goto(panel.address)
    expect(page.get_by_role("heading", name="Almost there")).to_be_visible()
    page.goto(link)
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=PATIENT_MS)
    for store in ("local", "cloud"):
        expect(page.locator(f".st-key-card-{store}")).to_contain_text("Up", timeout=PATIENT_MS)
    expect(page.get_by_text("What is running.")).to_be_visible()
    page.get_by_role("button", name="Got it").click()
    expect(page.get_by_text("What is running.")).to_have_count(0)

    start_demo_and_see_keys_grow(page)
    switch_reads_to_cloud_and_back(page)
    stop_demo(page)
    photograph_everything(chromium, page, panel)
    open_every_address(page, panel)

    other = context.new_page()
    other.goto(f"{panel.address}/keys")
    expect(other.get_by_role("heading", name="Keys")).to_be_visible(timeout=PATIENT_MS)
    page.goto(f"{panel.address}/logout")
    page.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Almost there")).to_be_visible(timeout=PATIENT_MS)
    page.goto(panel.address)
    expect(page.get_by_role("heading", name="Almost there")).to_be_visible()
    assert watch.foreign == []
    assert watch.errors == []
    assert panel.stop() == 0
    assert "Traceback" not in panel.output


def test_run_test_passes_and_outlives_the_page(chromium: Browser, panel: RunningPanel) -> None:
    page = open_context(chromium, MODES[0]).new_page()
    watch = Watch(page)
    page.goto(panel.link())
    expect(page.locator(".st-key-card-local")).to_contain_text("Up", timeout=PATIENT_MS)
    run_the_test(page)
    photograph(page, ARTIFACTS / "tests_done_light.png")
    expect(page.locator("[data-testid=stAlert]").first).to_contain_text(re.compile("Passed|Nothing failed"))
    with page.expect_download() as download:
        page.get_by_role("button", name="Report (Markdown)").click()
    assert download.value.path().read_text().startswith("# Hybrid Redis test")
    play_a_drill(page)
    assert watch.foreign == []
    assert watch.errors == []


def start_demo_and_see_keys_grow(page: Page) -> None:
    page.get_by_role("button", name="Start demo traffic").click()
    expect(page.get_by_role("button", name="Stop demo traffic")).to_be_visible(timeout=PATIENT_MS)
    grown = (
        "(least) => parseInt(document.querySelector('.st-key-card-{0}').innerText.split('Keys')[1].trim()"
        ".split('\\n')[0].replace(/,/g, '')) > least"
    )
    page.evaluate(NOTE_REMOVED)
    for store in ("local", "cloud"):
        page.wait_for_function(grown.replace("{0}", store), arg=20, timeout=60_000)
    assert page.evaluate("window.removed") == [], "what ticks must change in its place, not blink"
    course = page.locator(".st-key-card-local [data-testid=stMetricChart]").first
    expect(course).to_have_attribute("aria-label", re.compile("Course of Latency p50: .+ now"))


def stop_demo(page: Page) -> None:
    page.get_by_role("link", name="Overview").first.click()
    page.get_by_role("button", name="Stop demo traffic").click(timeout=PATIENT_MS)
    expect(page.get_by_role("button", name="Start demo traffic")).to_be_visible(timeout=PATIENT_MS)


def switch_reads_to_cloud_and_back(page: Page) -> None:
    routing = page.locator(".st-key-overview-routing")
    expect(routing.get_by_text("Reads go to local")).to_be_visible(timeout=PATIENT_MS)
    routing.get_by_role("radio", name="Cloud").click()
    routing.get_by_role("button", name="Apply", exact=True).click()
    expect(routing.get_by_text("Reads go to cloud")).to_be_visible(timeout=PATIENT_MS)
    page.get_by_role("link", name="Settings").first.click()
    page.locator(".st-key-use-production button").click(timeout=PATIENT_MS)
    settings = page.locator(".st-key-settings-routing")
    expect(settings.get_by_text("Reads go to local")).to_be_visible(timeout=PATIENT_MS)


def open_every_address(page: Page, panel: RunningPanel) -> None:
    """Each page as from a bookmark."""
    for name, entry in PAGES.items():
        page.goto(f"{panel.address}/{name}")
        expect(page.get_by_role("heading", name=entry.title, exact=True)).to_be_visible(timeout=PATIENT_MS)
    page.goto(f"{panel.address}/insights?show=search")
    expect(page.get_by_text("This server has no search")).to_have_count(2, timeout=PATIENT_MS)


def run_the_test(page: Page) -> None:
    page.get_by_role("link", name="Tests").first.click()
    page.locator(".st-key-run-test button").click(timeout=PATIENT_MS)
    expect(page.locator(".st-key-cancel-test")).to_be_visible(timeout=PATIENT_MS)
    page.get_by_role("link", name="Overview").first.click()  # the run goes on meanwhile
    expect(page.get_by_role("heading", name="Overview")).to_be_visible(timeout=PATIENT_MS)
    page.get_by_role("link", name="Tests").first.click()
    page.locator(".st-key-run-test button").wait_for(timeout=180_000)
    expect(page.locator("[data-testid=stAlert]").first).to_contain_text(" at ", timeout=PATIENT_MS)


def play_a_drill(page: Page) -> None:
    """An operator moves the writes to the cloud store and back, under load; the report says what it cost."""
    page.get_by_role("radio", name="Drills").click()
    page.locator(".st-key-play-failover-failback button").click(timeout=PATIENT_MS)
    expect(page.locator(".st-key-drill-now")).to_be_visible(timeout=PATIENT_MS)
    expect(page.get_by_text("1 drill played")).to_be_visible(timeout=180_000)
    report = page.locator("[class*='st-key-report-']")
    expect(report).to_contain_text(re.compile("passed|too busy to judge"))
    for guarantee in ("G1", "G3", "G6"):
        expect(report).to_contain_text(guarantee)
    photograph(page, ARTIFACTS / "drill_light.png")


def photograph_everything(chromium: Browser, page: Page, panel: RunningPanel) -> None:
    for mode in MODES:
        other = open_context(chromium, mode, page.context).new_page()
        watch = Watch(other)
        other.goto(panel.address)
        expect(other.get_by_role("heading", name="Overview")).to_be_visible(timeout=PATIENT_MS)
        for name in ("Overview", "Settings"):
            if name != "Overview":
                if mode.name == "phone":
                    other.get_by_test_id("stExpandSidebarButton").click()
                other.get_by_role("link", name=name).first.click()
                expect(other.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=PATIENT_MS)
                if mode.name == "phone":  # the menu is out of the way of what was chosen in it
                    expect(other.get_by_test_id("stExpandSidebarButton")).to_be_visible(timeout=PATIENT_MS)
            photograph(other, ARTIFACTS / f"{name.lower()}_{mode.name}.png")
            wide = "() => document.querySelector('[data-testid=stMain]').scrollWidth <= window.innerWidth"
            assert other.evaluate(wide), f"{name} overflows on {mode.name}"
        assert watch.foreign == []
        assert watch.errors == []
        other.context.close()
