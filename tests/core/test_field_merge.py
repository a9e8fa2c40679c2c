"""A key made of both stores' values: each place by itself, and nothing else moves."""

from __future__ import annotations

import pytest

from hybrid.core.field_diff import FieldDifference, Part, field_differences
from hybrid.core.field_merge import merged_state
from hybrid.core.key_state import Hash, KeyState, List, Set, ZSet

LOCAL = KeyState("hash", None, Hash({b"a": b"1", b"b": b"2", b"mine": b"x"}, {b"a": 1000}))
CLOUD = KeyState("hash", 5000, Hash({b"a": b"1", b"b": b"3", b"theirs": b"y"}, {b"a": 9000, b"theirs": 7000}))
PAIRS = [
    (LOCAL, CLOUD),
    (KeyState("set", None, Set(frozenset({b"a", b"b"}))), KeyState("set", 9, Set(frozenset({b"b", b"c"})))),
    (KeyState("zset", 1, ZSet({b"a": b"1", b"b": b"2"})), KeyState("zset", 99999, ZSet({b"b": b"3", b"c": b"1"}))),
]


@pytest.mark.parametrize(("local", "cloud"), PAIRS, ids=["hash", "set", "zset"])
def test_taking_every_place_makes_the_other_value(local: KeyState, cloud: KeyState) -> None:
    places = list(field_differences(local, cloud))
    assert merged_state(local, cloud, places) == cloud
    assert merged_state(cloud, local, places) == local


def test_one_place_is_taken_and_the_others_stay() -> None:
    field = FieldDifference(Part.FIELD, b"b", b"2", b"3")
    merged = merged_state(LOCAL, CLOUD, [field])
    assert merged is not None
    assert merged.body == Hash({b"a": b"1", b"b": b"3", b"mine": b"x"}, {b"a": 1000})
    assert merged.expires_at_ms is None
    expiry = merged_state(LOCAL, CLOUD, [FieldDifference(Part.TTL, b"", None, b"5000")])
    assert expiry is not None
    assert (expiry.body, expiry.expires_at_ms) == (LOCAL.body, 5000)


def test_nothing_left_is_said() -> None:
    one, two = (KeyState("set", None, Set(frozenset({member}))) for member in (b"a", b"b"))
    assert merged_state(one, two, [FieldDifference(Part.MEMBER, b"a", b"a", None)]) is None


def test_an_item_of_a_list_is_not_taken_alone() -> None:
    one, two = (KeyState("list", None, List((item,))) for item in (b"a", b"b"))
    with pytest.raises(ValueError, match="cannot be taken alone"):
        merged_state(one, two, list(field_differences(one, two)))
