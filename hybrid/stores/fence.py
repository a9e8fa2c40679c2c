"""What a connection knows of its standing WATCH on the authority record (see `hybrid.core.transaction`)."""

from __future__ import annotations

import secrets
from typing import Any

from hybrid.core.authority import Authority, Position
from hybrid.core.connections import ending, identities
from hybrid.core.tokens import token

__all__ = ["StandingFence"]


class StandingFence:
    """A part of every connection to a store.

    `authority` is the record that the standing WATCH guards, None without one; `effects_loaded` says whether the server
    knows the effect scripts. `ending` is the command that ends this connection from another one: None before the server
    was asked for its name, empty where that is of no use. `flushes`: how often the server has said that it was emptied
    (see `FLUSHES`); of `looked` of these it is known that it has its mark still, and while these are fewer, what it
    answers is not to be believed. `known`: up to where the store's log was known to go when the fence was asked for.
    """

    authority: Authority | None = None
    known: Position = (0, 0)
    ending: bytes | None = None
    flushes: int = 0
    looked: int = 0
    effects_loaded: bool = False
    _id: bytes = b""
    _numbered: int = 0

    @property
    def epoch(self) -> int:
        """That of the record; 0 without one."""
        return self.authority.epoch if self.authority is not None else 0

    def named(self, info: object) -> None:
        """Take the reply to `WHO`."""
        names = identities(info)
        # A cluster has one connection for each node, and takes no writes.
        # Over a Unix socket, all clients of a server have the same address.
        is_known = len(names) == 1 and not names[0][1].startswith((b"/", b"[/"))
        self.ending = ending(*names[0]) if is_known else b""

    def see(self, record: Any) -> None:
        """Take the reply to a fence's GET. An error leaves the connection without a known fence, so it is closed."""
        if isinstance(record, Exception):
            self.authority = None
            self.drop()
        else:
            self.authority = Authority.parse(record)

    def next_token(self) -> bytes:
        """A token for the next transaction that must be traced, see `hybrid.core.tokens`."""
        self._id = self._id or secrets.token_hex(4).encode()
        self._numbered += 1
        return token(self._id, self._numbered)

    def drop(self) -> None:
        """Close the connection."""
        raise NotImplementedError
