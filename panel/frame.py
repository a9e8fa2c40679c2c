"""What is around every page: language, sign-out. In the sidebar, which on a phone is the menu's drawer too."""

from __future__ import annotations

import streamlit as st

from panel.i18n import LANGUAGE_KEY, LANGUAGES, _, preferred

__all__ = ["frame"]


def frame() -> None:
    """Draw it; before the page, so that the language chosen here is already that of the page."""
    with st.sidebar:
        language_switch()


def language_switch() -> None:
    """Kept for the session, and in the address so that a link opens in the same language."""
    codes = list(LANGUAGES)
    st.selectbox(
        _("Language"), codes, index=codes.index(preferred()), format_func=LANGUAGES.__getitem__,
        key=LANGUAGE_KEY, bind="query-params", icon=":material/translate:",
    )  # fmt: skip
