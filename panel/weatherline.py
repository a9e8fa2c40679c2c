"""On pages that are about something else: a store that is not up, since when, and what to do."""

from __future__ import annotations

import streamlit as st

from panel import queries
from panel.queries import StoreState
from panel.verdict import verdict
from panel.widgets import answer_line, zone

__all__ = ["weather_line"]

TICK_S = 2.0


def weather_line() -> None:
    """Draw it below the title, and keep it current; nothing while every store is up. No store is asked."""
    st.fragment(_draw, run_every=TICK_S, key="weather")()


def _draw() -> None:
    snapshot = queries.overview()
    if snapshot is None:
        return
    sides = (snapshot.local, snapshot.cloud)
    if any(facts is not None and facts.status.state is not StoreState.UP for facts in sides):
        answer_line(verdict(snapshot, zone()))
