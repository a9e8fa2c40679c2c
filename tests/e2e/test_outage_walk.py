"""Follow an outage: each store killed in the middle, on whatever page one stands; and both back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from e2e.test_first_walk import ARTIFACTS, PATIENT_MS, Watch
from playwright.sync_api import Browser, Page, expect
from servers import client

from hybrid import HybridRedis
from hybrid.stores.processes import ServerProcess
from scripts.screenshots import MODES, RunningPanel, open_context, photograph

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


@contextmanager
def opened(
    chromium: Browser, local: ServerProcess, cloud: ServerProcess, folder: Path
) -> Iterator[tuple[RunningPanel, Page, Watch]]:
    """The panel of these two stores, its first page, and what watches that."""
    patient = {"REDIS_LOCAL_TIMEOUT": "0.9", "REDIS_CLOUD_TIMEOUT": "0.9"}
    with RunningPanel(folder, {"REDIS_URL": local.url, "UPSTASH_REDIS_URL": cloud.url, **patient}) as panel:
        page = open_context(chromium, MODES[0]).new_page()
        watch = Watch(page)
        page.goto(panel.link())
        expect_said(page, "Everything is fine")
        yield panel, page, watch


def test_follow_an_outage(chromium: Browser, server: Callable[..., ServerProcess], tmp_path: Path) -> None:
    local, cloud = server(persistent=True), server(persistent=True)
    with opened(chromium, local, cloud, tmp_path) as (panel, page, watch):
        cloud.kill()
        expect_said(page, "The cloud store is down since")
        expect(page.locator(".st-key-card-cloud")).to_contain_text("Down", timeout=PATIENT_MS)
        open_page(page, "Keys")
        expect_said(page, "only keys of the local store are shown")
        open_page(page, "Console")
        expect_said(page, "The cloud store is down since")
        local.kill()
        expect_said(page, "No store answers since")
        open_page(page, "Diff")
        expect_said(page, "nothing can be read")
        open_page(page, "Overview")
        expect_said(page, "No store answers since")
        photograph(page, ARTIFACTS / "outage_light.png")

        open_page(page, "Diff")
        expect_said(page, "nothing can be read")
        cloud.start()
        local.start()
        expect(page.get_by_text("nothing can be read")).to_have_count(0, timeout=PATIENT_MS)
        open_page(page, "Overview")
        expect_said(page, "Everything is fine")
        open_page(page, "Alerts")
        expect(page.get_by_text("answers since")).to_have_count(0, timeout=PATIENT_MS)
        assert watch.errors == []
        assert watch.foreign == []
        assert "Traceback" not in panel.output


def test_what_waits_is_said_while_it_waits(
    chromium: Browser, server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    local, cloud = server(persistent=True), server(persistent=True)
    with opened(chromium, local, cloud, tmp_path) as (_, page, watch):
        open_page(page, "Sync")
        over = threading.Event()

        def write() -> None:
            with HybridRedis.from_urls(local.url, cloud.url, ack="local") as hybrid:
                while not over.is_set():
                    hybrid.mset({f"key:{number}": "x" * 100 for number in range(500)})

        writer = threading.Thread(target=write)
        writer.start()
        try:
            expect_said(page, "Writes are on their way")
        finally:
            over.set()
            writer.join()
        expect_said(page, "Every write is on both stores")
        assert watch.errors == []


def open_page(page: Page, name: str) -> None:
    page.get_by_role("link", name=name).first.click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible(timeout=PATIENT_MS)


def expect_said(page: Page, words: str) -> None:
    """The page says so, without being asked again."""
    expect(page.get_by_text(words).first).to_be_visible(timeout=PATIENT_MS)


def test_what_is_typed_outlives_the_weather(
    chromium: Browser, server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    """It is on its way to nobody yet: a store that comes or goes shall not take it away."""
    local, cloud = server(persistent=True), server(persistent=True)
    with opened(chromium, local, cloud, tmp_path) as (panel, page, watch):
        with client(local.url) as plain:
            plain.set("greeting", "hello")
        page.goto(f"{panel.address}/keys?pattern=greeting&key=greeting")
        expect_said(page, "only local")
        page.get_by_role("button", name="Edit", exact=True).click(timeout=PATIENT_MS)
        field = page.get_by_label("Value", exact=True)
        field.fill("typed, and not sent", timeout=PATIENT_MS)
        for store, words in ((cloud, "only keys of the local store are shown"), (local, "no key can be shown")):
            store.kill()
            expect_said(page, words)
            expect(field).to_have_value("typed, and not sent")
        for store in (local, cloud):
            store.start()
        expect(page.get_by_text("is down since")).to_have_count(0, timeout=PATIENT_MS)
        expect(page.get_by_text("no key can be shown")).to_have_count(0, timeout=PATIENT_MS)
        expect(field).to_have_value("typed, and not sent")
        assert watch.errors == []


def test_a_silence_is_listed_where_it_was_made(
    chromium: Browser, server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    """The button stands in what draws itself anew; so must the list below it."""
    local, cloud = server(persistent=True), server(persistent=True)
    with opened(chromium, local, cloud, tmp_path) as (_, page, watch):
        cloud.kill()
        open_page(page, "Alerts")
        page.get_by_role("button", name="Silence for 1 h").click(timeout=PATIENT_MS)
        page.get_by_role("button", name="End now").click(timeout=PATIENT_MS)
        expect(page.get_by_role("button", name="End now")).to_have_count(0, timeout=PATIENT_MS)
        assert watch.errors == []
