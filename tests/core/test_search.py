"""Replies about search indexes, of both protocols and of older servers; what a refusal means. Against a real server:
tests/ops/test_search.py."""

from __future__ import annotations

from typing import Any

import pytest

from hybrid.core.search_hits import (
    NO_INDEX,
    NO_SEARCH,
    Found,
    Hit,
    Hits,
    found_beside,
    found_keys,
    hits_of,
    why_refused,
)
from hybrid.core.search_index import Definition, IndexField, apart, create_command, index_info

FLAT: list[Any] = [
    b"index_name", b"books",
    b"index_options", [b"NOFREQS"],
    b"index_definition", [b"key_type", b"HASH", b"prefixes", [b"book:", b"b "], b"default_score", b"1"],
    b"attributes", [
        [b"identifier", b"title", b"attribute", b"t", b"type", b"TEXT", b"WEIGHT", b"2", b"SORTABLE", b"NOSTEM"],
        [b"identifier", b"tag", b"attribute", b"tag", b"type", b"TAG", b"SEPARATOR", b","],
        [b"identifier", b"v", b"attribute", b"v", b"type", b"VECTOR", b"algorithm", b"HNSW", b"data_type", b"FLOAT32",
         b"dim", 2, b"distance_metric", b"L2", b"M", 16],
    ],
    b"num_docs", 3, b"num_terms", b"12", b"num_records", b"nan",
    b"inverted_sz_mb", b"0.5", b"doc_table_size_mb", b"0.25", b"sortable_values_size_mb", b"nan",
    b"hash_indexing_failures", 2, b"indexing", 1, b"percent_indexed", b"0.425",
]  # fmt: skip
MAPS: dict[Any, Any] = {
    b"index_name": b"books",
    b"index_options": [b"NOFREQS"],
    b"index_definition": {b"key_type": b"HASH", b"prefixes": [b"book:", b"b "], b"default_score": 1.0},
    b"attributes": [
        {b"identifier": b"title", b"attribute": b"t", b"type": b"TEXT", b"WEIGHT": 2.0,
         b"flags": [b"SORTABLE", b"NOSTEM"]},
        {b"identifier": b"tag", b"attribute": b"tag", b"type": b"TAG", b"SEPARATOR": b",", b"flags": []},
        {b"identifier": b"v", b"attribute": b"v", b"type": b"VECTOR", b"algorithm": b"HNSW", b"data_type": b"FLOAT32",
         b"dim": 2, b"distance_metric": b"L2", b"M": 16, b"flags": []},
    ],
    b"num_docs": 3, b"num_terms": 12, b"num_records": float("nan"),
    b"inverted_sz_mb": 0.5, b"doc_table_size_mb": 0.25, b"sortable_values_size_mb": float("nan"),
    b"hash_indexing_failures": 2, b"indexing": 1, b"percent_indexed": 0.425,
}  # fmt: skip
MADE = Definition(
    "HASH", ("book:", "b "), (), ("NOFREQS",), None,
    (
        IndexField("t", "title", "TEXT", (("WEIGHT", "2"),), ("NOSTEM", "SORTABLE")),
        IndexField("tag", "tag", "TAG"),
        IndexField("v", "v", "VECTOR", (
            ("ALGORITHM", "HNSW"), ("TYPE", "FLOAT32"), ("DIM", "2"), ("DISTANCE_METRIC", "L2"), ("M", "16"),
        )),
    ),
)  # fmt: skip


@pytest.mark.parametrize("reply", [FLAT, MAPS], ids=["resp2", "resp3"])
def test_what_an_older_server_leaves_out_is_unknown_and_no_zero(reply: Any) -> None:
    found = index_info(reply)
    assert found.definition == MADE
    assert (found.documents, found.terms, found.records, found.took_ms) == (3, 12, None, None)
    assert found.memory_bytes == 768 * 1024, "the sum of what is told"
    assert (found.is_indexing, found.indexed, found.failures, found.error) == (True, 0.425, 2, "")


def test_the_command_that_makes_an_index_quotes_what_must_be() -> None:
    assert create_command(b"my books", MADE) == (
        'FT.CREATE "my books" ON HASH PREFIX 2 book: "b " NOFREQS SCHEMA title AS t TEXT WEIGHT 2 NOSTEM SORTABLE '
        "tag TAG v VECTOR HNSW 8 TYPE FLOAT32 DIM 2 DISTANCE_METRIC L2 M 16"
    )


