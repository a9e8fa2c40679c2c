"""A store that is not up, on pages that are about something else: since when, and what to do; and pages that show
something else then, drawn anew when the weather changes."""

from __future__ import annotations

import streamlit as st

from panel import queries
from panel.queries import Live, Overview, StoreState
from panel.verdict import full, is_stranger, verdict
from panel.widgets import answer_line, zone

__all__ = ["follow_weather", "weather_line"]

TICK_S = 2.0


def weather_line() -> None:
    """Draw it below the title, and keep it current; nothing while every store is up. No store is asked."""
    st.fragment(_draw, run_every=TICK_S, key="weather")()


def follow_weather(drawn: Overview | None, live: Live | None = None) -> None:
    """Draw the whole page anew once what a store does, or a setting, is another one than in `drawn`; and once somebody
    has changed `live`, where the page shows that."""
    seen = _weather(drawn)

    def look() -> None:
        if _weather(queries.overview()) != seen or (live is not None and queries.live().version != live.version):
            queries.retry_reads()
            st.rerun()

    st.fragment(look, run_every=TICK_S, key="follow-weather")()


def _draw() -> None:
    snapshot = queries.overview()
    if snapshot is None:
        return
    sides = (snapshot.local, snapshot.cloud)
    is_up = all(facts is None or facts.status.state is StoreState.UP for facts in sides)
    if not is_up or full(snapshot) is not None:
        answer_line(verdict(snapshot, zone()))


def _weather(snapshot: Overview | None) -> tuple[object, ...]:
    if snapshot is None:
        return ()
    sides = (snapshot.local, snapshot.cloud)
    found = full(snapshot)
    known = [(facts.status.state, facts.status.refuses, is_stranger(facts)) for facts in sides if facts is not None]
    return (snapshot.settings, None if found is None else found.tone, *known)
