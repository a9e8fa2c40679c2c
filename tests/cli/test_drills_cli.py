"""`test --drill`, `--list` and `--history`: what is printed, written and returned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers import Stores

from hybrid.cli import drills, main
from hybrid.core.guarantees import Evidence, judged
from hybrid.ops.drills import DRILLS, DrillReport, Figures, Outcome, Step, StepState, Where

Run = Callable[..., int]
STEP = Step("fault", "Fault", "Cloud hung: noticed", StepState.PASSED, "after 200 ms", 200.0)


@pytest.fixture
def run(tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`python -m hybrid test ...` in this process, on two real stores."""
    for name in ("REDIS_URL", "UPSTASH_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    env_file = tmp_path / "test.env"
    env_file.write_text(f"REDIS_URL={stores.local.url}\nUPSTASH_REDIS_URL={stores.cloud.url}\n")
    return lambda *arguments: main(["test", "--env-file", str(env_file), *arguments])


def endings(monkeypatch: pytest.MonkeyPatch, *outcomes: Outcome) -> list[Any]:
    """Drills that end so at once; what was asked for is in the list."""
    asked: list[Any] = []

    def stub(played: Any, settings: Any, *, where: Any, on_step: Any, on_report: Any, **_: Any) -> list[DrillReport]:
        asked.append(([drill.name for drill in played], where))
        reports = []
        for drill, outcome in zip(played, outcomes, strict=False):
            on_step(drill, STEP)
            findings = judged(Evidence(commands=9, failed=(), longest_stall_s=0.2), ("G1",))
            figures = Figures(rto_s=0.21, rpo_writes=0, commands=9)
            report = DrillReport(drill.name, Where.STORES, 1.0, 5.0, outcome, "why", figures, findings, (STEP,))
            on_report(report)
            reports.append(report)
        return reports

    monkeypatch.setattr(drills, "run_drills", stub)
    return asked


def test_a_drill_prints_steps_verdicts_and_figures_and_is_in_the_history(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = endings(monkeypatch, Outcome.PASSED, Outcome.FAILED)
    page = tmp_path / "drills.md"
    code = run("--drill", "cloud-hung,local-cut", "--on", "servers", "--markdown", str(page))
    output = capsys.readouterr().out
    assert (code, asked) == (1, [(["cloud-hung", "local-cut"], Where.SERVERS)])
    assert "after 200 ms" in output and "✓ G1 kept" in output and "RTO 0.21 s, RPO 0 writes" in output
    assert output.endswith("1 passed, 1 failed\n")
    assert "## Local cut: failed" in page.read_text()
    assert run("--history") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["local-cut", "cloud-hung"]


def test_what_the_local_store_keeps_is_unknown_while_it_is_down(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stores: Stores
) -> None:
    """The cloud store was asked, knew of nothing, and that was told as if no drill had ever been played."""
    endings(monkeypatch, Outcome.PASSED)
    stores.local.kill()
    assert run("--history") == 0
    told = capsys.readouterr()
    assert told.out == "" and "the local store does not answer" in told.err
    run("--drill", "cloud-cut")
    capsys.readouterr()
    assert run("--history", "--json") == 0
    told = capsys.readouterr()
    assert [row["drill"] for row in json.loads(told.out)] == ["cloud-cut"] and "does not answer" in told.err


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([Outcome.PASSED, Outcome.PASSED], 0),
        ([Outcome.PASSED, Outcome.INCONCLUSIVE], 4),
        ([Outcome.FAILED, Outcome.INCONCLUSIVE], 1),
        ([Outcome.PASSED], 1),
        ([Outcome.SKIPPED, Outcome.PASSED], 1),
    ],
)
def test_exit_codes(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outcomes: list[Outcome], code: int
) -> None:
    endings(monkeypatch, *outcomes)
    assert run("--drill", "cloud-cut", "--drill", "local-cut", "--json") == code
    assert json.loads(capsys.readouterr().out)["passed"] is (set(outcomes) == {Outcome.PASSED})


def test_the_list_says_where_each_runs_here(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows) == list(DRILLS)
    assert rows["cloud-hung"]["on"] == "stores" and rows["local-wiped"]["on"] == "servers"


def test_what_cannot_be_played_is_one_line_that_says_why(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--drill", "cloud-hang") == 2
    assert "no drill 'cloud-hang'" in capsys.readouterr().err
    assert run("--drill", "local-wiped", "--on", "stores") == 2
    assert "destroys data" in capsys.readouterr().err
