"""Both stores side by side, kept fresh in the background: asking for the overview never asks a store.

Each store has its own thread, so that a dead cloud never delays what is known of the local store. The local store is
read every 2 s (INFO, DBSIZE). The cloud is billed per command, so it is read seldom, and by INFO alone. A third
thread takes the client's status, at once after an event and else by the clock of the store that it asks: the authority.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Protocol

import redis

from hybrid.core.names import Names
from hybrid.core.refusals import Refusal, refusal_of
from hybrid.events import Event, EventLog, InSync, Recovered, StoreUp
from hybrid.observe.latency import LatencySummary, LatencyWindow
from hybrid.ops.facts import ServerFacts, server_facts
from hybrid.settings import Settings
from hybrid.types import Status, Store, StoreStatus

__all__ = ["BILLED_INTERVAL_S", "INTERVALS_S", "Observed", "Observer", "Overview", "Sample", "StoreFacts"]

logger = logging.getLogger("hybrid.observer")

INTERVALS_S: Mapping[Store, float] = MappingProxyType({Store.LOCAL: 2.0, Store.CLOUD: 10.0})
LOCAL_STATUS_S = 1.0
CLOUD_STATUS_S = (5.0, 30.0)
"""The client's status is seven commands to the authority. While that is the cloud store it is taken twice as often as
the store's own facts, but within these bounds."""

HISTORY_S = 3600.0
BILLED_INTERVAL_S = 60.0
"""Where each command to the cloud store has its price: INFO once a minute is 1,440 commands a day."""

OWN_KEYS_INTERVAL_S = 3600.0
CHANGED_INTERVAL_S = 300.0
"""How often hybrid's own keys are counted in the cloud, at most and while the number of keys changes."""

FULL_SHARE = 0.99
"""Of its memory limit. What a full store uses goes up and down by what its connections need."""

OWN = Names()
BACK = (StoreUp, Recovered, InSync)
"""Events of a store that answers again."""


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """One store: its state now, and the facts as of `observed_at_s` (Unix time). None means unknown.

    `keys` leaves out hybrid's own (in the cloud as counted in the last hour). `memory_limit_bytes` is None also
    when the store has no limit. `eviction_policy` is its `maxmemory-policy`.
    """

    status: StoreStatus
    software: str | None
    uptime_s: float | None
    clients: int | None
    keys: int | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    observed_at_s: float | None
    eviction_policy: str | None = None

    @property
    def is_full(self) -> bool | None:
        """Whether its memory limit is reached and it drops nothing: it refuses what needs memory; None when that is
        unknown."""
        if self.eviction_policy is None or self.memory_bytes is None:
            return None
        limit_bytes = self.memory_limit_bytes or math.inf
        return self.eviction_policy == "noeviction" and self.memory_bytes >= FULL_SHARE * limit_bytes

    @property
    def advice(self) -> str:
        """What to do about a store that takes nothing of what is shipped to it; "" where nobody can tell."""
        refusal = refusal_of(self.status.reason) if self.status.refuses else Refusal.THIS_KEY
        return "" if refusal is Refusal.THIS_KEY else refusal.value

    @property
    def evicts_any_key(self) -> bool | None:
        """Whether it takes keys when its memory limit is reached, hybrid's own too; None when that is unknown."""
        if self.eviction_policy is None:
            return None
        return self.eviction_policy.startswith("allkeys-") and bool(self.memory_limit_bytes)


