"""Time series on the page Keys: what they say of themselves, their samples and chart, and changes on both stores."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from keys_page import grid, opened_key, press, said, settled, values
from servers import Pool, Stores
from streamlit.testing.v1 import AppTest

from hybrid import HybridRedis
from hybrid.types import Store
from panel.keys import collectionview, seriesview

OpenKeys = Callable[..., AppTest]


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud"))


def test_a_series_is_created_changed_and_deleted_on_both(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = press(open_keys(), "keys-new")
    at.text_input(key="keys-form-name").set_value("k")
    at.selectbox(key="keys-form-kind").set_value("TSDB-TYPE")
    at.text_area(key="keys-form-value").set_value("yesterday=1")
    at = press(at, "keys-form-save")
    assert "is no moment" in said(at)
    at.text_area(key="keys-form-value").set_value("1000=1.5\n2000\t-2e3")
    at = settled(press(at, "keys-form-save").run())
    assert "Create a time series. Local: written. Cloud: written." in said(at).replace("**", "")
    assert list(grid(at, "Unix ms")["Cloud"]) == ["1.5", "-2000"]

    at = press(at, "keys-add")
    at.text_input(key="keys-form-score").set_value("0.25")
    before_ms = int(time.time() * 1000)
    at = press(at, "keys-form-save")
    for at_ms, value in values(sides, "TS.GET", "k"):
        assert before_ms <= at_ms <= time.time() * 1000 and float(value) == 0.25

    monkeypatch.setattr(collectionview, "clicked", lambda _selection, _rows: 0)
    at = press(settled(at.run()), "keys-edit-element")
    at.text_input(key="keys-form-score").set_value("7")
    at = press(at, "keys-form-save")
    assert values(sides, "TS.RANGE", "k", 1000, 1000) == [[[1000, 7.0]]] * 2
    at = press(press(at, "keys-remove-element"), "keys-form-save")
    assert values(sides, "TS.RANGE", "k", 1000, 1000) == [[], []]

    at = press(press(at, "keys-do-delete"), "keys-form-save")
    assert values(sides, "EXISTS", "k") == [0, 0]
    press(at, "keys-undo")
    assert [len(found) for found in values(sides, "TS.RANGE", "k", "-", "+")] == [2, 2]


def test_each_store_says_what_it_is_and_both_are_drawn(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, text_of: Any
) -> None:
    local, cloud = sides.values()
    local.execute_command("TS.CREATE", "k", "RETENTION", 60_000, "DUPLICATE_POLICY", "MAX", "LABELS", "room", "kitchen")
    cloud.execute_command("TS.CREATE", "k")
    for store, times in ((local, (1000, 2000, 3000)), (cloud, (1000, 2500))):
        for at_ms in times:
            store.execute_command("TS.ADD", "k", at_ms, at_ms / 10)
    at = opened_key(open_keys(), "k")
    told = text_of(at)
    assert "samples are kept for 1 min · of two samples at one time: max" in told and "labels: room=kitchen" in told
    assert "samples are kept for ever · of two samples at one time: as the server says" in told
    assert "1970-01-01 00:00:01.000 to 1970-01-01 00:00:03.000" in told and "The last 3 samples" in told
    rows = grid(at, "Unix ms")
    assert list(rows["Unix ms"]) == ["1000", "2000", "2500", "3000"]
    assert list(rows["Time"])[2] == "1970-01-01 00:00:02.500"
    assert list(rows[" "]) == ["", "≠", "≠", "≠"]
    at = settled(at.segmented_control(key="keys-order-TSDB-TYPE").set_value(True).run())
    assert list(grid(at, "Unix ms")["Unix ms"]) == ["3000", "2500", "2000", "1000"]


def test_one_store_is_enough_to_look(
    hybrid: HybridRedis, sides: dict[Store, Any], open_keys: OpenKeys, set_weather: Any, text_of: Any
) -> None:
    for store in sides.values():
        for at_ms in (1000, 2000):
            store.execute_command("TS.ADD", "k", at_ms, 1)
    set_weather("local down")
    at = opened_key(open_keys(), "k")
    assert list(grid(at, "Unix ms").columns) == ["Time", "Cloud", "Unix ms"]
    assert "The last 2 samples" in text_of(at)


def test_the_chart_has_a_line_for_each_store() -> None:
    samples = {Store.LOCAL: ((1000, 1.0), (2000, 2.0)), Store.CLOUD: ((1000, 1.0),)}
    figure = seriesview.figure(samples)
    local, cloud = figure["series"]
    values, texts = figure["yAxis"]
    assert (values["min"], values["max"], values["interval"]) == (1.0, 2.0, 0.5) and texts["data"] == ["1", "1.5", "2"]
    assert [point[:2] for point in local["data"]] == [[1000, 1.0], [2000, 2.0]] and len(cloud["data"]) == 1
    assert local["lineStyle"]["type"] != cloud["lineStyle"]["type"]


def test_a_moment_beyond_the_calendar_is_not_written_as_a_date() -> None:
    assert seriesview.moment_text(0, "UTC") == "1970-01-01 00:00:00.000"
    assert seriesview.moment_text(2**62, "UTC") == ""


def test_a_chart_of_one_value_has_an_axis() -> None:
    assert seriesview.figure({Store.LOCAL: ((1000, 5.0), (2000, 5.0))})["yAxis"][0]["interval"] == 5.0
