"""A Protobuf message without its schema: what its bytes suggest, and a message where they are none."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.protobuf import parsed


def sized(part: bytes, field: int = 1) -> bytes:
    length, left = b"", len(part)
    while left > 127:
        length += bytes([left & 127 | 128])
        left >>= 7
    return bytes([field << 3 | 2]) + length + bytes([left]) + part


def nested(part: bytes, times: int) -> bytes:
    for _ in range(times):
        part = sized(part)
    return part


def message(held: dict[str, Any]) -> bytes:
    struct = Struct()
    struct.update(held)
    return bytes(struct.SerializeToString(deterministic=True))


def test_what_the_library_writes() -> None:
    assert parsed(Timestamp(seconds=1_700_000_000, nanos=5).SerializeToString()) == {"1": 1_700_000_000, "2": 5}
    assert parsed(Timestamp(seconds=-1).SerializeToString()) == {"1": -1}
    assert parsed(message({"name": "Ana é", "n": 1.5, "on": True})) == {
        "1": [
            {"1": "name", "2": {"3": "Ana é"}},
            {"1": "n", "2": {"2": "<64 bits: 4609434218613702656 or 1.5>"}},
            {"1": "on", "2": {"4": 1}},
        ]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"", {}),
        (b"\x08\x96\x01", {"1": 150}),
        (b"\x15\x00\x00\x80\x3f", {"2": "<32 bits: 1065353216 or 1.0>"}),
        (b"\x0b\x10\x05\x0c", {"1": {"2": 5}}),
        (sized(b"") + sized(b"\xff\x00", 3), {"1": "", "3": b"\xff\x00"}),
        (sized(sized(b"x" * 40)), {"1": {"1": "x" * 40}}),
        (sized(b"\nwords"), {"1": "\nwords"}),
        (nested(b"\x08\x01", 3), {"1": {"1": {"1": {"1": 1}}}}),
    ],
    ids=["nothing", "number", "four bytes", "group", "no text", "begins like a line", "a line", "nested"],
)
def test_what_bytes_suggest(value: bytes, shown: Any) -> None:
    assert parsed(value) == shown


@pytest.mark.parametrize(
    "value",
    [b"\x08", b"\x0a\x05abc", b"\x00\x01", b"\x0f\x01", b"\x0c", b"\x0b\x08\x01", b"\x09\x00", b"\x08" + b"\xff" * 10,
     b"\x0b" * 100, b"\x08\x01" * 100_001, sized(b"\n\x00" * 100_001)],
)  # fmt: skip
def test_what_is_no_message_or_too_much_is_told(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"it |no |the number "):
        parsed(value)


def test_what_is_nested_deeply_is_shown_up_to_a_depth() -> None:
    held: Any = parsed(nested(b"\x08\x01", 200))
    depth = 0
    while isinstance(held, dict):
        held, depth = held["1"], depth + 1
    assert isinstance(held, bytes) and depth == 65


HELD = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), HELD))
def test_every_message_is_read(held: dict[str, Any]) -> None:
    assert isinstance(parsed(message(held)), dict)


@given(st.binary(max_size=40), st.data())
def test_no_garbage_raises_anything_else(garbage: bytes, data: st.DataObject) -> None:
    value = message({"name": "Ana", "tags": ["a", {"n": 1}]})
    at = data.draw(st.integers(0, len(value)))
    for changed in (garbage, value[:at], value[:at] + garbage + value[at:]):
        try:
            parsed(changed)
        except ValueError as error:
            assert str(error)
