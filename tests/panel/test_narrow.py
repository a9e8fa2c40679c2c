"""What keeps a page from scrolling sideways on a phone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def rows(tree: ast.AST) -> Iterator[ast.With]:
    """The `with` blocks whose content stands side by side."""
    for node in ast.walk(tree):
        calls = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
        if any("horizontal=True" in ast.unparse(call) for call in calls):
            assert isinstance(node, ast.With)
            yield node


def test_a_switch_in_a_row_wraps_on_a_narrow_screen() -> None:
    """In a row Streamlit keeps it in one line, and the page scrolls sideways where that is too long."""
    scripts = [path for folder in ("panel", "pages") for path in (ROOT / folder).rglob("*.py")]
    switches = {
        f"{path.name}:{call.lineno}": ast.unparse(call)
        for path in scripts
        for row in rows(ast.parse(path.read_text()))
        for call in ast.walk(row)
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".segmented_control")
    }
    assert len(switches) > 5
    assert [place for place, call in switches.items() if "wrap=True" not in call] == []
