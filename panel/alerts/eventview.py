"""The log of events, with filters."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import format, widgets
from panel.alerts import queries
from panel.alerts.words import LEVELS, level_word
from panel.i18n import _, ngettext
from panel.links import several_from_address, several_to_address
from panel.said import said
from panel.tables import csv_button

__all__ = ["event_table"]

USUAL = [level for level in LEVELS if level != "debug"]


def event_table(rows: list[queries.EventRow]) -> None:
    """All events of all processes that the filters let through, newest first."""
    with st.container(horizontal=True, vertical_alignment="top"):
        kinds = sorted({row["event"] for row in rows})
        processes = sorted({row["process"] for row in rows})
        several_from_address("level", "event-level", list(LEVELS), USUAL)
        several_from_address("event", "event-kind", kinds)
        several_from_address("process", "event-process", processes)
        level = st.pills(_("Level"), list(LEVELS), key="event-level", format_func=level_word, selection_mode="multi")
        kind = st.multiselect(_("Event"), kinds, key="event-kind", placeholder=_("All"))
        process = st.multiselect(_("Process"), processes, key="event-process", placeholder=_("All"))
        text = st.text_input(_("Text"), key="text", bind="query-params", placeholder=_("in the message"), type="search")
        several_to_address("level", level, USUAL)
        several_to_address("event", kind)
        several_to_address("process", process)
    found = [
        row
        for row in reversed(rows)
        if (not level or row["level"] in level)
        and (not kind or row["event"] in kind)
        and (not process or row["process"] in process)
        and (not text or text.lower() in said(row["message"]).lower())
    ]
    shown = ngettext("{n} event", "{n} events", len(found)).format(n=len(found))
    with st.container(horizontal=True, vertical_alignment="center"):
        kept = _("{shown} of {all}. Kept on the local store for 8 days.").format(shown=shown, all=len(rows))
        st.caption(kept, width="stretch")
        csv_button(found, "events", _("Events"))
    if not found:
        return
    zone = widgets.zone()
    table = [
        {
            _("When"): format.clock(row["at_s"], zone, with_seconds=True),
            _("Level"): level_word(row["level"]),
            _("Event"): row["event"],
            _("Message"): format.sentence(said(row["message"])),
            _("Process"): row["process"],
        }
        for row in found
    ]
    st.dataframe(pd.DataFrame(table), hide_index=True, key="events")
