"""`hybrid alerts` as its users run it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from receivers import HttpReceiver
from servers import Pool

from hybrid.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    opened = HttpReceiver()
    yield opened
    opened.close()


@pytest.fixture
def run(
    server_pool: Pool,
    receiver: HttpReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run one command; the result is its exit code, output and errors."""
    for name in ("REDIS_URL", "UPSTASH_REDIS_URL", "HYBRID_ALERT_URLS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    env_file = tmp_path / ".env"
    env_file.write_text(
        f"REDIS_URL={server_pool.get('valkey', 'local').url}\nHYBRID_ALERT_URLS={receiver.url} json://127.0.0.1:1/s3cret\n"
    )

    def run_(*words: str) -> tuple[int, str, str]:
        code = main(["alerts", *words, "--env-file", str(env_file)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_


def test_rules_are_changed_and_reset(run: Run) -> None:
    code, out, _ = run("set", "lag", "threshold=60", "severity=critical")
    assert (code, out.split()[:4]) == (0, ["lag", "yes", "critical", "above"])
    found = {rule["name"]: rule for rule in json.loads(run("rules", "--json")[1])}
    assert (found["lag"]["threshold"], found["lag"]["severity"]) == (60.0, "critical")
    run("set", "lag")
    run("summary", "08:15")
    out = run("rules")[1]
    assert "above 30 s for 10 s" in out
    assert "daily summary: at 08:15 UTC" in out
    for words, said in (
        (("set", "lag", "threshold=much"), "must be a number"),
        (("set", "lag", "threshold"), "NAME=VALUE"),
        (("set", "dark", "threshold=1"), "there is no rule"),
        (("summary", "25:00"), "HH:MM"),
        (("ack", "zz"), "there is no incident"),
        (("maintenance", "--at", "soon", "--for", "1h"), "--at must be a time"),
    ):
        code, _, err = run(*words)
        assert code == 2 and said in err, words


def test_silence_and_maintenance_until_they_are_ended(run: Run) -> None:
    silence = json.loads(run("silence", "lag", "memory", "--for", "10m", "--store", "cloud", "--json")[1])
    planned = run("maintenance", "--at", "2999-01-01T22:00", "--for", "1h")[1]
    assert "from 2999-01-01 22:00:00Z until 2999-01-01 23:00:00Z" in planned
    assert "lag, memory on cloud" in run("quiets")[1]
    assert run("end", silence["id"][:4])[0] == 0
    assert "lag" not in run("quiets")[1]


def test_a_test_alert_says_who_took_it(run: Run, receiver: HttpReceiver) -> None:
    assert run("list") == (0, "nothing fires, and nothing did\n", "")
    code, out, _ = run("test")
    assert code == 1
    taken, failed = (line.split(maxsplit=1)[1] for line in out.splitlines())
    assert taken == "sent"
    assert failed.startswith("failed: ") and "onnection error" in failed
    assert receiver.titles() == ["[TEST] Test alert"]
    code, out, _ = run("deliveries")
    assert code == 1
    assert "given up" in out and "[TEST]" in out
    assert "s3cret" not in out
