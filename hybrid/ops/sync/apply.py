"""Apply a plan, batch by batch. Each batch is one transaction on the authority, so nothing is ever half done.

    onto the authority        watch the keys; none of them may be named in the log; read both stores; EXEC the values
    onto the other store      log the keys by state: the shipper copies them, in order with everything else it ships

A value is not shipped back to the store that it came from: it is there already, and an entry could only undo what was
written there directly in the meantime. What is lost on a store goes to the undo bundle in the same transaction.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from hybrid.core.authority import Position, position
from hybrid.core.drift import Facts, Scope
from hybrid.core.names import Names
from hybrid.core.resp import first_args, pack
from hybrid.core.state import Absent, KeyState, Unsupported
from hybrid.core.syncplan import Action, SyncEnding, Verb, is_unchanged
from hybrid.core.undo import UNREAD, UndoRecord, undo_fields
from hybrid.errors import StoreUnavailable
from hybrid.ops.sync.pair import Guard, Pair
from hybrid.replication.copy import put_commands
from hybrid.types import Store

__all__ = [
    "BATCH_BYTES",
    "Applier",
    "States",
    "SyncOptions",
    "Tally",
    "chunked",
    "split_large",
    "undo_commands",
    "undo_record",
    "work_off",
]

BATCH_KEYS: Final = 200
PUSH_KEYS: Final = 1000
FILL_KEYS: Final = 5 * PUSH_KEYS
BATCH_BYTES: Final = 256 * 1024
"""The values of one transaction: it must not keep a server from its other clients for more than a few milliseconds."""

LEAST_WINDOW, MOST_WINDOW = 2, 64
DELAY_S: Final = 0.25
"""How many batches the shipper may have before it adapts: enough to keep a slow link busy, few enough that a write of
the application does not wait longer than this behind them."""

TRIES: Final = 10
BUSY_S: Final = 0.02
STALLED_S: Final = 30.0
TEMPORARY: Final = b"hybrid:tmp:"

T = TypeVar("T")
States = Mapping[bytes, KeyState | Absent]


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """`max_commands` on the cloud store, None: no limit. `undo`: keep what is overwritten, for `undo_keep_s`, at most
    `undo_bytes` of it (compressed); a sync that would need more stops. `author` is for the history."""

    max_commands: int | None = None
    undo: bool = True
    undo_keep_s: float = 7 * 86_400.0
    undo_bytes: int = 64 * 1024 * 1024
    author: str = ""


@dataclass(slots=True)
class Tally:
    """What a sync has done so far; see `hybrid.core.syncplan.SyncResult`."""

    copied: int = 0
    deleted: int = 0
    kept: int = 0
    asked: int = 0
    changed: int = 0
    busy: int = 0
    equal: int = 0
    refused: int = 0
    size_bytes: int = 0
    shipped_commands: int = 0
    undo_bytes: int = 0
    overwritten: int = 0

    @property
    def done(self) -> int:
        return (
            self.copied + self.deleted + self.kept + self.asked + self.changed + self.busy + self.equal + self.refused
        )


class Applier:
    """Applies actions over `pair`; `bundle` names the undo bundle. `run` may be called once."""

    def __init__(
        self,
        pair: Pair,
        bundle: str,
        options: SyncOptions,
        *,
        cancel: threading.Event | None = None,
        on_progress: Callable[[Tally], None] = lambda _: None,
    ) -> None:
        self.bundle = bundle
        self.options = options
        self._pair = pair
        self._cancel = cancel or threading.Event()
        self._on_progress = on_progress
        self._before = pair.cloud_commands
        self._on_the_way: deque[tuple[Position, float]] = deque()
        self._window = LEAST_WINDOW
        self.tally = Tally()

    @property
    def cloud_commands(self) -> int:
        """Commands on the cloud store so far: those from here exactly, what the shipper needs as estimated."""
        return self._pair.cloud_commands - self._before + self.tally.shipped_commands

    def run(self, actions: Iterable[Action]) -> SyncEnding:
        """Apply all `actions`, as far as they still hold, and wait until the other store has them.

        Raises StoreUnavailable when a store is lost or takes no writes; what was applied stays, and applying the rest
        later is safe.
        """
        for batch in batches(self._open(actions)):
            if stopped := self._stopped_by(sum(action.cloud_commands() for action in batch)):
                return self._ended(stopped)
            self._pair.check()
            if batch[0].target is self._pair.authority:
                self._onto_authority(batch)
            else:
                self._onto_other(batch)
            self._on_progress(self.tally)
        return self._ended(SyncEnding.FINISHED)

    def fill(self, scope: Scope) -> SyncEnding:
        """Copy every key in `scope` that the store which takes no writes lacks: unread and in big steps, so this is
        the way to fill an empty store. Raises as `run`."""
        pair, source = self._pair, self._pair.authority
        keys = iter(pair.scan(source, scope))
        while page := list(islice(keys, FILL_KEYS)):
            missing = list(dict.fromkeys(pair.absent(source.other, page)))
            for start in range(0, len(missing), PUSH_KEYS):
                some = missing[start : start + PUSH_KEYS]
                if stopped := self._stopped_by(len(some)):
                    return self._ended(stopped)
                pair.check()
                self._log(source.other, [UndoRecord(key, None, UNREAD) for key in some])
                self.tally.copied += len(some)
                self.tally.shipped_commands += len(some) * (source is Store.LOCAL)
                self._on_progress(self.tally)
        return self._ended(SyncEnding.FINISHED)

    def _stopped_by(self, commands: int) -> SyncEnding | None:
        """Why a batch of so many cloud commands must not begin."""
        most = self.options.max_commands
        if self._cancel.is_set():
            return SyncEnding.CANCELLED
        if most is not None and self.cloud_commands + commands > most:
            return SyncEnding.BUDGET
        if self.options.undo and self.tally.undo_bytes > self.options.undo_bytes:
            return SyncEnding.UNDO_FULL
        return None

    def _open(self, actions: Iterable[Action]) -> Iterator[Action]:
        """Those that change something; the others are counted."""
        for action in actions:
            self.tally.kept += action.verb is Verb.KEEP
            self.tally.asked += action.verb is Verb.ASK
            if action.verb in (Verb.COPY, Verb.DELETE):
                yield action

    def _ended(self, ending: SyncEnding) -> SyncEnding:
        self._await_window(0)
        self._on_progress(self.tally)
        return ending

    # -- onto the authority: guarded, in one transaction

    def _onto_authority(self, batch: list[Action]) -> None:
        self.tally.busy += work_off(batch, self._attempt, self._cancel)

    def _attempt(self, some: list[Action]) -> list[Action]:
        """Apply `some`, or leave them alone for good; the result is to be tried again."""
        pair, target = self._pair, some[0].target
        with pair.guard(target, [action.key for action in some]) as guard:
            # In this order: what is logged later breaks the watch, what was logged before is seen.
            logged = pair.logged()
            free = [action for action in some if action.key not in logged]
            here = pair.read(target, [action.key for action in free])
            there = pair.read(target.other, [action.key for action in free])
            ready, settled = self._judged(free, here, there)
            self._count(settled)
            fitting = list(within(ready, there))
            if fitting and not self._put(guard, fitting, here, there):
                fitting = []
        self._count_applied(fitting)
        done = {action.key for action in (*fitting, *(action for action, _ in settled))}
        return [action for action in some if action.key not in done]

    def _put(self, guard: Guard, actions: list[Action], here: States, there: States) -> bool:
        """Whether the values are in place; otherwise nothing is."""
        pair, target = self._pair, actions[0].target
        can = pair.can(target)
        filling: list[bytes] = []
        commands: list[bytes] = []
        for action in actions:
            for group in put_commands(action.key, there[action.key], can):
                before, last = split_large(group)
                filling += before
                commands += last
        records = [self._record(action, here, there) for action in actions]
        applied = False
        try:
            for chunk in chunked(filling):
                pair.send(target, chunk)
            applied = guard.commit([*self._undo_commands(target, records), *commands]) is not None
        finally:
            if filling and not applied:
                pair.ask(target, ("DEL", *{first_args(command, 2)[1] for command in filling}))
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
        records = [self._record(action, there, here) for action in ready]
        records += [UndoRecord(action.key, None, action.facts(target.other)) for action in fresh]
        self._count(settled)
        if records:
            self._log(target, records)
            self._count_applied([*ready, *fresh])
            self.tally.shipped_commands += sum(
                action.cloud_commands() - 4 * action.overwrites for action in (*ready, *fresh) if target is Store.CLOUD
            )

    def _log(self, target: Store, records: list[UndoRecord]) -> None:
        source, names = target.other, self._pair.names
        fields = [part for record in records for part in (b"s", record.key)]
        with self._pair.guard(source) as guard:
            replies = guard.commit([*self._undo_commands(target, records), pack(("XADD", names.log, "*", *fields))])
        if replies is None:
            raise StoreUnavailable("the authority moved during the sync: run it again")
        place = position(replies[-1])
        self._pair.engine.board.wrote(place)
        self._on_the_way.append((place, time.monotonic()))
        self._await_window(self._window)

    def _await_window(self, most: int) -> None:
        """Until the shipper has at most so many batches before it."""
        source, until_s = self._pair.authority, time.monotonic() + STALLED_S
        while len(self._on_the_way) > most:
            place, logged_s = self._on_the_way[0]
            if self._pair.await_applied(source, place, 0.5):
                self._on_the_way.popleft()
                now_s = time.monotonic()
                until_s = now_s + STALLED_S
                change = 1 if now_s - logged_s < DELAY_S else -1
                self._window = min(MOST_WINDOW, max(LEAST_WINDOW, self._window + change))
                continue
            self._pair.check()
            if time.monotonic() > until_s or self._pair.authority is not source:
                raise StoreUnavailable("the keys are logged, and nobody ships them now: they follow by themselves")

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
            elif unsupported(found) or unsupported(wanted):
                settled.append((action, "refused"))
            else:
                ready.append(action)
        return ready, settled

    def _count(self, settled: list[tuple[Action, str]]) -> None:
        for _, outcome in settled:
            setattr(self.tally, outcome, getattr(self.tally, outcome) + 1)

    def _count_applied(self, actions: list[Action]) -> None:
        tally = self.tally
        for action in actions:
            tally.copied += action.verb is Verb.COPY
            tally.deleted += action.verb is Verb.DELETE
            tally.overwritten += action.overwrites
            known = action.facts(action.target.other)
            tally.size_bytes += known.size_bytes if known else 0

    def _record(self, action: Action, target: States, source: States) -> UndoRecord:
        before, after = target[action.key], self._pair.facts(source[action.key])
        return undo_record(self._pair, action.target, action.key, before, after)

    def _undo_commands(self, target: Store, records: list[UndoRecord]) -> list[bytes]:
        if not self.options.undo:
            return []
        commands = undo_commands(self._pair.names, self.bundle, self.options, target, records)
        self.tally.undo_bytes += len(commands[0])
        return commands


def work_off(batch: list[T], attempt: Callable[[list[T]], list[T]], cancel: threading.Event | None = None) -> int:
    """Try `batch` until nothing is left of it, in ever smaller parts, so that keys which are written all the time spoil
    no others; how many had to be given up."""
    cancel = cancel or threading.Event()
    parts, tries, given_up = [batch], 0, 0
    while parts:
        some = parts.pop()
        left = attempt(some)
        if len(left) < len(some):
            tries = 0
            parts += [left] if left else []
        elif len(left) > 1:
            parts += [left[len(left) // 2 :], left[: len(left) // 2]]
        elif tries < TRIES and not cancel.is_set():
            tries += 1
            cancel.wait(BUSY_S)
            parts.append(left)
        else:
            tries = 0
            given_up += 1
    return given_up


def expected(action: Action) -> Facts | None:
    """What the store that the value comes from is to hold."""
    return action.facts(action.target.other)


def undo_record(pair: Pair, store: Store, key: bytes, before: KeyState | Absent, after: Facts | None) -> UndoRecord:
    """The record of a key of `store` that holds `before`, and is about to hold what `after` describes."""
    if isinstance(before, Absent):
        return UndoRecord(key, None, after)
    groups = put_commands(key, before, pair.can(store))
    return UndoRecord(key, pair.facts(before), after, [command for group in groups for command in group])


def undo_commands(
    names: Names, bundle: str, options: SyncOptions, store: Store, records: list[UndoRecord]
) -> list[bytes]:
    """Packed commands that keep `records`, on the authority."""
    keep_ms = int(options.undo_keep_s * 1000)
    return [
        pack(("XADD", names.undo, "*", *undo_fields(bundle, store, records))),
        pack(("PEXPIRE", names.undo, keep_ms)),
    ]


def unsupported(state: KeyState | Absent) -> bool:
    return isinstance(state, KeyState) and isinstance(state.body, Unsupported)


def batches(actions: Iterable[Action]) -> Iterator[list[Action]]:
    """Actions with the same target, few and small enough for one step."""
    open_: dict[Store, list[Action]] = {store: [] for store in Store}
    sizes = dict.fromkeys(Store, 0)
    for action in actions:
        batch = open_[action.target]
        batch.append(action)
        sizes[action.target] += sum(known.size_bytes for store in Store if (known := action.facts(store)))
        # What is new to the other store is not read here, so more of it fits.
        most = BATCH_KEYS if action.overwrites or action.target is Store.LOCAL else PUSH_KEYS
        if len(batch) >= most or sizes[action.target] > 16 * BATCH_BYTES:
            yield batch
            open_[action.target], sizes[action.target] = [], 0
    yield from (batch for batch in open_.values() if batch)


def within(actions: list[Action], source: States) -> Iterator[Action]:
    """The first ones whose values together are no more than a transaction may carry; always one."""
    size = 0
    for action in actions:
        state = source[action.key]
        size += state.size_bytes if isinstance(state, KeyState) else 0
        yield action
        if size > BATCH_BYTES:
            return


def split_large(commands: Iterable[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The commands that build a large value in a temporary key, and those that change the key itself."""
    filling: list[bytes] = []
    last: list[bytes] = []
    for command in commands:
        name, key = first_args(command, 2)
        (filling if key.startswith(TEMPORARY) and name != b"RENAME" else last).append(command)
    return filling, last


def chunked(commands: list[bytes]) -> Iterator[list[bytes]]:
    """Commands to send together, at most about a megabyte."""
    chunk: list[bytes] = []
    size = 0
    for command in commands:
        chunk.append(command)
        size += len(command)
        if size > 4 * BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
