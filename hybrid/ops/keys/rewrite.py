"""Give many keys another state at once, on both stores: bulk deletion, bulk expiry, and taking back an edit."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hybrid.client import HybridRedis
from hybrid.core.authority import position
from hybrid.core.drift import Facts
from hybrid.core.names import refuse_own
from hybrid.core.resp import pack
from hybrid.core.state import ABSENT, TTL_TOLERANCE_MS, Absent, Body, KeyState, Unsupported, same_moment
from hybrid.core.syncplan import SyncResult, is_unchanged
from hybrid.errors import HybridError
from hybrid.ops.keys.bulk import (
    CONFIRM_S,
    NO_OPTIONS,
    BulkChange,
    OnProgress,
    change_many,
    logged,
)
from hybrid.ops.sync import archive
from hybrid.ops.sync.batches import chunked, put_of, within
from hybrid.ops.sync.options import SyncOptions
from hybrid.ops.sync.pair import Pair
from hybrid.types import Store, StoreState

__all__ = ["DELETE", "EXPIRE", "KeyUndo", "delete_keys", "expire_keys", "put_back", "states_of"]

DELETE: Final = "delete keys"
EXPIRE: Final = "set expiry"
UNDO_BYTES: Final = 8 * 1024 * 1024
"""Larger keys are edited without undo: keeping a copy would take longer than the edit."""

State = KeyState | Absent


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
    on_progress: OnProgress = lambda _: None,
) -> SyncResult:
    """Delete keys on both stores, undone with `undo_sync(..., everywhere=True)`.

    Raises ConfigurationError for keys of hybrid's own, StoreUnavailable when no store takes writes.
    """
    refuse_own(keys)

    def change(pair: Pair) -> BulkChange[bytes]:
        return _Deletion(pair, options)

    return change_many(client, keys, change, cancel, on_progress, deletes=True)


def expire_keys(
    client: HybridRedis,
    keys: Sequence[bytes],
    expires_at_ms: int | None,
    *,
    options: SyncOptions = NO_OPTIONS,
    cancel: threading.Event | None = None,
    on_progress: OnProgress = lambda _: None,
) -> SyncResult:
    """Have keys expire at this moment (Unix milliseconds), or never with None, on both stores. As `delete_keys`."""
    refuse_own(keys)
    return change_many(client, keys, lambda pair: _Expiry(pair, options, expires_at_ms), cancel, on_progress)


def states_of(client: HybridRedis, keys: Sequence[bytes], *, elsewhere: bool = False) -> dict[bytes, State] | None:
    """What the keys hold on the store that takes writes, or `elsewhere`: on the other one; None when that is more than
    an undo keeps."""
    with Pair.of(client, both=elsewhere) as pair:
        store = pair.authority.other if elsewhere else pair.authority
        sizes = pair.wire(store).exchange(b"".join(pack(("MEMORY", "USAGE", key)) for key in keys), len(keys))
        if sum(size for size in sizes if isinstance(size, int)) > UNDO_BYTES:
            return None
        return dict(pair.read(store, keys))


def _only_there(pair: Pair, here: Mapping[bytes, State]) -> list[bytes]:
    """Those of the keys that the authority lacks although no write on its way took them: the other store may have them.
    None while it is not up."""
    lacking = [key for key, state in here.items() if state == ABSENT]
    if not lacking or not _is_up(pair, pair.authority.other):
        return []
    on_their_way = pair.logged()
    return [key for key in lacking if key not in on_their_way]


def _is_up(pair: Pair, store: Store) -> bool:
    """Whether a store that follows can be asked."""
    return pair.is_logged and pair.engine.board.state(store) is StoreState.UP


def undo_of(client: HybridRedis, words: str, before: Mapping[bytes, State] | None) -> KeyUndo | None:
    """What takes back an edit that was just made; None when too much was there, it cannot be written back, or nobody
    could tell whether what is there now was changed again."""
    if before is None or any(body == Unsupported() for body in _bodies(before)):
        return None
    with Pair.of(client, both=False) as pair:
        after = pair.read(pair.authority, list(before))
        if any(isinstance(body, Unsupported) for body in _bodies(after)):
            return None
        return KeyUndo(words, before, {key: pair.facts(state) for key, state in after.items()})


def _bodies(states: Mapping[bytes, State]) -> list[Body]:
    return [state.body for state in states.values() if isinstance(state, KeyState)]


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
            replies = guard.commit([*(command for put in puts for command in put.last), *logged(pair, keys)])
            if replies is None:
                raise HybridError("nothing was undone: the key is being written just now; look again")
            if pair.is_logged:
                pair.confirm(store, position(replies[-1]), CONFIRM_S)


class _NewStates(BulkChange[bytes]):
    """Gives each key the state that is wished for it."""

    @abstractmethod
    def wishes(self, here: Mapping[bytes, State]) -> Mapping[bytes, State]:
        """What each of the keys that hold this is to hold; those left out are left alone."""

    def states(self, items: list[bytes]) -> Mapping[bytes, State]:
        """What there is of the keys now."""
        return self.pair.read(self.pair.authority, items)

    def attempt(self, items: list[bytes]) -> list[bytes]:
        pair, store = self.pair, self.pair.authority
        with pair.guard(store, items) as guard:
            here = self.states(items)
            wanted = self.wishes(here).items()
            wishes = {key: state for key, state in wanted if not isinstance(getattr(state, "body", None), Unsupported)}
            can = pair.can(store)
            puts = dict(within((key, put_of(key, state, can)) for key, state in wishes.items()))
            if puts:
                records = [archive.undo_record(pair, store, key, here[key], pair.facts(wishes[key])) for key in puts]
                for chunk in chunked([command for put in puts.values() for command in put.filling]):
                    pair.send(store, chunk)
                commands = [command for put in puts.values() for command in put.last]
                if not self.commit(guard, commands, records, puts):
                    return items
        self.count(changed=len(puts), left=len(items) - len(wishes))
        return [key for key in wishes if key not in puts]


class _Deletion(_NewStates):
    """Deletes also what only the other store has: it would be left there for good."""

    direction = DELETE

    def wishes(self, here: Mapping[bytes, State]) -> Mapping[bytes, State]:
        return {key: ABSENT for key, state in here.items() if state != ABSENT}

    def states(self, items: list[bytes]) -> Mapping[bytes, State]:
        here = super().states(items)
        return {**here, **self.pair.read(self.pair.authority.other, _only_there(self.pair, here))}


class _Expiry(_NewStates):
    """Counts an expiry as given already where both stores have it."""

    direction = EXPIRE

    def __init__(self, pair: Pair, options: SyncOptions, expires_at_ms: int | None) -> None:
        super().__init__(pair, options)
        self._expires_at_ms = expires_at_ms

    def wishes(self, here: Mapping[bytes, State]) -> Mapping[bytes, State]:
        there_are = {key: state for key, state in here.items() if isinstance(state, KeyState)}
        given = {key for key, state in there_are.items() if state.expires_at_ms == self._expires_at_ms}
        given -= self._not_so_there(list(given))
        moment = self._expires_at_ms
        return {key: replace(state, expires_at_ms=moment) for key, state in there_are.items() if key not in given}

    def _not_so_there(self, keys: list[bytes]) -> set[bytes]:
        """Those that expire at another time on the other store; none while it is not up."""
        other = self.pair.authority.other
        if not keys or not _is_up(self.pair, other):
            return set()
        now_ms = int(time.time() * 1000)
        lefts = self.pair.wire(other).exchange(b"".join(pack(("PTTL", key)) for key in keys), len(keys))
        moments = {
            key: now_ms + left if isinstance(left, int) and left > 0 else None
            for key, left in zip(keys, lefts, strict=True)
        }
        return {key for key in keys if not same_moment(moments[key], self._expires_at_ms, TTL_TOLERANCE_MS)}
