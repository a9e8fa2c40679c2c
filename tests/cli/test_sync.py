"""`sync` and `keys` as their users run them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import Pool, Stores, client

from hybrid.cli import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def pair(server_pool: Pool) -> Stores:
    return Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))


@pytest.fixture
def stores(pair: Stores) -> Iterator[tuple[redis.Redis, redis.Redis]]:
    with client(pair.local.url) as local, client(pair.cloud.url) as cloud:
        for store in (local, cloud):
            store.set("hybrid:identity", "mark")
            store.mset({f"same:{i}": i for i in range(30)})
        yield local, cloud


@pytest.fixture
def call(pair: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run one command in this process: `call("sync", ...)` gives its exit code, output and errors."""
    env_file = tmp_path / "test.env"
    settings = {"REDIS_URL": pair.local.url, "UPSTASH_REDIS_URL": pair.cloud.url, "REDIS_SYNC_ENABLED": "false"}
    settings |= {"REDIS_LOCAL_TIMEOUT": "3", "REDIS_CLOUD_TIMEOUT": "3"}
    env_file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    for name in settings:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)

    def called(*arguments: str) -> tuple[int, str, str]:
        name, *rest = arguments
        code = main([name, "--env-file", str(env_file), "--folder", str(tmp_path / "folder"), *rest])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return called


def test_a_sync_from_plan_to_undo(call: Call, stores: tuple[redis.Redis, redis.Redis]) -> None:
    local, cloud = stores
    cloud.set("same:1", "from elsewhere")
    cloud.set("only:cloud", "v")
    local.set("only:local", "v")
    code, output, errors = call("sync", "--direction", "cloud-to-local", "--dry-run")
    assert (code, errors) == (1, "") and "local: 2 keys to copy there, 0 to delete" in output
    assert local.get("same:1") == b"1"
    code, output, _ = call("sync", "--direction", "cloud-to-local")
    assert code == 0 and "2 copied" in output and "1 extra keys kept" in output
    assert local.get("same:1") == b"from elsewhere" and local.exists("only:cloud", "only:local") == 2
    code, output, errors = call("sync", "--direction", "cloud-to-local", "--delete-extras")
    assert code == 2 and "1 keys would be deleted" in errors and local.exists("only:local")
    assert call("sync", "--direction", "cloud-to-local", "--delete-extras", "--yes")[0] == 0
    assert not local.exists("only:local")
    code, output, _ = call("sync", "history", "--json")
    last, first = json.loads(output)
    assert (last["deleted"], first["copied"]) == (1, 2)
    assert call("sync", "undo")[0] == 0 and local.exists("only:local")
    assert call("sync", "undo")[0] == 0 and local.get("same:1") == b"1", "undoing again goes back further"
    assert first["id"] in call("sync", "history")[1]


def test_a_budget_that_the_comparison_uses_up_is_told(call: Call, stores: tuple[redis.Redis, redis.Redis]) -> None:
    _, cloud = stores
    cloud.set("same:1", "from elsewhere")
    code, output, _ = call("sync", "--direction", "cloud-to-local", "--max-commands", "3")
    assert code == 1
    name = output.partition("diff --resume ")[2].partition(",")[0]
    assert call("diff", "--resume", name)[0] == 1
    code, _, errors = call("sync", "--direction", "cloud-to-local", "--diff", name, "--max-commands", "49")
    assert code == 2 and f"go on with sync --diff {name}" in errors
    assert call("sync", "--direction", "cloud-to-local", "--diff", name)[0] == 0


def test_nothing_is_compared_where_there_was_nothing(
    call: Call, stores: tuple[redis.Redis, redis.Redis], tmp_path: Path
) -> None:
    local, cloud = stores
    local.mset({f"new:{i}": i for i in range(400)})
    code, output, _ = call("sync", "new:*", "--direction", "local-to-cloud", "--json")
    assert (code, json.loads(output)["copied"]) == (0, 400) and cloud.get("new:399") == b"399"
    assert not (tmp_path / "folder" / "diffs").exists()


def test_much_deleting_takes_words(call: Call, stores: tuple[redis.Redis, redis.Redis]) -> None:
    local, cloud = stores
    cloud.mset({f"extra:{i}": i for i in range(20)})
    command = ("sync", "extra:*", "--direction", "local-to-cloud", "--delete-extras")
    code, _, errors = call(*command, "--yes")
    assert code == 2 and "delete 20 on cloud" in errors and cloud.exists("extra:1")
    assert call(*command, "--confirm", "delete 20 on cloud")[0] == 0
    assert not cloud.exists("extra:1") and local.exists("same:1")


