"""The tree of keys: folders by a separator in their names."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import format
from panel.i18n import _, ngettext
from panel.keys import queries, state
from panel.keys.listview import HEIGHT, height_of, nothing, pager, table
from panel.keys.queries import Known, Level, Listing, Store, Walk
from panel.repair.links import key_text
from panel.repair.pieces import missing
from panel.tables import ONE_CLICK, clicked

__all__ = ["tree"]

MANY_FOLDERS = 200


def tree(walk: Walk, number: int, stores: tuple[Store, ...]) -> tuple[bytes, ...]:
    """Folders by the separator in the names: what was found below the open one."""
    folder, separator = state.prefix(), state.separator()
    crumbs(folder, separator)
    names = st.session_state.get("keys-tree-names", queries.TREE_NAMES)
    answer = queries.level(walk, number, folder, separator, stores, names)
    found = answer.last
    missing(answer, _("Keys"), "keys-tree")
    if found is None:
        return ()
    level = found.value
    folders(level, number, folder, separator)
    marked: tuple[bytes, ...] = ()
    if level.keys:
        at = min(st.session_state["keys-page"], (len(level.keys) - 1) // state.PAGE_KEYS)
        shown = level.keys[at * state.PAGE_KEYS : (at + 1) * state.PAGE_KEYS]
        rows = queries.rows_of(shown, stores)
        if isinstance(rows, Known):
            marked = table(rows.value, stores, f"tree-{number}-{at}")
        if len(level.keys) > state.PAGE_KEYS:
            pager(
                Listing(tuple(rows.value) if isinstance(rows, Known) else (), len(level.keys), True, False, (), 0, 0),
                at,
                False,
                stores,
            )
    if not level.folders and not level.keys:
        nothing(walk)
    if not level.complete:
        known = len(level.keys) + sum(each.count for each in level.folders)
        st.caption(
            _("From the first {n} keys found here; open a folder to see all of it.").format(n=format.number(known))
        )
        st.button(_("Look further"), icon=":material/search:", key="keys-further", on_click=look_further, args=(names,))
    return marked


def look_further(names: int) -> None:
    st.session_state["keys-tree-names"] = names * 2


def crumbs(folder: bytes, separator: bytes) -> None:
    parts = folder.split(separator)[:-1]
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="keys-crumbs"):
        st.button(_("All keys"), icon=":material/home:", type="tertiary", key="keys-root", on_click=enter, args=(b"",))
        for index, part in enumerate(parts):
            target = separator.join(parts[: index + 1]) + separator
            st.button(
                format.escaped(key_text(part + separator)), type="tertiary", key=f"keys-crumb-{index}", on_click=enter,
                args=(target,),
            )  # fmt: skip
        st.space("stretch")
        st.selectbox(
            _("Separator"), state.SEPARATORS, key="keys-separator", width=110, accept_new_options=True,
            on_change=state.set_prefix, args=(b"",), help=_("Names are cut there. Another one can be typed."),
        )  # fmt: skip


def enter(folder: bytes) -> None:
    state.set_prefix(folder)
    state.turn(0)
    st.session_state.pop("keys-tree-names", None)


def folders(level: Level, number: int, folder: bytes, separator: bytes) -> None:
    shown = level.folders[:MANY_FOLDERS]
    if not shown:
        return
    least = "" if level.complete else "≥ "
    frame = pd.DataFrame(
        {
            _("Folder"): [key_text(one.name + separator) for one in shown],
            _("Keys"): [f"{least}{format.number(one.count)}" for one in shown],
        }
    )
    event = st.dataframe(
        frame, key=f"keys-folders-{number}-{folder.hex()}-{separator.hex()}", hide_index=True, on_select="rerun",
        selection_mode=ONE_CLICK, height=height_of(len(shown), HEIGHT // 2),
    )  # fmt: skip
    row = clicked(event["selection"], len(shown))
    if row is not None:
        enter(shown[row].prefix)
        st.rerun()
    if len(level.folders) > MANY_FOLDERS:
        more = len(level.folders) - MANY_FOLDERS
        st.caption(ngettext("and {n} more folder", "and {n} more folders", more).format(n=format.number(more)))
