"""Which commands another store lacks, told from the values of both."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.key_state import ABSENT, Absent, Body, Hash, KeyState, List, Set, Stream, String, ZSet
from hybrid.core.lacking import count_of, lacking


def state(body: Body) -> KeyState:
    return KeyState("any", None, body)


def text(value: object) -> KeyState:
    return state(String(str(value).encode()))


def split(*lines: str) -> list[list[bytes]]:
    return [line.encode().split() for line in lines]


def found(here: KeyState | Absent, there: KeyState | Absent, *lines: str, done: tuple[str, ...] = ()) -> str | None:
    """`-` for what is there already, `+` for what is lacking."""
    counts = [count for args in split(*done) if (count := count_of(args))]
    flags = lacking(split(*lines), here, there, counts)
    return None if flags is None else "".join("-+"[flag] for flag in flags)


def stream(*ids: bytes) -> KeyState:
    return state(Stream(tuple((entry_id, (b"f", b"v")) for entry_id in ids), ids[-1], None, None, {}))


@pytest.mark.parametrize(
    ("here", "there", "lines", "done", "expected"),
    [
        (text(12), text(2), ("INCR k", "INCRBY k 10"), (), "-+"),
        (text(12), text(108), ("INCR k", "INCRBY k 10", "DECR k"), ("INCRBY k 105",), "-++"),
        (text(3), ABSENT, ("INCR k", "INCRBY k 2"), (), "++"),
        (text("0.6"), text("0.1"), ("INCRBYFLOAT k 0.1", "INCRBYFLOAT k 0.5"), (), "-+"),
        (text("0.30000000000000004"), text("0.1"), ("INCRBYFLOAT k 0.1", "INCRBYFLOAT k 0.2"), (), "-+"),
        (text("abc"), text("ax"), ("APPEND k a", "APPEND k bc"), ("APPEND k x",), "-+"),
        (state(List((b"b", b"a"))), state(List((b"a", b"x"))), ("RPUSH k a", "LPUSH k b"), ("RPUSH k x",), "-+"),
        (
            state(Hash({b"f": b"6", b"g": b"1"}, {})),
            state(Hash({b"f": b"101"}, {})),
            ("HINCRBY k f 1", "HINCRBY k g 1", "HSET k s 1", "HINCRBY k f 5"),
            ("HINCRBY k f 100",),
            "-+++",
        ),
        (state(ZSet({b"m": b"3"})), state(ZSet({b"m": b"1"})), ("ZADD k INCR 1 m", "ZINCRBY k 2 m"), (), "-+"),
        (stream(b"1-1", b"1-2"), stream(b"1-1", b"2-1"), ("XADD k 1-1 f v", "XADD k NOMKSTREAM 1-2 f v"), (), "-+"),
        (stream(b"1-1", b"1-2"), stream(b"1-1"), ("XADD k KEEPREF 1-1 f v", "XADD k ACKED 1-2 f v"), (), "-+"),
    ],
)
def test_what_is_lacking(
    here: KeyState, there: KeyState, lines: tuple[str, ...], done: tuple[str, ...], expected: str
) -> None:
    assert found(here, there, *lines, done=done) == expected


@pytest.mark.parametrize(
    ("here", "there", "line", "done"),
    [
        (text(1), text(77), "INCR k", ()),
        (text(1), text("many"), "INCR k", ()),
        (text(1), state(Set(frozenset())), "INCR k", ()),
        (stream(b"1-1"), stream(b"2-1"), "XADD k 1-1 f v", ("XADD k MAXLEN 1 2-1 f v",)),
        (stream(b"1-1"), ABSENT, "XADD k MAXLEN 1 1-1 f v", ()),
        (stream(b"1-1"), ABSENT, "XADD k DELREF MINID ~ 1 1-1 f v", ()),
        (state(ZSet({b"m": b"inf"})), ABSENT, "ZINCRBY k 1 m", ()),
    ],
)
def test_what_cannot_be_told(here: KeyState, there: KeyState | Absent, line: str, done: tuple[str, ...]) -> None:
    assert found(here, there, line, done=done) is None


AMOUNTS = st.lists(st.integers(-3, 3), max_size=6)


@given(st.integers(-5, 5), AMOUNTS, AMOUNTS, st.data())
def test_nothing_is_lost_or_counted_twice(base: int, tail: list[int], since: list[int], data: st.DataObject) -> None:
    """Whatever part of the tail has arrived, applying what is lacking gives the sum of all."""
    arrived = data.draw(st.integers(0, len(tail)))
    there = base + sum(tail[:arrived]) + sum(since)
    lines, done = ([f"INCRBY k {amount}" for amount in amounts] for amounts in (tail, since))
    counts = [count for args in split(*done) if (count := count_of(args))]
    flags = lacking(split(*lines), text(base + sum(tail)), text(there), counts)
    assert flags is not None
    assert there + sum(amount for amount, lacks in zip(tail, flags, strict=True) if lacks) == base + sum(tail + since)


def test_what_does_not_count() -> None:
    assert [count_of(args) for args in split("SADD k a", "ZADD k 1 a", "INCRBY k x", "INCRBY k")] == [None] * 4
    counted = count_of([b"DECRBY", b"k", b"5"])
    assert counted is not None and counted.amount == Fraction(-5)
