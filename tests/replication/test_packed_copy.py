"""Many small keys in one step: a script makes the commands that put them on another server."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from servers import Pool, client, run_packed

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


def test_a_source_that_refuses_in_the_middle_leaves_no_answer_behind() -> None:
    keys = [b"%d" % number for number in range(3 * PACKED_KEYS)]
    due = 0

    def sent(_: bytes, count: int) -> None:
        nonlocal due
        due += count

    def received(count: int) -> list[Any]:
        nonlocal due
        due -= count
        return [[redis.ResponseError("OOM"), []]] * count

    other = SimpleNamespace(refuses_dumps=False)
    states = SimpleNamespace(send=sent, receive=received, has_replies=lambda: False)
    stream: Any = SimpleNamespace(
        endpoints={Store.CLOUD: other},
        target=Store.CLOUD,
        states=states,
        snapshots=SimpleNamespace(attend=lambda: None),
        opening=SimpleNamespace(ask_source_mark=b""),
    )
    copied: Any = SimpleNamespace(place_command=lambda: b"")
    packed_copy = PackedCopy(stream, copied)
    packed_copy._tried = True
    assert packed_copy.copy(keys) == keys and due == 0
    assert not packed_copy.works
