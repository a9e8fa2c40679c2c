"""The key browser's engine on real servers: every key once, at a known cost; every type read in pages and edited."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest
from servers import Pool, Stores, wait_until

from hybrid import HybridRedis
from hybrid.core.state import Absent
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops.diff.log import InFlight
from hybrid.ops.keys import (
    Badge,
    Element,
    Filter,
    KeyRow,
    Lines,
    Place,
    Walk,
    badge_rows,
    delete_keys,
    edits,
    expire_keys,
    new_names,
    put_back,
    quick_rows,
    read_elements,
    read_groups,
    read_info,
    read_text,
    rename_keys,
    rows,
)
from hybrid.ops.keys.edit import Edit, Reached, apply_edit
from hybrid.ops.sync.run import undo_sync
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

BOTH = tuple(Store)
FAR_MS = 4_102_444_800_000


@pytest.fixture(scope="module", params=["valkey", "redis"])
def pair(request: pytest.FixtureRequest, server_pool: Pool) -> Stores:
    return Stores(server_pool.get(request.param, "local"), server_pool.get("valkey", "cloud"))


def walked(lines: Lines, wanted: Filter, stores: tuple[Store, ...] = BOTH) -> list[bytes]:
    walk = Walk(wanted)
    while not walk.ended:
        walk.fill(lines, stores, len(walk.names) + 100, deadline_s=10)
    return walk.names


def badges(lines: Lines, *keys: bytes) -> dict[bytes, KeyRow]:
    return {row.key: row for row in badge_rows(lines, BOTH, quick_rows(lines, BOTH, keys))}


# -- lists


def test_a_page_of_a_big_store_takes_a_few_commands(lines: Lines, sides: dict[Store, Any]) -> None:
    for store in sides.values():
        for start in range(0, 100_000, 1000):
            store.mset({f"key:{number}": number for number in range(start, start + 1000)})
    sides[Store.CLOUD].set("only:cloud", 1)
    walk = Walk(Filter())
    badge_rows(lines, BOTH, quick_rows(lines, BOTH, [b"key:1"]))  # what is asked once per connection
    for page in range(1, 11):
        before = {store: lines.commands(store) for store in Store}
        walk.fill(lines, BOTH, page * 50, deadline_s=60)
        rows = quick_rows(lines, BOTH, walk.names[(page - 1) * 50 : page * 50])
        assert len(rows) == 50 and {row.kind for row in rows} <= {"string", None}
        assert lines.commands(Store.CLOUD) - before[Store.CLOUD] <= 2  # SCAN, and INFO never again
        assert lines.commands(Store.LOCAL) - before[Store.LOCAL] <= 2 + 1 + 3 * 50 + 4
        before = {store: lines.commands(store) for store in Store}
        assert {row.badge for row in badge_rows(lines, BOTH, rows)} <= {Badge.EQUAL, Badge.ONLY_CLOUD}
        assert lines.commands(Store.CLOUD) - before[Store.CLOUD] <= 5
    assert len(set(walk.names)) == len(walk.names)

    before = {store: lines.commands(store) for store in Store}
    assert walked(lines, Filter(b"only:*")) == [b"only:cloud"]
    assert lines.commands(Store.LOCAL) - before[Store.LOCAL] < 60
    assert lines.commands(Store.CLOUD) - before[Store.CLOUD] < 140

    before = {store: lines.commands(store) for store in Store}
    assert walked(lines, Filter(b"key:77777")) == [b"key:77777"]
    assert sum(lines.commands(store) - before[store] for store in Store) <= 3


def test_every_key_comes_once_whichever_store_has_it(lines: Lines, sides: dict[Store, Any]) -> None:
    names = [f"k:{number}" for number in range(3000)]
    for store, kept in ((Store.LOCAL, names[:2000]), (Store.CLOUD, names[1000:])):
        sides[store].mset(dict.fromkeys(kept, "v"))
    found = walked(lines, Filter(b"k:*"))
    assert len(found) == 3000 and set(found) == {name.encode() for name in names}
    assert b"k:2500" in walked(lines, Filter(), (Store.CLOUD,))
    local_only = walked(lines, Filter(store=Store.LOCAL))
    assert len(local_only) == 2000


def test_a_store_that_is_down_is_missing_and_not_asked(lines: Lines, sides: dict[Store, Any]) -> None:
    sides[Store.LOCAL].set("a", 1)
    walk = Walk(Filter())
    walk.fill(lines, (Store.LOCAL,), 50)
    assert walk.names == [b"a"] and walk.ended
    assert walk.missing == {Store.CLOUD: "the cloud store is down"}
    assert lines.commands(Store.CLOUD) == 0
    assert quick_rows(lines, (Store.LOCAL,), [b"a"])[0].detail == "the cloud store cannot be asked now"


def test_a_store_that_hangs_holds_up_nobody(
    lines: Lines, hybrid: HybridRedis, sides: dict[Store, Any], pair: Stores
) -> None:
    sides[Store.LOCAL].set("a", 1)
    walk, impatient = Walk(Filter()), Lines(hybrid, timeout_s=0.1)
    walk.fill(impatient, (Store.LOCAL,), 0)
    pair.cloud.pause()
    try:
        waiting = Thread(target=walk.fill, args=(impatient, BOTH, 50), kwargs={"deadline_s": 60})
        waiting.start()
        wait_until(lambda: walk.names, "the local keys")
        walk.fill(impatient, (Store.LOCAL,), 50)
        assert walk.names == [b"a"]
        waiting.join(30)
        assert not waiting.is_alive()
    finally:
        pair.cloud.resume()
        impatient.close()
    assert hybrid.wait_in_sync(20)
    assert walked(lines, Filter()) == [b"a"]


def test_filters(lines: Lines, sides: dict[Store, Any]) -> None:
    local = sides[Store.LOCAL]
    local.set("text", "v")
    local.set("soon", "v", px=60_000)
    local.set("later", "v", pxat=FAR_MS)
    local.set("big", "x" * 100_000)
    local.sadd("set", "a")
    assert set(walked(lines, Filter(expires=True))) == {b"soon", b"later"}
    assert set(walked(lines, Filter(expires=False))) == {b"text", b"big", b"set"}
    assert walked(lines, Filter(expires_within_s=3600)) == [b"soon"]
    assert walked(lines, Filter(least_bytes=50_000)) == [b"big"]
    assert b"big" not in walked(lines, Filter(most_bytes=1000))
    assert walked(lines, Filter(kind="set")) == [b"set"]
    assert walked(lines, Filter(b"text", kind="set")) == []
    assert walked(lines, Filter(b"*e*", kind="string", expires=True)) == [b"later"]


def test_badges_say_what_is_so(lines: Lines, sides: dict[Store, Any]) -> None:
    for store, value in zip(sides, ("1", "2"), strict=True):
        sides[store].set("same", "v")
        sides[store].set("value", value)
        sides[store].set("ttl", "v", px=100_000 * int(value))
        sides[store].hset("hash", mapping={"a": "1", "b": "2"})
        sides[store].set("long", "x" * (300_000 + int(value)))
        sides[store].set("big", "x" * 400_000)
    sides[Store.LOCAL].rpush("type", "a")
    sides[Store.CLOUD].set("type", "a")
    sides[Store.LOCAL].set("local", "v")
    sides[Store.CLOUD].set("cloud", "v")
    names = [b"same", b"value", b"ttl", b"hash", b"long", b"big", b"type", b"local", b"cloud", b"gone"]
    found = badges(lines, *names)
    assert {key.decode(): row.badge for key, row in found.items()} == {
        "same": Badge.EQUAL,
        "value": Badge.DIFFERS,
        "ttl": Badge.DIFFERS,
        "hash": Badge.EQUAL,
        "long": Badge.DIFFERS,
        "big": Badge.UNKNOWN,
        "type": Badge.DIFFERS,
        "local": Badge.ONLY_LOCAL,
        "cloud": Badge.ONLY_CLOUD,
        "gone": Badge.UNKNOWN,
    }
    assert "later on cloud" in found[b"ttl"].detail
    assert "too big" in found[b"big"].detail


def test_a_big_key_without_a_length_keeps_no_badge_from_others(server_pool: Pool) -> None:
    urls = [server_pool.get("redis-7.4", role).url for role in ("local", "cloud")]
    with HybridRedis.from_urls(*urls, local_timeout_s=5.0, cloud_timeout_s=5.0, sync_enabled=False) as hybrid:
        hybrid.json().set("document", "$", {"items": ["x" * 100] * 500})
        hybrid.set("small", "v")
        assert hybrid.wait_in_sync(10)
        lines = Lines(hybrid)
        found = badge_rows(lines, BOTH, quick_rows(lines, BOTH, [b"document", b"small"]), most_bytes=1000)
    assert [row.badge for row in found] == [Badge.UNKNOWN, Badge.EQUAL]
    assert found[0].detail == "too big to be compared in a list"


def test_a_key_whose_write_is_on_its_way_does_not_differ(
    lines: Lines, sides: dict[Store, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = InFlight()
    logged.keys = {b"a"}
    monkeypatch.setattr(rows, "read_in_flight", lambda *_: logged)
    sides[Store.LOCAL].mset({"a": 1, "b": 1})
    assert {row.badge for row in badges(lines, b"a", b"b").values()} == {Badge.ON_ITS_WAY, Badge.ONLY_LOCAL}


# -- one key


def test_the_facts_of_a_key(lines: Lines, sides: dict[Store, Any]) -> None:
    sides[Store.LOCAL].hset("h", mapping={"a": "1", "b": "2"})
    sides[Store.LOCAL].pexpireat("h", FAR_MS)
    found = read_info(lines, Store.LOCAL, b"h")
    assert found is not None and found.memory_bytes
    assert (found.kind, found.length, found.expires_at_ms, found.encoding) == ("hash", 2, FAR_MS, "listpack")
    assert read_info(lines, Store.CLOUD, b"h") is None


def elements(lines: Lines, kind: str, key: bytes = b"k", **options: Any) -> list[Element]:
    """All elements, page by page; no page asks for more than a bounded part."""
    found: list[Element] = []
    place: Place | None = None
    while True:
        before = {store: lines.commands(store) for store in Store}
        page = read_elements(lines, BOTH, key, kind, place, **options)
        assert sum(lines.commands(store) - before[store] for store in Store) <= 44
        found += page.elements
        place = page.next
        if place is None:
            return found


@pytest.mark.parametrize("last_first", [False, True])
def test_members_within_a_range_of_scores_come_in_pages(
    lines: Lines, sides: dict[Store, Any], *, last_first: bool
) -> None:
    local, cloud = sides.values()
    local.zadd("z", {f"m{number:03}": number / 2 for number in range(400)})
    cloud.zadd("z", {f"m{number:03}": number / 2 for number in range(300, 400)})
    cloud.zadd("z", {"theirs": 100, "m150": 9, "m010": 99.5})  # one that is theirs, one moved out, one moved in
    read_elements(lines, BOTH, b"z", "zset")  # what is asked once per connection
    for scores, numbers in (((50.0, 100.0), range(100, 201)), ((199.0, float("inf")), range(398, 400))):
        found: list[Element] = []
        place = None
        while not found or place is not None:
            before = lines.commands(Store.LOCAL)
            page = read_elements(lines, BOTH, b"z", "zset", place, count=30, last_first=last_first, scores=scores)
            assert lines.commands(Store.LOCAL) - before <= 4
            found += page.elements
            place = page.next
        expected = [f"m{number:03}".encode() for number in numbers]
        theirs = [b"m010", b"theirs"] if scores[0] == 50 else []
        order = -1 if last_first else 1
        assert [one.name for one in found] == [*expected[::order], *theirs[::order]]
    by_name = {one.name: one for one in read_elements(lines, BOTH, b"z", "zset", scores=(75.0, 75.0)).elements}
    assert by_name == {b"m150": Element(b"m150", b"75", b"9")}
    assert read_elements(lines, BOTH, b"z", "zset", scores=(5.0, 1.0)).elements == ()


@pytest.mark.parametrize("kind", ["hash", "set", "zset", "list", "stream"])
def test_big_collections_come_in_pages_side_by_side(kind: str, lines: Lines, sides: dict[Store, Any]) -> None:
    for store, first in ((Store.LOCAL, 0), (Store.CLOUD, 10)):
        pipe = sides[store].pipeline(transaction=False)
        for number in range(first, first + 2000):
            match kind:
                case "hash":
                    pipe.hset("k", f"f{number}", number)
                case "set":
                    pipe.sadd("k", number)
                case "zset":
                    pipe.zadd("k", {str(number): number})
                case "list":
                    pipe.rpush("k", number)
                case _:
                    pipe.xadd("k", {"f": number}, id=f"{number + 1}-1")
        pipe.execute()
    found = elements(lines, kind)
    if kind == "list":
        assert [int(one.name) for one in found] == list(range(2000))
        assert found[0] == Element(b"0", b"0", b"10") and not found[0].same
        found = elements(lines, kind, last_first=True)
        assert [int(one.name) for one in found] == list(range(-1, -2001, -1))
        assert found[0] == Element(b"-1", b"1999", b"2009")
        return
    if kind in ("zset", "stream"):
        names = [one.name for one in found]
        backwards = [one.name for one in elements(lines, kind, last_first=True)]
        if kind == "stream":
            assert backwards == names[::-1]
        else:  # what only the other store has comes last
            assert backwards[:2000] == names[1999::-1] and set(backwards) == set(names)
    assert len({one.name for one in found}) == 2010
    assert sum(one.cloud is None for one in found) == sum(one.local is None for one in found) == 10
    assert sum(one.same for one in found) == 1990
    if kind == "hash":
        assert {one.name for one in elements(lines, kind, match=b"f199*")} == {
            *(b"f%d" % n for n in range(1990, 2000)),
            b"f199",
        }


def test_an_entry_is_a_line_for_each_field(lines: Lines, sides: dict[Store, Any]) -> None:
    sides[Store.LOCAL].xadd("s", {"what": "a b", "who": "c"}, id="1-0")
    assert read_elements(lines, BOTH, b"s", "stream").elements == (Element(b"1-0", b"what=a b\nwho=c", None),)


def test_a_long_string_opens_in_parts(lines: Lines, sides: dict[Store, Any]) -> None:
    sides[Store.LOCAL].setrange("s", 10_000_000, "end")
    assert read_text(lines, BOTH, b"s", 9_999_999, 10) == {Store.LOCAL: b"\x00end", Store.CLOUD: b""}


def test_groups_of_a_stream(lines: Lines, sides: dict[Store, Any]) -> None:
    local = sides[Store.LOCAL]
    local.xadd("s", {"f": "v"}, id="1-0")
    local.xgroup_create("s", "g", "0")
    local.xreadgroup("g", "ann", {"s": ">"})
    [group] = read_groups(lines, Store.LOCAL, b"s")
    assert (group.name, group.consumers, group.pending_count) == (b"g", (b"ann",), 1)
    assert (group.pending[0].entry_id, group.pending[0].consumer) == (b"1-0", b"ann")


def test_pending_entries_are_claimed_and_acknowledged_on_both(
    hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    for number in (1, 2, 3):
        hybrid.xadd("s", {"f": "v"}, id=f"{number}-0")
    hybrid.xgroup_create("s", "g", "0")
    hybrid.xreadgroup("g", "ann", {"s": ">"})
    claimed = apply_edit(hybrid, edits.claim_entries(b"s", b"g", b"bea", [b"1-0", b"2-0"], 0))
    assert claimed.stores == dict.fromkeys(Store, Reached.WRITTEN)
    apply_edit(hybrid, edits.acknowledge_entries(b"s", b"g", [b"2-0"]))
    apply_edit(hybrid, edits.claim_entries(b"s", b"g", b"cid", [b"3-0"], 3_600_000))
    for store in Store:
        [group] = read_groups(lines, store, b"s")
        waiting = [(entry.entry_id, entry.consumer) for entry in group.pending]
        assert waiting == [(b"1-0", b"bea"), (b"3-0", b"ann")], f"3-0 was not idle for so long: {store}"
    assert claimed.undo is not None
    with pytest.raises(ConfigurationError, match="name the consumer"):
        edits.claim_entries(b"s", b"g", b"", [b"1-0"], 0)
    assert sides[Store.CLOUD].xlen("s") == 3


def test_groups_are_created_moved_and_deleted_on_both(hybrid: HybridRedis, lines: Lines) -> None:
    for number in (1, 2):
        hybrid.xadd("s", {"f": "v"}, id=f"{number}-0")

    def positions(store: Store) -> dict[bytes, bytes]:
        return {group.name: group.last_delivered_id for group in read_groups(lines, store, b"s")}

    apply_edit(hybrid, edits.create_group(b"s", b"all", "0"))
    created = apply_edit(hybrid, edits.create_group(b"s", b"new", "$"))
    assert created.stores == dict.fromkeys(Store, Reached.WRITTEN)
    assert [positions(store) for store in Store] == [{b"all": b"0-0", b"new": b"2-0"}] * 2
    with pytest.raises(HybridError, match="BUSYGROUP"):
        apply_edit(hybrid, edits.create_group(b"s", b"all", "$"))
    apply_edit(hybrid, edits.move_group(b"s", b"all", "1-0"))
    assert [positions(store)[b"all"] for store in Store] == [b"1-0"] * 2
    deleted = apply_edit(hybrid, edits.delete_group(b"s", b"all"))
    assert [positions(store) for store in Store] == [{b"new": b"2-0"}] * 2
    assert deleted.undo is not None
    put_back(hybrid, deleted.undo)
    assert positions(Store.LOCAL) == {b"all": b"1-0", b"new": b"2-0"}
    with pytest.raises(ConfigurationError, match="needs a name"):
        edits.create_group(b"s", b"", "0")
    with pytest.raises(ConfigurationError, match="id of an entry"):
        edits.move_group(b"s", b"all", "yesterday")


def test_a_consumer_is_deleted_on_both_with_what_it_has_pending(hybrid: HybridRedis, lines: Lines) -> None:
    hybrid.xadd("s", {"f": "v"}, id="1-0")
    hybrid.xgroup_create("s", "g", "0")
    hybrid.xreadgroup("g", "ann", {"s": ">"})
    deleted = apply_edit(hybrid, edits.delete_consumer(b"s", b"g", b"ann"))
    for store in Store:
        [group] = read_groups(lines, store, b"s")
        assert (group.consumers, group.pending_count) == ((), 0)
    assert deleted.undo is not None
    put_back(hybrid, deleted.undo)
    [group] = read_groups(lines, Store.LOCAL, b"s")
    assert [(entry.entry_id, entry.consumer) for entry in group.pending] == [(b"1-0", b"ann")]


# -- edits


KINDS: list[tuple[str, list[bytes], list[Edit]]] = [
    ("string", [b"v"], [edits.set_text(b"k", b"v", b"\xff2")]),
    (
        "hash",
        [b"f", b"v"],
        [
            edits.set_field(b"k", b"f", b"v", b"w"),
            edits.set_field(b"k", b"g", None, b"x"),
            edits.delete_field(b"k", b"f", b"w"),
        ],
    ),
    (
        "list",
        [b"a", b"b", b"a"],
        [
            edits.set_item(b"k", 1, b"b", b"c"),
            edits.push_item(b"k", b"z", first=True),
            edits.delete_item(b"k", 0, b"z"),
        ],
    ),
    ("set", [b"a", b"b"], [edits.add_member(b"k", b"c"), edits.remove_member(b"k", "set", b"a")]),
    (
        "zset",
        [b"a", b"1", b"b", b"2.5"],
        [
            edits.set_score(b"k", b"a", 1.0, 3.25),
            edits.set_score(b"k", b"c", None, -1),
            edits.remove_member(b"k", "zset", b"b"),
        ],
    ),
    ("stream", [b"f", b"v"], [edits.add_entry(b"k", [b"f", b"w"])]),
]


@pytest.mark.parametrize(("kind", "value", "steps"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_every_type_is_created_edited_and_taken_back_on_both(
    kind: str, value: list[bytes], steps: list[Edit], hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    created = apply_edit(hybrid, edits.create_key(b"k", kind, value, expires_in_ms=3_600_000))
    assert created.stores == dict.fromkeys(Store, Reached.WRITTEN)
    for step in steps:
        done = apply_edit(hybrid, step)
        assert done.stores == dict.fromkeys(Store, Reached.WRITTEN)
    [row] = badges(lines, b"k").values()
    assert row.badge is Badge.EQUAL and row.kind == kind
    assert row.cloud is not None and row.cloud.expires_at_ms is not None  # kept by every edit
    assert done.undo is not None
    before = done.undo.before[b"k"]
    put_back(hybrid, done.undo)
    assert hybrid.wait_in_sync(5)
    assert badges(lines, b"k")[b"k"].badge is Badge.EQUAL
    with pytest.raises(HybridError, match="changed again"):
        put_back(hybrid, done.undo)
    assert not isinstance(before, Absent)
    apply_edit(hybrid, edits.delete_key(b"k", kind))
    assert not any(store.exists("k") for store in sides.values())


def test_a_key_that_the_server_does_not_take_whole_is_not_there(hybrid: HybridRedis, sides: dict[Store, Any]) -> None:
    with pytest.raises(HybridError, match="nothing was changed: the server refuses"):
        apply_edit(hybrid, edits.create_key(b"k", "hash", [b"field", b"v"], expires_in_ms=10**20))
    assert not any(store.exists("k") for store in sides.values())


def test_an_edit_of_what_is_no_longer_so_changes_nothing(hybrid: HybridRedis) -> None:
    hybrid.set("k", "new")
    hybrid.set("taken", "v")
    for stale in (
        edits.set_text(b"k", b"old", b"mine"),
        edits.create_key(b"k", "string", [b"mine"]),
        edits.delete_key(b"k", "hash"),
        edits.rename_key(b"k", b"taken", "string"),
    ):
        with pytest.raises(HybridError, match="nothing was changed"):
            apply_edit(hybrid, stale)
    with pytest.raises(HybridError, match="refuses"):
        apply_edit(hybrid, Edit((b"k",), (("SADD", b"k", b"m"),), ""))
    with pytest.raises(ConfigurationError, match="hybrid's own: hybrid:"):
        apply_edit(hybrid, edits.delete_key(b"hybrid:authority", "string"))
    assert hybrid.get("k") == "new" and hybrid.get("taken") == "v"


def test_rename_and_expiry_and_their_undo(hybrid: HybridRedis, lines: Lines) -> None:
    hybrid.set("a", "v", pxat=FAR_MS)
    renamed = apply_edit(hybrid, edits.rename_key(b"a", b"b", "string"))
    assert hybrid.pexpiretime("b") == FAR_MS and not hybrid.exists("a")
    assert renamed.undo is not None
    put_back(hybrid, renamed.undo)
    assert hybrid.get("a") == "v" and not hybrid.exists("b")
    apply_edit(hybrid, edits.expire_key(b"a", "string", None))
    assert hybrid.pttl("a") == -1
    apply_edit(hybrid, edits.expire_key(b"a", "string", FAR_MS + 1))
    assert badges(lines, b"a")[b"a"].badge is Badge.EQUAL


def test_a_copy_is_of_what_takes_writes_on_both(hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]) -> None:
    hybrid.hset("a", mapping={"f": b"\xff", "g": "v"})
    hybrid.pexpireat("a", FAR_MS)
    assert hybrid.wait_in_sync(5)
    sides[Store.CLOUD].hset("a", "f", "drift")
    copied = apply_edit(hybrid, edits.copy_key(b"a", b"b", "hash"))
    assert copied.stores == dict.fromkeys(Store, Reached.WRITTEN)
    for store in sides.values():
        assert store.hgetall("b") == {b"f": b"\xff", b"g": b"v"}
        assert store.pexpiretime("b") == pytest.approx(FAR_MS, abs=1000)
    assert sides[Store.CLOUD].hget("a", "f") == b"drift"
    with pytest.raises(HybridError, match="of this name already"):
        apply_edit(hybrid, edits.copy_key(b"a", b"b", "hash"))
    assert copied.undo is not None
    put_back(hybrid, copied.undo)
    assert hybrid.exists("a") and not hybrid.exists("b")
    with pytest.raises(HybridError, match="another one by now"):
        apply_edit(hybrid, edits.copy_key(b"gone", b"b", "hash"))


@pytest.mark.parametrize(("here", "there"), [(None, FAR_MS), (FAR_MS, None), (FAR_MS, FAR_MS + 60_000)])
@pytest.mark.parametrize("way", ["text", "expiry", "many"])
def test_an_edit_leaves_both_stores_with_one_expiry(
    way: str, here: int | None, there: int | None, hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    """The stores had drifted apart; who changes the whole value, or says when it expires, means both."""
    for store, expires_at_ms in ((Store.LOCAL, here), (Store.CLOUD, there)):
        sides[store].set("k", "v", pxat=expires_at_ms)
    if way == "text":
        apply_edit(hybrid, edits.set_text(b"k", b"v", b"w"))
    elif way == "expiry":
        apply_edit(hybrid, edits.expire_key(b"k", "string", here))
    else:
        expire_keys(hybrid, [b"k"], here)
    assert hybrid.wait_in_sync(5)
    expiries = [store.pexpiretime("k") for store in sides.values()]
    assert expiries[0] == expiries[1]
    assert abs(expiries[0] - (here or -1)) < 5_000
    assert badges(lines, b"k")[b"k"].badge is Badge.EQUAL


def test_a_key_that_only_the_other_store_has_is_deleted_and_had_back(
    hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    """The authority lacks it: what an undo brings back is the other store's value, then on both."""
    for name in ("one", "two"):
        sides[Store.CLOUD].rpush(name, "x", "y")
    with pytest.raises(HybridError, match="another one"):
        apply_edit(hybrid, edits.delete_key(b"one", "list"))
    done = apply_edit(hybrid, edits.delete_key(b"one", None))
    assert not sides[Store.CLOUD].exists("one") and done.undo is not None
    put_back(hybrid, done.undo)
    assert hybrid.wait_in_sync(5)
    many = delete_keys(hybrid, [b"one", b"two", b"none"])
    assert (many.deleted, many.kept) == (2, 1)
    assert hybrid.wait_in_sync(5)
    assert not any(store.exists("one", "two") for store in sides.values())
    undo_sync(hybrid, many.id, everywhere=True)
    assert hybrid.wait_in_sync(5)
    assert {row.badge for row in badges(lines, b"one", b"two").values()} == {Badge.EQUAL}


