"""Both stores in one browser: which keys there are, whether they agree, what they hold; and changing them on both."""

from __future__ import annotations

import streamlit as st

from panel import queries, widgets
from panel.i18n import _
from panel.keys import browser, bulkview, detailview, editview, listview, saving, state, weather
from panel.repair.pieces import obstacle_line
from panel.verdict import writes_first
from panel.weatherline import follow_weather

state.restore()
snapshot = queries.overview()
widgets.title(_("Keys"))
obstacle_line(weather.notice(snapshot, widgets.zone()))
saving.said()
listview.filters()
state.remember()  # before what takes long: a tick that is sent meanwhile must not bring the address of before
editview.create_form()
authority = writes_first(snapshot)
if state.opened_key() is None:
    marked = browser.draw()
else:
    left, right = st.columns([5, 6], gap="medium")
    with left:
        marked = browser.draw()
    with right:
        key = state.opened_key()
        if key is not None:
            detailview.draw(key, authority)
bulkview.draw(marked)
follow_weather(snapshot)
