"""Search indexes of both stores: what a server says of them, and what it finds; on a real server with search."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from servers import Pool, Stores, client, wait_until

from hybrid import HybridRedis
from hybrid.core.search_draft import Draft
from hybrid.core.search_hits import NO_SEARCH, found_keys, hits_of
from hybrid.core.search_index import index_info
from hybrid.core.shell import split_line
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.ops.insights import NotOffered
from hybrid.ops.keys import Lines
from hybrid.ops.keys.edit import Reached
from hybrid.ops.search import (
    Found,
    Hits,
    IndexInfo,
    Question,
    apart,
    create_command,
    explain,
    found_beside,
    read_indexes,
    read_infos,
    search,
    search_among,
    suggest,
)
from hybrid.ops.search_indexes import create_index, drop_index
from hybrid.types import Store

CREATED = """
FT.CREATE books ON HASH PREFIX 2 book: b: FILTER "@n>=0" LANGUAGE portuguese SCORE 0.5 STOPWORDS 2 a the SCHEMA \
title AS t TEXT WEIGHT 2 NOSTEM WITHSUFFIXTRIE SORTABLE n NUMERIC SORTABLE UNF tags TAG SEPARATOR ; CASESENSITIVE \
where GEO SORTABLE NOINDEX shape GEOSHAPE FLAT \
v VECTOR HNSW 10 TYPE FLOAT32 DIM 2 DISTANCE_METRIC COSINE M 20 EF_CONSTRUCTION 100 \
v2 VECTOR FLAT 6 TYPE FLOAT64 DIM 3 DISTANCE_METRIC L2
FT.CREATE docs ON JSON PREFIX 1 doc: SCHEMA $.a AS a TEXT INDEXEMPTY INDEXMISSING $.t[*] AS t TAG \
$.u AS u TAG SEPARATOR ,
FT.CREATE everything ON HASH LANGUAGE_FIELD l SCORE_FIELD s PAYLOAD_FIELD p MAXTEXTFIELDS NOFIELDS NOFREQS NOHL \
NOOFFSETS STOPWORDS 0 SCHEMA x TEXT
FT.CREATE "two words" ON HASH SCHEMA "a field" TEXT
""".strip().splitlines()
BOOKS = "FT.CREATE books ON HASH PREFIX 1 book: SCHEMA title TEXT SORTABLE n NUMERIC"


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud"))


@pytest.fixture(autouse=True)
def without_indexes(sides: dict[Store, Any]) -> None:
    """A store that is emptied keeps them."""
    for store in sides.values():
        for name in store.execute_command("FT._LIST"):
            store.execute_command("FT.DROPINDEX", name)


def run(store: Any, line: str) -> Any:
    return store.execute_command(*split_line(line))


def info(lines: Lines, store: Store, name: bytes) -> IndexInfo:
    found = read_infos(lines, store, [name])[name]
    assert isinstance(found, IndexInfo)
    return found


def filled(lines: Lines, store: Store, name: bytes, documents: int) -> None:
    wait_until(lambda: info(lines, store, name).documents == documents, "the index to be filled")


@pytest.mark.parametrize("line", CREATED, ids=lambda line: split_line(line)[1].decode())
def test_what_is_told_of_an_index_is_the_command_that_makes_it_again(
    line: str, lines: Lines, sides: dict[Store, Any]
) -> None:
    name = split_line(line)[1]
    run(sides[Store.LOCAL], line)
    made = info(lines, Store.LOCAL, name).definition
    assert split_line(create_command(name, made)) == split_line(line)
    run(sides[Store.CLOUD], create_command(name, made))
    assert apart(made, info(lines, Store.CLOUD, name).definition) == ()


@pytest.mark.parametrize("line", CREATED, ids=lambda line: split_line(line)[1].decode())
def test_both_protocols_tell_the_same(line: str, pair: Stores, sides: dict[Store, Any]) -> None:
    name = split_line(line)[1]
    run(sides[Store.LOCAL], line)
    sides[Store.LOCAL].hset("book:1", mapping={"title": "sea", "n": 1, "where": "1,2", "v": struct.pack("2f", 1, 2)})
    told = []
    for protocol in (2, 3):
        with client(pair.local.url, protocol=protocol) as plain:
            connection = plain.connection_pool.get_connection()

            def ask(*words: Any, connection: Any = connection) -> Any:
                connection.send_command(*words)
                return connection.read_response()

            wait_until(lambda ask=ask: index_info(ask("FT.INFO", name)).indexed == 1, "the index to be filled")
            asked = ("FT.SEARCH", name, "*", "WITHSCORES")
            told.append((
                index_info(ask("FT.INFO", name)), hits_of(ask(*asked)), hits_of(ask(*asked, "NOCONTENT")),
                found_keys(ask(*asked[:3], "NOCONTENT")),
            ))  # fmt: skip
    assert told[0] == told[1]
    assert told[0][1].total == len(told[0][2].hits) + told[0][2].own == len(told[0][3])


def test_how_an_index_fares(lines: Lines, sides: dict[Store, Any]) -> None:
    run(sides[Store.LOCAL], CREATED[0])
    sides[Store.LOCAL].hset("book:1", mapping={"title": "the sea", "n": 1, "tags": "a;b"})
    sides[Store.LOCAL].hset("book:2", mapping={"title": "the sky", "n": "many"})
    filled(lines, Store.LOCAL, b"books", 1)
    found = info(lines, Store.LOCAL, b"books")
    assert (found.failures, found.error_key, found.is_indexing, found.indexed) == (1, "book:2", False, 1)
    assert "many" in found.error
    assert found.terms and found.records and found.memory_bytes and found.took_ms
    assert read_indexes(lines, Store.LOCAL) == (b"books",)
    assert read_indexes(lines, Store.CLOUD) == ()
    assert read_infos(lines, Store.CLOUD, [b"books"])[b"books"] == NotOffered(
        "FT.INFO", "There is no such index on this store."
    )


def test_definitions_that_differ_are_told_place_by_place(lines: Lines, sides: dict[Store, Any]) -> None:
    run(sides[Store.LOCAL], BOOKS)
    run(
        sides[Store.CLOUD],
        "FT.CREATE books ON HASH PREFIX 1 b: STOPWORDS 0 SCHEMA n NUMERIC SORTABLE tag TAG title TEXT",
    )
    found = apart(*(info(lines, store, b"books").definition for store in Store))
    assert {each.what: (each.local, each.cloud) for each in found} == {
        "PREFIX": ("book:", "b:"),
        "STOPWORDS": ("", "0"),
        "title": ("title TEXT SORTABLE", "title TEXT"),
        "n": ("n NUMERIC", "n NUMERIC SORTABLE UNF"),
        "tag": ("", "tag TAG"),
    }


def test_a_query_finds_the_same_in_pages_and_what_one_store_finds_alone_is_told(
    hybrid: HybridRedis, lines: Lines, sides: dict[Store, Any]
) -> None:
    for store in sides.values():
        run(store, BOOKS)
    for number in range(12):
        hybrid.hset(f"book:{number}", mapping={"title": f"The Sea {number}", "n": number})
    assert hybrid.wait_in_sync(5)
    sides[Store.LOCAL].hset("book:mine", mapping={"title": "sea", "n": 1})
    sides[Store.CLOUD].hset("book:3", "title", "another sea")
    filled(lines, Store.LOCAL, b"books", 13)
    filled(lines, Store.CLOUD, b"books", 12)
    question = Question("sea", count=50, fields=("title", "n"))
    before = lines.commands(Store.CLOUD)
    mine, theirs = (search(lines, store, b"books", question) for store in Store)
    assert lines.commands(Store.CLOUD) - before == 1
    assert isinstance(mine, Hits) and isinstance(theirs, Hits)
    assert (mine.total, theirs.total) == (13, 12)
    one = next(hit for hit in mine.hits if hit.key == b"book:5")
    assert dict(one.fields)["n"] == b"5" and dict(one.fields)["title"].lower() == b"the sea 5" and one.score > 0
    beside = {hit.key: found_beside(hit, theirs, frozenset()) for hit in mine.hits}
    assert beside.pop(b"book:mine") is Found.ONLY_HERE and beside.pop(b"book:3") is Found.DIFFERS
    assert set(beside.values()) == {Found.SAME}

    pages = [search(lines, Store.LOCAL, b"books", Question("sea", offset, 5)) for offset in (0, 5, 10)]
    keys = [hit.key for page in pages if isinstance(page, Hits) for hit in page.hits]
    assert len(keys) == len(set(keys)) == 13
    assert search_among(lines, Store.CLOUD, b"books", question, [b"book:mine", b"book:7"]) == frozenset({b"book:7"})


def test_no_page_is_unbounded(lines: Lines, sides: dict[Store, Any]) -> None:
    run(sides[Store.LOCAL], BOOKS)
    for number in range(60):
        sides[Store.LOCAL].hset(f"book:{number}", "title", "sea")
    filled(lines, Store.LOCAL, b"books", 60)
    found = search(lines, Store.LOCAL, b"books", Question("sea", count=10**9))
    assert isinstance(found, Hits) and (found.total, len(found.hits)) == (60, 50)
    far = search(lines, Store.LOCAL, b"books", Question("sea", offset=10**12))
    assert isinstance(far, Hits) and (far.total, far.hits) == (60, ())


def test_an_answer_that_was_cut_short_does_not_pass_for_a_whole_one(lines: Lines, sides: dict[Store, Any]) -> None:
    """The server says nothing of it in RESP2: a store that had no time seemed to have no such document."""
    run(sides[Store.LOCAL], BOOKS)
    with sides[Store.LOCAL].pipeline(transaction=False) as many:
        for number in range(50_000):
            many.hset(f"book:{number}", mapping={"title": "sea", "n": number})
        many.execute()
    filled(lines, Store.LOCAL, b"books", 50_000)
    cut = search(lines, Store.LOCAL, b"books", Question("sea @n:[0 50000]", limit_ms=1))
    assert isinstance(cut, Hits) and (cut.may_lack or cut.total == 50_000)
    whole = search(lines, Store.LOCAL, b"books", Question("sea @n:[0 50000]", limit_ms=60_000))
    assert isinstance(whole, Hits) and not whole.may_lack and whole.total == 50_000
    late = Question("sea", limit_ms=0)
    assert search_among(lines, Store.LOCAL, b"books", late, [b"book:1"]) is None, "it cannot tell"


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("@title:(", "The query cannot be read from character 8 on, near “title”."),
        ("@n:[0 abc", "The query cannot be read from character "),
        ("*=>[KNN 2 @v $vec]", "The query has a parameter, $vec, that only the Console can give: with PARAMS."),
    ],
)
def test_what_is_wrong_with_a_query_is_one_sentence(
    query: str, why: str, lines: Lines, sides: dict[Store, Any]
) -> None:
    run(sides[Store.LOCAL], CREATED[0])
    for found in (
        search(lines, Store.LOCAL, b"books", Question(query)),
        explain(lines, Store.LOCAL, b"books", query),
    ):
        assert isinstance(found, NotOffered)
        if not isinstance(found, NotOffered) or found.command == "FT.SEARCH":
            assert found.why.startswith(why) and found.why.count(". ") == 0
    assert search(lines, Store.CLOUD, b"books", Question("*")) == NotOffered(
        "FT.SEARCH", "There is no such index on this store."
    )


def test_a_query_is_explained(lines: Lines, sides: dict[Store, Any]) -> None:
    run(sides[Store.LOCAL], BOOKS)
    told = explain(lines, Store.LOCAL, b"books", "@title:sea @n:[1 3]")
    assert isinstance(told, str) and told.startswith("INTERSECT {") and "NUMERIC" in told


def test_a_field_is_returned_by_its_name_and_an_alias_tells_of_its_index(lines: Lines, sides: dict[Store, Any]) -> None:
    run(sides[Store.LOCAL], CREATED[0])
    run(sides[Store.LOCAL], "FT.ALIASADD shelf books")
    sides[Store.LOCAL].hset("book:1", mapping={"title": "The Sea", "n": 1, "tags": "a;b"})
    filled(lines, Store.LOCAL, b"shelf", 1)
    found = search(lines, Store.LOCAL, b"shelf", Question("@t:sea", fields=("t", "tags", "none")))
    assert isinstance(found, Hits)
    assert dict(found.hits[0].fields) == {"t": b"The Sea", "tags": b"a;b"}
    assert info(lines, Store.LOCAL, b"shelf").name == b"books"


def test_documents_are_found_too(lines: Lines, sides: dict[Store, Any]) -> None:
    run(sides[Store.LOCAL], CREATED[1])
    run(sides[Store.LOCAL], """JSON.SET doc:1 $ '{"a":"hello","t":["x","y"]}'""")
    filled(lines, Store.LOCAL, b"docs", 1)
    found = search(lines, Store.LOCAL, b"docs", Question("@t:{y}", fields=("a", "t")))
    assert isinstance(found, Hits)
    [hit] = found.hits
    assert (hit.key, dict(hit.fields)["a"]) == (b"doc:1", b"hello")


def test_who_may_not_is_told_so(pair: Stores, sides: dict[Store, Any]) -> None:
    run(sides[Store.LOCAL], BOOKS)
    sides[Store.LOCAL].acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-FT.INFO"])
    url = pair.local.url.replace("redis://", "redis://reader:any@") if pair.local.url else ""
    with HybridRedis.from_urls(url, None) as single:
        kept = Lines(single)
        try:
            assert read_indexes(kept, Store.LOCAL) == (b"books",)
            told = read_infos(kept, Store.LOCAL, [b"books"])[b"books"]
        finally:
            kept.close()
    assert isinstance(told, NotOffered) and "may not run FT.INFO" in told.why
    sides[Store.LOCAL].acl_deluser("reader")


def test_a_server_without_search_is_told_as_one_and_a_lost_one_is_no_empty_one(server_pool: Pool) -> None:
    server = server_pool.get("valkey", "local")
    with HybridRedis.from_urls(server.url, None) as single:
        kept = Lines(single, timeout_s=0.5)
        try:
            assert read_indexes(kept, Store.LOCAL) == NotOffered("FT._LIST", NO_SEARCH)
            assert search(kept, Store.LOCAL, b"i", Question("*")) == NotOffered("FT.SEARCH", NO_SEARCH)
            server.kill()
            with pytest.raises(StoreUnavailable):
                read_indexes(kept, Store.LOCAL)
        finally:
            kept.close()


BOOK_DRAFT = Draft(b"books", "HASH", (b"book:",), "title TEXT SORTABLE\nn NUMERIC")


def test_an_index_is_made_and_dropped_on_both(hybrid: HybridRedis, lines: Lines) -> None:
    hybrid.hset("book:1", mapping={"title": "the sea", "n": "1"})
    assert create_index(lines, BOOK_DRAFT) == dict.fromkeys(Store, Reached.WRITTEN)
    for store in Store:
        filled(lines, store, b"books", 1)
    mine, theirs = (info(lines, store, b"books").definition for store in Store)
    assert (mine.prefixes, [field.kind for field in mine.fields]) == (("book:",), ["TEXT", "NUMERIC"])
    assert apart(mine, theirs) == ()
    with pytest.raises(HybridError, match="the local store has an index of this name already"):
        create_index(lines, BOOK_DRAFT)
    assert drop_index(hybrid, b"books") == dict.fromkeys(Store, Reached.WRITTEN)
    assert [read_indexes(lines, store) for store in Store] == [(), ()]
    assert hybrid.exists("book:1")
    with pytest.raises(HybridError, match="the server refuses"):
        drop_index(hybrid, b"books")


def test_no_index_is_made_where_the_cloud_store_has_another(lines: Lines, sides: dict[Store, Any]) -> None:
    sides[Store.CLOUD].execute_command("FT.CREATE", "books", "SCHEMA", "x", "TEXT")
    with pytest.raises(HybridError, match="the cloud store has an index of this name already"):
        create_index(lines, BOOK_DRAFT)
    assert read_indexes(lines, Store.LOCAL) == ()


def test_fields_are_suggested_from_what_there_is(hybrid: HybridRedis, lines: Lines) -> None:
    for number in range(20):
        hybrid.hset(f"book:{number}", mapping={"title": f"the sea {number}", "n": number})
    hybrid.hset("book:[x]", "odd", "1")
    hybrid.hset("book:big", "text", "x" * 500_000)
    hybrid.json().set("doc:1", "$", {"title": "the sky", "tags": ["a"]})
    suggestion = suggest(lines, Store.LOCAL, "HASH", b"book:1")
    assert suggestion == ("title TEXT", "n NUMERIC SORTABLE")
    assert suggest(lines, Store.LOCAL, "HASH", b"book:[") == ("odd NUMERIC SORTABLE",)
    assert suggest(lines, Store.LOCAL, "JSON", b"doc:") == ("$.title AS title TEXT", "$.tags[*] AS tags TAG")
    assert suggest(lines, Store.LOCAL, "HASH", b"nobody:") == ()
    assert suggest(lines, Store.LOCAL, "HASH", b"book:big") == ()
