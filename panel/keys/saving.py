"""Saving on the page Keys: an edit is run once, what came of it is kept for the next drawing, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from panel import actions as panel_actions
from panel.format import escaped
from panel.i18n import _
from panel.keys import actions, state
from panel.keys.queries import ConfigurationError, Edit, KeyUndo, stores_up
from panel.said import said as translated
from panel.widgets import slot

__all__ = ["buttons", "said", "save"]

TICK_S = 2.0
REFUSAL = "keys-form-refusal"
"""Of the session state: why the open form was not saved. It is said there, in sight on a phone too."""


def said() -> None:
    """What came of the last edit, store by store, with a way to take it back."""
    last = st.session_state.get("keys-said")
    place = slot()
    if last is None:
        return
    outcome, words = last
    with place, st.container(border=True, horizontal=True, vertical_alignment="center", key="keys-said-box"):
        stores = getattr(outcome, "stores", {})
        follows = any(how in actions.UNDER_WAY for how in stores.values())
        st.fragment(_tell, run_every=TICK_S if follows else None, key="keys-said-now")(outcome, words)
        undo = getattr(outcome, "undo", None)
        if undo is not None:
            st.button(
                _("Undo"), icon=":material/undo:", key="keys-undo", disabled=not panel_actions.is_operator(),
                on_click=take_back, args=(undo,),
            )  # fmt: skip
        elif outcome.done and words != _("Undo"):
            st.caption(_("It cannot be taken back: the key is too big, or its content is not compared."))
        st.button(
            "", icon=":material/close:", type="tertiary", key="keys-said-close", on_click=forget_said, help=_("Close")
        )


def _tell(outcome: panel_actions.Outcome, words: str) -> None:
    """What came of it, and on which store it is by now."""
    icon = ":material/check_circle:" if outcome.done else ":material/error:"
    color = "green" if outcome.done else "red"
    title = f"**{escaped(translated(words))}** " if words else ""
    where = actions.by_store(outcome) if isinstance(outcome, actions.EditOutcome) else ""
    sentence = f"{translated(outcome.sentence)} {where}".strip()
    st.markdown(f":{color}[{icon}] {title}{escaped(sentence)}", width="stretch")


def forget_said() -> None:
    st.session_state.pop("keys-said", None)


def take_back(undo: KeyUndo) -> None:
    attempt(lambda: actions.take_back(undo), _("Undo"))


def attempt(act: Callable[[], Any], words: str) -> bool:
    """Do something and keep what came of it for the next drawing."""
    try:
        outcome = act()
    except (panel_actions.NotAllowed, ConfigurationError, ValueError) as refusal:
        text = str(refusal)
        outcome = panel_actions.Outcome(False, text[:1].upper() + text[1:])
    st.session_state["keys-said"] = (outcome, words)
    return bool(outcome.done)


def save(build: Callable[[], Edit], opens: Callable[[Edit], bytes | None] | None = None) -> None:
    """The callback of every form: build the edit from what was entered, run it, close the form. `opens`: the key to
    look at then, where it is another one; None closes the open one."""
    found: list[Edit] = []

    def act() -> Any:
        found.append(build())
        return actions.apply(found[0])

    if not attempt(act, ""):
        refused, _words = st.session_state.pop("keys-said")
        st.session_state[REFUSAL] = refused.sentence
        return
    outcome, _words = st.session_state["keys-said"]
    words = found[0].words
    st.session_state["keys-said"] = (outcome, words[:1].upper() + words[1:] + ".")
    state.close_form()
    if opens is not None:
        state.open_key(opens(found[0]))
        state.restart()


def buttons(label: str, build: Callable[[], Edit], **options: Any) -> None:
    with slot():
        if refused := st.session_state.get(REFUSAL):
            st.markdown(f":red[:material/error:] {escaped(translated(refused))}")
    reachable = bool(stores_up())
    if not reachable:
        st.caption(f":material/info: {_('What is entered stays here: it can be saved when a store answers again.')}")
    with st.container(horizontal=True):
        st.button(
            label, type="primary", icon=":material/check:", key="keys-form-save", on_click=save, args=(build,),
            kwargs=options, disabled=not (reachable and panel_actions.is_operator()),
        )  # fmt: skip
        st.button(_("Cancel"), key="keys-form-cancel", on_click=state.close_form)
