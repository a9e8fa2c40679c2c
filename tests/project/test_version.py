from __future__ import annotations

import tomllib
from pathlib import Path

from hybrid.version import VERSION

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_the_library_knows_its_version() -> None:
    assert tomllib.loads(PROJECT.read_text())["project"]["version"] == VERSION
