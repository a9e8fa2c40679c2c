"""Scripted faults, at many moments."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import pytest

from hybrid import AllStoresDown, OutcomeUnknown
from hybrid.core import flows
from hybrid.core.actions import Flow
from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.core.checkpoint import OUTDATED, Checkpoint
from hybrid.core.folding import Folded
from hybrid.core.outcomes import NotSent
from hybrid.core.resp import pack
from hybrid.core.tokens import Shipped
from hybrid.errors import HybridError
from hybrid.ops.failover import failover
from hybrid.replication import catch_up, growth
from hybrid.replication.announcer import Announcer
from hybrid.replication.board import Board
from hybrid.replication.catch_up import CatchUp
from hybrid.replication.follow import Follow
from hybrid.replication.lease import Lease
from hybrid.replication.pairing import Pairing
from hybrid.replication.stream import Stream
from hybrid.types import Store, StoreState

from .keyspace import Value
from .network import SimSocket
from .world import Process, World, opened

KEY = b"counter"


def wait(world: World, seconds: float) -> None:
    world.scheduler.run(lambda: False, world.scheduler.now_s + seconds)


def counted(world: World, store: Store) -> int:
    value = world.stores[store].data.values.get(KEY)
    return int(value.body) if value is not None else 0


@pytest.mark.parametrize("delay_s", [0.05 * n for n in range(5, 9)])
def test_a_stream_that_has_only_begun_says_nothing_of_those_before_it(delay_s: float) -> None:
    """The cloud store hangs with increments on their way, returns, and the local one hangs while the next stream opens.
    That one has sent nothing yet; what the first has sent must not be counted again when the local store returns."""
    tried = 0
    with opened(f"begun {delay_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process = world.start("p1", 0.0, ack="local")

        def write() -> None:
            nonlocal tried
            process.client.start()
            while not process.stopping:
                tried += 1
                with suppress(OutcomeUnknown):
                    process.client.incr(KEY)
                world.scheduler.sleep(0.02)

        local, cloud = (world.stores[store] for store in Store)
        world.scheduler.spawn(write, "writer", process)
        wait(world, 1.0)
        cloud.stop()
        wait(world, 0.5)
        cloud.resume()
        wait(world, 0.1 + delay_s)
        local.stop()
        wait(world, 1.5)
        local.resume()
        wait(world, 1.0)
        process.stopping = True
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert counted(world, Store.LOCAL) == counted(world, Store.CLOUD)
        assert 0 < counted(world, Store.LOCAL) <= tried


@pytest.mark.parametrize("ack", ["both", "local"])
def test_a_local_store_that_lacks_what_is_on_its_way_to_the_cloud_is_refilled(ack: str) -> None:
    """It comes back a moment older than the entry that was just sent, and not answered yet."""
    with opened(f"a moment older {ack}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.1
        process, local = world.start("p1", 0.0, ack=ack), world.stores[Store.LOCAL]

        def write() -> None:
            process.client.start()
            with suppress(OutcomeUnknown):
                process.client.set(KEY, 1)

        world.scheduler.spawn(lambda: process.client.set("first", 1), "writer", process)
        wait(world, 1.5)
        older = local.data.snapshot()
        world.scheduler.spawn(write, "writer", process)
        assert world.scheduler.run(lambda: world.has(Store.LOCAL, KEY, lambda _: True), world.scheduler.now_s + 1)
        wait(world, 0.02)
        assert not world.has(Store.CLOUD, KEY, lambda _: True)
        local.crash()
        local.boot(older)
        assert world.scheduler.run(lambda: world.has(Store.CLOUD, KEY, lambda _: True), world.scheduler.now_s + 5)
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert not world.unequal()


def test_nothing_is_written_to_a_local_store_with_older_data_before_it_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes back at once, so that no connection is refused, and a writer is there before any greeting."""
    with opened("back at once", preempt=0.0, verbose=False) as world:
        process, local, scheduler = world.start("p1", 0.0), world.stores[Store.LOCAL], world.scheduler
        is_older, written = Pairing._is_older, list[bool]()

        def late(self: Pairing, *args: Any) -> bool:
            scheduler.sleep(0.1)
            return is_older(self, *args)

        def write(*names: str) -> None:
            written.extend(bool(process.client.set(name, 1)) for name in names)

        scheduler.spawn(process.client.start, "start", process)
        scheduler.spawn(lambda: write("first"), "writer", process)
        wait(world, 1.0)
        older = local.data.snapshot()
        scheduler.spawn(lambda: write("second"), "writer", process)
        wait(world, 0.5)
        monkeypatch.setattr(Pairing, "_is_older", late)
        local.crash()
        local.boot(older)
        scheduler.spawn(lambda: write("third"), "writer", process)
        assert scheduler.run(lambda: len(written) == 3, scheduler.now_s + 10)
        assert scheduler.run(lambda: world.is_quiet() and not world.unequal(), scheduler.now_s + 30)
        assert all(world.has(Store.LOCAL, name, lambda _: True) for name in (b"first", b"second", b"third"))