@dataclass(frozen=True, slots=True)
class Sample:
    """One point of the charts; values are None where the store did not answer, so that a line shows the gap."""

    at_s: float
    store: Store
    p50_ms: float | None
    p99_ms: float | None
    keys: int | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the first page, `hybrid status` and the health document show. `samples` reach back one hour."""

    status: Status
    settings: Settings
    local: StoreFacts
    cloud: StoreFacts | None
    samples: tuple[Sample, ...]
    events: tuple[Event, ...]
    embedded: bool
    taken_at_s: float


class Observed(Protocol):
    """The part of `HybridRedis` that an observer needs."""

    @property
    def settings(self) -> Settings: ...
    @property
    def events(self) -> EventLog: ...
    def status(self) -> Status: ...
    def store(self, store: Store) -> redis.Redis: ...
    def latency(self, store: Store) -> LatencySummary | None: ...


class StoreWatch:
    """Reads the facts of one store; remembers the last good ones."""

    def __init__(self, client: Observed, store: Store, own_keys: Sequence[bytes]) -> None:
        self._client = client
        self._store = store
        self._own_keys = own_keys
        self._own_count = 0
        self._own_counted_at_s = -OWN_KEYS_INTERVAL_S
        self._own_counted_of = 0
        self._probes = LatencyWindow(keep=100, horizon_s=120.0)
        self._connection: tuple[str, redis.Redis] | None = None
        self._last = ServerFacts()
        self._latency: LatencySummary | None = None
        self._observed_at_s: float | None = None

    def read(self) -> Sample:
        """Ask the store once, and return the point for the chart. A store that does not answer is no error here."""
        try:
            facts = self._read_facts(self._connected())
        except (redis.RedisError, OSError) as error:
            logger.debug("%s store not observed: %s", self._store, error)
            self._own_counted_at_s = -OWN_KEYS_INTERVAL_S
            return Sample(time.time(), self._store, None, None, None, None)
        latency = self._client.latency(self._store) or self._probes.summary()
        now = time.time()
        self._last, self._latency, self._observed_at_s = facts, latency, now
        p50, p99 = (latency.p50_ms, latency.p99_ms) if latency else (None, None)
        return Sample(now, self._store, p50, p99, facts.keys, facts.memory_bytes)

    def facts(self, status: StoreStatus) -> StoreFacts:
        """The last good facts beside the state that holds now."""
        last, latency = self._last, self._latency
        return StoreFacts(
            status=status,
            software=last.software,
            uptime_s=last.uptime_s,
            clients=last.clients,
            keys=last.keys,
            memory_bytes=last.memory_bytes,
            memory_limit_bytes=last.memory_limit_bytes,
            latency_p50_ms=latency.p50_ms if latency else None,
            latency_p99_ms=latency.p99_ms if latency else None,
            observed_at_s=self._observed_at_s,
            eviction_policy=last.eviction_policy,
        )

    def close(self) -> None:
        if self._connection:
            self._connection[1].close()
            self._connection = None

    def _read_facts(self, connection: redis.Redis) -> ServerFacts:
        facts = server_facts(self._probed_info(connection), database(connection))
        keys = facts.keys
        if keys is None or self._store is Store.LOCAL:
            keys = int(connection.dbsize())
        return replace(facts, keys=max(keys - self._own(connection, keys), 0))

    def _probed_info(self, connection: redis.Redis) -> Mapping[str, object]:
        """INFO, with one round trip timed: a PING, or in the cloud INFO itself, one command instead of two."""
        started = time.perf_counter()
        if self._store is Store.LOCAL:
            connection.ping()
            self._probes.record(time.perf_counter() - started)
            return self._info(connection)
        info = self._info(connection)
        self._probes.record(time.perf_counter() - started)
        return info

    @staticmethod
    def _info(connection: redis.Redis) -> Mapping[str, object]:
        """What INFO says; nothing where it is not offered, or the user may not ask: the rest is known all the same."""
        try:
            return dict(connection.info())
        except redis.ResponseError as error:
            logger.debug("INFO is refused: %s", error)
            return {}

    def _own(self, connection: redis.Redis, keys: int) -> int:
        """How many of hybrid's own keys are in the key count; in the cloud asked rarely, because EXISTS is billed."""
        age_s = time.monotonic() - self._own_counted_at_s
        changed = keys != self._own_counted_of and age_s >= CHANGED_INTERVAL_S
        if self._store is Store.LOCAL or changed or age_s >= OWN_KEYS_INTERVAL_S:
            self._own_count = int(connection.exists(*self._own_keys))
            self._own_counted_at_s, self._own_counted_of = time.monotonic(), keys
        return self._own_count

    def _connected(self) -> redis.Redis:
        """A plain client of the store, kept for as long as the settings name the same one."""
        settings = self._client.settings
        url = str(settings.local_url if self._store is Store.LOCAL else settings.cloud_url)
        if self._connection is None or self._connection[0] != url:
            self.close()
            connection = self._client.store(self._store)
            connection.ping()  # connecting takes several round trips: it must not count as the latency of one
            self._connection = (url, connection)
        return self._connection[1]