def test_the_expiry_of_a_field_outlives_an_edit_of_it(hybrid: HybridRedis, lines: Lines, pair: Stores) -> None:
    if pair.local.url and not hybrid.info("server").get("valkey_version"):
        pytest.skip("this server's fields do not expire")
    hybrid.hset("h", mapping={"f": "v", "g": "v"})
    apply_edit(hybrid, edits.expire_field(b"h", b"f", b"v", FAR_MS))
    apply_edit(hybrid, edits.set_field(b"h", b"f", b"v", b"w", FAR_MS))
    found = {one.name: one for one in read_elements(lines, BOTH, b"h", "hash").elements}
    assert found[b"f"] == Element(b"f", b"w", b"w", FAR_MS, FAR_MS)
    apply_edit(hybrid, edits.expire_field(b"h", b"f", b"w", None))
    assert read_elements(lines, BOTH, b"h", "hash").elements[0].local_expires_at_ms is None


def test_what_a_store_could_never_hold_is_refused_in_plain_words(hybrid: HybridRedis) -> None:
    hybrid.hset("h", "f", "v")
    expires = hybrid.info("server").get("valkey_version")
    with pytest.raises(HybridError, match="nothing was changed: the local store keeps no JSON documents"):
        apply_edit(hybrid, edits.create_key(b"doc", "json", [b"{}"]))
    if not expires:
        for at_ms in (FAR_MS, None):
            with pytest.raises(HybridError, match="the local store cannot let single fields of a hash expire"):
                apply_edit(hybrid, edits.expire_field(b"h", b"f", b"v", at_ms))


