"""Health probes on the panel's port while a browser walks from page to page and the cloud store hangs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.effort import Effort
from benchmarks.metrics import RATE, asked
from benchmarks.panel import MENU, PATIENT_MS, RUNS_OUT, environment, heading
from benchmarks.rig import Rig
from benchmarks.table import Row
from scripts.screenshots import MODES, RunningPanel, browser, open_context

__all__ = ["probe_rows"]

LIMIT_S = 0.05


def probe_rows(effort: Effort) -> Iterator[Row]:
    with Rig() as rig, tempfile.TemporaryDirectory() as folder:
        rig.hybrid(sync_enabled=False).close()
        with RunningPanel(Path(folder), environment(rig)) as panel, browser() as started:
            page = open_context(started, MODES[0]).new_page()
            page.set_default_timeout(PATIENT_MS)
            page.goto(panel.link())
            page.wait_for_function(heading("Overview"))
            rig.link.apply(hang=True)
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # what steers the browser would delay it
                asking: Future[list[float]] = pool.submit(asked, panel.address, 2 * effort.load_s)
                while not asking.done():
                    for name in MENU:
                        page.get_by_role("link", name=name).first.click()
                        page.wait_for_function(f"{heading(name)} && {RUNS_OUT}")
            rig.link.heal()
    took_s = asking.result()
    late = sum(each > LIMIT_S for each in took_s)
    middle = f"median {took_s[len(took_s) // 2] * 1000:.1f} ms of {len(took_s)}, {late} over {LIMIT_S * 1000:.0f} ms"
    what = f"health on the panel's port, {RATE} / s, pages walked through, cloud store hung: longest"
    yield Row(what, middle, took_s[-1] * 1000, "ms", target=LIMIT_S * 1000)
