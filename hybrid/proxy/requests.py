"""Requests of a client, found in the bytes as they arrive; what is wrong with them is said as Redis says it."""

from __future__ import annotations

import re
from typing import Final

from hybrid.core.resp import pack

__all__ = ["ProtocolError", "Request", "RequestParser"]

Request = tuple[tuple[bytes, ...], bytes]
"""The arguments, and the very bytes of them that a store is sent."""

MAX_BULK_BYTES: Final = 512 * 1024 * 1024
MAX_ARGUMENTS: Final = 1024 * 1024
MAX_LINE_BYTES: Final = 64 * 1024
MAX_REQUEST_BYTES: Final = 1024 * 1024 * 1024
STRANGER_ARGUMENTS: Final = 10
STRANGER_BULK_BYTES: Final = 16 * 1024
"""Before AUTH a client needs no more, and shall not fill the memory."""

_STAR, _DOLLAR = ord("*"), ord("$")
_SIZES: Final = {b"$%d" % size: size for size in range(1025)}
"""Looking up a header is quicker than reading its number."""

_INLINE = re.compile(
    rb"""\s*(?: "((?:[^"\\]|\\.)*)"(?=\s|$) | '((?:[^'\\]|\\'|\\)*?)'(?=\s|$) | ([^\s"']\S*) )""", re.X | re.S
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.S)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


class ProtocolError(Exception):
    """What was sent is no request, and nothing after it can be understood."""


class _Incomplete(Exception):
    """The rest of a request has not arrived; at least so many bytes are missing."""

    def __init__(self, missing: int) -> None:
        self.missing = missing


class RequestParser:
    """`feed` it what arrives. `error` is what broke the protocol; the connection is of no use then.

    A `stranger` has not given the password yet.
    """

    def __init__(self, *, stranger: bool = False) -> None:
        self.stranger = stranger
        self.error: ProtocolError | None = None
        self.missing = 0
        self._chunks: list[bytes] = []
        self._size = 0
        # Of a request that is not complete: the arguments that are, how many more it has, and where the next begins.
        self._args: list[bytes] = []
        self._left = 0
        self._at = 0

    def feed(self, data: bytes) -> list[Request]:
        """The requests that are complete now, those before an error included."""
        self.missing -= len(data)
        self._size += len(data)
        if self._chunks:
            self._chunks.append(data)
            if self.missing > 0 and self._size <= MAX_REQUEST_BYTES:
                return []
            data = b"".join(self._chunks)
        requests: list[Request] = []
        start = 0
        try:
            if self._size > MAX_REQUEST_BYTES:
                raise ProtocolError("too big request")
            while start < len(data):
                start = self._one(data, start, requests)
            self._chunks, self._size, self.missing = [], 0, 0
        except _Incomplete as incomplete:
            data = data[start:]
            self._at -= start
            self._chunks, self._size, self.missing = [data], len(data), incomplete.missing
        except ProtocolError as error:
            self.error = error
        return requests

    def _one(self, data: bytes, start: int, requests: list[Request]) -> int:
        """Take the request at `start` and return where it ends. Raises _Incomplete or ProtocolError."""
        args, left, at = self._args, self._left, self._at
        if not left:
            at = start
            if data[start] != _STAR:
                return self._inline(data, start, requests)
            end = _line_end(data, start, "too big mbulk count string")
            left = _count(data[start + 1 : end])
            at = end + 2
            if left <= 0:
                return at
            if self.stranger and left > STRANGER_ARGUMENTS:
                raise ProtocolError("unauthenticated multibulk length")
        find, size_of, total = data.find, _SIZES.get, len(data)
        while left:
            end = find(b"\r\n", at)
            size = size_of(data[at:end]) if end > 0 else None
            if size is None:
                size, end = self._size_at(data, at, args, left)
            begin = end + 2
            end = begin + size
            if end + 2 > total:
                self._args, self._left, self._at = args, left, at
                raise _Incomplete(end + 2 - total)
            args.append(data[begin:end])
            at = end + 2
            left -= 1
        requests.append((tuple(args), data[start:at]))
        self._args, self._left = [], 0
        return at

    def _size_at(self, data: bytes, at: int, args: list[bytes], left: int) -> tuple[int, int]:
        """The size of the argument whose header is at `at`, and where that header ends."""
        if at < len(data) and data[at] != _DOLLAR:
            raise ProtocolError(f"expected '$', got '{chr(data[at])}'")
        try:
            end = _line_end(data, at, "too big bulk count string")
        except _Incomplete:
            self._args, self._left, self._at = args, left, at
            raise
        digits = data[at + 1 : end]
        if not digits.isdigit() or len(digits) > 10 or int(digits) > MAX_BULK_BYTES:
            raise ProtocolError("invalid bulk length")
        if self.stranger and int(digits) > STRANGER_BULK_BYTES:
            raise ProtocolError("unauthenticated bulk length")
        return int(digits), end

    def _inline(self, data: bytes, start: int, requests: list[Request]) -> int:
        """A line as a person types it."""
        self._at = start
        end = data.find(b"\n", start)
        if end < 0:
            if len(data) - start > MAX_LINE_BYTES:
                raise ProtocolError("too big inline request")
            raise _Incomplete(1)
        if args := inline_arguments(data[start:end]):
            requests.append((args, pack(args)))
        return end + 1


def _line_end(data: bytes, start: int, complaint: str) -> int:
    end = data.find(b"\r\n", start, start + MAX_LINE_BYTES)
    if end < 0:
        if len(data) - start >= MAX_LINE_BYTES:
            raise ProtocolError(complaint)
        raise _Incomplete(1)
    return end


def _count(digits: bytes) -> int:
    if not digits.removeprefix(b"-").isdigit() or len(digits) > 10 or int(digits) > MAX_ARGUMENTS:
        raise ProtocolError("invalid multibulk length")
    return int(digits)


def inline_arguments(line: bytes) -> tuple[bytes, ...]:
    """The words of a line, quoted ones as redis-cli quotes them. Raises ProtocolError."""
    line = line.strip()
    args: list[bytes] = []
    at = 0
    while at < len(line):
        match = _INLINE.match(line, at)
        if match is None:
            raise ProtocolError("unbalanced quotes in request")
        double, single, bare = match.groups()
        if double is not None:
            args.append(_ESCAPE.sub(_unescaped, double))
        else:
            args.append(bare if bare is not None else single.replace(b"\\'", b"'"))
        at = match.end()
    return tuple(args)


def _unescaped(match: re.Match[bytes]) -> bytes:
    if match[1] is not None:
        return bytes((int(match[1], 16),))
    return _ESCAPED.get(match[2], match[2])
