"""The page Sync on two real stores: plan and run, undo, schedule, conflicts; what it says in every weather."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import redis
from servers import wait_until
from streamlit.testing.v1 import AppTest

from hybrid.core.conflict import Conflict, Side
from hybrid.core.resp import pack
from hybrid.ops.overview import Overview
from hybrid.types import Store
from panel import backlog
from panel import queries as panel_queries
from panel.process import PanelProcess
from panel.repair import actions, conflictactions, queries
from panel.repair.queries import Divergence, Ending, Scope, SyncEnding, SyncResult

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]
PAGE = "repair/sync.py"


def test_what_is_compared_outlives_a_reload(set_weather: Callable[[str], object], open_page: OpenPage) -> None:
    set_weather("healthy")
    at = open_page(PAGE)
    at.text_input(key="sync-pattern").set_value("user:*").run()
    at.get_by_key("sync-type").set_value("hash").run()
    asked = {name: at.query_params[name] for name in ("pattern", "type")}
    assert asked == {"pattern": "user:*", "type": "hash"}
    again = open_page(PAGE, query=asked)
    assert [again.get_by_key(key).value for key in ("sync-pattern", "sync-type")] == ["user:*", "hash"]


def test_who_may_not_compare_is_not_told_to(
    set_weather: Callable[[str], object], open_page: OpenPage, text_of: TextOf
) -> None:
    set_weather("healthy")
    assert "Compare first" in text_of(open_page(PAGE))
    told = text_of(open_page(PAGE, "viewer"))
    assert "Nothing was compared yet." in told and "Compare first" not in told


def test_what_waits_is_told_in_seconds_and_bytes(panel_process: PanelProcess, set_weather: SetWeather) -> None:
    snapshot = set_weather("backlog")
    assert snapshot is not None
    panel_process.reads.get(("log bytes", Store.LOCAL), lambda: 1000.0, patience_s=5)
    assert backlog.note(snapshot) == "0.4 s behind · ~11.7 KB"


def test_plan_is_shown_then_run_then_undone(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage,
    text_of: TextOf,
) -> None:  # fmt: skip
    local, cloud = drift
    before = cloud.hgetall("user")
    at = open_page(PAGE)
    assert "Nothing was compared yet" in text_of(at)
    at.button(key="sync-start").click().run()
    wait_until(lambda: not real_panel.process.jobs.of("diff")[0].running, "the diff", 30)
    at.run()
    at.get_by_key("sync-direction").set_value("local-to-cloud").run()
    assert "3 keys are copied to the cloud store" in text_of(at)
    assert "1 extra key is kept" in text_of(at)
    at.toggle(key="sync-extras").set_value(True).run()
    assert "1 key is **deleted** on the cloud store" in text_of(at)
    assert at.button(key="sync-run").disabled, "what deletes is typed out first"
    at.text_input(key="sync-typed").set_value("delete").run()
    at.button(key="sync-run").click().run()
    job = real_panel.process.jobs.of("sync")[0]
    assert job.wait(30)
    assert (job.problem, job.result.copied, job.result.deleted) == (None, 3, 1)
    wait_until(lambda: cloud.get("text") == b"one" and not cloud.exists("theirs"), "the sync")
    assert cloud.hgetall("user") == local.hgetall("user")

    assert "compare again to see how it is now" in text_of(at.run())

    at = open_page(PAGE, query={"section": "history"})
    assert not at.exception
    history = next(frame for frame in at.dataframe if "Direction" in frame.value.columns)
    assert history.value["Direction"].iloc[0] == "local-to-cloud"
    at.session_state[history.key] = {"selection": {"rows": [], "columns": [], "cells": [[0, "Key"]]}}
    at.run()
    at.button(key="sync-undo-run").click().run()
    assert real_panel.process.jobs.of("sync")[0].wait(30)
    assert (cloud.get("text"), cloud.get("theirs"), cloud.hgetall("user")) == (b"two", b"v", before)


def test_what_a_sync_did_that_has_not_ended_is_unknown(
    panel_process: PanelProcess, set_weather: SetWeather, open_page: OpenPage, text_of: TextOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    set_weather("healthy")
    cut_off = SyncResult(
        id="1", direction="local-to-cloud", pattern="*", author="ada", started_at_s=1.0, ended_at_s=1.0,
        ending=SyncEnding.OPEN, undo_until_s=time.time() + 3600,
    )  # fmt: skip
    monkeypatch.setattr(queries, "syncs", lambda: queries.Known([cut_off], time.time()))
    at = open_page(PAGE, query={"section": "history"})
    row = next(frame.value for frame in at.dataframe if "Direction" in frame.value.columns).iloc[0]
    assert (row["Copied"], row["Deleted"], row["Cloud commands"]) == ("unknown",) * 3
    assert actions.sync_summary(cut_off) == "not ended: what it did is not known"


def test_the_chosen_sync_outlives_an_outage(
    panel_process: PanelProcess, set_weather: SetWeather, open_page: OpenPage
) -> None:
    set_weather("healthy")
    done = SyncResult(
        id="1", direction="local-to-cloud", pattern="*", author="ada", started_at_s=1.0, ended_at_s=1.0,
        ending=SyncEnding.FINISHED, undo_until_s=time.time() + 3600,
    )  # fmt: skip
    panel_process.reads.get(("syncs",), lambda: [done], patience_s=5)
    at = open_page(PAGE, query={"section": "history"})
    history = next(frame for frame in at.dataframe if "Direction" in frame.value.columns)
    at.session_state[history.key] = {"selection": {"rows": [], "columns": [], "cells": [[0, "Direction"]]}}
    assert not at.run().button(key="sync-undo-run").disabled
    set_weather("cloud down")
    assert at.run().button(key="sync-undo-run").disabled
    set_weather("healthy")
    assert not at.run().button(key="sync-undo-run").disabled


def test_schedule_is_changed_in_every_process(
    set_weather: SetWeather, panel_process: PanelProcess, open_page: OpenPage, text_of: TextOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    set_weather("healthy")
    measured = Divergence(sampled=1000, differed=4, rounds=2, checked_at_s=time.time(), repaired_today=4)
    monkeypatch.setattr(queries, "divergence", lambda **_: queries.Known(measured, time.time()))
    at = open_page(PAGE, query={"section": "schedule"})
    assert "nothing is deleted" in text_of(at) and "at most 3,000 of them a day" in text_of(at)
    assert {metric.label: metric.value for metric in at.metric}["Keys equal"] == "99.60%"
    assert at.button(key="sync-apply").disabled
    at.get_by_key("sync-every-300").set_value(3600).run()
    at.button(key="sync-apply").click().run()
    assert panel_process.agent is not None
    assert panel_process.agent.client.settings.sync_interval_s == 3600
    assert [toast.value for toast in at.toast] == ["Applied in every process: version 1."]


def test_a_comparison_that_broke_off_proves_nothing(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage,
    text_of: TextOf, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert actions.start_diff(Scope(pattern=b"none:*")).done
    assert real_panel.process.jobs.of("diff")[0].wait(20)
    assert "there is nothing to do" in text_of(open_page(PAGE))
    found = queries.diffs()
    assert isinstance(found, queries.Known)
    broken = queries.Known([replace(found.value[0], ending=Ending.FAILED)], found.at_s)
    monkeypatch.setattr(queries, "diffs", lambda *_, **__: broken)
    at = open_page(PAGE)
    assert not at.exception
    said = text_of(at)
    assert "nothing can be said of it" in said
    assert "there is nothing to do" not in said


def conflict(key: bytes) -> Conflict:
    lost, kept = pack(("SET", key, "archived")), pack(("SET", key, "live"))
    return Conflict("", key, Side(Store.CLOUD, lost, 1000, "b"), Side(Store.LOCAL, kept, 2000, "a"), "both wrote it")


@pytest.fixture
def archived(real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis]) -> list[str]:
    """Two archived conflicts; their keys hold what won."""
    client = real_panel.agent.client
    client.mset({"c1": "live", "c2": "live"})
    assert client.wait_in_sync(10)
    for store in drift:
        store.delete("hybrid:conflicts")
    ids = []
    for number, key in enumerate((b"c1", b"c2"), start=1):
        for store in drift:
            store.xadd("hybrid:conflicts", _paired(conflict(key).fields), id=f"{number}000-0")
        ids.append(f"{number}000-0")
    return ids


def _paired(flat: tuple[object, ...]) -> dict[object, object]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_conflicts_show_both_values_and_are_decided(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], archived: list[str], open_page: OpenPage,
    text_of: TextOf,
) -> None:  # fmt: skip
    local, cloud = drift
    at = open_page(PAGE, query={"section": "conflicts"})
    assert not at.exception
    grid = next(frame for frame in at.dataframe if "Why" in frame.value.columns)
    assert list(grid.value["Key"]) == ["c2", "c1"]
    at.session_state[grid.key] = {"selection": {"rows": [], "columns": [], "cells": [[0, "Key"]]}}
    at.run()
    values = next(frame.value for frame in at.dataframe if "Where" in frame.value.columns)
    assert values.to_dict("records") == [{"Where": "value", "Local": "live", "Cloud": "archived"}]
    at.button(key="conflict-restore").click().run()
    assert [toast.value for toast in at.toast][-1].startswith("Restored on both stores")
    wait_until(lambda: local.get("c2") == cloud.get("c2") == b"archived", "the restored value")


def test_the_chosen_conflict_outlives_an_outage(
    panel_process: PanelProcess, set_weather: SetWeather, open_page: OpenPage
) -> None:
    set_weather("conflicts")
    panel_process.reads.get(("conflicts", None), lambda: [replace(conflict(b"c1"), id="1-0")], patience_s=5)
    at = open_page(PAGE, query={"section": "conflicts"})
    [table] = (frame for frame in at.dataframe if "Why" in frame.value.columns)
    at.session_state[table.key] = {"selection": {"rows": [], "columns": [], "cells": [[0, "Key"]]}}
    assert not at.run().button(key="conflict-restore").disabled
    set_weather("both down")
    assert at.run().button(key="conflict-restore").disabled
    set_weather("conflicts")
    assert not at.run().button(key="conflict-restore").disabled


def test_what_is_too_large_for_the_archive_can_be_looked_at(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], archived: list[str], open_page: OpenPage,
    text_of: TextOf,
) -> None:  # fmt: skip
    """Neither value is said to be missing, or to be as small as what stands for it."""
    apart = "hybrid:lost:1{c3}"
    large = Conflict(
        "", b"c3", Side(Store.CLOUD, pack(("COPY", apart, "c3", "REPLACE"))), Side(Store.LOCAL, b""), "why"
    )
    for store in drift:
        store.xadd("hybrid:conflicts", _paired(large.fields), id="3000-0")
    at = open_page(PAGE, query={"section": "conflicts"})
    grid = next(frame for frame in at.dataframe if "Why" in frame.value.columns)
    assert grid.value["Size"][0] == "over 8.00 MB"
    at.session_state[grid.key] = {"selection": {"rows": [], "columns": [], "cells": [[0, "Key"]]}}
    at.run()
    assert not at.exception
    assert "stands whole in a key of hybrid's own" in text_of(at)
    assert "not there" not in text_of(at)
    assert not any("Where" in frame.value.columns for frame in at.dataframe)
    links = [link.proto.query_string for link in at.get("page_link")]
    assert any("hybrid%3Alost" in link for link in links) and any("key=c3" in link for link in links)


def test_what_is_said_of_conflicts_is_true_of_every_way_to_decide_them(
    real_panel: SimpleNamespace, archived: list[str], open_page: OpenPage, text_of: TextOf, set_weather: SetWeather
) -> None:
    """The newer value wins after a partition; a pairing keeps the one of the store that was preferred."""
    at = open_page(PAGE, query={"section": "conflicts"})
    assert "One value is live" in text_of(at)
    set_weather("conflicts")
    for text in (text_of(at), text_of(open_page("watch/overview.py"))):
        assert "newest" not in text
        assert "newer" not in text


def test_conflicts_are_kept_discarded_and_emptied(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], archived: list[str], as_operator: None
) -> None:
    local, _ = drift
    assert conflictactions.keep_conflict(archived[0]).done
    assert local.xlen("hybrid:conflicts") == 1
    assert not conflictactions.keep_conflict(archived[0]).done
    assert conflictactions.discard_conflicts(archived[1:]).done
    assert local.xlen("hybrid:conflicts") == 0
    assert not conflictactions.discard_conflicts(None, typed="yes").done
    assert conflictactions.discard_conflicts(None, typed="discard").done


def test_a_conflict_whose_key_was_written_since_is_not_decided_blindly(
    real_panel: SimpleNamespace, archived: list[str], as_operator: None
) -> None:
    real_panel.agent.client.set("c1", "newer")
    outcome = conflictactions.restore_conflict(archived[0])
    assert not outcome.done
    assert "written since" in outcome.sentence


@pytest.mark.parametrize("section", ["now", "schedule", "conflicts", "history"])
@pytest.mark.parametrize("name", ["starting", "cloud down", "both down", "no cloud", "local only"])
def test_every_section_stands_every_weather(
    name: str, section: str, set_weather: SetWeather, open_page: OpenPage, panel_process: PanelProcess
) -> None:
    set_weather(name)
    at = open_page(PAGE, query={"section": section})
    assert not at.exception
    assert at.title[0].value == "Sync"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cloud down", "What was written meanwhile needs no sync"),
        ("both down", "No store answers since"),
        ("catching up", "catching up since"),
        ("local only", "Choose the write mode"),
        ("no cloud", "There is one store only"),
    ],
)
def test_weather_says_what_to_do_and_blocks_what_cannot_be(
    name: str, said: str, set_weather: SetWeather, open_page: OpenPage, text_of: TextOf
) -> None:
    set_weather(name)
    at = open_page(PAGE)
    assert said in text_of(at)
    assert at.button(key="sync-start").disabled


def test_backlog_is_told_with_folded_keys_and_unknown_is_no_zero(
    open_page: OpenPage, set_weather: SetWeather, monkeypatch: pytest.MonkeyPatch
) -> None:
    backlog = set_weather("backlog")
    assert backlog is not None
    folded = replace(backlog, status=replace(backlog.status, folded_keys=7))
    monkeypatch.setattr(panel_queries, "overview", lambda: folded)
    shown = {metric.label: metric.value for metric in open_page(PAGE).metric}
    assert (shown["Waits for cloud"], shown["Folded keys"]) == ("12", "7")
    set_weather("lag unknown")
    shown = {metric.label: metric.value for metric in open_page(PAGE).metric}
    assert shown["Waits for cloud"] == ":gray[unknown]"


def test_a_store_lost_in_the_middle_is_a_sentence_and_resumable(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None, open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    def lose(*_: object) -> None:
        raise redis.ConnectionError("Connection refused")

    with monkeypatch.context() as lost:
        lost.setattr("hybrid.ops.diff.run.Run.confirm", lose)
        assert actions.start_diff(Scope()).done
        job = real_panel.process.jobs.of("diff")[0]
        assert job.wait(20)
    assert job.problem.startswith("Broke off: a store does not answer. What was compared stays")
    assert "Traceback" not in caplog.text
    at = open_page("repair/diff.py")
    assert not at.exception
    at.button(key="diff-resume").click().run()
    resumed = real_panel.process.jobs.of("diff")[0]
    assert resumed.wait(20)
    assert resumed.problem is None
    assert resumed.summary == "5 keys compared, 4 differ"


def test_one_sync_at_a_time(
    real_panel: SimpleNamespace, drift: tuple[redis.Redis, redis.Redis], as_operator: None
) -> None:
    release = real_panel.process.jobs.start(queries.DIFF_JOB, lambda job: job.cancel.wait(), title="Compare everything")
    outcome = actions.start_diff(Scope())
    assert (outcome.done, outcome.sentence) == (False, "Compare everything is still running; one goes at a time.")
    release.cancel.set()


def test_what_nobody_ships_does_not_follow_by_itself(
    set_weather: SetWeather, open_page: OpenPage, text_of: TextOf
) -> None:
    set_weather("nobody ships")
    said = text_of(open_page(PAGE))
    assert "Nobody ships the log: 3 entries wait" in said
    assert "follow by themselves" not in said
