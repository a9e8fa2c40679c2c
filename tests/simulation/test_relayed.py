"""Writes that the process that ships runs for another one, which does not reach the local store."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import pytest

from hybrid.replication.relay import Relay
from hybrid.replication.relay_worker import RelayWorker
from hybrid.types import Store

from .test_scenarios import Counting, wait
from .world import Process, World, opened


class Asking:
    """One of two processes alone does not reach the local store, and the other one, which ships, writes for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counting = Counting(world, ("p1", "p2"))
        [self.shipping] = self.counting.shippers()
        [self.alone] = [process for process in self.counting.processes if process is not self.shipping]
        self.link = world.link(self.alone, Store.LOCAL)
        self.link.refuse = True
        self.link.cut()
        assert world.scheduler.run(self.relays, world.scheduler.now_s + 10)
        self.counting.pausing = True
        wait(world, 1.0)

    def relays(self) -> bool:
        return self.alone.client._board.routes.relayed

    def values(self) -> list[Any]:
        """Of `k` on both stores."""
        return [getattr(self.world.stores[store].data.values.get(b"k"), "body", None) for store in Store]


def interrupted(done: list[Any]) -> Any:
    """A patch by which whoever awaits an answer is interrupted, until something is done."""
    heard = Relay._heard_within

    def hear(self: Relay, *args: Any) -> Any:
        if not done:
            raise KeyboardInterrupt
        return heard(self, *args)

    return patch.object(Relay, "_heard_within", hear)


def set_once(client: Any, done: list[Any]) -> None:
    try:
        client.set("k", 1)
    except KeyboardInterrupt:
        done.append("interrupted")


def run(world: World, process: Process, done: list[Any], count: int, writes: Any) -> None:
    world.scheduler.spawn(lambda: writes(done), "writing", process)
    assert world.scheduler.run(lambda: len(done) == count, world.scheduler.now_s + 10)


@pytest.mark.parametrize("then", ["set", "delete"])
def test_what_was_claimed_is_not_run_after_who_asked_went_on(then: str) -> None:
    """The one that ships is stopped between the two. The other one reaches the local store again, and writes there."""
    with opened(f"claimed {then}", preempt=0.0, verbose=False) as world:
        asking, admits, stopped = Asking(world), RelayWorker._admits, list[bool]()

        def stops(self: RelayWorker, *args: Any) -> bool:
            is_admitted = admits(self, *args)
            if not stopped:
                stopped.append(is_admitted)
                asking.link.heal()
                world.scheduler.freeze(asking.shipping)
                world.scheduler.sleep(0)
            return is_admitted

        def writes(done: list[Any]) -> None:
            client = asking.alone.client
            done.append(client.set("k", 1))
            done.append(client.set("k", 2) if then == "set" else client.delete("k"))

        with patch.object(RelayWorker, "_admits", stops):
            run(world, asking.alone, [], 2, writes)
            assert stopped == [True]
            world.scheduler.thaw(asking.shipping)
            wait(world, 1.0)
        assert asking.values() == ([b"2", b"2"] if then == "set" else [None, None])
        asking.counting.end()


def test_what_was_interrupted_is_not_run_after_who_asked_went_on() -> None:
    """As by Ctrl-C, or a signal, while the answer is awaited."""
    with opened("interrupted", preempt=0.0, verbose=False) as world:
        asking = Asking(world)

        def writes(done: list[Any]) -> None:
            client = asking.alone.client
            set_once(client, done)
            asking.link.heal()
            while asking.relays():
                world.scheduler.sleep(0.005)
            done.append(client.set("k", 2))

        done: list[Any] = []

        world.scheduler.freeze(asking.shipping)
        with interrupted(done):
            run(world, asking.alone, done, 2, writes)
            world.scheduler.thaw(asking.shipping)
            wait(world, 1.0)
        assert asking.values() == [b"2", b"2"]
        asking.counting.end()


def test_who_was_interrupted_has_others_write_on() -> None:
    """The revocation goes ahead of the next request, over the very connection that watches what is claimed."""
    with opened("on", preempt=0.0, verbose=False) as world:
        asking = Asking(world)
        done: list[Any] = []

        def writes(done: list[Any]) -> None:
            client = asking.alone.client
            set_once(client, done)
            done.extend(client.set("k", number) for number in (2, 3))

        epoch = asking.alone.client._board.authority.epoch
        with interrupted(done):
            run(world, asking.alone, done, 3, writes)
        wait(world, 1.0)
        assert asking.relays()
        assert asking.alone.client._board.authority.epoch == epoch, "nobody was taken to the cloud store"
        assert asking.values() == [b"3", b"3"]
        asking.link.heal()
        asking.counting.end()
