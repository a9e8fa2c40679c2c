"""Plan a sync, run it, undo it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

from hybrid.client import HybridRedis
from hybrid.core.drift import Difference, Scope
from hybrid.core.syncplan import (
    Action,
    Direction,
    PlanSums,
    Policy,
    Prefer,
    SyncCounts,
    SyncEnding,
    SyncResult,
    Verb,
    confirmation_phrase,
    plan_actions,
    plan_sums,
)
from hybrid.errors import ConfigurationError, StoreUnavailable
from hybrid.ops.sync import archive
from hybrid.ops.sync.apply import Applier
from hybrid.ops.sync.options import NO_OPTIONS, SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.ops.sync.revert import Reverter
from hybrid.types import Store

__all__ = [
    "IMPORT",
    "Action",
    "Direction",
    "Policy",
    "Prefer",
    "SyncCounts",
    "SyncEnding",
    "SyncOptions",
    "SyncPlan",
    "SyncResult",
    "Verb",
    "apply_plan",
    "fill_store",
    "has_none",
    "is_worth_filling",
    "plan_sync",
    "sync_history",
    "undo_sync",
]

IMPORT = "import"
ON_BOTH = frozenset({IMPORT, "delete keys", "set expiry", "rename keys"})
"""What was written to the authority as any write is: undone so, too."""
FILL = "fill"
ALL = Scope()


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync would do. `confirmation` is what has to be typed first, None when nothing has; `actions` makes the
    actions anew each time, so that a plan takes no memory. `differences` must be repeatable."""

    policy: Policy
    sums: PlanSums
    confirmation: str | None
    differences: Callable[[], Iterable[Difference]]
    pattern: str = "*"

    def actions(self) -> Iterator[Action]:
        """Every action, deletions last: a sync that is interrupted leaves more rather than less."""
        if not self.policy.delete_extras:
            yield from plan_actions(self.differences(), self.policy)
            return
        for last in (False, True):
            for action in plan_actions(self.differences(), self.policy):
                if (action.verb is Verb.DELETE) is last:
                    yield action


def plan_sync(
    client: HybridRedis, differences: Callable[[], Iterable[Difference]], policy: Policy, *, pattern: str = "*"
) -> SyncPlan:
    """The plan for `differences`, called for each pass over them. Reads only the sizes of the stores.

    Raises ConfigurationError with one store only, StoreUnavailable unless both are up.
    """
    with Pair.of(client) as pair:
        keys = {store: int(pair.ask(store, ("DBSIZE",))[0]) for store in Store}
    sums = plan_sums(plan_actions(differences(), policy))
    return SyncPlan(policy, sums, confirmation_phrase(sums, keys), differences, pattern)


def apply_plan(
    client: HybridRedis,
    plan: SyncPlan,
    *,
    options: SyncOptions = NO_OPTIONS,
    confirmed: str | None = None,
    cancel: threading.Event | None = None,
    on_progress: Callable[[SyncCounts], None] = lambda _: None,
) -> SyncResult:
    """Run a plan. Every key is guarded: one that no longer is as the plan expects is left alone.

    `confirmed` is what was typed where `plan.confirmation` asks for it. A store that is lost meanwhile ends the sync
    as FAILED, with the reason; whatever its end, running it again does the rest.

    Raises ConfigurationError when the confirmation lacks or the budget is too small for any step, and as `plan_sync`.
    """
    if plan.confirmation is not None and confirmed != plan.confirmation:
        raise ConfigurationError(f"this sync deletes much: confirm it with the words {plan.confirmation!r}")
    options.check()
    with Pair.of(client) as pair:
        return run(pair, plan.actions, plan.policy.direction.value, plan.pattern, options, cancel, on_progress)


def run(
    pair: Pair,
    actions: Callable[[], Iterable[Action]],
    direction: str,
    pattern: str,
    options: SyncOptions,
    cancel: threading.Event | None = None,
    on_progress: Callable[[SyncCounts], None] = lambda _: None,
    *,
    quiet: bool = False,
) -> SyncResult:
    """Apply `actions` and put the sync into the history; `quiet`: only if it changed something."""
    applier = Applier(pair, new_id(), options, cancel=cancel, on_progress=on_progress)
    return recorded(pair, applier, lambda: applier.run(actions()), direction, pattern, quiet=quiet)


def recorded(
    pair: Pair, applier: Applier, work: Callable[[], SyncEnding], direction: str, pattern: str, *, quiet: bool = False
) -> SyncResult:
    started_at_s, options = time.time(), applier.options
    begun = archive.begin(pair, applier.bundle, direction, pattern, options)
    reason = ""
    try:
        ending = work()
    except StoreUnavailable as error:
        ending, reason = SyncEnding.FAILED, str(error)
    result = result_from(applier, direction, pattern, started_at_s, ending, reason)
    if not quiet or result.copied or result.deleted:
        remember(pair, result, begun)
    else:
        archive.drop(pair, begun)
    return result


