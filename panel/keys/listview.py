"""The list and the tree of keys: filters, one page of rows with badges, selection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Literal

import pandas as pd
import streamlit as st

from panel import actions, format, jobview
from panel import queries as panel_queries
from panel.i18n import N_, _
from panel.keys import queries, state
from panel.keys.queries import Badge, Filter, KeyRow, Known, Listing, Store, Walk
from panel.repair.links import key_text
from panel.repair.pieces import missing, type_word
from panel.said import said
from panel.tables import ONE_CLICK, clicked
from panel.verdict import named
from panel.widgets import COLORS, page_buttons

__all__ = ["BADGES", "expires_text", "filters", "left_text", "page"]

BADGES = {
    Badge.EQUAL: (N_("equal"), "✓", ":material/check:", "green"),
    Badge.DIFFERS: (N_("differs"), "≠", ":material/difference:", "orange"),
    Badge.ONLY_LOCAL: (N_("only local"), "◧", ":material/database:", COLORS[Store.LOCAL]),
    Badge.ONLY_CLOUD: (N_("only cloud"), "◨", ":material/cloud:", COLORS[Store.CLOUD]),
    Badge.ON_ITS_WAY: (N_("on its way"), "→", ":material/schedule_send:", "yellow"),
    Badge.UNKNOWN: (N_("unknown"), "?", ":material/help:", "gray"),
}
BADGES_TICK_S = 0.25
HEIGHT = 560
ROW_PX = 35


def filters() -> None:
    """The search field and what else narrows the list. All of it is in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="keys-filters"):
        st.text_input(
            _("Search"), key="keys-pattern", type="search", placeholder="user:*", width=300,
            help=_("`*` stands for anything, `?` for one character. Without either, the key of that very name."),
        )  # fmt: skip
        st.selectbox(_("Type"), state.KINDS, key="keys-type", format_func=lambda k: type_word(k) or _("Any"), width=110)
        st.selectbox(_("Store"), state.STORES, key="keys-store", format_func=store_word, width=120)
        st.selectbox(
            _("Expires"), list(state.TTLS), key="keys-ttl", format_func=lambda v: _(state.TTLS[v][0]), width=150
        )
        st.selectbox(
            _("Memory"), list(state.SIZES), key="keys-size", format_func=lambda v: _(state.SIZES[v][0]), width=160
        )
        st.segmented_control(
            _("View"), ["list", "tree"], key="keys-view", required=True,
            format_func=lambda v: _("List") if v == "list" else _("Tree"), wrap=True,
        )  # fmt: skip
        st.button(_("Refresh"), icon=":material/refresh:", key="keys-refresh", on_click=refresh)
        st.button(
            _("New key"), icon=":material/add:", key="keys-new", type="primary",
            disabled=not (actions.is_operator() and queries.stores_up()), on_click=state.open_form, args=("create",),
        )  # fmt: skip


def store_word(store: str) -> str:
    return {"": _("Both"), "local": _("Local"), "cloud": _("Cloud")}[store]


def refresh() -> None:
    queries.forget()
    state.restart()


def page(walk: Walk, number: int, stores: tuple[Store, ...]) -> tuple[bytes, ...]:
    at = st.session_state["keys-page"]
    answer = queries.listing(walk, number, at, state.PAGE_KEYS, stores)
    found = answer.last
    missing(answer, _("Keys"))
    if found is None:
        jobview.follow(answer.pending, "keys-list")
        return meanwhile(walk, stores, f"{number}-{at}", at)
    listing: Listing = found.value
    if at and at * state.PAGE_KEYS >= listing.known and (listing.ended or listing.full):
        state.turn((listing.known - 1) // state.PAGE_KEYS)
        st.rerun()
    searching = not listing.ended and not listing.full and len(listing.rows) < state.PAGE_KEYS
    marked: tuple[bytes, ...] = ()
    if listing.rows:
        marked = table(listing.rows, stores, f"{number}-{at}")
    elif not searching:
        nothing(walk)
    pager(listing, at, searching, stores)
    if searching:
        queries.search_on()
        jobview.follow(True, "keys-search")
    return marked


def meanwhile(walk: Walk, stores: tuple[Store, ...], name: str, at: int) -> tuple[bytes, ...]:
    """What the quicker store has told while the other one is waited for."""
    names = tuple(walk.names[at * state.PAGE_KEYS : (at + 1) * state.PAGE_KEYS])
    rows = queries.rows_of(names, stores) if names and Store.LOCAL in stores else None
    return table(rows.value, (), name) if isinstance(rows, Known) else ()


def pager(listing: Listing, at: int, searching: bool, stores: tuple[Store, ...]) -> None:
    first = at * state.PAGE_KEYS
    last = first + len(listing.rows)
    if not listing.rows and not at and not searching:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="keys-pager"):
        page_buttons("keys", at, state.turn, is_last=listing.known <= last)
        if searching:
            looked_at = format.number(listing.looked_at)
            st.caption(_("Searching: {found} found, about {count} keys looked at.").format(found=last, count=looked_at))
        elif listing.full:
            st.caption(_("The first {n} keys. Narrow the search to see others.").format(n=format.number(listing.known)))
        else:
            total = format.number(listing.known) if listing.ended else about_total()
            st.caption(_("{first} to {last} of {total}").format(first=first + 1 if last else 0, last=last, total=total))
        for store, why in listing.missing:
            if store not in stores:
                continue  # the page says so above
            st.caption(f":material/help: {_('Without the {store} store').format(store=named(store))}: {said(why)}")


