"""Packed commands: what redis-py would send, and back again."""

from __future__ import annotations

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.connection import Encoder, PythonRespSerializer

from hybrid.core.resp import first_args, pack, unpack

ARGS = st.one_of(st.binary(max_size=40), st.text(max_size=20), st.integers(), st.floats())
NAMES = st.sampled_from(["SET", b"GET", "XGROUP CREATE"])
COMMANDS = st.builds(lambda name, rest: [name, *rest], NAMES, st.lists(ARGS))


def packed_by_redis_py(args: list[bytes | str | int | float]) -> bytes:
    return b"".join(PythonRespSerializer(6000, Encoder("utf-8", "strict", False).encode).pack(*args))


@given(COMMANDS)
def test_packs_what_redis_py_sends(args: list[bytes | str | int | float]) -> None:
    assert pack(args) == packed_by_redis_py(args)


@given(st.lists(st.binary(max_size=40), min_size=1).filter(lambda args: b" " not in args[0]))
def test_unpacks_what_it_packed(args: list[bytes]) -> None:
    packed = pack(args)
    assert unpack(packed) == args
    for n in range(len(args) + 2):
        assert first_args(packed, n) == args[:n]


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=4).filter(lambda a: b" " not in a[0]), st.integers(1, 99))
def test_refuses_a_command_cut_short(args: list[bytes], cut: int) -> None:
    packed = pack(args)
    with pytest.raises(ValueError):
        unpack(packed[: -min(cut, len(packed))])


@pytest.mark.parametrize(
    "data",
    [b"", b"*", b"*1", b"*x\r\n", b"*-1\r\n", b"+OK\r\n", b"*1\r\n", b"*1\r\n:1\r\n", b"*1\r\n$-1\r\n",
     b"*1\r\n$+1\r\na\r\n",
     b"*1\r\n$2\r\na\r\n", b"*1\r\n$1\r\nab\r\n", b"*1\r\n$1\r\na\r\nx", b"*1\r\n$1\r\na", b"*2\r\n$1\r\na\r\n"],
)  # fmt: skip
def test_refuses_what_is_malformed(data: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(data)


def test_peeks_without_the_payloads_behind() -> None:
    packed = pack(["SET", "key", b"x" * 100])
    assert first_args(packed[:-50], 2) == [b"SET", b"key"]


def test_bytes_like_and_subclasses() -> None:
    class Name(StrEnum):
        KEY = "key"

    assert unpack(pack(["SET", Name.KEY, memoryview(b"v"), bytearray(b"w")])) == [b"SET", b"key", b"v", b"w"]


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}])
def test_refuses_what_redis_py_refuses(value: object) -> None:
    with pytest.raises(TypeError, match="Invalid input of type"):
        pack(["SET", "key", value])  # type: ignore[list-item]
