"""The data path, driven by a script instead of servers: every way in which reads, writes and waits can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import ResponseError

from hybrid.core.actions import (
    FENCE_PAUSE_S,
    Action,
    Ask,
    AwaitAuthority,
    AwaitConfirmation,
    AwaitStore,
    Claim,
    Commit,
    Flow,
    OnWire,
    Pause,
    Trace,
)
from hybrid.core.authority import FIRST, Authority, Holder, Position
from hybrid.core.commands import lookup, policy_of
from hybrid.core.effects import Blocking, blocking_twin
from hybrid.core.flows import (
    ATTEMPTS,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    WAIT_SLICE_S,
    ask_authority,
    block,
    confirm,
    read,
    write,
)
from hybrid.core.hints import HINT_ATTEMPTS, unseen
from hybrid.core.names import Names
from hybrid.core.outcomes import Committed, Confirmation, Fate, Fenced, NotSent, ReplyLost, WritesRefused
from hybrid.core.resp import pack
from hybrid.core.routing import Routes, planned_routes
from hybrid.core.transaction import Transaction, hint, transaction
from hybrid.core.write import Write
from hybrid.errors import AllStoresDown, HybridError, OutcomeUnknown
from hybrid.types import ReadPreference, Store, StoreState

LOCAL, CLOUD = Store.LOCAL, Store.CLOUD
UP, DOWN, WIPED = StoreState.UP, StoreState.DOWN, StoreState.WIPED
CLAIMED = Authority(Holder.CLOUD, 2)
HANDOVER = Authority(Holder.HANDOVER, 3)
RETURNED = Authority(Holder.LOCAL, 4)
TOKEN = b"0123456789abcdef"
END = object()


class World:
    """A board that the test moves, and a driver for which a script stands in for the servers."""

    def __init__(self, local: StoreState = UP, cloud: StoreState = UP, authority: Authority = FIRST) -> None:
        self.states = {LOCAL: local, CLOUD: cloud}
        self.authority = authority
        self.hopeful = False
        self.actions: list[Action] = []

    @property
    def routes(self) -> Routes:
        return planned_routes(self.states[LOCAL], self.states[CLOUD], self.authority, ReadPreference.LOCAL)

    @property
    def confirms(self) -> bool:
        return self.routes.confirm

    def readers(self) -> tuple[Store, ...]:
        return self.routes.reads

    def drive(self, flow: Flow, *script: Any) -> Any:
        """Run `flow`; each step of `script` answers one action, and none may be left over.

        A step is a result, an error to throw, or a function that first moves the world.
        """
        steps = iter(script)
        result = self._drive(flow, steps)
        assert list(steps) == [], "the flow ended early"
        return result

    def fails(self, error: type[Exception], flow: Flow, *script: Any) -> str:
        """The message of the `error` in which `flow` ends after exactly this script."""
        steps = iter(script)
        with pytest.raises(error) as raised:
            self._drive(flow, steps)
        assert list(steps) == [], "the flow failed early"
        return str(raised.value)

    def _drive(self, flow: Flow, steps: Iterator[Any]) -> Any:
        try:
            action = next(flow)
            while True:
                self.actions.append(action)
                step = next(steps, END)
                assert step is not END, f"not in the script: {action}"
                result = step() if callable(step) else step
                action = flow.throw(result) if isinstance(result, HybridError) else flow.send(result)
        except StopIteration as end:
            return end.value

    # -- steps

    def fails_over(self, result: object) -> Callable[[], object]:
        """Somebody claims the authority for the cloud store while the action is performed."""

        def step() -> object:
            self.authority, self.states[LOCAL] = CLAIMED, StoreState.CATCHING_UP
            return result

        return step

    def dies(self, store: Store, error: NotSent | ReplyLost | None = None) -> Callable[[], NotSent | ReplyLost]:
        """The store does not answer any more, and the board knows."""

        def step() -> NotSent | ReplyLost:
            self.states[store] = DOWN
            return error or NotSent("connection refused")

        return step

    def comes_back(self, store: Store) -> Callable[[], None]:
        """The store, which was tried once more, answers."""

        def step() -> None:
            self.states[store], self.hopeful = UP, False

        return step

    def loses_hope(self) -> None:
        """No store that was tried once more answers."""
        self.hopeful = False

    def learns(self, authority: Authority, result: object = "done") -> Callable[[], object]:
        """The board hears of a new authority while the action is performed."""

        def step() -> object:
            self.authority = authority
            return result

        return step


def lost(token: bytes = b"") -> ReplyLost:
    error = ReplyLost("connection closed by the store", silent=False)
    error.token = token
    return error


def ask(store: Store) -> Ask:
    return Ask(store, b"payload")


def prepared(line: str) -> Transaction:
    args = tuple(line.split())
    command = lookup(args)
    return transaction(Names(), [Write(args, pack(args), command, policy_of(command, args))], resp3=False)


def hints(keys: tuple[bytes, ...]) -> Transaction:
    return hint(Names(), keys)


SET, INCR = prepared("SET k v"), prepared("INCR k")
EPOCH = 1
SET_DONE, INCR_DONE = Committed([b"OK", b"7-1"], EPOCH), Committed([-1, 5, b"7-1"], EPOCH)
PLACE: Position = (7, 1)
MERGING = Fenced(Authority(Holder.CLOUD, 3))


def writing(world: World, what: Transaction = SET, *, confirm: bool = False) -> Flow:
    return write(world, what, hints, confirm=confirm)


# -- reads


def reading(world: World) -> Flow:
    return read(world, world.readers, ask)


def test_a_read_asks_the_preferred_store() -> None:
    world = World()
    assert world.drive(reading(world), [b"v"]) == [b"v"]
    assert world.actions == [ask(LOCAL)]


def test_an_error_is_an_answer() -> None:
    world, error = World(), ResponseError("WRONGTYPE")
    assert world.drive(reading(world), [error]) == [error]


@pytest.mark.parametrize("error", [NotSent("connection refused"), lost()])
def test_a_read_falls_to_the_other_store(error: NotSent | ReplyLost) -> None:
    world = World()
    assert world.drive(reading(world), world.dies(LOCAL, error), [b"v"]) == [b"v"]
    assert world.actions == [ask(LOCAL), ask(CLOUD)]


def test_with_both_stores_down_nothing_is_asked() -> None:
    world = World(DOWN, DOWN)
    world.fails(AllStoresDown, reading(world))
    assert world.actions == []


def test_both_stores_die_under_a_read() -> None:
    world = World()
    world.fails(AllStoresDown, reading(world), world.dies(LOCAL), world.dies(CLOUD))


def test_with_both_stores_lost_just_now_they_are_tried_once_more() -> None:
    for flow, done in ((reading, [b"v"]), (asking, [b"v"]), (writing, SET_DONE)):
        world = World(DOWN, DOWN)
        world.hopeful = True
        world.drive(flow(world), world.comes_back(LOCAL), done)
        assert world.actions[0] == AwaitStore()
        world = World(DOWN, DOWN)
        world.hopeful = True
        world.fails(AllStoresDown, flow(world), world.loses_hope)
        assert world.actions == [AwaitStore()]


def test_a_store_that_fails_and_looks_well_is_not_asked_for_ever() -> None:
    world = World()
    world.fails(AllStoresDown, reading(world), *[lost()] * ATTEMPTS)


# -- what is not replicated


def asking(world: World, *, idempotent: bool = True) -> Flow:
    return ask_authority(world, ask, "PUBLISH", idempotent=idempotent)


def test_the_authority_is_asked() -> None:
    for authority, store in ((FIRST, LOCAL), (CLAIMED, CLOUD), (HANDOVER, CLOUD)):
        world = World(authority=authority)
        assert world.drive(asking(world), [1]) == [1]
        assert world.actions == [ask(store)]


def test_what_is_not_replicated_needs_no_claim() -> None:
    world = World()
    assert world.drive(asking(world), world.dies(LOCAL), [1]) == [1]
    assert world.actions == [ask(LOCAL), ask(CLOUD)]


def test_what_was_not_sent_may_be_sent_again() -> None:
    world = World()
    assert world.drive(asking(world, idempotent=False), NotSent("connection lost"), [1]) == [1]


def test_a_lost_reply_to_an_idempotent_command() -> None:
    world = World()
    assert world.drive(asking(world), lost(), [1]) == [1]


def test_a_lost_reply_to_a_command_that_is_not_idempotent() -> None:
    world = World()
    message = world.fails(OutcomeUnknown, asking(world, idempotent=False), lost())
    assert "PUBLISH" in message and "local store" in message and "connection closed" in message


def test_no_store_takes_writes() -> None:
    for world in (World(DOWN, DOWN), World(StoreState.CATCHING_UP, DOWN, CLAIMED), World(DOWN, StoreState.CATCHING_UP)):
        world.fails(AllStoresDown, asking(world))
        world.fails(AllStoresDown, writing(world))
        assert world.actions == []


@pytest.mark.parametrize("flow", [asking, writing])
def test_no_store_is_left_after_a_lost_reply(flow: Callable[[World], Flow]) -> None:
    """The command is idempotent, and may have been done: to say that nothing was applied would be wrong."""
    world = World(cloud=DOWN)
    message = world.fails(AllStoresDown, flow(world), world.dies(LOCAL, lost()))
    assert "the local store, lost since, may have done it" in message
    assert "may have" not in world.fails(AllStoresDown, flow(world))


def test_no_store_is_left_after_a_lost_confirmation() -> None:
    world = World()

    def unshipped() -> Confirmation:
        world.states.update({LOCAL: DOWN, CLOUD: DOWN})
        return Confirmation.UNSHIPPED

    message = world.fails(AllStoresDown, writing(world, confirm=True), SET_DONE, unshipped)
    assert "the local store, lost since, may have done it" in message


def test_a_flapping_authority_is_not_asked_for_ever() -> None:
    world = World()
    world.fails(AllStoresDown, asking(world), *[NotSent("connection lost")] * ATTEMPTS)
    world.fails(AllStoresDown, writing(world), *[NotSent("connection lost")] * ATTEMPTS)


# -- writes


def test_a_write() -> None:
    world = World()
    result = world.drive(writing(world), SET_DONE)
    assert (result.replies, result.position, result.expiring) == ([b"OK"], PLACE, ())
    assert world.actions == [Commit(LOCAL, SET)]


def test_replies_are_left_undecoded_where_that_was_asked_for() -> None:
    world = World()
    world.drive(write(world, SET, hints, confirm=False, decode=False), SET_DONE)
    assert world.actions == [Commit(LOCAL, SET, decode=False)]


def test_a_write_while_the_cloud_has_the_authority() -> None:
    world = World(authority=CLAIMED)
    world.drive(writing(world, confirm=True), SET_DONE, Confirmation.APPLIED)
    assert world.actions == [Commit(CLOUD, SET), AwaitConfirmation(CLOUD, PLACE, EPOCH)]


def test_the_authority_is_claimed_when_local_is_down() -> None:
    world = World()
    world.drive(writing(world, INCR), world.dies(LOCAL), world.learns(CLAIMED), INCR_DONE)
    assert world.actions == [Commit(LOCAL, INCR), Claim(), Commit(CLOUD, INCR)]


def test_a_claim_that_fails_ends_the_write() -> None:
    world = World(local=DOWN)

    def cloud_dies() -> str:
        world.states[CLOUD] = DOWN
        return "done"

    world.fails(AllStoresDown, writing(world), cloud_dies)
    assert world.actions == [Claim()]


def test_a_store_that_hangs_is_found_out_before_it_is_emptied() -> None:
    """Emptying may take long, and is waited for long; a question is not."""
    flushall, ping = prepared("FLUSHALL"), pack(("PING",))
    done = Committed([["OK", "1-1"]], 1)
    world = World()
    world.drive(writing(world, flushall), world.dies(LOCAL, lost()), world.learns(CLAIMED), "PONG", done)
    assert world.actions == [Ask(LOCAL, ping), Claim(), Ask(CLOUD, ping), Commit(CLOUD, flushall)]


def test_an_idempotent_write_without_a_reply_is_run_again() -> None:
    world = World()
    world.drive(writing(world), lost(), world.dies(LOCAL, lost()), world.learns(CLAIMED), SET_DONE)
    assert world.actions == [Commit(LOCAL, SET), Commit(LOCAL, SET), Claim(), Commit(CLOUD, SET)]


def test_a_write_that_surely_was_not_shipped_is_run_again() -> None:
    world = World()
    unshipped = world.learns(CLAIMED, Fate.UNSHIPPED)
    world.drive(writing(world, INCR), world.dies(LOCAL, lost(TOKEN)), unshipped, INCR_DONE)
    assert world.actions == [Commit(LOCAL, INCR), Trace(LOCAL, TOKEN), Commit(CLOUD, INCR, token=TOKEN)]


def test_what_may_be_merged_by_now_is_not_run_again() -> None:
    """The lost store came back before its writer could run the command on the other one."""
    world = World()
    unshipped = world.learns(CLAIMED, Fate.UNSHIPPED)
    message = world.fails(OutcomeUnknown, writing(world, INCR), world.dies(LOCAL, lost(TOKEN)), unshipped, MERGING)
    assert "INCR" in message and "came back" in message


def test_what_may_be_merged_later_did_not_fail() -> None:
    """No other store takes writes; on its return the lost one's log is merged, with the command in it."""
    world = World()

    def cloud_dies() -> Fate:
        world.states[CLOUD] = DOWN
        return Fate.UNSHIPPED

    message = world.fails(OutcomeUnknown, writing(world, INCR), world.dies(LOCAL, lost(TOKEN)), cloud_dies)
    assert "INCR" in message and "no other takes writes" in message