class Observer:
    """Keeps an `Overview` fresh. `start` it once; `overview` is safe from any thread, before and after."""

    def __init__(
        self,
        client: Observed,
        *,
        embedded: bool = False,
        intervals_s: Mapping[Store, float] = INTERVALS_S,
        names: Names = OWN,
    ) -> None:
        self._client = client
        self._embedded = embedded
        self._intervals_s = intervals_s
        shortest_s, longest_s = CLOUD_STATUS_S
        cloud_status_s = min(max(intervals_s[Store.CLOUD] / 2, shortest_s), longest_s)
        self._status_intervals_s = {Store.LOCAL: LOCAL_STATUS_S, Store.CLOUD: cloud_status_s}
        self._watches = {store: StoreWatch(client, store, names.keys) for store in Store}
        self._samples: deque[Sample] = deque(maxlen=sum(int(HISTORY_S / intervals_s[store]) for store in Store))
        self._status: Status | None = None
        self._news = threading.Event()
        self._back = {store: threading.Event() for store in Store}
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to watch, on daemon threads."""
        if self._threads:
            return
        self._client.events.add_hook(self._happened)
        works: list[tuple[str, Callable[[], None]]] = [
            ("status", self._watch_status),
            *((store.value, partial(self._watch, store)) for store in Store),
        ]
        for name, work in works:
            self._threads.append(threading.Thread(target=work, name=f"hybrid-observer-{name}", daemon=True))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop watching; waits a moment for a read that is under way."""
        self._stop.set()
        self._news.set()
        for back in self._back.values():
            back.set()
        for thread in self._threads:
            thread.join(timeout=2.0)

    @property
    def ready(self) -> bool:
        """Whether a first status was taken, so that `overview` returns at once."""
        return self._status is not None

    def overview(self) -> Overview:
        """The latest snapshot, at once: no store is asked (but before `start` has taken the first status)."""
        status = self._status or self._client.status()
        now = time.time()
        return Overview(
            status=status,
            settings=self._client.settings,
            local=self._watches[Store.LOCAL].facts(status.local),
            cloud=self._watches[Store.CLOUD].facts(status.cloud) if status.cloud else None,
            samples=tuple(sample for sample in self._samples.copy() if sample.at_s >= now - HISTORY_S),
            events=self._client.events.recent(),
            embedded=self._embedded,
            taken_at_s=now,
        )

    def _happened(self, event: Event) -> None:
        """A new status at once; and of a store that is back, new facts: those of before are of another time."""
        if isinstance(event, BACK):
            self._back[event.store].set()
        self._news.set()

    def _watch_status(self) -> None:
        while not self._stop.is_set():
            self._news.clear()  # before the status is taken: what happens meanwhile is news again
            try:
                self._status = self._client.status()
            except Exception:  # the watch must outlive any surprise in a reply
                logger.exception("taking the status failed")
            authority = self._status.authority if self._status else Store.LOCAL
            self._news.wait(self._status_intervals_s[authority])

    def _watch(self, store: Store) -> None:
        watch = self._watches[store]
        try:
            while not self._stop.is_set():
                self._back[store].clear()  # before it is read: what comes back meanwhile is read again
                if store is Store.LOCAL or self._client.settings.cloud_url:
                    self._observe(watch)
                self._back[store].wait(self._intervals_s[store])
        finally:
            watch.close()

    def _observe(self, watch: StoreWatch) -> None:
        try:
            self._samples.append(watch.read())
        except Exception:  # the watch must outlive any surprise in a reply
            logger.exception("observing a store failed")


def database(connection: redis.Redis) -> int:
    return int(connection.connection_pool.connection_kwargs.get("db") or 0)
