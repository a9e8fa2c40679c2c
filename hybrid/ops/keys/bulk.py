"""One change to many keys, on both stores.

As an import does, each batch is one guarded transaction on the store that takes writes, logged by state, together with
what it overwrites: so nothing that others write meanwhile is overwritten unseen, and all of it can be had back.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Generic, TypeVar

from hybrid.client import HybridRedis
from hybrid.core.authority import position
from hybrid.core.resp import pack
from hybrid.core.syncplan import SyncEnding, SyncResult
from hybrid.core.undo import UndoRecord
from hybrid.errors import StoreUnavailable
from hybrid.ops.sync import archive
from hybrid.ops.sync.batches import work_off
from hybrid.ops.sync.options import NO_OPTIONS, SyncOptions
from hybrid.ops.sync.pair import Guard, Pair
from hybrid.ops.sync.run import new_id

__all__ = ["CONFIRM_S", "NO_OPTIONS", "BulkChange", "OnProgress", "Rewritten", "change_many", "logged"]

BATCH_ITEMS: Final = 200
CONFIRM_S: Final = 5.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """How far a bulk change is: `changed` keys, `left` alone (gone, or as wished already), `busy` ones."""

    changed: int = 0
    left: int = 0
    busy: int = 0
    undo_bytes: int = 0

    @property
    def done(self) -> int:
        return self.changed + self.left + self.busy


OnProgress = Callable[[Rewritten], None]


class BulkChange(ABC, Generic[T]):
    """What is done to each item, a batch at a time. `run` may be called once."""

    direction: str
    """What the history calls it."""

    def __init__(self, pair: Pair, options: SyncOptions) -> None:
        self.pair = pair
        self.options = options
        self.bundle = new_id()
        self.done = Rewritten()

    @abstractmethod
    def attempt(self, items: list[T]) -> list[T]:
        """Change these, or leave them alone for good; the result is to be tried again."""

    def run(self, items: Iterable[T], cancel: threading.Event, on_progress: OnProgress) -> SyncEnding:
        waiting = iter(dict.fromkeys(items))
        while batch := list(islice(waiting, BATCH_ITEMS)):
            if cancel.is_set():
                return SyncEnding.CANCELLED
            if self.options.undo and self.done.undo_bytes > self.options.undo_bytes:
                return SyncEnding.UNDO_FULL
            self.pair.check()
            busy = work_off(batch, self.attempt, cancel)
            self.done = replace(self.done, busy=self.done.busy + busy)
            on_progress(self.done)
        return SyncEnding.FINISHED

    def commit(
        self, guard: Guard, commands: Sequence[bytes], records: Sequence[UndoRecord], keys: Iterable[bytes]
    ) -> bool:
        """Run `commands`, which change `keys`, with what takes them back. Whether nobody wrote meanwhile."""
        pair, store = self.pair, self.pair.authority
        kept = archive.undo_commands(pair.names, self.bundle, self.options, store, records)
        undo = kept if self.options.undo else []
        replies = guard.commit([*undo, *commands, *logged(pair, keys)])
        if replies is None:
            return False
        if pair.is_logged:
            pair.confirm(store, position(replies[-1]), CONFIRM_S)
        self.done = replace(self.done, undo_bytes=self.done.undo_bytes + sum(map(len, undo)))
        return True

    def count(self, *, changed: int, left: int) -> None:
        self.done = replace(self.done, changed=self.done.changed + changed, left=self.done.left + left)


def logged(pair: Pair, keys: Iterable[bytes]) -> list[bytes]:
    """The entry of the log that says: what these keys hold now is to be copied."""
    if not pair.is_logged:
        return []
    return [pack(("XADD", pair.names.log, "*", *(part for key in keys for part in (b"s", key))))]


def change_many(
    client: HybridRedis,
    items: Sequence[T],
    change_of: Callable[[Pair], BulkChange[T]],
    cancel: threading.Event | None,
    on_progress: OnProgress,
    *,
    deletes: bool = False,
) -> SyncResult:
    """Do it, and put it into the history. Raises StoreUnavailable when no store takes writes; a store that is lost in
    the midst is an ending."""
    with Pair.of(client, both=False) as pair:
        change = change_of(pair)
        options, pattern = change.options, f"{len(items):,} keys"
        begun = archive.begin(pair, change.bundle, change.direction, pattern, options)
        started_at_s, reason = time.time(), ""
        try:
            ending = change.run(items, cancel or threading.Event(), on_progress)
        except StoreUnavailable as error:
            ending, reason = SyncEnding.FAILED, str(error)
        done, now_s = change.done, time.time()
        result = SyncResult(
            id=change.bundle,
            direction=change.direction,
            pattern=pattern,
            author=options.author,
            started_at_s=started_at_s,
            ended_at_s=now_s,
            ending=ending,
            copied=0 if deletes else done.changed,
            deleted=done.changed if deletes else 0,
            kept=done.left,
            busy=done.busy,
            cloud_commands=pair.cloud_commands,
            undo_until_s=now_s + options.undo_keep_s if done.undo_bytes else None,
            reason=reason,
        )
        if ending is not SyncEnding.FAILED:
            archive.record(pair, result, begun)
        return result
