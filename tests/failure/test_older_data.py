"""A store comes back with older data and with its mark: it is recognized, serves nothing, and is refilled."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rig import HEAL_S, PATIENT, Rig, takes_writes
from servers import client as plain
from servers import wait_until

from hybrid import HybridRedis, Store
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.health import Evidence
from hybrid.core.resp import pack
from hybrid.replication.checkpoints import set_outdated
from hybrid.stores.processes import ServerProcess

BEFORE, AFTER = 100, 200
MANY = 10_000


def write(hybrid: HybridRedis, count: int) -> None:
    for number in range(count):
        hybrid.incr("n")
        hybrid.set(f"k{number}", count)
    assert hybrid.wait_in_sync(HEAL_S)


def copied(server: ServerProcess, folder: Path) -> Path:
    """A copy of its data as it is now: every command stands in its file before it is answered."""
    shutil.copytree(server.folder, folder)
    return folder


def restore(server: ServerProcess, copy: Path) -> None:
    server.kill()
    shutil.rmtree(server.folder)
    shutil.copytree(copy, server.folder)
    server.start()


@pytest.mark.parametrize("store", list(Store))
@pytest.mark.parametrize("alive", [True, False], ids=["applications go on", "applications restart"])
def test_a_copy_is_restored(rig: Rig, tmp_path: Path, store: Store, alive: bool) -> None:
    server = rig.local if store is Store.LOCAL else rig.cloud
    first = rig.client(**PATIENT)
    write(first, BEFORE)
    copy = copied(server, tmp_path / "copy")
    write(first, AFTER)
    first.delete("k0")
    write(first, 1)
    if not alive:
        first.close()
    restore(server, copy)
    reader = first if alive else rig.client(**PATIENT)
    rig.assert_healed(reader)
    total = BEFORE + AFTER + 1
    assert int(reader.get("n") or 0) == total
    for number in range(BEFORE, AFTER):
        assert reader.get(f"k{number}") == b"%d" % AFTER
    with plain(rig.local.url) as local:
        assert int(local.get("n") or 0) == total


def test_a_copy_is_restored_to_a_store_that_was_refilled(rig: Rig, tmp_path: Path) -> None:
    """Nobody has greeted it since, and no checkpoint is as young."""
    client = rig.client(**PATIENT)
    write(client, 1)
    rig.local.kill()
    shutil.rmtree(rig.local.folder)
    rig.local.start()
    rig.assert_healed(client)
    write(client, 2)
    copy = copied(rig.local, tmp_path / "copy")
    write(client, 3)
    restore(rig.local, copy)
    rig.assert_healed(client)
    assert int(client.get("n") or 0) == 6
    assert client.get("k2") == b"3"


@pytest.mark.parametrize("alive", [True, False], ids=["applications go on", "applications restart"])
def test_a_copy_is_restored_while_the_other_store_is_refilled(rig: Rig, tmp_path: Path, alive: bool) -> None:
    """Neither has what there was. The older one has more of it, and must not wait for the other one."""
    rig.link(Store.CLOUD, 0.05)
    client = rig.client(ack="local", **PATIENT)
    for first in range(0, MANY, 500):
        client.mset({f"k{number}": "v" for number in range(first, first + 500)})
    assert client.wait_in_sync(HEAL_S)
    copy = copied(rig.local, tmp_path / "copy")
    client.set("k0", "newer")
    assert client.wait_in_sync(HEAL_S)
    with plain(rig.cloud.url) as cloud:
        cloud.flushall()
        wait_until(lambda: cloud.get("hybrid:identity") == OUTDATED and cloud.dbsize() > MANY / 10, "half", HEAL_S)
        restore(rig.local, copy)
    if not alive:
        client.close()
        client = rig.client(**PATIENT)
    wait_until(lambda: takes_writes(client), "writes go on", HEAL_S)
    rig.assert_healed(client)
    assert client.dbsize() == MANY + 1


def test_what_it_costs(rig: Rig) -> None:
    """A checkpoint for fifty writes."""
    client = rig.client(**PATIENT)
    client.set("k", 0)
    assert client.wait_in_sync(HEAL_S)
    with plain(rig.cloud.url) as cloud:
        before = cloud.info("commandstats")["cmdstat_set"]["calls"]
        for number in range(500):
            client.set("k", number)
        assert client.wait_in_sync(HEAL_S)
        assert 500 < cloud.info("commandstats")["cmdstat_set"]["calls"] - before <= 500 * 1.05


def test_nobody_writes_to_a_store_that_was_found_outdated(rig: Rig) -> None:
    """By another process: this one is connected, and has not greeted the store yet. What it wrote there would be
    merged, and the rest of the key with it."""
    hybrid = rig.client(**PATIENT)
    write(hybrid, BEFORE)
    engine = hybrid._engine
    endpoint = engine.endpoints[Store.LOCAL]
    _, wire = endpoint.take_fenced(engine.board.authority.epoch)
    finder = endpoint.connect_raw()
    try:
        set_outdated(finder, engine.names, endpoint.mark)
        *_, ran = wire.exchange(pack(("MULTI",)) + pack(("SET", "k0", "lost")) + pack(("EXEC",)), 3)
    finally:
        finder.disconnect()
        wire.disconnect()
    assert ran is None
    rig.assert_healed(hybrid)
    assert hybrid.get("k0") == b"%d" % BEFORE


def test_a_store_that_was_found_outdated_is_refilled_though_nobody_writes(rig: Rig) -> None:
    """Whoever ships its log hears nothing there, and all its connections stay."""
    hybrid = rig.client(**PATIENT)
    write(hybrid, BEFORE)
    assert hybrid.wait_in_sync(HEAL_S)
    engine = hybrid._engine
    endpoint = engine.endpoints[Store.LOCAL]
    wait_until(lambda: hybrid.status().shipping_here, "it ships", HEAL_S)
    finder = endpoint.connect_raw()
    try:
        set_outdated(finder, engine.names, endpoint.mark)
    finally:
        finder.disconnect()
    engine.board.observe(Store.LOCAL, Evidence.WIPED)
    rig.assert_healed(hybrid)
