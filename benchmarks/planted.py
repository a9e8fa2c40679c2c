"""Differences of every kind between two stores that hold the keys of `benchmarks.diff.fill_mixed`."""

from __future__ import annotations

from typing import Any, Final

import redis

from benchmarks.diff import FAR_MS, read

__all__ = ["Planted", "plant", "states"]

KINDS: Final = 20
WAYS: Final = 10
LATER_MS: Final = 3_600_000

Planted = dict[bytes, str]
"""The cause under which each key is to be found."""


def plant(local: redis.Redis, cloud: redis.Redis, keys: int, wanted: int) -> Planted:
    """`wanted` differences, spread over the keys: each type in each of the ways."""
    found: Planted = {}
    for index in range(wanted):
        number = index * (keys // wanted) // KINDS * KINDS + index // WAYS % KINDS
        found[b"key:%d" % number] = differ(local, cloud, f"key:{number}", index % WAYS)
    return found


def differ(local: redis.Redis, cloud: redis.Redis, key: str, way: int) -> str:
    """Make one key differ; the cause."""
    if way == 0:
        cloud.delete(key)
        return "only local"
    if way == 1:
        local.delete(key)
        return "only cloud"
    if way == 2:
        is_string = cloud.type(key) == b"string"
        cloud.delete(key)
        cloud.sadd(key, "another type") if is_string else cloud.set(key, "another type")
        return "type"
    if way == 3:
        cloud.pexpireat(key, FAR_MS + LATER_MS)
        return "ttl"
    return change_value(cloud if way % 2 else local, key, way)


def change_value(store: Any, key: str, way: int) -> str:
    match store.type(key):
        case b"string":
            store.append(key, "!")
        case b"hash":
            field = store.hkeys(key)[0]
            store.hset(key, field, "changed") if way < 7 else store.hdel(key, field)
        case b"list":
            store.lset(key, 2, "changed") if way < 7 else store.rpush(key, "one more")
        case b"set":
            store.sadd(key, "one more") if way < 7 else store.spop(key)
        case b"zset":
            store.zincrby(key, 0.5, store.zrange(key, 0, 0)[0]) if way < 7 else store.zpopmin(key)
        case _:
            if way < 7:
                store.xadd(key, {"one": "more"}, id="2-1")
            else:
                store.xgroup_create(key, "group", id="0")
                return "stream group"
    return "value"


def states(stores: tuple[redis.Redis, redis.Redis], planted: Planted) -> list[tuple[Any, ...]]:
    """What both stores hold of these keys, to be compared later."""
    return [held(store, key) for store in stores for key in planted]


def held(store: redis.Redis, key: bytes) -> tuple[Any, ...]:
    [(kind, value, _)] = read(store, [key])
    groups = store.xinfo_groups(key) if kind == b"stream" else ()
    return key, kind, value, store.pexpiretime(key), groups
