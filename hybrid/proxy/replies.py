"""Replies of a store as it sent them: taken apart only as far as somebody looks, and put together again unchanged.

hiredis tells no simple string from a bulk string, and no null from a null array. Here every value that is not of the
plainest types keeps its own bytes, so that what goes to the client is what the store said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, overload

from redis import RedisError, ResponseError

from hybrid.errors import AllStoresDown, HybridError, OutcomeUnknown

__all__ = [
    "NULL",
    "NULL_ARRAY",
    "OK",
    "Block",
    "Encoded",
    "bulk",
    "encoded",
    "error_line",
    "opened",
    "status_line",
    "value_end",
]

NULL: Final = {2: b"$-1\r\n", 3: b"_\r\n"}
NULL_ARRAY: Final = {2: b"*-1\r\n", 3: b"_\r\n"}
OK: Final = b"+OK\r\n"

_MAP, _ATTRIBUTE = ord("%"), ord("|")
_LINES: Final = frozenset(b"+-:_#,(")
_STRINGS: Final = frozenset(b"$!=")


class Encoded(bytes):
    """A reply that stays as it came."""


class Status(bytes):
    """A simple string."""


class NullArray(list[Any]):
    """RESP2's null array: empty to those who look into it."""


class Block(Sequence[Any]):
    """So many replies in their own bytes, parsed when first looked at."""

    __slots__ = ("_parse_error", "_replies", "_size", "raw")

    def __init__(self, raw: bytes, count: int, parse_error: Callable[[str], Exception]) -> None:
        self.raw = raw
        self._size = count
        self._parse_error = parse_error
        self._replies: list[Any] | None = None

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._parsed()[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parsed())

    def _parsed(self) -> list[Any]:
        if self._replies is None:
            self._replies, at = [], 0
            for _ in range(self._size):
                reply, at = _element(self.raw, at, 0, self._parse_error)
                self._replies.append(reply)
        return self._replies


def _element(data: bytes, at: int, depth: int, parse_error: Callable[[str], Exception]) -> tuple[Any, int]:
    """The value at `at`, and where it ends. Arrays are opened as far as hybrid's own replies are nested."""
    kind = data[at]
    end = data.index(b"\r\n", at)
    after = end + 2
    if kind == 43:  # +
        return Status(data[at + 1 : end]), after
    if kind == 36:  # $
        size = int(data[at + 1 : end])
        return (None, after) if size < 0 else (data[after : after + size], after + size + 2)
    if kind == 58:  # :
        return int(data[at + 1 : end]), after
    if kind == 42:  # *
        size = int(data[at + 1 : end])
        if size < 0:
            return (NullArray() if depth else None), after
        if depth < 2:
            items = []
            for _ in range(size):
                item, after = _element(data, after, depth + 1, parse_error)
                items.append(item)
            return items, after
    elif kind == 45:  # -
        error = parse_error(data[at + 1 : end].decode(errors="replace"))
        error.line = data[at:after]  # type: ignore[attr-defined]
        return error, after
    elif kind == 95:  # _
        return None, after
    stop = value_end(data, at)
    return Encoded(data[at:stop]), stop


def opened(reply: Any) -> Any:
    """The reply with all arrays and maps in it taken apart, however deep."""
    if type(reply) is list:
        return [opened(item) for item in reply]
    if type(reply) is not Encoded or reply[0] not in b"*%":
        return reply
    items: list[Any] = []
    at = reply.index(b"\r\n") + 2
    while at < len(reply):
        item, at = _element(reply, at, 1, ResponseError)
        items.append(opened(item))
    return items if reply[0] == ord("*") else dict(zip(items[::2], items[1::2], strict=True))


def value_end(data: bytes, at: int) -> int:
    """Where the value at `at` ends, whatever it holds."""
    values = 1
    while values:
        kind = data[at]
        end = data.index(b"\r\n", at)
        values -= 1
        if kind in _LINES:
            at = end + 2
        elif kind in _STRINGS:
            at = end + 2 + max(int(data[at + 1 : end]) + 2, 0) if data[at + 1] != 45 else end + 2
        else:
            size = max(int(data[at + 1 : end]), 0)
            values += size * (2 if kind in (_MAP, _ATTRIBUTE) else 1) + (kind == _ATTRIBUTE)
            at = end + 2
    return at


def encoded(reply: Any, protocol: int) -> bytes:
    """A reply as the client is sent it."""
    kind = type(reply)
    if kind is Encoded:
        return bytes(reply)
    if kind is Status:
        return b"+%b\r\n" % reply
    if kind is bytes:
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if kind is int:
        return b":%d\r\n" % reply
    if kind is NullArray:
        return NULL_ARRAY[protocol]
    if reply is None:
        return NULL[protocol]
    if isinstance(reply, list | tuple):
        return b"*%d\r\n" % len(reply) + b"".join(encoded(item, protocol) for item in reply)
    if isinstance(reply, dict):
        pairs = b"".join(encoded(item, protocol) for pair in reply.items() for item in pair)
        return (b"%%%d\r\n" % len(reply) if protocol == 3 else b"*%d\r\n" % (2 * len(reply))) + pairs
    if isinstance(reply, Exception):
        return error_line(reply)
    if isinstance(reply, str):
        return bulk(reply.encode())
    raise TypeError(f"no reply can be made of a {kind.__name__}")


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def status_line(text: bytes) -> bytes:
    return b"+%b\r\n" % text


def error_line(error: Exception) -> bytes:
    """An error as a reply: a store's in its own words, hybrid's with a code that says whether to try again.

    `MASTERDOWN` (no store can serve) is one that clients retry, `OUTCOMEUNKNOWN` is not.
    """
    line = getattr(error, "line", None)
    if line is not None:
        return bytes(line)
    code = "ERR"
    if isinstance(error, AllStoresDown):
        code = "MASTERDOWN"
    elif isinstance(error, OutcomeUnknown):
        code = "OUTCOMEUNKNOWN"
    elif isinstance(error, RedisError) and not isinstance(error, HybridError):
        # redis-py takes the code off an error that it knows.
        code = getattr(error, "status_code", None) or code
    return f"-{code} {' '.join(str(error).split())}\r\n".encode()