def result_from(
    applier: Applier | Reverter, direction: str, pattern: str, started_at_s: float, ending: SyncEnding, reason: str
) -> SyncResult:
    now_s, options = time.time(), applier.options
    return SyncResult(
        **asdict(applier.counts),
        id=applier.bundle,
        direction=direction,
        pattern=pattern,
        author=options.author,
        started_at_s=started_at_s,
        ended_at_s=now_s,
        ending=ending,
        cloud_commands=applier.cloud_commands,
        undo_until_s=now_s + options.undo_keep_s if applier.undo_bytes else None,
        reason=reason,
    )


def remember(pair: Pair, result: SyncResult, begun: archive.Begun) -> None:
    """The history is best kept, but a store that is lost must not hide what the sync has done."""
    try:
        archive.record(pair, result, begun)
    except StoreUnavailable:
        if result.ending is not SyncEnding.FAILED:
            raise


def fill_store(
    client: HybridRedis,
    *,
    scope: Scope = ALL,
    options: SyncOptions = NO_OPTIONS,
    cancel: threading.Event | None = None,
    on_progress: Callable[[SyncCounts], None] = lambda _: None,
) -> SyncResult:
    """Copy the keys in `scope` that the store which takes no writes lacks, without comparing what it has: the quick
    way to fill one that is empty, or nearly so. Undone as any sync. Raises ConfigurationError for a budget that is too
    small for any step, and as `plan_sync`."""
    options.check()
    with Pair.of(client) as pair:
        applier = Applier(pair, new_id(), options, cancel=cancel, on_progress=on_progress)
        return recorded(pair, applier, lambda: applier.fill(scope), FILL, scope.pattern.decode(errors="replace"))


def is_worth_filling(client: HybridRedis, direction: Direction) -> bool:
    """Whether most of what a sync in this direction has to do is to fill a store that is as good as empty."""
    with Pair.of(client) as pair:
        target = pair.authority.other
        keys = {store: int(pair.ask(store, ("DBSIZE",))[0]) for store in Store}
    return direction.target in (target, None) and keys[target] * 10 < keys[target.other]


def has_none(client: HybridRedis, scope: Scope) -> bool:
    """Whether the store that takes no writes has no key in `scope`: once it is filled there is nothing to compare."""
    with Pair.of(client) as pair:
        return next(pair.scan(pair.authority.other, scope), None) is None


def new_id() -> str:
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime()) + secrets.token_hex(2)


def undo_sync(
    client: HybridRedis,
    bundle: str | None = None,
    *,
    everywhere: bool = False,
    options: SyncOptions = NO_OPTIONS,
    cancel: threading.Event | None = None,
    on_progress: Callable[[SyncCounts], None] = lambda _: None,
) -> SyncResult:
    """Undo the sync with the id `bundle`, by default the last one that is neither undone nor itself an undo.

    Puts back what was on the store that the sync wrote to, key by key, where the key still is as the sync left it:
    then the stores differ again as they did before. With `everywhere` the old values are written to the authority as
    any write is, and reach both stores; keys that the sync created stay. What was written as any write is (an import, a
    bulk change) is taken back on both, what it created too. What this overwrites can be undone too.

    Raises ConfigurationError when there is no such sync, StoreUnavailable unless both stores are up.
    """
    with Pair.of(client) as pair:
        undone, start, store = archive.result_of(pair, bundle)
        on_both = undone.direction in ON_BOTH
        started_at_s, direction = time.time(), archive.UNDO + undone.id
        reverter = Reverter(
            pair, new_id(), options, everywhere=everywhere or on_both, keeps_created=everywhere and not on_both,
            cancel=cancel, on_progress=on_progress,
        )  # fmt: skip
        begun = archive.begin(pair, reverter.bundle, direction, undone.pattern, options)
        reason = ""
        try:
            ending = reverter.run(archive.batches_of(pair, store, undone.id, start, undone.ended_at_s))
        except StoreUnavailable as error:
            ending, reason = SyncEnding.FAILED, str(error)
        result = result_from(reverter, direction, undone.pattern, started_at_s, ending, reason)
        remember(pair, result, begun)
        return result


def sync_history(client: HybridRedis, limit: int = 50) -> list[SyncResult]:
    """The latest syncs, newest first. Raises as `undo_sync`."""
    with Pair.of(client) as pair:
        return archive.history(pair, limit)
