"""The benchmark runs from end to end. How fast anything was is not looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from proxy.test_tools import tool

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.alone
@pytest.mark.slow
def test_the_benchmark_completes_without_an_error_reply() -> None:
    tool("redis-benchmark", "redis-tools")
    command = [sys.executable, "-m", "benchmarks", "proxy", "--quick", "--json"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(ran.stdout)["rows"]
    assert len(rows) == 7
    assert rows[-1]["result"] == 0, ran.stderr
    assert all(row["result"] > 0 for row in rows[:-1])
