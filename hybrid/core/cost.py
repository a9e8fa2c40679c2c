"""What comparing two stores costs: commands, bytes, time and money, in the units of both the estimate
(`hybrid.core.estimate`) and the account; and how much goes together, on which that depends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hybrid.core.spending import Price

__all__ = [
    "DIGESTED_STRING_BYTES",
    "FREE",
    "MGET_KEYS",
    "PIECES_TOGETHER",
    "PIECE_ELEMENTS",
    "PIECE_TOTAL_BYTES",
    "REPLY_BYTES",
    "SCAN_KEYS",
    "SLICE_BYTES",
    "SLICE_KEYS",
    "TTL_SAMPLE",
    "UPSTASH",
    "Budget",
    "Cost",
    "Strategy",
    "is_billed",
    "is_sampled",
    "usd_of",
]

SCAN_KEYS: Final = 1000
MGET_KEYS: Final = 500
SLICE_KEYS: Final = 100
"""Keys that a script digests in one call: well under 1 ms of the server's time, mostly."""

SLICE_BYTES: Final = 128 * 1024
"""And of how much a slice stops before its end."""

PIECE_ELEMENTS: Final = 400
PIECE_TOTAL_BYTES: Final = 256 * 1024
"""How much of a big key a script digests in one call."""

PIECES_TOGETHER: Final = 8
"""Big keys whose next pieces are asked for in one round trip; a server that works them off in a row is held for some
milliseconds."""

REPLY_BYTES: Final = 4 * 1024 * 1024
"""Of values read together, or in one piece: Upstash stops at 10 MB."""

DIGESTED_STRING_BYTES: Final = 64 * 1024
"""A longer string is worth a command of its own, `DIGEST`, rather than to be read."""

TTL_SAMPLE: Final = 200
"""Where every command is billed, one in so many keys has its expiry compared in each diff; the sample rotates."""

FREE: Final = Price(per_100k_commands=0.0, per_gb=0.0, free_gb=0.0)
"""A store of one's own."""

UPSTASH: Final = Price()
"""Upstash's pay-as-you-go plan: upstash.com/pricing/redis, August 2026."""


def is_billed(price: Price) -> bool:
    """Whether each command costs something, also inside pipelines, transactions and scripts."""
    return price.per_100k_commands > 0


def usd_of(price: Price, commands: int, size_bytes: int) -> float:
    """US dollars. A diff is taken to stay within the month's free bandwidth where there is one."""
    return price.commands_usd(commands) + (0.0 if price.free_gb else size_bytes / 1e9 * price.per_gb)


@dataclass(frozen=True, slots=True)
class Cost:
    """Commands and bytes of both directions, on each store; `usd` is for the cloud store, `seconds` of wall time."""

    local_commands: int = 0
    cloud_commands: int = 0
    local_bytes: int = 0
    cloud_bytes: int = 0
    seconds: float = 0.0
    usd: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.local_commands + other.local_commands,
            self.cloud_commands + other.cloud_commands,
            self.local_bytes + other.local_bytes,
            self.cloud_bytes + other.cloud_bytes,
            self.seconds + other.seconds,
            self.usd + other.usd,
        )


@dataclass(frozen=True, slots=True)
class Budget:
    """At most this many cloud commands; None for no limit."""

    max_commands: int | None = None


class Strategy(StrEnum):
    """How two stores are compared.

    DIGEST: scripts on both servers digest keys by the slice, and only digests travel. READ: the cloud's values are
    read, every expiry too. BILLED: as READ with as few commands as will do; expiries of suspects and of a sample.
    """

    DIGEST = "digests on both servers"
    READ = "values read from the cloud"
    BILLED = "fewest commands on the cloud"


def is_sampled(key_hash: int, rotation: int, share: int = TTL_SAMPLE) -> bool:
    """Whether the expiry of the key with this hash is in the sample of the diff number `rotation`; after `share` diffs
    every key was in one."""
    return key_hash % share == rotation % share
