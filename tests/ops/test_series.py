"""Time series in the engine behind the panel: in pages, beside each other, edited on both."""

from __future__ import annotations

from typing import Any

import pytest
from servers import Pool, Stores

from hybrid import HybridRedis
from hybrid.errors import HybridError
from hybrid.ops.keys import (
    Badge,
    Element,
    Lines,
    Rule,
    badge_rows,
    edits,
    put_back,
    quick_rows,
    read_elements,
    read_info,
    read_last_samples,
    read_series_info,
)
from hybrid.ops.keys.edit import Reached, apply_edit
from hybrid.types import Store

BOTH = tuple(Store)
KEY = b"room"
KIND = "TSDB-TYPE"


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud"))


def samples(lines: Lines, **options: Any) -> list[Element]:
    return list(read_elements(lines, BOTH, KEY, KIND, **options).elements)


def test_a_series_is_created_changed_and_deleted_on_both(
    hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    created = apply_edit(hybrid, edits.create_key(KEY, KIND, [b"1000", b"1.5", b"2000", b"0.1"]))
    assert created.stores == dict.fromkeys(Store, Reached.WRITTEN) and created.undo is None
    assert samples(lines) == [Element(b"1000", b"1.5", b"1.5"), Element(b"2000", b"0.1", b"0.1")]
    apply_edit(hybrid, edits.set_sample(KEY, 1000, 1.5, 1e300))
    apply_edit(hybrid, edits.set_sample(KEY, 1500, None, -2.0))
    assert [one.cloud for one in samples(lines)] == [b"1e+300", b"-2", b"0.1"]
    for stale in (
        edits.set_sample(KEY, 1000, 1.5, 3.0),
        edits.set_sample(KEY, 1500, None, 3.0),
        edits.delete_sample(KEY, 1500, 3.0),
    ):
        with pytest.raises(HybridError, match="another one by now"):
            apply_edit(hybrid, stale)
    with pytest.raises(HybridError, match="the server refuses: TSDB"):
        apply_edit(hybrid, edits.create_key(b"twice", KIND, [b"1000", b"1", b"1000", b"2"]))
    assert not any(store.exists("twice") for store in sides.values())
    apply_edit(hybrid, edits.delete_sample(KEY, 1500, -2.0))
    assert [one.name for one in samples(lines)] == [b"1000", b"2000"]
    deleted = apply_edit(hybrid, edits.delete_key(KEY, KIND))
    assert deleted.undo is not None and not any(store.exists(KEY) for store in sides.values())
    put_back(hybrid, deleted.undo)
    assert hybrid.wait_in_sync(5)
    assert [one.name for one in samples(lines)] == [b"1000", b"2000"] and all(one.same for one in samples(lines))


def test_a_series_says_what_it_is(lines: Lines, sides: dict[Store, Any]) -> None:
    local, cloud = sides.values()
    local.execute_command(
        "TS.CREATE", KEY, "RETENTION", 60_000, "DUPLICATE_POLICY", "MAX", "CHUNK_SIZE", 128, "LABELS", "floor", "2"
    )
    local.execute_command("TS.CREATE", "hourly")
    local.execute_command("TS.CREATERULE", KEY, "hourly", "AGGREGATION", "avg", 3_600_000)
    cloud.execute_command("TS.CREATE", KEY)
    local.execute_command("TS.ADD", KEY, 5000, 1)
    found = read_series_info(lines, Store.LOCAL, KEY)
    assert (found.samples, found.first_ms, found.last_ms, found.retention_ms) == (1, 5000, 5000, 60_000)
    assert (found.on_duplicate, found.labels, found.chunk_bytes) == ("max", {b"floor": b"2"}, 128)
    assert found.rules == (Rule(b"hourly", "avg", 3_600_000),)
    assert read_series_info(lines, Store.LOCAL, b"hourly").source == KEY
    empty = read_series_info(lines, Store.CLOUD, KEY)
    assert (empty.samples, empty.first_ms, empty.retention_ms, empty.on_duplicate) == (0, None, None, None)
    info = read_info(lines, Store.LOCAL, KEY)
    assert info is not None and (info.kind, info.length) == (KIND, 1)


def test_samples_come_in_pages_from_either_end(lines: Lines, sides: dict[Store, Any]) -> None:
    for store, times in ((Store.LOCAL, range(0, 200, 2)), (Store.CLOUD, range(0, 200, 5))):
        sides[store].execute_command("TS.CREATE", KEY)
        sides[store].execute_command("TS.MADD", *(part for at in times for part in (KEY, at, at)))
    wanted = sorted({*range(0, 200, 2), *range(0, 200, 5)})
    for last_first in (False, True):
        found: list[Element] = []
        place = None
        while not found or place is not None:
            before = lines.commands(Store.CLOUD)
            page = read_elements(lines, BOTH, KEY, KIND, place, count=30, last_first=last_first)
            assert lines.commands(Store.CLOUD) - before <= 8  # with what is asked once per connection
            found += page.elements
            place = page.next
        assert [int(one.name) for one in found] == (wanted[::-1] if last_first else wanted)
        assert all((one.local is None) == (int(one.name) % 2 > 0) for one in found)
        assert all((one.cloud is None) == (int(one.name) % 5 > 0) for one in found)
    last = read_last_samples(lines, BOTH, KEY, count=3)
    assert last == {
        Store.LOCAL: ((194, 194.0), (196, 196.0), (198, 198.0)),
        Store.CLOUD: ((185, 185.0), (190, 190.0), (195, 195.0)),
    }


def test_a_list_says_no_more_than_it_knows(lines: Lines, sides: dict[Store, Any]) -> None:
    for store in sides.values():
        store.execute_command("TS.ADD", KEY, 1000, 1)
    [row] = badge_rows(lines, BOTH, quick_rows(lines, BOTH, [KEY]))
    assert (row.badge, row.detail) == (Badge.UNKNOWN, "values of this type are not compared; both are 1 long")
    sides[Store.CLOUD].execute_command("TS.ADD", KEY, 2000, 1)
    [row] = badge_rows(lines, BOTH, quick_rows(lines, BOTH, [KEY]))
    assert (row.badge, row.detail) == (Badge.DIFFERS, "1 and 2 long")


def test_what_a_store_could_never_hold_is_refused(hybrid: HybridRedis) -> None:
    with pytest.raises(HybridError, match="nothing was changed: the local store keeps no vector sets"):
        apply_edit(hybrid, edits.create_key(b"v", "vectorset", [b"a", b"1 2"]))
