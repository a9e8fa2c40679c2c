"""The local store is back while the cloud store has the authority: what only it knows is merged before it catches up.

Its unshipped tail is everything in its log behind the seal. A key of the tail that the cloud store has not written
since is copied over, guarded by WATCH; a key that both wrote keeps the authority's value, and the other is archived.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import redis

from hybrid import events
from hybrid.core.authority import Authority, Position, position, position_text
from hybrid.core.health import Evidence
from hybrid.core.names import Names
from hybrid.core.outcomes import ReplyLost
from hybrid.core.resp import pack
from hybrid.core.shipping import Field, groups
from hybrid.core.state import ABSENT, Absent, KeyState, differences
from hybrid.errors import HybridError
from hybrid.replication.board import Board
from hybrid.replication.copy import plan_put, read_states, temporary_key
from hybrid.stores.capabilities import Capabilities, capabilities_of
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire
from hybrid.types import Store

__all__ = ["last_place", "merge_local_tail"]

BATCH_KEYS = 1000
BATCH_ENTRIES = 1000
TRIES = 50
KEPT_CONFLICTS = 10_000


def merge_local_tail(endpoints: Mapping[Store, Endpoint], names: Names, board: Board, keep: Callable[[], bool]) -> None:
    """Fence the local store, bring over what only it has, and forget its log.

    A local store that restarted without its last seconds (its log ends before what was shipped from it) cannot tell
    which keys are old: it is found wiped, to be refilled as a whole. `keep` says whether the
    shipper's lease is still held.

    Raises NotSent or ReplyLost when either store is lost; nothing is forgotten then, and all is safe to repeat.
    """
    wires = {store: endpoints[store].connect_raw(timeout_s=1.0) for store in Store}
    try:
        _fence(wires[Store.LOCAL], endpoints[Store.LOCAL], board.authority)
        sealed = _sealed(wires[Store.CLOUD], names, board.authority)
        if last_place(wires[Store.LOCAL], names.log) < sealed:
            board.observe(Store.LOCAL, Evidence.WIPED)
        tail: set[bytes] = set()
        _collect_keys(wires[Store.LOCAL], names.log, sealed, tail)
        if tail:
            _Merge(wires, names, board, keep).run(sorted(tail))
        _one(wires[Store.LOCAL], "XTRIM", names.log, "MAXLEN", 0)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        if isinstance(error, HybridError):
            raise
        raise ReplyLost(str(error), silent=isinstance(error, redis.TimeoutError)) from None
    finally:
        for wire in wires.values():
            wire.disconnect()


def _fence(local: Wire, endpoint: Endpoint, authority: Authority) -> None:
    """Writers that have not heard yet are refused from now on: their standing WATCH breaks."""
    names = endpoint.names
    known = Authority.parse(_one(local, "GET", names.authority))
    if known is None or known.epoch < authority.epoch:
        _one(local, "SET", names.authority, authority.record)
        _one(local, "PUBLISH", endpoint.moved, authority.record)


def _sealed(cloud: Wire, names: Names, authority: Authority) -> Position:
    """How far the local log was surely shipped: as the last shipper said in this epoch, else nothing is sure."""
    record = _one(cloud, "GET", names.seal)
    if record is not None:
        epoch, place, *_ = record.decode().split(" ")
        if int(epoch) == authority.epoch:
            return position(place)
    return (0, 0)


def last_place(wire: Wire, log: bytes) -> Position:
    """Where the log ends, also when all of it was trimmed."""
    reply = wire.exchange(pack(("XINFO", "STREAM", log)), 1)[0]
    if isinstance(reply, Exception):
        return (0, 0)
    return position(dict(zip(reply[::2], reply[1::2], strict=True))[b"last-generated-id"])


def _collect_keys(wire: Wire, log: bytes, place: Position, keys: set[bytes]) -> Position:
    """Add the keys that entries behind `place` may have changed; the result is the place of the last entry."""
    open_fields: list[Field] = []
    while True:
        entries = _one(wire, "XRANGE", log, b"(" + position_text(place), "+", "COUNT", BATCH_ENTRIES)
        for group in groups(entries, open_fields):
            keys.update(group.keys)
        if entries:
            place = position(entries[-1][0])
        if len(entries) < BATCH_ENTRIES:
            return place


class _Merge:
    """Brings the keys of the tail to the authority, or archives them."""

    def __init__(self, wires: Mapping[Store, Wire], names: Names, board: Board, keep: Callable[[], bool]) -> None:
        self._local = wires[Store.LOCAL]
        self._cloud = wires[Store.CLOUD]
        self._names = names
        self._board = board
        self._can: Capabilities = capabilities_of(self._cloud)
        self._keep = keep
        self._archived = 0
        self._seen: set[bytes] = set()
        self._seen_to: Position = (0, 0)

    def run(self, keys: list[bytes]) -> None:
        for start in range(0, len(keys), BATCH_KEYS):
            if not self._keep():
                raise HybridError("the shipper's lease was lost during the merge")
            self._merge(keys[start : start + BATCH_KEYS])
        if self._archived:
            self._board.events.emit(events.ConflictsArchived(count=self._archived))

    def _merge(self, keys: list[bytes]) -> None:
        ours = self._states(self._local, keys)
        for _ in range(TRIES):
            theirs = self._written_there()
            free = [key for key in keys if key not in theirs]
            if not free:
                break
            # WATCH first, then look again who wrote: what is written after the look breaks the transaction.
            _one(self._cloud, "WATCH", *free)
            theirs = self._written_there()
            if theirs.isdisjoint(free):
                if self._put({key: ours[key] for key in free}):
                    break
            else:
                _one(self._cloud, "UNWATCH")
        else:
            raise HybridError("the local store's last writes could not be merged: their keys never stood still")
        self._archive({key: ours[key] for key in keys if key in theirs})

    def _written_there(self) -> set[bytes]:
        """Every key written on the cloud store since it took over: its log was empty then."""
        self._seen_to = _collect_keys(self._cloud, self._names.log, self._seen_to, self._seen)
        return self._seen

    def _states(self, wire: Wire, keys: list[bytes]) -> dict[bytes, KeyState | Absent]:
        return {key: state for key, (state, _) in read_states(wire, keys, log_key=self._names.log).items()}

    def _put(self, states: Mapping[bytes, KeyState | Absent]) -> bool:
        commands = [command for key, state in states.items() for command in self._commands(key, state)]
        replies = self._cloud.exchange(
            b"".join([pack(("MULTI",)), *commands, pack(("EXEC",))]), len(commands) + 2, timeout_s=1.0
        )
        if isinstance(replies[-1], Exception):
            raise HybridError(str(replies[-1]))
        return replies[-1] is not None

    def _commands(self, key: bytes, state: KeyState | Absent) -> list[bytes]:
        plan = plan_put(
            key,
            state,
            temporary_key(),
            field_ttl=self._can.has_field_ttl,
            stream_counters=self._can.has_stream_counters,
        )
        return [pack(command) for group in plan for command in group]

    def _archive(self, states: Mapping[bytes, KeyState | Absent]) -> None:
        if not states:
            return
        kept = self._states(self._cloud, list(states))
        lost = [(key, state) for key, state in states.items() if not _same(state, kept[key])]
        self._archived += len(lost)
        commands = [pack(self._archive_entry(key, state)) for key, state in lost]
        for reply in self._cloud.exchange(b"".join(commands), len(commands), timeout_s=1.0) if commands else ():
            if isinstance(reply, Exception):
                raise HybridError(str(reply))

    def _archive_entry(self, key: bytes, state: KeyState | Absent) -> tuple[Any, ...]:
        """The archive holds the very commands that restore the value."""
        restore = b"".join(self._commands(key, state))
        fields = ("key", key, "store", "local", "at", int(time.time() * 1000), "restore", restore)
        return ("XADD", self._names.conflicts, "MAXLEN", "~", KEPT_CONFLICTS, "*", *fields)


def _same(a: KeyState | Absent, b: KeyState | Absent) -> bool:
    if a is ABSENT or b is ABSENT:
        return a is b
    assert isinstance(a, KeyState) and isinstance(b, KeyState)
    return not differences(a, b)


def _one(wire: Wire, *command: Any) -> Any:
    reply = wire.exchange(pack(command), 1, timeout_s=1.0)[0]
    if isinstance(reply, Exception):
        raise HybridError(str(reply))
    return reply
