"""Failover, rejoin and failback between servers of different generations: the same protocol, the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import redis
from mixed_commands import MIXED, Draw, run
from rig import HEAL_S, PATIENT, Rig, state_of, takes_writes
from servers import Pool, client, wait_until

from hybrid import HybridRedis, Store, StoreState
from hybrid.ops import conflicts
from hybrid.stores.processes import ServerProcess

PAIRS = [
    ("redis-6.2", "valkey"),
    ("valkey", "redis-6.2"),
    ("redis-7.4", "redis-8.2"),
    ("redis-8.2", "redis-7.4"),
]
WRITES = 120


@pytest.fixture
def rig(
    request: pytest.FixtureRequest, tmp_path: Path, server: Callable[..., ServerProcess], server_pool: Pool
) -> Iterator[Rig]:
    """As in the other tests here, with servers of two kinds."""
    made = Rig(
        tmp_path, *(server(kind, persistent=True) for kind in request.param), server_pool.get("valkey", "scratch")
    )
    yield made
    made.close()


def known_to(server: ServerProcess) -> set[str]:
    with client(server.url, decode_responses=True) as connection:
        return {name.upper() for name in connection.command()}


def write(hybrid: HybridRedis, names: list[str], random: Random, first: int) -> None:
    for number in range(first, first + WRITES):
        with suppress(redis.ResponseError):  # of the wrong type just then, no such entry, ...
            run(random.choice(names), Draw(hybrid, random, number))


@pytest.mark.parametrize("rig", PAIRS, indirect=True, ids="-and-".join)
def test_the_local_store_is_lost_and_returns(rig: Rig) -> None:
    common = known_to(rig.local) & known_to(rig.cloud)
    names = [name for name in MIXED if name.split()[0] in common]
    assert len(names) > 80
    random = Random(7)
    hybrid = rig.client(ack="both", **PATIENT)
    write(hybrid, names, random, 0)
    rig.local.kill()
    write(hybrid, names, random, WRITES)
    assert hybrid.status().authority is Store.CLOUD
    rig.local.start()
    rig.wait_well(hybrid)
    write(hybrid, names, random, 2 * WRITES)
    rig.assert_healed(hybrid)
    assert hybrid.status().refused_keys == 0


@pytest.mark.parametrize("rig", [("redis-7.4", "redis-7.4")], indirect=True, ids=["stack"])
def test_a_document_written_on_both_sides_is_archived_and_restored(rig: Rig) -> None:
    hybrid = rig.client(**PATIENT)
    hybrid.json().set("doc", "$", {"n": 0})
    assert hybrid.wait_in_sync(HEAL_S)
    rig.cloud.kill()
    hybrid.json().set("doc", "$.n", 1)
    hybrid.json().set("only", "$", ["local"])
    wait_until(lambda: state_of(hybrid, Store.CLOUD) is StoreState.DOWN, "the cloud store's end is noticed", HEAL_S)
    rig.local.kill()
    rig.cloud.start()
    wait_until(lambda: takes_writes(hybrid), "the cloud store takes over", HEAL_S)
    hybrid.json().set("doc", "$.n", 2)
    rig.local.start()
    rig.assert_healed(hybrid)
    assert hybrid.json().get("doc") == {"n": 2}
    assert hybrid.json().get("only") == ["local"]
    [conflict] = conflicts.listed(hybrid)
    assert [list(side.commands) for side in (conflict.lost, conflict.kept)] == [
        [[b"UNLINK", b"doc"], [b"JSON.SET", b"doc", b"$", b'{"n":%d}' % n]] for n in (1, 2)
    ]
    conflicts.restore(hybrid, conflict.id, author="test")
    assert hybrid.json().get("doc") == {"n": 1}
    rig.assert_healed(hybrid)
