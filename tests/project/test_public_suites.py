"""A part of redis-py's own suites, with HybridRedis in the place of its clients. All of them: docs/development.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.public_suites.__main__ import CACHE, needs_of
from scripts.public_suites.expected import EXPECTED
from scripts.public_suites.suites import SUITES

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "redis-py": ("tests/test_encoding.py", "tests/test_function.py", "tests/test_scripting.py"),
    "redis-py-asyncio": ("tests/test_asyncio/test_encoding.py", "tests/test_asyncio/test_scripting.py"),
}


def folder_of(name: str) -> Path:
    """Where the suite was unpacked."""
    suite = SUITES[name]
    folder = CACHE / suite.name
    if not folder.exists() or (suite.needs and not needs_of(suite).exists()):
        pytest.skip(f"the suite is not there; `python -m scripts.public_suites {name}` fetches it")
    return folder


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_redis_pys_suite(name: str) -> None:
    folder_of(name)
    command = [sys.executable, "-m", "scripts.public_suites", name, *PARTS[name]]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed and int(passed[1]) > 5


@pytest.mark.parametrize("name", SUITES)
def test_every_test_that_is_listed_is_there(name: str) -> None:
    text = "\n".join(path.read_text() for path in folder_of(name).glob("**/*.py"))
    listed = [node.partition("[")[0].split("::")[-1] for nodes in EXPECTED[name].values() for node in nodes]
    assert [test for test in listed if f"def {test}(" not in text] == []
