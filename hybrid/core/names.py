"""The keys and channels that hybrid keeps for itself on each store. A drill uses a prefix of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from hybrid.errors import ConfigurationError

__all__ = ["RESERVED", "Names", "refuse_own"]

RESERVED = b"hybrid:"

_KEYS = (
    *("log", "authority", "lease", "stream", "incoming", "identity", "partner", "seal", "conflicts", "merged", "sent"),
    *("folded", "folded_commands", "refused", "checkpoint"),
    *("config", "audit", "processes", "apart"),
    *("agent", "bid", "alerts", "relay"),
    *("undo", "syncs", "divergence", "drills", "drilling"),
    *("metrics_10", "metrics_60", "metrics_600", "metrics_days"),
)
_CHANNELS = ("applied", "moved")


@dataclass(frozen=True, slots=True)
class Names:
    """Internal names under one prefix, from which all follow: it alone is compared, with each write.

    `log` is the replication log (a stream), `authority` the record of who takes writes, `lease` the shipper's
    lease, `stream` its connection to the other store, `incoming` the one over which the cloud's log reaches the
    local store, `identity` the mark by which a wiped store is recognized, `partner` the mark of the other store,
    `seal` the end of the local log as far as it was shipped when the local store was lost, `conflicts` the archive,
    `merged` how far the merge of a returning store's tail has got, `sent` up to where the local log may have been
    sent when its last stream broke, `folded` and `folded_commands` what a log that grew too long has become,
    `refused` the keys that the other store could not take, and why, `checkpoint` how far the local log has gone
    once, `config` the live configuration (also a channel, on which it is pushed), `audit` who changed it,
    `processes` those that use the store, `apart` says that the cloud store was left alone for a while, `agent` is
    the lease of the active agent, `bid` the wish of one to ship, `alerts` the incidents and what is told of them,
    `relay` the writes that were run for other processes (also a channel, on which those ask), `undo` what syncs
    overwrote and `syncs` their history (streams), `divergence` what the periodic sync measured, `drills` the
    history of drills, `drilling` those that run now, `metrics_*` are what was measured (in spans of so many
    seconds, and by day); `applied` is a channel, `moved` another.
    """

    prefix: bytes = RESERVED
    log: bytes = field(init=False, compare=False)
    authority: bytes = field(init=False, compare=False)
    lease: bytes = field(init=False, compare=False)
    stream: bytes = field(init=False, compare=False)
    incoming: bytes = field(init=False, compare=False)
    identity: bytes = field(init=False, compare=False)
    partner: bytes = field(init=False, compare=False)
    seal: bytes = field(init=False, compare=False)
    conflicts: bytes = field(init=False, compare=False)
    merged: bytes = field(init=False, compare=False)
    sent: bytes = field(init=False, compare=False)
    folded: bytes = field(init=False, compare=False)
    folded_commands: bytes = field(init=False, compare=False)
    refused: bytes = field(init=False, compare=False)
    checkpoint: bytes = field(init=False, compare=False)
    config: bytes = field(init=False, compare=False)
    audit: bytes = field(init=False, compare=False)
    processes: bytes = field(init=False, compare=False)
    apart: bytes = field(init=False, compare=False)
    agent: bytes = field(init=False, compare=False)
    bid: bytes = field(init=False, compare=False)
    alerts: bytes = field(init=False, compare=False)
    relay: bytes = field(init=False, compare=False)
    undo: bytes = field(init=False, compare=False)
    syncs: bytes = field(init=False, compare=False)
    divergence: bytes = field(init=False, compare=False)
    drills: bytes = field(init=False, compare=False)
    drilling: bytes = field(init=False, compare=False)
    metrics_10: bytes = field(init=False, compare=False)
    metrics_60: bytes = field(init=False, compare=False)
    metrics_600: bytes = field(init=False, compare=False)
    metrics_days: bytes = field(init=False, compare=False)
    applied: bytes = field(init=False, compare=False)
    moved: bytes = field(init=False, compare=False)

    def __post_init__(self) -> None:
        for name in (*_KEYS, *_CHANNELS):
            object.__setattr__(self, name, self.prefix + name.replace("_", ":").encode())

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Every key that may stand on a store (the others are channels)."""
        return tuple(getattr(self, name) for name in _KEYS)

    @property
    def ask_marks(self) -> tuple[str | bytes, ...]:
        """The command whose reply has a store's `hybrid.core.marks.Marks`."""
        return "MGET", self.identity, self.partner


def refuse_own(keys: Iterable[bytes]) -> None:
    """Raises ConfigurationError for a key of hybrid's own."""
    if own := next((key for key in keys if key.startswith(RESERVED)), None):
        shown = own.decode(errors="backslashreplace")
        raise ConfigurationError(f"keys that begin with {RESERVED.decode()!r} are hybrid's own: {shown}")
