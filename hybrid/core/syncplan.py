"""From what differs to what a sync does about it: which value goes where, what is deleted, and what must be asked.

A plan is lazy: a million differences become actions one by one, and only their sums are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple, Self

from hybrid.core.drift import Cause, Difference, Facts, Sighting, causes_between
from hybrid.types import Store

__all__ = [
    "Action",
    "Direction",
    "PlanSums",
    "Policy",
    "Prefer",
    "SyncCounts",
    "SyncEnding",
    "SyncResult",
    "Verb",
    "confirmation_phrase",
    "is_unchanged",
    "plan_action",
    "plan_actions",
    "plan_sums",
]

FREE_DELETES: Final = 100
FREE_SHARE: Final = 0.1
FEW_KEYS: Final = 10
"""Deletions beyond 100 keys, or beyond a tenth of a store of more than 10 keys, must be typed out."""

READ_COMMANDS: Final = 4
"""What reading the state of a key costs: TYPE, MEMORY USAGE, the value, the expiry."""


class Direction(StrEnum):
    """Whose values win."""

    CLOUD_TO_LOCAL = "cloud-to-local"
    LOCAL_TO_CLOUD = "local-to-cloud"
    MERGE = "merge"

    @property
    def target(self) -> Store | None:
        """The store that is made equal to the other; None where both are."""
        return {Direction.CLOUD_TO_LOCAL: Store.LOCAL, Direction.LOCAL_TO_CLOUD: Store.CLOUD}.get(self)


class Prefer(StrEnum):
    """Whose value a merge takes where nothing says which one is newer."""

    LOCAL = "local"
    CLOUD = "cloud"
    LONGER_TTL = "longer-ttl"
    ASK = "ask"


class Verb(StrEnum):
    """What is done about one key."""

    COPY = "copy"
    DELETE = "delete"
    KEEP = "keep"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Policy:
    """How a sync decides. `delete_extras`: keys that the winning side lacks are deleted rather than kept. Keys that the
    replication log names need no decision: their newest value is on its way, and a sync leaves them alone."""

    direction: Direction
    prefer: Prefer = Prefer.ASK
    delete_extras: bool = False


class Action(NamedTuple):
    """One key: `verb` on the store `target`, from the state of the other one. Valid as long as both stores still hold
    what the difference says."""

    verb: Verb
    target: Store
    difference: Difference

    @property
    def key(self) -> bytes:
        return self.difference.key

    def facts(self, store: Store) -> Facts | None:
        """What the store held when the difference was found."""
        return self.difference.local if store is Store.LOCAL else self.difference.cloud

    @property
    def overwrites(self) -> bool:
        """Whether a value is lost on the target, and goes to the undo bundle."""
        return self.facts(self.target) is not None

    def cloud_commands(self) -> int:
        """About how many commands this costs on the cloud store."""
        if self.verb in (Verb.KEEP, Verb.ASK):
            return 0
        if self.target is Store.LOCAL:
            return READ_COMMANDS
        return READ_COMMANDS * self.overwrites + self._put_commands()

    def _put_commands(self) -> int:
        source = self.facts(self.target.other)
        if source is None or source.kind == "string":
            return 1
        return 4 + (source.expires_at_ms is not None)  # MULTI, DEL, the value, its expiry, EXEC


class SyncEnding(StrEnum):
    """How a sync ended. Whatever it was, nothing is half done, and another sync does the rest."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    BUDGET = "budget used up"
    UNDO_FULL = "undo bundle full"
    FAILED = "failed"
    OPEN = "not ended"
    """It runs, or its process was killed."""