def test_what_was_answered_and_is_merged_was_done() -> None:
    world = World()
    unshipped = world.learns(CLAIMED, Confirmation.UNSHIPPED)
    done = Committed(INCR_DONE.replies, EPOCH, TOKEN)
    result = world.drive(writing(world, INCR, confirm=True), done, unshipped, MERGING)
    assert (result.replies, result.position) == ([5], PLACE)


@pytest.mark.parametrize(("fate", "known"), [(Fate.SHIPPED, "applied"), (Fate.UNKNOWN, "connection closed")])
def test_a_write_that_may_have_counted_is_not_run_again(fate: Fate, known: str) -> None:
    world = World()
    script = world.dies(LOCAL, lost(TOKEN)), world.learns(CLAIMED, fate), Committed([b"8-0"], EPOCH)
    message = world.fails(OutcomeUnknown, writing(world, INCR), *script)
    assert "INCR" in message and "local store" in message and known in message
    assert world.actions == [Commit(LOCAL, INCR), Trace(LOCAL, TOKEN), Commit(CLOUD, HINT)]


def test_a_store_that_takes_no_writes_is_taken_over_from() -> None:
    world, refused = World(), WritesRefused(ResponseError("read only replica"))
    world.drive(writing(world, INCR), refused, world.learns(CLAIMED), INCR_DONE)
    assert world.actions == [Commit(LOCAL, INCR), Claim(), Commit(CLOUD, INCR)]
    world = World()
    world.drive(writing(world, INCR), world.learns(CLAIMED, refused), INCR_DONE)
    assert world.actions == [Commit(LOCAL, INCR), Commit(CLOUD, INCR)]


