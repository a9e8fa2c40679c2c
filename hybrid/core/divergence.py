"""How far two stores agree, as the periodic sync measures it: counted over the current round through all keys and the
one before."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

__all__ = ["Divergence"]


@dataclass(frozen=True, slots=True)
class Divergence:
    """`sampled` keys were compared in this round through both stores and `differed` of them did; `_before` are those
    of the whole round before. `open_differences` are left for a person or for the next round, the oldest known since
    `oldest_since_s`. Repairs and cloud commands are those of the day `day`. Times are Unix times. The cursors lead on
    in the `run` of each server (its `run_id`). `began_s` is when this round began, 0.0 before it did.
    """

    sampled: int = 0
    differed: int = 0
    sampled_before: int = 0
    differed_before: int = 0
    rounds: int = 0
    open_differences: int = 0
    oldest_since_s: float | None = None
    checked_at_s: float = 0.0
    day: str = ""
    repaired_today: int = 0
    cloud_commands_today: int = 0
    local_cursor: str = "0"
    cloud_cursor: str = "0"
    local_run: str | None = None
    cloud_run: str | None = None
    began_s: float = 0.0
    began_before_s: float = 0.0

    @property
    def seen(self) -> int:
        """How many keys `equal_share` speaks of."""
        return self.sampled + self.sampled_before

    @property
    def equal_share(self) -> float | None:
        """The share of compared keys that were equal, 1.0 for all; None before any was compared."""
        return 1.0 - (self.differed + self.differed_before) / self.seen if self.seen else None

    def oldest_age_s(self, now_s: float) -> float | None:
        """For how long the oldest open difference has been known; None without any."""
        return None if self.oldest_since_s is None else max(0.0, now_s - self.oldest_since_s)

    def next_round(self) -> Divergence:
        """All keys were seen once: the counts begin anew."""
        return replace(
            self,
            sampled=0,
            differed=0,
            sampled_before=self.sampled,
            differed_before=self.differed,
            rounds=self.rounds + 1,
            began_s=0.0,
            began_before_s=self.began_s,
        )

    def on(self, day: str) -> Divergence:
        """The same on this day: the day's counts begin at zero."""
        return self if day == self.day else replace(self, day=day, repaired_today=0, cloud_commands_today=0)

    def in_runs(self, local: str | None, cloud: str | None) -> Divergence:
        """The same for servers in these runs: one that started again keeps its keys in another order, and is gone
        through from the start."""
        return replace(
            self,
            local_cursor=self.local_cursor if local == self.local_run else "0",
            cloud_cursor=self.cloud_cursor if cloud == self.cloud_run else "0",
            local_run=local,
            cloud_run=cloud,
        )

    @property
    def packed(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, packed: bytes | str | None) -> Divergence | None:
        """The record as it stands on a store; None where there is none, or one of another version."""
        try:
            return None if packed is None else cls(**json.loads(packed))
        except (ValueError, TypeError):
            return None
