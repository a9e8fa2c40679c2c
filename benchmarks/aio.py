"""The asyncio client beside redis.asyncio: one task's calls, many tasks' at once, and their writes over the link."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import redis.asyncio

from benchmarks.effort import Effort
from benchmarks.rig import SYNC_S, Rig
from benchmarks.table import Row
from benchmarks.timing import Rounds
from hybrid.aio import HybridRedis
from hybrid.types import Health

__all__ = ["aio_rows"]

AsyncCall = Callable[[], Awaitable[object]]
PIPELINE, TASKS, MANY_TASKS, KEYS = 100, 100, 1000, 10_000
READ, WRITTEN, VALUE = "bench:read", "bench:written", "x" * 100
PLAIN, HYBRID = "redis.asyncio", "hybrid.aio"


def aio_rows(effort: Effort) -> Iterator[Row]:
    """As in production: an agent ships, the application only writes; then an application that ships by itself."""
    with Rig() as rig:
        rig.agent()
        yield from asyncio.run(_calls(rig, effort))
        yield asyncio.run(_confirmed(rig, effort, "an agent ships"))
    with Rig() as rig:
        yield asyncio.run(_confirmed(rig, effort, "shipped by the same process"))


@asynccontextmanager
async def _opened(rig: Rig, **settings: Any) -> AsyncIterator[HybridRedis]:
    """A client that has found both stores up and equal."""
    async with HybridRedis.from_urls(rig.local.url, rig.link.url, **settings) as client:
        if not await client.wait_in_sync(SYNC_S) or (await client.status()).health is not Health.HEALTHY:
            raise RuntimeError(f"the stores are not in sync: {await client.status()}")
        yield client


async def _calls(rig: Rig, effort: Effort) -> list[Row]:
    plain = redis.asyncio.Redis.from_url(rig.local.url, max_connections=2 * TASKS)
    async with plain, _opened(rig, ack="local") as hybrid:

        async def settle() -> None:
            await hybrid.wait_in_sync(SYNC_S)

        async def measured(what: str, call: Callable[[Any], AsyncCall], calls: int, target: float | None = None) -> Row:
            contenders = {PLAIN: call(plain), HYBRID: call(hybrid)}
            return _ratio(what, await _rounds_of(contenders, effort.rounds, max(calls, 1), settle), target)

        await plain.set(READ, VALUE)
        few = effort.calls // 20
        return [
            await measured("asyncio GET", lambda client: lambda: client.get(READ), effort.calls, 1.0),
            await measured(
                "asyncio SET, ack=local", lambda client: lambda: client.set(WRITTEN, VALUE), effort.calls, 1.3
            ),
            await measured(f"asyncio pipeline of {PIPELINE} SET, ack=local", lambda c: _pipeline(c, False), few, 1.2),
            await measured(f"asyncio transaction of {PIPELINE} SET, ack=local", lambda c: _pipeline(c, True), few),
            await measured(f"{TASKS} tasks, GET each", lambda c: _gathered(lambda: c.get(READ)), few),
            await measured(
                f"{TASKS} tasks, SET each, ack=local", lambda c: _gathered(lambda: c.set(WRITTEN, VALUE)), few
            ),
        ]


def _pipeline(client: redis.asyncio.Redis, transaction: bool) -> AsyncCall:
    async def call() -> None:
        async with client.pipeline(transaction=transaction) as pipeline:
            for index in range(PIPELINE):
                pipeline.set(f"bench:pipeline:{index}", VALUE)
            await pipeline.execute()

    return call


def _gathered(call: Callable[[], Coroutine[Any, Any, object]]) -> AsyncCall:
    async def gathered() -> None:
        await asyncio.gather(*(call() for _ in range(TASKS)))

    return gathered


async def _rounds_of(contenders: Mapping[str, AsyncCall], rounds: int, calls: int, between: AsyncCall) -> Rounds:
    """As `benchmarks.timing.rounds_of`, on a loop."""
    result = Rounds(list(contenders))
    for call in contenders.values():
        await call()
    order = list(contenders)
    for _ in range(rounds):
        for name in order:
            result.add(name, await _took_s(contenders[name], calls))
            await between()
        order.reverse()
    return result


async def _took_s(call: AsyncCall, calls: int) -> list[float]:
    took_s = []
    clock = time.perf_counter
    for _ in range(calls):
        started_s = clock()
        await call()
        took_s.append(clock() - started_s)
    return took_s


async def _confirmed(rig: Rig, effort: Effort, who: str) -> Row:
    """Tasks that each write and wait until both stores have it, again and again."""
    async with _opened(rig, ack="both") as client:
        written, until_s = 0, time.perf_counter() + effort.load_s

        async def write(number: int) -> None:
            nonlocal written
            while True:
                await client.set(f"bench:load:{(number + written) % KEYS}", VALUE)
                written += 1
                if time.perf_counter() > until_s:  # each writes once, however busy the machine
                    break

        started_s = time.perf_counter()
        await asyncio.gather(*(write(number) for number in range(MANY_TASKS)))
        took_s = time.perf_counter() - started_s
        missed = client._board.unconfirmed
    measured = f"{written:,} in {took_s:.1f} s" + (f", {missed} UNCONFIRMED" if missed else "")
    what = f"{MANY_TASKS:,} tasks, SET ack=both, over the link, {who}"
    return Row(what, measured, written / took_s, " / s", target=8000, at_least=True)


def _ratio(what: str, took: Rounds, target: float | None) -> Row:
    shown = {name: f"{took.median_s(name) * 1e6:,.0f} µs" for name in (PLAIN, HYBRID)}
    return Row(what, shown[HYBRID], took.ratio(HYBRID, PLAIN), "times", f"{PLAIN} {shown[PLAIN]}", target)
