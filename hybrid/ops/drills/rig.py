"""The stage of a drill: links that can fail in front of both stores, a client of its own behind them, probe keys.

Neither the servers nor the applications notice: the faults are in the drill's own links, its keys have a prefix of
their own, and its client keeps log, authority and lease under a namespace of its own.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hybrid.core.authority import FIRST
from hybrid.core.names import Names
from hybrid.ops.drills import leftovers
from hybrid.ops.drills.witness import Witness, fallen_out
from hybrid.settings import Settings
from hybrid.stores.link import Link
from hybrid.stores.pools import pool_of
from hybrid.stores.wire import plain_reason
from hybrid.types import Store

if TYPE_CHECKING:
    from hybrid.client import HybridRedis

__all__ = ["Absent", "Cancelled", "Failed", "Lost", "Rig", "Skipped", "loopback_url"]

logger = logging.getLogger("hybrid.drills")

DIRECT_TIMEOUT_S = 5.0
CHEAP_SCAN_KEYS = 20_000
PORTS = {"redis": 6379, "rediss": 6379}


class Failed(Exception):
    """A step found something wrong; the message says what, in plain words."""


class Lost(Failed):
    """Data is missing or differs, which no busy machine excuses."""


class Absent(Failed):
    """A store is down before anything was tried on it."""


class Skipped(Exception):
    """A step does not apply; the message says why."""


class Cancelled(Exception):
    """The run was cancelled while a step waited."""


def loopback_url(url: str, port: int) -> str:
    """`url` led through a link on this machine. TLS still verifies the chain; only the host name cannot match."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    query = parse_qsl(parts.query)
    if parts.scheme == "rediss":
        query.append(("ssl_check_hostname", "false"))
    netloc = f"{login}@127.0.0.1:{port}" if login else f"127.0.0.1:{port}"
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(query), ""))


