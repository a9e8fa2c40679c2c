"""Who takes writes: a record with an epoch, the same on both stores, the higher epoch being the truth.

The record on the cloud store decides; the one on the local store fences writers that have not heard yet.

    local N     --(local is down: any writer claims)-->        cloud N+1
    cloud N     --(local is back: its tail is merged)-->       cloud N+1
    cloud N     --(local has nearly caught up: the shipper)--> handover N+1
    handover N  --(the last entries are on local)-->           local N+1
    handover N  --(local died again: any writer claims)-->     cloud N+1

On an operator's demand the authority moves to the cloud in order, and stays there until it is asked back:

    local N       --(failover)-->                              drain N+1
    drain N       --(the last entries are on the cloud)-->     cloud N+1 held
    drain N       --(it takes too long: any writer)-->         local N+1
    drain N       --(local died: any writer claims)-->         cloud N+1
    cloud N       --(failover)-->                              cloud N+1 held
    cloud N held  --(failback)-->                              cloud N+1

If the cloud store is lost while it has the authority, a local store that has everything takes over, alone:

    cloud N, handover N, drain N  --(cloud is lost: any writer claims)-->  local N+LEAP alone
    local N alone                 --(what only the cloud has is merged)--> local N+1

That is written on the local store only, because the other one cannot be asked. The leap keeps it the higher epoch, and
never an equal one, whatever was written meanwhile on the cloud store by those who could reach it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from hybrid.types import Store

__all__ = ["FIRST", "Authority", "Holder", "Position", "admits_write", "before", "position", "position_text"]

Position = tuple[int, int]
"""A place in a replication log: the two halves of a stream id."""


class Holder(StrEnum):
    LOCAL = "local"
    CLOUD = "cloud"
    HANDOVER = "handover"
    """Nobody: the cloud store's last entries are on their way to the local one."""
    DRAIN = "drain"
    """Nobody: the local store's last entries are on their way to the cloud one."""


HELD: Final = "held"
ALONE: Final = "alone"
LEAP: Final = 1000
"""More moves than there can be on a store while it is cut off from some process."""


AWAY_AND_BACK: Final = 3
LAST_SEQUENCE: Final = 2**63
"""More entries than a log gets in a millisecond; a place behind it can be named still."""


@dataclass(frozen=True, slots=True)
class Authority:
    """`holder` takes writes since `epoch`; during a handover or a drain nobody does, for about two round trips.

    `held`: the cloud store keeps the authority, however well the local one is, until an operator gives it back.
    `alone`: the local store took it from a cloud store that was lost, and that may know more.
    """

    holder: Holder
    epoch: int
    held: bool = False
    alone: bool = False
    store: Store = field(init=False, repr=False, compare=False)
    """The store whose log is the one to ship: the old one's until a handover or a drain is complete."""
    _admitted: Store | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:  # each command asks for these
        store = Store.LOCAL if self.holder in (Holder.LOCAL, Holder.DRAIN) else Store.CLOUD
        object.__setattr__(self, "store", store)
        object.__setattr__(self, "_admitted", None if self.is_moving else store)

    @classmethod
    @lru_cache(maxsize=64)
    def parse(cls, record: bytes | str | None) -> Authority | None:
        """The record as it stands on a store; None where there is none."""
        if record is None:
            return None
        text = record.decode() if isinstance(record, bytes) else record
        holder, epoch, *mark = text.split(" ")
        if mark not in ([], [HELD], [ALONE]):
            raise ValueError(f"no authority record: {text!r}")
        return cls(Holder(holder), int(epoch), mark == [HELD], mark == [ALONE])

    @property
    def record(self) -> bytes:
        return (f"{self.holder} {self.epoch}" + f" {HELD}" * self.held + f" {ALONE}" * self.alone).encode()

    @property
    def is_moving(self) -> bool:
        """Whether nobody takes writes, because the last entries are on their way."""
        return self.holder in (Holder.HANDOVER, Holder.DRAIN)

    def admits(self, store: Store) -> bool:
        """Whether `store` takes writes now."""
        return self._admitted is store

    def may_have_left(self, since: Authority) -> bool:
        """Whether another store may have taken writes since that earlier record: to be away and back takes three moves,
        and who was cut off, or stopped, hears of the last one alone."""
        return self.store is not since.store or self.epoch - since.epoch >= AWAY_AND_BACK

    def succeeded_by(self, holder: Holder, *, held: bool = False) -> Authority:
        return Authority(holder, self.epoch + 1, held)

    @property
    def of_local_alone(self) -> Authority:
        """The record with which the local store takes over from a cloud store that cannot be asked."""
        return Authority(Holder.LOCAL, self.epoch + LEAP, alone=True)


def admits_write(record: Authority | None, store: Store, known: Authority) -> bool:
    """Whether the record found on `store` lets a process write there that knows the authority `known`.

    A record older than what the process knows admits nobody: a write that is run again, because its store lost the
    authority, must not go there a second time before the store itself has heard of it.
    """
    return record is not None and record.admits(store) and record.epoch >= known.epoch


FIRST = Authority(Holder.LOCAL, 1)


def position(entry_id: bytes | str) -> Position:
    """A stream id as a pair that sorts as the log does."""
    ms, sequence = entry_id.split(b"-") if isinstance(entry_id, bytes) else entry_id.split("-")
    return int(ms), int(sequence)


def before(place: Position) -> Position:
    """The last place in front of this one where an entry can be."""
    ms, sequence = place
    return (ms, sequence - 1) if sequence else (ms - 1, LAST_SEQUENCE)


def position_text(place: Position) -> bytes:
    return b"%d-%d" % place
