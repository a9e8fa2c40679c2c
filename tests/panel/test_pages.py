"""Every page in every weather: it is drawn, says the truth, and shows no secret."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from hybrid.core.divergence import Divergence
from hybrid.core.drift import DiffResult, Ending, Scope
from hybrid.core.live import AuditEntry
from hybrid.errors import AllStoresDown
from hybrid.ops.overview import Overview
from hybrid.settings import Ack, ReadPreference
from hybrid.types import Source, Store
from panel import actions, backlog, queries
from panel.access import Access, AccessConfig
from panel.nav import FOLDER, PAGES
from panel.process import PanelProcess
from panel.reads import Known
from panel.repair import agreement
from panel.repair import queries as repair_queries
from panel.verdict import reading_store, roles, verdict, writing_store

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]
SETTINGS_PAGE = "admin/settings.py"
NOW = time.time()


@pytest.mark.parametrize("name", list(PAGES))
def test_page_stands_every_weather(weather: str, name: str, open_page: OpenPage, text_of: TextOf) -> None:
    at = open_page(PAGES[name].path)
    assert not at.exception
    assert at.title[0].value == PAGES[name].title
    assert "not-for-the-screen" not in text_of(at)


@pytest.mark.parametrize(
    ("weather", "answer"),
    [
        ("healthy", "Everything is fine"),
        ("backlog", "12 entries on the way"),
        ("lag unknown", "not known now"),
        ("nobody ships", "Nobody ships the log: 3 entries wait, the oldest for 1 min by now. Start an agent"),
        ("local down", "the cloud store carries on"),
        ("cloud down", "40 entries wait to follow"),
        ("both down", "No store answers"),
        ("catching up", "catching up; until then the local store serves"),
        ("wiped", "lost its data"),
        ("filled first", "The cloud store is new: it is filled from the local store"),
        ("wiped, other down", "No store can serve"),
        ("never paired", "was never paired with the local store: it is left alone"),
        ("never paired, local down", "was never paired with it: nothing serves, and writes are refused"),
        ("unknown", "is unknown since"),
        ("no cloud", "no cloud store is configured"),
        ("no cloud, down", "No store answers"),
        ("local only", "writes stay local"),
        ("cloud refuses", "takes nothing of what is shipped to it (command not allowed when used memory"),
        ("cloud refuses", "free space or raise the limit. It catches up by itself then."),
        ("local full", "The local store is full: it uses 3.15 MB of 3.15 MB, and drops nothing"),
        ("wrong password", "put the right one into UPSTASH_REDIS_URL in .env"),
        ("loading", "It was started, and loads its data"),
        ("conflicts", "2 keys had another value on each store"),
        ("starting", "starting"),
    ],
    indirect=["weather"],
)
def test_overview_answers_whether_we_are_fine(weather: str, answer: str, open_page: OpenPage, text_of: TextOf) -> None:
    assert answer in text_of(open_page())


def test_while_writes_stay_local_the_cloud_store_serves_nobody(weathers: Mapping[str, Overview | None]) -> None:
    apart, lost, without = weathers["local only"], weathers["local down"], weathers["cloud down"]
    assert apart is not None and lost is not None and without is not None
    for preference in ReadPreference:
        preferring = replace(apart, settings=replace(apart.settings, read_preference=preference))
        assert reading_store(preferring) is Store.LOCAL
        assert roles(preferring)[Store.CLOUD] == ("stands by",)
    assert backlog.note(apart) == "writes stay local"
    strangers = weathers["never paired"]
    assert strangers is not None
    assert backlog.note(strangers) == "nothing is sent: no pair yet"
    local_lost, cloud_lost = replace(apart, local=lost.local), replace(apart, cloud=without.cloud)
    assert reading_store(local_lost) is None
    assert "no other one serves" in verdict(local_lost).sentence
    assert "not in use" in verdict(cloud_lost).sentence


def test_a_store_that_nobody_ships_to_gets_no_writes(weathers: Mapping[str, Overview | None]) -> None:
    healthy, unshipped = weathers["healthy"], weathers["nobody ships"]
    assert healthy is not None and unshipped is not None
    assert roles(healthy)[Store.CLOUD] == ("gets every write",)
    assert roles(unshipped)[Store.CLOUD] == ("gets no writes",)


@pytest.mark.parametrize("page", [PAGES["overview"].path, SETTINGS_PAGE])
def test_where_writes_go_is_told_to_the_end(
    page: str, open_page: OpenPage, set_weather: SetWeather, text_of: TextOf
) -> None:
    set_weather("healthy")
    assert "Writes go to local, cloud follows" in text_of(open_page(page))
    set_weather("nobody ships")
    assert "Writes go to local, nobody ships them to cloud" in text_of(open_page(page))
    set_weather("cloud down, nobody ships")  # who could not, either, while it is down
    assert "Writes go to local, cloud follows when it is back" in text_of(open_page(page))


def test_an_operator_of_a_panel_that_is_read_only_is_told_why_he_may_only_look(
    set_weather: SetWeather, panel_process: PanelProcess, open_page: OpenPage, text_of: TextOf
) -> None:
    set_weather("healthy")
    panel_process.access = Access(AccessConfig("127.0.0.1", read_only=True))
    assert "(viewer, while the panel is read-only)" in text_of(open_page(SETTINGS_PAGE))


def test_the_other_store_takes_the_next_write_before_anybody_wrote(weathers: Mapping[str, Overview | None]) -> None:
    lost = weathers["local down"]
    assert lost is not None
    unmoved = replace(lost, status=replace(lost.status, authority=Store.LOCAL))
    assert writing_store(unmoved) is Store.CLOUD
    assert "takes writes" in roles(unmoved)[Store.CLOUD]
    alone = replace(unmoved, settings=replace(unmoved.settings, write_both=False))
    assert writing_store(alone) is None


CONFIRMED = "Nothing that was confirmed is lost."
COMES_BACK = "What had not reached it yet comes back with the {} store."
RESTARTED = "The {} store was started again meanwhile: it has what its persistence kept."


@pytest.mark.parametrize("down", list(Store))
@pytest.mark.parametrize(
    ("ack", "authority", "survivor", "said"),
    [
        (Ack.BOTH, "survivor", {}, CONFIRMED),
        (Ack.BOTH, "down", {}, CONFIRMED),
        (Ack.BOTH, "survivor", {"uptime_s": 30.0}, RESTARTED),
        (Ack.LOCAL, "down", {}, COMES_BACK),
        (Ack.BOTH, "survivor", {"observed_at_s": NOW - 900, "uptime_s": 7200.0}, ""),  # not read since
        (Ack.BOTH, "survivor", {"uptime_s": None}, ""),
    ],
)
def test_no_more_is_said_of_what_is_lost_than_is_known(
    down: Store, ack: Ack, authority: str, survivor: dict[str, Any], said: str, weathers: Mapping[str, Overview | None]
) -> None:
    lost = weathers[f"{down} down"]
    assert lost is not None
    leads = down if authority == "down" else down.other
    sides = {down.other.value: replace(lost.local if down is Store.CLOUD else lost.cloud, **survivor)}
    now = replace(lost, status=replace(lost.status, authority=leads), settings=replace(lost.settings, ack=ack), **sides)
    sentence = verdict(now).sentence
    assert sentence.endswith(said.format(down if said == COMES_BACK else down.other))
    assert sentence.count(". ") == (1 if said else 0)


def test_the_local_store_has_all_that_it_confirmed_alone(weathers: Mapping[str, Overview | None]) -> None:
    """Confirmed when local has it: it lacks nothing as long as it led, and may once the cloud store did."""
    lost = weathers["cloud down"]
    assert lost is not None
    led = replace(lost, settings=replace(lost.settings, ack=Ack.LOCAL))
    assert CONFIRMED in verdict(led).sentence
    other = weathers["local down"]
    assert other is not None
    taken_over = replace(other, settings=replace(other.settings, ack=Ack.LOCAL))
    assert COMES_BACK.format("local") in verdict(taken_over).sentence


def test_an_empty_store_that_was_never_seen_full_has_not_lost_anything(
    set_weather: SetWeather, open_page: OpenPage, text_of: TextOf
) -> None:
    set_weather("filled first")
    said = text_of(open_page())
    assert "Being filled" in said
    assert "lost its data" not in said.lower()


def test_a_store_that_is_filled_again_has_not_got_everything(weathers: Mapping[str, Overview | None]) -> None:
    wiped = weathers["wiped"]
    assert wiped is not None
    half = replace(wiped, local=replace(wiped.local, keys=(wiped.cloud.keys or 0) // 2 if wiped.cloud else None))
    assert [backlog.note(snapshot) for snapshot in (wiped, half)] == ["being copied", "being copied: 50% of the keys"]


@pytest.mark.parametrize(
    ("measured", "share", "note"),
    [
        (Divergence(sampled=1000, checked_at_s=NOW), "100%", "1,000 looked at · "),
        (Divergence(sampled=1000, differed=20, checked_at_s=NOW), "98.00%", "none differs any more · "),
        (Divergence(sampled=1000, differed=2, open_differences=2, checked_at_s=NOW), "99.80%", "2 keys differ · "),
        (Divergence(sampled=10**6, differed=1, open_differences=1, checked_at_s=NOW), "99.99%", "1 key differs · "),
        (None, ":gray[unknown]", "not compared yet"),
    ],
)
def test_overview_says_how_equal_the_stores_are(
    measured: Divergence | None, share: str, note: str, set_weather: SetWeather, open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(repair_queries, "divergence", lambda **_: Known(measured, NOW))
    set_weather("healthy")
    shown = next(metric for metric in open_page().metric if metric.label == "Equal on both stores")
    assert shown.value == share
    assert note in shown.proto.delta_description


def compared(ended_at_s: float, pattern: bytes = b"*", ending: Ending = Ending.FINISHED) -> DiffResult:
    return DiffResult("d", Scope(pattern), "", ending, ended_at_s - 5, ended_at_s, 2457, 0, different=13)


def test_a_later_comparison_of_everything_tells_how_equal_the_stores_are() -> None:
    measured = Divergence(sampled=1000, checked_at_s=NOW)
    found = agreement.found_last(measured, [compared(NOW + 9, b"a*"), compared(NOW + 5), compared(NOW + 1)])
    assert found is not None
    assert (found.sampled, found.open_differences, found.checked_at_s) == (2457, 13, NOW + 5)
    assert agreement.found_last(measured, [replace(compared(NOW - 1), different=0)]) is measured
    assert agreement.found_last(None, [compared(NOW, ending=Ending.CANCELLED)]) is None


def test_what_differed_counts_until_all_keys_were_looked_at_since() -> None:
    """A turn of the periodic sync that looked at a few keys, or at none, had the page say 100%."""
    turn = Divergence(sampled=200, sampled_before=1000, checked_at_s=NOW, began_s=NOW - 10, began_before_s=NOW - 900)
    found = agreement.found_last(turn, [compared(NOW - 300)])
    assert found is not None and (found.open_differences, found.checked_at_s) == (13, NOW - 300)
    around = replace(turn, began_before_s=NOW - 290)
    assert agreement.found_last(around, [compared(NOW - 300)]) is around


@pytest.mark.parametrize("name", ["keys", "diff", "sync", "tests", "insights", "console"])
def test_a_store_that_answers_and_refuses_is_said_to_and_the_remedy_with_it(
    name: str, set_weather: SetWeather, open_page: OpenPage, text_of: TextOf
) -> None:
    """Each of these pages said that the store was catching up, and that there was nothing to do."""
    set_weather("cloud refuses")
    text = text_of(open_page(PAGES[name].path))
    assert "takes nothing of what is shipped to it" in text and "behind since" in text
    assert "free space or raise the limit" in text and "Nothing to do" not in text


def test_a_full_store_is_said_to_be_while_it_answers(
    set_weather: SetWeather, open_page: OpenPage, text_of: TextOf, weathers: Mapping[str, Overview | None]
) -> None:
    """Writes fail there, and everything was said to be fine."""
    set_weather("local full")
    for name in ("keys", "insights", "console"):
        assert "Writes that need memory are refused" in text_of(open_page(PAGES[name].path))
    full = weathers["local full"]
    assert full is not None and full.cloud is not None
    for policy, used, expected in (
        ("allkeys-lru", 3_300_000, False),
        ("noeviction", 3_000_000, False),
        (None, 3_300_000, None),
        ("noeviction", None, None),
    ):
        assert replace(full.local, eviction_policy=policy, memory_bytes=used).is_full is expected
    assert replace(full.cloud, eviction_policy="noeviction").is_full is False, "it has no limit"


@pytest.mark.parametrize("name", ["tests", "measurements", "insights", "console", "alerts", "settings", "setup"])
def test_pages_about_something_else_say_what_is_wrong_since_when_and_what_to_do(
    name: str, set_weather: SetWeather, open_page: OpenPage, text_of: TextOf
) -> None:
    for weather, what, then in (
        ("local down", "The local store is down since", "Bring back local.example:6379"),
        ("both down", "No store answers since", "Start or reconnect"),
        ("wiped", "The local store lost its data at", "check its disk"),
        ("catching up", "The cloud store is back since", "Nothing to do"),
        ("unknown", "unknown since", "This settles within seconds"),
    ):
        set_weather(weather)
        text = text_of(open_page(PAGES[name].path))
        assert what in text
        assert then in text
    set_weather("healthy")
    assert "Everything is fine" not in text_of(open_page(PAGES[name].path))


def test_who_opens_a_page_has_a_silent_store_asked(
    set_weather: SetWeather, open_page: OpenPage, panel_process: PanelProcess
) -> None:
    """A cloud store that hung while nobody used it was said to be up for half a minute."""
    asked: list[str] = []
    assert panel_process.agent is not None
    panel_process.agent.inquire = lambda: asked.append("asked")  # type: ignore[method-assign]
    set_weather("healthy")
    at = open_page()
    assert len(asked) == 1
    at.run()
    assert len(asked) == 2


def test_older_numbers_say_how_old_they_are(
    panel_process: PanelProcess, open_page: OpenPage, text_of: TextOf, weathers: Mapping[str, Overview | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The cloud store is read rarely: beside the local store's numbers its own looked like a difference."""
    healthy = weathers["healthy"]
    assert healthy is not None and healthy.cloud is not None
    for age_s, said in ((2.0, False), (40.0, True)):
        cloud = replace(healthy.cloud, observed_at_s=NOW - age_s)
        monkeypatch.setattr(queries, "overview", lambda cloud=cloud: replace(healthy, cloud=cloud, taken_at_s=NOW))
        [line] = [caption.value for caption in open_page().caption if "cloud.example" in caption.value]
        assert ("as of" in line) is said


