"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Effort"]


@dataclass(frozen=True, slots=True)
class Effort:
    """`rounds` of `calls` (of `link_calls` where each waits for the link), `load_s` of sustained writing, `dual_writes`
    of each of two writers, `stall_limit_s` after which a stall counts as endless, `missed_keys` of a store that was
    away, for `outage_s` or for `outage_writes`, `losses` of each kind, for `loss_s`, that several processes meet."""

    rounds: int
    calls: int
    link_calls: int
    load_s: float
    dual_writes: int
    stall_limit_s: float
    missed_keys: int
    outage_s: float
    outage_writes: int
    losses: int
    loss_s: float


FULL = Effort(
    rounds=30,
    calls=500,
    link_calls=5,
    load_s=10.0,
    dual_writes=200,
    stall_limit_s=30.0,
    missed_keys=100_000,
    outage_s=600.0,
    outage_writes=3_600_000,
    losses=15,
    loss_s=0.75,
)
QUICK = Effort(
    rounds=2,
    calls=10,
    link_calls=1,
    load_s=0.2,
    dual_writes=20,
    stall_limit_s=1.0,
    missed_keys=500,
    outage_s=1.0,
    outage_writes=2_000,
    losses=1,
    loss_s=0.3,
)
