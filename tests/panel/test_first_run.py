"""From the first look to stores of one's own: addresses tried, `.env` shown and written, two stores made one pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from servers import Pool, Stores
from streamlit.testing.v1 import AppTest

from hybrid.ops.overview import Overview, StoreFacts
from panel import actions, queries
from panel.jobs import Job, JobCancelled
from panel.jobview import job_line
from panel.process import PanelProcess
from panel.setup import actions as setup
from panel.setup import view
from panel.setup.queries import COMPARE_JOB, PAIR_JOB, Origin, Paired, Preview, plan

OpenPage = Callable[..., AppTest]
SetWeather = Callable[[str], Overview | None]
TextOf = Callable[[AppTest], str]
PAGE = "admin/setup.py"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def two(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("REDIS_URL", "UPSTASH_REDIS_URL"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def button(at: AppTest, label: str) -> Any:
    return next(button for button in at.button if button.label == label)


def tried(at: AppTest, local: str, cloud: str) -> AppTest:
    at.text_input(key="setup-local").set_value(local)
    at.text_input(key="setup-cloud").set_value(cloud)
    button(at, "Try them").click().run()
    assert not at.exception
    return at


def test_newcomer_is_led_to_it(set_weather: SetWeather, open_page: OpenPage) -> None:
    set_weather("embedded")
    links = [link.proto.page for link in open_page().get("page_link")]
    assert any(link.endswith("setup") for link in links)


def test_wrong_address_leads_no_further(
    set_weather: SetWeather, open_page: OpenPage, folder: Path, text_of: TextOf
) -> None:
    set_weather("embedded")
    at = tried(open_page(PAGE), "redis://:hush@127.0.0.1:1", "")
    assert "connection refused: is the server running" in at.error[0].value
    assert "hush" not in text_of(at)
    assert not [found for found in at.button if found.key == "setup-write"]


def test_credentials_left_out_of_two_addresses_are_no_bold_type(
    set_weather: SetWeather, open_page: OpenPage, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`***` in one address and in the next: Markdown took it for a mark and hid it."""
    found = set_weather("healthy")
    assert found is not None and found.cloud is not None

    def masked(facts: StoreFacts) -> StoreFacts:
        return replace(facts, status=replace(facts.status, address="rediss://***@a.example:6379"))

    shown = replace(found, local=masked(found.local), cloud=masked(found.cloud))
    monkeypatch.setattr(queries, "overview", lambda: shown)
    text = text_of(open_page(PAGE))
    assert text.count(r"\*\*\*@") == 2
    assert "***@" not in text