# -- many keys


def test_many_keys_are_expired_deleted_and_had_back_on_both(
    hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    names = [f"k:{number}".encode() for number in range(500)]
    hybrid.mset(dict.fromkeys(names, "v"))
    hybrid.sadd("k:set", "a")
    expired = expire_keys(hybrid, [*names, b"k:set", b"gone"], FAR_MS)
    assert (expired.copied, expired.kept, expired.direction) == (501, 1, "set expiry")
    assert hybrid.wait_in_sync(10)
    assert {store.pexpiretime("k:set") for store in sides.values()} == {FAR_MS}
    deleted = delete_keys(hybrid, [*names, b"k:set"])
    assert deleted.deleted == 501
    assert hybrid.wait_in_sync(10)
    assert not any(store.exists("k:1", "k:set") for store in sides.values())
    undo_sync(hybrid, deleted.id, everywhere=True)
    assert hybrid.wait_in_sync(10)
    assert {row.badge for row in badges(lines, *names[:50], b"k:set").values()} == {Badge.EQUAL}
    assert {store.pexpiretime("k:9") for store in sides.values()} == {FAR_MS}
    with pytest.raises(ConfigurationError, match="hybrid's own: hybrid:"):
        delete_keys(hybrid, [b"hybrid:log"])


def test_many_keys_are_renamed_and_had_back_on_both(hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]) -> None:
    names = [f"k:{number}".encode() for number in range(300)]
    hybrid.mset(dict.fromkeys(names, "v"))
    hybrid.hset("k:hash", mapping={"f": "w"})
    hybrid.pexpireat("k:hash", FAR_MS)
    hybrid.set("n:1", "taken")
    wanted = new_names([*names, b"k:hash", b"k:gone", b"other"], b"k:", b"n:")
    assert len(wanted) == 302 and wanted[0] == (b"k:0", b"n:0")
    renamed = rename_keys(hybrid, wanted)
    assert (renamed.copied, renamed.kept, renamed.direction) == (300, 2, "rename keys")
    assert hybrid.wait_in_sync(10)
    for store in sides.values():
        assert store.pexpiretime("n:hash") == FAR_MS and store.hgetall("n:hash") == {b"f": b"w"}
        assert (store.get("n:0"), store.get("k:1"), store.get("n:1")) == (b"v", b"v", b"taken")
        assert not store.exists("k:0", "k:hash")
    undone = undo_sync(hybrid, renamed.id)
    assert (undone.copied, undone.deleted) == (300, 300) and hybrid.wait_in_sync(10)
    for store in sides.values():
        assert store.exists(*names, "k:hash") == 301 and not store.exists("n:0", "n:hash")
    for bad in ((b"k:1", b"hybrid:x"), (b"k:1", b"")):
        with pytest.raises(ConfigurationError):
            rename_keys(hybrid, [bad])


