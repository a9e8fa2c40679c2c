"""What a step is, before it has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hybrid.ops.drills.report import LatencyRow
from hybrid.ops.drills.rig import Rig
from hybrid.types import Store

__all__ = ["Findings", "Spec"]


@dataclass(slots=True)
class Findings:
    """What the steps measured."""

    latency: list[LatencyRow] = field(default_factory=list)
    longest_stall_ms: dict[str, float] = field(default_factory=dict)
    recovery_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spec:
    """One step to run. `action` returns what it found, or raises Failed, Skipped or any error of a store.

    `needs` are the stores without which the step makes no sense; with `replicated` it also needs writes to both.
    """

    id: str
    group: str
    name: str
    action: Callable[[Rig, Findings], str]
    needs: tuple[Store, ...] = ()
    replicated: bool = False

    @property
    def timed(self) -> bool:
        """Whether it can fail because the machine was slow: what waits for failovers and returns."""
        return self.replicated

    def missing(self, rig: Rig) -> str | None:
        """Why the step must be skipped, None when it can run."""
        needs = tuple(Store) if self.replicated else self.needs
        for store in needs:
            if store not in rig.urls:
                variable = "REDIS_URL" if store is Store.LOCAL else "UPSTASH_REDIS_URL"
                return f"no {store} store is configured ({variable})"
        if self.replicated and not rig.replicated:
            return "writes go to the local store only (REDIS_WRITE_BOTH=false)"
        return None
