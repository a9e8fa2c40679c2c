"""The commands that change something, as an operator runs them: nothing without consent, exit codes, JSON."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from servers import Stores, client

from hybrid import Store
from hybrid.cli import main
from hybrid.core.conflict import Conflict, Side
from hybrid.core.resp import pack

pytestmark = pytest.mark.parametrize("stores", ["valkey"], indirect=True)


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]
ARCHIVE = "hybrid:conflicts"


class Typed(io.StringIO):
    """What an operator types at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def hybrid(tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`python -m hybrid ...` on two real servers, in this process."""
    env_file = tmp_path / "test.env"
    env_file.write_text(
        f"REDIS_URL={stores.local.url}\nUPSTASH_REDIS_URL={stores.cloud.url}\n"
        "REDIS_LOCAL_TIMEOUT=2\nREDIS_CLOUD_TIMEOUT=2\n"
    )
    for name in [name for name in os.environ if "REDIS" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)

    def run(command: str, *arguments: str, typed: str | None = None) -> Ended:
        monkeypatch.setattr("sys.stdin", io.StringIO() if typed is None else Typed(typed))
        code = main([command, "--env-file", str(env_file), *arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run


def test_failover_and_failback(hybrid: Run, stores: Stores) -> None:
    asked = hybrid("failover")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr and asked.stdout.startswith("now: the local store takes writes")
    moved = hybrid("failover", "--yes", "--json")
    assert (moved.returncode, moved.stderr) == (0, "")
    assert json.loads(moved.stdout)["authority"] == "cloud"
    with client(stores.cloud.url) as cloud:
        assert cloud.get("hybrid:authority").endswith(b" held")
    assert hybrid("failback", typed="yes\n").returncode == 2, "the word itself is asked for"
    back = hybrid("failback", typed="failback\n")
    assert back.returncode == 0
    assert back.stdout.splitlines()[-1].startswith("the local store takes writes since epoch")


def test_pair(hybrid: Run, stores: Stores) -> None:
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        local.mset({"k": "local", "mine": 1})
        cloud.mset({"k": "cloud", "theirs": 1})
        shown = hybrid("pair")
        assert (shown.returncode, shown.stderr) == (1, "")
        assert "1 keys are copied to the cloud store, 1 are overwritten there, and 1 that only it has are DELETED" in (
            shown.stdout
        )
        refused = hybrid("pair", "--from", "local")
        assert refused.returncode == 2 and "--yes" in refused.stderr
        assert cloud.get("k") == b"cloud"
        done = hybrid("pair", "--from", "merge", "--prefer", "cloud", "--yes", "--json")
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["in_sync"] is True
        assert local.mget("k", "mine", "theirs") == cloud.mget("k", "mine", "theirs") == [b"cloud", b"1", b"1"]
        again = hybrid("pair", "--from", "local", "--yes")
        assert (again.returncode, again.stderr) == (0, "")
        assert "one pair already" in again.stdout


def test_conflicts(hybrid: Run, stores: Stores) -> None:
    empty = hybrid("conflicts", "list")
    assert (empty.returncode, empty.stdout) == (0, "no conflicts\n")
    with client(stores.local.url) as local, client(stores.cloud.url) as cloud:
        for store in (local, cloud):
            store.set("k", "kept")
            for number in range(3):
                store.xadd(ARCHIVE, dict(pairs(conflict("k", "lost", "kept"))), id=f"{number + 1}-1")
        shown = hybrid("conflicts", "show", "1-1")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "SET k lost" in shown.stdout and "the kept value is live" in shown.stdout
        assert json.loads(hybrid("conflicts", "list", "--json").stdout)["total"] == 3
        assert hybrid("conflicts", "restore", "1-1").returncode == 2, "nobody agreed"
        restored = hybrid("conflicts", "restore", "1-1", "--yes")
        assert (restored.returncode, restored.stderr) == (0, "")
        assert local.get("k") == cloud.get("k") == b"lost"
        changed = hybrid("conflicts", "keep", "2-1", "--yes")
        assert changed.returncode == 1 and "written since" in changed.stderr
        assert hybrid("conflicts", "discard", "2-1", "3-1", "--yes").stdout == "2 discarded\n"
        assert hybrid("conflicts", "show", "2-1").returncode == 1
        [(_, left)] = local.xrange(ARCHIVE)
        assert local.xrange(ARCHIVE) == cloud.xrange(ARCHIVE)
        assert left[b"restore"] == pack(("SET", "k", "kept")), "what was replaced took its place"
        assert hybrid("conflicts", "discard").returncode == 2
        assert hybrid("conflicts", "discard", "--all", "--yes").stdout == "1 discarded\n"


def conflict(key: str, lost: str, kept: str) -> Conflict:
    sides = [Side(store, pack(("SET", key, value))) for store, value in zip(Store, (lost, kept), strict=True)]
    return Conflict("", key.encode(), *sides, why="test")


def pairs(conflict: Conflict) -> list[tuple[bytes | str, bytes | str]]:
    return list(zip(conflict.fields[::2], conflict.fields[1::2], strict=True))
