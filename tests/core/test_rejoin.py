"""What becomes of a returning store's tail: copied, applied again, or a conflict that the newer value wins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybrid.core.authority import Position
from hybrid.core.conflict import Conflict, Side
from hybrid.core.footprint import Footprint
from hybrid.core.rejoin import Branch, Decision, Repeat, again, brought, decision, hides_a_sum, why_kept
from hybrid.core.resp import pack, unpack, unpack_all
from hybrid.core.shipping import Field, Group
from hybrid.types import Store

EARLY, LATE = 1000, 2000


def group(ms: int, *commands: str, name: bytes = b"v", token: bytes | None = None) -> Group:
    fields: list[Field] = [(name, pack(command.split())) for command in commands]
    return Group((ms, 0), tuple(fields), token)


def branch(*groups: Group, doubt: Position = (0, 0), left_out: frozenset[bytes] = frozenset()) -> Branch:
    made = Branch(doubt=doubt, left_out=left_out)
    for each in groups:
        made.add(each)
    return made


def decided(returning: str, authority: str, *, doubt: Position = (0, 0), ms: int = EARLY) -> Decision:
    """Of key `k`, when the one store ran `returning` and then the authority `authority` (several with `;`)."""
    ours = branch(group(ms, *returning.split(";")), doubt=doubt)
    theirs = branch(group((EARLY + LATE) // 2, *authority.split(";")))
    return decision(ours.of(b"k"), theirs.of(b"k"))


@pytest.mark.parametrize(
    ("returning", "authority"),
    [
        ("INCR k", "DECRBY k 5"),
        ("INCRBYFLOAT k 0.5", "INCR k"),
        ("SADD k a b;SREM k c", "SADD k d;SREM k e"),
        ("SADD k a", "SADD k a"),
        ("HSET k f 1;HDEL k g", "HSET k h 1;HINCRBY k i 2"),
        ("HINCRBY k n 1", "HINCRBY k n 2"),
        ("ZADD k 1 a", "ZADD k 2 b;ZINCRBY k 3 c"),
        ("ZINCRBY k 1 a", "ZADD k INCR 2 a"),
        ("PFADD k a", "PFADD k b"),
        ("RPUSH k a", "LPUSH k b;LPOP k"),
        ("APPEND k x", "APPEND k y"),
        ("SETBIT k 1 1", "SETBIT k 2 0;SETBIT k 1 1"),
        ("XADD k 1-1 f v", "XADD k 2-1 f v;XGROUP SETID k g 2-1"),
        ("HSET k f 1;EXPIREAT k 99", "HSET k g 1;EXPIREAT k 98"),
        ("EXPIREAT k 1", "INCR k;EXPIREAT k 2"),
        ("INCR k;EXPIREAT k 1;PERSIST k", "INCR k"),
        ("INCR k;PEXPIREAT k 1501", "INCR k"),
    ],
)
def test_what_commutes_is_applied_again(returning: str, authority: str) -> None:
    assert decided(returning, authority) is Decision.AGAIN


@pytest.mark.parametrize(
    ("returning", "authority"),
    [
        ("SET k 1", "INCR k"),
        ("INCR k", "SET k 1"),
        ("INCR k", "DEL k"),
        ("INCR k", "APPEND k x"),
        ("SADD k a", "SREM k a"),
        ("SADD k a;DEL k", "SADD k b"),
        ("HSET k f 1", "HSET k f 2"),
        ("HSET k f 1", "HINCRBY k f 2"),
        ("HSETNX k f 1", "HSETNX k f 1"),
        ("ZADD k 1 a", "ZINCRBY k 1 a"),
        ("ZADD k GT 1 a", "ZADD k GT 1 a"),
        ("LPOP k", "RPUSH k a"),
        ("LMOVE k l LEFT LEFT", "RPUSH k a"),
        ("RPUSHX k a", "LPOP k"),
        ("EXPIREAT k 1", "INCR k"),
        ("INCR k;PEXPIREAT k 1500", "INCR k"),
        ("HSET k f 1", "SADD k a"),
        ("MSET k 1 l 2", "INCR k"),
        ("RENAME l k", "INCR k"),
    ],
)
def test_what_does_not_commute_is_a_conflict_that_the_newer_value_wins(returning: str, authority: str) -> None:
    assert decided(returning, authority) is Decision.KEEP_AUTHORITY
    assert decided(returning, authority, ms=LATE) is Decision.KEEP_RETURNING


def test_a_key_that_only_one_store_wrote() -> None:
    ours = branch(group(EARLY, "SET k 1"))
    assert decision(ours.of(b"k"), branch().of(b"k")) is Decision.COPY


def test_in_doubt_nothing_is_counted_twice_and_nothing_new_overwritten() -> None:
    doubt = (LATE, 0)
    assert decided("INCR k", "INCR k", doubt=doubt) is Decision.LACKING
    assert decided("RPUSH k a", "LPOP k", doubt=doubt) is Decision.KEEP_AUTHORITY
    assert decided("SET k 1", "SET k 2", doubt=doubt, ms=LATE) is Decision.KEEP_AUTHORITY
    assert decided("SADD k a", "SADD k b", doubt=doubt) is Decision.AGAIN


def test_what_its_writer_ran_again_is_left_out() -> None:
    groups = [group(1, "INCR k", token=b"a"), group(2, "INCRBY k 10", token=b"b")]
    theirs = branch(group(3, "INCR k", token=b"a"))
    left_out = frozenset(theirs.marks)
    ours = branch(*groups, left_out=left_out)
    assert decision(ours.of(b"k"), theirs.of(b"k")) is Decision.AGAIN
    assert commands(again(groups, [b"k"], left_out)) == ["INCRBY k 10"]
    everything = branch(groups[0], left_out=left_out)
    assert decision(everything.of(b"k"), theirs.of(b"k")) is Decision.DONE


def test_an_emptied_store_has_written_every_key() -> None:
    emptied = branch(Group((EARLY, 0), ((b"f", b"1"),)))
    assert decision(branch(group(1, "SET k 1")).of(b"k"), emptied.of(b"k")) is Decision.KEEP_AUTHORITY
    assert decision(emptied.of(b"k"), branch().of(b"k")) is Decision.COPY


def test_a_copied_key_was_replaced() -> None:
    ours = branch(Group((EARLY, 0), ((b"s", b"k"),)))
    assert decision(ours.of(b"k"), branch(group(LATE, "INCR k")).of(b"k")) is Decision.KEEP_AUTHORITY


def test_how_it_is_applied_again() -> None:
    groups = [
        group(1, "INCR k", "SADD l a"),
        group(2, "EXPIRE k 10", name=b"t"),
        Group((3, 0), ((b"v", pack(("SET", "f", "1.5"))), (b"i", pack(("INCRBYFLOAT", "f", "0.5"))))),
        group(4, "XADD x MAXLEN = 5 4-0 f v", "XADD x NOMKSTREAM KEEPREF MINID 5 5-0 f w"),
    ]
    found = again(groups, (b"k", b"f", b"x"), frozenset())
    assert commands({b"k": found[b"k"]}) == ["INCR k", "PEXPIREAT k 10002"]
    assert commands({b"f": found[b"f"]}) == ["INCRBYFLOAT f 0.5"]
    assert commands({b"x": found[b"x"]}) == ["XADD x * f v", "XADD x * f w"]
    timed = branch(group(5, "EXPIRE k 99", name=b"t"))
    assert [repeat.is_due(timed.of(b"k")) for repeat in found[b"k"]] == [True, False], "their expiry stays"
    assert all(repeat.is_due(branch(group(5, "INCR k")).of(b"k")) for repeat in found[b"k"])


@pytest.mark.parametrize(
    ("done", "repeated"),
    [
        ("HSETNX k f 1", "HSET k f 1"),
        ("HSETNX k f 1;HSETNX k f 2", "HSET k f 1"),
        ("HINCRBY k f 1;HSETNX k f 2", "HINCRBY k f 1"),
        ("HSETNX k f 1;HDEL k f;HSETNX k f 2", "HSET k f 1;HDEL k f;HSET k f 2"),
        ("ZADD k NX 1 a 2 b", "ZADD k 1 a 2 b"),
        ("ZADD k 1 a;ZADD k CH nx 2 a 3 b", "ZADD k 1 a;ZADD k CH 3 b"),
        ("ZINCRBY k 1 a;ZADD k NX 2 a", "ZINCRBY k 1 a"),
        ("ZADD k NX INCR 2 a", "ZADD k INCR 2 a"),
        ("ZADD k GT 2 a", "ZADD k GT 2 a"),
        ("GEOADD k NX 1 2 a;GEOADD k NX 3 4 a 5 6 b", "GEOADD k 1 2 a;GEOADD k 5 6 b"),
        ("ZADD k NX", "ZADD k NX"),
    ],
)
def test_what_a_condition_granted_on_an_empty_store_holds_where_there_is_more(done: str, repeated: str) -> None:
    groups = [group(1, command) for command in done.split(";")]
    assert commands(again(groups, [b"k"], frozenset(), lacks_past=True)) == repeated.split(";")
    assert commands(again(groups, [b"k"], frozenset())) == done.split(";"), "the condition holds there as well"


def test_what_was_run_again_has_granted_nothing_to_who_comes_later() -> None:
    groups = [group(1, "HSETNX k f 1", token=b"a"), group(2, "HSETNX k f 2", token=b"b")]
    assert commands(again(groups, [b"k"], frozenset((b"a",)), lacks_past=True)) == []


def test_what_was_brought_to_lists_and_streams() -> None:
    groups = [
        group(1, "RPUSH k a b", "LPUSHX l c", "LINSERT k BEFORE a d", "LSET k 0 e", "LPOP k"),
        group(2, "XADD x 4-0 f v"),
    ]
    assert brought(groups) == {b"a", b"b", b"c", b"d", b"e", b"4-0"}


def commands(found: dict[bytes, list[Repeat]]) -> list[str]:
    repeats = [repeat for each in found.values() for repeat in each]
    return [" ".join(map(bytes.decode, unpack(packed))) for repeat in repeats for packed in repeat.packed]


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("HSET"), st.sampled_from("abc"), st.integers(1, 2)),
        st.tuples(st.just("HINCRBY"), st.sampled_from("abc"), st.integers(1, 2)),
        st.tuples(st.just("HDEL"), st.sampled_from("abc"), st.just(0)),
    ),
    min_size=1,
    max_size=5,
)


@given(OPERATIONS, OPERATIONS)
def test_what_commutes_has_one_result_in_either_order(
    ours: list[tuple[str, str, int]], theirs: list[tuple[str, str, int]]
) -> None:
    """Against a hash of numbers: where the two sides commute, applying either one last gives the same."""

    def text(operation: tuple[str, str, int]) -> str:
        name, member, number = operation
        return f"HDEL k {member}" if name == "HDEL" else f"{name} k {member} {number}"

    def run(operations: list[tuple[str, str, int]]) -> dict[str, int]:
        state = {"a": 7}
        for name, member, number in operations:
            if name == "HDEL":
                state.pop(member, None)
            else:
                state[member] = number + (state.get(member, 0) if name == "HINCRBY" else 0)
        return state

    if decided(";".join(map(text, ours)), ";".join(map(text, theirs))) is Decision.AGAIN:
        assert run(ours + theirs) == run(theirs + ours)


@given(st.binary(), st.lists(st.lists(st.binary(), min_size=1), max_size=4), st.integers(0, 2**40))
def test_a_conflict_is_read_as_it_was_archived(key: bytes, value: list[list[bytes]], at_ms: int) -> None:
    packed = b"".join(map(pack, ([b"X", *args] for args in value)))
    conflict = Conflict("5-1", key, Side(Store.LOCAL, packed, at_ms or None, "t"), Side(Store.CLOUD, b""), "why")
    flat = unpack(pack(("X", *conflict.fields)))[1:]
    assert Conflict.parse(b"5-1", flat) == conflict
    assert list(conflict.lost.commands) == [[b"X", *args] for args in value]
    assert list(unpack_all(packed + packed)) == 2 * list(unpack_all(packed))


@pytest.mark.parametrize("later", ["DEL k", "SET k newer"])
def test_a_write_that_was_run_again_and_then_executed_late_is_never_the_newer_one(later: str) -> None:
    """A store that hung executes what waits in its sockets when it goes on: a deleted key came back by that."""
    theirs = branch(group(EARLY, "SET k old"), group(EARLY + 1, later))
    late = branch(group(LATE, "SET k old"), left_out=frozenset(theirs.marks))
    assert decision(late.of(b"k"), theirs.of(b"k")) is Decision.KEEP_AUTHORITY


def test_a_write_that_was_not_run_again_is_the_newer_one() -> None:
    theirs = branch(group(EARLY, "SET k old"), group(EARLY + 1, "DEL k"))
    ours = branch(group(LATE, "SET k old"), group(LATE + 1, "SET k own"), left_out=frozenset(theirs.marks))
    assert decision(ours.of(b"k"), theirs.of(b"k")) is Decision.KEEP_RETURNING


def test_a_late_flush_does_not_empty_what_was_written_after_it() -> None:
    flush = Group((LATE, 0), ((b"f", b"1"),))
    theirs = branch(Group((EARLY, 0), ((b"f", b"1"),)), group(EARLY + 1, "SET k new"))
    late = branch(flush, left_out=frozenset(theirs.marks))
    assert decision(late.of(b"k"), theirs.of(b"k")) is Decision.KEEP_AUTHORITY
    assert decision(branch(flush).of(b"k"), theirs.of(b"k")) is Decision.KEEP_RETURNING


@pytest.mark.parametrize(
    ("ours", "theirs", "hides"),
    [
        ("INCR k", "INCRBY k 1", True),
        ("SET k 1", "INCR k", False),
        ("BITFIELD k INCRBY u8 0 1", "BITFIELD k INCRBY u8 0 1", True),
        ("BITFIELD k SET u8 0 1", "BITFIELD k INCRBY u8 0 1", False),
        ("BITFIELD k INCRBY u8 0 1;SET k 1", "BITFIELD k INCRBY u8 0 1", False),
        ("SET k 1;BITFIELD k INCRBY u8 0 1", "BITFIELD k INCRBY u8 0 1", True),
        ("JSON.NUMINCRBY k $.n 1", "JSON.NUMINCRBY k $.n 1", True),
        ("JSON.SET k $.n 1", "JSON.NUMINCRBY k $.n 1", False),
    ],
)
def test_equal_sums_prove_nothing(ours: str, theirs: str, hides: bool) -> None:
    """Both stores counted as much more: the values are equal, and the increments of one are in none of them."""
    mine, other = (branch(*(group(LATE, each) for each in it.split(";"))).of(b"k") for it in (ours, theirs))
    assert hides_a_sum(mine, other, has_number=True) is hides
    assert hides_a_sum(other, mine, has_number=True) is hides
    assert not hides_a_sum(None, mine, has_number=True)


@pytest.mark.parametrize(
    ("other", "hides"),
    [("s", True), ("INCR k", True), ("SET k 2", False), ("BITFIELD k INCRBY u8 0 1", True)],
)
def test_equal_values_prove_nothing_where_the_log_does_not_tell_what_was_done(other: str, hides: bool) -> None:
    """A script may have counted, if there is a number."""
    named = Group((EARLY, 0), ((b"s", b"k"),))
    its = branch(named if other == "s" else group(LATE, other)).of(b"k")
    for sides in ((branch(named).of(b"k"), its), (its, branch(named).of(b"k"))):
        assert hides_a_sum(*sides, has_number=True) is hides
        assert hides_a_sum(*sides, has_number=False) is other.startswith("BITFIELD")


@pytest.mark.parametrize(
    ("ms", "doubt", "said"),
    [
        (EARLY, 0, "the newer value was kept"),
        (LATE, 0, "newer value was kept"),
        (LATE, LATE, "does not count as newer"),
    ],
)
def test_a_conflict_does_not_call_newer_what_is_not(ms: int, doubt: int, said: str) -> None:
    ours = branch(group(ms, "SET k ours"), doubt=(doubt, 0))
    theirs = branch(group((EARLY + LATE) // 2, "SET k theirs"))
    assert said in why_kept(ours.of(b"k"), theirs.of(b"k"))


@pytest.mark.parametrize(
    ("commands", "what"),
    [
        ("INCR k", Decision.AGAIN),
        ("RPUSH k a;RPUSH k b", Decision.AGAIN),
        ("HSET k f v;PEXPIREAT k 5000", Decision.AGAIN),
        ("SET k v", Decision.COPY),
        ("INCR k;SET k v;INCR k", Decision.COPY),
        ("DEL k j;RPUSH k a", Decision.COPY),
        ("MSET k v j w", Decision.COPY),
        ("SET k v NX", Decision.KEEP_RETURNING),
        ("RPUSH k a;LPOP k", Decision.KEEP_RETURNING),
        ("SINTERSTORE k a b", Decision.KEEP_RETURNING),
    ],
)
def test_what_was_done_to_an_empty_store_is_done_to_what_it_lacked(commands: str, what: Decision) -> None:
    """The authority holds the key since before both began: nothing is lost of that, unless it was to be replaced."""
    ours = branch(group(LATE, *commands.split(";")))
    assert decision(ours.of(b"k"), Footprint()) is what


def test_a_store_that_was_emptied_on_purpose_replaces_what_it_lacked() -> None:
    flushed = Group((LATE, 0), ((b"f", b"1"),))
    ours = branch(flushed, group(LATE + 1, "INCR k"))
    assert decision(ours.of(b"k"), Footprint()) is Decision.COPY
    assert decision(ours.of(b"another"), Footprint()) is Decision.COPY
    asked_to_copy = branch(Group((LATE, 0), ((b"r", b"1"),)))
    assert decision(asked_to_copy.of(b"another"), Footprint()) is Decision.KEEP_RETURNING
