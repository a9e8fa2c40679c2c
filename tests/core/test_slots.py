"""Which slot of a cluster a key has, and what crosses slots."""

from __future__ import annotations

import pytest
from redis.crc import key_slot

from hybrid.core.names import Names
from hybrid.core.resp import pack
from hybrid.core.slots import HOME, crosses_slots, own_name, slot_of, tag_of

KEYS = [b"", b"k", b"{tag}x", b"x{tag}y", b"{}x", b"a{b", b"a}b", b"}{", b"{{a}}", b"a{}{b}", b"\xff\x00", b"k" * 600]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_has_the_slot_that_redis_gives_it(key: bytes) -> None:
    assert slot_of(key) == key_slot(key)
    assert slot_of(b"beside{%b}" % tag_of(key)) == slot_of(key)


def test_hybrids_own_keys_share_a_slot() -> None:
    names = Names()
    assert {slot_of(own_name(key)) for key in names.keys} == {HOME}
    assert all(own_name(key).startswith(b"hybrid:") for key in names.keys)
    assert len({own_name(key) for key in names.keys}) == len(names.keys)
    assert own_name(b"hybrid:tmp:1{k}") == b"hybrid:tmp:1{k}"
    assert own_name(b"user") == b"user"


def test_commands_that_cross_slots() -> None:
    assert not crosses_slots([pack(("SET", "a", "b")), pack(("SET", "c", "a"))])
    assert not crosses_slots([pack(("RENAME", "{a}1", "{a}2")), pack(("SCRIPT", "LOAD", "return 1"))])
    assert crosses_slots([pack(("SET", "a", 1)), pack(("RENAME", "a", "b"))])
    assert crosses_slots([pack(("EVAL", "return 1", 2, "a", "b"))])
