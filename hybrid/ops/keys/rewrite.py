"""Give many keys another state at once, on both stores: bulk deletion, bulk expiry, and taking back an edit.

As an import does, each batch is one guarded transaction on the store that takes writes, logged by state, together with
what it overwrites: so nothing that others write meanwhile is overwritten unseen, and all of it can be had back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from hybrid.client import HybridRedis
from hybrid.core.authority import position
from hybrid.core.drift import Facts
from hybrid.core.names import RESERVED
from hybrid.core.resp import pack
from hybrid.core.state import ABSENT, Absent, KeyState, Unsupported
from hybrid.core.syncplan import SyncEnding, SyncResult, is_unchanged
from hybrid.errors import ConfigurationError, HybridError, StoreUnavailable
from hybrid.ops.sync import archive
from hybrid.ops.sync.batches import chunked, put_of, within, work_off
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.ops.sync.run import new_id

__all__ = ["DELETE", "EXPIRE", "KeyUndo", "Rewritten", "delete_keys", "expire_keys", "put_back", "states_of"]

DELETE: Final = "delete keys"
EXPIRE: Final = "set expiry"
BATCH_KEYS: Final = 200
CONFIRM_S: Final = 5.0
UNDO_BYTES: Final = 8 * 1024 * 1024
"""Larger keys are edited without undo: keeping a copy would take longer than the edit."""

NO_OPTIONS: Final = SyncOptions()

State = KeyState | Absent
Wish = Callable[[State], State | None]
"""From what a key holds to what it is to hold; None leaves it alone."""


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


@dataclass(frozen=True, slots=True)
class KeyUndo:
    """How to take back one edit: the states before it, and the facts after it. It applies only while these hold."""

    words: str
    before: Mapping[bytes, State]
    after: Mapping[bytes, Facts | None]


def delete_keys(
    client: HybridRedis,
    keys: Sequence[bytes],
    *,
    options: SyncOptions = NO_OPTIONS,
    cancel: threading.Event | None = None,
    on_progress: Callable[[Rewritten], None] = lambda _: None,
) -> SyncResult:
    """Delete keys on both stores, undone with `undo_sync(..., everywhere=True)`.

    Raises ConfigurationError for keys of hybrid's own, StoreUnavailable when no store takes writes.
    """
    return _rewritten(
        client, keys, lambda state: None if state == ABSENT else ABSENT, DELETE, options, cancel, on_progress
    )


def expire_keys(
    client: HybridRedis,
    keys: Sequence[bytes],
    expires_at_ms: int | None,
    *,
    options: SyncOptions = NO_OPTIONS,
    cancel: threading.Event | None = None,
    on_progress: Callable[[Rewritten], None] = lambda _: None,
) -> SyncResult:
    """Have keys expire at this moment (Unix milliseconds), or never with None, on both stores. As `delete_keys`."""

    def wish(state: State) -> State | None:
        if not isinstance(state, KeyState) or state.expires_at_ms == expires_at_ms:
            return None
        return replace(state, expires_at_ms=expires_at_ms)

    return _rewritten(client, keys, wish, EXPIRE, options, cancel, on_progress)


def states_of(client: HybridRedis, keys: Sequence[bytes]) -> dict[bytes, State] | None:
    """What the keys hold on the store that takes writes; None when that is more than an undo keeps."""
    with Pair.of(client, both=False) as pair:
        sizes = pair.wire(pair.authority).exchange(b"".join(pack(("MEMORY", "USAGE", key)) for key in keys), len(keys))
        if sum(size for size in sizes if isinstance(size, int)) > UNDO_BYTES:
            return None
        return dict(pair.read(pair.authority, keys))


def facts_after(client: HybridRedis, keys: Sequence[bytes]) -> dict[bytes, Facts | None]:
    with Pair.of(client, both=False) as pair:
        return {key: pair.facts(state) for key, state in pair.read(pair.authority, keys).items()}


def undo_of(client: HybridRedis, words: str, before: Mapping[bytes, State] | None) -> KeyUndo | None:
    """What takes back an edit that was just made; None when too much was there, or it cannot be written back."""
    if before is None or any(isinstance(s, KeyState) and isinstance(s.body, Unsupported) for s in before.values()):
        return None
    return KeyUndo(words, before, facts_after(client, list(before)))


def put_back(client: HybridRedis, undo: KeyUndo) -> None:
    """Take an edit back, on both stores. Raises HybridError, with nothing changed, when somebody changed the key since;
    StoreUnavailable when no store takes writes."""
    with Pair.of(client, both=False) as pair:
        store, keys = pair.authority, list(undo.before)
        with pair.guard(store, keys) as guard:
            for key, state in pair.read(store, keys).items():
                if not is_unchanged(undo.after[key], pair.facts(state)):
                    raise HybridError(
                        f"nothing was undone: {key.decode(errors='backslashreplace')} was changed again since"
                    )
            can = pair.can(store)
            puts = [put_of(key, state, can) for key, state in undo.before.items()]
            for chunk in chunked([command for put in puts for command in put.filling]):
                pair.send(store, chunk)
            replies = guard.commit([*(command for put in puts for command in put.last), *_logged(pair, keys)])
            if replies is None:
                raise HybridError("nothing was undone: the key is being written just now; look again")
            if pair.is_logged:
                pair.confirm(store, position(replies[-1]), CONFIRM_S)


def _logged(pair: Pair, keys: Iterable[bytes]) -> list[bytes]:
    if not pair.is_logged:
        return []
    return [pack(("XADD", pair.names.log, "*", *(part for key in keys for part in (b"s", key))))]


def _rewritten(
    client: HybridRedis,
    keys: Sequence[bytes],
    wish: Wish,
    direction: str,
    options: SyncOptions,
    cancel: threading.Event | None,
    on_progress: Callable[[Rewritten], None],
) -> SyncResult:
    if own := next((key for key in keys if key.startswith(RESERVED)), None):
        raise ConfigurationError(f"keys that begin with {RESERVED.decode()!r} are hybrid's own: {own!r}")
    with Pair.of(client, both=False) as pair:
        rewriter = _Rewriter(pair, wish, options)
        pattern = f"{len(keys):,} keys"
        begun = archive.begin(pair, rewriter.bundle, direction, pattern, options)
        started_at_s, reason = time.time(), ""
        try:
            ending = rewriter.run(keys, cancel or threading.Event(), on_progress)
        except StoreUnavailable as error:
            ending, reason = SyncEnding.FAILED, str(error)
        done, now_s = rewriter.done, time.time()
        result = SyncResult(
            id=rewriter.bundle,
            direction=direction,
            pattern=pattern,
            author=options.author,
            started_at_s=started_at_s,
            ended_at_s=now_s,
            ending=ending,
            copied=done.changed if direction != DELETE else 0,
            deleted=done.changed if direction == DELETE else 0,
            kept=done.left,
            busy=done.busy,
            cloud_commands=pair.cloud_commands,
            undo_until_s=now_s + options.undo_keep_s if done.undo_bytes else None,
            reason=reason,
        )
        if ending is not SyncEnding.FAILED:
            archive.record(pair, result, begun)
        return result


class _Rewriter:
    """Works off keys in batches, each one guarded transaction."""

    def __init__(self, pair: Pair, wish: Wish, options: SyncOptions) -> None:
        self.bundle = new_id()
        self.done = Rewritten()
        self._pair = pair
        self._wish = wish
        self._options = options

    def run(
        self, keys: Sequence[bytes], cancel: threading.Event, on_progress: Callable[[Rewritten], None]
    ) -> SyncEnding:
        waiting = iter(dict.fromkeys(keys))
        while batch := list(islice(waiting, BATCH_KEYS)):
            if cancel.is_set():
                return SyncEnding.CANCELLED
            if self._options.undo and self.done.undo_bytes > self._options.undo_bytes:
                return SyncEnding.UNDO_FULL
            self._pair.check()
            busy = work_off(batch, self._attempt, cancel)
            self.done = replace(self.done, busy=self.done.busy + busy)
            on_progress(self.done)
        return SyncEnding.FINISHED

    def _attempt(self, keys: list[bytes]) -> list[bytes]:
        pair, store = self._pair, self._pair.authority
        with pair.guard(store, keys) as guard:
            here = pair.read(store, keys)
            wishes = {key: wanted for key in keys if (wanted := self._wish(here[key])) is not None}
            wishes = {k: s for k, s in wishes.items() if not isinstance(getattr(s, "body", None), Unsupported)}
            can = pair.can(store)
            puts = dict(within((key, put_of(key, state, can)) for key, state in wishes.items()))
            if puts:
                commands = [command for put in puts.values() for command in put.last]
                records = [archive.undo_record(pair, store, key, here[key], pair.facts(wishes[key])) for key in puts]
                undo = (
                    archive.undo_commands(pair.names, self.bundle, self._options, store, records)
                    if self._options.undo
                    else []
                )
                for chunk in chunked([command for put in puts.values() for command in put.filling]):
                    pair.send(store, chunk)
                replies = guard.commit([*undo, *commands, *_logged(pair, puts)])
                if replies is None:
                    return keys
                if pair.is_logged:
                    pair.confirm(store, position(replies[-1]), CONFIRM_S)
                self.done = replace(self.done, undo_bytes=self.done.undo_bytes + sum(map(len, undo)))
        left = self.done.left + len(keys) - len(wishes)
        self.done = replace(self.done, changed=self.done.changed + len(puts), left=left)
        return [key for key in wishes if key not in puts]