def test_the_order_of_fields_and_prefixes_is_no_difference() -> None:
    turned = Definition("HASH", MADE.prefixes[::-1], (), ("NOFREQS",), None, MADE.fields[::-1])
    assert apart(MADE, turned) == ()
    json = Definition("JSON", MADE.prefixes, (("FILTER", "@n>0"),), (), (), MADE.fields[1:])
    assert {each.what: (each.local, each.cloud) for each in apart(MADE, json)} == {
        "ON": ("HASH", "JSON"),
        "FILTER": ("", "@n>0"),
        "": ("NOFREQS", ""),
        "STOPWORDS": ("", "0"),
        "t": ("title TEXT WEIGHT 2 NOSTEM SORTABLE", ""),
    }


ONE, TWO, GONE = Hit(b"a", 0.5, (("x", b"1"),)), Hit(b"b", 1.0, ()), Hit(b"c", 1.0, ())


@pytest.mark.parametrize(
    "reply",
    [
        [7, b"a", b"0.5", [b"x", b"1"], b"b", b"1", [], b"c", b"1", None],
        {
            b"total_results": 7,
            b"results": [
                {b"id": b"a", b"score": 0.5, b"extra_attributes": {b"x": b"1"}, b"values": []},
                {b"id": b"b", b"score": 1.0, b"extra_attributes": {}},
                {b"id": b"c", b"score": 1.0},
            ],
        },
    ],
    ids=["resp2", "resp3"],
)
def test_hits(reply: Any) -> None:
    assert hits_of(reply) == Hits(7, (ONE, TWO, GONE))


def test_hits_without_fields_and_none() -> None:
    assert hits_of([2, b"b", b"1", b"c", b"1"]) == Hits(2, (TWO, GONE))
    assert hits_of([9, b"b", b"1"]) == Hits(9, (TWO,))
    assert hits_of([0]) == hits_of({b"total_results": 0, b"results": []}) == Hits(0, ())
    assert hits_of([3, b"b", b"1", b"hybrid:x", b"1", b"c", b"1"]) == Hits(3, (TWO, GONE), own=1)
    assert found_keys([2, b"b", b"c"]) == found_keys({b"results": [{b"id": b"b"}, {b"id": b"c"}]}) == {b"b", b"c"}


@pytest.mark.parametrize(
    ("other", "known_there", "expected"),
    [
        (Hits(1, (ONE,)), None, Found.SAME),
        (Hits(1, (Hit(b"a", 9.0, (("x", b"1"),)),)), None, Found.SAME),
        (Hits(1, (Hit(b"a", 0.5, (("x", b"2"),)),)), None, Found.DIFFERS),
        (Hits(1, (TWO,)), None, Found.ONLY_HERE),
        (Hits(0, ()), None, Found.ONLY_HERE),
        (Hits(2, (TWO,), own=1), None, Found.ONLY_HERE),
        (Hits(1, (TWO,), may_lack=True), None, Found.UNKNOWN),
        (Hits(9, (TWO,)), None, Found.UNKNOWN),
        (Hits(9, (TWO,)), {b"a"}, Found.ON_ANOTHER_PAGE),
        (Hits(9, (TWO,)), set(), Found.ONLY_HERE),
        (None, None, Found.UNKNOWN),
    ],
)
def test_a_hit_beside_the_other_stores_answer(other: Hits | None, known_there: Any, expected: Found) -> None:
    assert found_beside(ONE, other, known_there) is expected


@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("unknown command 'FT.SEARCH', with args beginning with: 'i' ", NO_SEARCH),
        ("ERR Command is not available: 'FT._LIST'. See https://upstash.com/docs", NO_SEARCH),
        ("nix: no such index", NO_INDEX),
        ("Unknown index name", NO_INDEX),
        ("SEARCH_INDEX_NOT_FOUND Index not found: nix", NO_INDEX),
        ("Syntax error at offset 7 near title", "The query cannot be read from character 8 on, near “title”."),
        ("SEARCH_SYNTAX: Syntax error at offset 0", "The query cannot be read from character 1 on."),
        ("No such parameter `vec`", "The query has a parameter, $vec, that only the Console can give: with PARAMS."),
        ("Timeout limit was reached",
         "The time limit was reached before there was an answer: narrow the query, or allow more time."),
        ("Unknown field at offset 0", "This store refuses the query: Unknown field at offset 0."),
    ],
)  # fmt: skip
def test_a_refusal_in_one_sentence(error: str, why: str) -> None:
    assert why_refused(error) == why
