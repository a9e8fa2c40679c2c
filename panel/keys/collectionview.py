"""The elements of one key, both stores in one table, page by page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from panel import format
from panel.i18n import N_, _
from panel.keys import queries, state
from panel.keys.entries import score
from panel.keys.listview import height_of, left_text
from panel.keys.queries import ConfigurationError, Element, ElementPage, Form, KeyInfo, Scores, Store
from panel.keys.seriesview import moment_text
from panel.keys.valueview import CUT, format_input, side_by_side
from panel.keys.vectorsview import nearest
from panel.repair.links import key_text
from panel.repair.pieces import missing, tinted
from panel.tables import ONE_CLICK, clicked
from panel.widgets import zone

__all__ = ["collection", "first_page", "shown"]

NAMES = {
    "hash": N_("Field"), "list": N_("Index"), "set": N_("Member"), "zset": N_("Member"), "stream": N_("Entry"),
    "TSDB-TYPE": N_("Unix ms"), "vectorset": N_("Element"),
}  # fmt: skip
ORDERS = {
    "list": (N_("From the beginning"), N_("From the end")),
    "zset": (N_("Lowest first"), N_("Highest first")),
    "stream": (N_("Oldest first"), N_("Newest first")),
    "TSDB-TYPE": (N_("Oldest first"), N_("Newest first")),
}
FINDS = dict.fromkeys(("hash", "set", "zset"), (N_("A glob on fields or members: `user*`."), "*"))
FINDS["list"] = N_("A glob on items: `*error*`."), "*"
FINDS["vectorset"] = N_("The name of an element."), ""
FEW = 20
LINE_END = " ↵ "


def collection(key: bytes, kind: str, infos: dict[Store, KeyInfo], authority: Store, *, fixed: bool) -> None:
    places: list[Any] = st.session_state.setdefault("keys-places", [None])
    match, last_first, scores = None, False, None
    longest = max(info.length or 0 for info in infos.values())
    with st.container(horizontal=True, vertical_alignment="bottom", key="keys-element-bar"):
        if kind in FINDS and longest > FEW:
            text = st.text_input(
                _("Find"), key="keys-match", type="search", placeholder=FINDS[kind][1], on_change=first_page, width=260,
                help=_(FINDS[kind][0]),
            )  # fmt: skip
            match = text.strip().encode() if text and text.strip() else None
        if kind in ORDERS and longest > 1:
            last_first = ordered(kind, found_by_name=match is not None)
        if kind == "zset" and longest > FEW:
            scores = score_range(found_by_name=match is not None)
    stores = queries.leading(infos, authority)
    answer = queries.elements(key, kind, stores, places[-1], match, last_first=last_first, scores=scores)
    found = answer.last
    missing(answer, _("The value"), "keys-elements")
    if found is None:
        return
    part: ElementPage = found.value
    number = -len(places) if last_first else len(places)
    picked = element_table(key, kind, part, tuple(infos), number)
    element_buttons(kind, expected(picked, stores), fixed=fixed)
    if picked is not None:
        element_value(kind, picked)
    if picked is not None and kind == "vectorset":
        nearest(key, picked)
    turns(part, places)


def expected(one: Element | None, stores: tuple[Store, ...]) -> Element | None:
    """With what a store that was not asked should hold: the same. It may take the writes when a form is saved."""
    if one is None or len(stores) == 2:
        return one
    if stores[0] is Store.LOCAL:
        return replace(one, cloud=one.local, cloud_expires_at_ms=one.local_expires_at_ms)
    return replace(one, local=one.cloud, local_expires_at_ms=one.cloud_expires_at_ms)


def ordered(kind: str, *, found_by_name: bool) -> bool:
    """Whether the last elements come first. What is found by name comes in no order."""
    chosen = st.segmented_control(
        _("Order"), (False, True), default=False, required=True, key=f"keys-order-{kind}", on_change=first_page,
        format_func=lambda last_first: _(ORDERS[kind][last_first]), disabled=found_by_name,
    )  # fmt: skip
    return bool(chosen) and not found_by_name


def score_range(*, found_by_name: bool) -> Scores | None:
    """From which score to which; None for all."""
    fields = ("least", _("Score from"), "-inf"), ("most", _("Score to"), "inf")
    with st.container(horizontal=True, width="content"):
        texts = [
            st.text_input(
                label, key=f"keys-score-{name}", placeholder=usual, on_change=first_page, width=110,
                disabled=found_by_name,
            )
            for name, label, usual in fields
        ]  # fmt: skip
    if found_by_name or not any(map(str.strip, texts)):
        return None
    try:
        return score(texts[0].strip() or "-inf"), score(texts[1].strip() or "inf")
    except ConfigurationError as error:
        st.caption(f":material/error: {error}")
        return None


def first_page() -> None:
    st.session_state["keys-places"] = [None]


def turns(page: ElementPage, places: list[Any]) -> None:
    if page.drawn:
        drawn(len(page.elements))
    if len(places) == 1 and page.next is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="keys-element-pager"):
        st.button(
            _("Back"), icon=":material/chevron_left:", key="keys-back", disabled=len(places) == 1, on_click=places.pop
        )
        st.button(
            _("More"), icon=":material/chevron_right:", key="keys-more", disabled=page.next is None,
            on_click=places.append, args=(page.next,),
        )  # fmt: skip
        if page.passed:
            text = _("{n} elements looked at for such that only this store has")
            if not places[-1] or not places[-1].extras:
                text = _("about {n} elements looked at")
            st.caption(text.format(n=format.number(page.passed)))
        elif page.next is not None and page.next.extras:
            st.caption(_("Next: what only the {store} store has.").format(store=_(page.next.leader)))


def drawn(count: int) -> None:
    """The elements shown are some of many."""
    with st.container(horizontal=True, vertical_alignment="center", key="keys-element-drawn"):
        st.button(_("Others"), icon=":material/casino:", key="keys-draw", on_click=queries.draw_others)
        text = _("{n} elements, drawn by the server: it gives none in order (Redis 8.4 and newer do).")
        st.caption(text.format(n=format.number(count)))


def element_table(key: bytes, kind: str, page: ElementPage, stores: tuple[Store, ...], number: int) -> Element | None:
    """One row for each element, with what either store has of it; returns the one that is chosen."""
    if not page.elements:
        st.caption(_("Nothing found so far.") if page.passed and page.next else _("No elements here."))
        return None
    names = {_(NAMES[kind]): [shown(one.name) for one in page.elements]}
    times = [moment_text(int(one.name), zone()) for one in page.elements] if kind == "TSDB-TYPE" else []
    columns: dict[str, Any] = {_("Time"): times} if times else {**names}
    for store in stores:
        values = [one.local if store is Store.LOCAL else one.cloud for one in page.elements]
        if kind == "set":
            columns[_(store.title())] = ["✓" if found is not None else "" for found in values]
        else:
            columns[_(store.title())] = ["" if found is None else in_a_cell(found) for found in values]
    if any(one.local_expires_at_ms or one.cloud_expires_at_ms for one in page.elements):
        columns[_("Expires")] = [field_expiry(one) for one in page.elements]
    if not all(one.same for one in page.elements) and len(stores) == 2:
        columns[" "] = ["" if one.same else "≠" for one in page.elements]
    columns |= names  # behind the time, which is what people read
    wide = {_(store.title()): st.column_config.TextColumn(width="medium") for store in stores}
    which = hash(tuple(one.name for one in page.elements))  # other elements, or in another order: no row is chosen
    event = st.dataframe(
        tinted(pd.DataFrame(columns)), key=f"keys-elements-{key.hex()[:64]}-{number}-{which}", hide_index=True,
        on_select="rerun", selection_mode=ONE_CLICK, height=height_of(len(page.elements), 460),
        column_config=wide | {" ": st.column_config.TextColumn(width=40)},
    )  # fmt: skip
    row = clicked(event["selection"], len(page.elements))
    return page.elements[row] if row is not None else None


def shown(found: bytes) -> str:
    """In quotes where there is nothing to see: an empty cell says that a store has none."""
    text = key_text(found)
    if not text.strip():
        return f'"{text}"'
    return text if len(text) <= CUT else f"{text[:CUT]}…"


def in_a_cell(found: bytes) -> str:
    """A value on one line, or in hex where it is no text."""
    try:
        lines = found.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        return shown(found)
    return shown(LINE_END.join(lines).replace("\t", " ").encode())


def element_value(kind: str, one: Element) -> None:
    """The whole of the chosen row, as it is read best: of a set or a sorted set the member itself."""
    sides = {Store.LOCAL: one.local, Store.CLOUD: one.cloud}
    named_by_value = kind in ("set", "zset")
    values = {store: one.name if named_by_value else found for store, found in sides.items() if found is not None}
    with st.container(key="keys-element-value"):
        form = format_input("keys-show-element-as")
        if form is None and kind == "vectorset":
            form = Form.TEXT  # as JSON each number takes a line
        side_by_side(values, form, whole=True)


def field_expiry(one: Element) -> str:
    """When a field expires; both when the stores that have it do not agree, of which one may keep it for ever."""
    sides = (one.local, one.local_expires_at_ms), (one.cloud, one.cloud_expires_at_ms)
    moments = [moment_ms for value, moment_ms in sides if value is not None]
    return " / ".join(dict.fromkeys(map(left_text, moments))) if any(moments) else ""


def element_buttons(kind: str, picked: Element | None, *, fixed: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="keys-element-buttons"):
        st.button(
            _("Add"), icon=":material/add:", key="keys-add", disabled=fixed, on_click=state.open_form, args=("add",)
        )
        if kind in ("hash", "list", "zset", "TSDB-TYPE", "vectorset"):
            st.button(
                _("Edit"), icon=":material/edit:", key="keys-edit-element", disabled=fixed or picked is None,
                on_click=state.open_form, args=("element", picked),
            )  # fmt: skip
        if kind == "hash":
            st.button(
                _("Expiry"), icon=":material/timer:", key="keys-field-expiry", disabled=fixed or picked is None,
                on_click=state.open_form, args=("field-expiry", picked),
            )  # fmt: skip
        st.button(
            _("Delete"), icon=":material/delete:", key="keys-remove-element", disabled=fixed or picked is None,
            on_click=state.open_form, args=("remove", picked),
        )  # fmt: skip
        if picked is None and not fixed:
            st.caption(_("Choose a row to change it."))
