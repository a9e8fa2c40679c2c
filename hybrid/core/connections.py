"""Connections as the server names them, and how one is ended from another: what was sent over it and has not arrived
yet then never will."""

from __future__ import annotations

import re
from typing import Final

from hybrid.core.resp import pack

__all__ = ["FLUSHES", "FLUSHES_CHANNEL", "WHO", "ending", "endings_of", "flushes_to", "identities"]

WHO: Final = pack(("CLIENT", "INFO"))
"""Asks the server for the names below."""

FLUSHES: Final = pack(("CLIENT", "TRACKING", "ON", "OPTIN"))
"""Has the server say on this RESP3 connection that it was emptied (`FLUSHALL`, `FLUSHDB`), ahead of its next reply. No
key is tracked; services without client-side caching refuse it."""

FLUSHES_CHANNEL: Final = b"__redis__:invalidate"
"""Where it says so on a connection that subscribes over RESP2: a message without keys."""

_IDENTITY: Final = re.compile(rb"^(?:txt:)?id=(\d+) addr=(\S+)", re.MULTILINE)


def identities(info: object) -> list[tuple[bytes, bytes]]:
    """The number and address of each connection in a reply to CLIENT INFO: none where the server has refused, several
    for a cluster."""
    return _IDENTITY.findall(info) if isinstance(info, bytes) else []


def flushes_to(number: int) -> bytes:
    """As `FLUSHES`, for the RESP2 connection of this number, from which it is sent before it subscribes."""
    return pack(("CLIENT", "TRACKING", "ON", "REDIRECT", number, "OPTIN"))


def ending(number: bytes, address: bytes) -> bytes:
    """The command that ends this connection. Numbers begin anew when a server restarts; with the address, only the very
    connection can be meant."""
    return pack(("CLIENT", "KILL", "ID", number, "ADDR", address))


def endings_of(record: object) -> list[bytes]:
    """The commands that end the connections of which a stream has left the names (`hybrid:stream`, `hybrid:incoming`):
    number and address of each. None for a word alone, which says something else."""
    words = record.split() if isinstance(record, bytes) else []
    return [ending(*name) for name in zip(words[::2], words[1::2], strict=False)]
