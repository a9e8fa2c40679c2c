"""Many small keys in one step: a script makes the commands that put them on another server."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from servers import Pool, client, run_packed

from hybrid.core.names import Names
from hybrid.core.resp import unpack_all
from hybrid.replication.packed_copy import (
    DUMP_SCRIPT,
    PACKED_KEYS,
    Packed,
    PackedCopy,
    packed_of,
    rest_command,
    rest_of,
)
from hybrid.types import Store

FAR_MS = 4_102_444_800_000
LOG = b"hybrid:log"


@pytest.fixture
def source(request: pytest.FixtureRequest, server_pool: Pool) -> Iterator[redis.Redis]:
    with client(server_pool.get(getattr(request, "param", "valkey"), "local").url) as opened:
        yield opened


@pytest.fixture
def target(server_pool: Pool) -> Iterator[redis.Redis]:
    with client(server_pool.get("valkey", "cloud").url) as opened:
        yield opened


def packed(store: redis.Redis, *keys: bytes, all_bytes: int = 1_000_000, seconds: float = 10.0) -> Packed:
    arguments: tuple[Any, ...] = (DUMP_SCRIPT, len(keys), *keys, 10_000, all_bytes, seconds)
    return packed_of(keys, store.execute_command("EVAL", *arguments), (7, 0))


def run(store: redis.Redis, found: Packed) -> None:
    commands = list(unpack_all(found.commands))
    assert len(commands) == len(found.keys)
    for command in commands:
        store.execute_command(*command)


@pytest.mark.parametrize("source", ["valkey", "redis"], indirect=True)
def test_the_commands_make_the_other_store_equal(source: redis.Redis, target: redis.Redis) -> None:
    source.set(b"a \r\n\x00", b"\xff\r\n" * 500, pxat=FAR_MS)
    source.hset("hash", mapping={"f": "v", "": "empty"})
    target.sadd("hash", "another type")
    target.set("gone", "v")
    found = packed(source, b"a \r\n\x00", b"hash", b"gone")
    run(target, found)
    assert (target.get(b"a \r\n\x00"), target.pexpiretime(b"a \r\n\x00")) == (b"\xff\r\n" * 500, FAR_MS)
    assert (target.hgetall("hash"), target.exists("gone")) == ({b"f": b"v", b"": b"empty"}, 0)


def test_big_keys_are_left_to_the_typed_copy(source: redis.Redis, target: redis.Redis) -> None:
    source.mset({"first": "v", "big": bytes(20_000), "last": "v"})
    found = packed(source, b"first", b"big", b"last")
    assert (found.keys, found.left, found.rest) == ([b"first", b"last"], [b"big"], ())
    run(target, found)
    assert target.exists("first", "big", "last") == 2


@pytest.mark.parametrize(("all_bytes", "seconds", "most_keys"), [(500, 10.0, 20), (1_000_000, 0.0, 16)])
def test_a_script_ends_before_it_holds_the_server(
    source: redis.Redis, all_bytes: int, seconds: float, most_keys: int
) -> None:
    keys = tuple(b"key:%d" % number for number in range(100))
    source.mset({key: key * 12 for key in keys})
    found = packed(source, *keys, all_bytes=all_bytes, seconds=seconds)
    assert 0 < len(found.keys) <= most_keys and found.rest == keys[len(found.keys) :]


def test_the_rest_of_a_log_comes_with_the_states_that_go_along(source: redis.Redis, target: redis.Redis) -> None:
    """Where an entry names a key, its state is to be copied; a command is repeated as it stands."""
    source.rpush("list", "a", "b")
    source.set("text", "x", pxat=FAR_MS)
    source.set("large", bytes(2_000_000))
    read = source.xadd(LOG, {"s": "read before"})
    source.xadd(LOG, {"s": "list"})
    source.xadd(LOG, {"v": "a command", "w": "token"})
    for key in ("text", "list", "large"):
        source.xadd(LOG, {"s": key})
    target.set("gone", 1)
    end = source.xadd(LOG, {"s": "gone"})
    entries, found = rest_of(run_packed(source, rest_command(LOG, read, 100)))
    assert [fields[::2] for _, fields in entries] == [[b"s"], [b"v", b"w"], [b"s"], [b"s"], [b"s"], [b"s"]]
    assert (found.keys, found.left, found.rest) == ([b"list", b"text", b"gone"], [b"large"], [])
    assert b"%d-%d" % found.place == end
    run(target, found)
    assert target.lrange("list", 0, -1) == [b"a", b"b"]
    assert (target.get("text"), target.pexpiretime("text"), target.exists("gone")) == (b"x", FAR_MS, 0)


def test_nothing_is_left_of_a_log_that_was_read(source: redis.Redis) -> None:
    read = source.xadd(LOG, {"v": "a command"})
    entries, found = rest_of(run_packed(source, rest_command(LOG, read, 100)))
    assert not entries and not found.keys


class Source:
    """Answers requests for packed keys. `due` are replies that were not read yet."""

    def __init__(self, answer: Callable[[int], Any]) -> None:
        """`answer` says what there is for so many keys."""
        self.due = 0
        self._answer = answer
        self._asked: deque[int] = deque()
        self.other = SimpleNamespace(refuses_dumps=False)
        stream: Any = SimpleNamespace(
            endpoints={Store.CLOUD: self.other},
            target=Store.CLOUD,
            states=self,
            snapshots=SimpleNamespace(attend=lambda: None),
            names=Names(),
            opening=SimpleNamespace(check_source=lambda marks: None),
            push=lambda *_: None,
            flush=lambda: None,
            keep_going=lambda: None,
        )
        copied: Any = SimpleNamespace(
            place_command=lambda: b"", reached=lambda reply: ((7, 0), None), note=lambda *_: None
        )
        self.copy = PackedCopy(stream, copied)
        self.copy._tried = True

    def has_replies(self) -> bool:
        return False

    def send(self, payload: bytes, count: int) -> None:
        self.due += count
        eval_ = next(command for command in unpack_all(payload) if command[0] == b"EVAL")
        self._asked.append(int(eval_[2]))

    def receive(self, count: int) -> list[Any]:
        self.due -= count
        found = self._answer(self._asked.popleft())
        return [*[b"QUEUED"] * (count - 1), [found, [], None]]


def test_a_source_that_refuses_in_the_middle_leaves_no_answer_behind() -> None:
    keys = [b"%d" % number for number in range(3 * PACKED_KEYS)]
    source = Source(lambda _: redis.ResponseError("OOM"))
    left = [key for some in source.copy.copy(keys) for key in some]
    assert sorted(left) == sorted(keys) and source.due == 0
    assert not source.copy.works


def test_big_keys_are_copied_by_type_while_nothing_is_on_the_way_and_before_all_are_known() -> None:
    listed: list[bytes] = []

    def keys() -> Iterator[bytes]:
        for number in range(40 * PACKED_KEYS):
            listed.append(b"%d" % number)
            yield listed[-1]

    def all_but_one(count: int) -> Any:
        return [b"commands", count, list(range(2, count + 1))]

    source, left = Source(all_but_one), []
    for some in source.copy.copy(keys()):
        assert source.due == 0
        assert len(listed) <= len(left) + len(some) + 50, "what was packed, and one key that tells whether any is left"
        left += some
    assert len(left) == 40 * (PACKED_KEYS - 1) == len(set(left))


def test_keys_that_a_script_did_not_come_to_are_next() -> None:
    keys = [b"%d" % number for number in range(5 * PACKED_KEYS)]
    source = Source(lambda count: [b"commands", max(1, count // 3), []])
    noted: list[bytes] = []
    source.copy.noted = lambda packed, ahead: noted.extend(packed.keys)  # type: ignore[method-assign]
    assert list(source.copy.copy(keys)) == []
    assert sorted(noted) == sorted(keys)
