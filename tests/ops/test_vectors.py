"""Vector sets in the engine behind the panel: in pages, beside each other, edited on both."""

from __future__ import annotations

from typing import Any

import pytest
from servers import Pool, Stores

from hybrid import HybridRedis
from hybrid.errors import HybridError
from hybrid.ops.keys import (
    Badge,
    Element,
    Filter,
    Lines,
    VectorsInfo,
    Walk,
    attributes_in,
    badge_rows,
    edits,
    put_back,
    quick_rows,
    read_elements,
    read_info,
    read_nearest,
    read_vectors_info,
    vectors,
)
from hybrid.ops.keys.edit import Reached, apply_edit
from hybrid.types import Store

BOTH = tuple(Store)
KEY = b"movies"


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-8.2", "local"), server_pool.get("redis-8.2", "cloud"))


def elements(lines: Lines) -> dict[bytes, Element]:
    return {one.name: one for one in read_elements(lines, BOTH, KEY, "vectorset").elements}


def vadd(store: Any, name: str, *numbers: float, options: tuple[Any, ...] = ("NOQUANT",)) -> None:
    store.execute_command("VADD", KEY, "VALUES", len(numbers), *numbers, name, *options)


def test_a_vector_set_is_created_changed_and_deleted_on_both(
    hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    created = apply_edit(hybrid, edits.create_key(KEY, "vectorset", [b"up", b"0 2", b"right", b"3 0"]))
    assert created.stores == dict.fromkeys(Store, Reached.WRITTEN)
    set_of = read_vectors_info(lines, Store.CLOUD, KEY)
    assert set_of is not None
    assert (set_of.elements, set_of.dimension, set_of.quantisation, set_of.links) == (2, 2, "int8", 16)
    apply_edit(hybrid, edits.add_vector(KEY, b"left", [-1.5, 0.0], set_of, b'{"year": 1990}'))
    with pytest.raises(HybridError, match="another one by now"):
        apply_edit(hybrid, edits.add_vector(KEY, b"left", [1.0, 1.0], set_of))
    with pytest.raises(HybridError, match="the server refuses"):
        apply_edit(hybrid, edits.add_vector(KEY, b"flat", [1.0, 1.0, 1.0], set_of))
    with pytest.raises(HybridError, match="the server refuses"):
        apply_edit(hybrid, edits.create_key(b"uneven", "vectorset", [b"up", b"0 2", b"flat", b"1 1 1"]))
    assert not any(store.exists("uneven") for store in sides.values())
    found = elements(lines)
    assert found[b"up"] == Element(b"up", b"[0, 2]", b"[0, 2]")
    assert found[b"left"].local == found[b"left"].cloud == b'{"year": 1990}\n[-1.5, 0]'
    apply_edit(hybrid, edits.set_attributes(KEY, b"left", b'{"year": 1990}', b'{"year":\n1991}'))
    assert attributes_in(elements(lines)[b"left"].cloud or b"") == b'{"year":\n1991}'
    apply_edit(hybrid, edits.set_attributes(KEY, b"left", b'{"year":\n1991}', b""))
    assert attributes_in(elements(lines)[b"left"].cloud or b"") is None
    with pytest.raises(HybridError, match="another one by now"):
        apply_edit(hybrid, edits.set_attributes(KEY, b"left", b"{}", b"[]"))
    apply_edit(hybrid, edits.remove_member(KEY, "vectorset", b"up"))
    assert elements(lines).keys() == {b"left", b"right"}
    deleted = apply_edit(hybrid, edits.delete_key(KEY, "vectorset"))
    assert not any(store.exists(KEY) for store in sides.values())
    assert deleted.undo is not None
    put_back(hybrid, deleted.undo)
    assert hybrid.wait_in_sync(5)
    assert elements(lines).keys() == {b"left", b"right"} and all(one.same for one in elements(lines).values())


def test_what_nobody_could_tell_from_a_later_change_is_not_taken_back(hybrid: HybridRedis) -> None:
    """The content of a vector set is not compared: an undo would take what others have added since."""
    created = apply_edit(hybrid, edits.create_key(KEY, "vectorset", [b"up", b"0 2"]))
    removed = apply_edit(hybrid, edits.remove_member(KEY, "vectorset", b"up"))
    assert created.undo is None and removed.undo is not None  # with its last element the key is gone


@pytest.mark.parametrize(("option", "kind"), [("NOQUANT", "f32"), ("Q8", "int8"), ("BIN", "bin")])
def test_elements_are_added_as_the_others_are_kept_and_shown_as_the_server_says(
    option: str, kind: str, hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    hybrid.execute_command("VADD", KEY, "VALUES", 3, 1, -2, 0.5, "a", option, "M", 24)
    set_of = read_vectors_info(lines, Store.LOCAL, KEY)
    assert set_of == VectorsInfo(1, 3, kind, None, 24, set_of.levels if set_of else 0, 0)
    apply_edit(hybrid, edits.add_vector(KEY, b"b", [0.25, 1e-3, -7.0], set_of))
    for name, one in elements(lines).items():
        told = [float(number) for number in sides[Store.CLOUD].execute_command("VEMB", KEY, name)]
        assert one.same and one.local == f"[{', '.join(f'{number:.6g}' for number in told)}]".encode()


def test_elements_are_added_through_the_projection_of_the_others(hybrid: HybridRedis, lines: Lines) -> None:
    hybrid.execute_command("VADD", KEY, "REDUCE", 2, "VALUES", 4, 1, 2, 3, 4, "a")
    set_of = read_vectors_info(lines, Store.LOCAL, KEY)
    assert set_of is not None and (set_of.dimension, set_of.projected_from) == (2, 4)
    done = apply_edit(hybrid, edits.add_vector(KEY, b"b", [4.0, 3.0, 2.0, 1.0], set_of))
    assert done.stores == dict.fromkeys(Store, Reached.WRITTEN)
    assert elements(lines).keys() == {b"a", b"b"} and all(one.same for one in elements(lines).values())


def test_what_the_stores_do_not_share_stands_beside(lines: Lines, sides: dict[Store, Any]) -> None:
    for store in sides.values():
        vadd(store, "same", 1, 0)
    vadd(sides[Store.LOCAL], "both", 1, 1)
    vadd(sides[Store.CLOUD], "both", 1, 2)
    vadd(sides[Store.LOCAL], "mine", 2, 0)
    vadd(sides[Store.CLOUD], "theirs", 0, 2)
    found = elements(lines)
    assert list(found) == [b"both", b"mine", b"same", b"theirs"]
    assert found[b"both"] == Element(b"both", b"[1, 1]", b"[1, 2]")
    assert found[b"mine"].cloud is None and found[b"theirs"].local is None
    near = read_nearest(lines, BOTH, KEY, b"same")
    assert [name for name, _ in near[Store.LOCAL]] == [b"mine", b"both"]
    assert [name for name, _ in near[Store.CLOUD]] == [b"both", b"theirs"]
    assert near[Store.LOCAL][0][1] == pytest.approx(1.0)


def test_what_is_nearest_to_a_vector_is_found_among_those_of_the_wanted_attributes(
    hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    for name, numbers, year in (("old", (1, 0), 1950), ("new", (1, 1), 2000), ("none", (0, 1), 2001)):
        for store in sides.values():
            vadd(store, name, *numbers, options=("NOQUANT", "SETATTR", f'{{"year":{year}}}'))
    for where, expected in (("", [b"old", b"new", b"none"]), (".year > 1980", [b"new", b"none"]), (".year > 3000", [])):
        near = read_nearest(lines, BOTH, KEY, (2.0, 0.1), where)
        assert {store: [name for name, _ in found] for store, found in near.items()} == dict.fromkeys(BOTH, expected)
    assert len(read_nearest(lines, BOTH, KEY, (2.0, 0.1), count=2)[Store.LOCAL]) == 2
    for to, where in (((1.0, 2.0, 3.0), ""), ((1.0, 2.0), ".year >")):
        with pytest.raises(HybridError, match="the local store refuses"):
            read_nearest(lines, BOTH, KEY, to, where)


def test_pages_go_on_by_name_and_one_is_found_by_its_name(
    lines: Lines, sides: dict[Store, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"e{number:02}" for number in range(30)]
    for store, some in ((sides[Store.LOCAL], names[:20]), (sides[Store.CLOUD], names[10:])):
        for name in some:
            vadd(store, name, 1, 2)
    monkeypatch.setattr(vectors, "MOST_NUMBERS", 14)  # of two numbers each: seven elements a page
    found: list[bytes] = []
    place = None
    while True:
        page = read_elements(lines, BOTH, KEY, "vectorset", place)
        found += [one.name for one in page.elements]
        place = page.next
        if place is None:
            break
        assert len(page.elements) == 7
    assert found == [name.encode() for name in names]
    [one] = read_elements(lines, BOTH, KEY, "vectorset", match=b"e05").elements
    assert (one.name, one.cloud) == (b"e05", None)
    assert read_elements(lines, BOTH, KEY, "vectorset", match=b"none").elements == ()


def test_of_a_large_set_that_has_no_order_some_elements_are_drawn(
    lines: Lines, sides: dict[Store, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "DRAWN", 10)
    for store in sides.values():
        for number in range(30):
            vadd(store, f"e{number:02}", 1, number)
    before = lines.commands(Store.CLOUD)
    page = read_elements(lines, BOTH, KEY, "vectorset")
    assert (len(page.elements), page.next, page.drawn) == (25, None, True)
    assert all(one.same for one in page.elements)
    assert lines.commands(Store.CLOUD) - before <= 2 * 25 + 12


def test_a_server_that_gives_them_in_order_is_asked_for_the_next_ones_alone(
    lines: Lines, sides: dict[Store, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis 8.4 and newer; here such a server is played."""
    names = [f"e{number:02}".encode() for number in range(40)]
    asked: list[tuple[bytes, ...]] = []

    def vrange(_line: Any, commands: list[tuple[bytes, ...]]) -> list[Any]:
        asked.extend(commands)
        [(_, _, start, _, count)] = commands
        return [[name for name in names if start == b"-" or name > start[1:]][: int(count)]]

    monkeypatch.setattr(vectors, "exchange", vrange)
    monkeypatch.setattr(vectors, "DRAWN", 10)
    for store in sides.values():
        for name in names:
            vadd(store, name.decode(), 1, 2)
    first = read_elements(lines, BOTH, KEY, "vectorset")
    rest = read_elements(lines, BOTH, KEY, "vectorset", first.next)
    assert [one.name for one in (*first.elements, *rest.elements)] == names
    assert (first.drawn, rest.next) == (False, None)
    assert asked[2:] == [(b"VRANGE", KEY, b"(e24", b"+", b"25")] * 2


def test_a_list_says_no_more_than_it_knows(hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]) -> None:
    def row() -> Any:
        [found] = badge_rows(lines, BOTH, quick_rows(lines, BOTH, [KEY]))
        return found

    for store in sides.values():
        vadd(store, "a", 1, 2)
    assert (row().kind, row().badge) == ("vectorset", Badge.UNKNOWN)
    assert row().detail == "values of this type are not compared; both are 1 long"
    vadd(sides[Store.LOCAL], "b", 1, 2)
    assert (row().badge, row().detail) == (Badge.DIFFERS, "2 and 1 long")
    vadd(sides[Store.CLOUD], "b", 1, 2)
    sides[Store.CLOUD].expire(KEY, 5000)
    assert (row().badge, row().detail) == (Badge.DIFFERS, "expires only in the cloud")
    sides[Store.CLOUD].delete(KEY)
    assert row().badge is Badge.ONLY_LOCAL
    info = read_info(lines, Store.LOCAL, KEY)
    assert info is not None and (info.kind, info.length) == ("vectorset", 2)
    walk = Walk(Filter(kind="vectorset"))
    while not walk.ended:
        walk.fill(lines, BOTH, 100, deadline_s=10)
    assert walk.names == [KEY]
