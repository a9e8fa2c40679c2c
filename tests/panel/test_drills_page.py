"""Drills on the Tests page: play, follow, cancel, read, look back, schedule; and who may."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from hybrid.core.guarantees import Evidence, judged
from hybrid.errors import StoreUnavailable
from hybrid.ops.drills import DRILLS, GROUPS, GUARANTEES, Drill, DrillReport, Figures, Outcome, Step, StepState, Where
from hybrid.ops.overview import Overview
from panel import testview
from panel.drills import actions, queries, reportview
from panel.drills.historyview import MEASURES, trend_figure
from panel.drills.texts import DRILL_TEXTS, GUARANTEE_TEXTS
from panel.jobs import JobState
from panel.process import PanelProcess

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]
PAGE = "watch/tests.py"
STEP = Step("fault", "Fault", "Cloud hung: noticed", StepState.PASSED, "after 200 ms", 200.0)
FAILED = Evidence(commands=9, failed=("SET: no answer",), longest_stall_s=0.2)


def report(name: str = "cloud-hung", outcome: Outcome = Outcome.PASSED, evidence: Evidence = FAILED) -> DrillReport:
    figures = Figures(rto_s=0.21, rpo_writes=0, in_sync_s=None, commands=200, failed=1, longest_stall_ms=212.0)
    findings = judged(evidence, ("G1",))
    return DrillReport(name, Where.STORES, 100.0, 104.0, outcome, "G1: a reason.", figures, findings, (STEP,))


@pytest.fixture
def kept(set_weather: SetWeather, monkeypatch: pytest.MonkeyPatch) -> list[DrillReport]:
    """The history, in memory; and fair weather."""
    set_weather("healthy")
    found: list[DrillReport] = []
    monkeypatch.setattr(actions, "record_drill", lambda client, each: found.insert(0, each))
    monkeypatch.setattr(queries, "drill_history", lambda client: list(found))
    return found


def play_stub(monkeypatch: pytest.MonkeyPatch, *outcomes: Outcome, until_cancelled: bool = False) -> list[Any]:
    """Drills that end so at once; what was asked for is in the list."""
    asked: list[Any] = []

    def stub(drills: list[Drill], settings: Any, *, on_step: Any, on_report: Any, cancel: Any, **options: Any) -> Any:
        asked.append(([drill.name for drill in drills], options))
        reports = []
        for drill, outcome in zip(drills, outcomes, strict=False):
            on_step(drill, STEP)
            if until_cancelled:
                assert cancel.wait(10)
            reports.append(report(drill.name, outcome))
            on_report(reports[-1])
        return reports

    monkeypatch.setattr(actions, "run_drills", stub)
    return asked


def open_section(open_page: OpenPage, section: str, **options: Any) -> AppTest:
    at = open_page(PAGE, **options)
    return at.segmented_control(key="tests-section").set_value(section).run()


def test_a_played_drill_shows_figures_guarantees_steps_and_its_report(
    kept: list[DrillReport], monkeypatch: pytest.MonkeyPatch, open_page: OpenPage, text_of: TextOf,
    panel_process: PanelProcess,
) -> None:  # fmt: skip
    asked = play_stub(monkeypatch, Outcome.FAILED)
    at = open_section(open_page, "drills")
    at.button(key="play-cloud-hung").click().run()
    assert panel_process.jobs.of(queries.DRILL_JOB)[0].wait(10)
    at.run()
    text = text_of(at)
    assert not at.exception
    assert asked[0][0] == ["cloud-hung"] and asked[0][1]["author"] == "tester"
    assert "210 ms" in text or "0.2 s" in text
    assert "In sync after unknown" in text and "G1: a reason." in text and "after 200 ms" in text
    verdict = at.table[0].value["Verdict"][0]  # and why, beside it: on a phone a column for that would be a word wide
    assert verdict == ":red[:material/cancel: broken] · 1 of 9 commands failed: SET: no answer"
    assert "1 failed" in text and "0 passed" not in text
    assert len(at.get("download_button")) == 2
    assert [each.drill for each in kept] == ["cloud-hung"]
    at.sidebar.selectbox(key="lang").set_value("pt_BR").run()
    assert "· nos armazenamentos em uso ·" in text_of(at)


def test_what_a_drill_that_ran_no_command_measured_is_unknown() -> None:
    assert reportview._of(0, 0) == "unknown"
    assert reportview._of(1, 1200) == "1 / 1,200"


def test_where_no_store_is_lost_there_is_no_rpo() -> None:
    none_measured = replace(report("lost-reply"), figures=Figures())
    assert reportview.rpo_text(none_measured) == "–"
    assert reportview.rpo_text(replace(none_measured, drill="cloud-cut")) == "unknown"


def test_all_are_played_where_they_are_told_to(
    kept: list[DrillReport], monkeypatch: pytest.MonkeyPatch, open_page: OpenPage, panel_process: PanelProcess
) -> None:
    asked = play_stub(monkeypatch, *[Outcome.PASSED] * len(DRILLS))
    at = open_section(open_page, "drills")
    at.segmented_control(key="drill-where").set_value("servers").run()
    at.button(key="play-all").click().run()
    [job] = panel_process.jobs.of(queries.DRILL_JOB)
    assert job.wait(10) and job.summary == f"{len(DRILLS)} passed"
    assert asked[0][0] == list(DRILLS) and asked[0][1]["where"] is Where.SERVERS
    assert not at.run().exception
    assert len(kept) == len(DRILLS)


def test_drills_that_were_never_reached_are_counted(
    kept: list[DrillReport], monkeypatch: pytest.MonkeyPatch, open_page: OpenPage, text_of: TextOf,
    panel_process: PanelProcess,
) -> None:  # fmt: skip
    play_stub(monkeypatch, Outcome.PASSED, Outcome.CANCELLED)
    at = open_section(open_page, "drills")
    at.button(key="play-all").click().run()
    assert panel_process.jobs.of(queries.DRILL_JOB)[0].wait(10)
    at.run()
    assert "1 drill played" in [head.value for head in at.subheader]
    assert f"{len(DRILLS) - 1} not played" in text_of(at)


def test_a_running_drill_is_seen_in_another_tab_and_can_be_cancelled(
    kept: list[DrillReport], monkeypatch: pytest.MonkeyPatch, open_page: OpenPage, panel_process: PanelProcess
) -> None:
    play_stub(monkeypatch, Outcome.CANCELLED, until_cancelled=True)
    open_section(open_page, "drills").button(key="play-local-hung").click().run()
    other = open_section(open_page, "drills")
    assert "Local hung" in other.get("progress")[0].proto.text
    assert not any(button.key.startswith("play-") for button in other.button if button.key)
    other.button(key="cancel-drills").click().run()
    [job] = panel_process.jobs.of(queries.DRILL_JOB)
    assert job.wait(10) and job.state is JobState.CANCELLED
    assert not other.run().exception
    assert kept == []  # what was cancelled says nothing about the stores


def test_history_tells_runs_of_all_processes_and_shows_one_again(
    kept: list[DrillReport], open_page: OpenPage, text_of: TextOf
) -> None:
    kept += [report("no-longer-known"), report("cloud-hung", Outcome.INCONCLUSIVE)]
    at = open_section(open_page, "history")
    assert not at.exception
    frame = at.dataframe[0].value
    assert list(frame["Drill"]) == ["no-longer-known", "Cloud hung"]
    assert list(frame["Outcome"]) == ["passed", "too busy to judge"]
    assert len(at.get("plotly_chart")) == 1
    at.session_state["drill-runs"] = {"selection": {"rows": [], "columns": [], "cells": [[1, "Key"]]}}
    assert "after 200 ms" in text_of(at.run())


def test_trend_has_a_line_per_drill_oldest_first_with_gaps() -> None:
    runs = [report(outcome=Outcome.FAILED), report("local-cut"), report()]
    figure = trend_figure(runs, "sync", "UTC")
    assert [trace["name"] for trace in figure["data"]] == ["Cloud hung", "Local cut"]
    assert figure["data"][0]["y"] == [None, None]
    assert figure["data"][0]["marker"]["symbol"] == ["circle", "x"]


def test_no_two_drills_are_drawn_alike_and_all_in_colours_of_the_theme() -> None:
    figure = trend_figure([report(name) for name in DRILLS], "rto", "UTC")
    lines = [(trace["line"]["color"], trace["line"]["dash"]) for trace in figure["data"]]
    assert len(set(lines)) == len(DRILLS)
    theme = tomllib.loads((Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text())["theme"]
    for mode in ("light", "dark"):
        assert max(int(color[1:]) for color, _dash in lines) <= len(theme[mode]["chartCategoricalColors"])


def test_the_trend_is_counted_in_its_unit_and_whole_numbers() -> None:
    axes = {name: trend_figure([report()], name, "UTC")["layout"]["yaxis"] for name in MEASURES}
    assert {name: axis["ticksuffix"] for name, axis in axes.items()} == {
        "rto": " s", "sync": " s", "stall": " ms", "rpo": "",
    }  # fmt: skip
    assert {axis["tickformat"] for axis in axes.values()} == {",~r"}


def test_a_lone_drill_stands_in_the_middle_of_an_hour() -> None:
    lone = report()
    begin, end = (datetime.fromisoformat(at) for at in trend_figure([lone], "sync", "UTC")["layout"]["xaxis"]["range"])
    assert (end - begin).total_seconds() == 3600
    assert begin < datetime.fromtimestamp(lone.started_at_s, UTC).replace(tzinfo=None) < end


def test_history_that_cannot_be_read_is_unknown_and_an_empty_one_invites(
    kept: list[DrillReport], monkeypatch: pytest.MonkeyPatch, open_page: OpenPage, panel_process: PanelProcess
) -> None:
    at = open_section(open_page, "history")
    assert "No drill was played yet" in at.info[0].value

    def dead(client: Any) -> Any:
        raise StoreUnavailable("the history of drills is unknown: no store can be asked")

    monkeypatch.setattr(queries, "drill_history", dead)
    panel_process.reads.forget(queries.HISTORY)
    at.run()
    assert not at.exception
    assert "no store can be asked" in at.warning[0].value


def test_what_the_local_store_keeps_is_unknown_while_it_is_down(
    kept: list[DrillReport], open_page: OpenPage, set_weather: SetWeather, panel_process: PanelProcess
) -> None:
    """The cloud store was asked, knew of nothing, and that was told as if no drill had ever been played."""
    set_weather("local down")
    at = open_section(open_page, "history")
    assert not at.info
    assert any("only what was played since is known" in warning.value for warning in at.warning)
    kept.append(report())
    panel_process.reads.forget(queries.HISTORY)
    at = open_section(open_page, "history")
    assert len(at.dataframe[0].value) == 1
    assert any("only what was played since is known" in warning.value for warning in at.warning)
    set_weather("healthy")
    at = open_section(open_page, "history")
    assert not at.warning


def test_schedule_is_explained_while_typed_and_applied_for_all_agents(
    kept: list[DrillReport], open_page: OpenPage, text_of: TextOf, panel_process: PanelProcess
) -> None:
    at = open_section(open_page, "schedule")
    field = at.text_input(key="drill-schedule-0")
    field.set_value("every Moonday 09:00").run()
    assert "no day" in at.warning[0].value and at.button(key="apply-schedule").disabled
    at.text_input(key="drill-schedule-0").set_value("cloud-hung every Monday 09:00").run()
    assert "Next:" in text_of(at) and "09:00" in text_of(at)
    at.button(key="apply-schedule").click().run()
    assert not at.exception
    assert panel_process.agent is not None
    client = panel_process.agent.client
    assert client.settings.drill_schedule == "cloud-hung every Monday 09:00"
    at.button(key="end-schedule").click().run()
    assert client.settings.drill_schedule is None


def test_an_unknown_drill_is_not_scheduled(kept: list[DrillReport], open_page: OpenPage) -> None:
    at = open_section(open_page, "schedule")
    at.text_input(key="drill-schedule-0").set_value("cloud-hang every day 09:00").run()
    at.button(key="apply-schedule").click().run()
    assert "no drill 'cloud-hang'" in at.toast[0].value


def test_a_viewer_looks_and_changes_nothing(kept: list[DrillReport], open_page: OpenPage) -> None:
    at = open_section(open_page, "drills", role="viewer")
    buttons = [button for button in at.button if button.key and button.key.startswith("play-")]
    assert len(buttons) == len(DRILLS) + 1 and all(button.disabled for button in buttons)
    assert open_section(open_page, "schedule", role="viewer").text_input(key="drill-schedule-0").disabled


@pytest.mark.parametrize("section", ["drills", "history", "schedule"])
def test_each_section_stands_the_worst_weathers(
    section: str, kept: list[DrillReport], set_weather: SetWeather, open_page: OpenPage, panel_process: PanelProcess
) -> None:
    for weather in ("both down", "no cloud"):
        set_weather(weather)
        assert not open_section(open_page, section).exception
    panel_process.agent = None
    set_weather("starting")
    assert not open_section(open_page, section).exception


def test_what_the_library_says_is_marked_for_translation() -> None:
    assert tuple(text for drill in DRILLS.values() for text in (drill.title, drill.about)) == DRILL_TEXTS
    assert tuple(GUARANTEES.values()) == GUARANTEE_TEXTS
    assert tuple(testview.GROUPS) == GROUPS
