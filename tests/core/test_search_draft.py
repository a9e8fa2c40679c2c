"""Search indexes that are drawn up: the command, and what documents suggest."""

from __future__ import annotations

import pytest

from hybrid.core.search_draft import Draft, create_words, suggested
from hybrid.errors import ConfigurationError


def test_the_command() -> None:
    draft = Draft(b"books", "HASH", (b"book:", b"b:"), 'title AS t TEXT WEIGHT 2\n\n"a name" tag separator ;\n')
    assert create_words(draft) == (
        b"FT.CREATE", b"books", b"ON", b"HASH", b"PREFIX", b"2", b"book:", b"b:", b"SCHEMA",
        b"title", b"AS", b"t", b"TEXT", b"WEIGHT", b"2", b"a name", b"tag", b"separator", b";",
    )  # fmt: skip
    assert b"PREFIX" not in create_words(Draft(b"all", "JSON", (), "$.a AS a TEXT"))


@pytest.mark.parametrize(
    ("name", "schema", "words"),
    [
        (b"", "title TEXT", "needs a name"),
        (b"i", " \n ", "needs fields"),
        (b"i", "a TEXT\ntitle", "line 2: write a field and its type"),
        (b"i", "title AS t", "line 1: write a field and its type"),
        (b"i", "title TEXTS", "line 1: write a field and its type"),
        (b"i", 'a TEXT\n"title TEXT', "line 2: the quote at character 1 is never closed"),
    ],
)
def test_what_is_wrong_is_named(name: bytes, schema: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create_words(Draft(name, "HASH", (), schema))


def test_fields_of_hashes() -> None:
    documents = [
        {b"title": b"the sea", b"n": b"1", b"isbn": b"978-3", b"where": b"-8.6,41.1", b"note": b"a", b"v": b"\x00\x01"},
        {b"title": b"sky", b"n": b"2.5e3", b"isbn": b"978-4", b"where": b"13.4,52.5", b"note": b"a\nb", b"a b": b"x"},
        {b"title": b"\n", b"w": b"\xff\xfe"},
    ]
    assert suggested("HASH", documents) == (
        "title TEXT", "n NUMERIC SORTABLE", "isbn TAG", "where GEO", "note TEXT", '"a b" TAG',
    )  # fmt: skip
    assert suggested("HASH", []) == ()


def test_fields_of_documents() -> None:
    documents = [
        b'{"title": "the sea", "n": 1, "in print": true, "tags": ["a", "b"], "by": {"name": "Ana Lima"}, "x": null}',
        b'{"title": "sky", "n": 2.5, "in print": false, "tags": [], "by": {"name": "Bob"}, "deep": [[1]]}',
    ]
    assert suggested("JSON", documents) == (
        "$.title AS title TEXT", "$.n AS n NUMERIC SORTABLE", '"$[\\"in print\\"]" AS "in print" TAG',
        "$.tags[*] AS tags TAG", "$.by.name AS by_name TEXT",
    )  # fmt: skip
    assert suggested("JSON", [b"[1, 2]", b'"text"']) == ()


def test_no_more_fields_than_anybody_reads() -> None:
    assert len(suggested("HASH", [{b"f%d" % n: b"1" for n in range(200)}])) == 50


def test_what_is_suggested_is_a_schema() -> None:
    lines = suggested("JSON", [b'{"a": "x y", "b c": 1}'])
    assert create_words(Draft(b"i", "JSON", (), "\n".join(lines)))[-3:] == (b"b c", b"NUMERIC", b"SORTABLE")