def test_a_moment_that_has_passed_is_no_surprise(hybrid: HybridRedis, lines: Lines) -> None:
    hybrid.set("k", "v")
    apply_edit(hybrid, edits.expire_key(b"k", "string", int(time.time() * 1000) - 1000))
    assert badges(lines, b"k")[b"k"].detail == "it is gone by now"


# -- while a store is lost


@pytest.mark.parametrize("lose", [ServerProcess.kill, ServerProcess.pause])
@pytest.mark.parametrize("known", [True, False], ids=["long ago", "only now"])
def test_an_edit_is_a_write_and_has_the_other_store_take_over(
    lose: Callable[[ServerProcess], None], known: bool, server: Callable[..., ServerProcess]
) -> None:
    local, cloud = server(), server()
    options: dict[str, Any] = {"local_timeout_s": 0.9, "cloud_timeout_s": 0.9, "sync_enabled": False}
    with HybridRedis.from_urls(local.url, cloud.url, **options) as hybrid:
        hybrid.set("k", "before")
        assert hybrid.wait_in_sync(10)
        lose(local)
        if known:
            wait_until(lambda: hybrid.status().local.state.is_lost, "the loss noticed")
        edited = apply_edit(hybrid, edits.set_text(b"k", b"before", b"after"))
        assert edited.stores == {Store.LOCAL: Reached.DOWN, Store.CLOUD: Reached.WRITTEN}
        assert edited.undo is not None
        put_back(hybrid, edited.undo)
        assert hybrid.get("k") == b"before"