@pytest.mark.parametrize("ack", ["both", "local"])
def test_a_process_that_alone_is_cut_off_moves_the_others_once(ack: str) -> None:
    """It goes on writing, each increment counted once, and reads what it wrote; the others' writes stay local."""
    written, answered = (dict.fromkeys(("p1", "p2"), 0) for _ in range(2))
    with opened(f"cut off {ack}", preempt=0.05, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.03
        processes = [world.start(name, 0.0, ack=ack) for name in written]

        def write(process: Process) -> None:
            process.writers += 1
            process.client.start()
            while not process.stopping:
                written[process.name] += 1
                answered[process.name] = process.client.incr(process.name)
                missing = written[process.name] - int(process.client.get(process.name))
                assert missing <= (ack == "local"), (
                    "the last one may not be on the cloud store when the others move there"
                )
                world.scheduler.sleep(0.05)
            process.writers -= 1

        for process in processes:
            world.scheduler.spawn(partial(write, process), "writer", process)
        wait(world, 1.0)
        # An increment that the cut leaves without a reply raises OutcomeUnknown.
        assert world.scheduler.run(lambda: 0 < written["p2"] == answered["p2"], world.scheduler.now_s + 1)
        link = world.link(processes[1], Store.LOCAL)
        link.refuse = True
        link.cut()
        wait(world, 10.0)
        assert written["p2"] > 50
        # A tail that is merged on the way takes an epoch more.
        assert processes[0].client._board.authority.record in (b"local 4", b"local 5"), "one move, and back"
        link.heal()
        wait(world, 1.0)
        for process in processes:
            process.stopping = True
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert not world.scheduler.crashes
        for name, count in written.items():
            assert [int(world.stores[store].data.values[name.encode()].body) for store in Store] == [count, count]


@pytest.mark.parametrize("delay_s", [1.1, 1.25, 1.4])
def test_a_refill_that_dies_with_its_process_is_begun_again(delay_s: float) -> None:
    """The only process is killed while the local store, which lost its data, is half refilled; another one starts."""
    with opened(f"half {delay_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process, local = world.start("p1", 0.0), world.stores[Store.LOCAL]
        world.scheduler.spawn(lambda: process.client.mset({f"k{n}": n for n in range(20)}), "writer", process)
        wait(world, 1.0)
        local.crash()
        wait(world, 0.3)
        local.boot({})
        wait(world, delay_s)
        world.kill_process(process)
        fresh = world.start("p2", 0.0)
        world.scheduler.spawn(lambda: fresh.client.incr("n"), "writer", fresh)

        def is_whole() -> bool:
            return world.is_quiet() and not world.unequal() and len(world.user_values(Store.LOCAL)) == 21

        assert world.scheduler.run(is_whole, world.scheduler.now_s + 30)


def test_a_connection_that_may_hold_something_back_stays_known() -> None:
    """A stream that breaks before it has a name must not hide the one before it from the next, which is to end that."""
    with opened("held back", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process = world.start("p1", 0.0)
        world.scheduler.spawn(lambda: process.client.set("k", 1), "writer", process)
        wait(world, 1.0)
        link, local = world.link(process, Store.CLOUD), world.stores[Store.LOCAL]
        link.lose_replies = 1000
        link.cut()
        for _ in range(20):
            wait(world, 0.1)
            assert len(local.data.values[b"hybrid:stream"].body.split()) == 2


@pytest.mark.parametrize("slow_s", [0.03, 0.04, 0.05, 0.06])
def test_what_is_on_its_way_to_a_store_that_takes_over_alone_does_not_arrive(slow_s: float) -> None:
    """The local store has caught up, and is about to have the authority back, when one process loses the cloud store
    and takes over there. For the other, which ships, nothing has happened; but its way to the local store is long."""
    with opened(f"alone {slow_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.03
        processes = [world.start(name, 0.0, ack="local") for name in ("p1", "p2")]
        local = world.stores[Store.LOCAL]

        def work(process: Process) -> None:
            process.client.start()
            while not process.stopping:
                process.client.set(process.name, 1)
                world.scheduler.sleep(0.02)

        for process in processes:
            world.scheduler.spawn(partial(work, process), "writer", process)
        wait(world, 1.0)
        local.crash()
        wait(world, 0.5)
        local.boot(local.data.values)

        def is_shipping(process: Process) -> bool:
            board = process.client._board
            return board.shipping and board.authority.store is Store.CLOUD

        assert world.scheduler.run(lambda: any(map(is_shipping, processes)), world.scheduler.now_s + 5)
        shipping, other = sorted(processes, key=is_shipping, reverse=True)
        world.link(shipping, Store.LOCAL).slow_s = slow_s
        board = other.client._board
        assert world.scheduler.run(lambda: board.state(Store.LOCAL) is StoreState.UP, world.scheduler.now_s + 10)
        assert board.authority.holder is Holder.CLOUD, "not handed back yet"
        cloud = world.link(other, Store.CLOUD)

        def replace() -> None:
            other.client.set("k", "old")
            cloud.refuse = True
            cloud.cut()
            other.client.set("k", "new")

        world.scheduler.spawn(replace, "replacing", other)
        wait(world, 2.0)
        cloud.heal()
        world.link(shipping, Store.LOCAL).heal()
        wait(world, 1.0)
        for process in processes:
            process.stopping = True
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert not world.scheduler.crashes
        assert [world.stores[store].data.values[b"k"].body for store in Store] == [b"new", b"new"]


@pytest.mark.parametrize("command", ["incr", "sadd"])
def test_a_key_that_expires_on_the_way_is_no_new_one_on_the_other_store(command: str) -> None:
    """The cloud store is given a long time to answer, and the link holds back what was sent for a part of it."""
    with opened(f"late {command}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process = world.start("p1", 0.0, ack="local", cloud_timeout_s=3.0)
        client, link, done = process.client, world.link(process, Store.CLOUD), []

        def write() -> None:
            client.start()
            world.scheduler.sleep(1.0)
            client.execute_command(command, KEY, *(["1"] if command == "sadd" else []))
            client.pexpire(KEY, 2500)
            world.scheduler.sleep(0.3)
            link.hang = True
            client.execute_command(command, KEY, *(["2"] if command == "sadd" else []))
            done.append(True)

        world.scheduler.spawn(write, "writer", process)
        assert world.scheduler.run(lambda: bool(done), 3.0)
        wait(world, 2.4)
        link.heal()
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 10)
        assert not world.unequal()


class Counting:
    """Processes that count; `tried` increments began."""

    def __init__(self, world: World, names: tuple[str, ...], ack: str = "local") -> None:
        self.world, self.tried, self.pausing = world, 0, False
        world.round_trip_s[Store.CLOUD] = 0.06
        self.processes = [world.start(name, 0.0, ack=ack) for name in names]
        for process in self.processes:
            world.scheduler.spawn(partial(self._count, process), "writer", process)
        wait(world, 1.0)

    def _count(self, process: Process) -> None:
        process.writers += 1
        process.client.start()
        while not process.stopping:
            if not self.pausing:
                self.tried += 1
                with suppress(OutcomeUnknown):
                    process.client.incr(KEY)
            self.world.scheduler.sleep(0.01)
        process.writers -= 1

    def stop_shipper(self, is_over: Callable[[], bool] = lambda: True) -> Process:
        """Until half a second after another one has taken over, which is the result, and `is_over`."""
        scheduler = self.world.scheduler
        [stopped] = self.shippers()
        scheduler.freeze(stopped)
        self.pausing = False
        assert scheduler.run(lambda: len(self.shippers()) == 2, scheduler.now_s + 10)
        wait(self.world, 0.5)
        assert scheduler.run(is_over, scheduler.now_s + 10)
        [successor] = [process for process in self.shippers() if process is not stopped]
        scheduler.thaw(stopped)
        return successor

    def shippers(self) -> list[Process]:
        return [process for process in self.world.living if process.client._board.shipping]

    def end(self) -> None:
        for process in self.processes:
            process.stopping = True
        assert self.world.scheduler.run(self.world.is_quiet, self.world.scheduler.now_s + 30)
        assert not self.world.scheduler.crashes
        assert counted(self.world, Store.LOCAL) == counted(self.world, Store.CLOUD) <= self.tried


def test_a_shipper_that_was_stopped_does_not_say_what_its_successor_has_not_sent() -> None:
    """Nothing was on its way when it was stopped. Later the local store and the successor die together."""
    with opened("stopped", preempt=0.0, verbose=False) as world:
        counting, local = Counting(world, ("p1", "p2", "p3")), world.stores[Store.LOCAL]
        counting.pausing = True
        wait(world, 0.3)
        successor = counting.stop_shipper()
        wait(world, 0.2)
        local.crash()
        world.kill_process(successor)
        wait(world, 0.5)
        local.boot(local.data.values)
        wait(world, 2.0)
        counting.end()


def test_a_shipper_that_is_stopped_at_the_end_of_a_failback_calls_no_stream_clean() -> None:
    """Another one ships by the time it goes on; when that one's link breaks, some of the log has arrived already."""
    with opened("stopped at the end", preempt=0.0, verbose=False) as world:
        counting, local = Counting(world, ("p1", "p2")), world.stores[Store.LOCAL]
        local.crash()
        wait(world, 0.5)
        local.boot(local.data.values)
        for holder in (b"handover", b"local"):
            at = partial(world.has, Store.CLOUD, b"hybrid:authority", lambda it, h=holder: it.body.startswith(h))  # type: ignore[misc]
            assert world.scheduler.run(at, world.scheduler.now_s + 15)
        successor = counting.stop_shipper()
        wait(world, 1.5)
        world.link(successor, Store.CLOUD).cut()
        wait(world, 2.0)
        counting.end()


def test_the_last_word_is_kept_of_a_stream_that_has_caught_up_just_as_the_local_store_dies() -> None:
    """What it copied is answered after that; what it says to others then goes to nobody."""
    with opened("caught up as it dies", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process, local, scheduler = world.start("p1", 0.0, ack="local"), world.stores[Store.LOCAL], world.scheduler
        link, in_cloud = world.link(process, Store.CLOUD), partial(world.has, Store.CLOUD)
        scheduler.spawn(process.client.start, "start", process)
        wait(world, 1.0)
        link.refuse = True
        link.cut()
        wait(world, 0.5)
        scheduler.spawn(lambda: process.client.rpush("list", "once"), "writer", process)
        wait(world, 0.5)
        link.heal()
        assert scheduler.run(lambda: in_cloud(b"list", lambda _: True), scheduler.now_s + 10)
        local.crash()
        scheduler.spawn(lambda: process.client.set("k", 1), "writer", process)
        assert scheduler.run(lambda: in_cloud(b"k", lambda _: True), scheduler.now_s + 10)
        wait(world, 0.5)
        assert in_cloud(b"hybrid:seal", lambda _: True)
        local.boot(local.data.values)
        assert scheduler.run(lambda: world.is_quiet() and not world.unequal(), scheduler.now_s + 30)
        assert world.stores[Store.LOCAL].data.values[b"list"].body == [b"once"]


def test_what_a_failback_left_in_the_log_is_not_taken_for_what_was_done_since(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gave the authority back lost the local store before it trimmed the cloud's log. Later the local store and
    the shipper die together, with an item on its way of which nobody can tell whether it has arrived."""
    trim = Announcer.trim

    def dies(self: Announcer) -> None:
        if self._stream.source is Store.LOCAL:
            trim(self)

    with opened("left in the log", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        local, scheduler = world.stores[Store.LOCAL], world.scheduler
        processes = [world.start(name, 0.0, ack="local") for name in ("p1", "p2")]
        for process in processes:
            scheduler.spawn(process.client.start, "start", process)
        wait(world, 1.0)

        def append(process: Process, item: str) -> None:
            scheduler.spawn(lambda: process.client.rpush("list", item), "writer", process)
            arrived = partial(world.has, Store.CLOUD, b"list", lambda it: item.encode() in it.body)
            assert scheduler.run(arrived, scheduler.now_s + 10)

        monkeypatch.setattr(Announcer, "trim", dies)
        local.crash()
        append(processes[0], "a")
        local.boot(local.data.values)
        given_back = partial(world.has, Store.CLOUD, b"hybrid:authority", lambda it: it.body.startswith(b"local"))
        assert scheduler.run(given_back, scheduler.now_s + 10)
        wait(world, 1.0)
        monkeypatch.setattr(Announcer, "trim", trim)
        [shipper] = [process for process in processes if process.client._board.shipping]
        [other] = [process for process in processes if process is not shipper]
        append(other, "b")
        local.crash()
        world.kill_process(shipper)
        scheduler.spawn(lambda: other.client.set("k", 1), "writer", other)
        assert scheduler.run(partial(world.has, Store.CLOUD, b"k", lambda _: True), scheduler.now_s + 10)
        append(other, "c")
        local.boot(local.data.values)
        assert scheduler.run(lambda: world.is_quiet() and not world.unequal(), scheduler.now_s + 30)
        assert world.stores[Store.LOCAL].data.values[b"list"].body == [b"a", b"b", b"c"]


@pytest.mark.parametrize("stopped_s", [0.5, 1.6])
def test_a_shipper_that_was_stopped_replaces_nothing_that_was_written_since_the_authority_moved(
    stopped_s: float,
) -> None:
    """It still holds its lease when it goes on, and finds in the log what was written before another one claimed."""
    with opened(f"stopped for {stopped_s:g} s", preempt=0.0, verbose=False) as world:
        counting = Counting(world, ("p1", "p2"))
        counting.pausing = True
        [shipper] = counting.shippers()
        [alone] = [process for process in counting.processes if process is not shipper]
        link, done = world.link(alone, Store.LOCAL), list[Any]()
        wait(world, 0.5)

        def writes() -> None:
            done.append(alone.client.set("k", 1))
            link.refuse = True
            link.cut()
            done.append(alone.client.set("k", 2))

        world.scheduler.freeze(shipper)
        world.scheduler.spawn(writes, "writing", alone)
        wait(world, stopped_s)
        assert done == [True, True]
        world.scheduler.thaw(shipper)
        wait(world, 1.0)
        link.heal()
        counting.end()
        assert [world.stores[store].data.values[b"k"].body for store in Store] == [b"2", b"2"]


@pytest.mark.parametrize(
    ("at", "stopped_s"), [(Stream.note, 0.5), (Stream.push, 0.5), (Stream.push, 1.6), (Stream.attend, 5.0)]
)
def test_a_shipper_that_was_stopped_sends_nothing_that_it_had_read_before(
    monkeypatch: pytest.MonkeyPatch, at: Callable[..., Any], stopped_s: float
) -> None:
    """Between an entry's reading, or that of the key which it names, and its sending."""
    copies = at is Stream.attend
    with opened(f"stopped at {at.__name__} for {stopped_s:g} s", preempt=0.0, verbose=False) as world:
        counting, scheduler = Counting(world, ("p1", "p2")), world.scheduler
        counting.pausing = True
        [shipper] = counting.shippers()
        [alone] = [process for process in counting.processes if process is not shipper]
        link, done, is_due = world.link(alone, Store.LOCAL), list[Any](), False
        wait(world, 0.5)

        def stops(stream: Stream, *args: Any, **options: Any) -> Any:
            nonlocal is_due
            if is_due and stream.board is shipper.client._board:
                is_due = False
                scheduler.freeze(shipper)
                scheduler.sleep(0.001)
            return at(stream, *args, **options)

        def writes() -> None:
            nonlocal is_due
            is_due = not copies
            done.append(alone.client.set("k", 1))
            if copies:
                scheduler.sleep(1.0)
                is_due = True
                world.link(shipper, Store.CLOUD).heal()
            while not shipper.frozen:
                scheduler.sleep(0.001)
            link.refuse = True
            link.cut()
            done.append(alone.client.set("k", 2))

        monkeypatch.setattr(Stream, at.__name__, stops)
        if copies:
            world.link(shipper, Store.CLOUD).refuse = True
            world.link(shipper, Store.CLOUD).cut()
        scheduler.spawn(writes, "writing", alone)
        assert scheduler.run(lambda: shipper.frozen, scheduler.now_s + 10)
        wait(world, stopped_s)
        assert done == [True, True]
        scheduler.thaw(shipper)
        wait(world, 1.0)
        link.heal()
        counting.end()
        assert [world.stores[store].data.values[b"k"].body for store in Store] == [b"2", b"2"]


def test_what_was_asked_of_a_process_that_was_stopped_is_not_run_after_it_was_run_again() -> None:
    """Its reply was lost, so its writer has set the key itself, and deleted it since."""
    with opened("asked", preempt=0.0, verbose=False) as world:
        counting, done = Counting(world, ("p1", "p2")), []
        [shipping] = [p for p in counting.processes if p.client._board.shipping]
        [alone] = [p for p in counting.processes if p is not shipping]
        link, board = world.link(alone, Store.LOCAL), alone.client._board
        link.refuse = True
        link.cut()
        assert world.scheduler.run(lambda: board.routes.relayed, world.scheduler.now_s + 10)
        counting.pausing = True
        wait(world, 1.0)

        def write() -> None:
            assert board.routes.relayed
            alone.client.set("k", 1)
            alone.client.delete("k")
            done.append(True)

        link.heal()
        world.scheduler.freeze(shipping)
        world.scheduler.spawn(write, "writing", alone)
        assert world.scheduler.run(lambda: bool(done), world.scheduler.now_s + 10)
        world.scheduler.thaw(shipping)
        wait(world, 1.0)
        assert not any(world.has(store, b"k", lambda _: True) for store in Store)
        counting.end()


@pytest.mark.parametrize("lost", [(Store.LOCAL,), tuple(Store)])
def test_a_write_is_not_confirmed_by_the_log_of_an_earlier_life_of_its_store(lost: tuple[Store, ...]) -> None:
    """The local store comes back empty, on a machine whose clock is behind: its new log begins before the old one's
    end. So does one of which nobody is left to refill it."""
    with opened(f"earlier life {lost}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process, local, was_on_both = world.start("p1", 0.0, ack="both"), world.stores[Store.LOCAL], list[bool]()

        def write() -> None:
            process.writers += 1
            process.client.start()
            while not process.stopping:
                key = b"%d" % len(was_on_both)
                with suppress(AllStoresDown):
                    process.client.set(key, 1)
                    was_on_both.append(all(world.has(store, key, lambda _: True) for store in Store))
                world.scheduler.sleep(0.05)
            process.writers -= 1

        world.scheduler.spawn(write, "writer", process)
        wait(world, 2.0)
        for store in lost:
            world.stores[store].crash()
        wait(world, 0.5)
        local.skew_s = -20.0
        for store in lost:
            world.stores[store].boot({})
        wait(world, 5.0)
        began = len(was_on_both)
        wait(world, 3.0)
        assert world.local_leads()
        assert len(was_on_both) > began + 10 and all(was_on_both[began:])
        process.stopping = True
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert not world.scheduler.crashes


def test_a_shipper_that_was_stopped_does_not_set_the_checkpoint_back() -> None:
    """By it a cloud store with older data is recognized. The note was on its way when its shipper was stopped."""
    with opened("set back", preempt=0.0, verbose=False) as world:
        counting, scheduler = Counting(world, ("p1", "p2")), world.scheduler

        def noted(store: Store) -> Checkpoint | None:
            value = world.stores[store].data.values.get(b"hybrid:checkpoint")
            return Checkpoint.parse(value.body if value is not None else None)

        def is_later(one: Checkpoint | None, other: Checkpoint | None) -> bool:
            return one is not None and other is not None and one.place > other.place

        assert scheduler.run(lambda: is_later(noted(Store.CLOUD), noted(Store.LOCAL)), scheduler.now_s + 10)
        its_own = noted(Store.CLOUD)

        def is_beyond() -> bool:
            return is_later(noted(Store.LOCAL), its_own)

        counting.stop_shipper(is_beyond)
        wait(world, 0.3)
        assert is_beyond()
        counting.end()


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.15, 0.2])
def test_a_store_that_is_emptied_while_it_is_refilled_does_not_serve_what_is_left(
    delay_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: its connections stay, and a service does not say so."""
    monkeypatch.setattr(catch_up, "LISTED_KEYS", 3)
    with opened(f"emptied {delay_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        process, cloud = world.start("p1", 0.0), world.stores[Store.CLOUD]
        world.scheduler.spawn(lambda: process.client.mset({f"k{n}": n for n in range(20)}), "writer", process)
        wait(world, 1.5)
        world.link(process, Store.LOCAL).slow_s = 0.01
        cloud.crash()
        cloud.boot({})

        def is_begun() -> bool:
            return world.has(Store.CLOUD, b"hybrid:identity", lambda mark: mark.body == OUTDATED)

        def serves() -> bool:
            return process.client._board.state(Store.CLOUD) is StoreState.UP

        assert world.scheduler.run(is_begun, world.scheduler.now_s + 10)
        wait(world, delay_s)
        assert is_begun(), "and not over yet"
        for key in list(cloud.data.values):
            cloud.data.delete(key)
        assert world.scheduler.run(serves, world.scheduler.now_s + 60)
        assert not world.unequal()


def test_a_store_that_lacks_what_was_not_read_yet_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that was read is on the cloud store, which is near, and much more stands in the log."""
    with opened("not read yet", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.0005
        shipping, other = (world.start(name, 0.0, ack="local") for name in ("p1", "p2"))
        world.scheduler.spawn(lambda: shipping.client.set("k", 1), "writer", shipping)
        wait(world, 1.0)
        assert shipping.client._board.shipping
        make_good, written = CatchUp._make_good, list[bool]()

        def write() -> None:
            for number in range(2000):
                other.client.set(f"k{number}", 1)
            written.append(True)

        def late(self: CatchUp, missed: Folded) -> None:
            world.scheduler.spawn(write, "writer", other)
            while not written:
                world.scheduler.sleep(0.1)
            make_good(self, missed)

        monkeypatch.setattr(CatchUp, "_make_good", late)
        world.link(shipping, Store.LOCAL).slow_s = 0.02
        cloud = world.link(shipping, Store.CLOUD)
        cloud.refuse = True
        cloud.cut()
        state = shipping.client._board.state
        assert world.scheduler.run(lambda: state(Store.CLOUD) is StoreState.DOWN, world.scheduler.now_s + 10)
        cloud.heal()
        assert world.scheduler.run(lambda: state(Store.CLOUD) is StoreState.UP, world.scheduler.now_s + 30)
        assert written and not world.unequal()


def assert_stays_new(world: World, cut_off: Process, read: list[Any]) -> None:
    """What it has written on the cloud store, and read, is there when all has arrived, and when it reaches both."""
    assert world.scheduler.run(lambda: bool(read), world.scheduler.now_s + 10)
    wait(world, 1.0)
    assert world.stores[Store.CLOUD].data.values[b"k"].body == b"new"
    world.link(cut_off, Store.LOCAL).heal()
    wait(world, 10.0)
    assert not world.unequal()
    assert world.stores[Store.CLOUD].data.values[b"k"].body == b"new"


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("slow_s", [0.02, 0.03, 0.05, 0.07, 0.09])
def test_what_is_shipped_late_does_not_replace_what_is_written_after_a_claim(slow_s: float, watched: bool) -> None:
    """Who claims the cloud store has the shorter way to it than the process that ships."""
    with opened(f"shipped late {slow_s} {watched}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.01
        shipping, other = (world.start(name, 0.0, ack="local") for name in ("p1", "p2"))
        world.scheduler.spawn(lambda: shipping.client.set("k", "old"), "writer", shipping)
        wait(world, 1.0)
        assert shipping.client._board.shipping
        world.link(shipping, Store.CLOUD).slow_s = slow_s
        read: list[Any] = []

        def write() -> None:
            other.client.set("k", "old")
            link = world.link(other, Store.LOCAL)
            link.refuse = True
            link.cut()
            if watched:
                other.client.transaction(lambda pipe: pipe.multi() or pipe.set("k", "new"), "k")
            else:
                other.client.set("k", "new")
            read.append(other.client.get("k"))

        world.scheduler.spawn(write, "writer", other)
        assert_stays_new(world, other, read)


@pytest.mark.parametrize("slow_s", [0.02, 0.03, 0.05, 0.07, 0.09])
def test_what_is_shipped_late_does_not_replace_what_a_process_that_starts_writes(slow_s: float) -> None:
    """It claims the cloud store without ever having reached the local one, which others reach."""
    with opened(f"shipped late, started {slow_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.01
        shipping = world.start("p1", 0.0, ack="local")
        world.scheduler.spawn(lambda: shipping.client.set("k", "old"), "writer", shipping)
        wait(world, 1.0)
        assert shipping.client._board.shipping
        starting = world.start("p2", 0.0, ack="local")
        world.link(starting, Store.LOCAL).refuse = True
        world.link(shipping, Store.CLOUD).slow_s = slow_s
        read: list[Any] = []

        def write_until_claimed() -> None:
            while starting.client._board.authority.store is Store.LOCAL:
                shipping.client.set("k", "old")
                world.scheduler.sleep(0.002)

        def write() -> None:
            starting.client.set("k", "new")
            read.append(starting.client.get("k"))

        world.scheduler.spawn(write_until_claimed, "writer", shipping)
        world.scheduler.spawn(write, "writer", starting)
        assert_stays_new(world, starting, read)


@pytest.mark.parametrize("few_keys", [1000, 3])
def test_a_store_that_lacks_only_what_was_on_its_way_goes_on_serving(
    few_keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the shipping process is killed, and another one takes over."""
    monkeypatch.setattr(catch_up, "FEW_KEYS", few_keys)
    with opened(f"on its way {few_keys}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        shipping, other = (world.start(name, 0.0, ack="local") for name in ("p1", "p2"))

        def write() -> None:
            for number in range(100):
                other.client.set(f"k{number}", 1)
                world.scheduler.sleep(0.02)

        world.scheduler.spawn(lambda: shipping.client.set("k", 1), "writer", shipping)
        wait(world, 1.0)
        assert shipping.client._board.shipping
        world.scheduler.spawn(write, "writer", other)
        wait(world, 1.0)
        world.kill_process(shipping)
        state, seen = other.client._board.state, set[StoreState]()

        def is_over() -> bool:
            seen.add(state(Store.CLOUD))
            return world.is_quiet() and not world.unequal()

        assert world.scheduler.run(is_over, world.scheduler.now_s + 30)
        assert seen == ({StoreState.UP} if few_keys == 1000 else {StoreState.UP, StoreState.CATCHING_UP})


@pytest.mark.parametrize(
    ("refused", "breaks"), [((b"INFO", b"ID", b"KILL"), False), ((b"INFO", b"ID", b"KILL"), True), ((b"KILL",), False)]
)
def test_what_arrives_late_at_a_service_does_not_stay(refused: tuple[bytes, ...], breaks: bool) -> None:
    """It ends no connection from another one: what the stream before had sent arrives behind the copies of the next,
    which may be over by then, too."""
    with opened(f"late at a service {refused} {breaks}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.02
        process, cloud = world.start("p1", 0.0, ack="local"), world.stores[Store.CLOUD]
        cloud.refused = frozenset(refused)
        link = world.link(process, Store.CLOUD)

        def write() -> None:
            process.client.set("first", 1)
            world.scheduler.sleep(1.0)
            link.slow_s = 0.6
            process.client.incr(KEY)
            world.scheduler.sleep(0.05)
            link.slow_s = 0.0

        world.scheduler.spawn(write, "writer", process)
        assert world.scheduler.run(lambda: counted(world, Store.CLOUD) == 2, 5.0)
        if breaks:
            world.link(process, Store.LOCAL).cut()
        assert counted(world, Store.LOCAL) == 1
        assert world.scheduler.run(lambda: not world.unequal(), world.scheduler.now_s + 5)


def test_a_shipper_that_was_stopped_does_not_forget_what_was_folded_since(monkeypatch: pytest.MonkeyPatch) -> None:
    """It had copied the very keys before, and was stopped before it heard so."""
    monkeypatch.setattr(growth, "MAX_ENTRIES", 20)
    with opened("folded since", preempt=0.0, verbose=False) as world:
        scheduler, local = world.scheduler, world.stores[Store.LOCAL]
        world.round_trip_s[Store.CLOUD] = 0.06
        processes = [world.start(name, 0.0, ack="local") for name in ("p1", "p2", "p3")]
        links = [world.link(process, Store.CLOUD) for process in processes]

        def set_all(value: str, writing: Process = processes[0]) -> None:
            for number in range(50):
                writing.client.set(f"k{number}", value)

        def lose_cloud() -> None:
            for link in links:
                link.refuse = True
                link.cut()

        def is_folded() -> bool:
            log = local.data.values[b"hybrid:log"].body.entries
            return world.has(Store.LOCAL, b"hybrid:folded", lambda keys: b"kk0" in keys.body) and len(log) < 40

        for process in processes:
            scheduler.spawn(process.client.start, "start", process)
        scheduler.spawn(partial(set_all, "first"), "writer", processes[0])
        wait(world, 2.0)
        lose_cloud()
        scheduler.spawn(partial(set_all, "old"), "writer", processes[0])
        assert scheduler.run(is_folded, scheduler.now_s + 20)
        for link in links:
            link.heal()
        old = partial(world.has, Store.CLOUD, b"k0", lambda value: value.body == b"old")
        assert scheduler.run(old, scheduler.now_s + 20)
        assert is_folded(), "and not forgotten yet"
        [stopped] = [process for process in processes if process.client._board.shipping]
        [writing, _] = [process for process in processes if process is not stopped]
        scheduler.freeze(stopped)
        assert scheduler.run(lambda: not world.unequal() and not is_folded(), scheduler.now_s + 20)
        lose_cloud()
        scheduler.spawn(partial(set_all, "new", writing), "writer", writing)
        assert scheduler.run(is_folded, scheduler.now_s + 20)
        scheduler.thaw(stopped)
        wait(world, 1.0)
        for link in links:
            link.heal()
        assert scheduler.run(world.is_quiet, scheduler.now_s + 30)
        assert not world.unequal()


def test_a_shipper_that_was_stopped_calls_no_store_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows nothing of what the cloud store has missed since. Its connection there is open: a service ends none."""
    with opened("complete", preempt=0.0, verbose=False) as world:
        world.stores[Store.CLOUD].refused = frozenset((b"INFO", b"ID", b"KILL"))
        scheduler, make_good, begun = world.scheduler, CatchUp._make_good, list[bool]()
        processes = [world.start(name, 0.0, ack="local") for name in ("p1", "p2", "p3")]
        links = [world.link(process, Store.CLOUD) for process in processes]
        for process in processes:
            scheduler.spawn(process.client.start, "start", process)
        scheduler.spawn(lambda: processes[2].client.set("k", 1), "writer", processes[2])
        wait(world, 2.0)
        [stopped] = [process for process in processes if process.client._board.shipping]
        others = [process for process in processes if process is not stopped]
        scheduler.freeze(stopped)
        for link in links:
            link.refuse = True
        for process in others:
            world.link(process, Store.CLOUD).cut()
        wait(world, 5.0)
        scheduler.spawn(lambda: others[0].client.set("k", 2), "writer", others[0])
        wait(world, 0.5)

        def late(self: CatchUp, missed: Folded) -> None:
            begun.append(True)
            scheduler.sleep(2.0)
            make_good(self, missed)

        monkeypatch.setattr(CatchUp, "_make_good", late)
        for link in links:
            link.heal()
        assert scheduler.run(lambda: bool(begun), scheduler.now_s + 10)

        def are_misled() -> bool:
            return any(process.client._board.state(Store.CLOUD) is StoreState.UP for process in others)

        assert not are_misled()
        scheduler.thaw(stopped)
        assert not scheduler.run(are_misled, scheduler.now_s + 1.0)
        assert scheduler.run(lambda: world.is_quiet() and not world.unequal(), scheduler.now_s + 30)


def test_what_was_taken_from_a_key_that_expires_may_be_moved_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """By another process, before the first has logged that the key was about to expire."""
    with opened("moved on", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.1
        first, second = (world.start(name, 0.0, ack="local") for name in ("p1", "p2"))
        log_expiring, moved = flows.log_expiring, list[bool]()

        def move_on() -> None:
            second.client.lmove("taken", "moved on")
            moved.append(True)

        def late(*args: Any, **options: Any) -> Flow:
            world.scheduler.spawn(move_on, "writer", second)
            while not moved:
                world.scheduler.sleep(0.001)
            return (yield from log_expiring(*args, **options))

        def write() -> None:
            first.client.rpush("brief", "x")
            world.scheduler.sleep(1.0)
            monkeypatch.setattr(flows, "log_expiring", late)
            first.client.pexpire("brief", 30)
            first.client.lmove("brief", "taken")

        world.scheduler.spawn(second.client.start, "start", second)
        world.scheduler.spawn(write, "writer", first)
        assert world.scheduler.run(lambda: bool(moved), 10.0)
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 10)
        assert world.user_values(Store.LOCAL).keys() == {b"moved on"} and not world.unequal()


@pytest.mark.parametrize("away_s", [0.1, 0.2, 0.3, 0.4])
def test_a_store_that_took_over_alone_copies_what_it_merged(away_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last stream had ended in order, before it was lost. The cloud store returns at once, with a tail of its own:
    the log of the local one says nothing of what was merged there."""
    monkeypatch.setattr(Board, "may_return", False)
    with opened(f"took over {away_s}", preempt=0.0, verbose=False) as world:
        scheduler, local = world.scheduler, world.stores[Store.LOCAL]
        world.round_trip_s[Store.CLOUD] = 0.02
        processes = [world.start(name, 0.0, ack="local") for name in ("p1", "p2")]
        links = [world.link(process, Store.CLOUD) for process in processes]
        for process in processes:
            scheduler.spawn(partial(process.client.set, "k", 1), "writer", process)
        wait(world, 1.5)
        local.crash()
        scheduler.spawn(lambda: processes[0].client.set("k", 2), "writer", processes[0])
        wait(world, 0.5)
        local.boot({**local.data.values, b"hybrid:stream": Value("string", b"clean:%040d" % (local.boots + 1))})

        def have_caught_up() -> bool:
            boards = [process.client._board for process in processes]
            return all(it.state(Store.LOCAL) is StoreState.UP and it.authority.holder is Holder.CLOUD for it in boards)

        assert scheduler.run(have_caught_up, scheduler.now_s + 10)
        [shipping] = [process for process in processes if process.client._board.shipping]
        [other] = [process for process in processes if process is not shipping]
        scheduler.freeze(shipping)

        def write() -> None:
            other.client.rpush("list", "cloud")
            for link in links:
                link.refuse = True
                link.cut()
            other.client.rpush("list", "local")

        scheduler.spawn(write, "writer", other)
        wait(world, away_s)
        for link in links:
            link.heal()
        wait(world, 5.0)
        scheduler.thaw(shipping)
        assert scheduler.run(world.is_quiet, scheduler.now_s + 20)
        assert len(local.data.values[b"list"].body) == 2 and not world.unequal()


def test_a_process_that_is_cut_off_from_the_local_store_sees_that_others_have_refilled_the_cloud_store() -> None:
    with opened("refilled by others", preempt=0.0, verbose=False) as world:
        ships, cut_off = (world.start(name, 0.0) for name in ("p1", "p2"))

        def begin(process: Process) -> None:
            process.client.start()
            process.client.set(process.name, 1)

        for process in (ships, cut_off):
            world.scheduler.spawn(partial(begin, process), "writer", process)
            wait(world, 0.5)
        cloud = world.stores[Store.CLOUD]
        cloud.crash()
        wait(world, 0.5)
        world.link(cut_off, Store.LOCAL).hang = True
        wait(world, 3.0)
        cloud.boot({})
        wait(world, 4.0)
        assert cut_off.client._board.state(Store.LOCAL) is StoreState.DOWN
        assert cut_off.client._board.state(Store.CLOUD) is StoreState.UP
        assert cut_off.client._board.routes.writer is not None


@pytest.mark.parametrize("ack", ["local", "both"])
def test_a_store_dies_before_it_is_told_that_a_key_was_about_to_expire(
    ack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The increment is on its way to the cloud store, where it finds nothing any more."""
    with opened(f"dies before the hint {ack}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.1
        process, local = world.start("p1", 0.0, ack=ack), world.stores[Store.LOCAL]
        log_expiring = flows.log_expiring

        def late(*args: Any, **options: Any) -> Flow:
            world.scheduler.sleep(0.01)  # it is sent
            local.crash()
            return (yield from log_expiring(*args, **options))

        def write() -> None:
            process.client.set(KEY, 5)
            world.scheduler.sleep(1.0)
            monkeypatch.setattr(flows, "log_expiring", late)
            process.client.pexpire(KEY, 30)
            with suppress(OutcomeUnknown):
                process.client.incr(KEY)
            monkeypatch.setattr(flows, "log_expiring", log_expiring)
            process.client.set("another", 1)

        world.scheduler.spawn(write, "writer", process)
        assert world.scheduler.run(lambda: world.has(Store.CLOUD, b"another", lambda _: True), 20.0)
        local.boot(local.data.snapshot())
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert not world.unequal()


@pytest.mark.parametrize("clean", [True, False])
def test_an_emptied_log_says_nothing_of_what_was_shipped_from_it(clean: bool) -> None:
    """A process that has not heard takes the lease, which is gone as well. Its last word would be that nothing was ever
    sent; writers would run again what the shipper before it had sent."""
    with opened(f"emptied {clean}", preempt=0.0, verbose=False) as world:
        process, local, done = world.start("p1", 0.0), world.stores[Store.LOCAL], []

        def ship() -> None:
            process.client.set("k", 1)
            assert process.client.wait_in_sync(5.0)
            engine = process.client._engine
            control = engine.endpoints[Store.LOCAL].connect_raw()
            lease = Lease(Store.LOCAL, engine.names.lease, "another")
            control.exchange(lease.seize(), 1)
            if clean:
                control.exchange(pack(("SET", engine.names.stream, b"clean:%040d" % 1)), 1)
            stream = Stream(engine.endpoints, Store.LOCAL, engine.names, engine.board, lease, control, Shipped())
            stream.open()
            assert stream.opening.is_clean is clean
            local.empty()
            with pytest.raises(NotSent):
                CatchUp(stream).run()
            assert not stream.accounts_for_all
            done.append(True)

        world.scheduler.spawn(ship, "another shipper", process)
        assert world.scheduler.run(lambda: bool(done), 10.0)


@pytest.mark.parametrize("cut_s", [0.03 * number for number in range(8)])
def test_a_refilled_store_is_not_taken_for_the_first_of_a_new_pair(cut_s: float) -> None:
    """It has its mark, and the cloud store still has the authority, when a process that has not heard of the refill has
    to greet the cloud store again."""
    with opened(f"refilled {cut_s}", preempt=0.0, verbose=False) as world:
        counting, local = Counting(world, ("p1", "p2"), ack="both"), world.stores[Store.LOCAL]
        local.crash()
        wait(world, 0.5)
        local.boot({})
        marked = partial(world.has, Store.LOCAL, b"hybrid:identity", lambda it: it.body != OUTDATED)
        assert world.scheduler.run(marked, world.scheduler.now_s + 10)
        [shipping] = counting.shippers()
        [other] = [process for process in counting.processes if process is not shipping]
        wait(world, cut_s)
        world.link(other, Store.CLOUD).cut()
        records = []
        for _ in range(100):
            wait(world, 0.01)
            found = [world.stores[store].data.values[b"hybrid:authority"].body for store in Store]
            records.append([Authority.parse(record) or FIRST for record in found])
        assert not [
            (local, cloud)
            for local, cloud in records
            if local.holder is Holder.LOCAL and cloud.holder is Holder.CLOUD and local.epoch > cloud.epoch
        ]
        counting.end()


@pytest.mark.parametrize("expires", ["", "list", "beside it"])
def test_a_store_catches_up_under_writes_to_a_key_that_takes_long_to_copy(
    expires: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than an entry may be old to be replayed: copied again and again, it would never be done. One that expires
    is, but not for the sake of others."""
    with opened(f"long to copy {expires}", preempt=0.0, verbose=False) as world:
        scheduler, process, copy, copies = world.scheduler, world.start("p1", 0.0, ack="local"), CatchUp.copy, 0
        link, local, cloud = world.link(process, Store.CLOUD), world.stores[Store.LOCAL], world.stores[Store.CLOUD]

        def write() -> None:
            process.writers += 1
            while not process.stopping:
                if expires:
                    process.client.rpush(expires, "x")
                    process.client.pexpire(expires, 30_000)
                process.client.rpush("list", "x")
                scheduler.sleep(0.05)
            process.writers -= 1

        def slow_copy(self: CatchUp, keys: Any) -> None:
            nonlocal copies
            waiting = list(keys)
            copy(self, waiting)
            if b"list" in waiting:
                copies += 1
                scheduler.sleep(2.0)

        def is_up() -> bool:
            return process.client._board.state(Store.CLOUD) is StoreState.UP

        scheduler.spawn(write, "writer", process)
        assert scheduler.run(is_up, 5.0)
        link.refuse = True
        link.cut()
        wait(world, 3.0)
        monkeypatch.setattr(CatchUp, "copy", slow_copy)
        link.heal()
        wait(world, 20.0)
        assert copies > 5 if expires == "list" else copies < 3
        process.stopping = True
        assert scheduler.run(world.is_quiet, scheduler.now_s + 30)
        assert len(local.data.values[b"list"].body) == len(cloud.data.values[b"list"].body) > 400


@pytest.mark.parametrize("source", Store)
def test_a_connection_on_which_the_log_is_awaited_for_ever_is_given_up(
    source: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is between the shipper and the store has forgotten that one; the store answers on all others."""
    ask, forgotten = Follow._ask, list[SimSocket]()
    with opened(f"forgotten {source}", preempt=0.0, verbose=False) as world:
        counting, local = Counting(world, ("p1", "p2")), world.stores[Store.LOCAL]

        def forget(follow: Follow) -> None:
            if follow._stream.source is source and not follow._asked and not forgotten:
                forgotten.append(follow._stream.reader._sock)
                forgotten[0].lost = True
            ask(follow)

        monkeypatch.setattr(Follow, "_ask", forget)
        if source is Store.CLOUD:
            local.crash()
            wait(world, 0.5)
            local.boot(local.data.values)
        wait(world, 8.0)
        assert forgotten
        assert world.local_leads(), "nobody waits for the cloud's log for so long that the local store has to wait"
        counting.end()


@pytest.mark.parametrize("ack", ["both", "local"])
def test_connections_that_were_forgotten_on_the_way_do_not_make_the_last_store_a_dead_one(ack: str) -> None:
    """Those to the cloud store, on which nothing was asked for a while; over a new one it answers."""
    with opened(f"last {ack}", preempt=0.0, verbose=False) as world:
        counting, local = Counting(world, ("p1", "p2"), ack), world.stores[Store.LOCAL]
        counting.pausing = True
        wait(world, 0.5)
        for process in world.processes:
            world.link(process, Store.CLOUD).forget(1.0)
        local.crash()
        counting.pausing = False
        wait(world, 2.0)
        assert not world.scheduler.crashes
        local.boot(local.data.values)
        wait(world, 2.0)
        counting.end()


@pytest.mark.parametrize("ack", ["both", "local"])
def test_a_store_that_was_asked_over_a_dead_connection_is_not_waited_for_once_it_is_found_silent(ack: str) -> None:
    """It is the last one, so it is given long to answer. Commands that were sent before give up first, and wait for
    what the watcher finds."""
    with opened(f"asked {ack}", preempt=0.0, verbose=False) as world:
        counting, local = Counting(world, ("p1", "p2"), ack), world.stores[Store.LOCAL]
        local.crash()
        wait(world, 2.0)
        for process in world.processes:
            world.link(process, Store.CLOUD).forget(1.0)
        wait(world, 0.4)
        for process in world.processes:
            process.client._engine.reach.watchers[Store.CLOUD].poke()
        wait(world, 3.0)
        assert not world.scheduler.crashes
        local.boot(local.data.values)
        wait(world, 2.0)
        counting.end()


@pytest.mark.parametrize("ack", ["both", "local"])
@pytest.mark.parametrize("delay_s", [0.05 * n for n in range(1, 8)])
def test_a_new_connection_to_the_last_store_that_is_dead_as_well_is_not_waited_for(delay_s: float, ack: str) -> None:
    """It dies while the store is greeted over it. There is a next one before commands give up."""
    with opened(f"dead as well {delay_s} {ack}", preempt=0.0, verbose=False) as world:
        counting, local = Counting(world, ("p1", "p2"), ack), world.stores[Store.LOCAL]
        local.crash()
        wait(world, 2.0)
        process = counting.processes[0]
        link, board = world.link(process, Store.CLOUD), process.client._engine.board
        link.forget(1.0)
        assert world.scheduler.run(lambda: not board.reachable(Store.CLOUD), world.scheduler.now_s + 3)
        wait(world, delay_s)
        link.forget(1.0)
        wait(world, 3.0)
        assert not world.scheduler.crashes
        local.boot(local.data.values)
        wait(world, 2.0)
        counting.end()


def test_a_store_that_takes_over_alone_from_a_move_is_merged_though_its_log_is_shipped_already() -> None:
    """One process alone does not reach the cloud store when an operator has the last entries brought there. Those who
    ship them do, and the cloud store gets the authority, too. It has to write while they are on their way: in some
    runs it does."""
    assert any(_takes_over_from_a_move(number) for number in range(6))


def _takes_over_from_a_move(number: int) -> bool:
    with opened(f"from a move {number}", preempt=0.0, verbose=False) as world:
        counting = Counting(world, ("p1", "p2"))
        [shipping] = counting.shippers()
        [cut_off] = [process for process in counting.processes if process is not shipping]
        link = world.link(cut_off, Store.CLOUD)
        link.refuse = True
        link.cut()
        wait(world, 0.5)

        def move() -> None:
            with suppress(HybridError):
                failover(shipping.client, author="ana")

        def stands(store: Store, record: bytes) -> bool:
            return world.has(store, b"hybrid:authority", lambda it: it.body.startswith(record))

        world.scheduler.spawn(move, "operator", shipping)
        if not world.scheduler.run(lambda: stands(Store.LOCAL, b"local 1002 alone"), world.scheduler.now_s + 5):
            return False
        wait(world, 2.0)
        assert all(stands(store, b"local 1003") for store in Store)
        link.heal()
        counting.end()
        return True


@pytest.mark.parametrize("gap_s", [0.05, 0.15, 0.25])
def test_who_ships_says_that_it_does_not_reach_the_local_store_either(gap_s: float) -> None:
    """That hangs while the cloud store catches up. The others ask before they claim a store that lacks something; from
    one who has no answer they would wait for a second more."""
    stalls: list[float] = []
    with opened(f"hangs {gap_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.06
        processes = [world.start(name, 0.0) for name in ("p1", "p2")]

        def write(process: Process) -> None:
            process.client.start()
            for number in count():
                began_s = world.scheduler.now_s
                with suppress(OutcomeUnknown):
                    process.client.incr(f"{process.name}:{number % 40}")
                stalls.append(world.scheduler.now_s - began_s)
                if process.stopping:
                    break
                world.scheduler.sleep(0.01)

        local, cloud = (world.stores[store] for store in Store)
        for process in processes:
            world.scheduler.spawn(partial(write, process), "writer", process)
        wait(world, 1.5)
        cloud.stop()
        wait(world, 1.0)
        cloud.resume()
        wait(world, gap_s)
        local.stop()
        wait(world, 4.0)
        local.resume()
        wait(world, 1.0)
        for process in processes:
            process.stopping = True
        assert world.scheduler.run(world.is_quiet, world.scheduler.now_s + 30)
        assert not world.unequal()
    assert 1.0 < max(stalls) < 3.0


@pytest.mark.parametrize("killed_s", [0.01, 0.03, 0.05])
def test_who_has_only_started_and_ships_next_does_not_call_the_cloud_store_behind_for_what_was_on_its_way(
    killed_s: float,
) -> None:
    """Or writes would be confirmed by the local store alone until that has arrived, its own and those of the others."""
    with opened(f"ships next {killed_s}", preempt=0.0, verbose=False) as world:
        world.round_trip_s[Store.CLOUD] = 0.1
        first = world.start("p1", 0.0)
        world.scheduler.spawn(lambda: first.client.set("before", 1), "writer", first)
        wait(world, 1.5)
        assert first.client._board.shipping
        world.scheduler.spawn(lambda: first.client.set("on its way", 1), "writer", first)
        wait(world, killed_s)
        world.kill_process(first)
        assert world.stores[Store.LOCAL].data.values[b"hybrid:log"].body
        starts = world.start("p2", 0.0)
        arrived: list[bool] = []

        def write() -> None:
            starts.client.set("k", 1)
            arrived.append(world.has(Store.CLOUD, b"k", lambda _: True))

        world.scheduler.spawn(write, "writer", starts)
        assert world.scheduler.run(lambda: bool(arrived), world.scheduler.now_s + 10)
        assert arrived == [True] and not starts.client.status().unconfirmed_writes