class Rig:
    """What the steps of one run work with. `close` removes every trace of it from both stores."""

    def __init__(self, settings: Settings, cancel: threading.Event) -> None:
        self.settings = settings
        self.id = secrets.token_hex(4)
        self.prefix = leftovers.key_prefix(self.id)
        self.names = Names(leftovers.namespace(self.id).encode())
        self.cancel = cancel
        self.urls = {
            store: url
            for store, url in ((Store.LOCAL, settings.local_url), (Store.CLOUD, settings.cloud_url))
            if url is not None
        }
        self.links: dict[Store, Link] = {}
        self.client: HybridRedis | None = None
        timeouts_s = {Store.LOCAL: settings.local_timeout_s, Store.CLOUD: settings.cloud_timeout_s}
        self.witness = Witness({store: timeouts_s[store] for store in self.urls})
        self._harmed: tuple[Store, ...] = ()
        self._healed_s: float | None = None
        self.keys: set[str] = set()
        self._direct: dict[Store, redis.Redis] = {}

    @property
    def replicated(self) -> bool:
        """Whether the drill's client keeps two stores."""
        return len(self.urls) == 2 and self.settings.write_both

    def key(self, name: str) -> str:
        """A probe key, remembered so that it will be removed."""
        key = self.prefix + name
        self.keys.add(key)
        return key

    def direct(self, store: Store) -> redis.Redis:
        """A plain client of the real store, past links and replication, with patient timeouts."""
        if store not in self._direct:
            self._direct[store] = self.raw(store, decode_responses=True)
        return self._direct[store]

    def raw(self, store: Store, *, decode_responses: bool = False) -> redis.Redis:
        """As `direct`, but the caller's own, which leaves replies as bytes."""
        return self._plain(self.urls[store], decode_responses=decode_responses)

    def through_link(self, store: Store) -> redis.Redis:
        """A plain client on the way that the drill's client takes."""
        return self._plain(loopback_url(self.urls[store], self.links[store].port))

    @staticmethod
    def _plain(url: str, *, decode_responses: bool = False) -> redis.Redis:
        pool = pool_of(
            url,
            decode_responses=decode_responses,
            socket_timeout=DIRECT_TIMEOUT_S,
            socket_connect_timeout=DIRECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        return redis.Redis.from_pool(pool)

    def the_client(self) -> HybridRedis:
        if self.client is None:
            raise Skipped("the drill's client could not be opened")
        return self.client

    def enrol(self) -> None:
        """Have what this run leaves removed should it be killed, and remove what others left."""
        for store in self.urls:
            with suppress(redis.RedisError, OSError):  # a store that is down is told in other ways
                leftovers.begin(self.direct(store), self.id)
                leftovers.sweep(self.direct(store))

    def open_linked(self) -> HybridRedis:
        """Open the drill's client through a link to each store. Raises Skipped for a store without a TCP address."""
        for store, url in self.urls.items():
            parts = urlsplit(url)
            if parts.scheme not in PORTS:
                raise Skipped(f"no fault can be injected in front of a {parts.scheme}:// address")
            self.links[store] = Link(str(parts.hostname), parts.port or PORTS[parts.scheme], round_trip_s=0.0).start()
        self._pair()
        self.witness.start().ask(self.through_link)
        return self._open({store: loopback_url(url, self.links[store].port) for store, url in self.urls.items()})

    def open_plain(self) -> HybridRedis:
        """Open the drill's client without links, as an application would; the one behind links is closed."""
        self.close_client()
        return self._open(self.urls)

    def _pair(self) -> None:
        """Mark both stores as a pair that agrees: new ones would be filled from each other, with all data in use.
        Raises Absent when a store is down already."""
        if self.replicated:
            for store in Store:
                try:
                    self.direct(store).mset({self.names.identity: self.id, self.names.authority: FIRST.record})
                except (redis.ConnectionError, redis.TimeoutError, OSError) as error:
                    raise Absent(f"the {store} store did not answer: {plain_reason(error)}") from error

    def _open(self, urls: dict[Store, str]) -> HybridRedis:
        from hybrid.client import HybridRedis

        cloud = urls.get(Store.CLOUD) if self.replicated or Store.LOCAL not in urls else None
        self.client = HybridRedis.from_urls(
            urls.get(Store.LOCAL),
            cloud,
            decode_responses=True,
            namespace=self.names.prefix.decode(),
            write_both=self.settings.write_both,
            ack=self.settings.ack,
            read_preference=self.settings.read_preference,
            local_timeout_s=self.settings.local_timeout_s,
            cloud_timeout_s=self.settings.cloud_timeout_s,
            sync_enabled=False,
        )
        return self.client

    def harm(self, *stores: Store) -> None:
        """A fault of these stores, and of no other, begins."""
        self.witness.excuse(*stores)
        self._harmed, self._healed_s = stores, None

    def heal(self) -> None:
        """The fault is over; those stores are whole again."""
        self._healed_s = time.time()

    def excuse(self, since_s: float) -> str:
        """Why what came late since then (Unix time) proves nothing; "" when it does."""
        return self.fallen_out(since_s) or self.witness.busy

    def fallen_out(self, since_s: float = 0.0) -> str:
        """That a store fell out without any fault since then; "" if none did."""
        seen = self.client.events.recent() if self.client else ()
        return fallen_out(seen, self._harmed, since_s, self._healed_s)

    def wait(self, condition: Callable[[], object], what: str, timeout_s: float) -> float:
        """Wait until `condition()` holds; returns the seconds it took. Raises Failed in the end, or Cancelled."""
        started = time.monotonic()
        while not condition():
            if self.cancel.is_set():
                raise Cancelled
            if time.monotonic() - started > timeout_s:
                raise Failed(f"{what} did not happen within {timeout_s:g} s{self._seen()}")
            time.sleep(0.01)
        return time.monotonic() - started

    def _seen(self) -> str:
        """What the client makes of its stores, for whoever looks for the reason."""
        if self.client is None:
            return ""
        status = self.client.status()
        stores = [f"{store.store} is {store.state} ({store.reason})" for store in (status.local, status.cloud) if store]
        return f": {', '.join(stores)}, the {status.authority} store has the authority"

    def close_client(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            client.close()

    def close(self) -> list[str]:
        """End the faults, close everything, remove all keys. Returns what could not be removed, and why."""
        for link in self.links.values():
            with suppress(OSError):
                link.heal()
        self.witness.close()
        with suppress(redis.RedisError, OSError):
            self.close_client()
        for link in self.links.values():
            link.close()
        left = [f"{store}: {reason}" for store in self.urls if (reason := self._remove_keys(store))]
        for connection in self._direct.values():
            connection.close()
        return left

    def _remove_keys(self, store: Store) -> str | None:
        connection = self.direct(store)
        try:
            connection.delete(*self.names.keys, *self.keys)
            if connection.dbsize() <= CHEAP_SCAN_KEYS:  # on a large store that bills commands, the known names must do
                for prefix in (self.prefix, self.names.prefix.decode()):
                    if left := list(connection.scan_iter(match=f"{prefix}*", count=1000)):
                        connection.delete(*left)
            leftovers.end(connection, self.id)
        except (redis.RedisError, OSError) as error:
            logger.warning("keys of drill %s remain on the %s store: %s", self.id, store, error)
            return plain_reason(error)
        return None