@pytest.mark.parametrize("cloud", [DOWN, StoreState.CATCHING_UP])
def test_where_the_other_store_cannot_take_over_the_refusal_is_told(cloud: StoreState) -> None:
    for world in (World(cloud=cloud), World(local=StoreState.CATCHING_UP, authority=CLAIMED)):
        flow = writing(world, INCR)
        next(flow)
        with pytest.raises(ResponseError, match="read only"):
            flow.throw(WritesRefused(ResponseError("read only replica")))


# -- the fence


def test_a_fenced_write_goes_to_the_authority_that_was_learned() -> None:
    world = World()
    world.drive(writing(world, INCR), world.learns(CLAIMED, Fenced(CLAIMED)), INCR_DONE)
    assert world.actions == [Commit(LOCAL, INCR), Commit(CLOUD, INCR)]


def test_a_handover_is_waited_out() -> None:
    world = World(authority=CLAIMED)
    world.drive(writing(world), world.learns(HANDOVER, Fenced(HANDOVER)), world.learns(RETURNED), SET_DONE)
    assert world.actions == [Commit(CLOUD, SET), AwaitAuthority(HANDOVER), Commit(LOCAL, SET)]


def test_a_handover_that_does_not_end_is_taken_back() -> None:
    world = World(authority=HANDOVER)
    taken_back = HANDOVER.succeeded_by(Holder.CLOUD)
    world.drive(writing(world), Fenced(HANDOVER), "in vain", world.learns(taken_back), SET_DONE)
    assert world.actions == [Commit(CLOUD, SET), AwaitAuthority(HANDOVER), Claim(), Commit(CLOUD, SET)]


