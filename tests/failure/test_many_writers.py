"""10,000 mixed commands of every type from four processes at once leave two equal stores, whoever is killed meanwhile.

The long variants: `python -m pytest tests/failure -m soak`.
"""

from __future__ import annotations

import pytest
from mixed_commands import LEFT_OUT, MIXED
from rig import HEAL_S, PATIENT, Rig
from servers import client, wait_until

from hybrid.core.commands import COMMANDS, Policy
from hybrid.stores.processes import ServerProcess
from hybrid.types import Store

READERS = ("local", "cloud", "fastest", "local")
PROCESSES, THREADS, TURNS = 4, 16, 157  # turns of each thread: 10,048 in all
CHANGES_DATA = {policy for policy in Policy if policy not in (Policy.READ, Policy.ONE_STORE, Policy.REFUSED)}


def test_the_workload_has_every_command_that_changes_data(valkey: ServerProcess) -> None:
    with client(valkey.url) as connection:
        connection.response_callbacks.clear()
        known = {name.decode().upper() for name in connection.execute_command("COMMAND LIST")}
    changing = {
        name for name, command in COMMANDS.items() if command.policy in CHANGES_DATA and name.split()[0] in known
    }
    assert changing - MIXED.keys() - LEFT_OUT.keys() == set()
    assert LEFT_OUT.keys() <= changing


@pytest.mark.parametrize("ack", ["both", "local"])
def test_mixed_commands_from_four_processes(rig: Rig, ack: str) -> None:
    rig.link(Store.CLOUD, 0.02)
    fleet = rig.fleet(READERS, ack=ack, commands=TURNS, threads=THREADS, **PATIENT)
    fleet.go()
    history = fleet.finish()
    watcher = rig.client(**PATIENT)
    print(history)
    rig.assert_healed(watcher)
    rig.assert_kept(history)
    assert history.commands == PROCESSES * THREADS * TURNS
    assert not history.failed
    assert not history.unclear, "nothing failed, so no outcome may be unknown"
    assert not history.stale


def test_a_flush_in_the_middle(rig: Rig) -> None:
    rig.link(Store.CLOUD, 0.02)
    fleet = rig.fleet(READERS, ack="local", pause_s=0.002, **PATIENT)
    fleet.go()
    watcher = rig.client(ack="local", **PATIENT)
    for _ in range(3):
        wait_until(fleet.after(100), "more tokens of all workers", 60)
        watcher.flushdb()
    wait_until(fleet.after(10), "tokens after the last flush", 60)
    history = fleet.stop()
    rig.assert_healed(watcher)
    assert not history.failed


@pytest.mark.parametrize("command", ["HPERSIST", "HSETNX"])
def test_a_field_that_expires_on_the_way(rig: Rig, command: str) -> None:
    """On the local store the field is still there when the command comes; on the cloud store it no longer is."""
    rig.link(Store.CLOUD, 0.1)
    watcher = rig.client(ack="local", **PATIENT)
    for number in range(5):
        key = f"h:{number}"
        watcher.hset(key, mapping={"short": 1, "long": 1})
        watcher.hpexpire(key, 30, "short")
        if command == "HPERSIST":
            watcher.hpersist(key, "short")
        else:
            watcher.hsetnx(key, "short", 2)
    rig.assert_healed(watcher)


TOGETHER = {
    "LMOVE {0}:a {0}:b LEFT RIGHT": ("RPUSH {0}:a x y", "RPUSH {0}:b z"),
    "LMPOP 2 {0}:a {0}:b LEFT": ("RPUSH {0}:a x y", "RPUSH {0}:b z q"),
    "ZMPOP 2 {0}:a {0}:b MIN": ("ZADD {0}:a 1 x", "ZADD {0}:b 1 z 2 q"),
    "SMOVE {0}:a {0}:b x": ("SADD {0}:a x y", "SADD {0}:b z"),
    "SDIFFSTORE {0}:c {0}:b {0}:a": ("SADD {0}:a x y", "SADD {0}:b y z"),
    "ZUNIONSTORE {0}:c 2 {0}:a {0}:b": ("ZADD {0}:a 1 x", "ZADD {0}:b 1 y"),
    "BITOP OR {0}:c {0}:a {0}:b": ("SET {0}:a x", "SET {0}:b y"),
    "PFMERGE {0}:c {0}:a": ("PFADD {0}:a x", "PFADD {0}:c y"),
    "SORT {0}:a STORE {0}:c": ("SADD {0}:a 1 2",),
    "MSETNX {0}:a 1 {0}:c 2": ("SET {0}:a x",),
}
"""By command: what is there before it; the first key expires before the command arrives on the other store."""


def test_what_is_taken_from_a_key_that_expires_on_the_way_arrives(rig: Rig) -> None:
    rig.link(Store.CLOUD, 0.3)
    writer = rig.client(ack="local", cloud_timeout_s=5.0)
    for number, before in enumerate(TOGETHER.values()):
        for command in before:
            writer.execute_command(*command.format(number).split())
    assert writer.wait_in_sync(HEAL_S)
    for number, command in enumerate(TOGETHER):
        writer.pexpire(f"{number}:a", 100)
        writer.execute_command(*command.format(number).split())
    with writer.pipeline() as pipe:  # what comes of one command goes into the next
        pipe.rpush("p:a", "x", "y").rpush("p:b", "z").pexpire("p:a", 100)
        pipe.lmove("p:a", "p:b", "LEFT", "RIGHT").lmove("p:b", "p:c", "RIGHT", "LEFT").execute()
    keys = [f"{number}:a" for number in range(len(TOGETHER))]
    with client(rig.local.url) as local:
        wait_until(lambda: not local.exists("p:a", *keys), "they have expired")
    rig.assert_healed(writer)
