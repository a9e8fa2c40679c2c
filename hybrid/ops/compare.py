"""Compare two stores completely: every key, by type, value and expiry. The oracle of tests and drills.

It reads everything, so on a store that bills commands it costs four or more for each key: for the periodic check of a
live pair use the cheaper drift check instead. Writes that run meanwhile may show as differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import redis
from redis.connection import Connection

from hybrid.core.key_state import Hash
from hybrid.core.names import RESERVED
from hybrid.core.state import ABSENT, Absent, KeyState, findings
from hybrid.core.state_replies import now_ms
from hybrid.replication.copy import read_states
from hybrid.stores.exchange import exchange

__all__ = ["Comparison", "Difference", "compare"]

LISTED = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """One cause why one key differs. `cause` is "only local", "only cloud" or one of `hybrid.core.state.differences`;
    `local` and `cloud` show the first place where the two differ, shortened for people.
    """

    key: bytes
    cause: str
    local: str
    cloud: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`equal` counts keys; `different` counts keys with at least one difference, all of them. `differences` lists the
    first 1,000 causes found. Keys that expired while they were compared are in no count.
    """

    local_keys: int
    cloud_keys: int
    equal: int
    different: int
    differences: tuple[Difference, ...]

    @property
    def identical(self) -> bool:
        return self.different == 0


def compare(
    local: redis.Redis,
    cloud: redis.Redis,
    *,
    match: str = "*",
    batch: int = 500,
    ttl_tolerance_ms: int = 1000,
) -> Comparison:
    """Read every key of both stores that matches the glob `match`, in batches of `batch` keys, and compare.

    hybrid's own keys are left out. Expiries may differ by `ttl_tolerance_ms`; what else counts as equal is said at
    `hybrid.core.state.differences`. The clients serve for their connection settings only: one connection to each
    store is opened and closed. Holds the names of all local keys in memory.

    Raises `redis.ConnectionError`, `redis.TimeoutError` or `redis.ResponseError` when a store cannot be read.
    """
    with dedicated(local) as here, dedicated(cloud) as there:
        tally = Tally(here, there, ttl_tolerance_ms)
        seen: set[bytes] = set()
        for connection in (here, there):
            for keys in scanned(connection, match.encode(), batch):
                fresh = [key for key in keys if key not in seen]
                seen.update(fresh)
                tally.add(fresh)
        return tally.comparison()


class Tally:
    """The running counts of one comparison."""

    def __init__(self, local: Connection, cloud: Connection, ttl_tolerance_ms: int) -> None:
        self.local = local
        self.cloud = cloud
        self.ttl_tolerance_ms = ttl_tolerance_ms
        self.local_keys = self.cloud_keys = self.equal = self.different = 0
        self.listed: list[Difference] = []

    def add(self, keys: list[bytes]) -> None:
        here, there = read_states(self.local, keys), read_states(self.cloud, keys)
        for key in keys:
            self.add_key(key, here[key][0], there[key][0])

    def add_key(self, key: bytes, here: KeyState | Absent, there: KeyState | Absent) -> None:
        if self.expiring(here, there):
            return
        found = list(self.differences_of(key, here, there))
        if found and (due := self.due_fields(here) | self.due_fields(there)):
            here, there = without(here, due), without(there, due)
            if self.expiring(here, there):
                return
            found = list(self.differences_of(key, here, there))
        self.local_keys += isinstance(here, KeyState)
        self.cloud_keys += isinstance(there, KeyState)
        self.equal += not found
        self.different += bool(found)
        self.listed += found[: LISTED - len(self.listed)]

    def differences_of(self, key: bytes, here: KeyState | Absent, there: KeyState | Absent) -> Iterator[Difference]:
        if isinstance(here, KeyState) and isinstance(there, KeyState):
            for cause, local, cloud in findings(here, there, ttl_tolerance_ms=self.ttl_tolerance_ms):
                yield Difference(key, cause, local, cloud)
        else:
            yield Difference(
                key, "only local" if isinstance(here, KeyState) else "only cloud", shown(here), shown(there)
            )

    def expiring(self, here: KeyState | Absent, there: KeyState | Absent) -> bool:
        """Gone from both, or from one while its time on the other is up within the tolerance: no difference."""
        match here, there:
            case (KeyState(), KeyState()):
                return False
            case (KeyState() as state, _):
                return self.is_due(state, self.local)
            case (_, KeyState() as state):
                return self.is_due(state, self.cloud)
            case _:
                return True

    def due_fields(self, state: KeyState | Absent) -> set[bytes]:
        """Fields of a hash whose own time is up within the tolerance: each store lets go of them in its own moment."""
        if isinstance(state, Absent) or not isinstance(state.body, Hash) or not state.body.field_expires_at_ms:
            return set()
        [now] = exchange(self.local, [(b"TIME",)])
        limit_ms = now_ms(now) + self.ttl_tolerance_ms
        return {name for name, at_ms in state.body.field_expires_at_ms.items() if at_ms <= limit_ms}

    def is_due(self, state: KeyState, connection: Connection) -> bool:
        if state.expires_at_ms is None:
            return False
        [now] = exchange(connection, [(b"TIME",)])
        return state.expires_at_ms <= now_ms(now) + self.ttl_tolerance_ms

    def comparison(self) -> Comparison:
        return Comparison(self.local_keys, self.cloud_keys, self.equal, self.different, tuple(self.listed))


def without(state: KeyState | Absent, names: set[bytes]) -> KeyState | Absent:
    """A hash without these fields; without any left it is absent."""
    if isinstance(state, Absent) or not isinstance(state.body, Hash):
        return state
    fields = {name: value for name, value in state.body.fields.items() if name not in names}
    times = {name: at_ms for name, at_ms in state.body.field_expires_at_ms.items() if name not in names}
    return replace(state, body=Hash(fields, times)) if fields else ABSENT


def shown(state: KeyState | Absent) -> str:
    if isinstance(state, Absent):
        return "absent"
    return f"{state.kind}, {state.element_count} elements, {state.size_bytes} bytes"


def scanned(connection: Connection, match: bytes, batch: int) -> Iterator[list[bytes]]:
    """The keys of a store, some perhaps twice, without hybrid's own."""
    cursor = b"0"
    while True:
        [reply] = exchange(connection, [(b"SCAN", cursor, b"MATCH", match, b"COUNT", b"%d" % batch)])
        if isinstance(reply, redis.ResponseError):
            raise reply
        cursor, keys = reply
        yield [key for key in keys if not key.startswith(RESERVED)]
        if cursor == b"0":
            return


@contextmanager
def dedicated(client: redis.Redis) -> Iterator[Connection]:
    """A connection with the client's settings, but that leaves replies as bytes."""
    pool = client.connection_pool
    connection = pool.connection_class(**(pool.connection_kwargs | {"decode_responses": False}))
    try:
        yield connection
    finally:
        connection.disconnect()
