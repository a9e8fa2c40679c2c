"""The right to ship one store's log: a key with a short life on that store, held by one shipper at a time.

The holder fences itself: by its own monotonic clock it stops before the lease can have run out on the server.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import Final

from hybrid.core.resp import pack
from hybrid.types import Store

__all__ = ["RENEW_S", "TERM_S", "Lease", "new_holder"]

TERM_S: Final = {Store.LOCAL: 2.0, Store.CLOUD: 4.0}
RENEW_S: Final = {Store.LOCAL: 0.4, Store.CLOUD: 1.3}
"""Renewing on the cloud is billed, and happens only while the cloud store has the authority."""

_ACQUIRE = (
    "local holder=redis.call('GET',KEYS[1]) if holder and holder~=ARGV[1] then return 0 end "
    "redis.call('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 1"
)
_RENEW = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end return 0"
_RELEASE = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0"


def new_holder() -> str:
    """A name for one shipper, unlike any other: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Lease:
    """One process's claim to `key` on the store `store`; pure bookkeeping plus the commands to send."""

    def __init__(self, store: Store, key: bytes, holder: str) -> None:
        self._key = key
        self._term_s = TERM_S[store]
        self.holder = holder
        self._asked_s = 0.0
        self._until_s = 0.0

    def acquire(self) -> bytes:
        """The command that takes the lease if nobody else has it; feed its reply to `acquired`."""
        self._asked_s = time.monotonic()
        return pack(("EVAL", _ACQUIRE, 1, self._key, self.holder, int(self._term_s * 1000)))

    def acquired(self, reply: object) -> bool:
        granted = reply == 1
        if granted:
            self._until_s = self._asked_s + self._term_s
        return granted

    def renew(self) -> bytes:
        """The command that prolongs the lease if it is still ours; feed its reply to `renewed`."""
        self._asked_s = time.monotonic()
        return pack(("EVAL", _RENEW, 1, self._key, self.holder, int(self._term_s * 1000)))

    def renewed(self, asked_s: float, reply: object) -> None:
        """Take the answer to a renewal asked at `asked_s`: the term counts from the question, never the answer."""
        self._until_s = asked_s + self._term_s if reply == 1 else 0.0

    @property
    def asked_s(self) -> float:
        return self._asked_s

    def release(self) -> bytes:
        return pack(("EVAL", _RELEASE, 1, self._key, self.holder))

    @property
    def is_held(self) -> bool:
        """Whether the lease is surely still ours, with a margin for what is on its way."""
        return time.monotonic() < self._until_s - self._term_s / 8