def test_a_handover_whose_goal_died_is_taken_back_at_once() -> None:
    world = World(local=DOWN, authority=HANDOVER)
    world.drive(writing(world), world.learns(HANDOVER.succeeded_by(Holder.CLOUD)), SET_DONE)
    assert world.actions == [Claim(), Commit(CLOUD, SET)]


def test_a_record_that_lags_is_given_a_moment() -> None:
    world = World(authority=RETURNED)
    world.drive(writing(world), Fenced(CLAIMED), "a moment", SET_DONE)
    assert world.actions == [Commit(LOCAL, SET), Pause(FENCE_PAUSE_S), Commit(LOCAL, SET)]


def test_a_fence_that_has_moved_on_is_tried_again_at_once() -> None:
    world = World()
    world.drive(writing(world), Fenced(FIRST), SET_DONE)
    assert world.actions == [Commit(LOCAL, SET), Commit(LOCAL, SET)]


def test_a_store_without_a_record_is_given_a_moment_to_be_greeted() -> None:
    world = World()
    world.drive(writing(world), Fenced(None), "a moment", SET_DONE)
    assert world.actions == [Commit(LOCAL, SET), Pause(FENCE_PAUSE_S), Commit(LOCAL, SET)]


def test_a_store_that_lost_its_record_was_wiped() -> None:
    world = World()

    def wiped() -> Fenced:
        world.states[LOCAL] = WIPED
        return Fenced(None)

    world.drive(writing(world), wiped, "a moment", world.learns(CLAIMED), SET_DONE)
    assert world.actions == [Commit(LOCAL, SET), Pause(FENCE_PAUSE_S), Claim(), Commit(CLOUD, SET)]


