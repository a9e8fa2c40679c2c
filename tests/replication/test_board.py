"""What one process knows: evidence and authority become states, routes, events, and wake those who wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import wait_until

from hybrid import events
from hybrid.core.authority import FIRST, Authority, Holder
from hybrid.core.health import Evidence
from hybrid.core.tokens import Seal
from hybrid.replication.bell import Bell
from hybrid.replication.board import LATE_S, Board
from hybrid.settings import Settings
from hybrid.types import ReadPreference, Store, StoreState

LOCAL, CLOUD = Store.LOCAL, Store.CLOUD
BOTH = Settings(local_url="redis://localhost:1", cloud_url="redis://localhost:2")
ALONE = Settings(local_url="redis://localhost:1")
CLAIMED = Authority(Holder.CLOUD, 2)
HANDOVER = Authority(Holder.HANDOVER, 3)
RETURNED = Authority(Holder.LOCAL, 4)
SEAL = Seal(CLAIMED, CLAIMED.epoch, (4, 0), (4, 0))
LONG_S = 30.0
"""No test waits so long: a waiter that nobody wakes fails its test."""


class Told:
    """The events of one board, by the names of their types; `take` forgets them."""

    def __init__(self) -> None:
        self._events: list[events.Event] = []

    def hook(self, event: events.Event) -> None:
        self._events.append(event)

    def take(self) -> list[str]:
        taken, self._events = self._events, []
        return [f"{type(event).__name__} {getattr(event, 'store', '')}".strip() for event in taken]

    def last(self) -> events.Event:
        return self._events[-1]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def make(told: Told) -> Callable[..., Board]:
    def made(settings: Settings = BOTH) -> Board:
        return Board(settings, events.EventLog((told.hook,)))

    return made


@pytest.fixture
def board(make: Callable[..., Board], told: Told) -> Board:
    """Both stores are up, local has the authority, as after a usual start."""
    board = make()
    board.learn(FIRST, source=CLOUD)
    for store in Store:
        board.observe(store, Evidence.ANSWERED)
    board.observe(CLOUD, Evidence.CAUGHT_UP)
    assert states(board) == "up up"
    told.take()
    return board


@pytest.fixture
def failed_over(board: Board, told: Told) -> Board:
    """Local died, and the authority was claimed for the cloud."""
    board.observe(LOCAL, Evidence.REFUSED)
    board.learn(CLAIMED, source=CLOUD)
    told.take()
    return board


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def states(board: Board) -> str:
    return f"{board.state(LOCAL)} {board.state(CLOUD)}"


def test_the_last_store_is_known(board: Board) -> None:
    assert not board.is_last(LOCAL) and not board.is_last(CLOUD)
    board.observe(CLOUD, Evidence.REFUSED)
    assert board.is_last(LOCAL) and not board.is_last(CLOUD)
    board.observe(CLOUD, Evidence.ANSWERED)
    assert board.is_last(LOCAL), "the cloud store would take over with what it has, and show older values"
    board.observe(CLOUD, Evidence.CAUGHT_UP)
    assert not board.is_last(LOCAL) and not board.is_last(CLOUD)
    board.observe(CLOUD, Evidence.WIPED)
    assert board.is_last(LOCAL)


def test_a_cloud_store_from_which_the_local_one_took_over_alone_is_behind(failed_over: Board) -> None:
    """Another process lost it; here it answers still."""
    failed_over.observe(LOCAL, Evidence.ANSWERED)
    failed_over.observe(LOCAL, Evidence.CAUGHT_UP)
    assert states(failed_over) == "up up"
    failed_over.learn(CLAIMED.of_local_alone, source=LOCAL)
    assert states(failed_over) == "up catching up"
    assert failed_over.readers() == (LOCAL,) and not failed_over.routes.confirm


@pytest.mark.parametrize(
    ("word", "confirms"), [(Evidence.CAUGHT_UP, True), (Evidence.BEHIND, False), (Evidence.SILENT, False)]
)
def test_who_has_begun_waits_for_word_of_the_cloud_store(
    make: Callable[..., Board], word: Evidence, confirms: bool
) -> None:
    board = make()
    board.learn(FIRST, source=CLOUD)
    for store in Store:
        board.observe(store, Evidence.ANSWERED)
    assert states(board) == "up catching up" and board.confirms
    board.observe(CLOUD, word)
    assert board.confirms is confirms
    board.observe(CLOUD, Evidence.SILENT)
    board.observe(CLOUD, Evidence.ANSWERED)
    assert states(board) == "up catching up" and not board.confirms, "it is known to have missed something"


def test_word_of_the_cloud_store_is_not_waited_for_long(
    make: Callable[..., Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybrid.replication.board.WORD_S", 0.0)
    board = make()
    board.learn(FIRST, source=CLOUD)
    for store in Store:
        board.observe(store, Evidence.ANSWERED)
    assert states(board) == "up catching up" and not board.confirms


def test_while_local_catches_up_the_cloud_store_is_the_last(failed_over: Board) -> None:
    failed_over.observe(LOCAL, Evidence.ANSWERED)
    assert failed_over.is_last(CLOUD) and not failed_over.is_last(LOCAL)
    failed_over.observe(LOCAL, Evidence.CAUGHT_UP)
    assert not failed_over.is_last(CLOUD)


def test_when_the_last_store_is_lost_all_that_are_down_are_tried_once_more(board: Board) -> None:
    tried: list[Store] = []
    board.on_doubt = tried.append
    board.observe(CLOUD, Evidence.REFUSED)
    assert not board.hopeful
    tried.clear()
    board.observe(LOCAL, Evidence.REFUSED)
    assert board.hopeful and set(tried) == {LOCAL, CLOUD}
    tried.clear()
    board.observe(LOCAL, Evidence.REFUSED)
    assert not tried, "the one that failed once more has the other one tried again, and so on"


@pytest.mark.parametrize("evidence", [Evidence.ANSWERED, Evidence.WIPED], ids=["catches up", "is refilled"])
def test_a_local_store_that_returns_is_waited_for_where_the_cloud_store_is_lost(
    failed_over: Board, evidence: Evidence
) -> None:
    failed_over.observe(CLOUD, Evidence.REFUSED)
    for store in Store:
        failed_over.tried(store)
    assert not failed_over.hopeful
    failed_over.observe(LOCAL, evidence)
    assert failed_over.hopeful and failed_over.routes.writer is None


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_local_store_that_was_started_again_explains_why_it_lost_the_authority(
    board: Board, is_restarted: bool
) -> None:
    for epoch in range(2, 20, 3):
        if is_restarted:
            board.broke(LOCAL)
        board.learn(Authority(Holder.CLOUD, epoch), source=CLOUD)
        board.observe(LOCAL, Evidence.CAUGHT_UP)
        if epoch < 17:
            board.learn(Authority(Holder.LOCAL, epoch + 2), source=CLOUD)
    assert board.may_return is is_restarted


def test_who_waits_for_a_store_is_woken(board: Board, threads: ThreadPoolExecutor) -> None:
    for end in (lambda: board.observe(LOCAL, Evidence.ANSWERED), lambda: [board.tried(store) for store in Store]):
        for store in Store:
            board.observe(store, Evidence.REFUSED)
        waiting = threads.submit(board.wait_for_store)
        end()
        waiting.result(LONG_S / 2)


# -- who is known to have everything


def test_at_first_nothing_is_known(make: Callable[..., Board]) -> None:
    board = make()
    assert states(board) == "unknown unknown"
    assert (board.routes.reads, board.routes.writer) == ((), LOCAL)
    assert not board.reachable(LOCAL)


def test_the_authority_serves_once_the_cloud_said_who_it_is(make: Callable[..., Board]) -> None:
    board = make()
    board.observe(LOCAL, Evidence.ANSWERED)
    board.learn(FIRST, source=LOCAL)
    assert states(board) == "catching up unknown", "the record on local may be old"
    board.learn(FIRST, source=CLOUD)
    assert states(board) == "up unknown"


@pytest.mark.parametrize("evidence", [Evidence.REFUSED, Evidence.SILENT, Evidence.LOST, Evidence.WIPED])
def test_local_serves_alone_when_the_cloud_cannot_say(make: Callable[..., Board], evidence: Evidence) -> None:
    board = make()
    board.observe(LOCAL, Evidence.ANSWERED)
    assert board.state(LOCAL) is StoreState.CATCHING_UP
    board.observe(CLOUD, evidence)
    assert board.state(LOCAL) is StoreState.UP


def test_the_other_store_serves_when_it_was_seen_to_catch_up(make: Callable[..., Board]) -> None:
    board = make()
    board.learn(FIRST, source=CLOUD)
    board.observe(LOCAL, Evidence.ANSWERED)
    board.observe(CLOUD, Evidence.ANSWERED)
    assert states(board) == "up catching up"
    board.observe(CLOUD, Evidence.CAUGHT_UP)
    assert states(board) == "up up"


@pytest.mark.parametrize("evidence", [Evidence.REFUSED, Evidence.WIPED])
def test_what_the_last_store_has_is_what_there_is(make: Callable[..., Board], evidence: Evidence) -> None:
    board = make()
    board.learn(FIRST, source=CLOUD)
    board.observe(CLOUD, Evidence.ANSWERED)
    assert board.state(CLOUD) is StoreState.CATCHING_UP
    board.observe(LOCAL, evidence)
    assert board.state(CLOUD) is StoreState.UP
    assert (board.routes.writer, board.routes.claim) == (CLOUD, True)


@pytest.mark.parametrize("claimed_by_another", [True, False])
@pytest.mark.parametrize("lags", [True, False])
def test_a_cloud_store_that_is_claimed_takes_writes_behind_what_is_on_its_way(
    make: Callable[..., Board], lags: bool, claimed_by_another: bool
) -> None:
    """The shipper sends on until it hears of the claim: that would replace what is written before its last word, which
    ends the wait. Where the cloud store was catching up, this may be much."""
    board = make()
    board.learn(FIRST, source=CLOUD)
    board.observe(LOCAL, Evidence.ANSWERED)
    board.observe(CLOUD, Evidence.ANSWERED)
    if not lags:
        board.observe(CLOUD, Evidence.CAUGHT_UP)
    if not claimed_by_another:
        board.observe(LOCAL, Evidence.SILENT)
    board.learn(CLAIMED, source=CLOUD)
    left_s = board.unsealed_until_s - time.monotonic()
    assert left_s > 0
    assert (left_s > LATE_S) == lags
    board.acks[LOCAL].seal(SEAL)
    board.await_seal()
    assert board.unsealed_until_s == 0.0


def test_a_move_while_a_wait_for_the_last_word_ends_is_waited_for_too(
    make: Callable[..., Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = make()
    board.learn(FIRST, source=CLOUD)
    board.observe(LOCAL, Evidence.ANSWERED)
    board.learn(CLAIMED, source=CLOUD)

    def moves(authority: Authority) -> Seal:
        board.learn(authority.succeeded_by(Holder.LOCAL), source=CLOUD)
        board.learn(board.authority.succeeded_by(Holder.CLOUD), source=CLOUD)
        return SEAL

    monkeypatch.setattr(board.acks[LOCAL], "sealed", moves)
    board.await_seal()
    assert board.is_unsealed(CLOUD)
    monkeypatch.setattr(board.acks[LOCAL], "sealed", lambda _: SEAL)
    board.await_seal()
    assert not board.is_unsealed(CLOUD)


def test_who_has_only_started_claims_the_cloud_store_behind_what_is_on_its_way(make: Callable[..., Board]) -> None:
    """Others may reach the local store that it has never seen."""
    board = make()
    board.learn(FIRST, source=CLOUD)
    board.observe(CLOUD, Evidence.ANSWERED)
    board.observe(LOCAL, Evidence.REFUSED)
    board.learn(CLAIMED, source=CLOUD)
    assert 0 < board.unsealed_until_s - time.monotonic() <= LATE_S


def test_nothing_is_on_its_way_once_an_operator_has_moved_the_authority(make: Callable[..., Board]) -> None:
    board = make()
    board.learn(FIRST, source=CLOUD)
    board.observe(LOCAL, Evidence.ANSWERED)
    board.observe(CLOUD, Evidence.CAUGHT_UP)
    board.learn(Authority(Holder.DRAIN, 2), source=CLOUD)
    board.learn(Authority(Holder.CLOUD, 3, held=True), source=CLOUD)
    assert board.unsealed_until_s == 0.0


def test_who_starts_while_the_cloud_store_has_the_authority_waits_for_nothing(make: Callable[..., Board]) -> None:
    board = make()
    board.observe(LOCAL, Evidence.ANSWERED)
    board.observe(CLOUD, Evidence.ANSWERED)
    board.learn(CLAIMED, source=CLOUD)
    assert board.unsealed_until_s == 0.0


def test_local_does_not_serve_old_data_when_the_authority_is_down(failed_over: Board) -> None:
    failed_over.observe(LOCAL, Evidence.ANSWERED)
    failed_over.observe(CLOUD, Evidence.REFUSED)
    assert states(failed_over) == "catching up down"
    assert (failed_over.routes.reads, failed_over.routes.writer) == ((), None)


def test_who_starts_after_a_failover_is_served_by_the_cloud(make: Callable[..., Board]) -> None:
    board = make()
    board.learn(CLAIMED, source=CLOUD)
    for store in Store:
        board.observe(store, Evidence.ANSWERED)
    assert states(board) == "catching up up"


def test_one_store_alone_needs_no_word_from_the_other(make: Callable[..., Board]) -> None:
    board = make(ALONE)
    board.observe(LOCAL, Evidence.ANSWERED)
    assert board.state(LOCAL) is StoreState.UP
    assert board.routes.reads == (LOCAL,)


def test_a_wiped_store_serves_nothing_until_it_is_refilled(board: Board, told: Told) -> None:
    board.observe(LOCAL, Evidence.WIPED)
    board.observe(LOCAL, Evidence.ANSWERED)
    board.learn(FIRST, source=CLOUD)
    assert states(board) == "wiped up"
    assert (board.routes.reads, board.routes.writer, board.routes.claim) == ((CLOUD,), CLOUD, True)
    board.observe(LOCAL, Evidence.CAUGHT_UP)
    assert states(board) == "up up"
    assert told.take() == ["WipeDetected local", "InSync local"]


def test_reachable_is_what_answers(board: Board) -> None:
    seen = []
    for evidence in (Evidence.BEHIND, Evidence.WIPED, Evidence.LOST):
        board.observe(CLOUD, evidence)
        seen.append(board.reachable(CLOUD))
    assert seen == [True, True, False]


# -- the authority


def test_failover_and_failback(board: Board, told: Told) -> None:
    board.observe(LOCAL, Evidence.REFUSED, "connection refused")
    assert (board.routes.reads, board.routes.writer, board.routes.claim) == ((CLOUD,), CLOUD, True)
    board.learn(CLAIMED, source=CLOUD)
    assert (board.authority, board.routes.writer, board.routes.claim) == (CLAIMED, CLOUD, False)
    board.observe(LOCAL, Evidence.ANSWERED)
    assert states(board) == "catching up up"
    board.learn(HANDOVER, source=CLOUD)
    assert states(board) == "catching up up"
    board.learn(RETURNED, source=CLOUD)
    assert states(board) == "up up"
    assert board.routes.writer is LOCAL
    moved = "AuthorityMoved"
    assert told.take() == ["StoreDown local", moved, moved, "Recovered local", "InSync local"]


def test_local_is_behind_as_soon_as_the_cloud_takes_over(board: Board) -> None:
    board.learn(CLAIMED, source=CLOUD)
    assert states(board) == "catching up up"
    assert board.readers() == (CLOUD,)


def test_a_cloud_store_that_takes_over_has_everything(board: Board) -> None:
    board.observe(CLOUD, Evidence.BEHIND)
    board.learn(CLAIMED, source=LOCAL)
    assert states(board) == "catching up up"


@pytest.mark.parametrize("record", [None, FIRST, Authority(Holder.LOCAL, 2), CLAIMED])
def test_only_a_later_epoch_is_news(failed_over: Board, told: Told, record: Authority | None) -> None:
    failed_over.learn(record, source=LOCAL)
    assert failed_over.authority == CLAIMED
    assert told.take() == []


def test_who_arrives_late_hears_of_no_failover(make: Callable[..., Board], told: Told) -> None:
    board = make()
    board.learn(CLAIMED, source=CLOUD)
    assert (board.authority, told.take()) == (CLAIMED, [])
    board.learn(RETURNED, source=CLOUD)
    moved = told.last()
    assert isinstance(moved, events.AuthorityMoved)
    assert (moved.authority, moved.epoch) == (LOCAL, 4)


def test_who_alone_has_lost_the_local_store_relies_on_others_once_it_is_handed_back(failed_over: Board) -> None:
    failed_over.learn(RETURNED, source=CLOUD)
    assert failed_over.routes.relayed


def test_whoever_ships_relies_on_nobody(failed_over: Board) -> None:
    """It has handed the authority back itself, or taken its early seal back, and lost the local store once more."""
    failed_over.shipping = True
    failed_over.learn(RETURNED, source=CLOUD)
    assert failed_over.routes.claim and not failed_over.routes.relayed


def test_a_cloud_store_that_lacks_something_is_gone_to_only_where_nobody_reaches_the_local_one(board: Board) -> None:
    for evidence in (Evidence.REFUSED, Evidence.ANSWERED):
        board.observe(CLOUD, evidence)
    board.observe(LOCAL, Evidence.REFUSED)
    assert board.routes.claim and board.may_rely
    board.relay()
    assert board.routes.relayed and not board.may_rely
    board.stop_relaying()
    assert board.routes.claim and not board.routes.relayed and not board.may_rely


def test_a_cloud_store_that_has_everything_is_gone_to_at_once(board: Board, make: Callable[..., Board]) -> None:
    board.observe(LOCAL, Evidence.REFUSED)
    assert board.routes.claim and not board.may_rely
    begins = make()
    begins.observe(LOCAL, Evidence.REFUSED)
    begins.observe(CLOUD, Evidence.ANSWERED)
    assert begins.routes.claim and not begins.may_rely, "of what it lacks, nothing is known"


@pytest.mark.parametrize("record", [HANDOVER, RETURNED])
def test_the_first_record_does_not_say_that_others_reach_the_local_store(
    make: Callable[..., Board], record: Authority
) -> None:
    board = make()
    board.observe(LOCAL, Evidence.REFUSED)
    board.learn(record, source=CLOUD)
    board.observe(CLOUD, Evidence.ANSWERED)
    assert board.routes.claim
    assert not board.routes.relayed


def test_a_handover_is_no_move(failed_over: Board, told: Told) -> None:
    failed_over.wrote((5, 0))
    failed_over.learn(HANDOVER, source=CLOUD)
    assert told.take() == []
    assert failed_over.last_written == (5, 0)


def test_a_move_begins_another_log(board: Board) -> None:
    board.wrote((5, 0))
    board.acks[LOCAL].seal(SEAL)
    board.learn(CLAIMED, source=CLOUD)
    assert board.last_written == (0, 0)
    assert board.acks[LOCAL].sealed(CLAIMED) == SEAL
    board.learn(RETURNED, source=CLOUD)
    assert board.acks[LOCAL].sealed(CLAIMED) is None


# -- reading what this process wrote


def test_who_prefers_the_cloud_still_reads_what_it_wrote(board: Board) -> None:
    board.configure(BOTH.with_changes(read_preference="cloud"), "")
    assert board.readers() == (CLOUD, LOCAL)
    board.wrote((5, 0))
    assert board.readers() == (LOCAL,)
    board.acks[LOCAL].advance((4, 9))
    assert board.readers() == (LOCAL,)
    board.acks[LOCAL].advance((5, 0))
    assert board.readers() == (CLOUD, LOCAL)


def test_the_authority_itself_is_read_in_any_case(board: Board) -> None:
    board.wrote((5, 0))
    assert board.readers() == (LOCAL, CLOUD)


def test_the_last_store_is_read_even_if_it_lacks_a_write(board: Board) -> None:
    board.wrote((5, 0))
    board.observe(LOCAL, Evidence.REFUSED)
    assert board.readers() == (CLOUD,)


def test_the_last_place_written_only_grows(board: Board) -> None:
    for place in ((5, 0), (5, 1), (4, 9)):
        board.wrote(place)
    assert board.last_written == (5, 1)


def test_the_faster_store_is_read_where_that_was_asked_for(board: Board) -> None:
    answers_faster(board, CLOUD)
    assert board.readers() == (LOCAL, CLOUD)
    board.configure(BOTH.with_changes(read_preference=ReadPreference.FASTEST), "")
    assert board.readers() == (CLOUD, LOCAL)
    answers_faster(board, LOCAL)
    assert board.readers() == (LOCAL, CLOUD)


def answers_faster(board: Board, store: Store) -> None:
    for _ in range(5):
        board.measure(store.other, 0.02)
        board.measure(store, 0.01)


@pytest.mark.parametrize(
    ("local_s", "cloud_s", "first"),
    [((0.001, 0.002), (0.03,), LOCAL), ((0.03,), (0.2, 0.01), CLOUD), ((0.01,), (0.009,), LOCAL), ((), (0.01,), CLOUD)],
)
def test_the_shortest_of_the_last_round_trips_tells_which_store_is_faster(
    board: Board, local_s: tuple[float, ...], cloud_s: tuple[float, ...], first: Store
) -> None:
    board.configure(BOTH.with_changes(read_preference=ReadPreference.FASTEST), "")
    for store, times_s in ((LOCAL, local_s), (CLOUD, cloud_s)):
        for round_trip_s in times_s:
            board.measure(store, round_trip_s)
    assert board.readers()[0] is first
    for _ in range(5):  # and it changes when they do
        board.measure(first, 1.0)
    board.measure(first.other, 0.1)
    assert board.readers()[0] is first.other


# -- settings


def test_settings_take_effect_at_once(board: Board, told: Told) -> None:
    board.configure(BOTH.with_changes(write_both=False), "write_both=False")
    assert (board.routes.reads, board.routes.writer, board.routes.confirm) == ((LOCAL,), LOCAL, False)
    assert board.version == 2
    changed = told.last()
    assert isinstance(changed, events.SettingsChanged)
    assert (changed.changes, changed.version) == ("write_both=False", 2)


# -- events


def test_a_start_is_told_as_a_start(make: Callable[..., Board], told: Told) -> None:
    board = make()
    board.learn(FIRST, source=CLOUD)
    board.observe(LOCAL, Evidence.ANSWERED)
    board.observe(CLOUD, Evidence.ANSWERED)
    board.observe(CLOUD, Evidence.CAUGHT_UP)
    assert told.take() == ["StoreUp local", "StoreUp cloud"]


def test_a_failure_is_told_once_with_its_reason(board: Board, told: Told) -> None:
    board.observe(CLOUD, Evidence.SILENT, "no answer in time while sending")
    down = told.last()
    assert isinstance(down, events.StoreDown)
    assert (down.store, down.reason) == (CLOUD, "no answer in time while sending")
    for evidence in (Evidence.REFUSED, Evidence.SILENT, Evidence.LOST):
        board.observe(CLOUD, evidence)
    assert told.take() == ["StoreDown cloud"]


def test_a_return_is_told_when_it_has_caught_up(board: Board, told: Told) -> None:
    board.observe(CLOUD, Evidence.LOST)
    board.observe(CLOUD, Evidence.ANSWERED)
    assert told.take() == ["StoreDown cloud"]
    board.observe(CLOUD, Evidence.CAUGHT_UP)
    assert told.take() == ["Recovered cloud", "InSync cloud"]


def test_degraded_is_told_once_until_a_store_is_back(board: Board, told: Told) -> None:
    board.observe(CLOUD, Evidence.REFUSED)
    assert told.take() == ["StoreDown cloud"]
    board.observe(LOCAL, Evidence.REFUSED)
    assert told.take() == ["StoreDown local", "Degraded"]
    board.observe(LOCAL, Evidence.ANSWERED)
    assert told.take() == ["Recovered local", "InSync local"]
    board.observe(LOCAL, Evidence.REFUSED)
    assert told.take() == ["StoreDown local", "Degraded"]


def test_degraded_is_not_told_again_by_a_store_that_comes_and_goes(failed_over: Board, told: Told) -> None:
    failed_over.observe(CLOUD, Evidence.REFUSED)
    assert told.take() == ["StoreDown cloud", "Degraded"]
    for evidence in (Evidence.ANSWERED, Evidence.REFUSED):
        failed_over.observe(LOCAL, evidence)
    assert told.take() == ["StoreDown local"]


# -- waking


def test_who_waits_for_an_authority_is_woken(board: Board, threads: ThreadPoolExecutor) -> None:
    waiting = [
        threads.submit(board.wait_for_authority, FIRST, LONG_S),
        threads.submit(board.wait_until_moved, CLOUD, LONG_S),
    ]
    board.observe(LOCAL, Evidence.REFUSED)
    assert not any(waiter.done() for waiter in waiting)
    board.learn(CLAIMED, source=CLOUD)
    for waiter in waiting:
        waiter.result(LONG_S / 2)


def test_an_opening_client_waits_for_first_word(make: Callable[..., Board], threads: ThreadPoolExecutor) -> None:
    board = make()
    waiter = threads.submit(board.wait_settled, tuple(Store), LONG_S)
    board.observe(LOCAL, Evidence.ANSWERED)
    assert not waiter.done()
    board.observe(CLOUD, Evidence.REFUSED)
    waiter.result(LONG_S / 2)
    assert states(board) == "up down"


@pytest.mark.parametrize(
    "change",
    [
        lambda board: board.observe(CLOUD, Evidence.REFUSED),
        lambda board: board.learn(CLAIMED, source=CLOUD),
        lambda board: board.close(),
    ],
    ids=["observe", "learn", "close"],
)
def test_who_waits_for_a_confirmation_looks_again(
    board: Board, threads: ThreadPoolExecutor, change: Callable[[Board], None]
) -> None:
    acks = board.acks[LOCAL]
    waiter = threads.submit(acks.wait, (9, 0), LONG_S)
    wait_until(lambda: acks._waiters, "a waiter")
    change(board)
    assert waiter.result(LONG_S / 2) is False


@pytest.mark.parametrize(
    "change",
    [
        lambda board: board.observe(CLOUD, Evidence.REFUSED),
        lambda board: board.learn(CLAIMED, source=CLOUD),
        lambda board: board.configure(BOTH, ""),
        lambda board: answers_faster(board, CLOUD),
        lambda board: board.close(),
    ],
    ids=["observe", "learn", "configure", "faster", "close"],
)
def test_every_change_rings(board: Board, change: Callable[[Board], None]) -> None:
    bell, ear = Bell(), threading.Event()
    board.bells.add(bell)

    def listen() -> None:
        bell.wait(LONG_S)
        ear.set()

    threading.Thread(target=listen, daemon=True).start()
    change(board)
    assert ear.wait(LONG_S / 2)
    bell.close()


def test_what_is_no_news_wakes_nobody(board: Board, told: Told) -> None:
    bell = Bell()
    board.bells.add(bell)
    board.observe(LOCAL, Evidence.ANSWERED)
    board.measure(LOCAL, 0.01)
    with pytest.raises(BlockingIOError):
        bell._ear.recv(1)
    assert told.take() == []
    bell.close()


def test_closing_ends_every_wait(board: Board, threads: ThreadPoolExecutor) -> None:
    waiting = [
        threads.submit(board.wait_for_authority, FIRST, LONG_S),
        threads.submit(board.wait_until_moved, CLOUD, LONG_S),
    ]
    board.close()
    for waiter in waiting:
        waiter.result(LONG_S / 2)
    assert board.closing


def test_a_forked_child_is_not_held_up_by_its_parents_threads(board: Board) -> None:
    old = board._changed
    board.shipping = True
    board.acks[LOCAL].advance((5, 0))
    holding, done = threading.Event(), threading.Event()

    def hold() -> None:
        with old:
            holding.set()
            done.wait(LONG_S)

    threading.Thread(target=hold, daemon=True).start()
    assert holding.wait(LONG_S)
    board.forget_after_fork()
    child = threading.Thread(target=board.observe, args=(CLOUD, Evidence.REFUSED), daemon=True)
    child.start()
    child.join(LONG_S / 2)
    done.set()
    assert board.state(CLOUD) is StoreState.DOWN
    assert (board.shipping, board.acks[LOCAL].applied, board.bells) == (False, (0, 0), set())
