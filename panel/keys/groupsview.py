"""A stream's consumer groups on each store, and what waits in them; where writes go first, with what can be done."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import actions as panel_actions
from panel import format
from panel.i18n import _
from panel.keys import queries, state
from panel.keys.collectionview import shown
from panel.keys.groupforms import ids_of
from panel.keys.queries import GroupInfo, Known, Store
from panel.repair.pieces import missing, store_heading

__all__ = ["groups"]


def groups(key: bytes, stores: tuple[Store, ...], authority: Store) -> None:
    """Consumer groups of a stream, side by side; entries are chosen where writes go first."""
    # Its state is kept by name: a form that opens above it would close it.
    with st.expander(_("Consumer groups"), icon=":material/groups:", key="keys-groups", on_change="rerun"):
        for column, store in zip(st.columns(max(1, len(stores))), stores, strict=True):
            with column:
                store_heading(store)
                group_list(store, key, changeable=store is authority)


def group_list(store: Store, key: bytes, *, changeable: bool) -> None:
    answer = queries.groups(store, key)
    if not isinstance(answer, Known):
        return missing(answer, _("Groups"), f"keys-groups-{store}")
    if not answer.value:
        st.caption(_("No groups."))
    for group in answer.value:
        lag = _("unknown") if group.lag is None else format.number(group.lag)
        st.markdown(f"**{format.escaped(shown(group.name))}** · {group.last_delivered_id.decode()} · {_('lag')} {lag}")
        consumers = format.escaped(", ".join(map(shown, group.consumers))) or _("none")
        pending = format.number(group.pending_count)
        st.caption(_("{n} pending; consumers: {names}").format(n=pending, names=consumers))
        if group.pending:
            pending_table(store, group, changeable=changeable)
        if len(group.pending) < group.pending_count:
            st.caption(_("Only the first {n} entries are listed.").format(n=format.number(len(group.pending))))
        if changeable:
            group_buttons(group)
    if changeable:
        st.button(
            _("New group"), icon=":material/group_add:", key="keys-group-create", on_click=state.open_form,
            args=("group-create",), disabled=not panel_actions.is_operator(),
        )  # fmt: skip


def group_buttons(group: GroupInfo) -> None:
    with st.container(horizontal=True):
        form_button("group-move", _("Position"), ":material/move_down:", group)
        form_button("group-delete", _("Delete group"), ":material/delete:", group)
        if group.consumers:
            form_button("consumer-delete", _("Delete consumer"), ":material/person_remove:", group)


def form_button(name: str, label: str, icon: str, group: GroupInfo) -> None:
    st.button(
        label, icon=icon, key=f"keys-{name}-{group.name.hex()}", type="tertiary", on_click=state.open_form,
        args=(name, group), disabled=not panel_actions.is_operator(),
    )  # fmt: skip


def pending_table(store: Store, group: GroupInfo, *, changeable: bool) -> None:
    rows = [
        {
            _("Entry"): entry.entry_id.decode(),
            _("Consumer"): shown(entry.consumer),
            _("Idle"): format.duration(entry.idle_ms / 1000),
            _("Deliveries"): entry.deliveries,
        }
        for entry in group.pending
    ]
    grid = f"keys-pending-{store}-{group.name.hex()}"
    if not changeable:
        st.dataframe(pd.DataFrame(rows), hide_index=True, key=grid)
        return
    event = st.dataframe(
        pd.DataFrame(rows), hide_index=True, key=f"{grid}-{hash(ids_of(group.pending))}", on_select="rerun",
        selection_mode="multi-row",
    )  # fmt: skip
    chosen = [group.pending[row] for row in event["selection"].get("rows", ()) if row < len(group.pending)]
    with st.container(horizontal=True, vertical_alignment="center"):
        for name, label, icon in (
            ("acknowledge", _("Acknowledge entries"), ":material/done_all:"),
            ("claim", _("Claim entries"), ":material/move_item:"),
        ):
            st.button(
                label, icon=icon, key=f"keys-{name}-{group.name.hex()}", on_click=state.open_form,
                args=(name, (group.name, chosen)), disabled=not chosen or not panel_actions.is_operator(),
            )  # fmt: skip
        if not chosen and panel_actions.is_operator():
            st.caption(_("Mark entries to acknowledge them, or to give them to another consumer."))
