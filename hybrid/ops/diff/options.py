"""How a diff is run, and what can be seen of it meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

from hybrid.core.cost import Budget
from hybrid.core.names import Names
from hybrid.core.spending import Price
from hybrid.core.state import TTL_TOLERANCE_MS

__all__ = ["DiffOptions", "DiffProgress"]


@dataclass(frozen=True, slots=True)
class DiffOptions:
    """`price`: what the cloud store charges, None to find out. `all_ttls`: read every expiry also where each costs a
    command; otherwise those of suspects and of a sample that rotates: its number is `rotation`, None for the one after
    that of the last diff in the folder. `looks` and `pause_s` are for confirmation: how many later looks must agree,
    and how far apart they are. Where commands are billed one look less is taken.
    """

    budget: Budget = field(default_factory=Budget)
    price: Price | None = None
    all_ttls: bool = False
    rotation: int | None = None
    ttl_tolerance_ms: int = TTL_TOLERANCE_MS
    looks: int = 2
    pause_s: float = 0.25
    names: Names = field(default_factory=Names)


@dataclass(frozen=True, slots=True)
class DiffProgress:
    """A moment of a running diff. `keys_total` is the servers' own count, which is not exact; `eta_s` is None while
    unknown."""

    phase: str = "starting"
    keys_done: int = 0
    keys_total: int = 0
    suspected: int = 0
    different: int = 0
    cloud_commands: int = 0
    keys_per_s: float = 0.0
    eta_s: float | None = None