def about_total() -> str:
    """How many keys there are without filters, as far as the agent knows; under filters nobody has counted."""
    snapshot = panel_queries.overview()
    if snapshot is None or state.filter_of_session() != Filter():
        return _("many")
    counts = [facts.keys for facts in (snapshot.local, snapshot.cloud) if facts is not None and facts.keys is not None]
    return _("about {n}").format(n=format.number(max(counts))) if counts else _("many")


def nothing(walk: Walk) -> None:
    """An empty list says why it is empty."""
    pattern = walk.filter.pattern
    if walk.filter.is_name:
        st.info(_("There is no key of this name."), icon=":material/search_off:")
        wider = f"*{(st.session_state['keys-pattern'] or '').strip()}*"
        st.button(
            _("Search for {pattern}").format(pattern=f"`{wider}`"), key="keys-wider", icon=":material/search:",
            on_click=search_for, args=(wider,),
        )  # fmt: skip
    elif pattern == b"*" and not walk.filter.kind and not walk.filter.looks_closer:
        st.info(
            _("There are no keys yet. Create one here, or start demo traffic on the page Overview."),
            icon=":material/inbox:",
        )
    else:
        st.info(_("No key matches these filters."), icon=":material/search_off:")


def search_for(pattern: str) -> None:
    st.session_state["keys-pattern"] = pattern


def table(rows: Sequence[KeyRow], stores: tuple[Store, ...], name: str) -> tuple[bytes, ...]:
    """One page of keys. A click on a row opens it, marks in front of rows choose for what is done with many."""
    compared = tuple(rows)
    # A live key alone is read again with each tick, not all that are beside it in the list.
    answer = queries.badges(compared, stores, kept_long=state.is_live()) if len(stores) == 2 else None
    if answer is not None:
        compared = answer.last.value if answer.last else compared
        jobview.follow(answer.pending, "keys-badges", 1.0 if state.just_opened() else BADGES_TICK_S)
        if not answer.pending:
            missing(answer, _("Whether they are equal"))
    words = {badge: f"{mark} {_(word)}" for badge, (word, mark, _icon, _color) in BADGES.items()}
    frame = pd.DataFrame(
        {
            _("Key"): [key_text(row.key) for row in compared],
            _("Stores"): [[words[row.badge]] for row in compared],
            _("Type"): [type_word(row.kind or "") for row in compared],
            _("Expires"): [expires_text(row) for row in compared],
            _("Memory"): [
                format.size(row.side.size_bytes) if row.side and row.side.size_bytes else "" for row in compared
            ],
        }
    )
    grid = f"keys-grid-{name}"
    event = st.dataframe(
        frame, key=grid, hide_index=True, on_select=partial(pick, grid, compared),
        selection_mode=["multi-row", ONE_CLICK],
        height=height_of(len(compared), HEIGHT),
        column_config={
            _("Key"): st.column_config.TextColumn(width="medium"),
            _("Stores"): st.column_config.MultiselectColumn(
                options=list(words.values()), color=[color for *_rest, color in BADGES.values()], width=120
            ),
            _("Type"): st.column_config.TextColumn(width="small"),
            _("Expires"): st.column_config.TextColumn(width="small"),
            _("Memory"): st.column_config.TextColumn(width="small"),
        },
    )  # fmt: skip
    return tuple(compared[index].key for index in event["selection"].get("rows", ()) if index < len(compared))


def height_of(rows: int, most_px: int) -> int | Literal["auto"]:
    """A table as high as its rows, up to a limit beyond which it scrolls."""
    return "auto" if rows * ROW_PX < most_px else most_px


def pick(grid: str, rows: Sequence[KeyRow]) -> None:
    """Open a key that was clicked: once, so that it can be closed while the cell stays selected."""
    at = clicked(st.session_state[grid]["selection"], len(rows))
    row = rows[at] if at is not None else None
    if row is not None and st.session_state.get("keys-clicked") != (grid, row.key):
        state.open_key(row.key, row)
    st.session_state["keys-clicked"] = (grid, row.key) if row is not None else None


def expires_text(row: KeyRow) -> str:
    """When a key expires; both when the stores do not agree."""
    texts = list(dict.fromkeys(left_text(side.expires_at_ms) for side in (row.local, row.cloud) if side))
    return " / ".join(texts)


def left_text(expires_at_ms: int | None) -> str:
    if expires_at_ms is None:
        return "–"
    left_s = expires_at_ms / 1000 - time.time()
    return format.duration(left_s) if left_s > 0 else _("now")
