"""The panel in a real browser, on two stores of a million keys each, the cloud one behind the link: pages, filters, big
values, and what an open tab costs the server.

Times are taken in the browser: from the click or key press until the frame in which the answer stands on the screen.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

from playwright.sync_api import Browser, Page

from benchmarks.effort import QUICK, Effort
from benchmarks.keys import fill
from benchmarks.rig import Rig
from benchmarks.table import Row
from scripts.screenshots import MODES, RunningPanel, browser, open_context

__all__ = ["panel_rows"]

PATIENT_MS: Final = 60_000
LOOKED_MS: Final = 12_000
"""How long somebody looks at the first page of a new browser, which loads ahead meanwhile what other pages need."""
MENU: Final = ("Overview", "Diff", "Sync", "Tests", "Metrics", "Insights", "Console", "Alerts", "Settings")
WATCH: Final = """([source]) => {
  const there = new Function('return (' + source + ')');
  let began = null;
  const begin = () => { began ??= performance.now(); };
  for (const kind of ['pointerdown', 'keydown']) document.addEventListener(kind, begin, {capture: true, once: true});
  window.tookMs = null;
  const look = () => {
    if (began !== null && there()) requestAnimationFrame(() => { window.tookMs = performance.now() - began; });
    else requestAnimationFrame(look);
  };
  look();
}"""
NOTE_PAINTED: Final = """
window.painted = new Set();
window.before = new Set();
const paint = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...where) {
  window.painted.add(text);
  return paint.call(this, text, ...where);
};
"""
"""Tables are painted on a canvas. Their words come into the document, for screen readers, 0.2 s later only."""
FORGET_PAINTED: Final = "window.before = window.painted; window.painted = new Set()"
KEY: Final = "(?:key|user|big|needle):"
SETTLED: Final = "!document.querySelector('[data-stale=\"true\"], [data-testid=stSkeleton]')"
RUNS_OUT: Final = "document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"


def panel_rows(effort: Effort) -> Iterator[Row]:
    quick = effort is QUICK
    keys, rounds, tabs = (2_000, 1, 2) if quick else (1_000_000, 7, 10)
    with Rig() as rig, tempfile.TemporaryDirectory() as folder:
        rig.hybrid(sync_enabled=False).close()  # the stores know each other; what follows is equal on both
        for url in (rig.local.url, rig.cloud.url):
            fill(rig.plain(url), keys)
        with RunningPanel(Path(folder), environment(rig)) as panel, browser() as started:
            yield from Measured(started, panel, keys, rounds, tabs, judged=not quick).rows()


def environment(rig: Rig) -> dict[str, str]:
    timeouts = {"REDIS_LOCAL_TIMEOUT": "2", "REDIS_CLOUD_TIMEOUT": "2"}
    return {"REDIS_URL": rig.local.url, "UPSTASH_REDIS_URL": rig.link.url, "REDIS_SYNC_ENABLED": "false", **timeouts}


class Measured:
    """One signed-in browser that walks through the panel. `judged`: the counts are those that the targets speak of."""

    def __init__(
        self, started: Browser, panel: RunningPanel, keys: int, rounds: int, tabs: int, *, judged: bool
    ) -> None:
        self.panel, self.keys, self.rounds, self.tabs, self.judged = panel, keys, rounds, tabs, judged
        self.context = open_context(started, MODES[0])
        self.context.add_init_script(NOTE_PAINTED)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENT_MS)

    def rows(self) -> Iterator[Row]:
        self.page.goto(self.panel.link())
        self.page.get_by_text("Both stores answer").or_(self.page.get_by_text("both stores answer")).first.wait_for()
        self.page.wait_for_timeout(LOOKED_MS)
        yield from self.pages()
        yield from self.listing()
        yield from self.values()
        yield self.memory()

    def took_ms(self, page: Page, there: str, act: Callable[[], object]) -> float:
        """From the first click or key press of `act` until `there`, an expression in the page, holds."""
        page.evaluate(FORGET_PAINTED)
        page.evaluate(WATCH, [there])
        act()
        page.wait_for_function("window.tookMs !== null", timeout=PATIENT_MS)
        took = float(page.evaluate("window.tookMs"))
        page.wait_for_function(f"{SETTLED} && {RUNS_OUT}", timeout=PATIENT_MS)
        page.wait_for_timeout(600)  # what the page does afterwards must not count for what is measured next
        return took

    def row(self, what: str, times: list[float], target: float | None, first: float | None = None) -> Row:
        """`first`: what the very first one of a new browser took."""
        told = [f"slowest {max(times):,.0f} ms", *([f"the very first {first:,.0f} ms"] if first is not None else [])]
        place = f"{self.keys:,} keys on each side"
        return Row(what, place, median(times), "ms", ", ".join(told), target if self.judged else None)

    def repeated(self, what: str, target: float | None, once: Callable[[], float]) -> Row:
        return self.row(what, [once() for _ in range(self.rounds)], target)

    def open(self, name: str) -> Callable[[], None]:
        return self.page.get_by_role("link", name=name).first.click

    # -- pages

    def pages(self) -> Iterator[Row]:
        def to_keys() -> float:
            self.took_ms(self.page, heading("Overview"), self.open("Overview"))
            self.page.evaluate("window.painted.clear()")  # the same keys are to be painted again
            return self.took_ms(self.page, f"{heading('Keys')} && {painted(KEY)} && {SETTLED}", self.open("Keys"))

        first = to_keys()
        yield self.row("first page of keys, from the menu", [to_keys() for _ in range(self.rounds)], 1000, first)
        for name in MENU:
            first, *later = [self.visited(name) for _ in range(1 + min(3, self.rounds))]
            yield self.row(f"page {name}, from the menu", later, 1000, first)

    def visited(self, name: str) -> float:
        took = self.took_ms(self.page, f"{heading(name)} && {SETTLED} && {RUNS_OUT}", self.open(name))
        self.took_ms(self.page, heading("Keys"), self.open("Keys"))
        return took

    # -- the list of keys

    def listing(self) -> Iterator[Row]:
        self.page.goto(f"{self.panel.address}/keys")
        self.page.wait_for_function(f"{painted(KEY)} && {RUNS_OUT}")
        self.page.wait_for_timeout(1000)
        yield self.repeated("next page of keys", 300, self.turn)
        patterns = iter(f"user:{number}*" for number in range(11, 100))
        yield self.repeated("a pattern that has been typed", 300, lambda: self.filter(next(patterns)))
        names = iter(f"key:{number}" for number in range(2, 1000, 2))
        yield self.repeated("a key by its name", 300, lambda: self.filter(next(names)))

    def turn(self) -> float:
        return self.took_ms(self.page, painted(KEY), self.page.locator(".st-key-keys-next button").click)

    def filter(self, pattern: str) -> float:
        field = self.page.get_by_role("searchbox", name="Search")
        field.fill(pattern)
        return self.took_ms(self.page, painted(pattern.rstrip("*")), lambda: field.press("Enter"))

    # -- big values

    def values(self) -> Iterator[Row]:
        member_there = f"document.querySelector('.st-key-keys-detail canvas') && {painted('[0-9]+$')}"
        part_there = "document.querySelectorAll('.st-key-keys-detail [data-testid=stCode]').length > 1"
        yield self.repeated(f"a set of {self.keys:,} members opens", 1000, lambda: self.opened("big:set", member_there))
        size = f"{100 * self.keys / 1e6:,.0f} MB"
        yield self.repeated(f"a string of {size} opens", 1000, lambda: self.opened("big:text", part_there))

    def opened(self, key: str, there: str) -> float:
        self.page.goto(f"{self.panel.address}/keys?pattern={key}")
        self.page.wait_for_function(f"{painted(key + '$')} && {SETTLED} && {RUNS_OUT}", timeout=PATIENT_MS)
        self.page.wait_for_timeout(500)
        box = self.page.locator("[data-testid=stDataFrame]").first.bounding_box()
        assert box is not None
        return self.took_ms(
            self.page, f"{there} && {SETTLED}", lambda: self.page.mouse.click(box["x"] + 90, box["y"] + 35 + 17)
        )

    # -- memory

    def memory(self) -> Row:
        """What the server grows by when further tabs look at the list of keys."""
        before = self.resident_bytes()
        for _ in range(self.tabs):
            page = self.context.new_page()
            page.goto(f"{self.panel.address}/keys")
            page.wait_for_function(f"{painted(KEY)} && {RUNS_OUT}", timeout=PATIENT_MS)
        grown = max(0, self.resident_bytes() - before) / self.tabs / 1e3
        target = 10_000 if self.judged else None
        place = f"{self.tabs} tabs on the list of keys"
        return Row("server memory for an open tab", place, grown, " KB", target=target)

    def resident_bytes(self) -> int:
        assert self.panel.process is not None
        pages = int(Path(f"/proc/{self.panel.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def painted(start: str) -> str:
    """Whether a table shows a text that begins so, and did not before what was done last."""
    return f"[...window.painted].some(text => /^{start}/.test(text) && !window.before.has(text))"


def heading(name: str) -> str:
    return f"[...document.querySelectorAll('h1')].some(found => found.innerText.trim() === '{name}')"
