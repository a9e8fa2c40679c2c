"""The panel in the reader's language: gettext catalogues in `panel/locale`, chosen anew in each run of each session.

Write every text that a person reads as one literal, in English, inside `_()`; put values in afterwards:

    from panel.i18n import N_, _, ngettext

    _("Applied in every process: version {version}.").format(version=7)    # never an f-string inside _()
    ngettext("{n} key differs", "{n} keys differ", n).format(n=n)          # what depends on a number
    TITLES = {"a": N_("Presets")}    # a constant of a module: only marked here,
    _(TITLES["a"])                   # and translated where it is drawn, because one module serves every session

Markdown, `:material/…:` and colour marks stay inside the text, as they are. Keys, commands, variables, addresses and
what a store or the library says are not translated. Then `python -m scripts.translate` collects the texts into the
catalogues, and `--check` (also a test) tells what has no translation yet.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

__all__ = ["DOMAIN", "LANGUAGES", "LANGUAGE_KEY", "LOCALE", "N_", "_", "language", "ngettext", "preferred", "speak"]

LOCALE: Final = Path(__file__).resolve().parent / "locale"
DOMAIN: Final = "panel"
LANGUAGES: Final[Mapping[str, str]] = MappingProxyType({"en": "English", "pt_BR": "Português (Brasil)"})
"""Code to the name that its own speakers know. The first one is what the sources are written in."""
LANGUAGE_KEY: Final = "lang"
"""Of the session state, of an address (`?lang=pt_BR`) and of the cookie that keeps it."""
_SOURCE: Final = next(iter(LANGUAGES))
_outside: ContextVar[str] = ContextVar("language", default=_SOURCE)


def N_(message: str) -> str:
    """Marks a constant for translation; `_()` translates it where it is shown."""
    return message


def _(message: str) -> str:
    """`message` in the reader's language; as it is where there is no translation, or no reader."""
    return _catalogue(language()).gettext(message) if message else ""


def ngettext(one: str, many: str, number: int) -> str:
    """`one` or `many` in the reader's language, whichever fits `number`; the number is not put in yet."""
    return _catalogue(language()).ngettext(one, many, number)


def language() -> str:
    """The code of this session's language: chosen there, or what the browser asks for. Outside a session what `speak`
    chose, else English."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return _outside.get()
    chosen = st.session_state.get(LANGUAGE_KEY)
    return str(chosen) if chosen in LANGUAGES else preferred()


def speak(*asked: str | None) -> None:
    """Outside a session, until the end of this request: the language of the first of these codes that there is."""
    _outside.set(next((found for each in asked if (found := _matching(each)) is not None), _SOURCE))


def preferred() -> str:
    """The language that fits before anybody chose one: of the address, of the cookie, then of the browser."""
    for asked in (st.query_params.get(LANGUAGE_KEY), st.context.cookies.get(LANGUAGE_KEY), st.context.locale):
        found = _matching(asked)
        if found is not None:
            return found
    return _SOURCE


def _matching(asked: str | None) -> str | None:
    """The language of a code such as `pt-PT`: the same one, or the first with the same base."""
    base = (asked or "").replace("_", "-").partition("-")[0].lower()
    return asked if asked in LANGUAGES else next((code for code in LANGUAGES if code.partition("_")[0] == base), None)


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE, [code], fallback=True)
