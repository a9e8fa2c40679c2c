"""Both stores as a sync reaches them: connections of its own, what the log still names, and guarded transactions.

Everything here rests on one fact. The log is trimmed as it is applied: a key that no entry of it names has, on the
other store, every write that the authority ever logged for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import redis

from hybrid.client import HybridRedis
from hybrid.core.authority import Authority, Position
from hybrid.core.drift import Facts, Scope
from hybrid.core.fingerprint import facts_of
from hybrid.core.names import RESERVED
from hybrid.core.outcomes import NotSent, ReplyLost, named
from hybrid.core.resp import pack
from hybrid.core.state import Absent, KeyState
from hybrid.errors import AllStoresDown, ConfigurationError, HybridError, StoreUnavailable
from hybrid.replication.copy import read_in_parts
from hybrid.replication.engine import Engine
from hybrid.replication.tail import logged
from hybrid.stores.capabilities import Capabilities, capabilities_of
from hybrid.stores.wire import Wire, plain_reason
from hybrid.types import Purpose, Store, StoreState

__all__ = ["SCAN_KEYS", "Guard", "Logged", "Pair"]

TIMEOUT_S: Final = 5.0
"""Patience of a sync, which runs beside the application and must not take a busy store for a dead one."""

SETTLE_S: Final = 3.0
"""How long a store may be catching up before a sync gives up."""

SCAN_KEYS: Final = 1000
LOG_GROUPS: Final = 5000
_MULTI, _EXEC, _UNWATCH = pack(("MULTI",)), pack(("EXEC",)), pack(("UNWATCH",))


@dataclass(frozen=True, slots=True)
class Logged:
    """What the untrimmed log names. `everything`: more than is worth reading, or a flush, or a refill."""

    keys: frozenset[bytes]
    everything: bool

    def __contains__(self, key: bytes) -> bool:
        return self.everything or key in self.keys


class Guard:
    """A transaction on one store that takes effect only if no watched key was touched since."""

    def __init__(self, store: Store, wire: Wire) -> None:
        self._store = store
        self._wire = wire
        self.watches = True

    def commit(self, commands: Sequence[bytes]) -> list[Any] | None:
        """The replies to the packed `commands`; None when something moved, and nothing was run.

        Raises HybridError when the store refuses one of them. ReplyLost leaves it open whether they were run.
        """
        self.watches = False
        with named(self._store):
            replies = self._wire.exchange(b"".join((_MULTI, *commands, _EXEC)), len(commands) + 2)
        *queued, done = replies
        for reply in (*queued, *(done if isinstance(done, list) else (done,))):
            if isinstance(reply, Exception):
                raise HybridError(str(reply))
        return done  # type: ignore[no-any-return]


class Pair:
    """The two stores of one engine. Not thread-safe; close it, or use it as a context.

    Raises ConfigurationError when there is only one store, StoreUnavailable when not both are up; without `both` the
    one that takes writes will do: the other one takes over when that one is lost.
    """

    def __init__(self, engine: Engine, *, both: bool = True) -> None:
        self.engine = engine
        self._both = both
        self.names = engine.names
        self._wires: dict[tuple[Store, str], Wire] = {}
        self._commands_before = 0
        self.check()

    @classmethod
    def of(cls, client: HybridRedis, *, both: bool = True) -> Self:
        """The stores of `client`."""
        client.start()
        return cls(client._engine, both=both)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for wire in self._wires.values():
            wire.disconnect()
        self._wires = {}

    def check(self) -> None:
        """Raise unless both stores are up, or will be in a moment: what one of them lacks meanwhile is for the shipper
        to bring."""
        board = self.engine.board
        if not self._both:
            if board.routes.claim:  # also where others could write for this process: here it takes connections
                self.engine.claims.claim()
            if board.routes.writer is None:
                raise AllStoresDown(board.routes.refusal)
            return
        if not board.settings.replicated:
            raise ConfigurationError("a sync needs two stores: set UPSTASH_REDIS_URL, and REDIS_WRITE_BOTH=true")
        until_s = time.monotonic() + SETTLE_S
        while not all(board.state(store) is StoreState.UP for store in Store):
            if (left_s := until_s - time.monotonic()) <= 0:
                break
            board.wait(left_s)
        for store in Store:
            if board.state(store) is not StoreState.UP:
                raise StoreUnavailable(f"a sync needs both stores: the {store} store is {board.state(store)}")

    def refresh(self) -> None:
        """Forget connections that were closed while they were idle."""
        for place, wire in list(self._wires.items()):
            if not (wire.is_connected and wire.is_quiet()):
                self._drop(place)

    def _drop(self, place: tuple[Store, str]) -> None:
        wire = self._wires.pop(place)
        self._commands_before += wire.tally.commands * (place[0] is Store.CLOUD)
        wire.disconnect()

    @property
    def authority(self) -> Store:
        return self.engine.board.authority.store

    @property
    def is_logged(self) -> bool:
        """Whether writes are meant to reach two stores."""
        return self.engine.board.settings.replicated

    @property
    def cloud_commands(self) -> int:
        """How many commands went to the cloud store from here."""
        open_wires = (wire for (store, _), wire in self._wires.items() if store is Store.CLOUD)
        return self._commands_before + sum(wire.tally.commands for wire in open_wires)

    # -- reading

    def can(self, store: Store) -> Capabilities:
        return capabilities_of(self.wire(store))

    def read(self, store: Store, keys: Iterable[bytes]) -> Mapping[bytes, KeyState | Absent]:
        """The states of `keys`. Raises StoreUnavailable when the store is lost, HybridError when it refuses."""
        return dict(self.read_each(store, keys))

    def read_each(self, store: Store, keys: Iterable[bytes]) -> Iterator[tuple[bytes, KeyState | Absent]]:
        """As `read`, in no order, and with no more than a few megabytes or one big key in memory."""
        waiting = list(keys)
        if not waiting:
            return
        wire = self.wire(store)
        try:
            for part in read_in_parts(wire, waiting, log_key=self.names.log):
                for key in list(part):
                    yield key, part.pop(key)[0]
        except (redis.ConnectionError, redis.TimeoutError) as error:
            why = error if isinstance(error, HybridError) else plain_reason(error)
            raise StoreUnavailable(f"the {store} store was lost: {why}") from None
        except redis.ResponseError as error:
            raise HybridError(f"the {store} store refuses to be read: {error}") from None

    def facts(self, state: KeyState | Absent) -> Facts | None:
        """What a diff says of this state."""
        stores = Store if self._both else (self.authority,)
        counted = all(self.can(store).has_stream_counters for store in stores)
        return None if isinstance(state, Absent) else facts_of(state, counted=counted)

    def ask(self, store: Store, *commands: tuple[Any, ...]) -> list[Any]:
        """The replies to `commands`. Raises HybridError for an error among them."""
        wire = self.wire(store)
        with named(store):
            replies = wire.exchange(b"".join(map(pack, commands)), len(commands))
        for reply in replies:
            if isinstance(reply, Exception):
                raise HybridError(str(reply))
        return replies

    def send(self, store: Store, packed: Sequence[bytes]) -> None:
        """Run packed commands. Raises HybridError for the first that is refused."""
        if not packed:
            return
        wire = self.wire(store)
        with named(store):
            replies = wire.exchange(b"".join(packed), len(packed))
        for reply in replies:
            if isinstance(reply, Exception):
                raise HybridError(str(reply))

    def scan(self, store: Store, scope: Scope) -> Iterator[bytes]:
        """The keys in scope, some perhaps twice, without hybrid's own."""
        if scope.keys is not None:
            yield from scope.keys
            return
        options: list[str | bytes | int] = ["MATCH", scope.pattern, "COUNT", SCAN_KEYS]
        if scope.kind:
            options += ["TYPE", "ReJSON-RL" if scope.kind == "json" else scope.kind]
        cursor = b"0"
        while True:
            cursor, keys = self.ask(store, ("SCAN", cursor, *options))[0]
            yield from (key for key in keys if not key.startswith(RESERVED))
            if cursor == b"0":
                return

    def absent(self, store: Store, keys: Sequence[bytes]) -> Iterator[bytes]:
        """Those of `keys` that the store lacks: often none or all, which takes one command to know."""
        if not keys:
            return
        present = self.ask(store, ("EXISTS", *keys))[0]
        if present == 0:
            yield from keys
        elif present < len(keys):
            half = len(keys) // 2
            yield from self.absent(store, keys[:half])
            yield from self.absent(store, keys[half:])

    def logged(self) -> Logged:
        """The keys that entries of the authority's log name: the other store may not have their last value yet."""
        keys: set[bytes] = set()
        wire = self.wire(self.authority)
        with named(self.authority):
            for number, (group, _) in enumerate(logged(wire, self.names.log, (0, 0), [])):
                if group.empties or group.refills or number == LOG_GROUPS:
                    return Logged(frozenset(), True)
                keys.update(group.keys)
        return Logged(frozenset(keys), False)

    # -- writing

    @contextmanager
    def guard(self, store: Store, keys: Iterable[bytes] = (), use: str = "guard") -> Iterator[Guard]:
        """Watch `keys`, and on the authority that it still is the authority, until the guard's commit. Guards that
        stand at the same time need names of their own.

        Raises StoreUnavailable when the store takes no writes now, or is lost.
        """
        wire = self.wire(store, use)
        names = self.names
        watched = (names.authority, *keys)
        with named(store):
            replies = wire.exchange(_UNWATCH + pack(("WATCH", *watched)) + pack(("GET", names.authority)), 3)
        for reply in replies:
            if isinstance(reply, Exception):
                raise HybridError(str(reply))
        record = Authority.parse(replies[2])
        if self.is_logged and store is self.authority and (record is None or not record.admits(store)):
            raise StoreUnavailable(f"the {store} store takes no writes now: try again in a moment")
        guard = Guard(store, wire)
        try:
            yield guard
        finally:
            if guard.watches:
                with suppress(NotSent, ReplyLost):
                    wire.exchange(_UNWATCH, 1)

    def confirm(self, store: Store, place: Position, timeout_s: float) -> None:
        """Take note of a logged write, and wait for the other store while it can confirm."""
        board = self.engine.board
        board.wrote(place)
        if board.confirms:
            board.acks[store].wait(place, timeout_s)

    def await_applied(self, source: Store, place: Position, timeout_s: float) -> bool:
        """Whether within `timeout_s` the store that is not `source` has all of `source`'s log up to `place`."""
        return self.engine.board.acks[source].wait(place, timeout_s)

    def wire(self, store: Store, use: str = "read") -> Wire:
        """A connection for one use. Raises NotSent."""
        place = (store, use)
        if place in self._wires and not self._wires[place].is_connected:
            self._drop(place)
        if place not in self._wires:
            with named(store):
                self._wires[place] = self.engine.endpoints[store].connect_raw(timeout_s=TIMEOUT_S, purpose=Purpose.SYNC)
        return self._wires[place]
