"""Who takes writes: a record with an epoch, the same on both stores, the higher epoch being the truth.

The record on the cloud store decides; the one on the local store fences writers that have not heard yet.

    local N     --(local is down: any writer claims)-->        cloud N+1
    cloud N     --(local has nearly caught up: the shipper)--> handover N+1
    handover N  --(the last entries are on local)-->           local N+1
    handover N  --(local died again: any writer claims)-->     cloud N+1
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from hybrid.types import Store

__all__ = ["FIRST", "Authority", "Holder", "Position", "position", "position_text"]

Position = tuple[int, int]
"""A place in a replication log: the two halves of a stream id."""


class Holder(StrEnum):
    LOCAL = "local"
    CLOUD = "cloud"
    HANDOVER = "handover"


@dataclass(frozen=True, slots=True)
class Authority:
    """`holder` takes writes since `epoch`; during a handover nobody does, for about two round trips."""

    holder: Holder
    epoch: int

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, record: bytes | str | None) -> Authority | None:
        """The record as it stands on a store; None where there is none."""
        if record is None:
            return None
        text = record.decode() if isinstance(record, bytes) else record
        holder, _, epoch = text.partition(" ")
        return cls(Holder(holder), int(epoch))

    @property
    def record(self) -> bytes:
        return f"{self.holder} {self.epoch}".encode()

    @property
    def store(self) -> Store:
        """The store whose log is the one to ship: the cloud's until a handover is complete."""
        return Store.LOCAL if self.holder is Holder.LOCAL else Store.CLOUD

    def admits(self, store: Store) -> bool:
        """Whether `store` takes writes now."""
        return self.holder.value == store.value

    def succeeded_by(self, holder: Holder) -> Authority:
        return Authority(holder, self.epoch + 1)


FIRST = Authority(Holder.LOCAL, 1)


def position(entry_id: bytes | str) -> Position:
    """A stream id as a pair that sorts as the log does."""
    ms, sequence = entry_id.split(b"-") if isinstance(entry_id, bytes) else entry_id.split("-")
    return int(ms), int(sequence)


def position_text(place: Position) -> bytes:
    return b"%d-%d" % place