def test_both_stores_are_tried_shown_and_written(
    two: Stores, set_weather: SetWeather, open_page: OpenPage, folder: Path, text_of: TextOf,
    panel_process: PanelProcess, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    set_weather("embedded")
    restarted: list[str] = []
    monkeypatch.setattr(PanelProcess, "restart", lambda self: restarted.append((folder / ".env").read_text()))
    (folder / ".env").write_text("# mine\nOTHER=1\n")
    at = tried(open_page(PAGE), two.local.url, two.cloud.url)
    text = text_of(at)
    assert text.count("Usable") == 2
    assert "expiry of hash fields" in text
    assert "Both stores are empty" in at.info[0].value
    (diff,) = [code.value for code in at.code]
    assert "REDIS_URL=***" in diff
    assert two.local.url not in diff
    at.button(key="setup-write").click().run()
    assert "Written to .env" in at.toast[0].value
    (written,) = restarted
    assert written.startswith("# mine\nOTHER=1\n")
    assert f"REDIS_URL={two.local.url}" in written
    assert "REDIS_WRITE_ACK=both" in written  # of the preset production
    assert panel_process.introduced


def test_what_is_connected_already_is_not_told_what_connecting_does(
    two: Stores, set_weather: SetWeather, open_page: OpenPage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just made one pair, both stores were said to be no pair yet, by the check of before."""
    weather = set_weather("embedded")
    assert weather is not None and weather.cloud is not None
    at = tried(open_page(PAGE), two.local.url, two.cloud.url)
    assert at.info
    local, cloud = (
        replace(facts, status=replace(facts.status, address=server.url))
        for facts, server in ((weather.local, two.local), (weather.cloud, two.cloud))
    )
    monkeypatch.setattr(queries, "overview", lambda: replace(weather, local=local, cloud=cloud, embedded=False))
    assert not at.run().info


def test_addresses_that_are_gone_from_the_form_are_not_taken_for_tried(
    two: Stores, set_weather: SetWeather, open_page: OpenPage, folder: Path
) -> None:
    """Who looks at another page and comes back finds the form empty: it offered to write that, without addresses."""
    set_weather("embedded")
    at = tried(open_page(PAGE), two.local.url, two.cloud.url)
    for page in ("watch/overview.py", PAGE):
        at.switch_page(str(ROOT / "pages" / page)).run()
        assert not at.exception
    assert at.text_input(key="setup-local").value == ""
    assert not [found for found in at.button if found.key == "setup-write"]


def test_environment_that_overrules_the_file_is_told_before_writing(
    two: Stores, set_weather: SetWeather, open_page: OpenPage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_weather("embedded")
    at = tried(open_page(PAGE), two.local.url, two.cloud.url)
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:6379")
    at.run()
    assert "`REDIS_URL`" in at.error[0].value
    assert at.button(key="setup-write").disabled


def test_viewer_connects_nothing(
    set_weather: SetWeather, open_page: OpenPage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_weather("embedded")
    assert button(open_page(PAGE, "viewer"), "Try them").disabled
    monkeypatch.setattr(st, "user", {"name": "v", "role": "viewer"})
    planned = plan("redis://localhost:6379", "", None)
    assert not isinstance(planned, str)
    for act in (lambda: setup.check({}, "", ""), lambda: setup.connect(planned), setup.compare):
        with pytest.raises(actions.NotAllowed):
            act()
    assert not (folder / ".env").exists()


def test_two_stores_with_data_are_compared_before_anybody_chooses(
    set_weather: SetWeather, open_page: OpenPage, folder: Path, text_of: TextOf, panel_process: PanelProcess,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    weather = set_weather("cloud down")
    assert weather is not None
    assert weather.cloud is not None
    status = replace(weather.cloud.status, reason="it holds data and was never paired with the other store")
    unpaired = replace(weather, cloud=replace(weather.cloud, status=status))
    monkeypatch.setattr(queries, "overview", lambda: unpaired)
    assert "Whose data counts?" in [head.value for head in open_page(PAGE).subheader]
    assert "cloud is left alone until they are one pair" in text_of(open_page())

    def work(job: Job) -> Preview:
        return Preview(False, 5, 2, 3, 4)

    panel_process.jobs.start(COMPARE_JOB, work).wait(5)
    at = open_page(PAGE)
    text = text_of(at)
    assert "DELETED there, because the local store does not have them: 4" in text
    assert "Nothing is deleted" in text
    at.button(key="pair-local").click().run()
    (dialog,) = at.get("dialog")
    assert dialog.button[0].disabled
    assert dialog.text_input[0].label == "Type `Local counts` to go on"


def test_a_store_that_returns_and_is_no_pair_yet_is_asked_about_at_once(
    set_weather: SetWeather, open_page: OpenPage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down, and left alone, is one state to the client; the open page shows something else then."""
    weather = set_weather("cloud down")
    assert weather is not None
    assert weather.cloud is not None
    status = replace(weather.cloud.status, reason="it holds data and was never paired with the other store")
    unpaired = replace(weather, cloud=replace(weather.cloud, status=status))
    known, draw_form = [weather], view.urls_form

    def returns() -> tuple[str, str]:
        known[0] = unpaired
        return draw_form()

    monkeypatch.setattr(queries, "overview", lambda: known[0])
    monkeypatch.setattr(view, "urls_form", returns)
    assert "Whose data counts?" in [head.value for head in open_page(PAGE).subheader]


def test_nobody_is_asked_whose_data_counts_while_the_store_that_serves_is_down(
    set_weather: SetWeather, open_page: OpenPage, folder: Path, text_of: TextOf
) -> None:
    set_weather("never paired, local down")
    at = open_page(PAGE)
    assert "Whose data counts?" not in [head.value for head in at.subheader]
    assert "the cloud store was never paired with it: nothing serves" in text_of(at)


def test_a_pairing_is_stopped_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(1, PAIR_JOB)
    setup.say(job, "comparing", 10, 20)
    assert job.progress.share == 0.5
    assert job_line(job).startswith("comparing · 10 of 20 keys · ")
    job.cancel.set()
    with pytest.raises(JobCancelled, match="can be begun again"):
        setup.say(job, "comparing", 20, 20)


def test_who_has_chosen_is_told_that_it_is_done_and_where_to_go_on(
    set_weather: SetWeather, open_page: OpenPage, folder: Path, panel_process: PanelProcess
) -> None:
    set_weather("healthy")
    assert not open_page(PAGE).success
    merged = Preview(False, 5, 2, 3, 4)
    panel_process.jobs.start(PAIR_JOB, lambda job: Paired(Origin.MERGE, True, 1.0, merged)).wait(5)
    at = open_page(PAGE)
    assert at.success[0].value == "Both stores are one pair now."
    assert [link.proto.query_string for link in at.get("page_link") if link.proto.page.endswith("sync")] == [
        "section=conflicts"
    ]


def test_start_that_failed_leads_to_the_addresses(panel_process: PanelProcess, open_page: OpenPage) -> None:
    panel_process.agent, panel_process.problem = None, "REDIS_URL is not a valid URL"
    at = open_page()
    assert any(link.proto.page.endswith("setup") for link in at.get("page_link"))