def test_a_fence_that_stays_closed_ends_the_write() -> None:
    world = World(authority=RETURNED)
    world.fails(AllStoresDown, writing(world), *[Fenced(CLAIMED), "a moment"] * ATTEMPTS)


# -- confirmation


@pytest.mark.parametrize("outcome", [Confirmation.APPLIED, Confirmation.UNAVAILABLE, Confirmation.OVERDUE])
@pytest.mark.parametrize(("what", "done"), [(SET, SET_DONE), (INCR, INCR_DONE)])
def test_a_write_that_the_authority_has_is_done(outcome: Confirmation, what: Transaction, done: Committed) -> None:
    world = World()
    assert world.drive(writing(world, what, confirm=True), done, outcome).position == PLACE
    assert world.actions == [Commit(LOCAL, what), AwaitConfirmation(LOCAL, PLACE, EPOCH)]


@pytest.mark.parametrize(("what", "done"), [(SET, SET_DONE), (INCR, INCR_DONE)])
def test_an_entry_that_never_left_the_lost_store_is_written_anew(what: Transaction, done: Committed) -> None:
    world = World()
    unshipped = world.learns(CLAIMED, Confirmation.UNSHIPPED)
    world.drive(writing(world, what, confirm=True), done, unshipped, done, Confirmation.APPLIED)
    assert world.actions[2:] == [Commit(CLOUD, what), AwaitConfirmation(CLOUD, PLACE, EPOCH)]


def test_an_idempotent_write_is_run_again_when_the_authority_was_lost() -> None:
    world = World()
    world.drive(
        writing(world, confirm=True),
        SET_DONE,
        world.learns(CLAIMED, Confirmation.AUTHORITY_LOST),
        SET_DONE,
        Confirmation.APPLIED,
    )
    assert world.actions[2:] == [Commit(CLOUD, SET), AwaitConfirmation(CLOUD, PLACE, EPOCH)]


def test_another_write_is_unknown_when_the_authority_was_lost() -> None:
    world = World()
    script = INCR_DONE, world.learns(CLAIMED, Confirmation.AUTHORITY_LOST)
    message = world.fails(OutcomeUnknown, writing(world, INCR, confirm=True), *script)
    assert "INCR" in message and "local store" in message


def test_a_write_is_not_done_on_a_store_that_lost_the_authority_while_it_replied() -> None:
    """The other store takes the writes now, and may not have this one: what is read there would be older."""
    world = World()
    world.drive(writing(world, confirm=True), world.fails_over(SET_DONE), Confirmation.UNSHIPPED, SET_DONE)
    assert world.actions == [Commit(LOCAL, SET), AwaitConfirmation(LOCAL, PLACE, EPOCH), Commit(CLOUD, SET)]


@pytest.mark.parametrize("lost", [Confirmation.UNSHIPPED, Confirmation.AUTHORITY_LOST])
def test_what_is_not_to_be_run_again_is_unknown_when_its_store_was_lost(lost: Confirmation) -> None:
    world = World()
    assert "EXEC" in world.fails(OutcomeUnknown, confirm(world, LOCAL, PLACE, EPOCH, "EXEC"), world.fails_over(lost))
    world.drive(confirm(world, CLOUD, PLACE, EPOCH, "EXEC"))  # the local store cannot confirm now


@pytest.mark.parametrize("known", [Confirmation.APPLIED, Confirmation.UNAVAILABLE, Confirmation.OVERDUE])
def test_what_is_not_to_be_run_again_is_confirmed_as_far_as_can_be(known: Confirmation) -> None:
    world = World()
    world.drive(confirm(world, LOCAL, PLACE, EPOCH, "EXEC"), known)
    assert world.actions == [AwaitConfirmation(LOCAL, PLACE, EPOCH)]


