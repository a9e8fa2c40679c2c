from __future__ import annotations

import random
from pathlib import Path

import pytest
from servers import Stores, client

from hybrid.core.cost import UPSTASH, Strategy
from hybrid.core.drift import Cause, Difference, DiffResult, Ending
from hybrid.ops.diff import DiffOptions, run_diff

FAR_MS = 4_102_444_800_000
QUICK = DiffOptions(pause_s=0.01)
BILLED = DiffOptions(pause_s=0.01, price=UPSTASH)
SAME = (
    "SET string v",
    "SET empty ''",
    f"SET volatile v PXAT {FAR_MS}",
    "SETRANGE long 50000 end",
    "PFADD loglog a b c",
    "HSET hash a 1 b 2",
    "RPUSH list a b c",
    "SADD set a b c",
    "SADD numbers 1 2 3",
    "ZADD zset 1.5 a 2 b inf c -0 d",
    *(f"XADD stream {i}-0 f v{i}" for i in range(1, 5)),
    "XGROUP CREATE stream g 0",
    "XCLAIM stream g ann 0 1-0 2-0 TIME 1000 RETRYCOUNT 3 FORCE JUSTID",
    "XGROUP CREATECONSUMER stream g bob",
)
PLANTED = [
    ("SET string w", "string", Cause.VALUE),
    ("SETRANGE long 40000 x", "long", Cause.VALUE),
    ("DEL string", "string", Cause.ONLY_LOCAL),
    ("SET extra v", "extra", Cause.ONLY_CLOUD),
    ("PERSIST volatile", "volatile", Cause.TTL),
    (f"PEXPIREAT volatile {FAR_MS + 1500}", "volatile", Cause.TTL),
    (f"PEXPIREAT list {FAR_MS}", "list", Cause.TTL),
    ("PFADD loglog d", "loglog", Cause.VALUE),
    ("HSET hash a 9", "hash", Cause.VALUE),
    ("HDEL hash a", "hash", Cause.VALUE),
    ("LMOVE list list LEFT RIGHT", "list", Cause.VALUE),
    ("SADD set d", "set", Cause.VALUE),
    ("SREM numbers 1", "numbers", Cause.VALUE),
    ("ZADD zset 1.5000000000000002 a", "zset", Cause.VALUE),
    ("XDEL stream 2-0", "stream", Cause.VALUE),
    ("XSETID stream 9-0", "stream", Cause.VALUE),
    ("XGROUP CREATE stream h 0", "stream", Cause.STREAM_GROUP),
    ("XGROUP SETID stream g 1-0", "stream", Cause.STREAM_GROUP),
    ("XGROUP CREATECONSUMER stream g eve", "stream", Cause.STREAM_GROUP),
    ("XACK stream g 1-0", "stream", Cause.STREAM_GROUP),
    ("XCLAIM stream g bob 0 1-0 TIME 1000 RETRYCOUNT 3 JUSTID", "stream", Cause.STREAM_GROUP),
    ("XCLAIM stream g ann 0 1-0 TIME 99000 RETRYCOUNT 3 JUSTID", "stream", Cause.STREAM_GROUP),
]
BIG = (
    *(f"HSET big-hash {' '.join(f'f{i} {i}{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"SADD big-set {' '.join(f'm{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"RPUSH big-list {' '.join(f'i{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"ZADD big-zset {' '.join(f'{i}.5 m{i}' for i in range(start, start + 500))}" for start in range(0, 3000, 500)),
    *(f"XADD big-stream {i}-0 f {'v' * 40}" for i in range(1, 500)),
)
BIG_PLANTED = [
    ("HSET big-hash f2999 x", "big-hash"),
    ("SADD big-set extra", "big-set"),
    ("LSET big-list 1234 x", "big-list"),
    ("ZADD big-zset 7 m2000", "big-zset"),
    ("XADD big-stream 500-0 f v", "big-stream"),
]


def run(url: str, *lines: str, prefix: str = "") -> None:
    with client(url) as commands:
        commands.response_callbacks.clear()  # redis-py cannot read XCLAIM JUSTID
        pipeline = commands.pipeline(transaction=False)
        for line in lines:
            pipeline.execute_command(*with_prefix(line, prefix))
        pipeline.execute()


def with_prefix(line: str, prefix: str) -> list[str]:
    words = ["" if word == "''" else word for word in line.split()]
    at = 2 if words[0] in ("XGROUP", "XINFO") else 1
    return [
        *words[:at],
        prefix + words[at],
        *(prefix + w if words[0] == "LMOVE" and w == "list" else w for w in words[at + 1 :]),
    ]


def differences(stores: Stores, folder: Path, **more: object) -> tuple[DiffResult, list[Difference]]:
    with client(stores.local.url) as local, client(stores.cloud.url, decode_responses=True) as cloud:
        with run_diff(local, cloud, folder, **{"options": QUICK, **more}) as file:  # type: ignore[arg-type]
            return file.result, list(file.differences())


@pytest.fixture
def equal(stores: Stores) -> Stores:
    """Two stores that hold the same, of every type, small and big, written in another order; the small ones once for
    each planted difference, under its number."""
    for store, seed in ((stores.local, 1), (stores.cloud, 2)):
        for number in range(len(PLANTED)):
            run(store.url, *SAME, prefix=f"{number}:")
        big = list(BIG[:12])  # elements of hashes and sets have no order
        random.Random(seed).shuffle(big)
        run(store.url, *big, *BIG[12:])
    return stores


KEYS = 11 * len(PLANTED) + 5
ALL_BILLED = DiffOptions(pause_s=0.01, price=UPSTASH, all_ttls=True)


@pytest.mark.parametrize("options", [QUICK, ALL_BILLED], ids=["free", "billed"])
def test_every_planted_difference_is_found_and_none_invented(
    equal: Stores, tmp_path: Path, options: DiffOptions
) -> None:
    result, found = differences(equal, tmp_path, options=options)
    assert not found
    assert (result.ending, result.different, result.equal, result.in_flight) == (Ending.FINISHED, 0, True, 0)
    assert result.compared == KEYS
    assert result.strategy == (Strategy.BILLED if options.price else Strategy.DIGEST)

    planted = {f"{number}:{key}".encode(): cause for number, (_, key, cause) in enumerate(PLANTED)}
    for number, (change, _, _) in enumerate(PLANTED):
        run(equal.cloud.url, change, prefix=f"{number}:")
    for change, key in BIG_PLANTED:
        run(equal.cloud.url, change)
        planted[key.encode()] = Cause.VALUE
    result, found = differences(equal, tmp_path, options=options)
    assert {difference.key: difference.cause for difference in found} == planted
    assert len(found) == result.different == len(planted) and not result.equal
    assert result.counts[Cause.STREAM_GROUP] == 6
