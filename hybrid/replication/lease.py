"""The right to ship one store's log: a key with a short life on that store, held by one shipper at a time.

The holder fences itself: by its own monotonic clock it stops before the lease can have run out on the server.

Agents and panels ship rather than applications: one that finds the lease taken leaves a bid beside it. An application
that ships sees the bid when it renews, finishes what is on its way, and gives the lease back; no application takes it
then. One that handed the authority back has it already, and ships until it has seen the bid. Bids are made on the local
store only, where looking for them costs nothing.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import Any, Final

from hybrid.core.lua import NOTED
from hybrid.core.resp import pack
from hybrid.types import Store

__all__ = ["RENEW_S", "TERM_S", "Lease", "new_holder", "owner", "renamed"]

TERM_S: Final = {Store.LOCAL: 2.0, Store.CLOUD: 4.0}
RENEW_S: Final = {Store.LOCAL: 0.4, Store.CLOUD: 1.3}
"""Renewing on the cloud is billed, and happens only while the cloud store has the authority."""

_OWNER = "local function owner(name) return name and string.match(name,'^[^#]*') end "
_ACQUIRE = (NOTED + _OWNER) + (
    "local holder=redis.call('GET',KEYS[1]) if holder and owner(holder)~=owner(ARGV[1]) then return 0 end "
    "noted('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 1"
)
_RENEW = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end return 0"
_ACQUIRE_BIDDING = (NOTED + _OWNER) + (
    "local holder=redis.call('GET',KEYS[1]) local bid=redis.call('GET',KEYS[2]) "
    "local prefers,me=ARGV[3]=='1',owner(ARGV[1]) bid=owner(bid) "
    "if holder and owner(holder)~=me then "
    "if prefers and (not bid or bid==me) then noted('SET',KEYS[2],ARGV[1],'PX',ARGV[2]) end return 0 end "
    "if bid and not prefers and not holder then return 0 end "
    "if bid==me then redis.call('DEL',KEYS[2]) end "
    "noted('SET',KEYS[1],ARGV[1],'PX',ARGV[2]) return 1"
)
_RENEW_BIDDING = (
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end redis.call('PEXPIRE',KEYS[1],ARGV[2]) "
    "if ARGV[3]=='0' and redis.call('EXISTS',KEYS[2])==1 then return 2 end return 1"
)
_WHILE_HELD = NOTED + (
    "if redis.call('GET',KEYS[1])==ARGV[1] then return noted(ARGV[2],KEYS[2],unpack(ARGV,3)) end return 0"
)
_RELEASE = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0"


def new_holder() -> str:
    """A name for one shipper, unlike any other: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def renamed(holder: str) -> str:
    """The same shipper's name for its next lease. It takes over from the one before at once; what that one has sent and
    is still on its way, its release among it, does not concern the new one."""
    return f"{owner(holder)}#{int(holder.partition('#')[2] or 0) + 1}"


def owner(holder: str) -> str:
    """The shipper's name, whichever of its leases this is."""
    return holder.partition("#")[0]


class Lease:
    """One process's claim to `key` on the store `store`; pure bookkeeping plus the commands to send.

    `bid` is the key of the bids, None for a lease without; `preferred` says that this process makes them.
    `is_wanted` becomes true when a preferred process waits for the lease of one that is not. `taken_s`: since when it
    is held (monotonic clock).
    """

    def __init__(
        self,
        store: Store,
        key: bytes,
        holder: str,
        *,
        bid: bytes | None = None,
        preferred: bool = False,
        term_s: float | None = None,
    ) -> None:
        self.store = store
        self._key = key
        self._bid = bid if store is Store.LOCAL else None
        self._preferred = preferred
        self.is_wanted = False
        self._term_s = term_s or TERM_S[store]
        self.holder = holder
        self._asked_s = 0.0
        self._until_s = 0.0
        self.taken_s = 0.0
        self._alive_s = time.monotonic()

    def acquire(self) -> bytes:
        """The command that takes the lease if nobody else has it; feed its reply to `acquired`."""
        self._asked_s = time.monotonic()
        return self._asked(_ACQUIRE, _ACQUIRE_BIDDING)

    def left(self) -> bytes:
        """The command that tells for how many milliseconds somebody still has the lease; not positive: nobody."""
        return pack(("PTTL", self._key))

    def seize(self) -> bytes:
        """The command that takes the lease from whoever has it."""
        self._asked_s = time.monotonic()
        return pack(("SET", self._key, self.holder, "PX", int(self._term_s * 1000)))

    def doing(self, command: str, key: bytes, *args: Any) -> bytes:
        """The command that does this to `key` on the same store, if the lease is still ours. What a shipper notes there
        is read by those after it, and what it takes away they may have noted since: one that was stopped, and goes on
        later, must not replace that."""
        return pack(("EVAL", _WHILE_HELD, 2, self._key, key, self.holder, command, *args))

    def set(self, key: bytes, value: bytes) -> bytes:
        return self.doing("SET", key, value)

    def acquired(self, reply: object) -> bool:
        granted = reply == 1
        if granted:
            self._until_s = self._asked_s + self._term_s
            self._alive_s = self.taken_s = time.monotonic()
        return granted

    def renew(self) -> bytes:
        """The command that prolongs the lease if it is still ours; feed its reply to `renewed`."""
        self._asked_s = time.monotonic()
        return self._asked(_RENEW, _RENEW_BIDDING)

    def _asked(self, plain: str, bidding: str) -> bytes:
        term_ms = int(self._term_s * 1000)
        if self._bid is None:
            return pack(("EVAL", plain, 1, self._key, self.holder, term_ms))
        return pack(("EVAL", bidding, 2, self._key, self._bid, self.holder, term_ms, int(self._preferred)))

    def renewed(self, asked_s: float, reply: object) -> None:
        """Take the answer to a renewal asked at `asked_s`: the term counts from the question, never the answer."""
        self.is_wanted = reply == 2
        self._until_s = asked_s + self._term_s if reply in (1, 2) else 0.0

    @property
    def asked_s(self) -> float:
        return self._asked_s

    def release(self) -> bytes:
        return pack(("EVAL", _RELEASE, 1, self._key, self.holder))

    @property
    def idle_s(self) -> float:
        """How long ago its holder gave the last sign of life."""
        return time.monotonic() - self._alive_s

    def goes_on(self) -> bool:
        """A sign of life of who works under the lease, and whether it is still held."""
        self._alive_s = time.monotonic()
        return self.is_held

    @property
    def is_held(self) -> bool:
        """Whether the lease is surely still ours, with a margin for what is on its way."""
        return time.monotonic() < self._until_s - self._term_s / 8
