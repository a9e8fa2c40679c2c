"""Progress through a log, and the threads that wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from servers import wait_until

from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.core.tokens import Seal, Shipped, token
from hybrid.replication.acks import Acks

LONG_S = 30.0
"""No test waits so long: a waiter that nobody wakes fails its test."""

CLAIMED = Authority(Holder.CLOUD, 2)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Waiters:
    """Threads that wait for places, each known to be waiting before the test goes on."""

    def __init__(self, acks: Acks, threads: ThreadPoolExecutor) -> None:
        self._acks = acks
        self._threads = threads

    def add(self, place: tuple[int, int]) -> Future[bool]:
        before = len(self._acks._waiters)
        future = self._threads.submit(self._acks.wait, place, LONG_S)
        wait_until(lambda: len(self._acks._waiters) == before + 1, "a waiter")
        return future


def test_what_is_applied_need_not_be_waited_for() -> None:
    acks = Acks()
    assert acks.wait((0, 0), LONG_S)
    acks.advance((5, 2))
    assert acks.wait((5, 2), LONG_S)
    assert acks.wait((5, 1), LONG_S)
    assert not acks.wait((5, 3), 0.001)
    assert not acks.wait((6, 0), 0.001)


def test_what_is_expected_is_awaited_until_it_is_applied() -> None:
    acks = Acks()
    assert not acks.is_awaited
    assert acks.expect((5, 0))
    assert not acks.expect((4, 0)), "that was so already"
    acks.advance((4, 9))
    assert acks.is_awaited
    acks.advance((5, 0))
    assert not acks.is_awaited


def test_positions_only_grow() -> None:
    acks = Acks()
    for place in ((5, 0), (4, 9), (5, 0)):
        acks.advance(place)
    assert acks.applied == (5, 0)


def test_those_who_waited_for_less_are_woken(threads: ThreadPoolExecutor) -> None:
    acks = Acks()
    waiters = Waiters(acks, threads)
    far, near, here = (waiters.add(place) for place in ((9, 0), (3, 1), (5, 5)))
    acks.advance((5, 5))
    assert near.result(LONG_S / 2) and here.result(LONG_S / 2)
    assert not far.done()
    acks.advance((10, 0))
    assert far.result(LONG_S / 2)


def test_many_wait_for_one_place(threads: ThreadPoolExecutor) -> None:
    acks = Acks()
    waiters = Waiters(acks, threads)
    waiting = [waiters.add((1, 1)) for _ in range(8)]
    acks.advance((1, 1))
    assert all(waiter.result(LONG_S / 2) for waiter in waiting)


def test_a_woken_waiter_says_what_is_so(threads: ThreadPoolExecutor) -> None:
    acks = Acks()
    waiter = Waiters(acks, threads).add((1, 0))
    acks.wake()
    assert waiter.result(LONG_S / 2) is False
    for _ in range(2):
        acks.wake()


def test_who_gave_up_waiting_disturbs_nobody(threads: ThreadPoolExecutor) -> None:
    acks = Acks()
    assert not acks.wait((1, 0), 0.001)
    waiter = Waiters(acks, threads).add((1, 0))
    acks.advance((1, 0))
    assert waiter.result(LONG_S / 2)


def test_a_seal_ends_every_wait(threads: ThreadPoolExecutor) -> None:
    acks = Acks()
    waiters = Waiters(acks, threads)
    shipped_one, lost_one = waiters.add((4, 0)), waiters.add((6, 0))
    shipped = Shipped()
    shipped.note(token(b"aaaaaaaa", 1))
    seal = Seal(CLAIMED, CLAIMED.epoch, (5, 0), (5, 0), shipped)
    acks.seal(seal)
    assert shipped_one.result(LONG_S / 2) is True
    assert lost_one.result(LONG_S / 2) is False
    assert (acks.sealed(CLAIMED), acks.applied) == (seal, (5, 0))
    assert acks.sealed(FIRST) is None, "the authority has not moved as far as this process knows"
    acks.begin(CLAIMED.epoch)
    assert (acks.sealed(CLAIMED), acks.applied, acks.known) == (None, (0, 0), (5, 0)), "perhaps the log is a new one"
    acks.begin_anew()
    assert acks.known == (0, 0)


def test_nobody_is_forgotten_when_all_come_at_once(threads: ThreadPoolExecutor) -> None:
    acks = Acks()
    waiting = [threads.submit(acks.wait, (number, 0), LONG_S) for number in range(1, 16)]
    for number in range(1, 16):
        acks.advance((number, 0))
    assert all(waiter.result(LONG_S / 2) for waiter in waiting)
