"""The keys of a store page by page, from a cursor on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import redis

from hybrid.core.cost import SCAN_KEYS
from hybrid.core.drift import Scope
from hybrid.core.names import RESERVED
from hybrid.ops.diff.line import Line

__all__ = ["END", "Place", "scan_pages", "type_name"]

END = b"0"


class Place(NamedTuple):
    """How far the keys of one store have been looked at: up to `cursor`, "" when all were, `compared` of them.

    A server that starts again keeps its keys in another order: its cursors lead on only in the same `run` (see
    `hybrid.stores.capabilities.run_of`).
    """

    cursor: str = "0"
    compared: int = 0
    run: str | None = None

    def passed(self, cursor: str, compared: int) -> Place:
        """The place at `cursor`, with so many more keys compared."""
        return self._replace(cursor=cursor, compared=self.compared + compared)


def scan_pages(line: Line, scope: Scope, cursor: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Pages of keys, some perhaps twice, without hybrid's own; each with the cursor behind it, `END` with the last.

    The next page is already asked for while one is worked on, so `line` must serve nothing else meanwhile.
    """
    options = [b"COUNT", b"%d" % SCAN_KEYS]
    if scope.pattern != b"*":
        options += [b"MATCH", scope.pattern]
    if scope.kind:
        options += [b"TYPE", type_name(scope.kind)]
    line.send([(b"SCAN", cursor, *options)])
    while True:
        reply = line.read_response()
        if isinstance(reply, redis.ResponseError):
            raise reply
        cursor, keys = reply
        if cursor != END:
            line.send([(b"SCAN", cursor, *options)])
        yield cursor, [key for key in keys if not key.startswith(RESERVED)]
        if cursor == END:
            return


def type_name(kind: str) -> bytes:
    """What SCAN and TYPE call a kind."""
    return b"ReJSON-RL" if kind == "json" else kind.encode()
