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
        # The effect is in the callback: the body of a dialog may run more than once.
        if st.button(
            label, type="primary", key=f"{key}-go", disabled=(typed or "").strip() != phrase,
            on_click=perform_confirmed, args=(f"{key}-typed", phrase, action, args, changes),
        ):  # fmt: skip
            st.rerun()

    dialog()


def perform_confirmed(
    typed_key: str, phrase: str, action: Callable[..., actions.Outcome], args: tuple[Any, ...], changes: dict[str, Any]
) -> None:
    """Runs the action if the phrase was really typed: that the button was disabled is the browser's word only."""
    if str(st.session_state.get(typed_key) or "").strip() == phrase:
        widgets.perform_in_dialog(action, *args, **changes)
