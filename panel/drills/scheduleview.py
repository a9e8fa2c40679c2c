"""When drills are run by themselves."""

from __future__ import annotations

import streamlit as st

from panel import actions as panel_actions
from panel import queries as panel_queries
from panel.drills import actions, queries
from panel.drills.queries import DRILLS
from panel.i18n import _
from panel.said import said
from panel.widgets import perform

__all__ = ["schedule"]


def schedule() -> None:
    """The schedule in words, what it means, and changing it for all agents."""
    current, seen = queries.schedule(), panel_queries.live().version
    with st.container(border=True, key="drill-schedule"):
        st.caption(
            _(
                "The one active agent, or panel, plays what is due, by its own clock. The reports are in the history. "
                "A drill that nobody could play in time is made up for within the hour."
            )
        )
        typed = st.text_input(
            _("Schedule"), value=current, key=f"drill-schedule-{seen}", disabled=not panel_actions.is_operator(),
            placeholder="every Monday 09:00", live=True,
            help=_("Days: day, weekday, weekend, Monday, Mon and Thu, 1st. Several rules: a semicolon between them."),
        )  # fmt: skip
        text = str(typed or "").strip()
        _meaning(text)
        with st.container(horizontal=True):
            problem = queries.schedule_problem(text)
            st.button(
                _("Apply"), icon=":material/check:", type="primary", key="apply-schedule", on_click=perform,
                args=(actions.set_schedule, text, seen),
                disabled=not panel_actions.is_operator() or problem is not None or text == current,
            )  # fmt: skip
            if current:
                st.button(
                    _("No schedule"), icon=":material/event_busy:", key="end-schedule", on_click=perform,
                    args=(actions.set_schedule, "", seen), disabled=not panel_actions.is_operator(),
                )  # fmt: skip
    st.caption(
        _(
            "Names of drills may stand before “every”: {example}. Without any, all are played. There are: {names}."
        ).format(example="`cloud-hung, local-cut every weekday 07:30`", names=", ".join(f"`{name}`" for name in DRILLS))
    )


def _meaning(text: str) -> None:
    if problem := queries.schedule_problem(text):
        st.warning(said(problem), icon=":material/edit_calendar:")
        return
    due = queries.when_next(text)
    if due is None:
        st.markdown(_(":material/event_busy: No drill is scheduled."))
        return
    st.markdown(_(":material/event: Next: **{when}**, by the agent's clock.").format(when=f"{due:%Y-%m-%d %H:%M}"))
