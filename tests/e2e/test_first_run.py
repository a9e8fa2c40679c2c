"""The first run: from two embedded servers to stores of one's own, in one's own language; the command line; and the
write mode, switched and switched back."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from e2e.test_first_walk import ARTIFACTS, PATIENT_MS, Watch
from playwright.sync_api import Browser, Page, expect
from servers import client, wait_until

from hybrid.stores.processes import ServerProcess
from scripts.screenshots import MODES, RunningPanel, open_context, photograph

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


def test_first_run(
    chromium: Browser, panel: RunningPanel, server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    local, cloud = server(), server()
    page = open_context(chromium, MODES[0]).new_page()
    watch = Watch(page)
    page.goto(panel.link())
    page.get_by_role("link", name="Connect your stores").click(timeout=PATIENT_MS)
    connect(page, local, cloud)
    written = (tmp_path / ".env").read_text()
    assert f"REDIS_URL={local.url}" in written
    assert f"UPSTASH_REDIS_URL={cloud.url}" in written

    page.get_by_role("link", name="Overview").first.click()
    for store, process in (("local", local), ("cloud", cloud)):
        expect(page.locator(f".st-key-card-{store}")).to_contain_text(str(process.port), timeout=PATIENT_MS)
    use_the_console(page)
    with client(local.url) as here, client(cloud.url) as there:
        switch_the_write_mode(page, here, there)
    help_by_keyboard(page)
    switch_to_portuguese(page, panel)
    assert watch.foreign == []
    assert watch.errors == []
    page.context.close()


def connect(page: Page, local: ServerProcess, cloud: ServerProcess) -> None:
    first = page.get_by_role("textbox", name="Local store (REDIS_URL)")
    first.fill("redis://127.0.0.1:1", timeout=PATIENT_MS)
    page.get_by_role("button", name="Try them").click()
    expect(page.get_by_text("is the server running")).to_be_visible(timeout=PATIENT_MS)
    first.fill(local.url)
    page.get_by_role("textbox", name="Cloud store (UPSTASH_REDIS_URL)").fill(cloud.url)
    page.get_by_role("button", name="Try them").click()
    for store in ("local", "cloud"):
        expect(page.locator(f".st-key-check-{store}")).to_contain_text("Usable", timeout=PATIENT_MS)
    expect(page.get_by_text("they begin as one pair")).to_be_visible(timeout=PATIENT_MS)
    photograph(page, ARTIFACTS / "setup_light.png")
    page.get_by_role("button", name="Write and use these stores").first.click()
    expect(page.get_by_text("The panel now runs on your stores")).to_be_visible(timeout=PATIENT_MS)


def use_the_console(page: Page) -> None:
    page.get_by_role("link", name="Console").first.click()
    send(page, 'SET greeting "hello you"')
    expect(page.locator(".st-key-run-1")).to_contain_text("OK", timeout=PATIENT_MS)
    page.get_by_role("radio", name="Side by side").click()
    page.wait_for_url("**/console?target=each", timeout=PATIENT_MS)
    send(page, "GET greeting")
    for store in ("local", "cloud"):
        expect(page.locator(f".st-key-answer-2-{store}")).to_contain_text('"hello you"', timeout=PATIENT_MS)
    photograph(page, ARTIFACTS / "console_light.png")
    page.get_by_role("radio", name="Replicated").click()
    page.wait_for_url("**/console", timeout=PATIENT_MS)
    send(page, "FLUSHALL")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Run FLUSHALL")).to_be_disabled(timeout=PATIENT_MS)
    dialog.get_by_role("textbox").press_sequentially("FLUSHALL")
    dialog.get_by_role("button", name="Run FLUSHALL").click(timeout=PATIENT_MS)
    expect(page.get_by_role("dialog")).to_have_count(0, timeout=PATIENT_MS)
    expect(page.locator(".st-key-run-3")).to_contain_text("OK", timeout=PATIENT_MS)


def send(page: Page, line: str) -> None:
    field = page.get_by_role("textbox", name="Command", exact=True)
    field.fill(line, timeout=PATIENT_MS)
    field.press("Enter")


def switch_the_write_mode(page: Page, local: redis.Redis, cloud: redis.Redis) -> None:
    """What is written meanwhile is on the local store alone, and on both once the mode is back."""
    choose_writes(page, "Local only")
    expect(page.get_by_text("stops copying").first).to_be_visible(timeout=PATIENT_MS)
    page.get_by_role("link", name="Console").first.click()
    send(page, "SET only:here 1")
    expect(page.locator(".st-key-run-4")).to_contain_text("OK", timeout=PATIENT_MS)
    assert (local.get("only:here"), cloud.get("only:here")) == (b"1", None)
    choose_writes(page, "Both stores")
    wait_until(lambda: cloud.get("only:here") == b"1", "the cloud store made equal again", 30)


def choose_writes(page: Page, mode: str) -> None:
    page.get_by_role("link", name="Settings").first.click()
    routing = page.locator(".st-key-settings-routing")
    routing.get_by_role("radio", name=mode).click(timeout=PATIENT_MS)
    routing.get_by_role("button", name="Apply", exact=True).click(timeout=PATIENT_MS)
    facts = expect(page.locator(".st-key-settings-facts"))
    said = facts.to_contain_text if mode == "Both stores" else facts.not_to_contain_text
    said("cloud follows", timeout=PATIENT_MS)


def help_by_keyboard(page: Page) -> None:
    page.get_by_role("heading", name="Settings", exact=True).click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("replication log", timeout=PATIENT_MS)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused(timeout=PATIENT_MS)


def switch_to_portuguese(page: Page, panel: RunningPanel) -> None:
    page.get_by_role("link", name="Overview").first.click()
    course = page.get_by_test_id("stMetricChart").first
    expect(course).to_have_attribute("aria-label", re.compile("^Course of"), timeout=PATIENT_MS)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_test_id("stSidebar").get_by_role("combobox").click()
    page.get_by_role("option", name="Português").click()
    expect(page.get_by_role("link", name="Visão geral").first).to_be_visible(timeout=PATIENT_MS)
    page.wait_for_function("document.documentElement.lang === 'pt-BR'", timeout=PATIENT_MS)
    expect(course).to_have_attribute("aria-label", re.compile("^Evolução de"), timeout=PATIENT_MS)
    page.goto(panel.address)  # a new session: the cookie remembers
    expect(page.get_by_role("link", name="Visão geral").first).to_be_visible(timeout=PATIENT_MS)