def test_many_keys_are_renamed_expire_and_are_deleted_with_undo(
    call: Call, stores: tuple[redis.Redis, redis.Redis]
) -> None:
    local, cloud = stores

    def keys(pattern: str) -> list[int]:
        return [len(store.keys(pattern)) for store in (local, cloud)]

    renaming = ("keys", "rename", "same:", "other:", "same:1?")
    assert call(*renaming, "--dry-run")[:2] == (0, "10 keys would be renamed\n") and keys("other:*") == [0, 0]
    code, _, errors = call(*renaming)
    assert code == 2 and "10 keys would be renamed on both stores. Say --yes" in errors and keys("other:*") == [0, 0]
    code, output, _ = call(*renaming, "--yes")
    assert code == 0 and "10 renamed" in output and keys("other:1?") == [10, 10] and keys("same:1?") == [0, 0]
    undo = output.partition("python -m hybrid ")[2].split()
    assert call(*undo)[0] == 0 and keys("same:1?") == [10, 10] and keys("other:*") == [0, 0]

    local.set("taken:1", "v")
    code, output, _ = call("keys", "rename", "same:1", "taken:1", "same:1", "--yes")
    assert code == 1 and "0 renamed" in output and "1 left alone" in output and local.get("taken:1") == b"v"

    assert call("keys", "expire", "3600", "same:2?", "--yes")[0] == 0
    assert 3500 < local.ttl("same:20") <= 3600 and 3500 < cloud.ttl("same:29") <= 3600
    assert call("keys", "expire", "never", "same:20", "--yes")[0] == 0
    assert (local.ttl("same:20"), cloud.ttl("same:20")) == (-1, -1)

    code, output, _ = call("keys", "delete", "same:2?", "--yes", "--json")
    done = json.loads(output)
    assert (code, done["deleted"], keys("same:2?")) == (0, 10, [0, 0])
    assert call("sync", "undo", done["id"], "--both")[0] == 0 and keys("same:2?") == [10, 10]
    assert call("keys", "delete", "none:*", "--yes")[:2] == (0, "0 keys would be deleted\n")


@pytest.mark.parametrize("words", [("sync",), ("sync", "a", "b", "--direction", "merge"), ("sync", "undo")])
def test_what_makes_no_sense_is_said(words: tuple[str, ...], call: Call, stores: object) -> None:
    code, output, errors = call(*words)
    assert (code, output) == (2, "") and errors.startswith("hybrid: ") and errors.count("\n") == 1


def test_keys_out_and_in(call: Call, stores: tuple[redis.Redis, redis.Redis], tmp_path: Path) -> None:
    local, cloud = stores
    file = str(tmp_path / "keys.jsonl")
    assert call("keys", "list", "same:1*", "--limit", "100")[1].split() != []
    assert call("keys", "export", "same:1?", "--output", file)[:2] == (0, f"10 keys written to {file}\n")
    local.set("same:10", "changed")
    local.delete("same:11")
    assert "would be 1 created, 0 overwritten, 9 skipped" in call("keys", "import", file, "--dry-run")[1]
    done: dict[str, Any] = json.loads(call("keys", "import", file, "--conflict", "overwrite", "--json")[1])
    assert (done["created"], done["overwritten"]) == (1, 9)
    assert local.get("same:10") == b"10" and local.get("same:11") == b"11"
    code, output, _ = call("keys", "get", "same:1", "--json")
    assert code == 0 and json.loads(output)["cloud"]["value"] == "1"
    assert call("keys", "get", "none")[0] == 1
    cloud.set("same:2", "cloud")
    assert call("keys", "copy", "same:2", "--direction", "cloud-to-local")[0] == 0
    code, _, errors = call("keys", "copy", "none", "--direction", "cloud-to-local")
    assert code == 2 and "the cloud store has none of these keys" in errors
    assert local.get("same:2") == b"cloud"
    commands = str(tmp_path / "keys.resp")
    assert call("keys", "export", "--output", commands, "--format", "resp")[0] == 0
    assert call("keys", "import", commands, "--format", "resp")[1] == "30 commands run\n"
    assert call("keys", "import", str(tmp_path / "none"))[0] == 2
