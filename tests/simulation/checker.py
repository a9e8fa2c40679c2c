"""The five invariants, looked for in what happened and in what the stores hold at the end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import hiredis

from hybrid.types import Store

from .keyspace import Keyspace, Value
from .workload import History
from .world import World

__all__ = ["violations"]


def violations(world: World, history: History, *, at_rest: bool) -> list[str]:
    """What must never be; empty after a good run."""
    values = world.user_values(Store.LOCAL)
    kept = _archived(world)
    found = [f"a thread died: {crash}" for crash in world.scheduler.crashes]
    found += [f"logged as a bug: {text}" for text in world.seen]
    if not at_rest:
        found.append("it never came to rest: " + _unrest(world))
    found += [f"the stores differ: {text}" for text in world.unequal()]
    found += [f"lost: {text}" for text in _lost(world, history, values, kept)]
    found += [f"applied twice: {text}" for text in _doubled(history, values)]
    found += [f"stale read: {text}" for text in history.stale]
    found += [f"failed: {text}" for text in history.failed]
    # What a merge has put into the archive, of both stores, counts as confirmed.
    found += [f"confirmed too early: {text}" for it, text in history.early if it.token.encode() not in kept[it.key]]
    found += [f"unknown command {name} on {store}" for store in Store for name in world.stores[store].unknown]
    return found


def _unrest(world: World) -> str:
    parts = [f"{store} log {world._backlog(store)}" for store in Store]
    for process in world.living:
        board = process.client._board
        states = ", ".join(f"{store} {board.state(store)}" for store in Store)
        parts.append(f"{process.name}: {board.authority.record.decode()}, {states}, {process.writers} writers")
    return "; ".join(parts)


def _members(value: Value | None) -> set[bytes]:
    if value is None:
        return set()
    return {value.body} if value.kind == "string" else set(value.body) if value.kind != "stream" else set()


def _archived(world: World) -> dict[str, set[bytes]]:
    """The values in the conflict archives of both stores, by key."""
    found: dict[str, set[bytes]] = defaultdict(set)
    for store in Store:
        archive = world.stores[store].data.values.get(b"hybrid:conflicts")
        for _, flat in archive.body.entries if archive else ():
            entry = dict(zip(flat[::2], flat[1::2], strict=True))
            scratch, reader = Keyspace(lambda: 0), hiredis.Reader()
            reader.feed(entry[b"restore"])
            while command := reader.gets():
                scratch.run(command)
            found[entry[b"key"].decode()] |= _members(scratch.values.get(entry[b"key"])) | {b"archived"}
    return found


def _lost(world: World, history: History, values: dict[bytes, Value], kept: dict[str, set[bytes]]) -> Iterator[str]:
    for attempt in history.attempts:
        if attempt.outcome != "acked" or attempt.kind in ("counter", "brief"):
            continue
        held = _members(values.get(attempt.key.encode())) | kept[attempt.key]
        is_there = attempt.key.encode() in values and b"archived" not in held
        if is_there if attempt.kind == "gone" else (attempt.token.encode() not in held):
            if world.lost_data_s is not None and attempt.ended_s < world.lost_data_s and not attempt.both:
                history.excused["acknowledged by a store alone, which lost its data"] += 1
            else:
                yield f"{attempt.kind} {attempt.key} {attempt.token}, on both stores when acknowledged: {attempt.both}"
    for key, (least, _) in _counts(history).items():
        value = int(values[key.encode()].body) if key.encode() in values else 0
        if value < least and not kept[key] and world.lost_data_s is None:
            yield f"{key} is {value} after {least} acknowledged increments"


def _counts(history: History) -> dict[str, tuple[int, int]]:
    """By counter: how many increments were acknowledged, and how many may have happened."""
    counters = [attempt for attempt in history.attempts if attempt.kind == "counter"]
    sure = Counter(attempt.key for attempt in counters if attempt.outcome == "acked")
    possible = Counter(attempt.key for attempt in counters if attempt.outcome != "failed")
    return {key: (sure[key], possible[key]) for key in possible}


def _doubled(history: History, values: dict[bytes, Value]) -> Iterator[str]:
    for key, value in values.items():
        if value.kind == "list":
            yield from (f"{token!r} in {key!r}" for token, count in Counter(value.body).items() if count > 1)
    for key, (_, most) in _counts(history).items():
        value = values.get(key.encode())
        if value is not None and int(value.body) > most:
            yield f"{key} is {int(value.body)} after at most {most} increments"
