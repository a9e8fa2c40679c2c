"""What differs between two stores: facts about a key on each side, the causes that follow, and when to believe them.

A diff never trusts one look. While writes go on the two stores are read at two moments, so a difference is first only
suspected; it is confirmed when later looks find both sides as they were, and nothing about the key is on its way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hybrid.core.cost import Cost
from hybrid.core.state import TTL_TOLERANCE_MS, same_moment
from hybrid.core.wording import length

__all__ = [
    "UNREAD",
    "Cause",
    "DiffResult",
    "Difference",
    "Ending",
    "Facts",
    "Scope",
    "Sighting",
    "Verdict",
    "causes_between",
    "detail_of",
    "judge",
    "ttl_detail",
    "unchanged",
]


class Cause(StrEnum):
    """Why a key differs, the weightiest first."""

    ONLY_LOCAL = "only local"
    ONLY_CLOUD = "only cloud"
    TYPE = "type"
    VALUE = "value"
    STREAM_GROUP = "stream group"
    TTL = "ttl"


@dataclass(frozen=True, slots=True)
class Facts:
    """An existing key as one store holds it; a key that is not there is None.

    `kind` is the server's TYPE ("json" for documents). `fingerprint` and `groups` (of a stream's consumer groups, else
    empty) are those of `hybrid.core.fingerprint`: equal content has equal ones on every server, so they serve as the
    guard of a later repair. `expires_at_ms` is in Unix milliseconds, None without expiry. `size_bytes` is the payload.
    """

    kind: str
    fingerprint: bytes
    expires_at_ms: int | None
    size_bytes: int
    groups: bytes = b""


UNREAD = Facts("?", b"", None, 0)
"""All that is known of a key that is there and was not read."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A key that differs, confirmed. `causes` has at least one, in the order of `Cause`; `local` and `cloud` are the
    facts as last seen, None where the key is absent: a repair applies only while they still hold. `detail` is for
    people.
    """

    key: bytes
    causes: tuple[Cause, ...]
    local: Facts | None
    cloud: Facts | None
    detail: str = ""

    @property
    def cause(self) -> Cause:
        """The weightiest cause."""
        return self.causes[0]

    @property
    def type_local(self) -> str | None:
        return self.local.kind if self.local else None

    @property
    def type_cloud(self) -> str | None:
        return self.cloud.kind if self.cloud else None


@dataclass(frozen=True, slots=True)
class Scope:
    """What is compared: keys that match the glob `pattern`, of one TYPE `kind` if given; or exactly `keys`."""

    pattern: bytes = b"*"
    kind: str | None = None
    keys: tuple[bytes, ...] | None = None


class Ending(StrEnum):
    """How a diff ended. All but FINISHED can be resumed."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    BUDGET = "budget used up"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DiffResult:
    """The sums of one diff. The differences themselves are on disk, see `hybrid.ops.diff.DiffFile`.

    `compared` counts keys looked at, `different` those confirmed to differ (each under all its causes in `counts`).
    `in_flight` counts keys that differed but had writes on their way, or kept changing, until the diff ended: they are
    no drift. `suspected` counts those that a diff which did not finish had yet to confirm. `ttl_share` is the share of
    keys whose expiry was compared (1.0: all). `started_at_s` and `ended_at_s` are Unix times.
    """

    id: str
    scope: Scope
    strategy: str
    ending: Ending
    started_at_s: float
    ended_at_s: float
    compared: int
    in_flight: int
    suspected: int = 0
    different: int = 0
    counts: Mapping[Cause, int] = field(default_factory=dict)
    ttl_share: float = 1.0
    estimated: Cost = Cost()
    actual: Cost = Cost()

    @property
    def equal(self) -> bool:
        """Whether everything was compared and nothing differs."""
        return self.ending is Ending.FINISHED and not self.different


@dataclass(frozen=True, slots=True)
class Sighting:
    """Both sides of a key at one look. The clocks are those of the servers, in Unix milliseconds."""

    local: Facts | None
    cloud: Facts | None
    local_now_ms: int = 0
    cloud_now_ms: int = 0


class Verdict(StrEnum):
    """What a look at a suspected key says."""

    EQUAL = "equal"
    SUSPECT = "suspect"
    IN_FLIGHT = "in flight"
    CONFIRMED = "confirmed"


CONFIRMING_LOOKS = 2
"""Looks that must find both sides unchanged after the first, so that two values taking turns are no difference."""


