"""No step may keep a server from its other clients: how much goes together, by the cost of what it is made of."""

from __future__ import annotations

import pytest

from hybrid.core.drift import Cause, Difference, Facts
from hybrid.core.resp import pack
from hybrid.core.state import Body, Group, Hash, KeyState, List, Pending, Set, Stream, ZSet, plan_put
from hybrid.core.syncplan import Action, Verb
from hybrid.core.work import STEP_WORK, command_work, packed_work, presumed_work
from hybrid.ops.sync.batches import TRANSACTION_WORK, Put, batches, put_of, within
from hybrid.replication.big_read import page_of
from hybrid.stores.capabilities import Capabilities
from hybrid.types import Store

CAN = Capabilities((7, 0, 0), "redis", True, False, True, True, False, True)
COUNT = 20_000
NAMES = [b"%d" % number for number in range(COUNT)]
ENTRIES = tuple((b"1-%d" % number, (b"f", b"v")) for number in range(1, COUNT + 1))
PENDING = tuple(Pending(entry_id, b"c", 1, 1) for entry_id, _ in ENTRIES)
GROUPS = {b"g": Group(ENTRIES[-1][0], COUNT, frozenset({b"c"}), PENDING)}


@pytest.mark.parametrize(
    ("body", "arguments_each", "most_elements"),
    [
        (Hash(dict.fromkeys(NAMES, b"v"), {}), 2, 875),
        (List(tuple(NAMES)), 1, 2650),
        (Set(frozenset(NAMES)), 1, 1300),
        (ZSet(dict.fromkeys(NAMES, b"1")), 2, 330),
        (Stream(ENTRIES, ENTRIES[-1][0], COUNT, b"0-0", {}), 3, 350),
        (Stream((), ENTRIES[-1][0], COUNT, b"0-0", GROUPS), 1, 1050),
    ],
    ids=("hash", "list", "set", "zset", "stream", "pending"),
)
def test_a_transaction_carries_as_much_as_its_elements_cost(
    body: Body, arguments_each: int, most_elements: int
) -> None:
    groups = plan_put(b"k", KeyState(type(body).__name__.lower(), None, body), b"hybrid:tmp:k")
    assert max(sum(map(command_work, group)) for group in groups) <= STEP_WORK / 2 + 4000  # a command's own words
    carried = max(sum(len(command) - 2 for command in group) / arguments_each for group in groups)
    assert 0.8 * most_elements < carried <= most_elements


def test_a_packed_command_costs_what_it_did_before() -> None:
    for command in ([b"ZADD", b"k", b"1", b"m"], [b"SET", b"k", bytes(1000)], [b"SADD", b"k", *NAMES[:100]]):
        framing = len(pack(command)) - sum(map(len, command))
        assert packed_work(pack(command)) == command_work(command) + framing


def test_a_member_of_a_sorted_set_costs_most() -> None:
    costs = [command_work([name, b"k", b"1", b"2"]) for name in (b"HSET", b"SADD", b"ZADD")]
    assert costs == sorted(costs) and costs[-1] > 2 * costs[0]
    assert presumed_work("zset", 1000) > presumed_work("hash", 1000) > presumed_work("string", 1000)


@pytest.mark.parametrize(
    ("kind", "size_bytes", "page"),
    [
        ("zset", 1_000_000 * 80, 750),
        ("hash", 1_000_000 * 80, 1000),
        ("set", 1_000_000 * 80, 1500),
        ("list", 1_000_000 * 20, 2500),
        ("hash", 1_000_000 * 100_000, 10),
        ("zset", 1_000_000 * 10_000_000, 1),
        ("string", 1_000_000, 1024 * 1024),
    ],
)
def test_pages_of_a_big_key(kind: str, size_bytes: int, page: int) -> None:
    assert page_of(kind, 1_000_000, size_bytes) == page


def test_values_go_together_as_far_as_a_transaction_may_carry_them() -> None:
    small, large = put(60), put(COUNT)
    together = list(within((number, small) for number in range(1000)))
    assert [number for number, _ in together] == list(range(len(together)))
    assert TRANSACTION_WORK - small.work < sum(each.work for _, each in together) <= TRANSACTION_WORK
    assert large.filling and large.work < 1000, "a large value costs the transaction no more than its renaming"
    whole = Put([], [pack([b"ZADD", b"k", *NAMES])])
    assert [number for number, _ in within([(1, whole), (2, small)])] == [1]
    assert list(within([])) == []


def test_all_that_makes_a_large_value_is_done_before_it_is_swapped_in() -> None:
    stream = Stream(ENTRIES, ENTRIES[-1][0], COUNT, b"0-0", GROUPS)
    filling, last = large = put_of(b"k", KeyState("stream", None, stream), CAN)
    assert len(filling) > COUNT and large.temporary is not None and large.temporary.startswith(b"hybrid:tmp:")
    assert last == [
        pack(command) for command in ([b"UNLINK", b"k"], [b"RENAME", large.temporary, b"k"], [b"PERSIST", b"k"])
    ]
    assert put(60).temporary is None


def put(members: int) -> Put:
    scores = dict.fromkeys(NAMES[:members], b"1")
    return put_of(b"k", KeyState("zset", None, ZSet(scores)), CAN)


def test_batches_are_cut_where_their_values_may_cost_much() -> None:
    def sizes(kind: str, size_bytes: int) -> set[int]:
        facts = Facts(kind, b"f", None, size_bytes)
        found = (Difference(b"%d" % number, (Cause.VALUE,), facts, None) for number in range(3000))
        return {len(batch) for batch in batches(Action(Verb.COPY, Store.CLOUD, each) for each in found)}

    assert max(sizes("string", 40)) == 1000
    assert max(sizes("zset", 1500)) < 20 < max(sizes("hash", 1500))
    assert sizes("string", 10 * STEP_WORK) == {1}
