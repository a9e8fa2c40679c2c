"""The benchmarks run from end to end. How fast anything was is not looked at: a test machine has other things to do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.command import PARTS
from benchmarks.table import HEADER, Row, as_json, markdown, plain

ROOT = Path(__file__).resolve().parents[2]
ROWS = {"latency": 9, "throughput": 8, "stalls": 7, "dual": 2}
SLOW = Row("SET", "90 µs", 1.5, "times", "redis-py 60 µs", target=1.3)
QUICK = Row("writes", "10 in 1 s", 6000.0, " / s", target=5000, at_least=True)
SHOWN = Row("stall", "3 calls failed", 2000.0, "ms", beyond=True)


def run(part: str, benchmark: str = "client") -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks", benchmark, "--quick", "--json", "--only", part]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_every_part_completes_with_all_its_rows(part: str) -> None:
    rows = {row["what"]: row for row in run(part)["rows"]}
    assert len(rows) == ROWS[part]
    assert all(row["result"] >= 0 or row["unit"] == "more ms" for row in rows.values())
    if part == "dual":
        assert rows["two writers, HybridRedis: keys that differ afterwards"]["result"] == 0


@pytest.mark.slow
def test_the_asyncio_client_is_measured_beside_its_sister() -> None:
    rows = run("aio", "aio")["rows"]
    assert len(rows) == 8
    assert all(row["result"] > 0 for row in rows)


@pytest.mark.slow
def test_processes_go_on_while_a_store_is_lost_and_returns() -> None:
    rows = {row["what"]: row["result"] for row in run("crowd", "crowd")["rows"]}
    assert len(rows) == 10 and all(took_ms > 0 for what, took_ms in rows.items() if what.startswith("longest call"))
    assert rows["keys that differ afterwards"] == 0


@pytest.mark.slow
def test_what_watching_costs_is_measured() -> None:
    rows = run("metrics", "metrics")["rows"]
    assert [row["unit"] for row in rows] == ["µs", "ms"]
    assert all(row["result"] > 0 for row in rows)


def test_verdicts() -> None:
    assert [row.verdict for row in (SLOW, QUICK, SHOWN)] == ["MISSED", "met", "shown"]
    assert Row("stall", "", 10.0, "ms", target=250, beyond=True).verdict == "MISSED", "cut off is not recovered"


def test_the_same_rows_in_every_form() -> None:
    rows = (SLOW, QUICK, SHOWN)
    text, table = plain(rows, ["a fact"]), markdown(rows, ["a fact"])
    for row in rows:
        cells = [cell for cell in row.cells if cell]
        assert all(cell in text and cell in table for cell in cells)
    assert {line.count("|") for line in table.splitlines() if line.startswith("|")} == {len(HEADER) + 1}
    assert [row["met"] for row in json.loads(as_json(rows, []))["rows"]] == [False, True, None]


def test_the_paper_shows_the_table_of_a_whole_run() -> None:
    paper = (ROOT / "docs" / "performance.md").read_text()
    assert paper.count("\n| " + " | ".join(HEADER) + " |") == 1
    assert len(re.findall(r"\| (?:met|MISSED|shown) \|$", paper, re.M)) == sum(ROWS.values())
