"""What Java wrote is read as data; of what it did not write, and of what is too much, a message says so."""

from __future__ import annotations

import json
import struct
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.java import BEGINS, deserialized

# As OpenJDK 17 writes them, and 25.
STREAMS = {
    "text": ("rO0ABXQACHdvcmRzIMOp", "words é"),
    "number": (
        "rO0ABXNyABFqYXZhLmxhbmcuSW50ZWdlchLioKT3gYc4AgABSQAFdmFsdWV4cgAQamF2YS5sYW5nLk51bWJlcoaslR0LlOCLAgAAeHAAAAAq",
        42,
    ),
    "an object of a class below another": (
        "rO0ABXNyAAlTaG9wJExhbXAAAAAAAAAAAQIADkMAAWNaAAJvbkQABXNoYXJlTAAFYWdhaW50ABNMamF2YS9sYW5nL0ludGVnZXI7TAAFYm94ZW"
        "RxAH4AAUwABWNvbG9ydAAMTFNob3AkQ29sb3I7TAAEa2luZHQAEUxqYXZhL2xhbmcvQ2xhc3M7WwAHbGV0dGVyc3QAAltDTAAEbmFtZXQAEkxq"
        "YXZhL2xhbmcvU3RyaW5nO1sAB251bWJlcnN0AAJbSVsAA3Jhd3QAAltCTAAEc2VsZnQAEkxqYXZhL2xhbmcvT2JqZWN0O1sABHRhZ3N0ABNbTG"
        "phdmEvbGFuZy9TdHJpbmc7WwAFd29yZHNxAH4AB3hyAApTaG9wJFRoaW5nAAAAAAAAAAECAAJJAAJpZEwABG5hbWVxAH4ABXhwAAAAB3QABGJh"
        "c2UA/AE/4AAAAAAAAHNyABFqYXZhLmxhbmcuSW50ZWdlchLioKT3gYc4AgABSQAFdmFsdWV4cgAQamF2YS5sYW5nLk51bWJlcoaslR0LlOCLAg"
        "AAeHAAAAAFcQB+AA9+cgAKU2hvcCRDb2xvcgAAAAAAAAAAEgAAeHIADmphdmEubGFuZy5FbnVtAAAAAAAAAAASAAB4cHQAA1JFRHZyABBqYXZh"
        "LmxhbmcuU3RyaW5noPCkOHo7s0ICAAB4cHVyAAJbQ7AmZrDiXYSsAgAAeHAAAAABAGF0AArDqe2gve24gMCAdXIAAltJTbpgJnbqsqUCAAB4cA"
        "AAAAIAAAAB/////nVyAAJbQqzzF/gGCFTgAgAAeHAAAAAB/3EAfgALdXIAE1tMamF2YS5sYW5nLlN0cmluZzut0lbn6R17RwIAAHhwAAAAAnQA"
        "AXhwdXEAfgAbAAAAAm9r",
        {
            "<Shop$Lamp>": {
                "id": 7, "name": "base", "c": "ü", "on": True, "share": 0.5, "again": 5, "boxed": 5,
                "color": "<Shop$Color.RED>", "kind": "<class java.lang.String>", "letters": "a",
                "name of Shop$Lamp": "é😀\0", "numbers": [1, -2], "raw": b"\xff", "self": "<again Shop$Lamp>",
                "tags": ["x", None], "words": "ok",
            }
        },
    ),
    "collections": (
        "rO0ABXNyABdqYXZhLnV0aWwuTGlua2VkSGFzaE1hcDTATlwQbMD7AgABWgALYWNjZXNzT3JkZXJ4cgARamF2YS51dGlsLkhhc2hNYXAFB9rBwx"
        "Zg0QMAAkYACmxvYWRGYWN0b3JJAAl0aHJlc2hvbGR4cD9AAAAAAAAMdwgAAAAQAAAABHQAAWtzcgARamF2YS51dGlsLkNvbGxTZXJXjqu2Ohuo"
        "EQMAAUkAA3RhZ3hwAAAAAXcEAAAAAnNyABFqYXZhLmxhbmcuSW50ZWdlchLioKT3gYc4AgABSQAFdmFsdWV4cgAQamF2YS5sYW5nLk51bWJlco"
        "aslR0LlOCLAgAAeHAAAAABc3EAfgAGAAAAAnhzcQB+AAYAAAADc3EAfgAEAAAAA3cEAAAAAnQAAXhzcgARamF2YS5sYW5nLkJvb2xlYW7NIHKA"
        "1Zz67gIAAVoABXZhbHVleHABeHBzcgATamF2YS51dGlsLkFycmF5TGlzdHiB0h2Zx2GdAwABSQAEc2l6ZXhwAAAAAHcEAAAAAHh+cgAKU2hvcC"
        "RDb2xvcgAAAAAAAAAAEgAAeHIADmphdmEubGFuZy5FbnVtAAAAAAAAAAASAAB4cHQAA1JFRHNyABNqYXZhLmxhbmcuQ2hhcmFjdGVyNItH2Wsa"
        "JngCAAFDAAV2YWx1ZXhwAGN4AA==",
        {
            "<java.util.LinkedHashMap>": {
                "items": {
                    "k": {"<java.util.CollSer>": [1, 2]}, "3": {"<java.util.CollSer>": {"x": True}},
                    "null": {"<java.util.ArrayList>": []}, "<Shop$Color.RED>": "c",
                },
                "accessOrder": False,
            }
        },
    ),
    "a sorted set": (
        "rO0ABXNyABFqYXZhLnV0aWwuVHJlZVNldN2YUJOV7YdbAwAAeHBwdwQAAAACdAABYXQAAWJ4",
        {"<java.util.TreeSet>": ["a", "b"]},
    ),
    "a time": (
        "rO0ABXNyAA5qYXZhLnV0aWwuRGF0ZWhqgQFLWXQZAwAAeHB3CAAAAYvP5Wh7eA==",
        {"<java.util.Date>": "2023-11-14T22:13:20.123+00:00"},
    ),
    "a class that writes more": (
        "rO0ABXNyAAhTaG9wJE93bgAAAAAAAAABAwABSQABYXhwAAAAAXcDAAF4dAADb2JqeA==",
        {"<Shop$Own>": {"a": 1, "items": [b"\0\1x", "obj"]}},
    ),
    "a class that writes all by itself": (
        "rO0ABXNyAAhTaG9wJEV4dK7zWFVagdi/DAAAeHB3BAAAAAV0AAFleA==",
        {"<Shop$Ext>": [b"\0\0\0\5", "e"]},
    ),
    "two": ("rO0ABXQAAWFw", ["a", None]),
    "what holds itself": (
        "rO0ABXNyABNqYXZhLnV0aWwuQXJyYXlMaXN0eIHSHZnHYZ0DAAFJAARzaXpleHAAAAABdwQAAAABcQB+AAF4",
        {"<java.util.ArrayList>": ["<again java.util.ArrayList>"]},
    ),
    "a proxy": (
        "rO0ABXN9AAAAAQAMU2hvcCRHcmVldGVyeHIAF2phdmEubGFuZy5yZWZsZWN0LlByb3h54SfaIMwQQ8sCAAFMAAFodAAlTGphdmEvbGFuZy9yZWZs"
        "ZWN0L0ludm9jYXRpb25IYW5kbGVyO3hwc3IABlNob3AkSAAAAAAAAAABAgAAeHA=",
        {"<proxy of Shop$Greeter>": {"h": {"<Shop$H>": {}}}},
    ),
    "begun anew": ("rO0ABXcEAAAAB3QAAXh5dAABeA==", [b"\0\0\0\7", "x", "x"]),
}  # fmt: skip
VALUES = {name: b64decode(stream) for name, (stream, _shown) in STREAMS.items()}


