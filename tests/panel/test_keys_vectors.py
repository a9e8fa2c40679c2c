"""Vector sets on the page Keys: what they say of themselves, their elements, and changes on both stores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from keys_page import grid, opened_key, press, said, settled, values
from servers import Pool, Stores
from streamlit.testing.v1 import AppTest

from hybrid import HybridRedis
from hybrid.ops.keys import vectors
from hybrid.types import Store
from panel.keys import bulkactions, collectionview
from panel.process import PanelProcess

OpenKeys = Callable[..., AppTest]


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-8.2", "local"), server_pool.get("redis-8.2", "cloud"))


def add(store: Any, name: str, *numbers: float) -> None:
    store.execute_command("VADD", "k", "VALUES", len(numbers), *numbers, name, "NOQUANT")


def elements(at: AppTest) -> list[str]:
    return list(grid(at, "Element")["Element"])


def test_a_vector_set_is_created_changed_and_deleted_on_both(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, monkeypatch: pytest.MonkeyPatch, text_of: Any
) -> None:
    at = press(open_keys(), "keys-new")
    at.text_input(key="keys-form-name").set_value("k")
    at.selectbox(key="keys-form-kind").set_value("vectorset")
    at.text_area(key="keys-form-value").set_value("up=0, 2\nright\t[3 0]")
    at = settled(press(at, "keys-form-save").run())
    assert "Create a vector set. Local: written. Cloud: written." in said(at).replace("**", "")
    assert "It cannot be taken back" in text_of(at)
    assert "2 dimensions · kept as int8 · up to 16 links" in text_of(at)

    at = press(at, "keys-add")
    assert at.text_area(key="keys-form-value").label == "Vector: 2 numbers"
    at.text_input(key="keys-form-name").set_value("left")
    at.text_area(key="keys-form-value").set_value("[-1.5, 0]")
    at.text_area(key="keys-form-attributes").set_value("no JSON")
    at = press(at, "keys-form-save")
    assert "This is no JSON" in said(at)
    at.text_area(key="keys-form-attributes").set_value('{"year": 1990}')
    at = press(at, "keys-form-save")
    assert values(sides, "VGETATTR", "k", "left") == [b'{"year": 1990}'] * 2
    rows = {row["Element"]: row for _, row in grid(at, "Element").iterrows()}
    assert rows["left"]["Cloud"] == '{"year": 1990} ↵ [-1.5, 0]'

    names = elements(at)
    monkeypatch.setattr(collectionview, "clicked", lambda _selection, _rows: names.index("left"))
    at = settled(at.run())
    assert set(grid(at, "Similarity")["Element"]) == {"up", "right"}
    at = press(at, "keys-edit-element")
    at.text_area(key="keys-form-value").set_value("")
    at = press(at, "keys-form-save")
    assert values(sides, "VGETATTR", "k", "left") == [None, None]
    at = press(press(at, "keys-remove-element"), "keys-form-save")
    assert values(sides, "VISMEMBER", "k", "left") == [0, 0]
    monkeypatch.setattr(collectionview, "clicked", lambda _selection, _rows: None)

    at = press(press(at, "keys-do-delete"), "keys-form-save")
    assert values(sides, "EXISTS", "k") == [0, 0]
    press(at, "keys-undo")
    assert values(sides, "VCARD", "k") == [2, 2]


def test_what_differs_is_marked_and_never_called_equal(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, text_of: Any
) -> None:
    for store in sides.values():
        add(store, "same", 1, 0)
    add(sides[Store.LOCAL], "apart", 1, 1)
    add(sides[Store.CLOUD], "apart", 1, 2)
    at = open_keys()
    [(_, row)] = grid(settled(at.run()), "Stores").iterrows()
    assert (row["Type"], row["Stores"]) == ("vector set", ["? unknown"])
    at = opened_key(at, "k")
    rows = grid(at, "Element")
    assert dict(zip(rows["Element"], rows[" "], strict=True)) == {"apart": "≠", "same": ""}
    assert "Values of this type are not compared; both are 2 long" in text_of(at)


def test_elements_that_were_drawn_are_told_as_such(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, text_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "DRAWN", 10)
    for store in sides.values():
        for number in range(40):
            add(store, f"e{number:02}", 1, number)
    at = opened_key(open_keys(), "k")
    first = elements(at)
    assert len(first) == 25 and "25 elements, drawn by the server" in text_of(at)
    assert any(elements(press(at, "keys-draw")) != first for _ in range(5))
    at.text_input(key="keys-match").set_value("e07").run()
    assert elements(settled(at)) == ["e07"]


def test_elements_are_searched_by_a_vector(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, text_of: Any
) -> None:
    for store in sides.values():
        for name, numbers in (("a", (1, 0)), ("b", (1, 1)), ("c", (0, 1))):
            add(store, name, *numbers)
    at = opened_key(open_keys("viewer"), "k")
    at = settled(at.text_area(key="keys-vector").set_value("[2, 0.1]").run())
    assert list(grid(at, "Similarity")["Element"]) == ["a", "b", "c"]
    at = settled(at.text_input(key="keys-vector-where").set_value(".year > 1980").run())
    assert "There is no other element." in text_of(at)
    at = settled(at.text_area(key="keys-vector").set_value("[2, far]").run())
    assert "“far” is no number." in text_of(at)
    at = settled(at.text_area(key="keys-vector").set_value("1, 2, 3").run())
    assert "The local store refuses" in text_of(at)


def test_one_store_is_enough_to_look(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, set_weather: Any
) -> None:
    for store in sides.values():
        for name, numbers in (("a", (1, 0)), ("b", (1, 1))):
            add(store, name, *numbers)
    set_weather("cloud down")
    at = opened_key(open_keys(), "k")
    assert list(grid(at, "Element").columns) == ["Element", "Local"]
    at = settled(at.text_area(key="keys-vector").set_value("1 0").run())
    assert list(grid(at, "Similarity")["Element"]) == ["a", "b"]
    set_weather("local down")
    at = opened_key(at, "k")
    assert list(grid(at, "Element").columns) == ["Element", "Cloud"]


def test_a_viewer_looks_and_changes_nothing(hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys) -> None:
    for store in sides.values():
        add(store, "same", 1, 0)
    at = opened_key(open_keys("viewer"), "k")
    assert elements(at) == ["same"]
    assert all(at.button(key=f"keys-{name}").disabled for name in ("add", "edit-element", "remove-element"))


def test_an_export_leaves_out_what_no_file_holds_and_says_so(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, panel_process: PanelProcess, text_of: Any
) -> None:
    add(hybrid, "up", 0, 1)
    hybrid.mset({"a": "1", "b": "2"})
    at = press(open_keys(), "keys-collect")
    assert panel_process.jobs.of(bulkactions.COLLECT_JOB)[0].wait(10)
    at = press(settled(at.run()), "keys-export-go-matching")
    job = panel_process.jobs.of(bulkactions.EXPORT_JOB)[0]
    assert job.wait(10) and len(job.result.content.splitlines()) == 2
    assert "2 keys, 1 of a type that no file holds" in text_of(settled(at.run()))