@dataclass(frozen=True, slots=True)
class PlanSums:
    """What a plan would do: keys copied to and deleted on each store, kept and asked about; payload bytes that are
    copied, cloud commands (estimated)."""

    copies: Mapping[Store, int] = field(default_factory=dict)
    deletes: Mapping[Store, int] = field(default_factory=dict)
    kept: int = 0
    asked: int = 0
    overwritten: int = 0
    size_bytes: int = 0
    cloud_commands: int = 0

    @property
    def changes(self) -> int:
        return sum(self.copies.values()) + sum(self.deletes.values())


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """What became of the keys of a sync. `changed` keys were left alone because a store no longer held what the plan
    expected, `busy` ones because writes to them were on their way, `equal` ones because they had become equal. `asked`
    keys wait for a decision, `refused` ones cannot be copied. `size_bytes` is the payload that was copied."""

    copied: int = 0
    deleted: int = 0
    kept: int = 0
    asked: int = 0
    changed: int = 0
    busy: int = 0
    equal: int = 0
    refused: int = 0
    size_bytes: int = 0

    @property
    def done(self) -> int:
        """How many keys that is."""
        settled = self.kept + self.asked + self.changed + self.busy + self.equal + self.refused
        return self.copied + self.deleted + settled

    def plus(self, **more: int) -> Self:
        """With so many more under these names."""
        return replace(self, **{name: getattr(self, name) + count for name, count in more.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncResult(SyncCounts):
    """What a sync did. Times are Unix times; `undo_until_s` is None when nothing was overwritten."""

    id: str
    direction: str
    pattern: str
    author: str
    started_at_s: float
    ended_at_s: float
    ending: SyncEnding
    cloud_commands: int = 0
    undo_until_s: float | None = None
    reason: str = ""


def plan_actions(differences: Iterable[Difference], policy: Policy) -> Iterator[Action]:
    """An action for each difference, in order."""
    return (plan_action(difference, policy) for difference in differences)


def plan_action(difference: Difference, policy: Policy) -> Action:
    """What to do about one key."""
    target = policy.direction.target
    if target is None:
        return _merged(difference, policy)
    if _facts(difference, target.other) is not None:
        return Action(Verb.COPY, target, difference)
    return Action(Verb.DELETE if policy.delete_extras else Verb.KEEP, target, difference)


def _merged(difference: Difference, policy: Policy) -> Action:
    """A key on one side alone goes to the other: nothing tells a deletion from a copy that was lost."""
    if difference.cause is Cause.ONLY_LOCAL:
        return Action(Verb.COPY, Store.CLOUD, difference)
    if difference.cause is Cause.ONLY_CLOUD:
        return Action(Verb.COPY, Store.LOCAL, difference)
    winner = _preferred(difference, policy.prefer)
    return Action(Verb.ASK, Store.LOCAL, difference) if winner is None else Action(Verb.COPY, winner.other, difference)


def _preferred(difference: Difference, prefer: Prefer) -> Store | None:
    if prefer is Prefer.ASK:
        return None
    if prefer is not Prefer.LONGER_TTL:
        return Store(prefer.value)
    local, cloud = (_facts(difference, store) for store in Store)
    assert local is not None and cloud is not None
    if local.expires_at_ms == cloud.expires_at_ms:
        return None
    forever = float("inf")
    ends = (local.expires_at_ms or forever, cloud.expires_at_ms or forever)
    return Store.LOCAL if ends[0] > ends[1] else Store.CLOUD


def _facts(difference: Difference, store: Store) -> Facts | None:
    return difference.local if store is Store.LOCAL else difference.cloud


def plan_sums(actions: Iterable[Action], on_key: Callable[[Action], None] = lambda _: None) -> PlanSums:
    """The sums of a plan; `on_key` sees each action on the way."""
    counts = {verb: dict.fromkeys(Store, 0) for verb in Verb}
    overwritten = size_bytes = commands = 0
    for action in actions:
        on_key(action)
        counts[action.verb][action.target] += 1
        commands += action.cloud_commands()
        if action.verb in (Verb.COPY, Verb.DELETE):
            overwritten += action.overwrites
        source = action.facts(action.target.other)
        if action.verb is Verb.COPY and source is not None:
            size_bytes += source.size_bytes
    return PlanSums(
        copies=counts[Verb.COPY],
        deletes=counts[Verb.DELETE],
        kept=sum(counts[Verb.KEEP].values()),
        asked=sum(counts[Verb.ASK].values()),
        overwritten=overwritten,
        size_bytes=size_bytes,
        cloud_commands=commands,
    )


def confirmation_phrase(sums: PlanSums, keys: Mapping[Store, int]) -> str | None:
    """What a person has to type before so much is deleted; None when it is little. `keys`: how many each store has."""
    many = [
        f"{count} on {store}"
        for store, count in sums.deletes.items()
        if count > FREE_DELETES or (keys[store] > FEW_KEYS and count > FREE_SHARE * keys[store])
    ]
    return f"delete {' and '.join(many)}" if many else None


def is_unchanged(then: Facts | None, now: Facts | None) -> bool:
    """Whether a store still holds what it held: the guard of every overwrite. Expiries may differ by a second. Of a key
    that only one store has, a diff may know no more than the type."""
    if then is None or now is None:
        return then is now
    if not then.fingerprint:
        return then.kind == now.kind
    return not causes_between(Sighting(then, now))