@pytest.mark.parametrize("name", STREAMS)
def test_what_java_wrote_is_read_as_data(name: str) -> None:
    assert deserialized(VALUES[name]) == STREAMS[name][1]


def sized(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def class_of(name: bytes, flags: int = 2, fields: list[tuple[bytes, bytes]] | None = None) -> bytes:
    described = b"".join(code + sized(field) for code, field in fields or [])
    return b"r" + sized(name) + bytes(8) + bytes([flags]) + struct.pack(">H", len(fields or [])) + described + b"xp"


def again(place: int) -> bytes:
    return b"q" + struct.pack(">I", 0x7E0000 + place)


def array_of(name: bytes, count: int) -> bytes:
    return b"u" + class_of(name) + struct.pack(">I", count)


def nested(what: bytes, times: int, end: bytes = b"") -> bytes:
    return what * times + b"p" + end * times


def test_a_map_for_many_threads_ends_in_two_nulls() -> None:
    name = b"java.util.concurrent.ConcurrentHashMap"
    stream = b"s" + class_of(name, 3) + b"t" + sized(b"a") + b"t" + sized(b"b") + b"ppx"
    assert deserialized(BEGINS + stream) == {f"<{name.decode()}>": {"a": "b"}}


def test_names_within_names_do_not_grow() -> None:
    stream = nested(b"s" + class_of(b"java.util.HashMap", 3) + b"w\x08" + bytes(8), 40, b"t" + sized(b'"') + b"x")
    assert len(json.dumps(deserialized(BEGINS + stream))) < 1000


TOO_MUCH = {
    "deep": nested(array_of(b"[Ljava.lang.Object;", 1), 100),
    "classes in a row": b"s" + class_of(b"A")[:-1] * 100 + b"p",
    "a long text again and again": array_of(b"[Ljava.lang.String;", 50_000) + b"t" + sized(b"x" * 60_000)
    + again(2) * 49_999,
    "many objects": b"s" + class_of(b"A") + (b"s" + again(0)) * 100_000,
    "many numbers": array_of(b"[J", 110_000) + bytes(880_000),
    "many fields": b"s" + class_of(b"A", 2, [(b"Z", b"")] * 65_535) + bytes(65_535),
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_is_too_much_is_not_shown(name: str) -> None:
    with pytest.raises(ValueError, match=r"too much|too deeply"):
        deserialized(BEGINS + TOO_MUCH[name])


BROKEN = {
    "nothing": BEGINS[:3],
    "another version": b"\xac\xed\x00\x06p",
    "more than there is": BEGINS + array_of(b"[J", 0x7FFFFFFF),
    "less than nothing": BEGINS + array_of(b"[I", 0xFFFFFFFF),
    "many interfaces": BEGINS + b"v}" + struct.pack(">I", 0x7FFFFFFF),
    "nothing to refer to": BEGINS + again(0),
    "an object of a text": BEGINS + b"t" + sized(b"x") + b"s" + again(0),
    "an object of no class": BEGINS + b"sp",
    "what only its class reads": BEGINS + b"s" + class_of(b"A", 4) + b"1234",
    "a field of no type": BEGINS + b"s" + class_of(b"A", 2, [(b"Q", b"a")]),
    "an array of nothing": BEGINS + array_of(b"[", 1) + b"\x00",
    "a failure while it was written": BEGINS + b"{",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_java_did_not_write_is_told(name: str) -> None:
    with pytest.raises(ValueError, match=r"it |no |a class |only "):
        deserialized(BROKEN[name])


@given(st.sampled_from(sorted(VALUES)), st.data())
def test_no_garbage_raises_anything_else(name: str, data: st.DataObject) -> None:
    value = VALUES[name]
    at = data.draw(st.integers(len(BEGINS), len(value)))
    put = data.draw(st.binary(max_size=8) | st.integers(0x70, 0x7E).map(lambda tag: bytes([tag])))
    skipped = data.draw(st.integers(0, 8))
    for changed in (value[:at], value[:at] + put + value[at + skipped :], BEGINS + put):
        read(changed)


def read(value: bytes) -> Any:
    try:
        return deserialized(value)
    except ValueError as error:
        assert str(error)
        return None