def test_nothing_is_confirmed_that_was_not_logged() -> None:
    world, spop = World(), prepared("SPOP s")
    result = world.drive(writing(world, spop, confirm=True), Committed([-2, [None, None]], EPOCH))
    assert (result.replies, result.position) == ([None], None)


@pytest.mark.parametrize("cloud", [state for state in StoreState if state is not UP])
def test_only_a_store_that_is_up_can_confirm(cloud: StoreState) -> None:
    world = World(cloud=cloud)
    world.drive(writing(world, confirm=True), SET_DONE)


# -- keys about to expire

EXPIRING = Committed([1500, 5, b"7-1"], EPOCH)
HINT = hints((b"k",))


def test_keys_about_to_expire_are_logged_once_more() -> None:
    world = World()
    result = world.drive(writing(world, INCR, confirm=True), EXPIRING, Committed([b"8-0"], EPOCH), Confirmation.APPLIED)
    assert (result.replies, result.position) == ([5], (8, 0))
    assert world.actions == [Commit(LOCAL, INCR), Commit(LOCAL, HINT), AwaitConfirmation(LOCAL, (8, 0), EPOCH)]


@pytest.mark.parametrize("failure", [NotSent("connection lost"), lost(), Fenced(CLAIMED)])
def test_a_hint_that_fails_is_tried_again(failure: object) -> None:
    world = World()
    script = EXPIRING, failure, Committed([b"8-0"], EPOCH), Confirmation.APPLIED
    result = world.drive(writing(world, INCR, confirm=True), *script)
    assert (result.replies, result.position) == ([5], (8, 0))
    hint_twice = [Commit(LOCAL, HINT)] * 2
    assert world.actions == [Commit(LOCAL, INCR), *hint_twice, AwaitConfirmation(LOCAL, (8, 0), EPOCH)]


def test_keys_of_which_nobody_knows_whether_they_were_about_to_expire_are_logged_too() -> None:
    world = World()
    script = lost(TOKEN), Fate.SHIPPED, Committed([b"8-0"], EPOCH)
    world.fails(OutcomeUnknown, writing(world, INCR, confirm=True), *script)
    assert world.actions == [Commit(LOCAL, INCR), Trace(LOCAL, TOKEN), Commit(LOCAL, HINT)]
    assert unseen(Commit(LOCAL, INCR)) == unseen(Commit(LOCAL, HINT)) == unseen(OnWire(None, b"", unseen=(b"k",)))
    assert (unseen(Commit(LOCAL, SET)), unseen(Claim()), unseen(None)) == ((), (), ())


def test_what_was_run_twice_is_logged_as_if_it_had_been_about_to_expire_the_first_time() -> None:
    world, persist = World(), prepared("PERSIST k")
    again = Committed([-1, 1, b"7-1"], EPOCH)
    result = world.drive(writing(world, persist, confirm=False), lost(), again, Committed([b"8-0"], EPOCH))
    assert (result.replies, result.position) == ([1], (8, 0))
    assert world.actions == [Commit(LOCAL, persist), Commit(LOCAL, persist), Commit(LOCAL, HINT)]


def test_a_hint_goes_where_writes_go_by_now() -> None:
    """What was shipped in a handover may have come there too late."""
    world = World(authority=CLAIMED)
    moved = world.learns(RETURNED, Fenced(HANDOVER))
    script = EXPIRING, moved, "paused", Committed([b"8-0"], EPOCH), Confirmation.APPLIED
    result = world.drive(writing(world, INCR, confirm=True), *script)
    assert (result.replies, result.position) == ([5], PLACE)
    assert world.actions == [
        Commit(CLOUD, INCR),
        Commit(CLOUD, HINT),
        Pause(FENCE_PAUSE_S),
        Commit(LOCAL, HINT),
        AwaitConfirmation(CLOUD, PLACE, EPOCH),
    ]


@pytest.mark.parametrize("failure", [Fenced(CLAIMED), OutcomeUnknown("hint", "refused")])
def test_a_hint_that_always_fails_does_not_fail_the_write(failure: object) -> None:
    world = World()
    attempts = HINT_ATTEMPTS if isinstance(failure, Fenced) else 1
    result = world.drive(writing(world, INCR, confirm=True), EXPIRING, *[failure] * attempts, Confirmation.APPLIED)
    assert (result.replies, result.position) == ([5], PLACE)
    assert world.actions[-1] == AwaitConfirmation(LOCAL, PLACE, EPOCH)


