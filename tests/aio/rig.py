"""The asyncio client in tests: on a loop of the test's own, or behind a face that does not wait."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.asyncio.client import Pipeline
from servers import Stores, client

from hybrid.aio import HybridRedis
from hybrid.ops.compare import compare

PATIENT: Final = {"local_timeout_s": 3.0, "cloud_timeout_s": 3.0}
"""Timeouts that a busy machine does not exceed: these tests are not about dead stores."""

Test = Callable[[HybridRedis], Awaitable[Any]]


def on_loop(stores: Stores, test: Test, **options: Any) -> None:
    """Run `test(client)` on a loop; afterwards both stores must be identical."""

    async def run() -> None:
        async with opened(stores, **options) as hybrid:
            await test(hybrid)
            assert await hybrid.wait_in_sync(20), await hybrid.status()

    asyncio.run(run())
    assert_equal(stores)


def opened(stores: Stores, **options: Any) -> HybridRedis:
    return HybridRedis.from_urls(stores.local.url, stores.cloud.url, **{**PATIENT, "decode_responses": True, **options})


def assert_equal(stores: Stores) -> None:
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        found = compare(local, cloud)
    assert found.identical, found.differences


class Face:
    """An object of the asyncio client that is used as its sister is: what it returns is awaited on a loop elsewhere."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target, self._loop = target, loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return (lambda *args, **kwargs: self._settled(value(*args, **kwargs))) if callable(value) else value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._settled(self._target(*args, **kwargs))

    def __len__(self) -> int:
        return len(self._target)

    def __enter__(self) -> Face:
        return Face(self._run(self._target.__aenter__()), self._loop)

    def __exit__(self, *error: Any) -> None:
        self._run(self._target.__aexit__(*error))

    def _settled(self, result: Any) -> Any:
        if result is self._target:
            return self
        if isinstance(result, Pipeline):
            return Face(result, self._loop)
        if inspect.isawaitable(result):
            return self._run(result)
        if inspect.isasyncgen(result):
            return iter(self._run(_listed(result)))
        return Face(result, self._loop) if type(result).__module__.startswith("redis.") else result

    def _run(self, awaitable: Any) -> Any:
        async def awaited() -> Any:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()


async def _listed(items: Any) -> list[Any]:
    return [item async for item in items]


class LoopThread(threading.Thread):
    """A loop that runs until it is ended."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.start()

    def run(self) -> None:
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()
