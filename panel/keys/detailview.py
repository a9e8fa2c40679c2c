"""One key: what each store has of it, side by side; big ones in pages."""

from __future__ import annotations

from functools import partial

import streamlit as st

from panel import actions as panel_actions
from panel import format, heartbeat, jobview
from panel.i18n import N_, _, ngettext
from panel.keys import editview, queries, seriesview, state, vectorsview
from panel.keys.collectionview import collection, first_page
from panel.keys.groupsview import groups
from panel.keys.listview import BADGES, left_text
from panel.keys.queries import Badge, Form, KeyInfo, KeyRow, Known, Store
from panel.keys.valueview import CUT, download_buttons, format_input, side_by_side
from panel.nav import page
from panel.repair.links import key_text
from panel.repair.pieces import missing, store_heading, store_name, type_word
from panel.said import said
from panel.verdict import named
from panel.widgets import slot

__all__ = ["draw"]

ABOUT = {"TSDB-TYPE": seriesview.about, "vectorset": vectorsview.about}
MOST_EDITED = 1024 * 1024
MOST_SHOWN = 8 * 1024 * 1024  # of memory, which is two or three times the text
LIVE_TICK_S = queries.FRESH_S + 1  # at each tick the answers of the one before are old
LIVE_HELP = N_(
    "Reads this key again every few seconds, not while a form is open or this tab is hidden. Each time costs commands "
    "where the cloud store bills them."
)


def draw(key: bytes, authority: Store) -> None:
    """Everything about one key."""
    stores = queries.stores_up()
    queries.ask_ahead(key, stores, authority, state.row_seen(key))
    infos: dict[Store, KeyInfo] = {}
    lacking: set[Store] = set()
    awaited = False
    with st.container(border=True, key="keys-detail"):
        row = head(key, stores, state.row_seen(key))
        columns = st.columns(max(1, len(stores)))
        for column, store in zip(columns, stores, strict=False):
            answer = queries.info(store, key)
            awaited |= answer.pending
            with column:
                store_heading(store)
                found = answer.last
                if found is None:
                    missing(answer, _("This key"))
                elif found.value is None:
                    lacking.add(store)
                    st.caption(":material/block: " + _("not there"))
                else:
                    infos[store] = found.value
                    st.caption(facts_line(found.value))
                    if found.value.kind in ABOUT:
                        ABOUT[found.value.kind](store, key)
        elsewhere = bool(infos) and authority in lacking
        editview.toolbar(
            authority.other if elsewhere else None, gone=lacking == set(stores), unreachable=not stores
        )  # fmt: skip
        with slot():
            commands(key, infos)
        main = infos.get(authority) or next(iter(infos.values()), None)
        if main is not None:
            state.kind_seen(key, main.kind)
        # What somebody has typed stays in sight while no store answers.
        if (kind := state.last_kind(key)) is not None:
            editview.draw(key, kind, infos, authority, elsewhere=elsewhere)
        if (shown := whose(infos, authority)) is not None:
            kind = infos[shown].kind
            fixed = elsewhere or (authority in infos and infos[authority].kind != kind)
            holders = {store: found for store, found in infos.items() if found.kind == kind}
            value(key, kind, holders, authority, fixed=fixed or not panel_actions.is_operator())
        if row is not None and row.badge in (Badge.DIFFERS, Badge.ONLY_LOCAL, Badge.ONLY_CLOUD):
            st.page_link(
                page("diff"), label=_("Compare field by field and repair"), icon=":material/difference:",
                query_params={"key": key_text(key)},
            )  # fmt: skip
    jobview.follow(awaited, "keys-detail")
    if state.is_live() and state.form() is None:
        heartbeat.beat(LIVE_TICK_S)


def head(key: bytes, stores: tuple[Store, ...], seen: KeyRow | None) -> KeyRow | None:
    """Its name and badge; until the stores have been compared anew, what the list said of it."""
    row = seen if seen is not None and seen.badge is not Badge.UNKNOWN and len(stores) == 2 else None
    with st.container(horizontal=True, vertical_alignment="center"):
        st.code(key_text(key), language=None, wrap_lines=True, width="stretch")
        if len(stores) == 2:
            answer = queries.badge_of_key(key, stores, queries.PATIENCE_S if row is None else 0.0)
            found = answer.last
            row = found.value[0] if found else row
            jobview.follow(answer.pending, "keys-badge")
        word, _mark, icon, color = BADGES[row.badge if row else Badge.UNKNOWN]
        st.badge(_(word), icon=icon, color=color)  # type: ignore[arg-type]
        st.toggle(_("Live"), key="keys-live", help=_(LIVE_HELP))
    with slot():
        if row is not None and row.detail:
            st.caption(format.sentence(said(row.detail)))
    return row


