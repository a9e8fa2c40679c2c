"""Settings that are changed elsewhere, by a colleague or by the clock, on the pages that show them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from e2e.test_first_walk import PATIENT_MS
from e2e.test_outage_walk import expect_said, open_page, opened
from playwright.sync_api import Browser, expect

from hybrid import HybridRedis
from hybrid.ops.control import Control
from hybrid.settings import ReadPreference
from hybrid.stores.processes import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]


def test_what_is_changed_elsewhere_is_shown(
    chromium: Browser, server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    local, cloud = server(persistent=True), server(persistent=True)
    with (
        opened(chromium, local, cloud, tmp_path) as (panel, page, watch),
        HybridRedis.from_urls(local.url, cloud.url) as hybrid,
    ):
        control = Control(hybrid)
        chosen = page.locator('[aria-checked="true"]', has_text="Cloud")
        control.change("Ana", read_preference=ReadPreference.CLOUD)
        expect(chosen).to_have_count(1, timeout=PATIENT_MS)

        open_page(page, "Settings")
        expect_said(page, "Version 1, by Ana")
        page.get_by_text("For a limited time").click()
        during = page.get_by_role("combobox", name="For", exact=False)
        expect(during).to_be_visible(timeout=PATIENT_MS)
        control.override("Bea", for_s=600, read_preference=ReadPreference.LOCAL)
        expect_said(page, "Reads go to local")
        expect(page.locator(".st-key-override")).to_contain_text("by Bea", timeout=PATIENT_MS)
        control.end_override("Bea")
        expect_said(page, "Version 3, by Bea")
        expect(page.locator(".st-key-override")).to_have_count(0, timeout=PATIENT_MS)
        expect(during).to_be_visible()
        cloud.kill()
        expect_said(page, "Reads go to local")
        assert watch.errors == []
        assert "Traceback" not in panel.output
