"""The page Keys over real stores: every type edited on both, what differs shown, in every weather."""

from __future__ import annotations

import gzip
import io
import re
import time
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cramjam
import msgpack
import pytest
import streamlit as st
from keys_page import KEYS_PAGE as PAGE
from keys_page import grid, opened_key, press, said, settled, values
from servers import Pool, Stores
from streamlit.testing.v1 import AppTest

from hybrid import HybridRedis
from hybrid.ops.keys.edit import Reached
from hybrid.ops.overview import Overview
from hybrid.types import Store
from panel import actions as panel_actions
from panel import heartbeat, reads
from panel.keys import actions, bulkactions, collectionview, detailview, entries, queries, state
from panel.keys.queries import Form, Packing
from panel.process import PanelProcess

OpenPage = Callable[..., AppTest]
TextOf = Callable[[AppTest], str]
SetWeather = Callable[[str], Overview | None]


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


def test_a_list_says_what_both_stores_have(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    hybrid.mset({"same": "v", "other": "v"})
    sides[Store.LOCAL].set("other", "drift")
    sides[Store.LOCAL].sadd("mine", "a")
    sides[Store.CLOUD].set("theirs", "v", ex=5000)
    at = open_keys()
    frame = settled(at.run())
    rows = {row["Key"]: row for _, row in grid(frame, "Stores").iterrows()}
    assert {key: row["Stores"][0] for key, row in rows.items()} == {
        "same": "✓ equal",
        "other": "≠ differs",
        "mine": "◧ only local",
        "theirs": "◨ only cloud",
    }
    assert rows["mine"]["Type"] == "set" and rows["theirs"]["Expires"] == "1 h"
    frame.selectbox(key="keys-store").set_value("cloud").run()
    assert set(grid(settled(frame), "Stores")["Key"]) == {"same", "other", "theirs"}
    assert "✓ equal" in [found[0] for found in grid(settled(frame.run()), "Stores")["Stores"]]


def test_a_live_key_is_read_again_and_what_is_beside_it_is_not(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To compare a list costs cloud commands; and what somebody changes stays as it was when the form was opened."""
    beats: list[float] = []
    monkeypatch.setattr(heartbeat, "beat", beats.append)
    hybrid.mset({"k": "one", "other": "v"})
    at = opened_key(open_keys(), "k")
    assert not beats
    at = settled(at.toggle(key="keys-live").set_value(True).run())
    assert beats
    for store in sides.values():
        store.set("k", "two")
    sides[Store.CLOUD].set("other", "drift")
    late = types.SimpleNamespace(time=lambda: time.time() + detailview.LIVE_TICK_S + queries.BADGES_S)
    monkeypatch.setattr(reads, "time", late)
    at = settled(at.run())
    assert "two" in [code.value for code in at.code]
    assert badge_of(at, "other") == "✓ equal"
    beats.clear()
    at = press(at, "keys-edit-text")
    assert not beats
    at = press(at, "keys-form-cancel")
    assert beats
    beats.clear()
    at = settled(at.toggle(key="keys-live").set_value(False).run())
    assert not beats and badge_of(at, "other") == "≠ differs"


def test_a_field_that_expires_on_one_store_only_is_told_so(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any
) -> None:
    hybrid.hset("h", mapping={"both": "v", "neither": "v", "there": "v"})
    for store, field in ((Store.LOCAL, "both"), (Store.CLOUD, "both"), (Store.CLOUD, "there")):
        sides[store].execute_command("HEXPIRE", "h", 5000, "FIELDS", 1, field)
    shown = grid(opened_key(open_keys(), "h"), "Field")
    told = dict(zip(shown["Field"], shown["Expires"], strict=True))
    assert told == {"both": "1 h", "neither": "", "there": "– / 1 h"}


def badge_of(at: AppTest, key: str) -> str:
    frame = grid(at, "Stores")
    return str(frame[frame["Key"] == key]["Stores"].iloc[0][0])


def test_controls_that_the_address_has_set_are_sent_again(hybrid: HybridRedis, open_page: OpenPage) -> None:
    """A browser that got the second drawing before the first one showed an empty search field above its results."""
    hybrid.set("user:1", "v")
    at = open_page(PAGE, query={"pattern": "user:*"})
    for _ in range(2):
        field = at.text_input(key="keys-pattern")
        assert (field.value, field.proto.set_value) == ("user:*", True)
        at.run()


def test_choices_of_the_address_are_sent_with_each_drawing(
    hybrid: HybridRedis, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy browser that got two drawings at once showed neither List nor Tree, and went to the list with the next
    click anywhere. What is typed must not be taken away, so that is sent for a while only."""
    monkeypatch.setattr(state, "SETTLES_S", 0.0)
    hybrid.set("user:1", "v")
    at = open_page(PAGE, query={"pattern": "user:*", "view": "tree", "separator": "/"}).run()
    assert not at.text_input(key="keys-pattern").proto.set_value
    assert at.segmented_control(key="keys-view").proto.set_value
    assert all(at.selectbox(key=f"keys-{name}").proto.set_value for name in ("type", "store", "ttl", "separator"))


def test_an_address_opens_the_same_view(hybrid: HybridRedis, open_page: OpenPage) -> None:
    hybrid.mset({f"user:{n}": "v" for n in range(3)})
    hybrid.sadd("user:set", "m")
    at = open_page(PAGE)
    for name, value in {"pattern": "user:*", "type": "set", "view": "list"}.items():
        at.session_state[f"keys-{name}"] = value
    at = opened_key(at, "user:set")
    assert list(grid(at, "Stores")["Key"]) == ["user:set"]
    assert at.query_params["key"] == "user:set" and at.query_params["pattern"] == "user:*"


def test_pages_and_the_tree(hybrid: HybridRedis, open_keys: Any) -> None:
    hybrid.mset({f"user:{n}": "v" for n in range(120)} | {"order:1:lines": "v", "top": "v"})
    at = open_keys()
    first = set(grid(at, "Stores")["Key"])
    assert len(first) == 50
    second = set(grid(press(at, "keys-next"), "Stores")["Key"])
    assert len(second) == 50 and not first & second
    assert set(grid(press(at, "keys-previous"), "Stores")["Key"]) == first
    at.segmented_control(key="keys-view").set_value("tree").run()
    at = settled(at)
    folders = grid(at, "Folder")
    assert dict(zip(folders["Folder"], folders["Keys"], strict=True)) == {"user:": "120", "order:": "1"}
    assert list(grid(at, "Stores")["Key"]) == ["top"]
    at.session_state["keys-open-prefix"] = "order:"
    assert list(grid(settled(at.run()), "Folder")["Folder"]) == ["1:"]
    assert (at.query_params["view"], at.query_params["prefix"]) == ("tree", "order:")


def test_the_page_is_in_the_address(hybrid: HybridRedis, open_keys: Any, open_page: OpenPage) -> None:
    hybrid.mset({f"user:{n}": "v" for n in range(120)})
    at = press(press(open_keys(), "keys-next"), "keys-next")
    third = set(grid(at, "Stores")["Key"])
    assert len(third) == 20 and at.query_params["page"] == "3"
    assert set(grid(settled(open_page(PAGE, query={"page": "3"})), "Stores")["Key"]) == third
    at = settled(at.text_input(key="keys-pattern").set_value("user:1*").run())
    assert len(grid(at, "Stores")) == 31 and "page" not in at.query_params, "of another search the first"
    del at.query_params["pattern"]
    at.query_params["page"] = "3"
    assert set(grid(settled(at.run()), "Stores")["Key"]) == third, "the browser went back"
    for beyond in ("4", "9" * 5000):
        at = settled(open_page(PAGE, query={"page": beyond}))
        assert set(grid(at, "Stores")["Key"]) == third and at.query_params["page"] == "3"


def test_the_tree_is_cut_where_it_is_said(hybrid: HybridRedis, open_keys: Any) -> None:
    hybrid.mset({"shop/a:1/x": "v", "shop/b": "v", "shop": "v"})
    at = open_keys()
    at = settled(at.segmented_control(key="keys-view").set_value("tree").run())
    assert list(grid(at, "Folder")["Folder"]) == ["shop/a:"]
    at = settled(at.selectbox(key="keys-separator").set_value("/").run())
    assert list(grid(at, "Folder")["Folder"]) == ["shop/"]
    at.session_state["keys-open-prefix"] = "shop/"
    at = settled(at.run())
    assert list(grid(at, "Folder")["Folder"]) == ["a:1/"] and list(grid(at, "Stores")["Key"]) == ["shop/b"]
    assert (at.query_params["separator"], at.query_params["prefix"]) == ("/", "shop/")
    at = settled(at.segmented_control(key="keys-view").set_value("list").run())
    at = settled(at.segmented_control(key="keys-view").set_value("tree").run())
    assert at.selectbox(key="keys-separator").value == "/"
    at = settled(at.selectbox(key="keys-separator").set_value("-").run())
    assert "prefix" not in at.query_params and len(grid(at, "Stores")) == 3


CASES: list[tuple[str, str, str, tuple[Any, ...], Any]] = [
    ("string", "words", "", ("GET", "k"), b"words"),
    ("hash", "f=v\ng=w", "hash", ("HGET", "k", "f"), b"v"),
    ("list", "a\nb", "list", ("LRANGE", "k", 0, -1), [b"a", b"b"]),
    ("set", "a\nb", "set", ("SISMEMBER", "k", "b"), 1),
    ("zset", "a=1.5", "zset", ("ZSCORE", "k", "a"), 1.5),
    ("stream", "f=v", "stream", ("XLEN", "k"), 1),
]


@pytest.mark.parametrize(("kind", "entered", "_name", "command", "reply"), CASES, ids=[case[0] for case in CASES])
def test_every_type_is_created_shown_changed_undone_and_deleted_on_both(
    kind: str,
    entered: str,
    _name: str,
    command: tuple[Any, ...],
    reply: Any,
    hybrid: HybridRedis,
    sides: dict[Store, Any],
    open_keys: Any,
) -> None:
    at = press(open_keys(), "keys-new")
    at.text_input(key="keys-form-name").set_value("k")
    at.selectbox(key="keys-form-kind").set_value(kind)
    at.text_area(key="keys-form-value").set_value(entered)
    at = settled(press(at, "keys-form-save").run())
    assert "Local: written. Cloud: written." in said(at)
    assert values(sides, *command) == [reply, reply]
    assert any("equal" in part.value for part in at.markdown if "badge" in part.value)

    changed = change(at, kind)
    after = values(sides, "DUMP", "k")
    assert "Local: written. Cloud: written." in said(changed)
    assert values(sides, *command) != [reply, reply] or kind in ("hash", "set", "zset")
    changed = press(changed, "keys-undo")
    assert "Taken back" in said(changed)
    assert values(sides, *command) == [reply, reply] and values(sides, "DUMP", "k") != after

    at = press(press(changed, "keys-do-delete"), "keys-form-save")
    assert values(sides, "EXISTS", "k") == [0, 0]
    press(at, "keys-undo")
    assert values(sides, *command) == [reply, reply]


def test_what_follows_once_a_store_is_back_is_told_as_written_then(set_weather: SetWeather) -> None:
    snapshot = set_weather("healthy")
    assert snapshot is not None
    stores = {Store.LOCAL: Reached.WRITTEN, Store.CLOUD: Reached.DOWN}
    edited = actions.EditOutcome(True, "", None, stores, at_s=snapshot.status.taken_at_s - 60)
    assert actions.by_store(edited) == "Local: written. Cloud: written."
    assert actions.by_store(replace(edited, at_s=snapshot.status.taken_at_s)).endswith("gets it when it is back.")
    set_weather("cloud down")
    assert actions.by_store(edited).endswith("gets it when it is back.")


def test_what_was_typed_stays_while_no_store_answers(
    hybrid: HybridRedis, set_weather: SetWeather, open_page: OpenPage, sides: dict[Store, Any]
) -> None:
    hybrid.set("k", "words")
    assert hybrid.wait_in_sync(10)
    at = press(settled(open_page(PAGE, query={"key": "k"})), "keys-edit-text")
    at.text_area(key="keys-form-value-local").set_value("other words").run()
    set_weather("both down")
    at.run()
    assert at.text_area(key="keys-form-value-local").value == "other words"
    assert at.button(key="keys-form-save").disabled
    assert not at.button(key="keys-form-cancel").disabled
    set_weather("healthy")
    at.run()
    assert at.text_area(key="keys-form-value-local").value == "other words"
    press(at, "keys-form-save")
    assert values(sides, "GET", "k") == [b"other words"] * 2


def test_nothing_is_offered_for_a_key_while_no_store_answers(
    hybrid: HybridRedis, set_weather: SetWeather, open_page: OpenPage, text_of: TextOf
) -> None:
    hybrid.set("k", "words")
    assert hybrid.wait_in_sync(10)
    at = settled(open_page(PAGE, query={"key": "k"}))
    offered = [f"keys-do-{name}" for name in ("expire", "rename", "copy", "delete", "commands")]
    for weather, idle in (("both down", True), ("healthy", False)):
        set_weather(weather)
        settled(at.run())
        assert [at.button(key=name).disabled for name in offered] == [idle] * len(offered)
        assert ("Nothing can be changed while no store answers." in text_of(at)) is idle
        assert not at.button(key="keys-close").disabled


def change(at: AppTest, kind: str) -> AppTest:
    """One edit of an existing key, as this type allows it."""
    if kind == "string":
        at = press(at, "keys-edit-text")
        at.text_area(key="keys-form-value-local").set_value("other words").run()
        assert "-words" in at.code[-1].value or any("-words" in code.value for code in at.code)
        return press(at, "keys-form-save")
    at = press(at, "keys-add")
    if kind in ("hash", "set", "zset"):
        at.text_input(key="keys-form-name").set_value("new")
    if kind == "hash":
        at.text_area(key="keys-form-value").set_value("v")
    if kind == "list":
        at.text_area(key="keys-form-value").set_value("z")
    if kind == "zset":
        at.text_input(key="keys-form-score").set_value("7")
    if kind == "stream":
        at.text_area(key="keys-form-value").set_value("more=1")
    return press(at, "keys-form-save")


def test_what_is_empty_is_not_what_is_not_there(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    hybrid.hset("h", mapping={"": "v", "empty": "", "line": "a\n"})
    sides[Store.CLOUD].hdel("h", "empty")
    at = opened_key(open_keys(), "h")
    rows = {row["Field"]: (row["Local"], row["Cloud"]) for row in grid(at, "Field").to_dict("records")}
    assert rows == {'""': ("v", "v"), "empty": ('""', ""), "line": ("a ↵ ", "a ↵ ")}


def test_an_element_is_changed_and_its_value_shown_beside_the_other(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any
) -> None:
    hybrid.hset("h", mapping={"f": "v"})
    sides[Store.CLOUD].hset("h", "f", "drift")
    at = opened_key(open_keys(), "h")
    frame = grid(at, "Field")
    assert list(frame.iloc[0][["Field", "Local", "Cloud", " "]]) == ["f", "v", "drift", "≠"]
    at.session_state["keys-form"] = ("element", queries.Element(b"f", b"v", b"drift"))
    at.run()
    at.text_area(key="keys-form-value").set_value("new").run()
    press(at, "keys-form-save")
    assert values(sides, "HGET", "h", "f") == [b"new", b"new"]


def choose_row(at: AppTest, key: bytes, row: int) -> AppTest:
    """Click a row of the table of elements."""
    [grid_key] = re.findall(rf"keys-elements-{key.hex()}-\S+", " ".join(frame.proto.id for frame in at.dataframe))
    at.session_state[grid_key] = {"selection": {"rows": [], "columns": [], "cells": [[row, "Key"]]}}
    return settled(at.run())


def test_an_element_is_saved_when_the_store_that_was_away_takes_the_writes_again(
    hybrid: HybridRedis, sides: dict[Store, Any], set_weather: SetWeather, open_keys: Any
) -> None:
    hybrid.hset("h", mapping={"f": "v"})
    assert hybrid.wait_in_sync(10)
    set_weather("local down")
    at = press(choose_row(opened_key(open_keys(), "h"), b"h", 0), "keys-edit-element")
    at.text_area(key="keys-form-value").set_value("new").run()
    set_weather("healthy")
    press(settled(at.run()), "keys-form-save")
    assert values(sides, "HGET", "h", "f") == [b"new", b"new"]


def test_a_row_is_no_longer_chosen_when_another_element_stands_there(hybrid: HybridRedis, open_keys: Any) -> None:
    hybrid.hset("h", mapping={"a": "1", "b": "2"})
    at = choose_row(opened_key(open_keys(), "h"), b"h", 0)
    assert not at.button(key="keys-remove-element").disabled
    hybrid.hdel("h", "a")
    hybrid.hset("h", "a", "1")
    at = press(at, "keys-refresh")
    assert list(grid(at, "Field")["Field"]) == ["b", "a"]
    assert at.button(key="keys-remove-element").disabled


def test_pending_entries_of_a_group_are_claimed_and_acknowledged(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any
) -> None:
    for number in (1, 2):
        hybrid.xadd("s", {"f": "v"}, id=f"{number}-0")
    hybrid.xgroup_create("s", "g", "0")
    hybrid.xreadgroup("g", "ann", {"s": ">"})
    assert hybrid.wait_in_sync(5)
    at = opened_key(open_keys(), "s")
    assert not [each for each in at.caption if "entries are listed" in each.value]
    mark_pending(at, 0)
    at = press(at, f"keys-claim-{b'g'.hex()}")
    at.text_input(key="keys-form-name").set_value("bea")
    at = press(at, "keys-form-save")
    assert "Claim entries of group g. Local: written. Cloud: written." in said(at).replace("*", "")
    assert [pending_of(store) for store in sides.values()] == [[("1-0", "bea"), ("2-0", "ann")]] * 2
    mark_pending(at, 1)
    at = press(press(at, f"keys-acknowledge-{b'g'.hex()}"), "keys-form-save")
    assert [pending_of(store) for store in sides.values()] == [[("1-0", "bea")]] * 2
    press(at, "keys-undo")
    assert pending_of(sides[Store.LOCAL]) == [("1-0", "bea"), ("2-0", "ann")]


def test_a_group_is_created_moved_and_deleted(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    for number in (1, 2):
        hybrid.xadd("s", {"f": "v"}, id=f"{number}-0")

    def positions() -> list[list[tuple[bytes, bytes]]]:
        found = [store.xinfo_groups("s") for store in sides.values()]
        return [[(group["name"], group["last-delivered-id"]) for group in groups] for groups in found]

    at = press(opened_key(open_keys(), "s"), "keys-group-create")
    at = press(at, "keys-form-save")
    assert "A group needs a name" in "".join(each.value for each in at.markdown), "said in the form, which stays open"
    at.text_input(key="keys-form-name").set_value("g")
    at = press(at, "keys-form-save")
    assert "Create group g. Local: written. Cloud: written." in said(at).replace("*", "")
    assert positions() == [[(b"g", b"2-0")]] * 2, "new entries only, where nothing else is chosen"
    at = press(at, f"keys-group-move-{b'g'.hex()}")
    at.button_group(key="keys-form-place").set_value("behind").run()
    at.text_input(key="keys-form-entry").set_value("1-0")
    at = press(at, "keys-form-save")
    assert positions() == [[(b"g", b"1-0")]] * 2
    at = press(press(at, f"keys-group-delete-{b'g'.hex()}"), "keys-form-save")
    assert positions() == [[], []]
    press(at, "keys-undo")
    assert positions()[0] == [(b"g", b"1-0")]


def test_a_consumer_is_deleted(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    hybrid.xadd("s", {"f": "v"}, id="1-0")
    hybrid.xgroup_create("s", "g", "0")
    hybrid.xreadgroup("g", "ann", {"s": ">"})
    at = press(opened_key(open_keys(), "s"), f"keys-consumer-delete-{b'g'.hex()}")
    at = press(at, "keys-form-save")
    assert "Delete consumer ann." in said(at).replace("*", "")
    assert [store.xinfo_consumers("s", "g") for store in sides.values()] == [[], []]


def test_a_list_of_pending_entries_that_is_cut_says_so(hybrid: HybridRedis, open_keys: Any) -> None:
    for number in range(1, 102):
        hybrid.xadd("s", {"f": "v"}, id=f"{number}-0")
    hybrid.xgroup_create("s", "g", "0")
    hybrid.xreadgroup("g", "ann", {"s": ">"})
    assert hybrid.wait_in_sync(5)
    captions = [each.value for each in opened_key(open_keys(), "s").caption]
    assert "Only the first 100 entries are listed." in captions


def mark_pending(at: AppTest, row: int) -> None:
    table = next(frame for frame in at.dataframe if str(frame.key).startswith("keys-pending-local"))
    at.session_state[table.key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    at.run()


def pending_of(store: Any) -> list[tuple[str, str]]:
    return [
        (entry["message_id"].decode(), entry["consumer"].decode())
        for entry in store.xpending_range("s", "g", "-", "+", 10)
    ]


def test_a_renamed_key_stays_open(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    hybrid.set("old", "v")
    at = press(opened_key(open_keys(), "old"), "keys-do-rename")
    at.text_input(key="keys-form-name").set_value("new")
    at = press(at, "keys-form-save")
    assert at.session_state["keys-open-key"] == "new"
    assert values(sides, "GET", "new") == [b"v", b"v"]
    at = press(press(at, "keys-do-delete"), "keys-form-save")
    assert at.session_state["keys-open-key"] == ""


def test_a_key_is_copied_and_its_copy_opened(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    hybrid.set("k", "v", ex=1000)
    at = press(opened_key(open_keys(), "k"), "keys-do-copy")
    at.text_input(key="keys-form-name").set_value("k:copy")
    at = press(at, "keys-form-save")
    assert "Copy the key. Local: written. Cloud: written." in said(at).replace("*", "")
    assert at.session_state["keys-open-key"] == "k:copy"
    assert values(sides, "GET", "k:copy") == [b"v", b"v"] and all(ttl > 900 for ttl in values(sides, "TTL", "k:copy"))
    press(at, "keys-undo")
    assert values(sides, "EXISTS", "k", "k:copy") == [1, 1]


@pytest.mark.parametrize(
    ("kind", "first", "last"), [("list", "0", "-1"), ("zset", "m0", "m149"), ("stream", "1-0", "150-0")]
)
def test_the_last_elements_can_come_first(
    kind: str, first: str, last: str, hybrid: HybridRedis, open_keys: Any
) -> None:
    match kind:
        case "list":
            hybrid.rpush("k", *range(150))
        case "zset":
            hybrid.zadd("k", {f"m{n}": n for n in range(150)})
        case _:
            for n in range(150):
                hybrid.xadd("k", {"f": n}, id=f"{n + 1}-0")
    at = opened_key(open_keys(), "k")
    column = {"list": "Index", "zset": "Member", "stream": "Entry"}[kind]
    assert grid(at, column)[column].iloc[0] == first
    at = press(at, "keys-more")
    at = settled(at.segmented_control(key=f"keys-order-{kind}").set_value(True).run())
    assert grid(at, column)[column].iloc[0] == last and at.button(key="keys-back").disabled
    assert len(grid(press(at, "keys-more"), column)) == 50


def test_members_are_found_by_their_scores(hybrid: HybridRedis, open_keys: Any, text_of: TextOf) -> None:
    hybrid.zadd("k", {f"m{number:02}": number for number in range(40)})
    assert hybrid.wait_in_sync(10)
    at = opened_key(open_keys(), "k")
    at.text_input(key="keys-score-least").set_value("10").run()
    at = settled(at.text_input(key="keys-score-most").set_value("12").run())
    assert list(grid(at, "Member")["Member"]) == ["m10", "m11", "m12"]
    at = settled(at.segmented_control(key="keys-order-zset").set_value(True).run())
    assert list(grid(at, "Member")["Member"]) == ["m12", "m11", "m10"]
    at = settled(at.text_input(key="keys-score-most").set_value("a dozen").run())
    assert "“a dozen” is no number." in text_of(at) and len(grid(at, "Member")) == 40
    at = settled(at.text_input(key="keys-score-most").set_value("").run())
    assert len(grid(at, "Member")) == 30


def test_items_of_a_list_are_found_and_said_how_many_were_looked_at(
    hybrid: HybridRedis, open_keys: Any, text_of: TextOf
) -> None:
    hybrid.rpush("k", *(f"{number} {'error' if number % 3 == 0 else 'ok'}" for number in range(600)))
    assert hybrid.wait_in_sync(10)
    at = opened_key(open_keys(), "k")
    at = settled(at.text_input(key="keys-match").set_value("*error").run())
    found = grid(at, "Index")
    assert list(found["Index"][:2]) == ["0", "3"] and list(found["Local"][:2]) == ["0 error", "3 error"]
    assert "about 298 elements looked at" in text_of(at) and at.segmented_control(key="keys-order-list").disabled
    assert list(grid(press(at, "keys-more"), "Index")["Index"][:1]) == ["300"]
    at = settled(at.text_input(key="keys-match").set_value("*warning*").run())
    assert "No elements here." in text_of(at)


def test_a_stale_form_changes_nothing(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    hybrid.set("k", "old")
    at = press(opened_key(open_keys(), "k"), "keys-edit-text")
    hybrid.set("k", "by another")
    at.text_area(key="keys-form-value-local").set_value("mine").run()
    at = press(at, "keys-form-save")
    assert "another one by now" in said(at)
    assert "another one by now" in at.get_by_key("keys-form-box").markdown[-1].value, "in sight on a phone, too"
    assert values(sides, "GET", "k") == [b"by another", b"by another"]
    assert not [text for text in press(at, "keys-form-cancel").markdown if "another one by now" in text.value]


@pytest.mark.parametrize("make", [("HSET", "k", "f", "v"), ("SADD", "k", "m"), ("ZADD", "k", 1, "m")])
def test_nothing_without_a_name_is_added(make: tuple[Any, ...], hybrid: HybridRedis, open_keys: Any) -> None:
    hybrid.execute_command(*make)
    at = press(press(opened_key(open_keys(), "k"), "keys-add"), "keys-form-save")
    assert "Write a name first" in said(at)


def test_an_undo_that_failed_can_be_tried_again(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    hybrid.set("k", "old")
    at = press(opened_key(open_keys(), "k"), "keys-edit-text")
    at.text_area(key="keys-form-value-local").set_value("new").run()
    at = press(at, "keys-form-save")
    hybrid.set("k", "by another")
    at = press(at, "keys-undo")
    assert "was changed again since" in said(at)
    hybrid.set("k", "new")
    at = press(at, "keys-undo")
    assert "Taken back" in said(at)
    assert values(sides, "GET", "k") == [b"old", b"old"]


def test_values_are_taken_apart_and_never_run(hybrid: HybridRedis, open_keys: Any, text_of: TextOf) -> None:
    hybrid.set("p", b"\x80\x04\x95\x18\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94\x8c\x05print\x94\x93\x94)R\x94.")
    hybrid.set("long", "x" * 300_000)
    at = opened_key(open_keys(), "p")
    assert any("<builtins.print>" in code.value for code in at.code)
    assert "taken apart, not run" in text_of(at)
    at = opened_key(at, "long")
    assert any("Part of 10" in number.label for number in at.number_input)


def test_what_does_not_show_its_format_is_shown_in_the_one_that_is_chosen(
    hybrid: HybridRedis, open_keys: Any, text_of: TextOf
) -> None:
    document = b'{"name": "Ana"}'
    hybrid.set("java", b"\xac\xed\x00\x05sr\x00\x04User" + bytes(8) + b"\x02\x00\x01I\x00\x03agexp\x00\x00\x00\x1e")
    for name in ("zstd", "lz4", "snappy", "brotli"):
        hybrid.set(name, bytes(getattr(cramjam, name).compress(document)))
    hybrid.set("raw", bytes(cramjam.snappy.compress_raw(document)))
    hybrid.set("message", b"\x08\x96\x01\x12\x03Ana")
    at = open_keys()
    for key, form, shown, told in (
        ("java", "", '"age": 30', "taken apart, not run"),
        ("zstd", "", '"name": "Ana"', "decompressed from zstd"),
        ("lz4", "", '"name": "Ana"', "decompressed from lz4"),
        ("snappy", "", '"name": "Ana"', "decompressed from snappy"),
        ("raw", Packing.SNAPPY, '"name": "Ana"', "decompressed from snappy"),
        ("brotli", Packing.BROTLI, '"name": "Ana"', "decompressed from brotli"),
        ("message", Form.PROTOBUF, '"2": "Ana"', "Protobuf"),
        ("message", Packing.BROTLI, "08 96 01", "It is no brotli"),
        ("java", Form.PROTOBUF, "User", "It is no Protobuf"),
    ):
        at = opened_key(at, key)
        at = settled(at.selectbox(key="keys-show-as").set_value(form).run())
        assert any(shown in code.value for code in at.code), (key, form)
        assert told in text_of(at), (key, form)


def test_the_chosen_row_is_shown_whole_as_it_is_read_best(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any, text_of: TextOf
) -> None:
    hybrid.hset("job", mapping={"data": gzip.compress(b'{"a": [1, 2]}')})
    hybrid.zadd("due", {'{"id": 7}': 1.0})
    hybrid.xadd("events", {"what": "a b", "who": "c"}, id="1-0")
    sides[Store.CLOUD].xdel("events", "1-0")
    at = open_keys()
    for key, shown in (("job", '"a": ['), ("due", '"id": 7'), ("events", "what=a b\nwho=c")):
        at = opened_key(at, key)
        assert not any(shown in code.value for code in at.code)
        at = choose_row(at, key.encode(), 0)
        assert any(shown in code.value for code in at.code), key
    assert grid(at, "Entry").iloc[0]["Local"] == "what=a b ↵ who=c"
    at.selectbox(key="keys-show-element-as").set_value(Form.BITS).run()
    assert any("01110111" in code.value for code in at.code)


def test_a_value_is_downloaded_as_it_is_stored(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[tuple[Any, str]] = []

    def button(_label: str, data: Callable[[], bytes], name: str, *_: Any, **_options: Any) -> None:
        offered.append((data(), name))

    monkeypatch.setattr(st, "download_button", button)
    hybrid.set("a/b", '{"a": 1}')
    hybrid.set("long", "x" * 300_000)
    hybrid.set("differs", b"\x00\xff")
    sides[Store.CLOUD].set("differs", "text")

    def offers(key: str) -> set[tuple[Any, str]]:
        opened_key(open_keys("viewer"), key)
        found = set(offered)
        offered.clear()
        return found

    assert offers("a/b") == {(b'{"a": 1}', "a_b.json")}
    assert offers("differs") == {(b"\x00\xff", "differs.local.bin"), (b"text", "differs.cloud.txt")}
    assert offers("long") == {(b"x" * 300_000, "long.local.txt"), (b"x" * 300_000, "long.cloud.txt")}


def test_what_is_compressed_or_messagepack_is_edited_as_text(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    hybrid.set("k", gzip.compress(b'{"name": "Ana"}'))
    hybrid.hset("h", "f", msgpack.packb({"name": "Ana"}))  # type: ignore[arg-type]
    assert hybrid.wait_in_sync(10)
    at = press(opened_key(open_keys(), "k"), "keys-edit-text")
    assert at.text_area(key="keys-form-value-local").value == '{"name": "Ana"}'
    assert "Written back the way it was stored: gzip." in text_of(at)
    at.text_area(key="keys-form-value-local").set_value('{"name": "Bea"}').run()
    assert any('+{"name": "Bea"}' in code.value for code in at.code)
    at = press(at, "keys-form-save")
    assert [gzip.decompress(value) for value in values(sides, "GET", "k")] == [b'{"name": "Bea"}'] * 2
    at = press(at, "keys-undo")
    assert [gzip.decompress(value) for value in values(sides, "GET", "k")] == [b'{"name": "Ana"}'] * 2

    monkeypatch.setattr(collectionview, "clicked", lambda _selection, _rows: 0)
    at = press(opened_key(at, "h"), "keys-edit-element")
    assert at.text_area(key="keys-form-value").value == '{\n  "name": "Ana"\n}'
    assert "Written back the way it was stored: MessagePack." in text_of(at)
    at.text_area(key="keys-form-value").set_value("{name}").run()
    at = press(at, "keys-form-save")
    assert "It is no json" in said(at)
    at.text_area(key="keys-form-value").set_value('{"name": "Bea"}').run()
    press(at, "keys-form-save")
    assert [msgpack.unpackb(value) for value in values(sides, "HGET", "h", "f")] == [{"name": "Bea"}] * 2


def upload(at: AppTest, content: bytes) -> AppTest:
    return at.file_uploader(key="keys-form-file").set_value(("any.bin", content, "application/octet-stream")).run()


def test_a_file_becomes_the_value_on_both(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any) -> None:
    content = bytes(range(256)) * 4096
    at = press(open_keys(), "keys-new")
    at.text_input(key="keys-form-name").set_value("k")
    at = press(upload(at, content), "keys-form-save")
    assert values(sides, "GET", "k") == [content] * 2

    hybrid.expire("k", 5000)
    assert hybrid.wait_in_sync(5)
    at = press(opened_key(at, "k"), "keys-edit-file")
    assert "Choose a file first" in said(press(at, "keys-form-save"))
    at = press(upload(at, b"short"), "keys-form-save")
    assert "Local: written. Cloud: written." in said(at)
    assert values(sides, "GET", "k") == [b"short"] * 2 and min(values(sides, "TTL", "k")) > 4000
    at = press(at, "keys-undo")
    assert values(sides, "GET", "k") == [content] * 2

    at = press(press(at, "keys-refresh"), "keys-edit-file")  # it is long, so its length was seen
    hybrid.append("k", "x")
    assert hybrid.wait_in_sync(5)
    at = press(upload(at, b"stale"), "keys-form-save")
    assert "another one by now" in said(at) and values(sides, "STRLEN", "k") == [len(content) + 1] * 2


def test_a_file_that_is_too_large_is_refused_and_so_is_who_may_not_change(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(10)
    monkeypatch.setattr(entries, "MOST_FILE_MB", 1)
    at = press(opened_key(open_keys(), "k"), "keys-edit-file")
    assert at.file_uploader(key="keys-form-file").proto.max_upload_size_mb == 1
    at = press(upload(at, b"x" * 1_500_000), "keys-form-save")  # as a browser would that heeds no limit
    assert "The file has 1.43 MB; a value may have 1.00 MB." in said(at)
    at = upload(at, b"short")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(panel_actions, "is_read_only", lambda: True)
        assert "read-only" in said(press(at, "keys-form-save"))
    assert opened_key(open_keys("viewer"), "k").button(key="keys-edit-file").disabled
    assert values(sides, "GET", "k") == [b"v"] * 2


def test_a_large_document_is_not_read_to_be_shown(
    server_pool: Pool, panel_process: PanelProcess, set_weather: SetWeather, monkeypatch: pytest.MonkeyPatch,
    open_keys: Callable[..., AppTest], text_of: TextOf,
) -> None:  # fmt: skip
    urls = [server_pool.get("redis-7.4", role).url for role in ("local", "cloud")]
    monkeypatch.setattr(detailview, "MOST_SHOWN", 20_000)
    with HybridRedis.from_urls(*urls, local_timeout_s=3.0, cloud_timeout_s=3.0, sync_enabled=False) as hybrid:
        hybrid.start()
        panel_process.agent = types.SimpleNamespace(client=hybrid, inquire=lambda: None)  # type: ignore[assignment]
        set_weather("healthy")
        hybrid.json().set("small", "$", {"a": 1})
        hybrid.json().set("large", "$", {"items": ["x" * 100] * 500})
        assert hybrid.wait_in_sync(10)
        assert any('"a": 1' in code.value for code in opened_key(open_keys(), "small").code)
        at = opened_key(open_keys(), "large")
        assert "JSON.GET large" in text_of(at) and not any("xxx" in code.value for code in at.code)
        assert queries.whole_document(b"large", Store.CLOUD).count(b"x") == 50_000


def test_a_key_that_only_the_other_store_has_is_deleted_there(
    hybrid: HybridRedis, open_keys: Callable[..., AppTest], text_of: TextOf, sides: dict[Store, Any]
) -> None:
    sides[Store.CLOUD].set("k", "stray")
    at = opened_key(open_keys(), "k")
    assert "Only the cloud store has this key" in text_of(at)
    assert all(at.button(key=f"keys-{what}").disabled for what in ("do-expire", "do-rename", "edit-text", "edit-file"))
    at = press(press(at, "keys-do-delete"), "keys-form-save")
    assert not sides[Store.CLOUD].exists("k")
    press(at, "keys-undo")
    assert [store.get("k") for store in sides.values()] == [b"stray", b"stray"]


@pytest.mark.parametrize("command", [("SADD", "k", "m"), ("SET", "k", "text"), ("XADD", "k", "*", "f", "v")])
def test_values_of_two_types_are_shown_one_at_a_time(
    command: tuple[str, ...],
    hybrid: HybridRedis,
    sides: dict[Store, Any],
    open_keys: Callable[..., AppTest],
    text_of: TextOf,
) -> None:
    sides[Store.LOCAL].zadd("k", {"member": 1})
    sides[Store.CLOUD].execute_command(*command)
    at = opened_key(open_keys(), "k")
    assert "The types differ" in text_of(at)
    assert list(grid(at, "Member")["Local"]) == ["1"] and not at.button(key="keys-add").disabled
    at.segmented_control(key="keys-whose").set_value(Store.CLOUD)
    settled(at.run())
    assert not [frame for frame in at.dataframe if "Local" in frame.value.columns]
    changing = ("keys-add", "keys-edit-text", "keys-edit-file")
    assert all(button.disabled for button in at.button if button.key in changing)


def test_a_key_that_no_store_has_is_not_changed(hybrid: HybridRedis, open_keys: Callable[..., AppTest]) -> None:
    at = opened_key(open_keys(), "gone")
    assert all(at.button(key=f"keys-do-{what}").disabled for what in ("expire", "rename", "copy", "delete", "commands"))


def test_many_keys_are_found_counted_exported_and_deleted(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any, panel_process: PanelProcess, text_of: TextOf
) -> None:
    hybrid.mset({f"a:{n}": "v" for n in range(30)} | {"keep": "v"})
    at = open_keys()
    at.text_input(key="keys-pattern").set_value("a:*").run()
    press(at, "keys-collect")
    assert panel_process.jobs.of(bulkactions.COLLECT_JOB)[0].wait(10)
    at = settled(at.run())
    assert "**30 keys**" in text_of(at)
    press(at, "keys-export-go-matching")
    job = panel_process.jobs.of(bulkactions.EXPORT_JOB)[0]
    assert job.wait(10) and (job.result.count, job.result.store) == (30, Store.LOCAL)
    press(at, "keys-delete-go-matching")
    assert values(sides, "DBSIZE")[0] > 30  # the button only asks
    at.text_input(key="keys-rename-old-matching").set_value("a:")
    at.text_input(key="keys-rename-new-matching").set_value("b:").run()
    assert "30 keys get another name" in text_of(at)
    press(at, "keys-rename-go-matching")
    assert panel_process.jobs.of(bulkactions.BULK_JOB)[0].wait(10)
    text = text_of(settled(at.run()))
    assert "No key matches these filters." in text
    assert "**30 keys**" not in text  # under names that are gone


def test_what_is_exported_is_of_the_store_that_was_chosen(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: Any, panel_process: PanelProcess, text_of: TextOf
) -> None:
    for store, value in zip(Store, ("here", "there"), strict=True):
        sides[store].set("a:1", value)
    sides[Store.LOCAL].set("a:2", "here")
    at = open_keys()
    at.text_input(key="keys-pattern").set_value("a:*").run()
    press(at, "keys-collect")
    assert panel_process.jobs.of(bulkactions.COLLECT_JOB)[0].wait(10)
    at = settled(at.run())
    at.selectbox(key="keys-export-from-matching-local").set_value(Store.CLOUD).run()
    press(at, "keys-export-go-matching")
    job = panel_process.jobs.of(bulkactions.EXPORT_JOB)[0]
    assert job.wait(10) and job.result.content.splitlines()[0].endswith(b'"there"}')
    assert "Export keys of the cloud store** 1 key, 1 not there" in text_of(settled(at.run()))


def test_a_viewer_looks_and_changes_nothing(
    hybrid: HybridRedis, open_keys: Any, monkeypatch: pytest.MonkeyPatch, text_of: TextOf
) -> None:
    hybrid.set("k", "v")
    hybrid.hset("h", "f", "v")
    hybrid.xadd("x", {"f": "v"})
    hybrid.xgroup_create("x", "g", "0")
    hybrid.xreadgroup("g", "ann", {"x": ">"})
    for key in ("h", "x"):
        told = text_of(opened_key(open_keys("viewer"), key))
        assert "Choose a row to change it." not in told and "Mark " not in told
    assert "2 pending" not in told and "1 pending; consumers: ann" in told
    at = opened_key(open_keys("viewer"), "k")
    for key in ("keys-new", "keys-do-delete", "keys-do-rename", "keys-edit-text", "keys-collect"):
        assert at.button(key=key).disabled
    monkeypatch.setattr(st, "user", {"name": "v", "role": "viewer"})
    for act in (
        lambda: actions.apply(queries.edits.delete_key(b"k", "string")),
        lambda: bulkactions.start_delete([b"k"]),
        lambda: bulkactions.start_import(io.BytesIO().getvalue(), queries.Conflict.SKIP, preview=False),
    ):
        with pytest.raises(panel_actions.NotAllowed):
            act()
    assert hybrid.get("k") == "v"


def test_bulk_changes_run_on_both_and_are_audited(
    hybrid: HybridRedis, sides: dict[Store, Any], panel_process: PanelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(st, "user", {"name": "ann", "role": "operator"})
    hybrid.mset({f"a:{n}": "v" for n in range(30)})
    assert bulkactions.start_expire([b"a:1", b"a:2"], 600).done
    assert panel_process.jobs.of(bulkactions.BULK_JOB)[0].wait(10)
    assert hybrid.wait_in_sync(5)
    assert all(0 < left <= 600 for left in values(sides, "TTL", "a:1"))
    bulkactions.start_delete([f"a:{n}".encode() for n in range(30)])
    job = panel_process.jobs.of(bulkactions.BULK_JOB)[0]
    assert job.wait(10) and job.summary == "30 deleted"
    assert hybrid.wait_in_sync(5)
    assert values(sides, "EXISTS", "a:1") == [0, 0]
    bulkactions.start_undo(job.noted("undo"))
    assert panel_process.jobs.of(bulkactions.BULK_JOB)[0].wait(10)
    assert hybrid.wait_in_sync(5)
    assert values(sides, "EXISTS", "a:1") == [1, 1]
    bulkactions.start_rename([b"a:1", b"a:2"], "a:", "b:")
    assert panel_process.jobs.of(bulkactions.BULK_JOB)[0].wait(10)
    assert hybrid.wait_in_sync(5) and values(sides, "EXISTS", "b:1") == [1, 1]
    assert any("Delete 30 keys" in line.what and line.author == "ann" for line in hybrid.live.audit.history(10))
    line = b'{"key":"new","type":"string","expires_at_ms":null,"value":"v"}\n'
    for preview, there in ((True, 0), (False, 1)):
        bulkactions.start_import(line, queries.Conflict.SKIP, preview=preview)
        assert panel_process.jobs.of(bulkactions.IMPORT_JOB)[0].wait(10)
        assert hybrid.exists("new") == there


@pytest.mark.parametrize(
    ("weather", "sentence"),
    [
        ("local down", "only keys of the cloud store are shown"),
        ("cloud down", "only keys of the local store are shown"),
        ("local down, not missed", "Changes go to the cloud store; the local store follows"),
        ("local only, local down", "Nothing can be changed: no store takes writes"),
        ("local only, cloud down", "Changes go to the local store alone"),
        ("both down", "no key can be shown or changed"),
        ("wiped, other down", "No store can serve"),
        ("catching up", "catching up since"),
        ("starting", "The panel is starting"),
        ("no cloud", "There is one store only"),
    ],
)
def test_every_weather_is_said(
    weather: str, sentence: str, hybrid: HybridRedis, set_weather: SetWeather, open_keys: Any, text_of: TextOf
) -> None:
    hybrid.set("k", "v")
    set_weather(weather)
    at = settled(open_keys().run())
    assert sentence in text_of(at)
    if weather in ("local down", "cloud down"):
        assert list(grid(at, "Stores")["Stores"]) == [["? unknown"]]
    if weather in ("both down", "wiped, other down"):
        assert "There are no keys yet" not in text_of(at)
        assert not [frame for frame in at.dataframe if "Stores" in frame.value.columns]


def test_a_key_can_be_changed_while_the_store_that_takes_writes_is_down(
    hybrid: HybridRedis, set_weather: SetWeather, open_keys: Any, text_of: TextOf
) -> None:
    """Nobody has written since, so the authority has not moved yet: it does with the first write."""
    hybrid.set("k", "v")
    set_weather("local down, not missed")
    at = opened_key(open_keys(), "k")
    assert "Only the cloud store has this key" not in text_of(at)
    assert not any(at.button(key=f"keys-do-{what}").disabled for what in ("expire", "rename", "delete"))
    assert not at.button(key="keys-edit-text").disabled


def test_what_was_typed_stays_when_the_other_store_takes_over(
    hybrid: HybridRedis, set_weather: SetWeather, open_keys: Any
) -> None:
    hybrid.set("k", "v")
    assert hybrid.wait_in_sync(5)
    set_weather("healthy")
    at = press(opened_key(open_keys(), "k"), "keys-edit-text")
    [area] = [area for area in at.text_area if area.label == "Value"]
    area.set_value("typed").run()
    set_weather("local down")
    at = settled(at.run())
    assert [area.value for area in at.text_area if area.label == "Value"] == ["typed"]


def test_an_empty_list_says_why(hybrid: HybridRedis, open_keys: Any, text_of: TextOf) -> None:
    at = open_keys()
    assert "There are no keys yet" in text_of(at)
    at.text_input(key="keys-pattern").set_value("nobody").run()
    assert "no key of this name" in text_of(settled(at))
    at = press(at, "keys-wider")
    assert at.text_input(key="keys-pattern").value == "*nobody*"
    assert "No key matches" in text_of(at)
