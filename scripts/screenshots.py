"""Pictures of the real running panel, for the documentation: python scripts/screenshots.py [--folder docs/images].

Starts the panel on two embedded servers in a throw-away folder, lets the demo application work for a while, runs the
test once, and photographs every page in light, dark and phone size. Needs chromium and playwright.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

__all__ = [
    "MODES",
    "PAGES",
    "Mode",
    "RunningPanel",
    "browser",
    "find_chromium",
    "open_context",
    "photograph",
    "wait_drawn",
]

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("overview", "keys", "tests", "settings")
CHROMIUM_OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
START_S = 60.0
TRIES = 3
DRAWN = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  return app && app.dataset.testConnectionState === 'CONNECTED' && document.querySelector('h1')
    && !document.querySelector('[data-testid="stSkeleton"]') && !document.querySelector('[data-stale="true"]');
}"""


@dataclass(frozen=True, slots=True)
class Mode:
    """A screen to photograph on."""

    name: str
    width: int
    height: int
    dark: bool


MODES = (Mode("light", 1440, 900, False), Mode("dark", 1440, 900, True), Mode("phone", 390, 844, True))


@dataclass
class RunningPanel:
    """`python app.py` as a child process, in a folder of its own. `output` grows as it speaks."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = (sys.executable, str(ROOT / "app.py"), "--port", "{port}")
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RunningPanel:
        self.port = self.port or free_port()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "UPSTASH_"))}
        command = [part.format(port=self.port) for part in self.command]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**inherited, "HYBRID_FOLDER": str(self.folder / "stores"), **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log(self) -> Path:
        return self.folder / "panel.log"

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def link(self, timeout_s: float = START_S) -> str:
        """The latest address that the panel printed. Raises RuntimeError when it ended or said nothing in time."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if found := re.findall(r"^Open (\S+)$", self.output, re.MULTILINE):
                return str(found[-1])
            if self.process is not None and self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the panel did not start:\n{self.output}")

    def stop(self) -> int:
        """End the panel as Ctrl-C does, and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_chromium() -> str | None:
    return next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=find_chromium(), args=list(CHROMIUM_OPTIONS))
        try:
            yield started
        finally:
            started.close()


def open_context(started: Browser, mode: Mode, signed_in: BrowserContext | None = None) -> BrowserContext:
    """A window of this size; signed in when another window is."""
    return started.new_context(
        viewport={"width": mode.width, "height": mode.height},
        color_scheme="dark" if mode.dark else "light",
        storage_state=signed_in.storage_state() if signed_in else None,
    )


def wait_drawn(page: Page) -> None:
    page.wait_for_function(DRAWN, timeout=30_000)
    page.wait_for_timeout(1200)  # sparklines and charts are painted after the page says that it is done


def photograph(page: Page, target: Path) -> None:
    """The whole page on a picture, however long it is: Streamlit scrolls inside, so the window must grow."""
    page.wait_for_function(DRAWN, timeout=30_000)
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], int(height))})
    wait_drawn(page)
    target.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=target)
    page.set_viewport_size(size)


def prepare(page: Page, panel: RunningPanel, traffic_s: float, *, tested: bool) -> None:
    """A panel as after some minutes of use: the test has passed once, if it is `tested`; demo traffic has run."""
    page.goto(panel.link())
    page.get_by_text("Got it").click(timeout=30_000)
    wait_drawn(page)  # what is clicked while that is still on its way is lost
    if tested:
        run_test(page)
    page.get_by_role("link", name="Overview").first.click()
    page.locator(".st-key-demo button").click(timeout=30_000)
    page.wait_for_timeout(traffic_s * 1000)


def run_test(page: Page) -> None:
    page.get_by_role("link", name="Tests").first.click()
    for _ in range(TRIES):
        page.locator(".st-key-run-test button").click(timeout=30_000)
        page.locator(".st-key-cancel-test").wait_for(timeout=30_000)
        page.locator(".st-key-run-test button").wait_for(timeout=240_000)
        wait_drawn(page)
        if page.get_by_text("Passed at").count():
            break
    else:
        raise RuntimeError("the test did not pass on this machine; nothing to be proud of in a picture")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--traffic-s", type=float, default=120.0, help="how long the demo works before the pictures")
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=PAGES)
    options = parser.parse_args()
    # A browser beside everything else keeps a small machine busy: a late answer must not count as an outage here.
    patient = {"REDIS_LOCAL_TIMEOUT": "0.5", "REDIS_CLOUD_TIMEOUT": "0.9"}
    with tempfile.TemporaryDirectory() as folder, RunningPanel(Path(folder), patient) as panel, browser() as started:
        first = open_context(started, MODES[0])
        prepare(first.new_page(), panel, options.traffic_s, tested="tests" in options.pages)
        for mode in MODES:
            page = open_context(started, mode, first).new_page()
            for name in options.pages:
                page.goto(f"{panel.address}/{'' if name == 'overview' else name}")
                suffix = "" if mode.name == "light" else f"_{mode.name}"
                photograph(page, options.folder / f"{name}{suffix}.png")


if __name__ == "__main__":
    main()
