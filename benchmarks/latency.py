"""One call: GET, SET and pipelines on the local store, SET on both stores over the link."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import redis

from benchmarks.dual import DualWriter
from benchmarks.effort import Effort
from benchmarks.multidb import multidb_client
from benchmarks.rig import SYNC_S, Rig
from benchmarks.table import Row
from benchmarks.timing import Call, Rounds, rounds_of
from hybrid import HybridRedis

__all__ = ["latency_rows"]

PIPELINE = 100
TURN_CALLS = 20
READ, WRITTEN, VALUE = "bench:read", "bench:written", "x" * 100
PLAIN, HYBRID, MULTIDB, DUAL, LINK = "redis-py", "HybridRedis", "MultiDBClient", "dual write", "PING through the link"


def latency_rows(effort: Effort) -> Iterator[Row]:
    yield from _beside_an_agent(effort)
    yield from _by_itself(effort)


def _beside_an_agent(effort: Effort) -> Iterator[Row]:
    """As in production: an agent ships, the application only writes."""
    with Rig() as rig, closing(multidb_client(rig)) as multidb:
        rig.agent()
        plain, hybrid = rig.plain(rig.local.url), rig.hybrid(ack="local")
        plain.set(READ, VALUE)
        clients: dict[str, Any] = {PLAIN: plain, HYBRID: hybrid, MULTIDB: multidb}
        gets = _turns(_each(clients, lambda client: client.get(READ)), effort)
        yield _ratio("GET", gets, HYBRID, 1.0)
        yield _ratio("GET, MultiDBClient", gets, MULTIDB)
        sets = _turns(_each(clients, lambda client: client.set(WRITTEN, VALUE)), effort)
        yield _ratio("SET, ack=local, an agent ships", sets, HYBRID, 1.3)
        yield _ratio("SET, MultiDBClient (writes one store only)", sets, MULTIDB)
        hybrid.wait_in_sync(SYNC_S)
        for name, transaction, target in (("pipeline", False, 1.2), ("transaction", True, None)):
            contenders = {PLAIN: _pipeline(plain, transaction), HYBRID: _pipeline(hybrid, transaction)}
            turns = _turns(contenders, effort, PIPELINE // 5)
            yield _ratio(f"{name} of {PIPELINE} SET, ack=local, an agent ships", turns, HYBRID, target)
            hybrid.wait_in_sync(SYNC_S)


def _by_itself(effort: Effort) -> Iterator[Row]:
    """The application ships what it writes: its threads share one interpreter lock."""
    with Rig() as rig:
        plain, hybrid = rig.plain(rig.local.url), rig.hybrid(ack="local")
        clients: dict[str, Any] = {PLAIN: plain, HYBRID: hybrid}
        sets = _turns(_each(clients, lambda client: client.set(WRITTEN, VALUE)), effort)
        hybrid.wait_in_sync(SYNC_S)
        yield _ratio("SET, ack=local, shipped by the same process", sets, HYBRID)
        yield from _over_the_link(rig, hybrid, effort)


def _over_the_link(rig: Rig, hybrid: HybridRedis, effort: Effort) -> Iterator[Row]:
    hybrid.change_settings(ack="both")
    with closing(DualWriter(rig.local.url, rig.link.url)) as dual:
        ping = rig.plain(rig.link.url).ping
        contenders = {
            LINK: ping,
            HYBRID: lambda: hybrid.set(WRITTEN, VALUE),
            DUAL: lambda: dual.set("bench:dual", VALUE),
        }
        took = rounds_of(contenders, effort.rounds, effort.link_calls)
    yield _surplus("SET, ack=both, over the link", took, HYBRID, 5.0)
    yield _surplus("SET, dual write with threads, over the link", took, DUAL)


def _turns(contenders: dict[str, Call], effort: Effort, weight: int = 1) -> Rounds:
    """Short turns: what is shipped of one contender's writes occupies the machine during the next one's turn too."""
    calls = max(TURN_CALLS // weight, 1)
    return rounds_of(contenders, max(effort.rounds * effort.calls // (calls * weight), 1), calls)


def _each(clients: dict[str, Any], call: Callable[[Any], object]) -> dict[str, Call]:
    return {name: partial(call, client) for name, client in clients.items()}


def _pipeline(client: redis.Redis, transaction: bool) -> Call:
    def call() -> None:
        with client.pipeline(transaction=transaction) as pipeline:
            for index in range(PIPELINE):
                pipeline.set(f"bench:pipeline:{index}", VALUE)
            pipeline.execute()

    return call


def _ratio(what: str, took: Rounds, name: str, target: float | None = None) -> Row:
    beside = f"{PLAIN} {_shown(took.median_s(PLAIN))}"
    return Row(what, _shown(took.median_s(name)), took.ratio(name, PLAIN), "times", beside, target)


def _surplus(what: str, took: Rounds, name: str, target: float | None = None) -> Row:
    beside = f"{LINK} {_shown(took.median_s(LINK))}"
    return Row(what, _shown(took.median_s(name)), took.surplus_s(name, LINK) * 1000, "more ms", beside, target)


def _shown(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} µs" if seconds < 0.01 else f"{seconds * 1000:.1f} ms"
