"""`HybridRedis` for asyncio: a `redis.asyncio.Redis` whose data lives in two stores."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import redis.asyncio

from hybrid import events
from hybrid.aio import loading
from hybrid.aio.driver import Driver
from hybrid.aio.endpoint import LoopEndpoint
from hybrid.aio.monitor import HybridMonitor
from hybrid.aio.pipeline import HybridPipeline
from hybrid.aio.pubsub import HybridPubSub
from hybrid.base import CLOSE_S, Base
from hybrid.module_parts import DECODER, ENCODER
from hybrid.replication.inspection import in_sync, taken_status
from hybrid.settings import Settings
from hybrid.stores.pools import asyncio_pool_of
from hybrid.types import Purpose, Status, Store

if TYPE_CHECKING:
    from hybrid.aio.modules import HybridJson, HybridSearch, HybridSeries

__all__ = ["HybridRedis"]

T = TypeVar("T")


class HybridRedis(Base, redis.asyncio.Redis):  # type: ignore[misc]
    """A drop-in `redis.asyncio.Redis` over a local and a cloud store.

    Open one per process with `from_env` or `from_urls` and share it between tasks, and between loops: each loop has
    connections of its own, all share what ships and watches, in threads. Tasks of a loop share its connections:
    their commands are sent together. A cancelled task leaves them in step; what it had sent may have been done.

    Args:
        settings: see `hybrid.settings.Settings`.
        connection_pool: instead of settings, see `from_pool`; frameworks construct clients so.
        options: without settings also redis-py's `host`, `port`, `password` and so on: the local store. The cloud
            one is `cloud_url`, or comes from the environment.
        hooks: called with each `hybrid.events.Event`, in whichever thread it happens.
        namespace: prefix of hybrid's own keys; clients with different ones replicate independently (drills do).

    Raises:
        ConfigurationError: no local store is configured, or a URL is malformed.
    """

    _pool_of = staticmethod(asyncio_pool_of)

    def _prepare_driving(self) -> None:
        if self.settings.cloud_url is not None:
            asyncio_pool_of(self.settings.cloud_url, **self._options)  # refuses one that cannot be used
        self._drivers: dict[asyncio.AbstractEventLoop, Driver] = {}
        self._driver: Driver | None = None

    @property
    def driver(self) -> Driver:
        """What performs commands on the running loop."""
        loop, driver = asyncio.get_running_loop(), self._driver
        if driver is None or driver.loop is not loop:
            driver = self._driver = self._drivers.get(loop) or self._new_driver(loop)
        return driver

    def _new_driver(self, loop: asyncio.AbstractEventLoop) -> Driver:
        for closed in [it for it in list(self._drivers) if it.is_closed()]:
            self._drivers.pop(closed).forget()
        endpoints = {store: LoopEndpoint(it, self._options) for store, it in self._engine.endpoints.items()}
        driver = self._drivers[loop] = Driver(self._engine, endpoints)
        return driver

    # -- opening and closing

    async def start(self) -> None:
        """Connect and begin to ship now, rather than at the first command."""
        await self.driver.start()

    async def initialize(self) -> Self:
        await self.start()
        return self

    def __await__(self) -> Generator[Any, Any, Self]:
        return self.initialize().__await__()

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Flush (wait up to 2 s for the other store to have everything), then end threads and connections. A command
        after that opens the client again, as with redis-py."""
        engine = self._engine
        if self._original is not None or not await asyncio.to_thread(lambda: engine.has_started):
            return
        cloud_is_lost = self._board.state(Store.CLOUD).is_lost
        flushed = not cloud_is_lost and self.settings.replicated and await self.wait_in_sync(CLOSE_S)
        lag = 0 if flushed else (await self.status()).lag_entries
        self._close_drivers()
        await asyncio.to_thread(engine.close)
        self.events.emit(events.Stopped(unshipped=lag))
        self._ended(engine)

    async def close(self, close_connection_pool: bool | None = None) -> None:
        """As `aclose`."""
        await self.aclose(close_connection_pool)

    def _close_drivers(self) -> None:
        here = asyncio.get_running_loop()
        for loop, driver in list(self._drivers.items()):
            if loop is here:
                driver.close()
            elif loop.is_running():
                loop.call_soon_threadsafe(driver.close)

    async def __aenter__(self) -> Self:
        return await self.initialize()

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.aclose())

    # -- what is going on

    async def status(self) -> Status:
        """What this process knows of both stores now. Asks only a store that is up, and never waits for a dead one."""
        await self.start()
        return await asyncio.to_thread(taken_status, self._engine)

    async def wait_in_sync(self, timeout_s: float) -> bool:
        """Whether, within `timeout_s`, both stores have everything that was written before this call."""
        await self.start()
        return await asyncio.to_thread(in_sync, self._engine, timeout_s)

    async def change_settings(self, **changes: Any) -> Settings:
        """Change settings of this process alone, effective at once; `hybrid.ops.control` changes those of all.

        They count as arguments from now on. Switching dual write on again makes the stores equal, in the background:
        until then the cloud store counts as behind. Raises ConfigurationError.
        """
        return await asyncio.to_thread(partial(self.live.pin, changes))

    def store(self, store: Store, purpose: Purpose = Purpose.PANEL) -> redis.asyncio.Redis:
        """A plain client of one store, for looking at it. What is written through it is not replicated, nor counted."""
        endpoint = self._endpoint(store)
        timeouts = {"socket_timeout": endpoint.timeout_s, "socket_connect_timeout": endpoint.connect_timeout_s}
        return redis.asyncio.Redis.from_pool(asyncio_pool_of(endpoint.url, **{**self._options, **timeouts}))

    # -- commands

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Run one command by the policy that the command table gives it.

        Raises:
            CommandRefused: it cannot be kept equal on two stores; the error says why.
            AllStoresDown, OutcomeUnknown: see `hybrid.errors`.
            redis.RedisError: whatever the server answers.
        """
        reply = self.parsed(args[0], await self.driver.drive(self.called(args, options)), options)
        return await reply if hasattr(reply, "__await__") else reply

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

    def json(self, encoder: Any = ENCODER, decoder: Any = DECODER) -> HybridJson:  # type: ignore[override]
        """redis-py's commands on JSON documents; its pipeline reaches both stores too."""
        from hybrid.aio.modules import HybridJson  # only now: they are heavy

        return HybridJson(client=self, encoder=encoder, decoder=decoder)

    def ft(self, index_name: str = "idx") -> HybridSearch:
        """redis-py's commands on a search index; its pipeline reaches both stores too."""
        from hybrid.aio.modules import HybridSearch  # only now: they are heavy

        return HybridSearch(client=self, index_name=index_name)

    def ts(self) -> HybridSeries:  # type: ignore[override]
        """redis-py's commands on time series; its pipeline reaches both stores too."""
        from hybrid.aio.modules import HybridSeries  # only now: they are heavy

        return HybridSeries(client=self)

    def pubsub(self, **kwargs: Any) -> HybridPubSub:
        """Subscriptions that follow the store which takes writes, and so `publish`, through a failover and back."""
        return HybridPubSub(self, **kwargs)

    def monitor(self) -> HybridMonitor:
        """What the store that takes writes is asked from now on, hybrid's own commands among it. A failover ends it.
        Raises AllStoresDown when it is opened."""
        return HybridMonitor(self)

    # -- loading through the cache

    @overload
    async def get_or_load(self, key: str | bytes, loader: Callable[[], Awaitable[T]], ex: int | None = None) -> T: ...
    @overload
    async def get_or_load(self, key: str | bytes, loader: Callable[[], T], ex: int | None = None) -> T: ...
    async def get_or_load(self, key: str | bytes, loader: Callable[[], Any], ex: int | None = None) -> Any:
        """The value at `key`, or what `loader` (a plain or coroutine function) returns, stored as JSON for `ex` seconds
        (None: for ever).

        With both stores down it goes straight to the loader (degraded mode).
        """
        return await loading.get_or_load(self, key, loader, ex)

    def cached(self, ex: int | None = None, key: Callable[..., str] | None = None) -> loading.Cached:
        """A decorator: `get_or_load` around a plain or coroutine function, which becomes a coroutine function. `key`
        makes the key from the call's arguments; by default it is the function's name and its arguments as JSON."""
        return loading.cached(self, ex, key)
