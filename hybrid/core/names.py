"""The keys and channels that hybrid keeps for itself on each store. A drill uses a prefix of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["RESERVED", "Names"]

RESERVED = b"hybrid:"


@dataclass(frozen=True, slots=True)
class Names:
    """Internal names under one prefix.

    `log` is the replication log (a stream), `authority` the record of who takes writes, `lease` the shipper's lease,
    `stream` its connection to the other store, `identity` the mark by which a wiped store is recognized, `seal` the
    end of the local log as far as it was shipped when the local store was lost, `conflicts` the archive; `applied` is
    a channel, `moved` another.
    """

    prefix: bytes = RESERVED
    log: bytes = field(init=False)
    authority: bytes = field(init=False)
    lease: bytes = field(init=False)
    stream: bytes = field(init=False)
    identity: bytes = field(init=False)
    seal: bytes = field(init=False)
    conflicts: bytes = field(init=False)
    applied: bytes = field(init=False)
    moved: bytes = field(init=False)

    def __post_init__(self) -> None:
        for name in ("log", "authority", "lease", "stream", "identity", "seal", "conflicts", "applied", "moved"):
            object.__setattr__(self, name, self.prefix + name.encode())

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key that may stand on a store (the others are channels)."""
        return (self.log, self.authority, self.lease, self.stream, self.identity, self.seal, self.conflicts)
