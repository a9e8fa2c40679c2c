"""One key: what each store has of it, side by side; big ones in pages."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from panel import actions as panel_actions
from panel import format, jobview
from panel.i18n import N_, _
from panel.keys import editview, queries, state
from panel.keys.listview import BADGES, height_of, left_text
from panel.keys.queries import Badge, Element, ElementPage, Form, KeyInfo, KeyRow, Known, NotInThisForm, Store
from panel.nav import page
from panel.repair.links import key_text
from panel.repair.pieces import missing, store_heading, tinted

__all__ = ["draw"]

COLLECTIONS = ("hash", "list", "set", "zset", "stream")
NAMES = {"hash": N_("Field"), "list": N_("Index"), "set": N_("Member"), "zset": N_("Member"), "stream": N_("Entry")}
FORMS = {
    "": N_("Auto"), Form.TEXT: N_("Text"), Form.JSON: "JSON", Form.HEX: "Hex", Form.MSGPACK: "MessagePack",
    Form.PICKLE: "Pickle",
}  # fmt: skip
CUT = 2000
FEW = 20
WHOLE_BYTES = 256 * 1024
MOST_EDITED = 1024 * 1024


def draw(key: bytes, authority: Store) -> None:
    """Everything about one key."""
    stores = queries.stores_up()
    infos: dict[Store, KeyInfo] = {}
    awaited = False
    with st.container(border=True, key="keys-detail"):
        row = head(key, stores)
        columns = st.columns(max(1, len(stores)))
        for column, store in zip(columns, stores, strict=False):
            answer = queries.info(store, key)
            awaited |= not isinstance(answer, Known) and answer.pending
            with column:
                store_heading(store)
                found = answer if isinstance(answer, Known) else answer.last
                if found is None:
                    missing(answer, _("This key"))  # type: ignore[arg-type]
                elif found.value is None:
                    st.caption(":material/block: " + _("not there"))
                else:
                    infos[store] = found.value
                    st.caption(facts_line(found.value))
        editview.toolbar(key, infos)
        commands(key, infos)
        kinds = {one.kind for one in infos.values()}
        main = infos.get(authority) or next(iter(infos.values()), None)
        if main is not None:
            editview.draw(key, main.kind, infos, authority)
        if len(kinds) > 1:
            st.warning(_("The types differ, so each value stands for itself."), icon=":material/difference:")
        for kind in sorted(kinds):
            holders = tuple(store for store in Store if store in infos and infos[store].kind == kind)
            value(key, kind, {store: infos[store] for store in holders}, authority)
        if row is not None and row.badge is Badge.DIFFERS:
            st.page_link(
                page("diff"), label=_("Compare field by field and repair"), icon=":material/difference:",
                query_params={"key": key_text(key)},
            )  # fmt: skip
    jobview.follow(awaited, "keys-detail")


def head(key: bytes, stores: tuple[Store, ...]) -> KeyRow | None:
    row = None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.code(key_text(key), language=None, wrap_lines=True, width="stretch")
        answer = queries.badge_of_key(key, stores) if len(stores) == 2 else None
        badge = Badge.UNKNOWN
        if answer is not None:
            found = answer if isinstance(answer, Known) else answer.last
            row = found.value[0] if found else None
            badge = row.badge if row else badge
            jobview.follow(not isinstance(answer, Known) and answer.pending, "keys-badge")
        word, _mark, icon, color = BADGES[badge]
        st.badge(_(word), icon=icon, color=color)  # type: ignore[arg-type]
    if row is not None and row.detail:
        st.caption(row.detail)
    return row


def facts_line(info: KeyInfo) -> str:
    """hash · 12 elements · 1.2 KB · listpack · expires in 3 h."""
    parts = [f"**{info.kind}**"]
    if info.length is not None:
        parts.append(format.size(info.length) if info.kind == "string" else f"{info.length:,} {_('elements')}")
    parts.append(_("memory {size}").format(size=format.size(info.memory_bytes)))
    parts.append(info.encoding or _("encoding unknown"))
    left = left_text(info.expires_at_ms)
    parts.append(_("never expires") if info.expires_at_ms is None else _("expires in {time}").format(time=left))
    return " · ".join(parts)


def commands(key: bytes, infos: dict[Store, KeyInfo]) -> None:
    """The key as redis-cli would make it."""
    opened = state.form()
    if opened is None or opened[0] != "commands" or not infos:
        return
    store = next(iter(infos))
    answer = queries.commands_of(store, key)
    if not isinstance(answer, Known):
        missing(answer, _("The commands"))
        jobview.follow(answer.pending, "keys-commands")
    elif answer.value is None:
        st.caption(_("Too big to be shown as commands; export it instead."))
    else:
        st.caption(_("Creates the key as the {store} store has it:").format(store=store))
        st.code(answer.value, language="bash", wrap_lines=True, height=240 if len(answer.value) > CUT else "content")


def value(key: bytes, kind: str, infos: dict[Store, KeyInfo], authority: Store) -> None:
    if kind == "string":
        string(key, infos)
    elif kind == "json":
        document(key, tuple(infos))
    elif kind in COLLECTIONS:
        collection(key, kind, infos, authority)
        if kind == "stream":
            groups(key, tuple(infos))
    else:
        st.info(_("Values of type {kind} cannot be shown.").format(kind=kind), icon=":material/info:")


# -- strings and documents


def string(key: bytes, infos: dict[Store, KeyInfo]) -> None:
    longest = max(info.length or 0 for info in infos.values())
    size = longest if longest <= WHOLE_BYTES else queries.TEXT_PAGE_BYTES
    pages = max(1, -(-longest // max(1, size)))
    offset = 0
    with st.container(horizontal=True, vertical_alignment="bottom", key="keys-value-bar"):
        form = st.selectbox(_("Format"), list(FORMS), format_func=lambda f: _(FORMS[f]), key="keys-show-as", width=160)
        if pages > 1:
            number = st.number_input(
                _("Part of {n}").format(n=f"{pages:,}"), 1, pages, key=f"keys-part-{key.hex()[:64]}", width=160
            )
            offset = (int(number) - 1) * size
            st.caption(_("from byte {at}").format(at=f"{offset:,}"))
    answer = queries.text(key, tuple(infos), offset, max(1, size))
    found = answer if isinstance(answer, Known) else answer.last
    if not isinstance(answer, Known):
        missing(answer, _("The value"))
        jobview.follow(answer.pending, "keys-text")
    if found is None:
        return
    values = {store: found.value[store] for store in infos if store in found.value}
    side_by_side(values, Form(form) if form else None, whole=pages == 1)
    if longest <= MOST_EDITED and pages == 1:
        edit_button("text", values)
    elif pages > 1:
        st.caption(_("Long values are shown in parts and are not edited here."))


def document(key: bytes, stores: tuple[Store, ...]) -> None:
    answer = queries.document(key, stores)
    if not isinstance(answer, Known):
        missing(answer, _("The document"))
        jobview.follow(answer.pending, "keys-document")
        return
    side_by_side(answer.value, Form.JSON, whole=True)
    edit_button("text", answer.value)


def side_by_side(values: dict[Store, bytes], form: Form | None, *, whole: bool) -> None:
    """Once where both stores have the same, else one beside the other."""
    if len(values) == 2 and len(set(values.values())) == 1:
        with st.container(key="keys-value-both"):
            st.caption(_("The same on both stores"))
            show(next(iter(values.values())), form, whole)
        return
    for column, (store, found) in zip(st.columns(max(1, len(values))), values.items(), strict=True):
        with column:
            store_heading(store)
            show(found, form, whole)


def show(found: bytes, form: Form | None, whole: bool) -> None:
    """One value, decompressed when it is compressed. Pickles are taken apart, never loaded."""
    notes = []
    packing = queries.packing_of(found)
    try:
        if packing is not None and whole and form is not Form.HEX:
            found, complete = queries.unpacked(found, packing)
            notes.append(_("decompressed from {packing}").format(packing=packing))
            if not complete:
                notes.append(_("the first 4 MB"))
        chosen = form or queries.guessed_form(found)
        text = queries.rendered(found, chosen)
    except NotInThisForm as error:
        notes.append(str(error))
        chosen = Form.HEX if form is None else Form.TEXT
        text = queries.rendered(found, chosen)
    if chosen is Form.PICKLE:
        notes.append(_("taken apart, not run"))
    if not found:
        st.caption(_("empty"))
        return
    shown = text[: 100 * CUT]
    language = "json" if chosen in (Form.JSON, Form.MSGPACK) else None
    st.code(
        shown, language=language, wrap_lines=chosen is Form.TEXT, height=420 if shown.count("\n") > 16 else "content"
    )
    notes = [str(chosen), *notes, *([_("cut")] if len(text) > len(shown) else [])]
    st.caption(" · ".join(notes))


def edit_button(name: str, about: Any) -> None:
    st.button(
        _("Edit"), icon=":material/edit:", key=f"keys-edit-{name}", disabled=not panel_actions.is_operator(),
        on_click=state.open_form, args=(name, about),
    )  # fmt: skip


# -- collections


def collection(key: bytes, kind: str, infos: dict[Store, KeyInfo], authority: Store) -> None:
    places: list[Any] = st.session_state.setdefault("keys-places", [None])
    match = None
    if kind in ("hash", "set", "zset") and max(info.length or 0 for info in infos.values()) > FEW:
        text = st.text_input(
            _("Find"), key="keys-match", type="search", placeholder="*", on_change=first_page, width=260,
            help=_("A glob on fields or members: `user*`."),
        )  # fmt: skip
        match = text.strip().encode() if text and text.strip() else None
    stores = tuple(sorted(infos, key=lambda store: store is not authority))
    answer = queries.elements(key, kind, stores, places[-1], match)
    found = answer if isinstance(answer, Known) else answer.last
    if not isinstance(answer, Known):
        missing(answer, _("The value"))
        jobview.follow(answer.pending, "keys-elements")
    if found is None:
        return
    part: ElementPage = found.value
    picked = element_table(key, kind, part, tuple(infos), len(places))
    element_buttons(kind, picked)
    turns(part, places)


def first_page() -> None:
    st.session_state["keys-places"] = [None]


def turns(page: ElementPage, places: list[Any]) -> None:
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
            st.caption(_("{n} elements looked at for such that only this store has").format(n=f"{page.passed:,}"))
        elif page.next is not None and page.next.extras:
            st.caption(_("Next: what only the {store} store has.").format(store=page.next.leader))


def element_table(key: bytes, kind: str, page: ElementPage, stores: tuple[Store, ...], number: int) -> Element | None:
    """One row for each element, with what either store has of it; returns the one that is chosen."""
    if not page.elements:
        st.caption(_("No elements here."))
        return None
    columns: dict[str, list[str]] = {_(NAMES[kind]): [shown(one.name) for one in page.elements]}
    for store in stores:
        values = [one.local if store is Store.LOCAL else one.cloud for one in page.elements]
        if kind == "set":
            columns[store.title()] = ["✓" if found is not None else "" for found in values]
        else:
            columns[store.title()] = ["" if found is None else shown(found) for found in values]
    if any(one.local_expires_at_ms or one.cloud_expires_at_ms for one in page.elements):
        columns[_("Expires")] = [field_expiry(one) for one in page.elements]
    if len(stores) == 2:
        columns[" "] = ["" if one.same else "≠" for one in page.elements]
    event = st.dataframe(
        tinted(pd.DataFrame(columns)), key=f"keys-elements-{key.hex()[:64]}-{number}", hide_index=True,
        on_select="rerun", selection_mode="single-row", height=height_of(len(page.elements), 460),
    )  # fmt: skip
    rows = event["selection"].get("rows", ())
    return page.elements[rows[0]] if rows and rows[0] < len(page.elements) else None


def shown(found: bytes) -> str:
    text = key_text(found)
    return text if len(text) <= CUT else f"{text[:CUT]}…"


def field_expiry(one: Element) -> str:
    moments = dict.fromkeys(left_text(ms) for ms in (one.local_expires_at_ms, one.cloud_expires_at_ms) if ms)
    return " / ".join(moments)


def element_buttons(kind: str, picked: Element | None) -> None:
    fixed = not panel_actions.is_operator()
    with st.container(horizontal=True, vertical_alignment="center", key="keys-element-buttons"):
        st.button(
            _("Add"), icon=":material/add:", key="keys-add", disabled=fixed, on_click=state.open_form, args=("add",)
        )
        if kind in ("hash", "list", "zset"):
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
        if picked is None:
            st.caption(_("Choose a row to change it."))


def groups(key: bytes, stores: tuple[Store, ...]) -> None:
    """Consumer groups of a stream, side by side."""
    with st.expander(_("Consumer groups"), icon=":material/groups:"):
        for column, store in zip(st.columns(max(1, len(stores))), stores, strict=True):
            with column:
                store_heading(store)
                group_list(store, key)


def group_list(store: Store, key: bytes) -> None:
    answer = queries.groups(store, key)
    if not isinstance(answer, Known):
        missing(answer, _("Groups"))
        jobview.follow(answer.pending, f"keys-groups-{store}")
        return
    if not answer.value:
        st.caption(_("No groups."))
    for group in answer.value:
        lag = _("unknown") if group.lag is None else f"{group.lag:,}"
        st.markdown(f"**{shown(group.name)}** · {group.last_delivered_id.decode()} · {_('lag')} {lag}")
        st.caption(_("{n} pending; consumers: {names}").format(
            n=f"{group.pending_count:,}", names=", ".join(map(shown, group.consumers)) or _("none")
        ))  # fmt: skip
        if group.pending:
            rows = [
                {
                    _("Entry"): entry.entry_id.decode(),
                    _("Consumer"): shown(entry.consumer),
                    _("Idle"): format.duration(entry.idle_ms / 1000),
                    _("Deliveries"): entry.deliveries,
                }
                for entry in group.pending
            ]
            st.dataframe(pd.DataFrame(rows), hide_index=True, key=f"keys-pending-{store}-{group.name.hex()}")
