"""A stream's consumer groups on each store; what waits in them is acknowledged, or given to another consumer."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from panel import actions as panel_actions
from panel import format
from panel.i18n import N_, _
from panel.keys import queries, state
from panel.keys.collectionview import shown
from panel.keys.queries import Edit, GroupInfo, Known, PendingInfo, Store, edits
from panel.keys.saving import buttons
from panel.repair.links import key_from
from panel.repair.pieces import missing, store_heading

__all__ = ["acknowledge_form", "claim_form", "groups"]

SHOWN_IDS = 8
CLAIM_HELP = N_("An entry that was delivered anew meanwhile stays where it is.")


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


def ids_of(entries: Sequence[PendingInfo]) -> tuple[bytes, ...]:
    return tuple(entry.entry_id for entry in entries)


def acknowledge_form(key: bytes, group: bytes, entries: Sequence[PendingInfo]) -> None:
    """They leave the group on both stores: no consumer gets them any more."""
    st.markdown(
        _("Acknowledge {entries} in group {group} on both stores? No consumer gets them any more.").format(
            entries=named(entries), group=format.code(shown(group))
        )
    )
    buttons(_("Acknowledge entries"), lambda: edits.acknowledge_entries(key, group, ids_of(entries)))


def claim_form(key: bytes, group: bytes, entries: Sequence[PendingInfo]) -> None:
    """They are another consumer's on both stores, who reads them as its own pending ones."""
    st.markdown(
        _("Give {entries} in group {group} to another consumer, on both stores.").format(
            entries=named(entries), group=format.code(shown(group))
        )
    )
    st.text_input(_("Consumer"), key="keys-form-name", help=_(CLAIM_HELP))
    idle_ms = min(entry.idle_ms for entry in entries)

    def build() -> Edit:
        consumer = key_from(str(st.session_state.get("keys-form-name") or "").strip())
        return edits.claim_entries(key, group, consumer, ids_of(entries), idle_ms)

    buttons(_("Claim entries"), build)


def named(entries: Sequence[PendingInfo]) -> str:
    names = ", ".join(format.code(entry.entry_id.decode()) for entry in entries[:SHOWN_IDS])
    return names + "…" * (len(entries) > SHOWN_IDS)
