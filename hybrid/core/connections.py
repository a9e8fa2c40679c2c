"""Connections as the server names them, and how one is ended from another: what was sent over it and has not arrived
yet then never will."""

from __future__ import annotations

import re
from typing import Final

from hybrid.core.resp import pack

__all__ = ["WHO", "ending", "identities"]

WHO: Final = pack(("CLIENT", "INFO"))
"""Asks the server for the names below."""

_IDENTITY: Final = re.compile(rb"^id=(\d+) addr=(\S+)", re.MULTILINE)


def identities(info: object) -> list[tuple[bytes, bytes]]:
    """The number and address of each connection in a reply to CLIENT INFO: none where the server has refused, several
    for a cluster."""
    return _IDENTITY.findall(info) if isinstance(info, bytes) else []


def ending(number: bytes, address: bytes) -> bytes:
    """The command that ends this connection. Numbers begin anew when a server restarts; with the address, only the very
    connection can be meant."""
    return pack(("CLIENT", "KILL", "ID", number, "ADDR", address))
