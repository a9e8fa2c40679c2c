"""Find and fix a drift: compare, look into a key, merge it, sync the rest, undo; on two real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from e2e.test_first_walk import ARTIFACTS, PATIENT_MS, Watch
from playwright.sync_api import Browser, Locator, Page, expect
from servers import client, wait_until

from hybrid.ops.compare import compare
from hybrid.stores.processes import ServerProcess
from scripts.screenshots import MODES, RunningPanel, open_context, photograph

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]
KEYS = 60


@pytest.fixture
def stores_of_panel(
    server: Callable[..., ServerProcess], tmp_path: Path
) -> Iterator[tuple[RunningPanel, redis.Redis, redis.Redis]]:
    """A panel on two servers of its own, that hold the same keys but for the planted drift."""
    local_server, cloud_server = server(), server()
    environment = {
        "REDIS_URL": local_server.url, "UPSTASH_REDIS_URL": cloud_server.url, "REDIS_SYNC_ENABLED": "false",
        "REDIS_LOCAL_TIMEOUT": "0.9", "REDIS_CLOUD_TIMEOUT": "0.9",
    }  # fmt: skip
    folder = tmp_path / "panel"
    folder.mkdir()
    with client(local_server.url) as local, client(cloud_server.url) as cloud:
        local.mset({f"session:{number}": "v" for number in range(KEYS)})
        local.hset("user:1001", "name", "Ada")
        with RunningPanel(folder, environment) as panel:
            panel.link()
            wait_until(lambda: cloud.exists("user:1001") and cloud.dbsize() > KEYS, "the first copy", 60)
            local.hset("user:1001", "city", "London")
            cloud.hset("user:1001", "city", "Paris")
            local.mset({f"order:{number}": "v" for number in range(5)})
            cloud.set("cart:7", "v")
            yield panel, local, cloud


def test_find_and_fix_a_drift(
    chromium: Browser, stores_of_panel: tuple[RunningPanel, redis.Redis, redis.Redis]
) -> None:
    panel, local, cloud = stores_of_panel
    page = open_context(chromium, MODES[0]).new_page()
    watch = Watch(page)
    page.goto(panel.link())
    expect(page.locator(".st-key-card-cloud")).to_contain_text("check_circle Up", timeout=PATIENT_MS)

    compare_everything(page)
    expect(page.get_by_text("7 keys differ")).to_be_visible(timeout=PATIENT_MS)
    merge_one_key_by_hand(page)
    wait_until(lambda: local.hget("user:1001", "city") == cloud.hget("user:1001", "city") == b"Paris", "the merge")
    photograph(page, ARTIFACTS / "diff_merged_light.png")

    sync_the_rest(page)
    wait_until(lambda: cloud.exists("order:4") and not cloud.exists("cart:7"), "the sync", 30)
    wait_until(lambda: compare(local, cloud).identical, "equal stores", 30)
    photograph(page, ARTIFACTS / "sync_done_light.png")

    undo_it(page)
    wait_until(lambda: cloud.exists("cart:7") and not cloud.exists("order:4"), "the undo", 30)
    assert watch.foreign == []
    assert watch.errors == []
    assert "Traceback" not in panel.output


def compare_everything(page: Page) -> None:
    page.get_by_role("link", name="Diff").first.click()
    page.locator(".st-key-diff-start button").click(timeout=PATIENT_MS)


def merge_one_key_by_hand(page: Page) -> None:
    page.get_by_label("Key contains").fill("user")
    page.get_by_label("Key contains").press("Enter")
    expect(page.get_by_text("Make this key equal")).to_be_visible(timeout=PATIENT_MS)
    select_first_row(page.locator("[data-testid=stDataFrame]").first)
    detail = page.locator(".st-key-diff-detail")
    expect(detail).to_contain_text("user:1001", timeout=PATIENT_MS)
    detail.get_by_role("radio", name="Cloud").click(timeout=PATIENT_MS)
    page.get_by_role("button", name="Write to both stores").click(timeout=PATIENT_MS)
    expect(detail).to_contain_text("Both stores have the same value", timeout=PATIENT_MS)


def select_first_row(table: Locator) -> None:
    """Rows are drawn on a canvas: the first one is below the header. A click on its name opens it."""
    box = table.bounding_box()
    assert box is not None
    table.page.mouse.click(box["x"] + 60, box["y"] + 35 + 17)


def sync_the_rest(page: Page) -> None:
    page.get_by_role("link", name="Sync").first.click()
    plan = page.locator(".st-key-sync-plan")
    plan.get_by_role("radio", name="Local → cloud").click(timeout=PATIENT_MS)
    plan.get_by_text("Delete extra keys").click(timeout=PATIENT_MS)
    expect(plan).to_contain_text("deleted on the cloud store", timeout=PATIENT_MS)
    plan.get_by_label("to confirm").fill("delete")
    plan.get_by_label("to confirm").press("Enter")
    page.get_by_role("button", name="Run sync").click(timeout=PATIENT_MS)


def undo_it(page: Page) -> None:
    page.get_by_role("radio", name="History and undo").click(timeout=PATIENT_MS)
    expect(page.get_by_text("Select one to see what it did")).to_be_visible(timeout=PATIENT_MS)
    select_first_row(page.locator("[data-testid=stDataFrame]").first)
    page.locator(".st-key-sync-undo-run button").click(timeout=PATIENT_MS)
