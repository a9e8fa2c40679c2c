"""Finding requests in bytes, however they arrive."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.resp import pack
from hybrid.proxy import requests
from hybrid.proxy.requests import RequestParser

PIPELINE = [(b"SET", b"k", b"a\r\nb"), (b"GET", b"k"), (b"MSET", *[b"x" * size for size in (0, 1, 1024, 1025, 4000)])]
PACKED = b"".join(pack(args) for args in PIPELINE)


def fed(*pieces: bytes, stranger: bool = False) -> tuple[list[tuple[bytes, ...]], str]:
    parser = RequestParser(stranger=stranger)
    found = [request for piece in pieces for request in parser.feed(piece)]
    for args, packed in found:
        assert pack(args) == packed
    return [args for args, _ in found], str(parser.error or "")


def test_requests_come_out_as_they_were_packed() -> None:
    assert fed(PACKED) == (PIPELINE, "")


@given(st.lists(st.integers(0, len(PACKED)), max_size=8))
def test_however_the_bytes_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(PACKED)]
    pieces = (PACKED[start:end] for start, end in pairwise(edges) if end > start)
    assert fed(*pieces) == (PIPELINE, "")


def test_byte_by_byte() -> None:
    assert fed(*(PACKED[at : at + 1] for at in range(len(PACKED)))) == (PIPELINE, "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"PING\r\n", (b"PING",)),
        (b"  get   a b \n", (b"get", b"a", b"b")),
        (b'set "a b" "x\\x41\\n\\"q"\r\n', (b"set", b"a b", b'xA\n"q')),
        (b"set 'a b' 'it\\'s'\r\n", (b"set", b"a b", b"it's")),
        (b'set "" ""\r\n', (b"set", b"", b"")),
    ],
)
def test_lines_as_people_type_them(line: bytes, words: tuple[bytes, ...]) -> None:
    assert fed(line) == ([words], "")
    assert fed(line[:3], line[3:], PACKED) == ([words, *PIPELINE], "")


def test_nothing_is_asked_by_empty_lines_and_empty_requests() -> None:
    assert fed(b"\r\n\r\n*0\r\n*-1\r\nPING\r\n") == ([(b"PING",)], "")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\nGET\r\n", "expected '$', got 'G'"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*99999999\r\n", "invalid multibulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*2\r\n$3\r\nGET\r\n$536870913\r\n", "invalid bulk length"),
        (b"*" + b"1" * 70_000, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70_000, "too big bulk count string"),
        (b"x" * 70_000, "too big inline request"),
        (b'set a "x\r\n', "unbalanced quotes in request"),
        (b"set 'a'b x\r\n", "unbalanced quotes in request"),
    ],
)
def test_garbage_is_named_and_what_came_before_it_is_served(data: bytes, error: str) -> None:
    assert fed(data) == ([], error)
    assert fed(PACKED + data) == (PIPELINE, error)


def test_strangers_may_send_little() -> None:
    assert fed(b"*11\r\n", stranger=True)[1] == "unauthenticated multibulk length"
    assert fed(b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", stranger=True)[1] == "unauthenticated bulk length"
    assert fed(pack(("AUTH", "x" * 16384)), stranger=True)[1] == ""


def test_a_request_larger_than_memory_is_refused_while_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_REQUEST_BYTES", 1000)
    argument = b"$100\r\n" + b"x" * 100 + b"\r\n"
    assert fed(b"*50\r\n", *[argument] * 20)[1] == "too big request"


def test_how_much_is_missing_is_known() -> None:
    parser = RequestParser()
    parser.feed(b"*2\r\n$3\r\nGET\r\n$1000\r\nabc")
    assert parser.missing == 999
    parser.feed(b"x" * 990)
    assert parser.missing == 9
