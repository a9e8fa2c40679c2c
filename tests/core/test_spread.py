"""What the nodes of a cluster are asked for one request, and what becomes of their replies."""

from __future__ import annotations

from typing import Any

import pytest

from hybrid.core.resp import pack, unpack_all
from hybrid.core.slots import HOME, slot_of
from hybrid.core.spread import Request, requests
from hybrid.errors import CommandRefused

NODES = 3


def planned(*commands: tuple[Any, ...]) -> list[Request]:
    return list(requests(b"".join(map(pack, commands)), NODES))


def one(*commands: tuple[Any, ...]) -> Request:
    [request] = planned(*commands)
    return request


def asked(request: Request) -> list[tuple[int | None, list[list[bytes]]]]:
    """Slot, or none where the node is numbered, and the commands."""
    return [
        (part.slot if part.node is None else None, [list(args) for args in unpack_all(part.packed)])
        for part in request.parts
    ]


def test_one_slot_goes_to_its_node_and_no_key_to_hybrids_own() -> None:
    assert asked(one(("SET", "k", 1))) == [(slot_of(b"k"), [[b"SET", b"k", b"1"]])]
    assert asked(one(("TIME",))) == [(HOME, [[b"TIME"]])]
    assert asked(one(("GET", "hybrid:log"))) == [(HOME, [[b"GET", b"hybrid:{hybrid}:log"]])]


def test_values_that_look_like_names_stay() -> None:
    assert asked(one(("SET", "k", "hybrid:log"))) == [(slot_of(b"k"), [[b"SET", b"k", b"hybrid:log"]])]


def test_keys_of_several_slots_are_asked_for_apart() -> None:
    counted = one(("EXISTS", "a", "b", "{a}c"))
    assert asked(counted) == [
        (slot_of(b"a"), [[b"EXISTS", b"a", b"{a}c"]]),
        (slot_of(b"b"), [[b"EXISTS", b"b"]]),
    ]
    assert counted.join([[2], [1]]) == [3]
    read = one(("MGET", "a", "b", "{a}c"))
    assert read.join([[[b"1", b"3"]], [[None]]]) == [[b"1", None, b"3"]]
    lost = OSError("lost")
    assert read.join([[[b"1", b"3"]], [lost]]) == [lost]


def test_what_concerns_all_nodes() -> None:
    size = one(("DBSIZE",))
    assert [part.node for part in size.parts] == [0, 1, 2]
    assert size.join([[1], [2], [3]]) == [6]
    assert one(("KEYS", "*")).join([[[b"a"]], [[]], [[b"b"]]]) == [[b"a", b"b"]]
    assert one(("PING",)).join([[b"PONG"]] * 3) == [b"PONG"]
    assert one(("RANDOMKEY",)).join([[None], [b"k"], [None]]) == [b"k"]
    assert one(("CLIENT", "INFO")).join([[b"id=1\n"], [b"id=2\n"], [b"id=3\n"]]) == [b"id=1\nid=2\nid=3\n"]
    assert one(("CLIENT", "KILL", "ID", 1)).join([[0], [1], [0]]) == [1]


def test_a_scan_goes_from_node_to_node() -> None:
    cursor, seen = b"0", []
    for place, reply in [(0, b"7"), (0, b"0"), (1, b"0"), (2, b"9"), (2, b"0")]:
        request = one(("SCAN", cursor, "COUNT", 10))
        assert [part.node for part in request.parts] == [place]
        seen.append(next(unpack_all(request.parts[0].packed))[1])
        [[cursor, _]] = request.join([[[reply, []]]])
    assert seen == [b"0", b"7", b"0", b"0", b"9"]
    assert cursor == b"0"
    gone = one(("SCAN", 3 + 256 * 5))
    assert isinstance(gone.join([])[0], CommandRefused)


def test_a_command_across_slots_is_refused() -> None:
    request = one(("RENAME", "a", "b"))
    assert not request.parts
    [error] = request.join([])
    assert str(error) == "RENAME is refused: on a cluster, its keys must be in one slot"


def test_a_transaction_becomes_one_for_each_slot() -> None:
    request = one(("MULTI",), ("INCR", "a"), ("INCR", "b"), ("PUBLISH", "c", "m"), ("INCR", "{a}2"), ("EXEC",))
    assert asked(request) == [
        (slot_of(b"a"), [[b"MULTI"], [b"INCR", b"a"], [b"INCR", b"{a}2"], [b"EXEC"]]),
        (slot_of(b"b"), [[b"MULTI"], [b"INCR", b"b"], [b"EXEC"]]),
        (HOME, [[b"MULTI"], [b"PUBLISH", b"c", b"m"], [b"EXEC"]]),
    ]
    queued, wrong = b"QUEUED", OSError("wrong type")
    replies = [[b"OK", queued, queued, [1, 4]], [b"OK", queued, [wrong]], [b"OK", queued, [3]]]
    assert request.join(replies) == ["OK", queued, queued, queued, queued, [1, wrong, 3, 4]]
    replies[1][-1] = None
    assert request.join(replies)[-1] is None, "a watched key had moved"
    refused = one(("MULTI",), ("INCR", "a"), ("RENAME", "a", "b"), ("EXEC",))
    assert not refused.parts
    assert all(isinstance(reply, CommandRefused) for reply in refused.join([])[1:])


@pytest.mark.parametrize(
    ("command", "watches"), [(("WATCH", "a", "b"), True), (("UNWATCH",), False), (("GET", "a"), None)]
)
def test_who_watches_is_known(command: tuple[Any, ...], watches: bool | None) -> None:
    assert one(command).watches is watches
    assert one(("MULTI",), ("GET", "a"), ("EXEC",)).watches is False


def test_half_a_transaction_is_an_error() -> None:
    with pytest.raises(ValueError, match="as a whole"):
        planned(("MULTI",), ("INCR", "a"))
