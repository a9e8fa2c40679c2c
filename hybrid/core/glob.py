"""Redis' glob patterns (`stringmatchlen` in its util.c): `*`, `?`, `[a-z]`, `[^abc]`, and a backslash before what is
meant as it stands."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["Glob", "is_glob", "literal"]

_WILD: Final = re.compile(rb"[*?\[\\]")


def is_glob(pattern: bytes) -> bool:
    """Whether `pattern` is more than a name."""
    return _WILD.search(pattern) is not None


def literal(name: bytes) -> bytes:
    """The pattern that only this name matches."""
    return _WILD.sub(rb"\\\g<0>", name)


class Glob:
    """Matches in a time that grows with the length of the value, and with that of the pattern, not with a power of it:
    what stands between the stars is found piece by piece, each at the first place where it fits."""

    def __init__(self, pattern: bytes) -> None:
        pieces = _pieces(pattern)
        self._pieces = [re.compile(piece, re.DOTALL) for piece in (*pieces[:-1], pieces[-1] + rb"\Z")]

    def matches(self, value: bytes) -> bool:
        found = self._pieces[0].match(value)
        for piece in self._pieces[1:]:
            found = found and piece.search(value, found.end())
        return found is not None


def _pieces(pattern: bytes) -> list[bytes]:
    """Regular expressions for what stands between the stars; each of a length that is fixed."""
    pieces, at = [b""], 0
    while at < len(pattern):
        token, at = pattern[at : at + 1], at + 1
        if token == b"*":
            pieces.append(b"")
            continue
        if token == b"[":
            token, at = _one_of(pattern, at)
        elif token == b"?":
            token = b"."
        else:
            if token == b"\\" and at < len(pattern):
                token, at = pattern[at : at + 1], at + 1
            token = re.escape(token)
        pieces[-1] += token
    return pieces


def _one_of(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The set that begins at `at`, and where the pattern goes on. One that is never closed ends with the pattern."""
    is_not = pattern[at : at + 1] == b"^"
    at += is_not
    members: set[int] = set()
    while at < len(pattern) and pattern[at] != ord("]"):
        first = last = pattern[at]
        if first == ord("\\") and at + 1 < len(pattern):
            first = last = pattern[at + 1]
            at += 1
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            first, last = sorted((first, pattern[at + 2]))
            at += 2
        members.update(range(first, last + 1))
        at += 1
    chosen = set(range(256)) - members if is_not else members
    text = b"".join(b"\\x%02x" % member for member in sorted(chosen))
    return (b"[" + text + b"]" if text else b"(?!)"), at + 1
