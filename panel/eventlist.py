"""The latest events, each to be opened."""

from __future__ import annotations

import logging
import re

import streamlit as st

from panel import format
from panel.format import sentence
from panel.i18n import _
from panel.nav import page
from panel.queries import Event, Overview
from panel.said import said
from panel.widgets import zone

__all__ = ["events"]

EVENT_ICONS = {
    "Started": ":material/play_circle:",
    "Stopped": ":material/stop_circle:",
    "StoreDown": ":material/cancel:",
    "StoreUp": ":material/check_circle:",
    "Recovered": ":material/check_circle:",
    "CatchingUp": ":material/sync:",
    "InSync": ":material/done_all:",
    "AuthorityMoved": ":material/swap_horiz:",
    "Degraded": ":material/error:",
    "StoreNew": ":material/sync:",
    "WipeDetected": ":material/error:",
    "ConflictsArchived": ":material/call_merge:",
    "SettingsChanged": ":material/tune:",
}
SHOWN_EVENTS = 6


def events(snapshot: Overview) -> None:
    """The latest events, newest first; each opens to say all of it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(_("**Events**"), width="content")
        st.space("stretch")
        st.page_link(
            page("alerts"), label=_("All events"), icon=":material/arrow_forward:", icon_position="right",
            query_params={"view": "events"},
        )  # fmt: skip
    shown = [event for event in reversed(snapshot.events) if event.level >= logging.INFO][:SHOWN_EVENTS]
    if not shown:
        st.caption(_("Nothing has happened yet."))
    for number, event in enumerate(shown):
        icon = EVENT_ICONS.get(type(event).__name__, ":material/circle:")
        twins = shown[number + 1 :].count(event)  # not its place: one that is open stays so when the next one comes
        key = f"event-{event.at_s}-{event.message}-{twins}"
        with st.expander(_event_label(event), type="step", icon=icon, key=key):
            st.caption(f"{format.clock(event.at_s, zone(), with_seconds=True)} · {sentence(said(event.message))}")


def _event_label(event: Event) -> str:
    brief = sentence(re.split("[:;(]", said(event.message), maxsplit=1)[0].strip()).rstrip(".")
    color = "red" if event.level >= logging.ERROR else "orange" if event.level >= logging.WARNING else None
    return f"{format.clock(event.at_s, zone())} " + (f":{color}[{brief}]" if color else brief)
