from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Pool, Stores, client

from hybrid.cli import main

Run = Callable[..., int]


@pytest.fixture
def pair(server_pool: Pool) -> Stores:
    stores = Stores(server_pool.get("valkey", "local"), server_pool.get("valkey", "cloud"))
    for store in (stores.local, stores.cloud):
        with client(store.url) as plain:
            plain.mset({"app:1": "a", "app:2": "b", "other": "c"})
            plain.hset("app:h", mapping={"f": "1", "g": "2"})
    return stores


@pytest.fixture
def diff(pair: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    monkeypatch.setenv("REDIS_URL", pair.local.url)
    monkeypatch.setenv("UPSTASH_REDIS_URL", pair.cloud.url)
    return lambda *words: main(["diff", "--env-file", "/dev/null", "--folder", str(tmp_path), *words])


def test_equal_stores_are_exit_code_0(diff: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff() == 0
    assert "4 keys compared, 0 differ" in capsys.readouterr().out


def test_differences_are_exit_code_1_and_written_where_asked(
    diff: Run, pair: Stores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with client(pair.cloud.url) as cloud:
        cloud.set("app:1", "x")
        cloud.hset("app:h", "g", "3")
        cloud.delete("other")
    assert diff("app:*", "--json", "--csv", str(tmp_path / "found.csv")) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["counts"], document["ending"]) == ({"value": 2}, "finished")
    assert [row["key"] for row in document["differences"]] == ["app:1", "app:h"]
    assert (tmp_path / "found.csv").read_text().count("\n") == 3

    assert diff("--field", "app:h") == 1
    assert "g     2      3" in capsys.readouterr().out
    assert diff("--field", "app:2") == 0

    with client(pair.local.url) as local:
        local.set(b"app:\xff", "binary")
    assert diff("--field", os.fsdecode(b"app:\xff")) == 1

    listed = tmp_path / "keys"
    listed.write_text("other\napp:2\n")
    assert diff("--keys-from", str(listed)) == 1
    assert "1 only local" in capsys.readouterr().out
    assert diff("--type", "hash") == 1

    capsys.readouterr()
    assert diff("--history", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


def test_the_estimate_and_the_budget(diff: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert diff("--estimate", "--json") == 0
    assert json.loads(capsys.readouterr().out)["keys"] == 4
    assert diff("--max-commands", "3") == 2
    assert "budget used up; go on with --resume" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--resume", "nothing"], "no diff"),
        (["--keys-from", "/nowhere"], "/nowhere"),
        (["--csv", "/nowhere/found.csv"], "/nowhere"),
        (["a*", "--keys-from", "/dev/null"], "PATTERN"),
        (["--field", "nobody"], "neither store has the key 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_exit_code_2(
    diff: Run, words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert diff(*words) == 2
    assert named in capsys.readouterr().err


def test_a_store_that_does_not_answer_is_exit_code_2_without_its_password(
    diff: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_URL", "redis://user:hunter2@127.0.0.1:1")
    assert diff() == 2
    assert "hunter2" not in (error := capsys.readouterr().err) and "could not be compared" in error
