"""What comparing two stores costs: commands, bytes, time and money, estimated before and counted after alike."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Final

from hybrid.core.spending import Price

__all__ = [
    "FREE",
    "MGET_KEYS",
    "SCAN_KEYS",
    "SLICE_KEYS",
    "TTL_SAMPLE",
    "UPSTASH",
    "Budget",
    "Census",
    "Cost",
    "Strategy",
    "diff_cost",
    "is_billed",
    "is_sampled",
    "usd_of",
]

SCAN_KEYS: Final = 1000
MGET_KEYS: Final = 500
SLICE_KEYS: Final = 100
"""Keys that a script digests in one call: well under 1 ms of the server's time, mostly."""

PAGES_ON_THE_WAY: Final = 4
DIGEST_BYTES: Final = 60
DIGESTED_KEYS_PER_S: Final = 100_000.0
READ_KEYS_PER_S: Final = 25_000.0
LINK_BYTES_PER_S: Final = 10_000_000.0
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


@dataclass(frozen=True, slots=True)
class Census:
    """What is known of both stores before: keys in scope and, of a sample, the share of strings, the mean sizes of keys
    and of values in bytes, and how long a command takes to the cloud and back."""

    local_keys: int
    cloud_keys: int
    string_share: float
    key_bytes: float
    value_bytes: float
    round_trip_s: float


def diff_cost(census: Census, strategy: Strategy, price: Price, *, all_ttls: bool, listed: bool = False) -> Cost:
    """The estimated cost of a diff of two stores that hold nearly the same. What differs costs more: a few commands for
    each such key. `listed`: the keys are given, so that nothing is scanned."""
    local, cloud = census.local_keys, census.cloud_keys
    scans = 0 if listed else ceil(cloud / SCAN_KEYS)
    names_bytes = (local + (0 if listed else cloud)) * census.key_bytes
    if strategy is Strategy.DIGEST:
        commands, values_bytes, rate = ceil(local / SLICE_KEYS), DIGEST_BYTES * local / SLICE_KEYS, DIGESTED_KEYS_PER_S
    else:
        strings = round(local * census.string_share)
        ttls = local if all_ttls or strategy is Strategy.READ else ceil(local / TTL_SAMPLE)
        commands = ceil(strings / MGET_KEYS) + local - strings + ttls
        values_bytes, rate = local * census.value_bytes, READ_KEYS_PER_S
    cloud_bytes = round(names_bytes + values_bytes)
    round_trips = scans + ceil(local / SCAN_KEYS / PAGES_ON_THE_WAY)
    seconds = max((local + cloud / 10) / rate, cloud_bytes / LINK_BYTES_PER_S) + round_trips * census.round_trip_s
    return Cost(
        local_commands=2 * ceil(local / SLICE_KEYS) + scans,
        cloud_commands=commands + scans,
        local_bytes=round(names_bytes),
        cloud_bytes=cloud_bytes,
        seconds=seconds,
        usd=usd_of(price, commands + scans, cloud_bytes),
    )


def is_sampled(key_hash: int, rotation: int, share: int = TTL_SAMPLE) -> bool:
    """Whether the expiry of the key with this hash is in the sample of the diff number `rotation`; after `share` diffs
    every key was in one."""
    return key_hash % share == rotation % share
