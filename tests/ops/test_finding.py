"""What is found within a key by a pattern or a name, on both stores."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import Pool, Stores

from hybrid.core.glob import Glob
from hybrid.ops.keys import Lines, read_elements
from hybrid.ops.keys.paging import Element, Place
from hybrid.types import Store

BOTH = tuple(Store)
MANY = 60_000


@pytest.fixture(scope="module", params=["valkey", "redis"])
def pair(request: pytest.FixtureRequest, server_pool: Pool) -> Stores:
    return Stores(server_pool.get(request.param, "local"), server_pool.get("valkey", "cloud"))


def found(lines: Lines, kind: str, match: bytes, stores: tuple[Store, ...] = BOTH) -> tuple[list[Element], int]:
    """All elements found, and in how many pages."""
    elements: list[Element] = []
    pages, place = 0, Place(stores[0], b"0")
    while True:
        page = read_elements(lines, stores, b"k", kind, place, match=match)
        elements += page.elements
        pages += 1
        if page.next is None:
            return elements, pages
        place = page.next


def fill(side: Any, kind: str) -> None:
    numbers = range(MANY)
    if kind == "hash":
        side.hset("k", mapping={f"f{number}": number for number in numbers})
    elif kind == "set":
        side.sadd("k", *(f"f{number}" for number in numbers))
    elif kind == "zset":
        side.zadd("k", {f"f{number}": number for number in numbers})
    else:
        side.rpush("k", *(f"f{number}" for number in numbers))


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text("ab*?[]^-\\c", max_size=9).map(str.encode), st.text("abc-]^\\[*", min_size=1, max_size=6).map(str.encode)
)
def test_a_pattern_matches_what_the_server_says_it_does(sides: dict[Store, Any], pattern: bytes, value: bytes) -> None:
    """An empty value aside: Redis 7 has only `*` match it, Valkey every pattern of stars."""
    local = sides[Store.LOCAL]
    local.delete("s")
    local.sadd("s", value)
    assert Glob(pattern).matches(value) == bool(local.sscan("s", match=pattern, count=10)[1]), (pattern, value)


@pytest.mark.parametrize("kind", ["hash", "set", "zset", "list"])
def test_the_one_among_many_that_matches_is_found_in_few_pages(
    kind: str, lines: Lines, sides: dict[Store, Any]
) -> None:
    for side in sides.values():
        fill(side, kind)
    elements, pages = found(lines, kind, b"*59999")
    assert [one.name for one in elements] == [b"59999" if kind == "list" else b"f59999"]
    assert elements[0].same
    assert pages <= 10, "a hundred elements a page would be 600"


@pytest.mark.parametrize("kind", ["hash", "set", "zset"])
def test_a_name_is_looked_up_on_both_stores_and_not_searched_for(
    kind: str, lines: Lines, sides: dict[Store, Any]
) -> None:
    fill(sides[Store.LOCAL], kind)
    read_elements(lines, BOTH, b"k", kind, match=b"f1")  # what is asked once per connection
    before = {store: lines.commands(store) for store in Store}
    [one], pages = found(lines, kind, b"f59999")
    assert one.local is not None and one.cloud is None
    assert pages == 1 and all(lines.commands(store) - before[store] <= 2 for store in Store)
    assert found(lines, kind, b"f60000") == ([], 1)
    [one], _ = found(lines, kind, b"f7", (Store.CLOUD, Store.LOCAL))
    assert one.local is not None and one.cloud is None


def test_items_of_a_list_are_found_with_what_the_other_store_has_at_their_places(
    lines: Lines, sides: dict[Store, Any]
) -> None:
    sides[Store.LOCAL].rpush("k", *(f"line {number}: {'error' if number % 3 == 0 else 'ok'}" for number in range(900)))
    sides[Store.CLOUD].rpush("k", *(f"line {number}: other" for number in range(500)))
    elements, pages = found(lines, "list", b"*error*")  # the last page is empty: two items come after the 300th
    assert [int(one.name) for one in elements] == list(range(0, 900, 3)) and pages == 4
    assert elements[1] == Element(b"3", b"line 3: error", b"line 3: other")
    assert elements[-1] == Element(b"897", b"line 897: error", None)
    assert found(lines, "list", b"none") == ([], 1)


def test_big_items_of_a_list_are_looked_through_in_small_parts(lines: Lines, sides: dict[Store, Any]) -> None:
    sides[Store.LOCAL].rpush("k", *(b"x" * 200_000 for _ in range(300)), b"the end")
    sizes: list[int] = []
    run = lines.run

    def counted(store: Store, work: Any) -> Any:
        def worked(line: Any) -> Any:
            before = line.account.size_bytes
            try:
                return work(line)
            finally:
                sizes.append(line.account.size_bytes - before)

        return run(store, worked)

    lines.run = counted  # type: ignore[method-assign]
    elements, _ = found(lines, "list", b"the*")
    assert [one.name for one in elements] == [b"300"]
    assert max(sizes) < 25_000_000
