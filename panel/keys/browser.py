"""The keys of both stores, as a list or as a tree."""

from __future__ import annotations

import streamlit as st

from panel.i18n import _
from panel.keys import queries, state
from panel.keys.listview import page
from panel.keys.treeview import tree

__all__ = ["draw"]


def draw() -> tuple[bytes, ...]:
    """The list or the tree; returns the keys that are marked."""
    walk, number = state.current_walk()
    stores = queries.stores_up()
    if not set(stores).intersection(walk.filter.stores):
        st.caption(":material/help: " + _("Keys are unknown while no store answers."))
        return ()
    if st.session_state["keys-view"] == "tree":
        return tree(walk, number, stores)
    return page(walk, number, stores)
