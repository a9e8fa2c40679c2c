"""JSON documents in the engine behind the panel and the commands: shown, edited, compared, synced, exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import Pool, Stores

from hybrid import HybridRedis
from hybrid.core.drift import Cause, Difference
from hybrid.core.syncplan import Direction, Policy, Prefer
from hybrid.errors import HybridError
from hybrid.ops.compare import compare
from hybrid.ops.diff import DiffOptions, run_diff
from hybrid.ops.keys import Badge, Filter, Lines, Walk, badge_rows, edits, put_back, quick_rows
from hybrid.ops.keys.edit import Reached, apply_edit
from hybrid.ops.keys.elements import read_document
from hybrid.ops.sync.run import apply_plan, plan_sync, undo_sync
from hybrid.ops.transfer import export_keys, import_keys
from hybrid.types import Store

BOTH = tuple(Store)
QUICK = DiffOptions(pause_s=0.01)


@pytest.fixture(scope="module")
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("redis-7.4", "local"), server_pool.get("redis-7.4", "cloud"))


@pytest.fixture
def found(sides: dict[Store, Any], tmp_path: Path) -> Callable[[], list[Difference]]:
    def differences() -> list[Difference]:
        with run_diff(*sides.values(), tmp_path, options=QUICK) as file:
            return list(file.differences())

    return differences


def badge(lines: Lines) -> Badge:
    [row] = badge_rows(lines, BOTH, quick_rows(lines, BOTH, (b"doc",)))
    assert row.kind == "json"
    return row.badge


def test_a_document_is_created_shown_edited_and_taken_back(hybrid: HybridRedis, lines: Lines) -> None:
    created = apply_edit(hybrid, edits.create_key(b"doc", "json", [b'{"a":1}'], expires_in_ms=3_600_000))
    assert created.stores == dict.fromkeys(Store, Reached.WRITTEN)
    assert read_document(lines, BOTH, b"doc") == dict.fromkeys(Store, b'{"a":1}')
    done = apply_edit(hybrid, edits.set_document(b"doc", b'{"a":1}', b'{"a":2,"b":[]}'))
    assert read_document(lines, BOTH, b"doc") == dict.fromkeys(Store, b'{"a":2,"b":[]}')
    with pytest.raises(HybridError, match="nothing was changed"):
        apply_edit(hybrid, edits.set_document(b"doc", b'{"a":1}', b"{}"))
    assert badge(lines) is Badge.EQUAL
    assert done.undo is not None
    put_back(hybrid, done.undo)
    assert read_document(lines, BOTH, b"doc") == dict.fromkeys(Store, b'{"a":1}')
    apply_edit(hybrid, edits.delete_key(b"doc", "json"))
    assert read_document(lines, BOTH, b"doc") == {}


def test_documents_are_found_by_their_type(hybrid: HybridRedis, lines: Lines) -> None:
    hybrid.json().set("doc", "$", {})
    hybrid.set("string", 1)
    assert hybrid.wait_in_sync(10)
    walk = Walk(Filter(kind="json"))
    while not walk.ended:
        walk.fill(lines, BOTH, 100, deadline_s=10)
    assert walk.names == [b"doc"]


def test_order_and_blanks_are_no_difference_and_content_is(
    lines: Lines, sides: dict[Store, Any], found: Callable[[], list[Difference]]
) -> None:
    sides[Store.LOCAL].execute_command("JSON.SET", "doc", "$", '{"a":1,"b":[1, 2]}')
    sides[Store.CLOUD].execute_command("JSON.SET", "doc", "$", '{"b":[1,2],"a":1}')
    assert found() == []
    assert badge(lines) is Badge.EQUAL
    sides[Store.CLOUD].execute_command("JSON.SET", "doc", "$.b[0]", "7")
    assert [(difference.key, difference.cause) for difference in found()] == [(b"doc", Cause.VALUE)]
    assert badge(lines) is Badge.DIFFERS


@pytest.mark.parametrize("prefer", [Prefer.LOCAL, Prefer.CLOUD])
def test_a_sync_makes_documents_equal_and_is_undone(
    hybrid: HybridRedis, sides: dict[Store, Any], found: Callable[[], list[Difference]], prefer: Prefer
) -> None:
    for store, side in sides.items():
        side.execute_command("JSON.SET", "doc", "$", f'{{"from":"{store}"}}')
        side.execute_command("JSON.SET", f"only:{store}", "$", "[1]")
    differences = found()
    plan = plan_sync(hybrid, lambda: differences, Policy(Direction.MERGE, prefer))
    apply_plan(hybrid, plan, confirmed=plan.confirmation)
    assert hybrid.wait_in_sync(10)
    assert compare(sides[Store.LOCAL], sides[Store.CLOUD]).identical
    assert hybrid.json().get("doc") == {"from": str(prefer)}
    undo_sync(hybrid)
    assert {difference.key for difference in found()} == {difference.key for difference in differences}


def test_documents_are_exported_and_imported(hybrid: HybridRedis, tmp_path: Path) -> None:
    hybrid.json().set("doc", "$", {"text": "é", "list": [1, None]})
    file = tmp_path / "keys.jsonl"
    with file.open("wb") as out:
        assert export_keys(hybrid, out) == 1
    hybrid.flushall()
    with file.open("rb") as source:
        import_keys(hybrid, source)
    assert hybrid.json().get("doc") == {"text": "é", "list": [1, None]}
    assert hybrid.wait_in_sync(10)
