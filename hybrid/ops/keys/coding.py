"""Values as text to be edited, and back: what was compressed is compressed again, MessagePack is MessagePack again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from hybrid.ops.keys.formats import Form, guessed_form, tree
from hybrid.ops.keys.packing import NotInThisForm, Packing, packed, packing_of, unpacked

__all__ = ["Coding", "decoded"]

MOST_EDITED: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Coding:
    """How a text is written as a value: as it is or as MessagePack, and compressed or not."""

    packing: Packing | None
    is_msgpack: bool

    def encoded(self, text: bytes) -> bytes:
        """The value that holds this text. Raises NotInThisForm for what is no JSON, where it becomes MessagePack."""
        value = _msgpack_of(text) if self.is_msgpack else text
        return value if self.packing is None else packed(value, self.packing)


def decoded(value: bytes) -> tuple[bytes, Coding] | None:
    """The text in a value that is compressed or MessagePack, and how it is written back.

    None for a value that is neither, and for one that could not be written back the same way: of more than 1 MB, of
    several compressed pieces, of another form inside, or MessagePack that JSON has no words for (bytes, times, numbers
    as names).
    """
    packing = packing_of(value)
    try:
        inside, complete = (value, True) if packing is None else unpacked(value, packing)
        form = guessed_form(inside)
        text = _text_of(inside) if form is Form.MSGPACK else inside
        coding = Coding(packing, form is Form.MSGPACK)
        if not complete or len(text) > MOST_EDITED or (coding.is_msgpack and _msgpack_of(text) != inside):
            return None
    except (ValueError, TypeError, ImportError, RecursionError):
        return None
    is_offered = coding.is_msgpack or (packing is not None and form in (Form.TEXT, Form.JSON))
    return (text, coding) if is_offered else None


def _text_of(value: bytes) -> bytes:
    held = import_module("msgpack").unpackb(value, strict_map_key=False)
    return tree(held, MOST_EDITED).encode()


def _msgpack_of(text: bytes) -> bytes:
    try:
        return bytes(import_module("msgpack").packb(json.loads(text)))
    except (ValueError, OverflowError, RecursionError) as error:
        raise NotInThisForm(f"It is no {Form.JSON}: {error}.") from None