def judge(
    sighting: Sighting,
    before: Sighting | None,
    steady: int,
    *,
    logged: bool,
    looks: int = CONFIRMING_LOOKS,
    ttl_tolerance_ms: int = TTL_TOLERANCE_MS,
) -> tuple[Verdict, int]:
    """The verdict of a look at a suspected key, and for how many looks its sides have now stood still.

    `before` is the previous look and `steady` its count. `logged`: the replication log names the key, so the other
    store may simply not have it yet. `looks` is how many looks must repeat the first to confirm.
    """
    if not causes_between(sighting, ttl_tolerance_ms=ttl_tolerance_ms):
        return Verdict.EQUAL, 0
    if logged:
        return Verdict.IN_FLIGHT, 0
    same = (
        before is not None
        and unchanged(before.local, sighting.local, ttl_tolerance_ms)
        and unchanged(before.cloud, sighting.cloud, ttl_tolerance_ms)
    )
    steady = steady + 1 if same else 0
    return (Verdict.CONFIRMED if steady >= looks else Verdict.SUSPECT), steady


def unchanged(before: Facts | None, now: Facts | None, ttl_tolerance_ms: int = TTL_TOLERANCE_MS) -> bool:
    """Whether a side is as it was. Servers that only tell how long a key still lives give its expiry inexactly."""
    if before is None or now is None:
        return before is now
    if before == UNREAD:
        return True
    if not same_moment(before.expires_at_ms, now.expires_at_ms, ttl_tolerance_ms):
        return False
    return (before.kind, before.fingerprint, before.groups) == (now.kind, now.fingerprint, now.groups)


def causes_between(sighting: Sighting, *, ttl_tolerance_ms: int = TTL_TOLERANCE_MS) -> tuple[Cause, ...]:
    """Why the two sides differ; empty when they are equal, or when one side's key is due to expire.

    Expiries may differ by `ttl_tolerance_ms`.
    """
    local, cloud = sighting.local, sighting.cloud
    if local is None or cloud is None:
        return absence(sighting, ttl_tolerance_ms)
    causes: list[Cause] = []
    if local.kind != cloud.kind:
        causes.append(Cause.TYPE)
    else:
        if local.fingerprint != cloud.fingerprint:
            causes.append(Cause.VALUE)
        if local.groups != cloud.groups:
            causes.append(Cause.STREAM_GROUP)
    if not same_moment(local.expires_at_ms, cloud.expires_at_ms, ttl_tolerance_ms):
        causes.append(Cause.TTL)
    return tuple(causes)


def absence(sighting: Sighting, tolerance_ms: int) -> tuple[Cause, ...]:
    """A key on one side alone. Clocks differ: one that is about to expire may be gone on the other side already."""
    if sighting.local and not is_due(sighting.local, sighting.local_now_ms + tolerance_ms):
        return (Cause.ONLY_LOCAL,)
    if sighting.cloud and not is_due(sighting.cloud, sighting.cloud_now_ms + tolerance_ms):
        return (Cause.ONLY_CLOUD,)
    return ()


def is_due(facts: Facts, by_ms: int) -> bool:
    return facts.expires_at_ms is not None and facts.expires_at_ms <= by_ms


def detail_of(causes: tuple[Cause, ...], local: Facts | None, cloud: Facts | None) -> str:
    """One line for people about a difference."""
    if local is None or cloud is None:
        present = local or cloud
        return f"{present.kind}, {present.size_bytes} byte{'s' * (present.size_bytes != 1)}" if present else ""
    parts = []
    if Cause.TYPE in causes:
        parts.append(f"{local.kind} and {cloud.kind}")
    if Cause.VALUE in causes:
        parts.append(f"{local.kind} of {local.size_bytes} and {cloud.size_bytes} bytes")
    if Cause.STREAM_GROUP in causes:
        parts.append("consumer groups differ")
    if Cause.TTL in causes:
        parts.append(ttl_detail(local.expires_at_ms, cloud.expires_at_ms))
    return "; ".join(parts)


def ttl_detail(local_ms: int | None, cloud_ms: int | None) -> str:
    if local_ms is None or cloud_ms is None:
        return "expires only in the cloud" if local_ms is None else "expires only on local"
    later = "local" if local_ms > cloud_ms else "cloud"
    return f"expires {length(abs(local_ms - cloud_ms) / 1000)} later on {later}"
