from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.field_diff import FieldDifference, Part, byte_differences, field_differences
from hybrid.core.state import ABSENT, Body, Group, Hash, Json, KeyState, List, Pending, Set, Stream, String, ZSet


def places(local: Body, cloud: Body) -> list[tuple[str, bytes, bytes | None, bytes | None]]:
    found = field_differences(KeyState("k", None, local), KeyState("k", None, cloud))
    return [(d.part, d.name, d.local, d.cloud) for d in found]


def test_each_type_names_its_places() -> None:
    assert places(Hash({b"a": b"1", b"b": b"2"}, {b"a": 5000}), Hash({b"a": b"1", b"c": b"3"}, {})) == [
        ("field", b"b", b"2", None),
        ("field", b"c", None, b"3"),
        ("field ttl", b"a", b"5000", None),
    ]
    assert places(List((b"a", b"b")), List((b"a", b"x", b"c"))) == [
        ("item", b"1", b"b", b"x"),
        ("item", b"2", None, b"c"),
    ]
    assert places(Set(frozenset({b"a"})), Set(frozenset({b"b"}))) == [
        ("member", b"a", b"a", None),
        ("member", b"b", None, b"b"),
    ]
    assert places(ZSet({b"a": b"0.1", b"b": b"2"}), ZSet({b"a": b"0.10000000000000001", b"b": b"3"})) == [
        ("score", b"b", b"2", b"3")
    ]


def test_streams_down_to_the_pending_entry() -> None:
    def stream(entry: bytes, *groups: tuple[bytes, Group]) -> Stream:
        return Stream(((b"1-0", (b"f", entry)),), b"1-0", 1, b"0-0", dict(groups))

    ann = Group(b"1-0", 1, frozenset({b"ann"}), (Pending(b"1-0", b"ann", 1000, 1),))
    bob = Group(b"1-0", 1, frozenset({b"ann", b"bob"}), (Pending(b"1-0", b"bob", 1000, 1),))
    assert [place[:2] for place in places(stream(b"v", (b"g", ann), (b"h", ann)), stream(b"w", (b"g", bob)))] == [
        ("entry", b"1-0"),
        ("consumer", b"g bob"),
        ("pending", b"g 1-0"),
        ("group", b"h"),
    ]


def test_documents_by_path_whether_in_a_string_or_of_their_own_type() -> None:
    here, there = b'{"a": [1, {"b": 2}], "c": true}', b'{"c": 1, "a": [1, {"b": 3}, 4]}'
    expected = [
        ("path", b'$["a"][1]["b"]', b"2", b"3"),
        ("path", b'$["a"][2]', None, b"4"),
        ("path", b'$["c"]', b"true", b"1"),
    ]
    assert places(Json(here), Json(there)) == places(String(here), String(there)) == expected


def test_text_by_line_and_the_rest_by_offset() -> None:
    assert places(String(b"one\ntwo\nthree\n"), String(b"one\nthree\nfour\n")) == [
        ("line", b"2", b"two\n", None),
        ("line", b"4", None, b"four\n"),
    ]
    assert places(String(b"\xff" * 5000 + b"a"), String(b"\xff" * 5000 + b"b")) == [("bytes", b"5000", b"a", b"b")]


def test_whole_keys_types_and_expiries() -> None:
    here = KeyState("string", 1000, String(b"v"))
    assert list(field_differences(here, ABSENT)) == [FieldDifference(Part.KEY, b"", b"string", None)]
    assert list(field_differences(here, KeyState("list", 9000, List((b"v",))))) == [
        FieldDifference(Part.TYPE, b"", b"string", b"list"),
        FieldDifference(Part.TTL, b"", b"1000", b"9000"),
    ]
    assert not list(field_differences(here, KeyState("string", 2000, String(b"v"))))
    assert not list(field_differences(ABSENT, ABSENT))


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_what_is_found_by_offset_turns_one_side_into_the_other(local: bytes, cloud: bytes) -> None:
    patched = bytearray(local)
    for run in reversed(list(byte_differences(local, cloud))):
        offset = int(run.name)
        patched[offset : offset + len(run.local or b"")] = run.cloud or b""
    assert bytes(patched) == cloud
