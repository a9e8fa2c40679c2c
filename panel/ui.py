"""The Streamlit script behind every address of the panel: frame, menu, and the page asked for."""

from __future__ import annotations

import streamlit as st

from panel import firstday, queries
from panel.frame import frame, notice, shortcuts
from panel.i18n import N_, _
from panel.nav import page, pages_for
from panel.widgets import say_now

ABOUT = N_("**Hybrid Redis**: one client, two independent stores. Nothing on these pages comes from elsewhere.")

st.set_page_config(
    page_title="Hybrid Redis", page_icon="🔷", layout="wide", initial_sidebar_state="collapsed",
    menu_items={"About": _(ABOUT)},
)  # fmt: skip
st.logo(":material/hub:")
queries.inquire()
frame()
notice()
say_now()
if queries.start_problem() is None:
    st.navigation(pages_for(str(st.user.get("role") or "viewer")), position="top").run()
else:
    problem = st.Page(firstday.start_problem, title=_("Not started"), default=True)
    st.navigation([problem, page("setup")], position="hidden").run()
shortcuts()