def test_a_hint_whose_store_died_is_logged_on_the_other_one() -> None:
    """The command may have come there too late, and the lost store's log need not name it any more."""
    world = World()
    script = EXPIRING, world.dies(LOCAL), world.learns(CLAIMED), Committed([b"8-0"], EPOCH)
    result = world.drive(writing(world, INCR, confirm=False), *script)
    assert (result.replies, result.position) == ([5], PLACE)
    assert world.actions == [Commit(LOCAL, INCR), Commit(LOCAL, HINT), Claim(), Commit(CLOUD, HINT)]


def test_with_both_stores_dead_no_hint_is_logged() -> None:
    world = World(cloud=DOWN)
    result = world.drive(writing(world, INCR, confirm=False), EXPIRING, world.dies(LOCAL))
    assert (result.replies, result.position) == ([5], PLACE)


# -- whatever happens


@given(st.booleans(), st.data())
def test_a_write_ends_and_counts_once(idempotent: bool, data: st.DataObject) -> None:
    """Actions are answered at random. A write that is not idempotent is only run again when it cannot have counted."""
    world = World(data.draw(st.sampled_from(StoreState)), data.draw(st.sampled_from(StoreState)))
    what, done = (SET, SET_DONE) if idempotent else (INCR, INCR_DONE._replace(token=TOKEN))
    flow = writing(world, what, confirm=True)
    was_sent = may_count = False
    result: Any = None
    try:
        action = next(flow)
        while True:
            if isinstance(action, Commit):
                assert action.store is world.routes.writer and not world.routes.claim
                assert idempotent or not may_count or action.transaction == HINT
            world.states[data.draw(st.sampled_from(Store))] = data.draw(st.sampled_from(StoreState))
            result = answer(action, world, done, data)
            if isinstance(action, Commit) and action.transaction == HINT:
                pass
            elif result is done or isinstance(result, ReplyLost):
                was_sent = may_count = True
            elif isinstance(action, Commit) and action.token and isinstance(result, Fenced):
                may_count = True  # its store came back, and is merged
            elif result in (Fate.UNSHIPPED, Confirmation.UNSHIPPED):
                may_count = False
            action = flow.throw(result) if isinstance(result, HybridError) else flow.send(result)
    except StopIteration as end:
        assert end.value.position == PLACE and may_count
    except OutcomeUnknown:
        assert not idempotent and was_sent
    except AllStoresDown:
        assert idempotent or not was_sent  # what is not shipped now is merged when its store returns


def answer(action: Action, world: World, done: Committed, data: st.DataObject) -> object:
    """One of the outcomes that this action may have."""
    if isinstance(action, Commit):
        ran = Committed([b"8-0"], EPOCH) if action.transaction == HINT else done
        outcomes: list[object] = [ran, NotSent("lost"), lost(TOKEN), Fenced(FIRST), Fenced(None)]
    elif isinstance(action, AwaitConfirmation):
        outcomes = list(Confirmation)
    elif isinstance(action, Trace):
        outcomes = list(Fate)
    else:
        assert isinstance(action, Claim | AwaitAuthority | Pause)
        if data.draw(st.booleans()):
            world.authority = world.authority.succeeded_by(data.draw(st.sampled_from(Holder)))
        outcomes = ["done"]
    return data.draw(st.sampled_from(outcomes))


# -- blocking


class Waiting:
    """A blocking command on a world; `left_s` is what remains of its time, one look after the other."""

    def __init__(self, line: str, *left_s: float, world: World | None = None) -> None:
        twin = blocking_twin(line.split())
        assert twin is not None
        self.world = world or World()
        self.twin: Blocking = twin
        left = iter(left_s)
        self.flow = block(self.world, twin, self.attempt, lambda: next(left))

    def attempt(self, command: tuple[Any, ...]) -> Flow:
        """An attempt is a flow of its own; here, one question."""
        return (yield Ask(LOCAL, pack(command)))

    def drive(self, *script: Any) -> Any:
        return self.world.drive(self.flow, *script)


def waits(slice_s: float, store: Store = LOCAL) -> Ask:
    return Ask(store, pack(("BLMOVE", "k", "k", "LEFT", "LEFT", slice_s)), timeout_s=slice_s + 1.0)


def looks(*keys: str, store: Store = LOCAL) -> Ask:
    return Ask(store, pack(("EXISTS", *keys)))


def tries(*command: str) -> Ask:
    return Ask(LOCAL, pack(command))


