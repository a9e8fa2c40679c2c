"""The view Search of Insights: indexes of both stores side by side, one of them, and what a query finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from keys_page import grid, settled
from servers import Pool, Stores, client, wait_until
from streamlit.testing.v1 import AppTest

from hybrid import HybridRedis
from hybrid.core.search_index import index_info
from hybrid.core.shell import split_line
from hybrid.types import Store
from panel.keys import queries as key_queries
from panel.search import hitsview, queries, view
from panel.search import state as search_state

TextOf = Callable[[AppTest], str]
Open = Callable[..., AppTest]
BOOKS = "FT.CREATE books ON HASH PREFIX 1 book: SCHEMA title TEXT SORTABLE n NUMERIC"
PAGE = "data/insights.py"


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud"))


@pytest.fixture(autouse=True)
def without_indexes(request: pytest.FixtureRequest) -> None:
    """A store that is emptied keeps them."""
    if "sides" in request.fixturenames:
        for store in request.getfixturevalue("sides").values():
            for name in store.execute_command("FT._LIST"):
                store.execute_command("FT.DROPINDEX", name)


@pytest.fixture
def open_search(open_page: Callable[..., AppTest]) -> Open:
    """The view, settled."""

    def open_(role: str = "operator", **query: str) -> AppTest:
        return drawn(open_page(PAGE, role, {"show": "search", **query}))

    return open_


def drawn(at: AppTest) -> AppTest:
    for _ in range(40):
        settled(at)
        if not any("is being asked" in caption.value for caption in at.caption):
            break
        at.run()
    return at


def run(store: Any, line: str) -> Any:
    return store.execute_command(*split_line(line))


def filled(store: Any, documents: int) -> None:
    def count() -> int:
        return index_info(store.execute_command("FT.INFO", "books")).documents

    wait_until(lambda: count() == documents, "the index to be filled")


def asked(at: AppTest, query: str) -> AppTest:
    at.text_input(key="search-query").set_value(query)
    return drawn(at.button(key="search-ask").click().run())


def results(at: AppTest) -> list[Any]:
    return [frame.value for frame in at.dataframe if "Score" in frame.value.columns]


def test_indexes_stand_side_by_side_and_what_differs_is_told(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in sides.values():
        run(store, BOOKS)
    run(sides[Store.LOCAL], "FT.CREATE mine ON JSON PREFIX 1 doc: SCHEMA $.a AS a TEXT")
    run(sides[Store.LOCAL], "FT.CREATE apart SCHEMA x TEXT")
    run(sides[Store.CLOUD], "FT.CREATE apart SCHEMA x TAG")
    hybrid.hset("book:1", mapping={"title": "the sea", "n": 1})
    assert hybrid.wait_in_sync(5)
    sides[Store.LOCAL].hset("book:2", mapping={"title": "the sky", "n": "many"})
    for store in sides.values():
        filled(store, 1)
    taken: dict[str, Any] = {}
    monkeypatch.setattr(view, "heading", lambda _title, note, rows, name: taken.update({name: (note, rows)}))
    at = open_search("viewer")
    table = grid(at, "Index").set_index("Index")
    assert list(table.index) == ["apart", "books", "mine"]
    assert table["Definition"].tolist() == [["≠ differs"], ["✓ equal"], ["◧ only local"]]
    assert table.loc["books", ["Local: documents", "Cloud: documents"]].tolist() == [1, 1]
    assert (table.loc["mine", "Kind"], table.loc["mine", "Prefixes"]) == ("JSON", "doc:")
    assert table["Failures"].tolist() == ["0", "Local 1", "0"]
    assert table["Indexing"].tolist() == ["done"] * 3
    said = text_of(at)
    assert "1 index here is on one store only" in said and "1 index here is defined differently" in said
    note, rows = taken["indexes"]
    assert note == "3 indexes" and rows[1]["local_failures"] == 1 and rows[2]["cloud_documents"] is None


def test_an_index_that_one_store_lacks_is_told_with_what_makes_it(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, text_of: TextOf
) -> None:
    run(sides[Store.CLOUD], BOOKS)
    at = open_search(index="books")
    said = text_of(at)
    assert "Only the cloud store has this index" in said and "choose *Local*" in said
    assert BOOKS in [code.value for code in at.code]
    assert "There is no such index on this store." in said
    assert " " not in grid(at, "Path").columns, "a column of marks is drawn where there are some"
    at = drawn(at.button(key="search-back").click().run())
    assert "index" not in at.query_params and len(grid(at, "Index")) == 1


def test_an_index_that_is_defined_differently_is_told_place_by_place(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, text_of: TextOf
) -> None:
    run(sides[Store.LOCAL], BOOKS)
    run(sides[Store.CLOUD], "FT.CREATE books ON HASH PREFIX 1 b: SCHEMA title TEXT WEIGHT 2 n NUMERIC")
    at = open_search(index="books")
    assert "define this index differently" in text_of(at)
    rows = grid(at, "Where").to_numpy().tolist()
    assert rows == [["prefixes", "book:", "b:"], ["title", "title TEXT SORTABLE", "title TEXT WEIGHT 2"]]
    fields = [frame.value for frame in at.dataframe if "Path" in frame.value.columns]
    assert [frame[" "].tolist() for frame in fields] == [["≠", ""], ["≠", ""]]
    assert fields[1]["Options"].tolist() == ["WEIGHT 2", ""]
    assert {BOOKS, "FT.CREATE books ON HASH PREFIX 1 b: SCHEMA title TEXT WEIGHT 2 n NUMERIC"} <= {
        code.value for code in at.code
    }


def test_a_query_is_answered_by_both_in_pages(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, text_of: TextOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for store in sides.values():
        run(store, BOOKS)
    for number in range(12):
        hybrid.hset(f"book:{number}", mapping={"title": f"The sea {'x' * 200}", "n": number})
    assert hybrid.wait_in_sync(5)
    sides[Store.CLOUD].hset("book:zz", mapping={"title": "sea", "n": 1})
    filled(sides[Store.LOCAL], 12)
    filled(sides[Store.CLOUD], 13)
    taken: dict[str, Any] = {}
    real = hitsview.frame

    def frame(store: Store, title: str, name: str, rows: Any, note: str = "") -> Any:
        taken[store] = rows
        return real(store, title, name, rows, note)

    monkeypatch.setattr(hitsview, "frame", frame)
    at = open_search("viewer", index="books", limit="2000")
    assert results(at) == []
    at = asked(at, "sea")
    assert at.query_params["query"] in ("sea", ["sea"])
    here, there = results(at)
    assert (len(here), len(there)) == (10, 10)
    assert (
        "12 documents found" in text_of(at) and "13 documents found" in text_of(at) and "1 to 10 of 13" in text_of(at)
    )
    assert set(here["Other store"]) <= {"same", "on another page"}
    assert here["title"].str.len().max() == 121, "what is long is shortened"
    assert len(taken[Store.LOCAL][0]["field_title"]) > 200, "and whole in the download"
    at = drawn(at.button(key="search-hits-next").click().run())
    assert [len(frame) for frame in results(at)] == [2, 3]
    assert results(at)[1].set_index("Key").loc["book:zz", "Other store"] == "✗ not found"
    assert set(results(at)[0]["Other store"]) <= {"same", "on another page"}
    assert at.query_params["hits"] in ("2", ["2"])
    monkeypatch.setattr(hitsview, "clicked", lambda _selection, _rows: 0)
    at = drawn(at.run())
    assert any("Open `book:" in link.label for link in at.get("page_link"))

    at.selectbox(key="search-in").set_value("local")
    at = asked(at, "@n:[3 4]")
    [only] = results(at)
    assert sorted(only["Key"]) == ["book:3", "book:4"] and "Other store" not in only.columns
    at = asked(at, "@title:(")
    assert "The query cannot be read from character 8 on" in text_of(at) and results(at) == []
    at = asked(at, "nothing")
    assert "No document of this store matches." in text_of(at)


def test_a_link_opens_index_and_query_and_the_query_is_explained_when_asked(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open
) -> None:
    for store in sides.values():
        run(store, BOOKS)
    at = open_search(index="books", query="@n:[1 2]", **{"in": "cloud"}, count="25")
    assert at.text_input(key="search-query").value == "@n:[1 2]"
    assert at.selectbox(key="search-count").value == "25"
    before = commands(sides[Store.CLOUD])
    at.session_state["search-explain"] = True
    at = drawn(at.run())
    assert any("NUMERIC {1" in code.value for code in at.code)
    assert commands(sides[Store.CLOUD]) == before | {"FT.EXPLAIN": 1}
    for _ in range(3):
        at = drawn(at.run())
    assert commands(sides[Store.CLOUD]) == before | {"FT.EXPLAIN": 1}, "a drawing costs the cloud nothing"
    drawn(at.button(key="insights-refresh").click().run())
    assert commands(sides[Store.CLOUD])["FT.SEARCH"] == before["FT.SEARCH"] + 1
    at.segmented_control(key="insights-view").set_value("clients").run()
    at = drawn(at.segmented_control(key="insights-view").set_value("search").run())
    assert at.text_input(key="search-query").value == "@n:[1 2]", "another view is no reason to begin anew"


def commands(store: Any) -> dict[str, int]:
    stats = store.info("commandstats")
    return {
        name.removeprefix("cmdstat_").upper(): row["calls"]
        for name, row in stats.items() if name.upper().startswith("CMDSTAT_FT.")
    }  # fmt: skip


def test_an_answer_that_may_lack_some_says_so(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, monkeypatch: pytest.MonkeyPatch, text_of: TextOf
) -> None:
    for store in sides.values():
        run(store, BOOKS)
    sides[Store.LOCAL].hset("book:1", "title", "sea")
    filled(sides[Store.LOCAL], 1)
    real = queries.search
    monkeypatch.setattr(
        queries,
        "search",
        lambda *args: replace(real(*args), may_lack=args[1] is Store.CLOUD),  # type: ignore[type-var]
    )
    at = asked(open_search(index="books"), "sea")
    assert text_of(at).count("The time limit was reached") == 1
    [found] = results(at)
    assert found["Other store"].tolist() == ["✗ not found"], "it was looked for by its name"


def test_an_index_is_made_from_what_keys_suggest_and_dropped(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, text_of: TextOf
) -> None:
    hybrid.hset("book:1", mapping={"title": "the sea", "n": 1})
    assert hybrid.wait_in_sync(5)
    at = drawn(open_search().button(key="search-new-open").click().run())
    at.button(key="search-new-save").click().run()
    assert "An index needs a name" in text_of(at)
    at.text_input(key="search-new-name").set_value("books")
    at.text_input(key="search-new-prefixes").set_value("book:")
    at.button(key="search-new-suggest").click().run()
    assert at.text_area(key="search-new-schema").value == "title TEXT\nn NUMERIC SORTABLE"
    preview = "FT.CREATE books ON HASH PREFIX 1 book: SCHEMA title TEXT n NUMERIC SORTABLE"
    assert [code.value for code in at.code] == [preview]
    at = drawn(at.button(key="search-new-save").click().run())
    assert at.session_state["search-index"] == "books", "the new index is open"
    for store in sides.values():
        assert store.execute_command("FT._LIST") == [b"books"]
        filled(store, 1)
    at.button(key="search-drop").click().run()
    assert at.button(key="search-drop-go").disabled, "before its name was typed"
    at.session_state["search-drop-confirmed"] = True
    at = drawn(at.button(key="search-drop").click().run())
    assert at.session_state["search-index"] == "", "the list is shown again"
    assert [store.execute_command("FT._LIST") for store in sides.values()] == [[], []]
    assert hybrid.exists("book:1")


def test_no_index_is_made_or_dropped_by_who_may_not(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open
) -> None:
    for store in sides.values():
        run(store, BOOKS)
    assert open_search("viewer").button(key="search-new-open").disabled
    assert open_search("viewer", index="books").button(key="search-drop").disabled


def test_hundreds_of_indexes_come_in_pages(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, monkeypatch: pytest.MonkeyPatch, text_of: TextOf
) -> None:
    monkeypatch.setattr(search_state, "PAGE_INDEXES", 5)
    for number in range(12):
        run(sides[Store.LOCAL], f"FT.CREATE i{number:02} SCHEMA x TEXT")
    before = commands(sides[Store.LOCAL]).get("FT.INFO", 0)
    at = open_search()
    assert list(grid(at, "Index")["Index"]) == [f"i{number:02}" for number in range(5)]
    assert commands(sides[Store.LOCAL])["FT.INFO"] - before == 5
    at = drawn(at.button(key="search-next").click().run())
    assert list(grid(at, "Index")["Index"]) == [f"i{number:02}" for number in range(5, 10)]
    assert "6 to 10 of 12" in text_of(at)
    assert list(grid(open_search(page="99"), "Index")["Index"]) == ["i10", "i11"]


def test_without_an_index_the_first_steps_are_shown(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, text_of: TextOf
) -> None:
    at = open_search()
    assert "There is no search index yet." in text_of(at)
    assert not at.button(key="search-new-open").disabled
    assert hybrid.execute_command(*split_line(BOOKS)) and hybrid.wait_in_sync(5)
    at = drawn(at.button(key="insights-refresh").click().run())
    assert grid(at, "Index")["Definition"].tolist() == [["✓ equal"]]


@pytest.mark.parametrize("weather", ["cloud down", "local down"])
def test_one_store_is_enough_to_look(
    weather: str, hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, set_weather: Any, text_of: TextOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    down = Store.CLOUD if weather == "cloud down" else Store.LOCAL
    for store in sides.values():
        run(store, BOOKS)
    sides[down.other].hset("book:1", "title", "sea")
    filled(sides[down.other], 1)
    set_weather(weather)
    with client("redis://127.0.0.1:1") as nobody:
        real, kept = hybrid.store, queries.Lines(hybrid)
        monkeypatch.setattr(hybrid, "store", lambda store: nobody if store is down else real(store))
        monkeypatch.setattr(key_queries, "lines", lambda: kept)
        at = open_search()
        table = grid(at, "Index")
        assert "Definition" not in table.columns, "nobody knows what the other one has"
        assert f"{down.name.title()}: Unknown since" in text_of(at)
        at = asked(open_search(index="books"), "*")
        assert "unknown since" in text_of(at)
    [found] = results(at)
    assert found["Key"].tolist() == ["book:1"] and "Other store" not in found.columns


@pytest.mark.parametrize("weather", ["starting", "both down", "unknown", "no cloud"])
def test_nothing_known_is_no_empty_list(weather: str, open_search: Open, set_weather: Any, text_of: TextOf) -> None:
    """No server runs here."""
    set_weather(weather)
    for query in ({}, {"index": "books", "query": "*"}):
        at = open_search(**query)
        assert not at.exception and not results(at)
        assert "There is no search index yet" not in text_of(at)
        assert "nknown since" in text_of(at)


def test_a_server_without_search_says_so(
    server_pool: Pool, sides: dict[Store, Any], hybrid: HybridRedis, open_search: Open, text_of: TextOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run(sides[Store.LOCAL], BOOKS)
    with client(server_pool.get("valkey", "plain").url) as plain:
        real = hybrid.store
        monkeypatch.setattr(hybrid, "store", lambda store: plain if store is Store.CLOUD else real(store))
        kept = queries.Lines(hybrid)
        monkeypatch.setattr(key_queries, "lines", lambda: kept)
        at = open_search()
        assert "Cloud: This server has no search" in text_of(at)
        assert "Definition" not in grid(at, "Index").columns
        at = asked(open_search(index="books"), "*")
        assert "Only the local store has" not in text_of(at), "it cannot be created there"
        assert len(results(at)) == 0 and "No document of this store matches." in text_of(at)
        assert plain.info("commandstats").get("cmdstat_ft.search") is None


def test_who_may_not_is_told_so(
    hybrid: HybridRedis, sides: dict[Store, Any], open_search: Open, text_of: TextOf, monkeypatch: pytest.MonkeyPatch,
    pair: Stores,
) -> None:  # fmt: skip
    run(sides[Store.LOCAL], BOOKS)
    sides[Store.LOCAL].acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-FT.INFO"])
    with client(pair.local.url, username="reader", password="any") as reader:
        monkeypatch.setattr(hybrid, "store", lambda _store: reader)
        kept = queries.Lines(hybrid)
        monkeypatch.setattr(key_queries, "lines", lambda: kept)
        at = open_search()
        assert grid(at, "Index")["Index"].tolist() == ["books"]
        assert grid(at, "Index")["Definition"].tolist() == [["? unknown"]]
        assert "may not run FT.INFO on this store" in text_of(at)
    sides[Store.LOCAL].acl_deluser("reader")
