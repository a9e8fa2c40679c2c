"""The test page around a run: live steps, cancel, verdict, downloads, history."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from hybrid.ops.drills import LatencyRow, Report, Step, StepState
from hybrid.ops.overview import Overview
from panel import actions
from panel.jobs import JobState
from panel.process import PanelProcess
from panel.queries import TEST_JOB
from panel.testview import SECTION

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]
PAGE = "watch/tests.py"
PASSED = Step("up", "Status", "Local store answers", StepState.PASSED, "PONG in 1 ms", 1.0)
FAILED = Step("equal", "Recovery", "Stores are equal", StepState.FAILED, "2 keys differ", 12.0)
ROW = LatencyRow("GET", "client", 500, 0.2, 0.4, 1.1)


def report(*steps: Step, cancelled: bool = False) -> Report:
    return Report(100.0, 104.0, steps, (ROW,), {"local refused": 104.2}, {"local refused": 1.4}, cancelled)


@pytest.fixture
def stub_test(set_weather: SetWeather, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Report]], None]:
    set_weather("healthy")
    return lambda run: monkeypatch.setattr(actions, "run_test", run)


def press_and_wait(at: AppTest, process: PanelProcess) -> AppTest:
    at.button(key="run-test").click().run()
    assert process.jobs.of(TEST_JOB)[0].wait(10)
    return at.run()


def test_passed_run(stub_test: Any, open_page: OpenPage, text_of: TextOf, panel_process: PanelProcess) -> None:
    def run(settings: Any, *, on_step: Callable[[Step], None], cancel: threading.Event) -> Report:
        on_step(PASSED)
        return report(PASSED)

    stub_test(run)
    at = press_and_wait(open_page(PAGE), panel_process)
    assert not at.exception
    assert at.success[0].value.startswith("Passed")
    text = text_of(at)
    assert "PONG in 1 ms" in text
    assert "Local refused 104 ms" in text
    assert "1.4 s" in text
    assert ":green[:material/check_circle: passed]" in text
    assert len(at.get("download_button")) == 2


def test_failed_run_says_why(stub_test: Any, open_page: OpenPage, panel_process: PanelProcess) -> None:
    def run(settings: Any, *, on_step: Callable[[Step], None], cancel: threading.Event) -> Report:
        on_step(FAILED)
        return report(PASSED, FAILED, FAILED)

    stub_test(run)
    at = press_and_wait(open_page(PAGE), panel_process)
    assert at.error[0].value.startswith("2 steps failed")
    assert at.error[0].value.endswith("Stores are equal: 2 keys differ. The other one is marked below.")


def test_run_survives_a_new_session_and_can_be_cancelled(
    stub_test: Any, open_page: OpenPage, text_of: TextOf, panel_process: PanelProcess
) -> None:
    def run(settings: Any, *, on_step: Callable[[Step], None], cancel: threading.Event) -> Report:
        on_step(Step("up", "Status", "Local store answers", StepState.RUNNING, "", None))
        assert cancel.wait(10)
        return report(cancelled=True)

    stub_test(run)
    open_page(PAGE).button(key="run-test").click().run()
    assert open_page(PAGE, role="viewer").button(key="cancel-test").disabled
    other = open_page(PAGE)
    assert not other.exception
    assert "Local store answers" in other.get("progress")[0].proto.text
    other.button(key="cancel-test").click().run()
    job = panel_process.jobs.of(TEST_JOB)[0]
    assert job.wait(10)
    assert job.state is JobState.CANCELLED
    assert "Cancelled after" in text_of(other.run())
    assert len(panel_process.jobs.of(TEST_JOB)) == 1


def test_test_that_breaks_off_is_no_traceback(stub_test: Any, open_page: OpenPage, panel_process: PanelProcess) -> None:
    def run(settings: Any, **_: Any) -> Report:
        raise RuntimeError("no port is free")

    stub_test(run)
    at = press_and_wait(open_page(PAGE), panel_process)
    assert not at.exception
    assert "no port is free" in at.error[0].value


def test_a_test_that_is_started_in_another_section_is_shown_and_its_end_is_followed_there(
    stub_test: Any, open_page: OpenPage, panel_process: PanelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, ticking = threading.Event(), set[str]()
    fragment = st.fragment

    def noted(draw: Any = None, **options: Any) -> Any:
        ticking.add(str(options.get("key"))) if options.get("run_every") else None
        return fragment(draw, **options)

    def run(settings: Any, **_: Any) -> Report:
        assert over.wait(10)
        return report(PASSED)

    stub_test(run)
    monkeypatch.setattr(st, "fragment", noted)
    at = open_page(PAGE)
    at.segmented_control(key=SECTION).set_value("drills").run()
    at.button(key="run-test").click().run()
    assert at.segmented_control(key=SECTION).value == "test"
    ticking.clear()
    at.segmented_control(key=SECTION).set_value("drills").run()
    assert any(TEST_JOB in key for key in ticking)
    over.set()
    assert panel_process.jobs.of(TEST_JOB)[0].wait(10)
    assert at.run().button(key="run-test")
