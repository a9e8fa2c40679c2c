"""Undo: what a sync overwrote goes back, wherever the key still is as the sync left it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from hybrid.core.authority import position
from hybrid.core.drift import UNREAD
from hybrid.core.resp import pack
from hybrid.core.slots import slot_of
from hybrid.core.syncplan import SyncCounts, SyncEnding, is_unchanged
from hybrid.core.undo import UndoBatch, UndoRecord
from hybrid.ops.sync.archive import States, undo_commands, undo_record
from hybrid.ops.sync.batches import Put, chunked, split_large, within, work_off
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.pair import Guard, Pair
from hybrid.types import Store

__all__ = ["Reverter"]


class Reverter:
    """Applies undo batches over `pair`; see `hybrid.ops.sync.run.undo_sync`. `run` may be called once."""

    def __init__(
        self,
        pair: Pair,
        bundle: str,
        options: SyncOptions,
        *,
        everywhere: bool,
        keeps_created: bool = False,
        cancel: threading.Event | None = None,
        on_progress: Callable[[SyncCounts], None] = lambda _: None,
    ) -> None:
        self.bundle = bundle
        self.options = options
        self.counts = SyncCounts()
        self.undo_bytes = 0
        self._pair = pair
        self._everywhere = everywhere
        self._keeps_created = keeps_created
        self._cancel = cancel or threading.Event()
        self._on_progress = on_progress
        self._before = pair.cloud_commands

    @property
    def cloud_commands(self) -> int:
        return self._pair.cloud_commands - self._before

    def run(self, batches: Iterable[UndoBatch]) -> SyncEnding:
        """Undo the batches in their order. Raises StoreUnavailable when a store is lost."""
        for batch in batches:
            for records in cut(batch.records):
                if self._cancel.is_set():
                    return SyncEnding.CANCELLED
                self._pair.check()
                self._undo(self._pair.authority if self._everywhere else batch.store, records)
                self._on_progress(self.counts)
        return SyncEnding.FINISHED

    def _undo(self, store: Store, records: list[UndoRecord]) -> None:
        waiting = [record for record in records if not (self._keeps_created and record.created)]
        self.counts = self.counts.plus(kept=len(records) - len(waiting))
        if not waiting:
            return
        for some in self._together(store, waiting):
            busy = work_off(some, lambda part: self._attempt(store, part), self._cancel)
            self.counts = self.counts.plus(busy=busy)

    def _together(self, store: Store, records: list[UndoRecord]) -> Iterable[list[UndoRecord]]:
        """Those that one transaction can guard: on a cluster, the keys of one slot."""
        if not self._pair.can(store).is_cluster:
            return [records]
        by_slot: dict[int, list[UndoRecord]] = {}
        for record in records:
            by_slot.setdefault(slot_of(record.key), []).append(record)
        return by_slot.values()

    def _attempt(self, store: Store, records: list[UndoRecord]) -> list[UndoRecord]:
        """Undo `records`, or leave them alone for good; the result is to be tried again."""
        pair = self._pair
        with pair.guard(store, [record.key for record in records]) as guard:
            logged = pair.logged()
            free = [record for record in records if record.key not in logged]
            here = pair.read(store, [record.key for record in free])
            there = pair.read(store.other, [record.key for record in free if record.after == UNREAD])
            ready = [record for record in free if self._holds(record, here, there)]
            changed = {record.key for record in free} - {record.key for record in ready}
            if ready and not self._put(guard, store, ready, here):
                ready = []
        deleted = sum(record.created for record in ready)
        self.counts = self.counts.plus(changed=len(changed), deleted=deleted, copied=len(ready) - deleted)
        done = changed | {record.key for record in ready}
        return [record for record in records if record.key not in done]

    def _holds(self, record: UndoRecord, here: States, there: States) -> bool:
        """Whether the key is as the sync left it."""
        after = self._pair.facts(there[record.key]) if record.key in there else record.after
        return is_unchanged(after, self._pair.facts(here[record.key]))

    def _put(self, guard: Guard, store: Store, records: list[UndoRecord], here: States) -> bool:
        """Whether the old values are in place. On the store that takes no writes they arrive as what they are: drift,
        wanted this time, so no entry of the log tells of them."""
        pair = self._pair
        redo = [undo_record(pair, store, record.key, here[record.key], record.before) for record in records]
        commands: list[bytes] = []
        if store is pair.authority and self.options.undo:
            commands += undo_commands(pair.names, self.bundle, self.options, store, redo)
        for record in records:
            filling, last = written(record)
            for chunk in chunked(filling):
                pair.send(store, chunk)
            commands += last
        if self._everywhere:
            keys = [part for record in records for part in (b"s", record.key)]
            commands.append(pack(("XADD", pair.names.log, "*", *keys)))
        if store is not pair.authority and self.options.undo:
            pair.send(pair.authority, undo_commands(pair.names, self.bundle, self.options, store, redo))
        self.undo_bytes += self.options.undo
        replies = guard.commit(commands)
        if replies is not None and self._everywhere:
            pair.engine.board.wrote(position(replies[-1]))
        return replies is not None


def cut(records: Iterable[UndoRecord]) -> Iterator[list[UndoRecord]]:
    """Records whose values together fit into one transaction."""
    waiting = [(record, written(record)) for record in records]
    while waiting:
        some = [record for record, _ in within(waiting)]
        yield some
        del waiting[: len(some)]


def written(record: UndoRecord) -> Put:
    """What brings back the old value."""
    return split_large(record.restore or [pack(("UNLINK", record.key))])
