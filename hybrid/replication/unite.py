"""Two stores that both hold data become one pair, on an operator's word. Live clients notice by themselves.

The store whose data counts logs that everything is to be copied anew (`r`) and gets the authority; then the other one
gets its mark. Whichever process ships does the rest as it does any refill: under live writes, and anew if interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final

import redis

from hybrid.core.authority import Authority, Holder
from hybrid.core.conflict import Conflict, Side
from hybrid.core.marks import Marks
from hybrid.core.names import RESERVED, Names
from hybrid.core.outcomes import named
from hybrid.core.resp import pack
from hybrid.core.state import ABSENT, Absent, KeyState
from hybrid.errors import HybridError
from hybrid.replication.archive import archive_command, fitted, put_of, same
from hybrid.replication.copy import put_commands, read_states
from hybrid.replication.records import transaction
from hybrid.stores.capabilities import capabilities_of
from hybrid.stores.endpoint import Endpoint
from hybrid.stores.wire import Wire, plain_reason
from hybrid.types import Store

__all__ = ["Comparison", "Unity"]

BATCH_KEYS: Final = 200
TRIES: Final = 20
PATIENCE_S: Final = 10.0
GREETED_S: Final = 1.5
"""Longer than live clients take to greet a store that was refused: then they write to it at once, and none fails."""
WHY: Final = "paired by merge: the stores held different values of this key"

State = KeyState | Absent
Report = Callable[["Comparison"], None]


@dataclass(slots=True)
class Comparison:
    """Counts of keys, so far."""

    equal: int = 0
    different: int = 0
    only_local: int = 0
    only_cloud: int = 0

    def add(self, local: State, cloud: State) -> None:
        if local is ABSENT or cloud is ABSENT:
            self.only_local += local is not ABSENT
            self.only_cloud += cloud is not ABSENT
        elif same(local, cloud):
            self.equal += 1
        else:
            self.different += 1


class Unity:
    """Works on both stores over connections of its own. Raises HybridError when a store refuses or is lost."""

    def __init__(self, endpoints: Mapping[Store, Endpoint], names: Names) -> None:
        self._names = names
        self._endpoints = endpoints
        self._wires: dict[Store, Wire] = {}
        self._writer: Wire | None = None

    def __enter__(self) -> Unity:
        try:
            for store, endpoint in self._endpoints.items():
                with named(store):
                    self._wires[store] = endpoint.connect_raw(timeout_s=PATIENCE_S)
            with named(Store.LOCAL):
                self._writer = self._endpoints[Store.LOCAL].connect_raw(timeout_s=PATIENCE_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for wire in (*self._wires.values(), self._writer):
            if wire is not None:
                wire.disconnect()

    @property
    def _local_writer(self) -> Wire:
        assert self._writer is not None, "outside of its block"
        return self._writer

    @property
    def is_paired(self) -> bool:
        """Whether both stores have their mark, and are not halves of two other pairs."""
        local, cloud = (Marks(*self._one(store, *self._names.ask_marks)) for store in Store)
        return None not in (local.own, cloud.own) and not local.is_foreign_to(cloud)

    def sizes(self) -> dict[Store, int]:
        """The application's keys on each store, hybrid's own not counted."""
        own = ("EXISTS", *self._names.keys)
        return {store: self._one(store, "DBSIZE") - self._one(store, *own) for store in Store}

    def compare(self, report: Report) -> Comparison:
        """Read both stores whole; `report` is called after each batch."""
        found = Comparison()
        for batch in self._batches():
            for local, cloud in self._read(batch):
                found.add(local, cloud)
            report(found)
        return found

    def merge(self, prefer: Store, author: str, report: Report) -> Comparison:
        """Bring what only the cloud store has to the local one; where values differ, the preferred store's goes there
        and the other to the archive. Afterwards the local store has everything that counts: call `take(LOCAL)`."""
        found = Comparison()
        for batch in self._batches():
            unsettled: list[bytes] = []
            for key, (local, cloud) in zip(batch, self._read(batch), strict=True):
                found.add(local, cloud)
                if cloud is not ABSENT and not same(local, cloud):
                    unsettled.append(key)
            self._settle(unsettled, prefer, author)
            report(found)
        return found

    def take(self, source: Store) -> Authority:
        """Make `source`'s data the pair's: the other store is refilled from it. The new authority record."""
        names = self._names
        known = [Authority.parse(self._one(store, "GET", names.authority)) for store in Store]
        epoch = max((record.epoch for record in known if record), default=0) + 1
        record = Authority(Holder(source.value), epoch)
        refill = [
            ("XTRIM", names.log, "MAXLEN", 0),
            ("XADD", names.log, "*", "r", "1"),
            ("XADD", names.log, "*", "s", names.conflicts),
        ]
        forget = [("XTRIM", names.log, "MAXLEN", 0), ("DEL", names.seal, names.merged)]
        if source is Store.CLOUD:
            # What was logged on the local store does not count, but what is written there from now on does.
            self._run(Store.LOCAL, [("XTRIM", names.log, "MAXLEN", 0)])
            self._install(Store.CLOUD, record, [*forget[1:], *refill])
            time.sleep(GREETED_S)
            there = Authority.parse(self._one(Store.LOCAL, "GET", names.authority))
            if there is None or there.epoch < epoch:
                self._install(Store.LOCAL, record, [])
        else:
            self._install(Store.LOCAL, record, refill)
            self._install(Store.CLOUD, record, forget)
        return record

    def _install(self, store: Store, record: Authority, commands: list[tuple[Any, ...]]) -> None:
        """The mark, the record and `commands` on a store, in one transaction, and word of it to live clients. After it
        no shipper goes on from where an earlier stream ended in order."""
        mark = ("SET", self._names.identity, token_hex(8), "NX")
        told = ("PUBLISH", self._endpoints[store].moved, record.record)
        anew = ("DEL", self._names.stream, self._names.sent, self._names.partner)
        self._run(store, [anew, *commands, ("SET", self._names.authority, record.record), mark, told])

    def _batches(self) -> Iterator[list[bytes]]:
        """All keys of both stores, each once; the names of all of them are held in memory."""
        seen: set[bytes] = set()
        for store in Store:
            cursor = b"0"
            while True:
                cursor, keys = self._one(store, "SCAN", cursor, "COUNT", BATCH_KEYS)
                fresh = [key for key in dict.fromkeys(keys) if key not in seen and not key.startswith(RESERVED)]
                seen.update(fresh)
                if fresh:
                    yield fresh
                if cursor == b"0":
                    break

    def _read(self, keys: list[bytes]) -> list[tuple[State, State]]:
        local, cloud = (self._states(store, keys) for store in Store)
        return [(local[key], cloud[key]) for key in keys]

    def _states(self, store: Store, keys: list[bytes]) -> dict[bytes, State]:
        try:
            found = read_states(self._wires[store], keys, log_key=self._names.log)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            why = error if isinstance(error, HybridError) else plain_reason(error)
            raise HybridError(f"the {store} store was lost: {why}") from None
        return {key: state for key, (state, _) in found.items()}

    def _settle(self, keys: list[bytes], prefer: Store, author: str) -> None:
        """Keys that the local store lacks, or has otherwise, while applications may write them."""
        for _ in range(TRIES if keys else 0):
            with named(Store.LOCAL):
                self._checked(self._local_writer.exchange(pack(("WATCH", *keys)), 1)[0])
            commands: list[bytes] = []
            for key, (local, cloud) in zip(keys, self._read(keys), strict=True):
                if cloud is not ABSENT and not same(local, cloud):
                    commands += self._commands(key, local, cloud, prefer, author)
            with named(Store.LOCAL):
                done = transaction(self._local_writer, commands, patience_s=PATIENCE_S)
            if done is not None:
                return
            if len(keys) > 1:
                for key in keys:
                    self._settle([key], prefer, author)
                return
        if keys:
            raise HybridError(f"key {keys[0]!r} never stood still; try again when less is written")

    def _commands(self, key: bytes, local: State, cloud: State, prefer: Store, author: str) -> list[bytes]:
        commands: list[bytes] = []
        can = capabilities_of(self._wires[Store.LOCAL])
        if local is ABSENT or prefer is Store.CLOUD:
            *filling, commands = put_commands(key, cloud, can)
            for group in filling:
                for command in group:
                    self._sent(Store.LOCAL, command)
        if local is not ABSENT:
            ours, theirs = Side(Store.LOCAL, put_of(key, local, can)), Side(Store.CLOUD, put_of(key, cloud, can))
            lost, kept = (theirs, ours) if prefer is Store.LOCAL else (ours, theirs)
            conflict, aside = fitted(Conflict("", key, lost, kept, f"{WHY} ({author})"), b"pair")
            for command in aside:  # first of all: the value is still there
                self._sent(lost.store, command)
            commands.append(archive_command(self._names, conflict))
        return commands

    def _run(self, store: Store, commands: list[tuple[Any, ...]]) -> None:
        wire = self._wires[store]
        payload = b"".join(pack(command) for command in (("MULTI",), *commands, ("EXEC",)))
        with named(store):
            replies = wire.exchange(payload, len(commands) + 2)
        for reply in replies:
            for part in reply if isinstance(reply, list) else (reply,):
                self._checked(part)

    def _one(self, store: Store, *command: Any) -> Any:
        return self._sent(store, pack(command))

    def _sent(self, store: Store, packed: bytes) -> Any:
        with named(store):
            return self._checked(self._wires[store].exchange(packed, 1)[0])

    @staticmethod
    def _checked(reply: Any) -> Any:
        if isinstance(reply, Exception):
            raise HybridError(str(reply))
        return reply
