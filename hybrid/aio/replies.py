"""Decoding of replies. A shared connection parses bytes, so that what one task cannot decode fails that task alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["decoder"]


def decoder(encoding: str, errors: str) -> Callable[[Any], Any]:
    """A function that decodes every string in a reply, however deep. It raises UnicodeDecodeError."""

    def decode(reply: Any) -> Any:
        kind = type(reply)
        if kind is bytes:
            return reply.decode(encoding, errors)
        if kind is list:
            return [item.decode(encoding, errors) if type(item) is bytes else decode(item) for item in reply]
        if kind is dict:
            return {decode(key): decode(value) for key, value in reply.items()}
        if kind in (set, frozenset, tuple):
            return kind(map(decode, reply))
        return reply

    return decode
