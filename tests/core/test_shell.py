"""A command line as in redis-cli: how it is split, how replies are printed, what a log may hold of it."""

from __future__ import annotations

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.shell import bounded, masked_line, printed, quoted, split_line
from hybrid.errors import ConfigurationError


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("GET  key ", [b"GET", b"key"]),
        (r'SET k "a b\n\x00\"q\""', [b"SET", b"k", b'a b\n\x00"q"']),
        (r"SET k 'it\'s \n'", [b"SET", b"k", b"it's \\n"]),
        ('SET k ""', [b"SET", b"k", b""]),
        ("SET chave ação", [b"SET", b"chave", "ação".encode()]),
        ("", []),
    ],
)
def test_line_is_split_as_redis_cli_does(line: str, words: list[bytes]) -> None:
    assert split_line(line) == words


@pytest.mark.parametrize(
    ("line", "said"), [('SET k "v', "character 7 is never closed"), ("SET k 'v", "never closed"), ('"a"b', "space")]
)
def test_malformed_line_is_one_clear_sentence(line: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        split_line(line)


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_what_is_printed_in_quotes_is_read_back(words: list[bytes]) -> None:
    assert split_line(" ".join(map(quoted, words))) == words


@pytest.mark.parametrize(
    ("reply", "command", "lines"),
    [
        (None, "GET", ["(nil)"]),
        (7, "INCR", ["(integer) 7"]),
        (b"OK", "SET", ["OK"]),
        (b"string", "TYPE", ["string"]),
        (b"v\xff", "GET", ['"v\\xff"']),
        (b"a:1\r\nb:2\r\n", "INFO", ["a:1", "b:2"]),
        (redis.ResponseError("WRONGTYPE no"), "GET", ["(error) WRONGTYPE no"]),
        ([], "KEYS", ["(empty array)"]),
        ([b"a", [1, [b"x"]]], "X", ['1) "a"', "2) 1) (integer) 1", '   2) 1) "x"']),
        ({b"k": 1.5, b"l": True}, "X", ['1# "k" => (double) 1.5', '2# "l" => (true)']),
    ],
)
def test_reply_is_printed_as_redis_cli_does(reply: object, command: str, lines: list[str]) -> None:
    assert list(printed(reply, command)) == lines


def test_numbers_are_aligned() -> None:
    lines = list(printed([b"x"] * 10))
    assert lines[0] == ' 1) "x"'
    assert lines[9] == '10) "x"'


def test_output_is_bounded_by_lines_and_by_size() -> None:
    assert bounded(printed([b"x"] * 10), 10, 1000) == (tuple(printed([b"x"] * 10)), False)
    assert bounded(printed([b"x"] * 10), 4, 1000)[1] is True
    lines, cut = bounded(printed([b"x" * 90] * 10), 10, 200)
    assert (len(lines), cut) == (2, True)
    assert quoted(b"x" * 20_000).endswith("(20,000 bytes)")


@pytest.mark.parametrize(
    "line",
    [
        "AUTH hush", "AUTH user hush", "HELLO 3 AUTH user hush", "CONFIG SET requirepass hush",
        "CONFIG SET maxmemory 1 masterauth hush", "ACL SETUSER bob on >hush", "MIGRATE h 1 k 0 9 AUTH2 user hush",
    ],
)  # fmt: skip
def test_log_holds_no_password(line: str) -> None:
    assert "hush" not in masked_line(split_line(line))
    assert masked_line(split_line(line)).startswith(line.split()[0])
