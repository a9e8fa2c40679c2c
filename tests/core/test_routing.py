"""Routes: every combination of states, authority and preference, against what must never and must always hold."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hybrid.core.authority import Authority, Holder
from hybrid.core.routing import Routes, planned_routes
from hybrid.types import ReadPreference, Store, StoreState

UNUSABLE = (StoreState.DOWN, StoreState.WIPED)


@dataclass(frozen=True)
class Case:
    local: StoreState
    cloud: StoreState
    authority: Authority
    preference: ReadPreference
    faster: Store

    @property
    def routes(self) -> Routes:
        return planned_routes(self.local, self.cloud, self.authority, self.preference, self.faster)

    def state(self, store: Store) -> StoreState:
        return self.local if store is Store.LOCAL else self.cloud


def every_case() -> Iterator[tuple[Case, Routes]]:
    for local, cloud, holder, preference, faster in itertools.product(
        StoreState, StoreState, Holder, ReadPreference, Store
    ):
        case = Case(local, cloud, Authority(holder, 3), preference, faster)
        yield case, case.routes


def test_all_stores_that_are_up_are_read_and_no_others() -> None:
    for case, routes in every_case():
        assert sorted(routes.reads) == sorted(s for s in Store if case.state(s) is StoreState.UP), case


def test_the_preferred_store_is_read_first() -> None:
    for case, routes in every_case():
        if len(routes.reads) == 2:
            preferred = {"local": Store.LOCAL, "cloud": Store.CLOUD, "fastest": case.faster}[case.preference.value]
            assert routes.reads == (preferred, preferred.other), case


def test_reading_and_writing_do_not_depend_on_each_other() -> None:
    for case, routes in every_case():
        if case.preference is ReadPreference.FASTEST:
            other = planned_routes(case.local, case.cloud, case.authority, ReadPreference.LOCAL)
            assert (routes.writer, routes.claim, routes.confirm) == (other.writer, other.claim, other.confirm), case


def test_a_writer_is_a_store_that_may_answer() -> None:
    for case, routes in every_case():
        assert routes.writer is None or case.state(routes.writer) not in UNUSABLE, case


def test_all_processes_that_see_the_same_write_to_the_same_store() -> None:
    for case, routes in every_case():
        if not routes.claim:
            assert routes.writer in (None, case.authority.store), case


def test_the_authority_is_claimed_only_when_the_other_store_is_lost() -> None:
    claims = set()
    for case, routes in every_case():
        if routes.claim:
            assert routes.writer is not None, case
            claims.add(routes.writer)
            assert case.state(routes.writer.other) in UNUSABLE, case
            assert not case.authority.admits(routes.writer), case
    assert claims == set(Store)


def test_the_holder_is_only_succeeded_by_a_store_that_has_everything() -> None:
    for case, routes in every_case():
        if not case.authority.is_moving and routes.claim:
            assert routes.writer is not None, case
            assert case.state(routes.writer) is StoreState.UP, case


def test_a_dead_goal_of_a_handover_is_not_waited_for() -> None:
    for case, routes in every_case():
        if case.authority.holder is Holder.HANDOVER and case.local is StoreState.DOWN and routes.writer:
            assert routes.claim, case


def test_where_others_reach_the_local_store_they_write_there_for_this_process() -> None:
    def routes(holder: Holder, cloud: StoreState = StoreState.UP, *, relay: bool = True) -> Routes:
        return planned_routes(StoreState.DOWN, cloud, Authority(holder, 3), ReadPreference.LOCAL, relay=relay)

    assert routes(Holder.LOCAL).relayed
    assert not routes(Holder.LOCAL, relay=False).relayed
    assert not routes(Holder.LOCAL, StoreState.DOWN).relayed
    assert not routes(Holder.CLOUD).relayed
    handover = routes(Holder.HANDOVER)
    assert not handover.claim, "it comes to its end without this process"
    assert not handover.relayed


def test_confirmation_is_asked_of_the_other_store_if_it_is_up() -> None:
    for case, routes in every_case():
        up = routes.writer is not None and case.state(routes.writer.other) is StoreState.UP
        assert routes.confirm is up, case


def test_one_store_that_is_up_is_enough_unless_the_other_is_ahead() -> None:
    for case, routes in every_case():
        for store in Store:
            if case.state(store) is StoreState.UP and (
                case.state(store.other) in UNUSABLE or case.authority.store is store
            ):
                assert routes.writer is store, case


def test_no_store_left() -> None:
    for case, routes in every_case():
        if case.local in UNUSABLE and case.cloud in UNUSABLE:
            assert routes == Routes((), None, claim=False, confirm=False), case


WRITERS = """
local up          | cloud up          | held by local    | writes to local
local unknown     | cloud unknown     | held by local    | writes to local
local catching up | cloud up          | held by local    | writes to local
local down        | cloud up          | held by local    | claims cloud
local wiped       | cloud up          | held by local    | claims cloud
local down        | cloud catching up | held by local    | writes nowhere
local down        | cloud unknown     | held by local    | writes nowhere
local up          | cloud down        | held by cloud    | claims local
local up          | cloud wiped       | held by cloud    | claims local
local catching up | cloud down        | held by cloud    | writes nowhere
local catching up | cloud up          | held by cloud    | writes to cloud
local down        | cloud up          | held by cloud    | writes to cloud
local down        | cloud catching up | held by cloud    | writes to cloud
local catching up | cloud up          | held by handover | writes to cloud
local down        | cloud up          | held by handover | claims cloud
local up          | cloud down        | held by handover | claims local
local up          | cloud down        | held by drain    | claims local
local down        | cloud up          | held by drain    | claims cloud
local up          | cloud up          | held by drain    | writes to local
"""


@pytest.mark.parametrize("row", WRITERS.strip().splitlines())
def test_where_writes_go(row: str) -> None:
    local, cloud, held, expected = (cell.strip() for cell in row.split("|"))
    authority = Authority(Holder(held.removeprefix("held by ")), 3)
    states = StoreState(local.removeprefix("local ")), StoreState(cloud.removeprefix("cloud "))
    routes = planned_routes(*states, authority, ReadPreference.LOCAL)
    done = f"{'claims' if routes.claim else 'writes to'} {routes.writer}" if routes.writer else "writes nowhere"
    assert done == expected


@pytest.mark.parametrize("state", StoreState)
def test_one_store_alone_needs_no_proof_that_it_has_everything(state: StoreState) -> None:
    for holder, preference in itertools.product(Holder, ReadPreference):
        routes = planned_routes(state, None, Authority(holder, 3), preference, Store.CLOUD)
        usable = state not in UNUSABLE
        assert routes == Routes((Store.LOCAL,) * usable, Store.LOCAL if usable else None, claim=False, confirm=False)


def test_a_cloud_store_that_cannot_lead_takes_no_write_and_refills_a_local_one_that_was_wiped() -> None:
    for case, usual in every_case():
        states = case.local, case.cloud
        routes = planned_routes(*states, case.authority, case.preference, case.faster, cloud_leads=False)
        assert routes.reads == usual.reads, case
        if usual.writer is Store.CLOUD:
            assert routes.writer is None, case
            assert routes.claim is (usual.claim and case.local is StoreState.WIPED), case
            assert "a cluster takes none" in routes.refusal
        else:
            assert routes == usual, case
