"""What the address bar says of the pages Diff and Sync, and keys as text in it."""

from __future__ import annotations

from binascii import Error as NotHex
from binascii import unhexlify

import streamlit as st

__all__ = ["key_from", "key_text", "link", "linked", "linked_page"]

HEX = "hex:"


def linked(name: str, default: str = "") -> str:
    """The value of this name in the address."""
    return str(st.query_params.get(name, default))


def linked_page() -> int:
    """The page of a list that the address names, from 1."""
    text = linked("page")[:9]
    return max(1, int(text)) if text.isdecimal() else 1


def link(**values: str) -> None:
    """Put values into the address, so that it can be handed on; empty ones are taken out of it. All at once: each time
    is a step for the browser's Back. No widget of the page may be bound to the address."""
    before = st.query_params.to_dict()
    after = {name: value for name, value in {**before, **values}.items() if value}
    if after != before:
        st.query_params.from_dict(after)


def key_text(key: bytes) -> str:
    """A key as text that `key_from` reads back, whatever bytes it has."""
    try:
        text = key.decode()
    except UnicodeDecodeError:
        return HEX + key.hex()
    return HEX + key.hex() if text.startswith(HEX) or not text.isprintable() else text


def key_from(text: str) -> bytes:
    """The key that a text stands for."""
    if text.startswith(HEX):
        try:
            return unhexlify(text.removeprefix(HEX))
        except NotHex:
            pass
    return text.encode()
