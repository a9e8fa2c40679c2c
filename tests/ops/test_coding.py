"""Values that are compressed or MessagePack, edited as text: written back the same way, or not offered."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import zlib
from typing import Any

import msgpack
import pytest

from hybrid.ops.keys import NotInThisForm, Packing, decoded, packing_of, unpacked
from hybrid.ops.keys import coding as coding_module
from hybrid.ops.keys.packing import packed

HELD = {"name": "Ana é", "tags": ["a", None, True], "n": -7, "share": 0.1, "big": 2**63}


@pytest.mark.parametrize("packing", [packing for packing in Packing if packing is not Packing.BROTLI])
@pytest.mark.parametrize("inside", [b"words", b'{"a": 1}', b"one\r\ntwo", msgpack.packb(HELD)])
def test_what_is_compressed_is_compressed_again_the_same_way(packing: Packing, inside: bytes) -> None:
    try:
        value = packed(inside, packing)
    except NotInThisForm as lacking:
        pytest.skip(str(lacking))
    assert packing_of(value) is packing
    found = decoded(value)
    assert found is not None
    text, coding = found
    assert unpacked(coding.encoded(text), packing) == (inside, True)
    changed = coding.encoded(b'{"other": 1}')
    assert packing_of(changed) is packing
    written, _ = unpacked(changed, packing)
    assert (msgpack.unpackb(written) if coding.is_msgpack else json.loads(written)) == {"other": 1}


def test_messagepack_is_edited_as_json() -> None:
    found = decoded(msgpack.packb(HELD))
    assert found is not None
    text, coding = found
    assert json.loads(text) == HELD and "é".encode() in text and b"\n" in text
    assert coding.encoded(text) == msgpack.packb(HELD)
    for wrong in (b"{", b'{"n": 36893488147419103232}'):
        with pytest.raises(NotInThisForm, match="It is no json"):
            coding.encoded(wrong)


SINGLE: Any = msgpack.Packer(use_single_float=True)


OTHERS: dict[str, bytes] = {
    "text": b"words",
    "JSON": b'{"a": 1}',
    "nothing": b"",
    "binary": b"\x00\x01",
    "compressed binary": gzip.compress(b"\x00\x01"),
    "two pieces": gzip.compress(b"two") + gzip.compress(b"members"),
    "something behind it": gzip.compress(b"and more") + b"more",
    "cut short": gzip.compress(b"cut short")[:-4],
    "a beginning alone": b"\x1f\x8b\x08 only its beginning",
    "compressed pickle": zlib.compress(pickle.dumps({"a": 1})),
    "compressed PHP": lzma.compress(b'a:1:{s:1:"a";i:1;}'),
    "pickle": pickle.dumps({"a": 1}),
    "bytes": msgpack.packb({"raw": b"\xff"}),
    "numbers as names": msgpack.packb({1: "one"}),
    "a time": msgpack.packb({"at": msgpack.Timestamp(1)}),
    "an extension": msgpack.packb({"ext": msgpack.ExtType(7, b"x")}),
    "a single": SINGLE.pack({"single": 0.1}),
    "one name twice": b"\x82\xa1a\x01\xa1a\x02",
    "compressed bytes": bz2.compress(msgpack.packb([b"\xff"])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_could_not_be_written_back_the_same_way_is_not_offered(name: str) -> None:
    assert decoded(OTHERS[name]) is None


def test_what_is_large_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding_module, "MOST_EDITED", 10)
    assert decoded(gzip.compress(b"x" * 10)) is not None
    assert decoded(gzip.compress(b"x" * 11)) is None