def facts_line(info: KeyInfo) -> str:
    """hash · 12 elements · 1.2 KB · listpack · expires in 3 h."""
    parts = [f"**{type_word(info.kind)}**"]
    if info.length is not None:
        count = ngettext("{n} element", "{n} elements", info.length).format(n=format.number(info.length))
        parts.append(format.size(info.length) if info.kind == "string" else count)
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
        missing(answer, _("The commands"), "keys-commands")
    elif answer.value is None:
        st.caption(_("Too big to be shown as commands, or of a type that has none."))
    else:
        st.caption(_("Creates the key as the {store} store has it:").format(store=named(store)))
        st.code(answer.value, language="bash", wrap_lines=True, height=240 if len(answer.value) > CUT else "content")


def whose(infos: dict[Store, KeyInfo], authority: Store) -> Store | None:
    """The store whose value is shown. Both are, beside each other, unless they have nothing in common."""
    if len({one.kind for one in infos.values()}) < 2:
        return next(iter(infos), None)
    st.warning(_("The types differ, so each value stands for itself."), icon=":material/difference:")
    return st.segmented_control(
        _("Show the value of"), queries.leading(infos, authority), default=authority, required=True,
        format_func=store_name, key="keys-whose", on_change=first_page,
    )  # fmt: skip


def value(key: bytes, kind: str, infos: dict[Store, KeyInfo], authority: Store, *, fixed: bool) -> None:
    """`fixed`: it is not to be changed here, by this reader or at all."""
    if kind == "string":
        string(key, infos, authority, fixed=fixed)
    elif kind == "json":
        document(key, infos, fixed=fixed)
    elif kind in queries.COLLECTIONS:
        if kind == "TSDB-TYPE":
            seriesview.chart(key, tuple(infos))
        collection(key, kind, infos, authority, fixed=fixed)
        if kind == "stream":
            groups(key, tuple(infos), authority)
        elif kind == "vectorset":
            vectorsview.search(key, tuple(infos))
    else:
        st.info(_("Values of type {kind} cannot be shown.").format(kind=kind), icon=":material/info:")


# -- strings and documents


def string(key: bytes, infos: dict[Store, KeyInfo], authority: Store, *, fixed: bool) -> None:
    longest = max(info.length or 0 for info in infos.values())
    size = queries.first_text_bytes(longest)
    pages = max(1, -(-longest // size))
    offset = 0
    with st.container(horizontal=True, vertical_alignment="bottom", key="keys-value-bar"):
        form = format_input("keys-show-as")
        if pages > 1:
            number = st.number_input(
                _("Part of {n}").format(n=format.number(pages)), 1, pages, key=f"keys-part-{key.hex()[:64]}", width=160
            )
            offset = (int(number) - 1) * size
            st.caption(_("from byte {at}").format(at=format.number(offset)))
    answer = queries.text(key, tuple(infos), offset, size)
    found = answer.last
    missing(answer, _("The value"), "keys-text")
    if found is None:
        return
    values = {store: found.value[store] for store in infos if store in found.value}
    side_by_side(values, form, whole=pages == 1)
    if longest <= MOST_EDITED and pages == 1:
        with st.container(horizontal=True):
            edit_button(values, fixed=fixed)
            file_button(values.get(authority), fixed=fixed)
            download_buttons(key, values)
    elif pages > 1:
        st.caption(_("Long values are shown in parts and are not edited here."))
        with st.container(horizontal=True):
            file_button(infos[authority].length if authority in infos else None, fixed=fixed)
            if longest <= queries.MOST_DOWNLOADED:
                download_buttons(key, values, partial(queries.whole_text, key))


def document(key: bytes, infos: dict[Store, KeyInfo], *, fixed: bool) -> None:
    if max(info.memory_bytes or 0 for info in infos.values()) > MOST_SHOWN:
        path = format.code(f"JSON.GET {key_text(key)} $.…")
        st.caption(
            _("Too large to be shown as a whole: read a part of it on the page Console, {command}.").format(
                command=path
            )
        )
        with st.container(horizontal=True):
            download_buttons(key, dict.fromkeys(infos, b"{}"), partial(queries.whole_document, key))
        return
    answer = queries.document(key, tuple(infos))
    if not isinstance(answer, Known):
        return missing(answer, _("The document"), "keys-document")
    side_by_side(answer.value, Form.JSON, whole=True)
    with st.container(horizontal=True):
        if max(map(len, answer.value.values()), default=0) <= MOST_EDITED:
            edit_button(answer.value, fixed=fixed)
        download_buttons(key, answer.value)


def file_button(seen: bytes | int | None, *, fixed: bool) -> None:
    st.button(
        _("From a file"), icon=":material/upload_file:", key="keys-edit-file", disabled=fixed,
        on_click=state.open_form, args=("file", seen),
    )  # fmt: skip


def edit_button(values: dict[Store, bytes], *, fixed: bool) -> None:
    st.button(
        _("Edit"), icon=":material/edit:", key="keys-edit-text", disabled=fixed, on_click=state.open_form,
        args=("text", values),
    )  # fmt: skip