def test_unknown_is_never_shown_as_a_number(set_weather: SetWeather, open_page: OpenPage) -> None:
    set_weather("both down")
    metrics = open_page().metric
    assert [metric.value for metric in metrics[:8]] == [":gray[unknown]"] * 8
    assert "was 1,648" in metrics[2].proto.delta_description


def test_roles_follow_the_authority(set_weather: SetWeather, open_page: OpenPage, text_of: TextOf) -> None:
    set_weather("local down")
    text = text_of(open_page())
    assert "Reads go to cloud" in text
    assert "Writes go to cloud" in text


def test_first_look_is_explained_until_put_away(set_weather: SetWeather, open_page: OpenPage, text_of: TextOf) -> None:
    set_weather("embedded")
    at = open_page()
    assert "What is running" in text_of(at)
    next(button for button in at.button if button.label == "Got it").click()
    assert "What is running" not in text_of(at.run())


def test_read_preference_is_applied(set_weather: SetWeather, open_page: OpenPage, panel_process: PanelProcess) -> None:
    set_weather("healthy")
    at = open_page()
    assert at.button(key="overview-apply").disabled
    at.segmented_control(key="overview-read-local").set_value(ReadPreference.CLOUD).run()
    at.button(key="overview-apply").click().run()
    assert panel_process.agent is not None
    assert panel_process.agent.client.settings.read_preference is ReadPreference.CLOUD
    assert [toast.value for toast in at.toast] == ["Applied in every process: version 1."]


