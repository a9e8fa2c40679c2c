"""The panel in Brazilian Portuguese: complete, compiled, and chosen by the reader."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from hybrid.ops.overview import Overview
from panel import i18n
from scripts import translate

OpenPage = Callable[..., AppTest]


def test_every_text_is_translated_none_is_stale_and_all_is_compiled() -> None:
    texts = translate.extracted()
    problems = [problem for language in translate.TRANSLATED for problem in translate.problems_of(language, texts)]
    assert problems == []


def marked_calls() -> list[tuple[Path, ast.Call]]:
    files = [path for folder in translate.FOLDERS for path in (translate.ROOT / folder).rglob("*.py")]
    calls = ((path, node) for path in files for node in ast.walk(ast.parse(path.read_text())))
    named = {"_", "N_", "ngettext"}
    return [
        (path, node)
        for path, node in calls
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in named
    ]


def test_a_text_inside_another_is_collected_too() -> None:
    """Before Python 3.12 an f-string hides what is inside it from tools that read tokens."""
    inside = """f"**{_('New key')}**: {ngettext('{n} key', '{n} keys', 2)}" + N_("a " "b")"""
    assert list(translate.marked(ast.parse(inside))) == ["New key", ("{n} key", "{n} keys"), "a b"]


def test_no_text_is_put_together_before_it_is_translated() -> None:
    """An f-string inside `_()` is extracted by nobody, and would stay English silently."""
    wrong = [
        f"{path.name}:{call.lineno}"
        for path, call in marked_calls()
        if any(isinstance(part, (ast.JoinedStr, ast.BinOp)) for part in call.args[:2])
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("asked", "code"),
    [("pt_BR", "pt_BR"), ("pt-BR", "pt_BR"), ("pt", "pt_BR"), ("en-GB", "en"), ("ja", None), ("", None), (None, None)],
)
def test_language_that_the_browser_asks_for(asked: str | None, code: str | None) -> None:
    assert i18n._matching(asked) == code


def test_outside_a_session_it_is_english() -> None:
    assert i18n.language() == "en"
    assert i18n._("Settings") == "Settings"
    assert i18n.ngettext("{n} key", "{n} keys", 2).format(n=2) == "2 keys"


def test_switch_in_the_sidebar_changes_the_page(
    set_weather: Callable[[str], Overview | None], open_page: OpenPage
) -> None:
    set_weather("healthy")
    at = open_page()
    assert at.sidebar.selectbox(key="lang").label == "Language"
    at.sidebar.selectbox(key="lang").set_value("pt_BR").run()
    assert not at.exception
    assert at.sidebar.selectbox(key="lang").label == "Idioma"


def test_address_opens_in_its_language(set_weather: Callable[[str], Overview | None]) -> None:
    set_weather("healthy")
    at = AppTest.from_file(str(translate.ROOT / "panel" / "ui.py"), default_timeout=30)
    at.user = {"name": "tester", "role": "operator"}
    at.query_params["lang"] = "pt_BR"
    at.run()
    assert at.sidebar.selectbox(key="lang").value == "pt_BR"
    assert at.title[0].value == "Visão geral"
