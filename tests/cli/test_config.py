"""`hybrid config` as its users run it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Pool, wait_until

from hybrid.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(server_pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run one command; the result is its exit code, output and errors."""
    for name in ("REDIS_URL", "UPSTASH_REDIS_URL", "REDIS_WRITE_ACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    env_file = tmp_path / ".env"
    env_file.write_text(f"REDIS_URL={server_pool.get('valkey', 'local').url}\nREDIS_WRITE_ACK=both # safe\n")

    def run_(*words: str) -> tuple[int, str, str]:
        code = main(["config", *words, "--env-file", str(env_file)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_


def test_a_change_from_set_to_history(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("set", "REDIS_WRITE_ACK=local", "--author", "ana", "--expect", "0", "--write-env")
    assert (code, out.splitlines()[:2]) == (0, ["ack: not set -> local", "in force in every process: version 1"])
    assert "-REDIS_WRITE_ACK=both # safe\n+REDIS_WRITE_ACK=local # safe" in out
    assert (tmp_path / ".env").read_text().endswith("\nREDIS_WRITE_ACK=local # safe\n")

    code, out, _ = run("show", "--json")
    shown = json.loads(out)
    assert (shown["version"], shown["author"]) == (1, "ana")
    assert shown["settings"]["ack"] == {"value": "local", "source": "live", "until_s": None}

    code, out, err = run("set", "ack=both", "--expect", "0")
    assert (code, out) == (2, "")
    assert "ana changed ack (version 1)" in err

    run("override", "read_preference=cloud", "--for", "30m", "--author", "bob")
    assert "override until" in run("show")[1]
    run("revert", "--author", "bob")
    code, out, _ = run("history", "--json", "--limit", "2")
    assert [(line["author"], line["what"]) for line in json.loads(out)] == [
        ("bob", "override ended"),
        ("bob", "override"),
    ]
    run("set", "write_both=false")
    assert "made equal first" in run("set", "write_both=")[1]
    # A process reports itself in the background: the first look may come too soon.
    wait_until(lambda: any(line.startswith("hybrid config") for line in run("processes")[1].splitlines()), "itself")


@pytest.mark.parametrize("words", [("set", "ack"), ("set", "colour=blue"), ("set", "ack=moon"), ("set", "name=x")])
def test_nonsense_is_one_line_and_exit_code_2(run: Run, words: tuple[str, ...]) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("hybrid: ") and err.count("\n") == 1


def test_a_length_of_time_that_is_none(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run("override", "ack=local", "--for", "soon")
    assert end.value.code == 2
    assert "30m" in capsys.readouterr().err
