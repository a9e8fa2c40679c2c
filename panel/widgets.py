"""The pieces that pages are built from: native Streamlit only. State is an icon and a word, never a mere colour."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from panel import actions, format
from panel.i18n import N_, _
from panel.nav import page
from panel.queries import Store
from panel.said import said
from panel.verdict import Tone, Verdict

__all__ = [
    "COLORS",
    "EVERYWHERE",
    "STORE_ICONS",
    "answer_line",
    "headline",
    "metric",
    "page_buttons",
    "perform",
    "perform_in_dialog",
    "say_now",
    "slot",
    "title",
    "titled",
    "zone",
]

COLORS = {Store.LOCAL: "blue", Store.CLOUD: "violet"}
STORE_ICONS = {Store.LOCAL: ":material/database:", Store.CLOUD: ":material/cloud:"}
TONES = {
    Tone.FINE: (":material/check_circle:", "green"),
    Tone.NOTE: (":material/info:", "blue"),
    Tone.WARNING: (":material/warning:", "orange"),
    Tone.ALARM: (":material/error:", "red"),
}
TO_SAY = "to-say"
EVERYWHERE = N_("Takes effect in every process within a second, on every machine.")


def zone() -> str | None:
    """The reader's time zone, as the browser says."""
    return st.context.timezone


def perform(action: Callable[..., actions.Outcome], *args: Any, **changes: Any) -> None:
    """Run an action from a button and say what came of it."""
    _tell(_outcome(action, *args, **changes))


def perform_in_dialog(action: Callable[..., actions.Outcome], *args: Any, **changes: Any) -> None:
    """The same from a button of a dialog that closes: said when the page is drawn next (`say_now`). A message now would
    take the place of the dialog under its own content, and the browser would show nothing at all any more."""
    st.session_state[TO_SAY] = _outcome(action, *args, **changes)


def say_now() -> None:
    """Say what came of a dialog."""
    if TO_SAY in st.session_state:
        _tell(st.session_state.pop(TO_SAY))


def _outcome(action: Callable[..., actions.Outcome], *args: Any, **changes: Any) -> actions.Outcome:
    try:
        return action(*args, **changes)
    except actions.NotAllowed as refusal:
        return actions.Outcome(False, str(refusal))


def _tell(outcome: actions.Outcome) -> None:
    """What failed stays for ten seconds: it takes longer to read, and is seldom expected."""
    if not outcome.sentence:
        return
    if outcome.done:
        st.toast(said(outcome.sentence), icon=":material/check_circle:")
    else:
        st.toast(said(outcome.sentence), icon=":material/error:", duration="long")


def title(text: str) -> None:
    """The page's title, at the same height as one with something beside it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(text, anchor=False, width="content")


def headline(title: str, answer: Verdict) -> None:
    """The page's title with the state of the whole beside it."""
    icon, color = TONES[answer.tone]
    with st.container(horizontal=True, vertical_alignment="center", width="content"):
        st.title(title, anchor=False, width="content")
        st.badge(answer.word, icon=icon, color=color)  # type: ignore[arg-type]


def metric(label: str, value: str, note: str, help: str | None = None) -> None:
    """A number with a word about it below, all of one height; what is unknown is grey."""
    shown = _(":gray[unknown]") if value == _(format.UNKNOWN) else value
    st.metric(label, shown, delta=" ", delta_color="gray", delta_arrow="off", delta_description=note, help=help,
              border=True)  # fmt: skip


def slot() -> DeltaGenerator:
    """The place of something that is not always there. Without one all that follows is made anew when it comes or goes,
    and what somebody types there is lost."""
    return st.container()


def answer_line(answer: Verdict) -> None:
    """The sentence that answers "are we fine?": quiet when we are, a box when something is to be done."""
    text = f"{answer.sentence} {answer.advice}".strip()
    if answer.tone is Tone.ALARM:
        st.error(text, icon=TONES[answer.tone][0])
    elif answer.tone is Tone.WARNING:
        st.warning(text, icon=TONES[answer.tone][0])
    else:
        st.caption(text)
    if answer.page:
        st.page_link(page(answer.page), icon=":material/arrow_forward:")


def page_buttons(name: str, at: int, turn: Callable[[int], None], *, is_last: bool) -> None:
    """Previous and next, on page `at` (from 0) of a list; `turn` gets the page that is asked for."""
    st.button(
        _("Previous"), icon=":material/chevron_left:", key=f"{name}-previous", disabled=at == 0, on_click=turn,
        args=(at - 1,),
    )  # fmt: skip
    st.button(
        _("Next"), icon=":material/chevron_right:", key=f"{name}-next", disabled=is_last, on_click=turn,
        args=(at + 1,),
    )  # fmt: skip


def titled(store: Store) -> str:
    """What the reader calls this store, at the beginning of a line."""
    return _("Local") if store is Store.LOCAL else _("Cloud")
