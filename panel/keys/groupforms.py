"""The forms for a stream's consumer groups: what is pending in them, where they go on, their consumers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from panel import format
from panel.i18n import N_, _
from panel.keys.collectionview import shown
from panel.keys.queries import Edit, GroupInfo, PendingInfo, edits
from panel.keys.saving import buttons
from panel.repair.links import key_from

__all__ = [
    "acknowledge_form",
    "claim_form",
    "consumer_delete_form",
    "group_create_form",
    "group_delete_form",
    "group_move_form",
    "ids_of",
]

SHOWN_IDS = 8
CLAIM_HELP = N_("An entry that was delivered anew meanwhile stays where it is.")
BEHIND = "behind"
PLACES = {"0": N_("With the first entry"), "$": N_("With the next new entry"), BEHIND: N_("Behind an entry")}


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
        return edits.claim_entries(key, group, entered_name(), ids_of(entries), idle_ms)

    buttons(_("Claim entries"), build)


def named(entries: Sequence[PendingInfo]) -> str:
    names = ", ".join(format.code(entry.entry_id.decode()) for entry in entries[:SHOWN_IDS])
    return names + "…" * (len(entries) > SHOWN_IDS)


def group_create_form(key: bytes) -> None:
    st.markdown(f"**{_('New group on both stores')}**")
    st.text_input(_("Name"), key="keys-form-name")
    after = place_input()
    buttons(_("Create"), lambda: edits.create_group(key, entered_name(), after()))


def group_move_form(key: bytes, group: GroupInfo) -> None:
    text = _("Where group {group} goes on, on both stores. What is pending stays so.")
    st.markdown(text.format(group=format.code(shown(group.name))))
    after = place_input()
    buttons(_("Save on both stores"), lambda: edits.move_group(key, group.name, after()))


def group_delete_form(key: bytes, group: GroupInfo) -> None:
    text = _("Delete group {group} on both stores, with its {n} pending entries? They stay in the stream.")
    st.markdown(text.format(group=format.code(shown(group.name)), n=format.number(group.pending_count)))
    buttons(_("Delete group"), lambda: edits.delete_group(key, group.name))


def consumer_delete_form(key: bytes, group: GroupInfo) -> None:
    text = _("Delete a consumer of group {group} on both stores? What it has pending is nobody's then: claim it first.")
    st.markdown(text.format(group=format.code(shown(group.name))))
    consumer = st.selectbox(_("Consumer"), group.consumers, key="keys-form-consumer", format_func=shown)
    buttons(_("Delete consumer"), lambda: edits.delete_consumer(key, group.name, consumer))


def place_input() -> Callable[[], str]:
    """Where a group is to go on."""
    st.segmented_control(
        _("Goes on"), list(PLACES), default="$", required=True, key="keys-form-place",
        format_func=lambda place: _(PLACES[place]),
    )  # fmt: skip
    if st.session_state["keys-form-place"] == BEHIND:
        st.text_input(_("Entry"), key="keys-form-entry", placeholder="1526919030474-0")

    def read() -> str:
        place = str(st.session_state["keys-form-place"])
        return place if place != BEHIND else str(st.session_state.get("keys-form-entry") or "").strip()

    return read


def entered_name() -> bytes:
    return key_from(str(st.session_state.get("keys-form-name") or "").strip())
