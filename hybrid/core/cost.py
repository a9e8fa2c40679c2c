"""What comparing costs: commands, bytes, time and money, estimated before and counted after in the same units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["FREE", "UPSTASH", "Budget", "Cost", "Price"]


@dataclass(frozen=True, slots=True)
class Price:
    """What a store charges. `usd_per_command` is for each command, also inside pipelines, transactions and scripts;
    `usd_per_byte` for what goes over the wire. `source` says where the numbers come from."""

    usd_per_command: float = 0.0
    usd_per_byte: float = 0.0
    source: str = "a store of one's own: no price for a command"

    @property
    def billed(self) -> bool:
        return self.usd_per_command > 0


FREE: Final = Price()
UPSTASH: Final = Price(
    usd_per_command=0.20 / 100_000,
    usd_per_byte=0.0,  # the first 200 GB of a month are free, then 0.03 USD a GB
    source="Upstash, pay as you go: upstash.com/pricing/redis, August 2026",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Commands and bytes of both directions, on each store; `usd` is for the cloud store, `seconds` of wall time."""

    local_commands: int = 0
    cloud_commands: int = 0
    local_bytes: int = 0
    cloud_bytes: int = 0
    seconds: float = 0.0
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Budget:
    """At most this many cloud commands; None for no limit."""

    max_commands: int | None = None

    def allows(self, spent: int, more: int = 0) -> bool:
        """Whether `more` commands may follow those `spent`."""
        return self.max_commands is None or spent + more <= self.max_commands
