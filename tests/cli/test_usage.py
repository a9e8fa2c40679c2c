from __future__ import annotations

import logging
import signal
from pathlib import Path

import pytest

from hybrid.cli import Interrupt, main

COMMANDS = ("status", "test", "demo", "agent", "diff", "pair", "failover", "failback")


@pytest.fixture(autouse=True)
def no_lasting_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)


@pytest.mark.parametrize("command", [(), *((command,) for command in COMMANDS)], ids=" ".join)
def test_help_explains_itself(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([*command, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "usage: python -m hybrid" in text
    assert command or all(name in text for name in COMMANDS)


@pytest.mark.parametrize(
    "wrong", [[], ["dance"], ["demo", "--rate", "0"], ["demo", "--rate", "fast"], ["status", "--colour"]], ids=" ".join
)
def test_wrong_usage_is_exit_code_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(wrong)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_is_one_line_without_its_secret(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    env_file = tmp_path / "wrong.env"
    env_file.write_text("REDIS_URL=http://user:hunter2@127.0.0.1:1\n")
    assert main([command, "--env-file", str(env_file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("hybrid: REDIS_URL") and captured.err.count("\n") == 1
    assert "hunter2" not in captured.err


def test_a_missing_env_file_that_was_asked_for_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--env-file", "/nowhere/.env"]) == 2
    assert "--env-file" in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_said_before_the_test(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--output", "/nowhere/report.md"]) == 2
    assert "/nowhere" in capsys.readouterr().err


def test_a_wrong_listen_address_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent", "--listen", "moon"]) == 2
    assert "--listen" in capsys.readouterr().err


def test_a_signal_that_comes_as_a_wait_begins_is_heard() -> None:
    """It is handled in the thread that waits, which holds the event's lock for a moment."""
    interrupt = Interrupt()
    stop = interrupt.install()
    try:
        with stop._cond:
            signal.raise_signal(signal.SIGTERM)
        assert stop.wait(20)
    finally:
        interrupt.restore()
    assert interrupt.exit_code is None