NOTHING: list[Any] = [None]


def test_what_is_there_is_taken_at_once() -> None:
    waiting = Waiting("BLPOP k 0", float("inf"))
    assert waiting.drive([b"v"], b"v") == [b"k", b"v"]
    assert waiting.world.actions == [waits(WAIT_SLICE_S), tries("LPOP", "k")]


def test_an_empty_element_is_something() -> None:
    assert Waiting("BLPOP k 0", float("inf")).drive([b""], b"") == [b"k", b""]


def test_the_wait_is_cut_into_slices() -> None:
    waiting = Waiting("BLPOP k 2.5", 2.5, 1.5, 0.5)
    assert waiting.drive(NOTHING, NOTHING, [b"v"], b"v") == [b"k", b"v"]
    assert waiting.world.actions[:3] == [waits(WAIT_SLICE_S), waits(WAIT_SLICE_S), waits(0.5)]


def test_nothing_came_in_time() -> None:
    waiting = Waiting("BLPOP k 1", 1.0, 0.0)
    assert waiting.drive(NOTHING, NOTHING) is None
    assert waiting.world.actions == [waits(1.0), waits(0.002)], "a last look, which must not block for ever"


def test_another_client_was_faster() -> None:
    waiting = Waiting("BLPOP k 2", 2.0, 0.0)
    assert waiting.drive([b"v"], None, NOTHING) is None
    assert [type(action) for action in waiting.world.actions] == [Ask] * 3


def test_waiting_goes_on_at_the_store_that_took_over() -> None:
    waiting = Waiting("BLPOP k 0", float("inf"))
    waiting.drive(waiting.world.dies(LOCAL, lost()), [b"v"], b"v")
    assert waiting.world.actions[:2] == [waits(WAIT_SLICE_S), waits(WAIT_SLICE_S, CLOUD)]


def test_waiting_ends_with_the_last_store() -> None:
    waiting = Waiting("BLPOP k 0", float("inf"))
    world = waiting.world
    world.fails(AllStoresDown, waiting.flow, world.dies(LOCAL), world.dies(CLOUD))


@pytest.mark.parametrize("line", ["BLPOP k 0", "BZPOPMIN k 0"])
def test_an_error_of_the_server_ends_the_wait(line: str) -> None:
    waiting = Waiting(line, float("inf"))
    waiting.world.fails(ResponseError, waiting.flow, [ResponseError("WRONGTYPE")])


def test_several_keys_are_looked_at_and_tried_in_order() -> None:
    waiting = Waiting("BLPOP a b 0", float("inf"))
    assert waiting.drive([1], None, b"v") == [b"b", b"v"]
    assert waiting.world.actions == [looks("a", "b"), tries("LPOP", "a"), tries("LPOP", "b")]


@pytest.mark.parametrize("authority", [FIRST, CLAIMED])
def test_polling_slows_down(authority: Authority) -> None:
    looked = 14
    waiting = Waiting("BZPOPMIN k 0", *[float("inf")] * (looked + 1), world=World(authority=authority))
    assert waiting.drive(*[[0], "later"] * looked, [1], [b"m", b"1"]) == [b"k", b"m", b"1"]
    pauses = [action.seconds for action in waiting.world.actions if isinstance(action, Pause)]
    longest_s = LONGEST_PAUSE_S[authority.store]
    assert pauses[0] == FIRST_PAUSE_S
    assert pauses == [min(FIRST_PAUSE_S * 2**number, longest_s) for number in range(looked)]
    assert pauses[-1] == longest_s


def test_a_pause_ends_with_the_time() -> None:
    waiting = Waiting("BZPOPMIN k 1", 0.0005, 0.0)
    assert waiting.drive([0], "later", [0]) is None
    assert waiting.world.actions == [looks("k"), Pause(0.0005), looks("k")]


def test_no_attempt_is_made_for_nothing() -> None:
    waiting = Waiting("BZMPOP 1 2 a b MIN", 1.0, 0.0)
    assert waiting.drive([0], "later", [0]) is None
    assert [action for action in waiting.world.actions if action == tries("ZMPOP", "2", "a", "b", "MIN")] == []


def test_a_move_has_the_reply_of_its_attempt() -> None:
    waiting = Waiting("BLMOVE k d LEFT RIGHT 0", float("inf"))
    assert waiting.drive([b"v"], b"v") == b"v"
    assert waiting.world.actions == [waits(WAIT_SLICE_S), tries("LMOVE", "k", "d", "LEFT", "RIGHT")]
