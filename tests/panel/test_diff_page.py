"""The page Diff on two real stores: compare, filter, look into a key, make it equal, one or many; every weather."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import redis
import streamlit as st
from servers import wait_until
from streamlit.runtime.state.query_params import QueryParams
from streamlit.testing.v1 import AppTest

from hybrid.core.drift import ttl_detail
from hybrid.ops.overview import Overview
from panel.actions import NotAllowed
from panel.process import PanelProcess
from panel.queries import Store
from panel.repair import actions, conflictactions, diffview, queries
from panel.repair.conflictview import value_rows
from panel.repair.diffview import KEY, choose, exported, row_of
from panel.repair.links import key_from, key_text
from panel.repair.queries import Cause, Difference, Direction, Facts, Scope, Selection

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]
PAGE = "repair/diff.py"
SEND = QueryParams._send_query_param_msg


def compared(real_panel: SimpleNamespace) -> str:
    """Compare everything; the id of the diff."""
    assert actions.start_diff(Scope()).done
    job = real_panel.process.jobs.of(queries.DIFF_JOB)[0]
    assert job.wait(30)
    assert job.problem is None
    return str(job.result)


def test_compare_find_and_fix_one_key_by_field(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], open_page: OpenPage, text_of: TextOf
) -> None:
    local, cloud = drift
    at = open_page(PAGE)
    assert "Nothing was compared" in text_of(at)
    at.button(key="diff-estimate").click().run()
    assert "cloud commands" in text_of(at)
    at.button(key="diff-start").click().run()
    wait_until(lambda: not real_panel.process.jobs.of("diff")[0].running, "the diff", 30)
    at.run()
    assert not at.exception
    assert "4 keys differ" in text_of(at)
    assert next(metric.value for metric in at.metric if metric.label == "Cost") == "not billed"
    pills = at.get_by_key(f"diff-causes-{real_panel.process.jobs.of('diff')[0].result}")
    assert pills.options == ["only local · 1", "only cloud · 1", "value · 2"]

    at.session_state["diff-key"] = "user"
    at.run()
    places = next(frame.value for frame in at.dataframe if "Where" in frame.value.columns)
    assert list(places["Where"]) == ["field city", "field mine", "field theirs"]
    grid = next(frame for frame in at.dataframe if "Where" in frame.value.columns)
    at.session_state[grid.key] = {"selection": {"rows": [0, 2], "columns": [], "cells": []}}
    at.run()
    at.get_by_key("diff-base-b'user'").set_value(Store.LOCAL).run()
    assert "field city, field theirs" in text_of(at)
    at.button(key="diff-merge").click().run()
    assert [toast.value for toast in at.toast][-1].startswith("Done")
    merged = {b"name": b"Ada", b"city": b"Paris", b"mine": b"1", b"theirs": b"1"}
    wait_until(lambda: local.hgetall("user") == cloud.hgetall("user") == merged, "the merge")
    assert "Both stores have the same value" in text_of(at.run())
    assert "4 keys differed" in text_of(at)
    assert "compare again to see how it is now" in text_of(at)


def test_what_was_chosen_of_a_key_outlives_an_outage(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], set_weather: SetWeather, open_page: OpenPage,
    text_of: TextOf,
) -> None:  # fmt: skip
    """Chosen anew, without the places taken from the other store, the whole value was written."""
    set_weather("healthy")
    at = open_page(PAGE, query={"key": "user"})
    grid = next(frame for frame in at.dataframe if "Where" in frame.value.columns)
    at.session_state[grid.key] = {"selection": {"rows": [0, 2], "columns": [], "cells": []}}
    at.get_by_key("diff-base-b'user'").set_value(Store.LOCAL).run()
    assert not at.button(key="diff-merge").disabled
    for weather, idle in (("cloud down", True), ("healthy", False)):
        set_weather(weather)
        at.run()
        assert not at.exception
        assert at.button(key="diff-merge").disabled is idle
        assert "field city, field theirs" in text_of(at)
        assert ("Shown is what was read at" in text_of(at)) is idle


def test_a_click_anywhere_on_a_row_opens_its_key(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with queries.existing_diff(compared(real_panel)) as file:
        found = list(file.differences(Cause.VALUE))
    state: dict[str, object] = {"grid": {"selection": {"rows": [], "columns": [], "cells": [(1, "Detail")]}}}
    monkeypatch.setattr(st, "session_state", state)
    choose("grid", found)
    assert state[KEY] == "user"
    state["grid"] = {"selection": {"rows": [], "columns": [], "cells": []}}
    choose("grid", found)
    assert state[KEY] == "", "clicked again: it is closed"


def test_all_differences_are_made_equal_on_the_page(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage,
    text_of: TextOf,
) -> None:  # fmt: skip
    local, cloud = drift
    compared(real_panel)
    at = open_page(PAGE)
    at.get_by_key("diff-direction").set_value("local-to-cloud").run()
    assert not at.exception
    assert "3 keys are copied to the cloud store" in text_of(at)
    assert "2 values are overwritten or deleted" in text_of(at)
    at.button(key="diff-run").click().run()
    assert real_panel.process.jobs.of("sync")[0].wait(30)
    wait_until(lambda: cloud.get("text") == local.get("text") and bool(cloud.exists("mine")), "the sync")


def test_bulk_merge_of_a_filtered_set_is_guarded_confirmed_and_audited(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage,
    text_of: TextOf,
) -> None:  # fmt: skip
    local, cloud = drift
    diff_id = compared(real_panel)
    chosen = Selection(diff_id, (Cause.ONLY_CLOUD,))
    preview = queries.plan_preview(chosen, Direction.LOCAL_TO_CLOUD, delete_extras=True)
    assert isinstance(preview, queries.Known)
    assert (preview.value.deletes, preview.value.phrase) == (1, "delete")
    actions.start_sync(chosen, Direction.LOCAL_TO_CLOUD, delete_extras=True, typed="no")
    job = real_panel.process.jobs.of("sync")[0]
    assert job.wait(20)
    assert "were not typed" in job.problem
    assert cloud.exists("theirs")
    assert "4 keys differ" in text_of(open_page(PAGE)), "nothing was made equal"
    actions.start_sync(chosen, Direction.LOCAL_TO_CLOUD, delete_extras=True, typed="delete")
    job = real_panel.process.jobs.of("sync")[0]
    assert job.wait(20)
    assert (job.problem, job.result.deleted) == (None, 1)
    wait_until(lambda: not cloud.exists("theirs"), "the deletion")
    assert local.exists("mine"), "what was not selected stays"
    assert not cloud.exists("mine")
    entry = real_panel.agent.client.live.audit.history(1)[0]
    assert (entry.author, entry.what) == ("tester", "Sync, local to cloud")
    assert actions.start_undo(job.result.id).done
    assert real_panel.process.jobs.of("sync")[0].wait(20)
    assert cloud.get("theirs") == b"v"


def test_a_key_that_moved_since_it_was_looked_at_is_left_alone(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None
) -> None:
    _, cloud = drift
    found = queries.look(b"text")
    assert isinstance(found, queries.Known)
    assert found.value.difference is not None
    cloud.set("text", "newer")
    outcome = actions.copy_key(found.value.difference, Direction.LOCAL_TO_CLOUD)
    assert not outcome.done
    assert "another one by now" in outcome.sentence
    assert cloud.get("text") == b"newer"


def test_differences_are_exported(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None
) -> None:
    diff_id = compared(real_panel)
    lines = exported(Selection(diff_id, (Cause.VALUE,)), "jsonl").decode().splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["text", "user"]
    theirs = exported(Selection(diff_id, containing=b"the"), "csv").decode().splitlines()[1]
    assert theirs.startswith("theirs,only cloud,only cloud,,string,,1,,"), "numbers are whole where some are missing"
    assert exported(Selection(diff_id), "parquet").startswith(b"PAR1")


def test_deep_link_opens_the_cause_and_the_key(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage
) -> None:
    diff_id = compared(real_panel)
    at = open_page(PAGE, query={"cause": "only cloud", "key": "user"})
    assert at.get_by_key(f"diff-causes-{diff_id}").value == [Cause.ONLY_CLOUD]
    assert len(next(frame.value for frame in at.dataframe if "Cause" in frame.value.columns)) == 1
    assert any("Where" in frame.value.columns for frame in at.dataframe)
    at.query_params["key"] = "text"
    at.run()
    assert at.session_state["diff-key"] == "text", "a link that is followed later counts too"


def test_the_page_is_in_the_address(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def shown() -> list[str]:
        return list(next(frame.value for frame in at.dataframe if "Cause" in frame.value.columns)["Key"])

    monkeypatch.setattr(diffview, "PAGE_ROWS", 1)
    selection = Selection(compared(real_panel), (), b"")
    at = open_page(PAGE, query={"page": "2"})
    second = shown()
    at.session_state[f"diff-page-{selection}"] = 3
    at.run()
    assert at.query_params["page"] == "3" and shown() != second
    at.query_params["page"] = "2"
    at.run()
    assert shown() == second, "the browser went back"
    at.text_input(key="containing").set_value("e").run()
    assert "page" not in at.query_params, "of another selection the first"
    at = open_page(PAGE, query={"page": "99"})
    assert len(shown()) == 1 and at.query_params["page"] == "4"


def test_what_keys_contain_is_in_the_address(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage
) -> None:
    compared(real_panel)
    at = open_page(PAGE, query={"containing": "the"})
    assert list(next(frame.value for frame in at.dataframe if "Cause" in frame.value.columns)["Key"]) == ["theirs"]


def test_back_takes_one_step_to_what_was_chosen_before(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(diffview, "PAGE_ROWS", 1)
    causes = f"diff-causes-{compared(real_panel)}"
    before = {"containing": "t", "page": "2", "pattern": "t*", "direction": "merge"}
    at = open_page(PAGE, query=before)
    assert at.get_by_key("diff-direction").value is Direction.MERGE
    with patch.object(QueryParams, "_send_query_param_msg", autospec=True, side_effect=SEND) as step:
        at.get_by_key(causes).set_value([Cause.ONLY_CLOUD]).run()
    assert step.call_count == 1, "of another selection the first page, in the same step"
    assert (at.query_params["cause"], "page" in at.query_params) == ("only cloud", False)
    at.text_input(key="containing").set_value("the").run()
    at.text_input(key="diff-pattern").set_value("*").run()
    at.get_by_key("diff-direction").set_value(None).run()
    at.query_params.clear()
    for name, value in before.items():
        at.query_params[name] = value
    at.run()
    assert at.get_by_key(causes).value == []
    assert [at.text_input(key=key).value for key in ("containing", "diff-pattern")] == ["t", "t*"]
    assert at.get_by_key("diff-direction").value is Direction.MERGE
    assert {name: at.query_params[name] for name in at.query_params} == before


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("starting", "The panel is starting"),
        ("local down", "The local store is down since"),
        ("cloud down", "What was written meanwhile needs no sync"),
        ("both down", "No store answers since"),
        ("catching up", "what differs is on its way"),
        ("wiped", "is filled again from the cloud store"),
        ("unknown", "is unknown since"),
        ("no cloud", "Set UPSTASH_REDIS_URL in .env"),
        ("healthy", "Nothing was compared"),
    ],
)
def test_every_weather_says_what_is_so_and_asks_no_store(
    name: str, said: str, set_weather: SetWeather, open_page: OpenPage, text_of: TextOf, panel_process: PanelProcess
) -> None:
    set_weather(name)
    at = open_page(PAGE, query={"key": "user"})
    assert not at.exception
    assert said in text_of(at)
    assert at.button(key="diff-start").disabled == (name != "healthy")


def test_a_cloud_that_died_unnoticed_delays_nothing(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], open_page: OpenPage, text_of: TextOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def lose(*args: object, **options: object) -> None:
        raise redis.ConnectionError("Connection refused")

    monkeypatch.setattr(queries, "look_at_key", lose)
    at = open_page(PAGE, query={"key": "user"})
    assert not at.exception
    assert "unknown since" in text_of(at)
    assert "Connection refused" in text_of(at)


def test_viewer_may_look_and_not_act(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch, text_of: TextOf,
) -> None:  # fmt: skip
    assert "Choose whose value counts" not in text_of(open_page(PAGE, role="viewer", query={"key": "user"}))
    at = open_page(PAGE, role="viewer", query={"key": "text"})
    assert at.button(key="diff-start").disabled
    assert not at.button(key="diff-estimate").disabled
    monkeypatch.setattr(st, "user", {"name": "v", "role": "viewer"})
    for act in (
        lambda: actions.start_diff(Scope()),
        lambda: actions.start_sync(Selection("x"), Direction.MERGE),
        lambda: actions.start_undo("x"),
        lambda: conflictactions.keep_conflict("1-1"),
        lambda: conflictactions.discard_conflicts(None, typed="discard"),
    ):
        with pytest.raises(NotAllowed):
            act()
    assert not real_panel.process.jobs.of()


@pytest.mark.parametrize("key", [b"user:1", b"bin\xff\x00", b"hex:ff", "são".encode(), b"a\nb"])
def test_keys_survive_the_address_bar(key: bytes) -> None:
    assert key_from(key_text(key)) == key


def test_archived_commands_are_shown_as_places() -> None:
    commands = [[b"UNLINK", b"k"], [b"HSET", b"k", b"a", b"1", b"b", b"2"], [b"PEXPIREAT", b"k", b"0"]]
    assert [place for place, _ in value_rows(commands)] == ["field a", "field b", "expiry"]
    assert value_rows([[b"RPUSH", b"k", b"x"], [b"RPUSH", b"k", b"y"]]) == [("item 0", "x"), ("item 1", "y")]


def test_nothing_is_written_outside_the_folder(real_panel: SimpleNamespace, tmp_path: Path) -> None:
    assert queries.diff_folder().is_relative_to(real_panel.folder)


def test_details_are_text_that_people_read() -> None:
    """A name that is b, or ends in it, is no mark of bytes."""
    detail = "value: '{\"b\":1}' / '{\"a b\":2}'"
    assert row_of(Difference(b"d", (Cause.VALUE,), None, None, detail))["Detail"] == detail
    assert row_of(Difference(b"k", (Cause.ONLY_LOCAL,), Facts("TSDB-TYPE", b"", None, 10), None, ""))["Local"] == (
        "time series · 10 B"
    )
    assert ttl_detail(90_000_000, 500_000) == "expires 1.0 d later on local"
