"""Apply a plan, batch by batch. Each batch is one transaction on the authority, so nothing is ever half done.

    onto the authority        watch the keys; none of them may be named in the log; read both stores; EXEC the values
    onto the other store      log the keys by state: the shipper copies them, in order with everything else it ships

A value is not shipped back to the store that it came from: it is there already, and an entry could only undo what was
written there directly in the meantime. What is lost on a store goes to the undo bundle in the same transaction.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import ExitStack
from itertools import accumulate, islice, repeat
from typing import Final

from hybrid.core.drift import Facts, Scope
from hybrid.core.state import Absent, Json, KeyState, Unsupported
from hybrid.core.syncplan import Action, SyncCounts, SyncEnding, Verb, is_unchanged
from hybrid.core.undo import UndoRecord, created_fields, undo_fields
from hybrid.ops.sync.archive import States, kept, undo_record
from hybrid.ops.sync.batches import BATCH_KEYS, Put, batches, chunked, put_of, rounds, within, work_off
from hybrid.ops.sync.feed import Feed
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.pair import SCAN_KEYS, Guard, Pair
from hybrid.types import Store

__all__ = ["Applier"]

FILL_KEYS: Final = 5 * BATCH_KEYS
FEW_KEYS: Final = 100_000
STEP_COMMANDS: Final = 10
"""What a batch costs the cloud store beside its keys: MULTI, EXEC, the place of the log."""


class Applier:
    """Applies actions over `pair`; `bundle` names the undo bundle. `run` may be called once."""

    def __init__(
        self,
        pair: Pair,
        bundle: str,
        options: SyncOptions,
        *,
        cancel: threading.Event | None = None,
        on_progress: Callable[[SyncCounts], None] = lambda _: None,
    ) -> None:
        self.bundle = bundle
        self.options = options
        self._pair = pair
        self._cancel = cancel or threading.Event()
        self._on_progress = on_progress
        self._before = pair.cloud_commands
        self._feed = Feed(pair)
        self._shipped_commands = 0
        self.undo_bytes = 0
        self.counts = SyncCounts()

    @property
    def cloud_commands(self) -> int:
        """Commands on the cloud store so far: those from here exactly, what the shipper needs as estimated."""
        return self._pair.cloud_commands - self._before + self._shipped_commands

    def run(self, actions: Iterable[Action]) -> SyncEnding:
        """Apply all `actions`, as far as they still hold, and wait until the other store has them.

        Raises StoreUnavailable when a store is lost or takes no writes; what was applied stays, and applying the rest
        later is safe.
        """
        for batch in rounds(self._open(actions)):
            if stopped := self._stopped():
                return self._ended(stopped)
            self._pair.check()
            some = batch[: self._affordable(action.cloud_commands() for action in batch)]
            if some and some[0].target is self._pair.authority:
                self._onto_authority(some)
            elif some:
                self._onto_other(some)
            self._on_progress(self.counts)
            if len(some) < len(batch):
                return self._ended(SyncEnding.BUDGET)
        return self._ended(SyncEnding.FINISHED)

    def fill(self, scope: Scope) -> SyncEnding:
        """Copy every key in `scope` that the store which takes no writes lacks: unread and in big steps, so this is
        the way to fill an empty store. Raises as `run`."""
        pair, source = self._pair, self._pair.authority
        there = self._present(scope)
        keys = (key for key in pair.scan(source, scope) if key not in there)
        while page := list(islice(keys, FILL_KEYS)):
            for batch in self._lacking(list(dict.fromkeys(page))):
                some = batch[: self._affordable(repeat(int(source is Store.LOCAL), len(batch)))]
                if stopped := self._stopped() or (SyncEnding.BUDGET if not some else None):
                    return self._ended(stopped)
                pair.check()
                created = created_fields(self.bundle, source.other, some)
                self._feed.add(some, self._kept(created) if self.options.undo else [])
                self.counts = self.counts.plus(copied=len(some))
                self._shipped_commands += len(some) * (source is Store.LOCAL)
                self._on_progress(self.counts)
        return self._ended(SyncEnding.FINISHED)

    def _present(self, scope: Scope) -> Set[bytes]:
        """The keys that stand on the store to be filled, if they are few; to ask for each of them costs far more."""
        pair, target, most = self._pair, self._pair.authority.other, self.options.max_commands
        few = FEW_KEYS if most is None else min(FEW_KEYS, most * SCAN_KEYS // 4)
        if scope.keys is not None or int(pair.ask(target, ("DBSIZE",))[0]) > few:
            return frozenset()
        return set(pair.scan(target, scope))

    def _lacking(self, page: list[bytes]) -> Iterator[list[bytes]]:
        """Those of `page` that the store to be filled lacks, in batches: no more is spent on finding them than leaves
        enough to copy what was found."""
        batch: list[bytes] = []
        bounded = self.options.max_commands is not None
        for key in self._pair.absent(self._pair.authority.other, page):
            batch.append(key)
            if len(batch) == BATCH_KEYS or (bounded and self._affordable(repeat(1, len(batch) + 1)) <= len(batch)):
                yield batch
                batch = []
        if batch:
            yield batch

    def _affordable(self, commands: Iterable[int]) -> int:
        """How many keys, each of which takes so many cloud commands, the budget still allows: any without one."""
        if self.options.max_commands is None:
            return sys.maxsize
        left = self.options.max_commands - self.cloud_commands - STEP_COMMANDS
        return sum(spent <= left for spent in accumulate(commands))

    def _stopped(self) -> SyncEnding | None:
        """Why no further batch must begin."""
        if self._cancel.is_set():
            return SyncEnding.CANCELLED
        if self.options.undo and self.undo_bytes > self.options.undo_bytes:
            return SyncEnding.UNDO_FULL
        return None

    def _open(self, actions: Iterable[Action]) -> Iterator[Action]:
        """Those that change something; the others are counted."""
        for action in actions:
            if action.verb in (Verb.COPY, Verb.DELETE):
                yield action
            else:
                self.counts = self.counts.plus(kept=action.verb is Verb.KEEP, asked=action.verb is Verb.ASK)

    def _ended(self, ending: SyncEnding) -> SyncEnding:
        refused = self._feed.finish()
        self.counts = self.counts.plus(copied=-refused, refused=refused)
        self._on_progress(self.counts)
        return ending

    # -- onto the authority: guarded, in one transaction

    def _onto_authority(self, batch: list[Action]) -> None:
        busy = work_off(batch, self._attempt, self._cancel)
        self.counts = self.counts.plus(busy=busy)

    def _attempt(self, some: list[Action]) -> list[Action]:
        """Apply `some`, or leave them alone for good; the result is to be tried again."""
        pair, target = self._pair, some[0].target
        done: set[bytes] = set()
        with ExitStack() as opened:
            parts = [
                (part, opened.enter_context(pair.guard(target, [action.key for action in part], f"guard {number}")))
                for number, part in enumerate(batches(some))
            ]
            # In this order: what is logged later breaks the watch, what was logged before is seen.
            logged = pair.logged()
            free = [action.key for action in some if action.key not in logged]
            here, there = pair.read(target, free), pair.read(target.other, free)
            for part, guard in parts:
                waiting = [action for action in part if action.key in here]
                done |= self._put_those_that_hold(guard, waiting, here, there)
        return [action for action in some if action.key not in done]

    def _put_those_that_hold(self, guard: Guard, some: list[Action], here: States, there: States) -> set[bytes]:
        """One transaction; the result are the keys that need nothing more."""
        ready, settled = self._judged(some, here, there)
        self._count(settled)
        can = self._pair.can(self._pair.authority)
        puts = list(within((action, put_of(action.key, there[action.key], can)) for action in ready))
        if puts and not self._put(guard, puts, here, there):
            puts = []
        self._count_applied([action for action, _ in puts])
        return {action.key for action, _ in (*puts, *settled)}

    def _put(self, guard: Guard, puts: Sequence[tuple[Action, Put]], here: States, there: States) -> bool:
        """Whether the values are in place; otherwise nothing is."""
        pair, target = self._pair, puts[0][0].target
        filling = [command for _, put in puts for command in put.filling]
        commands = [command for _, put in puts for command in put.last]
        records = [self._record(action, here, there) for action, _ in puts]
        applied = False
        try:
            for chunk in chunked(filling):
                pair.send(target, chunk)
            applied = guard.commit([*self._undo_commands(target, records), *commands]) is not None
        finally:
            if filling and not applied:
                pair.ask(target, ("UNLINK", *(put.temporary for _, put in puts if put.temporary)))
        return applied

    # -- onto the other store: through the log

    def _onto_other(self, batch: list[Action]) -> None:
        pair, target = self._pair, batch[0].target
        known = [action for action in batch if action.overwrites]
        fresh = [action for action in batch if not action.overwrites]
        if fresh and pair.ask(target, ("EXISTS", *(action.key for action in fresh)))[0]:
            known, fresh = batch, []
        there = pair.read(target, [action.key for action in known])
        here = pair.read(target.other, [action.key for action in known])
        ready, settled = self._judged(known, there, here)
        self._count(settled)
        for part in batches((*ready, *fresh)):
            records = [
                self._record(action, there, here)
                if action.key in there
                else UndoRecord(action.key, None, action.facts(target.other))
                for action in part
            ]
            self._feed.add([action.key for action in part], self._undo_commands(target, records))
            self._count_applied(part)
            self._shipped_commands += sum(
                action.cloud_commands() - 4 * action.overwrites for action in part if target is Store.CLOUD
            )

    # -- both

    def _judged(
        self, actions: list[Action], target: States, source: States
    ) -> tuple[list[Action], list[tuple[Action, str]]]:
        """Those that still hold, and the others with the name of what became of them."""
        ready: list[Action] = []
        settled: list[tuple[Action, str]] = []
        for action in actions:
            found, wanted = target[action.key], source[action.key]
            now, there = self._pair.facts(found), self._pair.facts(wanted)
            if is_unchanged(now, there):
                settled.append((action, "equal"))
            elif not (is_unchanged(action.facts(action.target), now) and is_unchanged(expected(action), there)):
                settled.append((action, "changed"))
            elif unsupported(found) or unsupported(wanted) or not self._can_hold(action.target, wanted):
                settled.append((action, "refused"))
            else:
                ready.append(action)
        return ready, settled

    def _can_hold(self, store: Store, state: KeyState | Absent) -> bool:
        """Not a JSON document where there is no JSON: the transaction would be refused, with all that is in it."""
        is_json = isinstance(state, KeyState) and isinstance(state.body, Json)
        return not is_json or self._pair.can(store).has_json

    def _count(self, settled: Iterable[tuple[Action, str]]) -> None:
        self.counts = self.counts.plus(**Counter(outcome for _, outcome in settled))

    def _count_applied(self, actions: Sequence[Action]) -> None:
        copied = sum(action.verb is Verb.COPY for action in actions)
        size_bytes = sum(known.size_bytes for action in actions if (known := expected(action)))
        self.counts = self.counts.plus(copied=copied, deleted=len(actions) - copied, size_bytes=size_bytes)

    def _record(self, action: Action, target: States, source: States) -> UndoRecord:
        before, after = target[action.key], self._pair.facts(source[action.key])
        return undo_record(self._pair, action.target, action.key, before, after)

    def _undo_commands(self, target: Store, records: Sequence[UndoRecord]) -> list[bytes]:
        return self._kept(undo_fields(self.bundle, target, records)) if self.options.undo else []

    def _kept(self, fields: Sequence[bytes]) -> list[bytes]:
        commands = kept(self._pair.names, self.options, fields)
        self.undo_bytes += len(commands[0])
        return commands


def expected(action: Action) -> Facts | None:
    """What the store that the value comes from is to hold."""
    return action.facts(action.target.other)


def unsupported(state: KeyState | Absent) -> bool:
    return isinstance(state, KeyState) and isinstance(state.body, Unsupported)
