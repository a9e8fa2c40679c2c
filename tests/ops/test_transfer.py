"""Keys out of the stores and in again: the same afterwards, on both, whatever stood there before."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers import Pool, Stores, client

from hybrid import HybridRedis
from hybrid.core.drift import Scope
from hybrid.core.export import json_line, parsed_line
from hybrid.core.state import Hash, KeyState, List, Set, String, ZSet
from hybrid.core.syncplan import Direction, SyncEnding
from hybrid.errors import ConfigurationError
from hybrid.ops.compare import compare
from hybrid.ops.sync.run import undo_sync
from hybrid.ops.transfer import (
    Conflict,
    Format,
    ImportResult,
    copy_keys,
    export_keys,
    import_keys,
    listed_keys,
    resp_lines,
)
from hybrid.types import Store

FAR_MS = 4_102_444_800_000
ALL = Scope()
LINES = (
    "SET text v",
    f"SET volatile v PXAT {FAR_MS}",
    "HSET hash a 1 b 2",
    f"HPEXPIREAT hash {FAR_MS} FIELDS 1 a",
    "RPUSH list a b a",
    "SADD set a b",
    "ZADD zset 1.5 a -inf b",
    "XADD stream 1-0 f v",
    "XADD stream 2-0 f w",
    "XGROUP CREATE stream g 0",
    "XREADGROUP GROUP g ann COUNT 1 STREAMS stream >",
    "PFADD log:log a b",
)


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture(scope="module")
def opened(pair: Stores) -> Iterator[HybridRedis]:
    with HybridRedis.from_urls(
        pair.local.url, pair.cloud.url, local_timeout_s=3.0, cloud_timeout_s=3.0, sync_enabled=False
    ) as hybrid:
        hybrid.start()
        assert hybrid.wait_in_sync(10)
        yield hybrid


@pytest.fixture
def hybrid(opened: HybridRedis, pair: Stores) -> Iterator[HybridRedis]:
    opened.flushall()
    for line in LINES:
        opened.execute_command(*line.split())
    opened.set(b"\xff\x00", b"\x80 binary")
    opened.rpush("big", *(f"{i}" * 100 for i in range(10_000)))
    yield opened
    assert opened.wait_in_sync(10)
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        result = compare(local, cloud)
    assert result.identical, result.differences


def exported(hybrid: HybridRedis, scope: Scope = ALL, **options: object) -> bytes:
    out = io.BytesIO()
    export_keys(hybrid, out, scope, **options)  # type: ignore[arg-type]
    return out.getvalue()


def test_what_is_exported_and_imported_is_the_same(hybrid: HybridRedis) -> None:
    before = exported(hybrid)
    assert sorted(before.splitlines()) == sorted(exported(hybrid, store=Store.CLOUD).splitlines())
    hybrid.flushall()
    done = import_keys(hybrid, before.splitlines())
    assert done == ImportResult(created=10, undo=done.undo)
    assert sorted(exported(hybrid).splitlines()) == sorted(before.splitlines())
    assert hybrid.get(b"\xff\x00") == b"\x80 binary" and hybrid.pfcount("log:log") == 2


def test_commands_create_the_same_keys_on_any_server(hybrid: HybridRedis, server_pool: Pool) -> None:
    commands = exported(hybrid, form=Format.RESP)
    before = exported(hybrid)
    hybrid.flushall()
    assert resp_lines(hybrid, io.BytesIO(commands)) > 10
    assert sorted(exported(hybrid).splitlines()) == sorted(before.splitlines())


@pytest.mark.parametrize(
    ("conflict", "result", "value"),
    [
        (Conflict.SKIP, ImportResult(created=1, skipped=2), b"old"),
        (Conflict.OVERWRITE, ImportResult(created=1, overwritten=2), b"new"),
        (Conflict.LONGER_TTL, ImportResult(created=1, overwritten=1, skipped=1), b"old"),
    ],
)
def test_the_rule_for_keys_that_are_there(
    conflict: Conflict, result: ImportResult, value: bytes, hybrid: HybridRedis
) -> None:
    lines = [
        json_line(b"text", KeyState("string", FAR_MS, String(b"new"))),
        json_line(b"volatile", KeyState("string", FAR_MS + 5000, String(b"longer"))),
        json_line(b"fresh", KeyState("string", None, String(b"v"))),
        json_line(b"over", KeyState("string", int(time.time() * 1000) - 1000, String(b"v"))),
    ]
    hybrid.set("text", "old")
    preview = import_keys(hybrid, lines, conflict=conflict, preview=True)
    assert hybrid.get("text") == b"old" and not hybrid.exists("fresh")
    done = import_keys(hybrid, lines, conflict=conflict)
    assert (preview.created, preview.overwritten, preview.skipped, preview.expired) == (
        done.created,
        done.overwritten,
        done.skipped,
        1,
    )
    assert (done.created, done.overwritten, done.skipped) == (result.created, result.overwritten, result.skipped)
    assert hybrid.get("text") == value and hybrid.get("fresh") == b"v" and not hybrid.exists("over")
    assert undo_sync(hybrid, done.undo).ending is SyncEnding.FINISHED
    assert hybrid.get("text") == b"old" and hybrid.get("volatile") == b"v" and not hybrid.exists("fresh")


def test_an_import_that_is_cut_off_can_be_taken_back(hybrid: HybridRedis) -> None:
    lines = [json_line(b"i:%d" % number, KeyState("string", None, String(b"new"))) for number in range(300)]
    hybrid.set("i:1", "old")
    told: list[ImportResult] = []

    def cut_off(result: ImportResult) -> None:
        told.append(result)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        import_keys(hybrid, lines, conflict=Conflict.OVERWRITE, on_progress=cut_off)
    assert (told[0].created, told[0].overwritten) == (199, 1) and hybrid.exists("i:0", "i:250") == 1
    undone = undo_sync(hybrid, told[0].undo)
    assert (undone.copied, undone.deleted) == (1, 199)
    assert hybrid.get("i:1") == b"old" and not hybrid.exists("i:0")


@pytest.mark.parametrize(
    "line", ["{}", "no json", b"\xff\xfe{", '{"key":"k","type":"string","expires_at_ms":"1","value":"v"}', '{"key":1}']
)
def test_a_line_that_is_no_key_is_named(line: str | bytes, hybrid: HybridRedis) -> None:
    with pytest.raises(ConfigurationError, match=r"^line 3: not a key"):
        import_keys(hybrid, [json_line(b"k", KeyState("string", None, String(b"v"))), "", line])


def test_a_line_that_is_no_json_has_one_number(hybrid: HybridRedis) -> None:
    """JSON's own "line 1" stood beside the line of the file."""
    with pytest.raises(ConfigurationError) as caught:
        import_keys(hybrid, ["", "{oops"])
    assert "line 2: " in str(caught.value) and "line 1" not in str(caught.value) and "at column 2" in str(caught.value)


