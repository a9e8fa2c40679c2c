"""Which processes use a pair of stores: what each says of itself, and when silence means that it is gone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

__all__ = ["BEAT_S", "DROP_S", "GONE_S", "Presence", "Process", "Role", "dropped", "seen"]

BEAT_S: Final = 2.0
"""How often a process reports to the local store, which is not billed."""

GONE_S: Final = 3 * BEAT_S
DROP_S: Final = 600.0

CLOUD_BEAT_S: Final = 60.0
"""While the local store is down, processes report to the cloud: rarely, because it is billed."""


class Role(StrEnum):
    """What a process does for the replication log."""

    SHIPS = "ships"
    STANDS_BY = "stands by"
    LOCAL_ONLY = "local only"


class Presence(StrEnum):
    CONNECTED = "connected"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Process:
    """One client of one process. Times are Unix times by the store's clock; `config_version` is the version of the live
    configuration that it runs, `pinned` the live settings that its code fixes by an argument."""

    id: str
    name: str
    host: str
    pid: int
    hybrid_version: str
    started_s: float
    config_version: int
    role: Role
    write_both: bool
    pinned: tuple[str, ...] = ()
    seen_s: float = 0.0
    beat_s: float = BEAT_S

    @property
    def record(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def parse(cls, record: bytes) -> Process:
        """Raises ValueError for anything else; fields of a newer version are left out."""
        try:
            known: dict[str, Any] = {n: v for n, v in json.loads(record).items() if n in cls.__dataclass_fields__}
            known["role"], known["pinned"] = Role(known["role"]), tuple(known["pinned"])
            return cls(**known)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a process of the registry: {error}") from None

    def presence(self, now_s: float) -> Presence:
        """Three reports missed in a row: gone."""
        return Presence.CONNECTED if now_s - self.seen_s <= 3 * self.beat_s else Presence.GONE


def seen(records: Iterable[bytes], now_s: float) -> tuple[tuple[Process, Presence], ...]:
    """The processes worth showing, connected ones first, then by name; unreadable records are left out."""
    found = []
    for record in records:
        try:
            process = Process.parse(record)
        except ValueError:
            continue
        if now_s - process.seen_s <= DROP_S:
            found.append((process, process.presence(now_s)))
    return tuple(sorted(found, key=lambda row: (row[1] is Presence.GONE, row[0].name, row[0].started_s)))


def dropped(records: Iterable[tuple[bytes, bytes]], now_s: float) -> tuple[bytes, ...]:
    """The ids of those (id, record) that are gone for so long that nobody asks for them any more."""
    found = []
    for name, record in records:
        try:
            old = now_s - Process.parse(record).seen_s > DROP_S
        except ValueError:
            old = True
        if old:
            found.append(name)
    return tuple(found)
