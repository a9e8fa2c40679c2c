"""`HybridRedis`: a `redis.Redis` whose data lives in two stores."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.client import Monitor
from redis.retry import Retry

from hybrid import events, loading
from hybrid.base import CLOSE_S, Base
from hybrid.module_parts import DECODER, ENCODER
from hybrid.pipeline import HybridPipeline
from hybrid.pubsub import HybridPubSub
from hybrid.replication.inspection import in_sync, taken_status
from hybrid.settings import Settings
from hybrid.stores.pools import metered_pool, pool_of
from hybrid.types import Purpose, Status, Store

if TYPE_CHECKING:
    from hybrid.modules import HybridJson, HybridSearch, HybridSeries

__all__ = ["HybridRedis"]

P = ParamSpec("P")
T = TypeVar("T")


class HybridRedis(Base, redis.Redis):
    """A drop-in `redis.Redis` over a local and a cloud store.

    Open one per process with `from_env` or `from_urls` and share it: it is thread-safe and survives `fork`. Options
    that are not settings (decode_responses, protocol, ssl_ca_certs, ...) go to redis-py's connections.

    Args:
        settings: see `hybrid.settings.Settings`.
        connection_pool: instead of settings, see `from_pool`; frameworks construct clients so.
        options: without settings also redis-py's `host`, `port`, `password` and so on: the local store. The cloud
            one is `cloud_url`, or comes from the environment.
        hooks: called with each `hybrid.events.Event`.
        namespace: prefix of hybrid's own keys; clients with different ones replicate independently (drills do).

    Raises:
        ConfigurationError: no local store is configured, or a URL is malformed.
    """

    _pool_of = staticmethod(pool_of)

    # -- opening and closing

    def start(self) -> None:
        """Connect and begin to ship now, rather than at the first command."""
        self._engine.start()

    def close(self) -> None:
        """Flush (wait up to 2 s for the other store to have everything), then end threads and connections. A command
        after that opens the client again, as with redis-py."""
        engine = self._engine
        if self._original is not None or not engine.has_started:
            return
        cloud_is_lost = self._board.state(Store.CLOUD).is_lost
        flushed = not cloud_is_lost and self.settings.replicated and self.wait_in_sync(CLOSE_S)
        lag = 0 if flushed else self.status().lag_entries
        engine.close()
        self.events.emit(events.Stopped(unshipped=lag))
        self._ended(engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what is going on

    def status(self) -> Status:
        """What this process knows of both stores now. Asks only a store that is up, and never waits for a dead one."""
        self._engine.start()
        return taken_status(self._engine)

    def wait_in_sync(self, timeout_s: float) -> bool:
        """Whether, within `timeout_s`, both stores have everything that was written before this call."""
        self._engine.start()
        return in_sync(self._engine, timeout_s)

    def change_settings(self, **changes: Any) -> Settings:
        """Change settings of this process alone, effective at once; `hybrid.ops.control` changes those of all.

        They count as arguments from now on. Switching dual write on again makes the stores equal, in the background:
        until then the cloud store counts as behind. Raises ConfigurationError.
        """
        return self.live.pin(changes)

    def store(self, store: Store, purpose: Purpose = Purpose.PANEL) -> redis.Redis:
        """A plain client of one store, for looking at it. What is written through it is not replicated; what it costs
        is counted under `purpose`."""
        return redis.Redis.from_pool(self._pool(store, purpose, retry=None))

    def _pool(self, store: Store, purpose: Purpose, **options: Any) -> redis.ConnectionPool:
        endpoint = self._endpoint(store)
        timeouts = {"socket_timeout": endpoint.timeout_s, "socket_connect_timeout": endpoint.connect_timeout_s}
        return metered_pool(endpoint.url, endpoint.meter, purpose, **{**self._options, **timeouts, **options})

    def _listening_pool(self, store: Store) -> redis.ConnectionPool:
        """Connections on which a lost one is not tried again, because the store may be another one."""
        return self._pool(store, Purpose.APPLICATION, retry=Retry(NoBackoff(), 0))

    # -- commands

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command by the policy that the command table gives it.

        Raises:
            CommandRefused: it cannot be kept equal on two stores; the error says why.
            AllStoresDown, OutcomeUnknown: see `hybrid.errors`.
            redis.RedisError: whatever the server answers.
        """
        return self.parsed(args[0], self._engine.drive(self.called(args, options)), options)

    def client(self) -> Self:
        """redis-py: a client of one connection. Which connection serves a command is hybrid's to decide, so this is
        the same client under another name; closing it closes nothing."""
        alias = copy.copy(self)
        alias._original = self  # what runs in threads ends when the original is dropped
        alias.response_callbacks = copy.copy(self.response_callbacks)
        return alias

    def pipeline(self, transaction: bool = True, shard_hint: Any = None) -> HybridPipeline:
        """A pipeline or transaction; on the other store it arrives as one."""
        return HybridPipeline(self, transaction, shard_hint)

    def json(self, encoder: Any = ENCODER, decoder: Any = DECODER) -> HybridJson:
        """redis-py's commands on JSON documents; its pipeline reaches both stores too."""
        from hybrid.modules import HybridJson  # only now: they are heavy

        return HybridJson(client=self, encoder=encoder, decoder=decoder)

    def ft(self, index_name: str = "idx") -> HybridSearch:
        """redis-py's commands on a search index; its pipeline reaches both stores too."""
        from hybrid.modules import HybridSearch  # only now: they are heavy

        return HybridSearch(client=self, index_name=index_name)

    def ts(self) -> HybridSeries:
        """redis-py's commands on time series; its pipeline reaches both stores too."""
        from hybrid.modules import HybridSeries  # only now: they are heavy

        return HybridSeries(client=self)

    def pubsub(self, **kwargs: Any) -> HybridPubSub:
        """Subscriptions that follow the store which takes writes, and so `publish`, through a failover and back."""
        return HybridPubSub(self, **kwargs)

    def monitor(self) -> Monitor:
        """What the store that takes writes is asked from now on, hybrid's own commands among it. A failover ends it.
        Raises AllStoresDown."""
        self.start()
        return Monitor(self._listening_pool(self._writer()))

    # -- loading through the cache

    def get_or_load(self, key: str | bytes, loader: Callable[[], T], ex: int | None = None) -> T:
        """The value at `key`, or what `loader` returns, stored as JSON for `ex` seconds (None: for ever).

        With both stores down it goes straight to the loader (degraded mode).
        """
        return loading.get_or_load(self, key, loader, ex)

    def cached(
        self, ex: int | None = None, key: Callable[..., str] | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """A decorator: `get_or_load` around a function. `key` makes the key from the call's arguments; by default it
        is the function's name and its arguments as JSON."""
        return loading.cached(self, ex, key)