def test_hybrids_own_keys_can_neither_be_imported_nor_exported(hybrid: HybridRedis) -> None:
    with pytest.raises(ConfigurationError, match=r"^line 1: keys that begin .* hybrid's own: hybrid:"):
        import_keys(hybrid, [json_line(b"hybrid:authority", KeyState("string", None, String(b"cloud 9")))])
    assert b"hybrid:" not in exported(hybrid)
    with pytest.raises(ConfigurationError, match="there already"):
        import_keys(hybrid, exported(hybrid).splitlines(), conflict=Conflict.FAIL)


@pytest.mark.parametrize("content", [b"GET k\r\n", b"*1\r\n:5\r\n", b"*2\r\n$3\r\nDEL\r\n$1\r\n"])
def test_a_file_that_holds_no_commands(content: bytes, hybrid: HybridRedis) -> None:
    with pytest.raises(ConfigurationError):
        resp_lines(hybrid, io.BytesIO(content))


def test_what_is_listed_and_exported_can_be_chosen(hybrid: HybridRedis) -> None:
    assert sorted(listed_keys(hybrid, Scope(b"l*"))) == [b"list", b"log:log"]
    assert sorted(listed_keys(hybrid, Scope(kind="zset"), store=Store.CLOUD)) == [b"zset"]
    assert len(exported(hybrid, Scope(keys=(b"text", b"none", b"text"))).splitlines()) == 1


def test_selected_keys_are_copied_from_one_store_to_the_other(hybrid: HybridRedis, pair: Stores) -> None:
    assert hybrid.wait_in_sync(10)
    with client(pair.cloud.url) as cloud:
        for key in ("text", "hash", "extra"):
            cloud.set(key, "cloud")
    result = copy_keys(hybrid, [b"text", b"extra", b"list"], Direction.CLOUD_TO_LOCAL)
    assert (result.copied, result.ending) == (2, SyncEnding.FINISHED)
    assert hybrid.get("text") == hybrid.get("extra") == b"cloud"
    assert copy_keys(hybrid, [b"hash"], Direction.LOCAL_TO_CLOUD).copied == 1
    assert hybrid.hget("hash", "a") == b"1"


def test_one_store_alone_is_enough(pair: Stores) -> None:
    with HybridRedis.from_urls(pair.local.url, local_timeout_s=3.0) as alone:
        line = json_line(b"alone", KeyState("string", None, String(b"v")))
        assert import_keys(alone, [line]).created == 1
        assert exported(alone, Scope(b"alone")).decode().strip() == line
        alone.flushall()


blobs = st.binary(max_size=12)
numbers = st.floats(allow_nan=False).map(lambda number: b"%.17g" % number)
states = st.one_of(
    st.builds(KeyState, st.just("string"), st.none() | st.integers(0, FAR_MS), st.builds(String, blobs)),
    st.builds(KeyState, st.just("list"), st.none(), st.builds(List, st.lists(blobs).map(tuple))),
    st.builds(KeyState, st.just("set"), st.none(), st.builds(Set, st.frozensets(blobs))),
    st.builds(KeyState, st.just("zset"), st.none(), st.builds(ZSet, st.dictionaries(blobs, numbers))),
    st.builds(KeyState, st.just("hash"), st.none(), st.builds(Hash, st.dictionaries(blobs, blobs), st.just({}))),
)


@given(blobs, states)
def test_any_key_survives_the_way_through_a_line(key: bytes, state: KeyState) -> None:
    line = json_line(key, state)
    assert "\n" not in line
    assert parsed_line(line) == (key, state)
