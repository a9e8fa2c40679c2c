"""Pages import only the panel; the panel touches the library in its queries and actions, and where it starts."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_USE_THE_LIBRARY = {"access.py", "process.py", "queries.py", "work.py"}


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "pages").rglob("*.py")), ids=lambda path: path.name)
def test_pages_import_only_the_panel(path: Path) -> None:
    assert not imported(path) & {"hybrid", "redis", "starlette"}


@pytest.mark.parametrize("path", [*sorted((ROOT / "panel").rglob("*.py")), ROOT / "app.py"], ids=str)
def test_panel_touches_the_library_in_few_files(path: Path) -> None:
    assert ("hybrid" in imported(path)) <= (path.name in MAY_USE_THE_LIBRARY or path.name.endswith("actions.py"))


@pytest.mark.parametrize("path", sorted((ROOT / "panel").rglob("*.py")), ids=str)
def test_panel_asks_no_store_itself(path: Path) -> None:
    """It may know redis-py's errors, to say them."""
    modules = {node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)}
    assert "redis" not in imported(path) or "redis.exceptions" in modules
    assert "redis" not in modules
