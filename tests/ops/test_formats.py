"""Values as people read them: decompressed, taken apart and never run, within bounds whatever they hold."""

from __future__ import annotations

import gzip
import json
import pickle
import sys
from collections import OrderedDict
from contextlib import suppress
from decimal import Decimal
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.ops.keys import Form, NotInThisForm, Packing, guessed_form, packing_of, rendered, unpacked
from hybrid.ops.keys.packing import packed


class Someone:
    def __init__(self, name: str) -> None:
        self.name = name


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("a pickle was run",))


def test_formats(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.dumps({"a": [1, "ü"]}).encode()
    inside = gzip.compress(document)
    assert packing_of(inside) is Packing.GZIP and packing_of(document) is None
    assert unpacked(inside, Packing.GZIP) == (document, True)
    assert guessed_form(document) is Form.JSON and "ü" in rendered(document, Form.JSON)
    assert rendered(b"\x82\xa1a\x93\x01\xff\xc0\xa1b\xcb\x3f\xf8" + bytes(6), Form.MSGPACK) == json.dumps(
        {"a": [1, -1, None], "b": 1.5}, indent=2
    )
    odd = b"\x84\x01\xc4\x01\x00\xa1a\xd6\xff\x00\x00\x00\x00\x92\x01\x02\xc0\xa1\xff\xd4\x05a"
    assert json.loads(rendered(odd, Form.MSGPACK)) == {
        "1": "<1 bytes: 00>", "a": "1970-01-01 00:00:00+00:00", "[1, 2]": None, "\\xff": "<extension 5: 61>",
    }  # fmt: skip
    trapped = pickle.dumps(Trap())
    assert guessed_form(trapped) is Form.PICKLE
    assert json.loads(rendered(trapped, Form.PICKLE)) == {"<builtins.print>": ["a pickle was run"]}
    assert guessed_form(b"\x00\xff") is Form.HEX and rendered(b"\x00A", Form.HEX).endswith(".A")
    assert guessed_form(b"words") is Form.TEXT
    assert rendered(b"\x80" + bytes(8), Form.BITS).split() == ["0", "10000000", *["0" * 8] * 7, "64", "0" * 8]
    bomb = gzip.compress(bytes(50_000_000))
    part, whole = unpacked(bomb, Packing.GZIP)
    assert len(part) == 4 * 1024 * 1024 and not whole
    assert guessed_form(b"\xac\xed\x00\x05t\x00\x01x") is Form.JAVA
    assert json.loads(rendered(b"\x08\x96\x01\x12\x02\xff\x00", Form.PROTOBUF)) == {"1": 150, "2": "<2 bytes: ff00>"}
    for form in (Form.JSON, Form.MSGPACK, Form.PICKLE, Form.PHP, Form.JAVA):
        with pytest.raises(NotInThisForm):
            rendered(b"\xc1 nonsense", form)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("packing", Packing)
def test_what_is_compressed_is_read_up_to_a_limit(packing: Packing) -> None:
    if packing in (Packing.XZ, Packing.BZIP2):
        pytest.importorskip("lzma" if packing is Packing.XZ else "bz2")
    words, bomb = packed(b"words", packing), packed(bytes(50_000_000), packing)
    assert packing_of(words) is (None if packing is Packing.BROTLI else packing)
    assert unpacked(words, packing) == (b"words", True)
    part, whole = unpacked(bomb, packing)
    assert len(part) == 4 * 1024 * 1024 and not whole
    broken = words[:-1] if packing is Packing.BROTLI else words[:10] + b"\xff" * 20
    with pytest.raises(NotInThisForm, match=r"cannot be decompressed|It is no brotli"):
        unpacked(broken, packing)


def test_snappy_without_frames_is_read_where_it_is_asked_for() -> None:
    words, bomb = cramjam.snappy.compress_raw(b"words"), cramjam.snappy.compress_raw(bytes(50_000_000))
    assert packing_of(bytes(words)) is None and unpacked(bytes(words), Packing.SNAPPY) == (b"words", True)
    for broken in (bytes(bomb), b"\xff\xff\xff\xff\x0f", b"words", b""):
        with pytest.raises(NotInThisForm, match="It is no snappy"):
            unpacked(broken, Packing.SNAPPY)


def test_a_window_that_takes_much_memory_is_refused() -> None:
    window_of_2_gb = bytes([31 - 10 << 3])
    with pytest.raises(NotInThisForm, match="too much memory"):
        unpacked(b"\x28\xb5\x2f\xfd\x00" + window_of_2_gb + b"\x0b\x00\x00A", Packing.ZSTD)


@given(st.sampled_from(Packing), st.binary(max_size=40), st.integers(0, 60))
def test_no_garbage_raises_anything_else(packing: Packing, garbage: bytes, at: int) -> None:
    words = packed(b"words, words, words" * 3, packing)
    for value in (garbage, words[:at], words[:at] + garbage + words[at:]):
        with suppress(NotInThisForm):
            assert len(unpacked(value, packing)[0]) <= 4 * 1024 * 1024
    for form in Form:
        with suppress(NotInThisForm):
            rendered(garbage, form).encode()


def test_what_reads_a_format_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cramjam", None)
    for packing in (Packing.LZ4, Packing.BROTLI):
        with pytest.raises(NotInThisForm, match="Install the package cramjam"):
            unpacked(b"\x04\x22\x4d\x18", packing)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_read_as_data(protocol: int) -> None:
    held = {"a": (1, -2.5, None), 3: ["ü", True], "at": Decimal("1.5"), "who": Someone("Ann"), "o": OrderedDict(x=[1])}
    assert json.loads(rendered(pickle.dumps(held, protocol), Form.PICKLE)) == {
        "a": [1, -2.5, None], "3": ["ü", True], "at": {"<decimal.Decimal>": ["1.5"]},
        "who": {f"<{__name__}.Someone>": {"name": "Ann"}}, "o": {"<collections.OrderedDict>": {"x": [1]}},
    }  # fmt: skip


@pytest.mark.parametrize(
    "listed",
    [b"\x80\x04]r\xff\xff\xff\xff.", b"\x80\x02\x82\x01.", b"Pabc\n.", b"\x80\x02(]s."],
    ids=["memory for a part that is not there", "a registered extension", "something outside", "parts that do not fit"],
)
def test_a_pickle_that_cannot_be_told_is_listed(listed: bytes) -> None:
    assert "STOP" in rendered(listed, Form.PICKLE)


def test_a_pickle_that_is_no_tree_is_listed() -> None:
    endless: list[Any] = []
    endless.append(endless)
    bomb: list[Any] = []
    for _ in range(60):
        bomb = [bomb, bomb]
    for held in (endless, bomb):
        assert "EMPTY_LIST" in rendered(pickle.dumps(held), Form.PICKLE)


class Name(dict[Any, Any]):
    def __hash__(self) -> int:  # type: ignore[override]
        return 1

    def __eq__(self, other: object) -> bool:
        return self is other


@pytest.mark.parametrize("form", [Form.PICKLE, Form.MSGPACK])
def test_names_within_names_do_not_grow(form: Form) -> None:
    named = Name({1: 1})
    for _ in range(20):
        named = Name({named: 1})
    value = pickle.dumps({named: 1}) if form is Form.PICKLE else b"\x81" * 20 + b"\x01" * 21
    assert guessed_form(value) is form and len(rendered(value, form)) < 1000


def test_what_is_shown_of_much_is_its_beginning() -> None:
    deep = b"[" * 300 + b",".join([b"1"] * 100_000) + b"]" * 300
    shown = rendered(deep, Form.JSON)
    assert shown.endswith("...") and len(shown) < 1_100_000


@pytest.mark.parametrize(
    ("value", "form"), [(b'["\\ud800"]', Form.JSON), (pickle.dumps(["\ud800"]), Form.PICKLE)], ids=["JSON", "pickle"]
)
def test_half_a_character_is_shown_in_hex(value: bytes, form: Form) -> None:
    assert guessed_form(value) is form and json.loads(rendered(value, form).encode()) == ["\ud800"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'a:2:{s:4:"name";s:3:"Ann";s:3:"age";i:-30;}', {"name": "Ann", "age": -30}),
        (b"a:3:{i:0;d:0.5;i:1;N;i:2;b:1;}", [0.5, None, True]),
        (b'O:4:"User":2:{s:4:"name";s:3:"\xc3\xbcx";s:7:"\0User\0a";a:0:{}}', {"<User>": {"name": "üx", "a": []}}),
        (b'a:1:{i:5;C:1:"X":3:{abc}}', {"5": {"<X>": "abc"}}),
    ],
)
def test_what_php_wrote_is_read_as_data(value: bytes, shown: Any) -> None:
    assert guessed_form(value) is Form.PHP and json.loads(rendered(value, Form.PHP)) == shown
    named_so = b"a:1:{" + value + b"i:1;}"
    for broken in (value[:-1], value + b"x", value.replace(b":", b"", 1), named_so):
        with pytest.raises(NotInThisForm):
            rendered(broken, Form.PHP)