def test_local_only_warns_before_it_is_applied(set_weather: SetWeather, open_page: OpenPage) -> None:
    set_weather("healthy")
    at = open_page(SETTINGS_PAGE)
    assert not at.warning
    at.segmented_control(key="settings-write-True").set_value(False).run()
    assert "stops copying" in at.warning[0].value


def test_preset_is_applied(set_weather: SetWeather, open_page: OpenPage, panel_process: PanelProcess) -> None:
    set_weather("healthy")
    at = open_page(SETTINGS_PAGE)
    at.button(key="use-development").click().run()
    assert at.get_by_key("csv-history") is not None
    assert panel_process.agent is not None
    assert panel_process.agent.client.settings.write_both is False


def test_settings_name_their_source(
    set_weather: SetWeather, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_READ_PREFERENCE", "local")
    set_weather("healthy")
    at = open_page(SETTINGS_PAGE)
    assert any(f"Precedence: {', '.join(Source)}." in caption.value.replace("`", "") for caption in at.caption)
    table = at.table[0].value
    shown = dict(zip(table["Setting"], table["Value and source"], strict=True))
    assert shown["`REDIS_READ_PREFERENCE`"] == "local :gray-badge[environment]"
    assert shown["`REDIS_SYNC_INTERVAL`"] == "300 s :gray-badge[default]"


def test_settings_tell_which_version_each_process_runs_and_what_its_code_fixes(
    set_weather: SetWeather, open_page: OpenPage
) -> None:
    set_weather("healthy")
    frames = [frame.value for frame in open_page(SETTINGS_PAGE).dataframe]
    [process] = next(frame for frame in frames if "Process" in frame).to_dict("records")
    assert (process["Process"], process["Configuration"], process["Fixed in its code"]) == ("shop", "0", "ack")


def test_settings_without_a_store_do_not_know_who_changed_what(
    set_weather: SetWeather, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, panel_process: PanelProcess
) -> None:
    set_weather("both down")
    audit: Any = panel_process.agent.client.live.audit  # type: ignore[union-attr]

    def dead(limit: int) -> tuple[AuditEntry, ...]:
        raise AllStoresDown("no store can be asked for the audit trail now")

    assert "History" not in [head.value for head in open_page(SETTINGS_PAGE).subheader]  # nobody has changed anything
    monkeypatch.setattr(audit, "history", dead)
    at = open_page(SETTINGS_PAGE)
    assert "History" in [head.value for head in at.subheader]
    assert "No store can be asked who changed what." in [caption.value for caption in at.caption]


def test_settings_show_what_is_left_out_of_several_urls(
    set_weather: SetWeather, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_weather("healthy")
    row = queries.SettingRow("alert_urls", "HYBRID_ALERT_URLS", ("mailto://***", "jsons://***"), "environment")
    monkeypatch.setattr(queries, "setting_rows", lambda snapshot: (row,))
    [cell] = open_page(SETTINGS_PAGE).table[0].value["Value and source"]
    assert cell.count(r"\*\*\*") == 2


def test_viewer_sees_everything_and_can_press_nothing(set_weather: SetWeather, open_page: OpenPage) -> None:
    set_weather("healthy")
    assert open_page(role="viewer").button(key="demo").disabled
    assert open_page("watch/tests.py", role="viewer").button(key="run-test").disabled
    assert open_page(SETTINGS_PAGE, role="viewer").button(key="use-development").disabled


@pytest.mark.parametrize(("weather", "asks"), [("embedded", False), ("healthy", True), ("no cloud", True)])
def test_demo_traffic_on_stores_of_ones_own_begins_when_its_price_was_said(
    weather: str, asks: bool, set_weather: SetWeather, open_page: OpenPage, text_of: TextOf
) -> None:
    set_weather(weather)
    at = open_page()
    assert at.button(key="demo").label == "Start demo traffic"
    assert ("writes keys `shop:…` to these stores" in text_of(at)) is asks
    assert ("250 commands a second: $1.80 an hour" in text_of(at)) is (weather == "healthy")


def test_action_refuses_a_viewer_whatever_the_page_did(
    panel_process: PanelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "user", {"name": "v", "role": "viewer"})
    with pytest.raises(actions.NotAllowed):
        actions.change_settings(write_both=False)
    with pytest.raises(actions.NotAllowed):
        actions.start_test()
    assert panel_process.agent is not None
    assert panel_process.agent.client.settings.write_both is True
    assert not queries.test_runs()


def test_start_problem_is_one_sentence(panel_process: PanelProcess, open_page: OpenPage, text_of: TextOf) -> None:
    panel_process.agent, panel_process.problem = (
        None,
        "REDIS_URL is not a valid URL; write it as redis://localhost:6379",
    )
    at = open_page()
    assert not at.exception
    assert at.error[0].value == panel_process.problem


def test_wrong_url_becomes_the_start_problem(
    panel_process: PanelProcess, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.setenv("REDIS_URL", "http://:password-to-hide@nowhere")
    panel_process.agent = None
    panel_process.start()
    assert panel_process.agent is None
    assert panel_process.problem is not None
    assert "REDIS_URL" in panel_process.problem
    assert "password-to-hide" not in panel_process.problem


def test_no_script_lies_where_streamlit_would_serve_it_without_the_router() -> None:
    assert [path.name for path in FOLDER.iterdir() if path.is_file()] == ["__init__.py"]
    assert not (FOLDER.parent / "panel" / "pages").exists()


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_who_may_only_look_is_told_so_above_the_page(role: str, set_weather: SetWeather, open_page: OpenPage) -> None:
    set_weather("healthy")
    told = [caption.value for caption in open_page(role=role).main.caption]
    assert any("you may look, and change nothing" in text for text in told) == (role == "viewer")


def test_the_span_of_the_overview_is_in_its_address(set_weather: SetWeather, open_page: OpenPage) -> None:
    set_weather("healthy")
    at = open_page(query={"span": "1 h"})
    assert at.get_by_key("span").value == "1 h"
    at.get_by_key("span").set_value("15 min").run()
    assert at.query_params["span"] == "15 min"


def test_a_store_that_evicts_any_key_says_so_on_its_card(
    weathers: Mapping[str, Overview | None], open_page: Callable[..., AppTest], text_of: Callable[[AppTest], str],
    set_weather: Callable[[str], Overview | None], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """hybrid's own keys are among them: what was not shipped yet would be lost."""
    well = weathers["healthy"]
    assert well is not None
    for policy, limit, told in (("allkeys-lru", 1000, True), ("allkeys-lru", None, False), ("noeviction", 1000, False)):
        local = replace(well.local, eviction_policy=policy, memory_limit_bytes=limit)
        monkeypatch.setattr(queries, "overview", lambda local=local: replace(well, local=local))
        at = open_page()
        assert not at.exception
        assert ("hybrid's own too" in text_of(at)) is told


def test_what_was_synced_or_undone_since_is_not_shown_as_if_it_were_so_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """An undo makes stores differ that were found to be equal."""
    some = Divergence(sampled=1000, differed=20, open_differences=20, checked_at_s=NOW)
    none = Divergence(sampled=1000, checked_at_s=NOW)
    monkeypatch.setattr(agreement, "zone", lambda: None)
    since = "synced or undone since · "
    for done, found, note in (
        (False, some, "20 keys differ · "),
        (True, some, since),
        (False, none, "1,000 looked at · "),
        (True, none, since),
    ):
        monkeypatch.setattr(agreement, "outdated", lambda _ended_at_s, done=done: done)
        told = agreement.share_and_note(found)
        assert told is not None
        assert told[1].startswith(note)
