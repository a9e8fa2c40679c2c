"""One shipper at a time: the lease on a real server, and the clock of its holder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis
from servers import Pool, client, run_packed

from hybrid.core.resp import unpack
from hybrid.replication import lease as lease_module
from hybrid.replication.lease import RENEW_S, TERM_S, Lease, new_holder, renamed
from hybrid.types import Store

KEY = b"hybrid:lease"


@dataclass
class Clock:
    """Stands in for the `time` module of the lease."""

    now_s: float = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lease_module, "time", clock)
    return clock


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, server_pool: Pool) -> Iterator[redis.Redis]:
    with client(server_pool.get(request.param, "local").url) as connection:
        yield connection


def held(store: Store = Store.LOCAL) -> Lease:
    lease = Lease(store, KEY, new_holder())
    lease.acquire()
    assert lease.acquired(1)
    return lease


# -- on the server


def test_one_holder_at_a_time(server: redis.Redis) -> None:
    first, second = Lease(Store.LOCAL, KEY, new_holder()), Lease(Store.LOCAL, KEY, new_holder())
    assert first.holder != second.holder
    assert first.acquired(run_packed(server, first.acquire()))
    assert not second.acquired(run_packed(server, second.acquire()))
    assert (first.is_held, second.is_held) == (True, False)
    assert server.get(KEY) == first.holder.encode()


def test_a_shipper_that_begins_anew_takes_its_own_lease(server: redis.Redis) -> None:
    holder = new_holder()
    before, after = Lease(Store.LOCAL, KEY, holder), Lease(Store.LOCAL, KEY, holder)
    assert before.acquired(run_packed(server, before.acquire()))
    server.persist(KEY)
    assert after.acquired(run_packed(server, after.acquire()))
    assert 0 < server.pttl(KEY) <= TERM_S[Store.LOCAL] * 1000


@pytest.mark.parametrize("store", Store)
def test_a_lease_runs_out_on_the_server(server: redis.Redis, store: Store) -> None:
    lease = Lease(store, KEY, new_holder())
    run_packed(server, lease.acquire())
    term_ms = TERM_S[store] * 1000
    assert 0 < server.pttl(KEY) <= term_ms
    server.persist(KEY)
    assert run_packed(server, lease.renew()) == 1
    assert 0 < server.pttl(KEY) <= term_ms


def test_only_the_holder_renews_and_releases(server: redis.Redis) -> None:
    first, second = Lease(Store.LOCAL, KEY, new_holder()), Lease(Store.LOCAL, KEY, new_holder())
    run_packed(server, first.acquire())
    assert run_packed(server, second.renew()) == 0
    assert run_packed(server, second.release()) == 0
    assert server.get(KEY) == first.holder.encode()
    assert run_packed(server, first.release()) == 1
    assert not server.exists(KEY)
    assert second.acquired(run_packed(server, second.acquire()))


def test_a_lease_that_ran_out_cannot_be_renewed(server: redis.Redis) -> None:
    lease = Lease(Store.LOCAL, KEY, new_holder())
    lease.acquired(run_packed(server, lease.acquire()))
    server.delete(KEY)
    lease.renewed(lease.asked_s, run_packed(server, lease.renew()))
    assert not lease.is_held
    assert not server.exists(KEY)


# -- by the holder's clock


@pytest.mark.parametrize("store", Store)
def test_the_holder_stops_before_the_server_forgets_it(clock: Clock, store: Store) -> None:
    lease = held(store)
    asked_s = clock.now_s
    clock.now_s = asked_s + TERM_S[store] * 0.8
    assert lease.is_held
    clock.now_s = asked_s + TERM_S[store] * 0.95
    assert not lease.is_held


def test_the_term_counts_from_the_question(clock: Clock) -> None:
    lease = Lease(Store.LOCAL, KEY, new_holder())
    lease.acquire()
    clock.now_s += TERM_S[Store.LOCAL]
    assert lease.acquired(1)
    assert not lease.is_held, "the answer came too late"


def test_a_renewal_prolongs_from_its_question(clock: Clock) -> None:
    lease = held()
    term_s = TERM_S[Store.LOCAL]
    clock.now_s += term_s / 2
    lease.renew()
    asked_s = lease.asked_s
    assert asked_s == clock.now_s
    clock.now_s += term_s / 4
    lease.renewed(asked_s, 1)
    clock.now_s = asked_s + term_s * 0.8
    assert lease.is_held
    clock.now_s = asked_s + term_s * 0.95
    assert not lease.is_held


@pytest.mark.parametrize("reply", [0, None, redis.ResponseError("NOSCRIPT")])
def test_a_renewal_that_fails_ends_the_lease_at_once(clock: Clock, reply: object) -> None:
    lease = held()
    lease.renew()
    lease.renewed(lease.asked_s, reply)
    assert not lease.is_held


@pytest.mark.parametrize("reply", [0, None, redis.ResponseError("OOM")])
def test_a_lease_that_was_not_granted(clock: Clock, reply: object) -> None:
    lease = Lease(Store.LOCAL, KEY, new_holder())
    lease.acquire()
    assert not lease.acquired(reply)
    assert not lease.is_held


@pytest.mark.parametrize("store", list(Store))
def test_one_renewal_may_be_missed(clock: Clock, store: Store) -> None:
    lease = held(store)
    clock.now_s += 2 * RENEW_S[store] + 0.001
    assert lease.is_held


def test_commands_name_the_key_and_the_holder() -> None:
    lease = Lease(Store.CLOUD, KEY, new_holder())
    for command in (lease.acquire(), lease.renew(), lease.release()):
        args = unpack(command)
        assert KEY in args and lease.holder.encode() in args


def test_a_lease_that_is_seized_is_nobody_elses(server: redis.Redis) -> None:
    """A command that waited in a store that hung may give the lease to somebody who has long gone on."""
    late, mine = (Lease(Store.LOCAL, KEY, new_holder()) for _ in range(2))
    assert run_packed(server, late.acquire()) == 1
    assert run_packed(server, mine.seize()) == b"OK"
    assert run_packed(server, late.renew()) == 0
    assert run_packed(server, mine.acquire()) == 1
    assert 0 < server.pttl(KEY) <= TERM_S[Store.LOCAL] * 1000


def test_who_handed_the_authority_back_ships_although_an_agent_bids(server: redis.Redis) -> None:
    """Nobody would ship else, until the lease has run out."""
    bid = b"hybrid:bid"
    application = Lease(Store.LOCAL, KEY, new_holder(), bid=bid)
    agent = Lease(Store.LOCAL, KEY, new_holder(), bid=bid, preferred=True)
    assert run_packed(server, application.seize()) == b"OK"
    assert not agent.acquired(run_packed(server, agent.acquire()))
    assert server.get(bid) == agent.holder.encode()
    assert application.acquired(run_packed(server, application.acquire()))
    assert server.exists(bid), "it has not seen it yet"
    application.renewed(application.asked_s, run_packed(server, application.renew()))
    assert application.is_wanted
    assert run_packed(server, application.release()) == 1
    assert not application.acquired(run_packed(server, application.acquire()))
    assert agent.acquired(run_packed(server, agent.acquire()))


@pytest.mark.parametrize("bid", [None, b"bid"])
def test_what_an_earlier_lease_has_sent_does_not_concern_the_next_one(server: redis.Redis, bid: bytes | None) -> None:
    """Its release came late, and two shippers were at work until the next renewal."""
    holder = new_holder()
    before, after = (Lease(Store.LOCAL, KEY, name, bid=bid) for name in (holder, renamed(holder)))
    assert before.acquired(run_packed(server, before.acquire()))
    assert after.acquired(run_packed(server, after.acquire())), "it need not wait for itself"
    assert run_packed(server, before.release()) == 0
    assert run_packed(server, before.set(b"noted", b"late")) == 0
    assert run_packed(server, after.renew()) == 1
    other = Lease(Store.LOCAL, KEY, new_holder(), bid=bid)
    assert not other.acquired(run_packed(server, other.acquire()))


def test_a_shipper_that_bids_under_one_name_is_served_under_the_next(server: redis.Redis) -> None:
    bid, holder = b"bid", new_holder()
    application = Lease(Store.LOCAL, KEY, new_holder(), bid=bid)
    agent, again = (Lease(Store.LOCAL, KEY, name, bid=bid, preferred=True) for name in (holder, renamed(holder)))
    assert application.acquired(run_packed(server, application.acquire()))
    assert not agent.acquired(run_packed(server, agent.acquire()))
    assert run_packed(server, application.release()) == 1
    assert not application.acquired(run_packed(server, application.acquire())), "somebody preferred waits"
    assert again.acquired(run_packed(server, again.acquire()))
    assert not server.exists(bid)
