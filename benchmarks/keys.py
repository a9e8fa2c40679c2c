"""The key browser's engine on two stores of a million keys each, the cloud one behind the link: first page, next page,
filters, badges; a set of a million members and a string of 100 MB."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, Final

import redis

from benchmarks.effort import QUICK, Effort
from benchmarks.rig import Rig
from benchmarks.table import Row
from hybrid import HybridRedis
from hybrid.ops.keys import Filter, Lines, Walk, badge_rows, quick_rows, read_elements, read_info, read_text
from hybrid.types import Store

__all__ = ["keys_rows"]

PAGE: Final = 50
BATCH: Final = 10_000
BOTH: Final = tuple(Store)


def keys_rows(effort: Effort) -> Iterator[Row]:
    keys, rounds = (5_000, 1) if effort is QUICK else (1_000_000, 9)
    with Rig() as rig:
        hybrid = rig.hybrid(sync_enabled=False, local_timeout_s=5.0, cloud_timeout_s=5.0)
        for url in (rig.local.url, rig.cloud.url):
            fill(rig.plain(url), keys)
        yield from lists(hybrid, keys, rounds, judged=effort is not QUICK)
        yield from values(hybrid, keys, rounds, judged=effort is not QUICK)


def fill(store: redis.Redis, keys: int) -> None:
    """Equal on both, half of them in folders."""
    for start in range(0, keys, BATCH):
        numbers = range(start, min(start + BATCH, keys))
        store.mset({f"user:{n}:name" if n % 2 else f"key:{n}": f"value-{n}" for n in numbers})
    pipeline = store.pipeline(transaction=False)
    for start in range(0, keys, BATCH):
        pipeline.sadd("big:set", *range(start, min(start + BATCH, keys)))
    pipeline.setrange("big:text", 100 * keys, "end")
    pipeline.set("needle:1", "v")
    pipeline.execute()


def lists(hybrid: HybridRedis, keys: int, rounds: int, *, judged: bool) -> Iterator[Row]:
    lines = Lines(hybrid)
    try:
        cold = took_s(lambda: first_page(Lines(hybrid), Walk(Filter())))
        yield row("first page of a new connection, badges too", cold, 1000 if judged else None, keys)
        walk = Walk(Filter())
        first_page(lines, walk)
        pages = iter(range(1, 1000))
        yield measured("next page", rounds, lambda: next_page(lines, walk, next(pages)), 300 if judged else None, keys)
        yield measured(
            "page of user:*", rounds, lambda: page_of(lines, Filter(b"user:*")), 300 if judged else None, keys
        )
        yield measured(
            "a key by its name", rounds, lambda: page_of(lines, Filter(b"key:4")), 300 if judged else None, keys
        )
        yield measured(
            "sets only, what is found so far", rounds, lambda: page_of(lines, Filter(kind="set")), None, keys
        )
        names = walk.names[:PAGE]
        yield measured("badges of a page", rounds, lambda: badges(lines, names), 300 if judged else None, keys)
        before = lines.commands(Store.CLOUD)
        badges(lines, names)
        yield Row(
            f"cloud commands for the badges of {PAGE} keys", f"{keys:,} keys", lines.commands(Store.CLOUD) - before, ""
        )
    finally:
        lines.close()


def values(hybrid: HybridRedis, keys: int, rounds: int, *, judged: bool) -> Iterator[Row]:
    lines = Lines(hybrid)

    def open_set() -> None:
        for store in Store:
            read_info(lines, store, b"big:set")
        read_elements(lines, BOTH, b"big:set", "set")

    def open_text() -> None:
        for store in Store:
            read_info(lines, store, b"big:text")
        read_text(lines, BOTH, b"big:text", 50 * keys)

    try:
        target = 1000 if judged else None
        yield measured(f"a set of {keys:,} members, both sides", rounds, open_set, target, keys)
        yield measured(f"a string of {100 * keys / 1e6:,.0f} MB, both sides", rounds, open_text, target, keys)
    finally:
        lines.close()


def first_page(lines: Lines, walk: Walk) -> None:
    walk.fill(lines, BOTH, PAGE + 1)
    badges(lines, walk.names[:PAGE])


def next_page(lines: Lines, walk: Walk, page: int) -> None:
    walk.fill(lines, BOTH, (page + 1) * PAGE + 1)
    quick_rows(lines, BOTH, walk.names[page * PAGE : (page + 1) * PAGE])


def page_of(lines: Lines, wanted: Filter) -> None:
    walk = Walk(wanted)
    walk.fill(lines, BOTH, PAGE + 1)
    quick_rows(lines, BOTH, walk.names[:PAGE])


def badges(lines: Lines, names: list[bytes]) -> Any:
    return badge_rows(lines, BOTH, quick_rows(lines, BOTH, names))


def took_s(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def measured(what: str, rounds: int, call: Callable[[], object], target_ms: float | None, keys: int) -> Row:
    return row(what, median(took_s(call) for _ in range(rounds)), target_ms, keys)


def row(what: str, seconds: float, target_ms: float | None, keys: int) -> Row:
    return Row(what, f"{keys:,} keys on each side", seconds * 1000, "ms", target=target_ms)
