"""Typed confirmation for what cannot be taken back: a slip of the finger destroys nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from panel import actions, widgets
from panel.i18n import _

__all__ = ["ask", "confirmed_button"]


def confirmed_button(
    label: str, phrase: str, effect: str, action: Callable[..., actions.Outcome], *args: Any,
    key: str, icon: str = ":material/delete_forever:", disabled: bool = False, help: str | None = None, **changes: Any,
) -> None:  # fmt: skip
    """A button that first asks to type `phrase`, under one sentence that says what will happen (`effect`). Only then
    `action(*args, **changes)` runs, which checks the role itself."""
    if st.button(label, icon=icon, key=key, disabled=disabled or not actions.is_operator(), help=help):
        ask(key, label, phrase, effect, action, *args, **changes)


def ask(
    key: str, label: str, phrase: str, effect: str, action: Callable[..., actions.Outcome], *args: Any, **changes: Any
) -> None:
    """Open the dialog that asks. From the page's script, not from a callback."""

    @st.dialog(label, icon=":material/warning:")
    def dialog() -> None:
        st.warning(effect, icon=":material/warning:")
        typed = st.text_input(
            _("Type {phrase} to go on").format(phrase=f"`{phrase}`"), key=f"{key}-typed", autocomplete="off", live=True
        )
        # Taken out, so that it is done once: the body of a dialog may run more than once.
        confirmed = bool(st.session_state.pop(f"{key}-confirmed", False))
        st.button(
            label, type="primary", key=f"{key}-go", disabled=confirmed or not actions.is_phrase(typed, phrase),
            on_click=confirm, args=(key, phrase),
        )  # fmt: skip
        if confirmed:
            with st.spinner(_("Waiting for the answer"), show_time=True):
                widgets.perform_in_dialog(action, *args, **changes)
            st.rerun()

    dialog()


def confirm(key: str, phrase: str) -> None:
    """Goes on if the phrase was really typed: that the button was disabled is the browser's word only."""
    if actions.is_phrase(st.session_state.get(f"{key}-typed"), phrase):
        st.session_state[f"{key}-confirmed"] = True
