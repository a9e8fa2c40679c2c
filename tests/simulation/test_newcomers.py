"""A store that lost its data, and was begun anew by a process that does not reach the other one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from hybrid import OutcomeUnknown
from hybrid.core.checkpoint import OUTDATED
from hybrid.core.marks import UNMET
from hybrid.ops.failover import failover
from hybrid.types import Store, StoreState

from .test_scenarios import wait
from .world import Process, World, opened


@pytest.mark.parametrize("others", ["gone", "there"])
@pytest.mark.parametrize("writes", [False, True])
@pytest.mark.parametrize("empty", Store)
def test_a_wiped_store_that_is_met_first_without_the_other_one_is_refilled(
    empty: Store, writes: bool, others: str
) -> None:
    """The process that meets it serves from it; what is written meanwhile is done to what the store has lost."""
    with opened(f"newcomer {empty} {writes} {others}", preempt=0.0, verbose=False) as world:
        server, first = world.stores[empty], world.start("p1", 0.0, ack="both")
        world.scheduler.spawn(partial(_fill, first.client, "old"), "writer", first)
        assert world.scheduler.run(lambda: _filled(world, "old") and world.is_quiet(), 20.0)
        if others == "gone":
            world.kill_process(first)
        server.crash()
        wait(world, 0.5)
        second = world.start("p2", 0.0, ack="both")
        link = world.link(second, empty.other)
        link.refuse = True
        world.scheduler.spawn(partial(_fill, second.client, "new") if writes else second.client.start, "writer", second)
        server.boot({})
        wait(world, 2.0)
        link.heal()
        is_done = partial(_filled, world, "new" if writes else "old")
        assert world.scheduler.run(lambda: is_done() and world.is_quiet(), world.scheduler.now_s + 30)
        assert not world.unequal()
        assert not world.scheduler.crashes
        values = {key: value.body for key, value in world.user_values(Store.LOCAL).items()}
        names = ["old", "new"] if writes else ["old"]
        assert values == {
            b"counter": b"%d" % (10 * len(names)),
            b"list": [name.encode() for name in names],
            b"hash": {name.encode(): b"1" for name in names},
            b"replaced": names[-1].encode(),
            **{name.encode(): name.encode() for name in names},
        }
        assert b"hybrid:conflicts" not in world.stores[Store.LOCAL].data.values


def _fill(client: Any, name: str) -> None:
    client.start()
    client.incrby("counter", 10)
    client.rpush("list", name)
    client.hset("hash", name, 1)
    client.set("replaced", name)
    client.set(name, name)


def _filled(world: World, name: str) -> bool:
    return world.on_both(name.encode(), lambda value: value is not None)


@pytest.mark.parametrize("stopped_s", [0.02, 0.05, 0.1])
def test_a_process_that_holds_both_stores_for_wiped_looks_again(stopped_s: float) -> None:
    """It was stopped while the one was refilled, and while the other was begun anew; nobody else is left to tell."""
    with opened(f"both wiped {stopped_s}", preempt=0.0, verbose=False) as world:
        local, cloud = (world.stores[store] for store in Store)
        first, third = world.start("p1", 0.0, ack="both"), world.start("p3", 0.0, ack="both")
        world.scheduler.spawn(partial(_fill, first.client, "old"), "writer", first)
        world.scheduler.spawn(third.client.start, "writer", third)
        assert world.scheduler.run(lambda: _filled(world, "old") and world.is_quiet(), 20.0)
        cloud.crash()
        wait(world, 0.3)
        cloud.boot({})
        board = first.client._board
        assert world.scheduler.run(lambda: board.is_wiped(Store.CLOUD), world.scheduler.now_s + 5)
        world.scheduler.freeze(first)
        refilled = lambda: third.client._board.state(Store.CLOUD) is StoreState.UP and not world.unequal()  # noqa: E731
        assert world.scheduler.run(refilled, world.scheduler.now_s + 20)
        local.crash()
        world.kill_process(third)
        wait(world, stopped_s)
        second = world.start("p2", 0.0, ack="both")
        world.link(second, Store.CLOUD).refuse = True
        local.boot({})
        world.scheduler.spawn(lambda: second.client.set("new", "new"), "writer", second)
        wait(world, 2.0)
        world.kill_process(second)
        world.scheduler.thaw(first)
        assert world.scheduler.run(lambda: _filled(world, "new") and world.is_quiet(), world.scheduler.now_s + 60)
        assert not world.unequal()
        assert _filled(world, "old")


@pytest.mark.parametrize("ack", ["local", "both"])
@pytest.mark.parametrize("stopped_s", [0.55, 0.8, 1.2, 1.6, 1.9])
def test_what_is_written_to_a_store_that_was_begun_anew_is_not_shipped_over_old_connections(
    stopped_s: float, ack: str
) -> None:
    """The process that ships was stopped while the local store was emptied by hand, and begun anew: it has its lease
    still, and its connections. What it shipped of the new log would be merged once more."""
    with opened(f"stopped {stopped_s} {ack}", preempt=0.0, verbose=False) as world:
        first, counts = world.start("p1", 0.0, ack=ack), Counts()
        world.scheduler.spawn(partial(_fill, first.client, "old"), "writer", first)
        assert world.scheduler.run(lambda: _filled(world, "old") and world.is_quiet(), 20.0)
        counts.begin(world, first, "first")
        wait(world, 0.5)
        second = world.start("p2", 0.0, ack="local")
        link = world.link(second, Store.CLOUD)
        link.refuse = True
        world.scheduler.freeze(first)
        world.stores[Store.LOCAL].empty()
        counts.begin(world, second, "second")
        wait(world, stopped_s)
        world.scheduler.thaw(first)
        wait(world, 4.0)
        link.heal()
        wait(world, 3.0)
        counts.end()
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 40)
        assert not world.unequal()
        assert not world.scheduler.crashes
        values = world.user_values(Store.LOCAL)
        assert counts.done["second"] <= int(values[b"second"].body) <= counts.tried["second"]
        assert int(values[b"first"].body) <= counts.tried["first"]


def test_stores_that_were_begun_apart_know_each_other_while_the_cloud_store_keeps_the_authority() -> None:
    """What one of them loses from then on is a loss."""
    with opened("begun apart", preempt=0.0, verbose=False) as world:
        first, second = world.start("p1", 0.0, ack="both"), world.start("p2", 0.0, ack="both")
        links = world.link(first, Store.CLOUD), world.link(second, Store.LOCAL)
        for link in links:
            link.refuse = True
        for process in (first, second):
            world.scheduler.spawn(partial(_fill, process.client, process.name), "writer", process)
        wait(world, 3.0)
        for link in links:
            link.heal()
        has_authority = lambda: first.client._board.authority.store is Store.CLOUD  # noqa: E731
        assert world.scheduler.run(has_authority, world.scheduler.now_s + 5)
        world.scheduler.spawn(partial(failover, second.client, author="ana"), "operator", second)
        assert world.scheduler.run(
            lambda: all(world.has(store, b"hybrid:partner", lambda it: it.body != UNMET) for store in Store),
            world.scheduler.now_s + 5,
        )
        assert first.client._board.authority.store is Store.CLOUD
        assert not world.scheduler.crashes


@pytest.mark.parametrize("stopped_at_s", [0.0, 0.04, 0.08, 0.16, 0.2])
@pytest.mark.parametrize("empty", Store)
def test_a_refill_that_goes_on_does_not_hide_that_the_store_was_begun_anew(empty: Store, stopped_at_s: float) -> None:
    """Its process was stopped while the store was emptied by hand once more, and begun anew by another one."""
    with opened(f"goes on {empty} {stopped_at_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        first, server = world.start("p1", 0.0), world.stores[empty]

        def fill() -> None:
            first.client.mset({f"k{number}": number for number in range(300)})
            _fill(first.client, "old")

        world.scheduler.spawn(fill, "writer", first)
        assert world.scheduler.run(lambda: _filled(world, "old") and world.is_quiet(), 20.0)
        server.crash()
        server.boot({})
        second = world.start("p2", 0.0)
        link = world.link(second, empty.other)
        link.refuse = True
        is_refilled = lambda: world.has(empty, b"hybrid:identity", lambda it: it.body == OUTDATED)  # noqa: E731
        assert world.scheduler.run(is_refilled, world.scheduler.now_s + 10)
        wait(world, stopped_at_s)
        world.scheduler.freeze(first)
        server.empty()
        world.scheduler.spawn(partial(_fill, second.client, "new"), "writer", second)
        wait(world, 0.9)
        world.scheduler.thaw(first)
        wait(world, 3.0)
        link.heal()
        assert world.scheduler.run(lambda: _filled(world, "new") and world.is_quiet(), world.scheduler.now_s + 60)
        assert not world.unequal()
        assert not world.scheduler.crashes
        values = world.user_values(Store.LOCAL)
        assert values[b"counter"].body == b"20"
        assert len(values) == 300 + 6


@pytest.mark.parametrize(
    "polls", [("LPOP", "queue"), ("LMOVE", "queue", "doing", "LEFT", "RIGHT"), ("GETDEL", "token")]
)
def test_what_found_nothing_takes_nothing_that_was_written_since(polls: tuple[str, ...]) -> None:
    """A worker looks for a job on the emptied cloud store, while who reaches the local one adds to them."""
    with opened(f"polls {polls}", preempt=0.0, verbose=False) as world:
        first, cloud = world.start("p1", 0.0, ack="local"), world.stores[Store.CLOUD]

        def add(number: int, key: str) -> None:
            first.client.rpush("queue", number)
            first.client.set("token", number)
            first.client.set(key, key)

        world.scheduler.spawn(lambda: (first.client.start(), add(1, "old")), "writer", first)
        assert world.scheduler.run(lambda: _filled(world, "old") and world.is_quiet(), 20.0)
        cloud.crash()
        wait(world, 0.5)
        second = world.start("p2", 0.0, ack="local")
        links = world.link(first, Store.CLOUD), world.link(second, Store.LOCAL)
        for link in links:
            link.refuse = True
        cloud.boot({})
        found = list[Any]()
        world.scheduler.spawn(partial(add, 2, "since"), "writer", first)
        world.scheduler.spawn(
            lambda: (second.client.start(), found.append(second.client.execute_command(*polls))), "p", second
        )
        wait(world, 2.0)
        for link in links:
            link.heal()
        assert world.scheduler.run(lambda: _filled(world, "since") and world.is_quiet(), world.scheduler.now_s + 30)
        assert found == [None]
        assert not world.unequal()
        values = {key: value.body for key, value in world.user_values(Store.LOCAL).items()}
        assert values == {b"queue": [b"1", b"2"], b"token": b"2", b"old": b"old", b"since": b"since"}
        assert b"hybrid:conflicts" not in world.stores[Store.LOCAL].data.values


class Counts:
    """Processes that count, each one key of its own, until the end."""

    def __init__(self) -> None:
        self.tried: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self._processes: list[Process] = []

    def begin(self, world: World, process: Process, key: str, then: Callable[[], object] = lambda: None) -> None:
        """Have `process` count, and do `then` after each time."""
        self._processes.append(process)

        def count() -> None:
            process.writers += 1
            process.client.start()
            while not process.stopping:
                self.tried[key] = self.tried.get(key, 0) + 1
                with suppress(OutcomeUnknown):
                    process.client.incr(key)
                    self.done[key] = self.done.get(key, 0) + 1
                then()
                world.scheduler.sleep(0.005)
            process.writers -= 1

        world.scheduler.spawn(count, "writer", process)

    def end(self) -> None:
        for process in self._processes:
            process.stopping = True


@pytest.mark.parametrize("hears", [True, False])
def test_nobody_follows_a_claim_for_a_store_that_was_begun_anew(hears: bool) -> None:
    """The cloud store was emptied by hand, and a service does not say so. A process that does not reach the local store
    begins it anew, and claims the authority for it. Who reaches both goes on with what the local store has."""
    with opened(f"claim {hears}", preempt=0.0, verbose=False) as world:
        first, counts, found = world.start("p1", 0.0, ack="both"), Counts(), list[Any]()
        world.scheduler.spawn(partial(_fill, first.client, "old"), "writer", first)
        assert world.scheduler.run(lambda: _filled(world, "old") and world.is_quiet(), 20.0)
        if not hears:
            first.client._engine.endpoints[Store.CLOUD].hears_flushes = False
            for session in world.stores[Store.CLOUD].sessions.values():
                session.tells_flushes_to = None
        counts.begin(world, first, "first", lambda: found.append(first.client.get("old")))
        wait(world, 0.5)
        second = world.start("p2", 0.0, ack="both")
        link = world.link(second, Store.LOCAL)
        link.refuse = True
        world.stores[Store.CLOUD].empty()
        counts.begin(world, second, "second")
        wait(world, 3.0)
        link.heal()
        wait(world, 3.0)
        counts.end()
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 40)
        assert not world.unequal()
        assert not world.scheduler.crashes
        values = world.user_values(Store.LOCAL)
        assert all(done <= int(values[key.encode()].body) <= counts.tried[key] for key, done in counts.done.items())
        assert set(found) == {b"old"}
