"""Which writes were shipped: by wire, the number of the last one.

A wire sends one transaction at a time and numbers those that are not idempotent, so the last number shipped of each
wire answers for all: a few bytes per wire, however many writes there were.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

__all__ = ["Shipped", "token"]

ID_BYTES: Final = 8
KEPT_WIRES: Final = 4096


def token(wire_id: bytes, number: int) -> bytes:
    """The token of the `number`th transaction of a wire with this 8 byte id."""
    return wire_id + b"%08x" % (number & 0xFFFFFFFF)


class Shipped:
    """The last token shipped of each wire; of the wires heard of least lately, the oldest are forgotten."""

    def __init__(self, tokens: Mapping[bytes, bytes] | None = None) -> None:
        self._last: OrderedDict[bytes, bytes] = OrderedDict(tokens or {})

    def note(self, mark: bytes | None) -> None:
        if mark is None:
            return
        wire_id = mark[:ID_BYTES]
        self._last[wire_id] = mark
        self._last.move_to_end(wire_id)
        if len(self._last) > KEPT_WIRES:
            self._last.popitem(last=False)

    def holds(self, mark: bytes) -> bool:
        """Whether the transaction with this token was shipped."""
        return self._last.get(mark[:ID_BYTES], b"") >= mark

    @property
    def packed(self) -> bytes:
        return b",".join(self._last.values())

    @classmethod
    def parse(cls, packed: bytes) -> Shipped:
        return cls({mark[:ID_BYTES]: mark for mark in packed.split(b",") if mark})
