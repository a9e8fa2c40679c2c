"""SET, GET, DEL and one key of each type through the client; then both stores must hold the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hybrid.ops.compare import Tally, dedicated
from hybrid.ops.drills.plan import Findings, Spec
from hybrid.ops.drills.rig import Failed, Lost, Rig
from hybrid.types import Store

__all__ = ["COMMANDS", "differences", "expect_equal"]

SYNC_TIMEOUT_S = 15.0
TTL_TOLERANCE_MS = 1000


def expect(found: Any, wanted: Any, what: str) -> None:
    if found != wanted:
        raise Failed(f"{what} returned {found!r}, expected {wanted!r}")


def set_get_del(client: Any, key: str) -> None:
    expect(client.set(key, "one"), True, "SET")
    expect(client.get(key), "one", "GET")
    expect(client.delete(key), 1, "DEL")
    expect(client.get(key), None, "GET of a deleted key")


def string_with_ttl(client: Any, key: str) -> None:
    client.set(key, "text", ex=600)
    expect(0 < client.ttl(key) <= 600, True, "TTL in range")
    expect(client.append(key, "!"), 5, "APPEND")


def hash_(client: Any, key: str) -> None:
    client.hset(key, mapping={"name": "lamp", "price": "10"})
    expect(client.hincrby(key, "price", 5), 15, "HINCRBY")
    expect(client.hgetall(key), {"name": "lamp", "price": "15"}, "HGETALL")


def list_(client: Any, key: str) -> None:
    client.rpush(key, "a", "b", "c", "d")
    expect(client.lpop(key), "a", "LPOP")
    client.ltrim(key, 0, 1)
    expect(client.lrange(key, 0, -1), ["b", "c"], "LRANGE")


def set_(client: Any, key: str) -> None:
    client.sadd(key, *"abcdefgh")
    popped = client.spop(key)  # random: the stores agree only if what was popped is what is replicated
    expect(popped in set(client.smembers(key)), False, "SISMEMBER of a popped member")
    expect(client.scard(key), 7, "SCARD")


def sorted_set(client: Any, key: str) -> None:
    client.zadd(key, {"ana": 1, "bia": 2.5, "caio": 3})
    expect(client.zincrby(key, 4, "ana"), 5.0, "ZINCRBY")
    expect(client.zrange(key, 0, -1), ["bia", "caio", "ana"], "ZRANGE")


def stream_with_group(client: Any, key: str) -> None:
    ids = [client.xadd(key, {"n": str(number)}) for number in range(3)]
    client.xgroup_create(key, "readers", id="0")
    client.xreadgroup("readers", "one", {key: ">"}, count=2)
    expect(client.xack(key, "readers", ids[0]), 1, "XACK")
    expect(client.xlen(key), 3, "XLEN")


def bitmap(client: Any, key: str) -> None:
    for day in (1, 3, 9):
        client.setbit(key, day, 1)
    expect(client.bitcount(key), 3, "BITCOUNT")


def hyperloglog(client: Any, key: str) -> None:
    # No PFCOUNT: it notes its result inside the key, on the one store that was asked.
    expect(client.pfadd(key, "ana", "bia", "caio"), 1, "PFADD")
    expect(client.pfadd(key, "bia"), 0, "PFADD of a known element")


def geo(client: Any, key: str) -> None:
    client.geoadd(key, (-46.63, -23.55, "sao-paulo", -43.17, -22.91, "rio"))
    expect(350 < float(client.geodist(key, "sao-paulo", "rio", unit="km")) < 370, True, "GEODIST in range")


def pipeline(client: Any, key: str) -> None:
    with client.pipeline(transaction=True) as transaction:
        transaction.set(key, "1").incr(key).expire(key, 600)
        expect(transaction.execute(), [True, 2, True], "the transaction")


TYPES: tuple[tuple[str, str, Callable[[Any, str], None]], ...] = (
    ("set-get-del", "SET, GET, DEL", set_get_del),
    ("string", "String with a TTL", string_with_ttl),
    ("hash", "Hash", hash_),
    ("list", "List", list_),
    ("set", "Set", set_),
    ("zset", "Sorted set", sorted_set),
    ("stream", "Stream with a consumer group", stream_with_group),
    ("bitmap", "Bitmap", bitmap),
    ("hyperloglog", "HyperLogLog", hyperloglog),
    ("geo", "Geo", geo),
    ("transaction", "Transaction", pipeline),
)


def through_client(name: str, action: Callable[[Any, str], None], rig: Rig, _findings: Findings) -> str:
    action(rig.the_client(), rig.key(f"type:{name}"))
    return "answers are as expected"


def compare_types(rig: Rig, _findings: Findings) -> str:
    return expect_equal(rig, [rig.key(f"type:{name}") for name, _, _ in TYPES])


def expect_equal(rig: Rig, keys: list[str]) -> str:
    """Wait until nothing is left to ship, then compare the keys on both stores. Raises Failed with what differs."""
    if not rig.the_client().wait_in_sync(SYNC_TIMEOUT_S):
        raise Failed(f"the stores were not in sync after {SYNC_TIMEOUT_S:g} s")
    found = differences(rig, keys)
    if found:
        raise Lost(f"{len(found)} of {len(keys)} keys differ: {'; '.join(found[:3])}")
    return f"{len(keys)} keys are equal on both stores"


def differences(rig: Rig, keys: list[str]) -> list[str]:
    """What differs between the two stores, read from both past the client. Asks for these keys alone: no scan."""
    with dedicated(rig.direct(Store.LOCAL)) as local, dedicated(rig.direct(Store.CLOUD)) as cloud:
        tally = Tally(local, cloud, TTL_TOLERANCE_MS)
        tally.add([key.encode() for key in keys])
    return [
        f"{found.key.decode().removeprefix(rig.prefix)}: {found.cause} (local {found.local}, cloud {found.cloud})"
        for found in tally.comparison().differences
    ]


COMMANDS = (
    *(Spec(name, "Commands", title, partial(through_client, name, action)) for name, title, action in TYPES),
    Spec("compare", "Commands", "Both stores hold the same", compare_types, replicated=True),
)
