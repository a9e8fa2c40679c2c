"""A part of redis-py's own suite, with HybridRedis in the place of redis.Redis. All of it: docs/development.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.public_suites.__main__ import CACHE
from scripts.public_suites.expected import EXPECTED
from scripts.public_suites.suites import SUITES

ROOT = Path(__file__).resolve().parents[2]
FOLDER = CACHE / f"redis-{SUITES['redis-py'].version}"
FILES = ("test_encoding.py", "test_function.py", "test_scripting.py")


@pytest.fixture(autouse=True)
def suite() -> None:
    if not FOLDER.exists():
        pytest.skip(
            "redis-py's source distribution is not there; `python -m scripts.public_suites redis-py` fetches it"
        )


def test_a_part_of_redis_pys_suite() -> None:
    command = [sys.executable, "-m", "scripts.public_suites", "redis-py", *(f"tests/{name}" for name in FILES)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed and int(passed[1]) > 20


def test_every_test_that_is_listed_is_there() -> None:
    texts = {path.relative_to(FOLDER / "tests").as_posix(): path.read_text() for path in FOLDER.glob("tests/**/*.py")}
    listed = [node.split("::") for nodes in EXPECTED.values() for node in nodes]
    assert [node for node in listed if f"def {node[-1]}(" not in texts[node[0]]] == []
