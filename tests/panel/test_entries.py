"""What is entered on the page Keys, at the edges: nothing that a browser does to a text changes a value."""

from __future__ import annotations

from math import inf

import pytest

from hybrid.errors import ConfigurationError
from panel.format import code
from panel.keys.entries import editable, entered, parts, score

TEXTS = (b"", b" ", b"a", b"\n", b"a\nb\n", b"a\r\nb\r\n", "olá 🎉\u2028x".encode(), b"1e308", b"<b>**x**</b> `y`")
BYTES = (b"\x00", b"\xff\xfe", b"a\rb", b"a\r\nb\nc", b"\x1b[0m")


@pytest.mark.parametrize("value", [*TEXTS, *BYTES])
def test_a_value_that_is_only_opened_stays_as_it_was(value: bytes) -> None:
    """A browser gives back each line ended by LF, whatever it was given."""
    text, written = editable(value)
    given_back = text.replace("\r\n", "\n").replace("\r", "\n")
    assert entered(given_back, written) == value
    assert (text == value.hex(" ") and text != "") is (value in BYTES)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1.5", 1.5), ("-0", 0), ("1e308", 1e308), ("inf", inf), ("-Inf", -inf), ("+inf", inf), (" 7 ", 7)],
)
def test_a_score(text: str, number: float) -> None:
    assert score(text) == number


@pytest.mark.parametrize("text", ["", "nan", "1e309", "-1e999", "1_0", "one", "0x10"])
def test_no_score(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no number"):
        score(text)


def test_a_line_of_an_entry_ends_where_a_line_ends() -> None:
    assert parts("a\u2028b\n\nc\x0bd", "list") == ["a\u2028b".encode(), b"c\x0bd"]


@pytest.mark.parametrize(
    ("text", "span"), [("a", "`a`"), ("", '`""`'), ("a`b", "``a`b``"), ("``", "``` `` ```"), (" a", "`  a `")]
)
def test_data_as_code(text: str, span: str) -> None:
    assert code(text) == span
