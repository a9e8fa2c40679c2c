"""Who answers reads and who gets writes: what is so, and a form to change it."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from panel import actions, queries
from panel.i18n import N_, _
from panel.queries import Ack, Overview, ReadPreference, StoreState
from panel.verdict import named, reading_store, stranger, writing_store
from panel.widgets import EVERYWHERE, perform

__all__ = ["LOCAL_ONLY", "READ_WORDS", "routing_facts", "routing_form"]

READ_WORDS = {
    ReadPreference.LOCAL: N_("Local"), ReadPreference.CLOUD: N_("Cloud"), ReadPreference.FASTEST: N_("Fastest"),
}  # fmt: skip
WRITE_WORDS = {True: N_("Both stores"), False: N_("Local only")}
ACK_WORDS = {Ack.BOTH: N_("Both have it"), Ack.LOCAL: N_("Local has it")}
LOCAL_ONLY = N_(
    "**Local only** stops copying: from then on the cloud store grows out of date and cannot take over without losing "
    "what was written meanwhile. Meant for development."
)


def routing_form(snapshot: Overview, key: str) -> DeltaGenerator:
    """Who answers reads and who gets writes, to be changed and applied. Returns the room left for `routing_facts`."""
    now = snapshot.settings
    fixed = snapshot.cloud is None or not actions.is_operator()
    # The value in force is part of each key: when it is changed elsewhere, the control starts again from it.
    with st.container(border=True, key=f"{key}-routing"):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            read = _choice(_("Read preference"), READ_WORDS, now.read_preference, f"{key}-read", fixed)
            write = _choice(_("Write mode"), WRITE_WORDS, now.write_both, f"{key}-write", fixed)
            ack = _choice(_("Confirm a write when"), ACK_WORDS, now.ack, f"{key}-ack", fixed or not write)
            facts = st.container(width="stretch", key=f"{key}-facts")
            chosen = {"read_preference": read, "write_both": write, "ack": ack}
            changes = {name: value for name, value in chosen.items() if value != getattr(now, name)}
            st.button(
                _("Apply"), icon=":material/check:", type="primary" if changes else "secondary",
                disabled=fixed or not changes, help=_(EVERYWHERE), key=f"{key}-apply",
                on_click=perform, args=(actions.change_settings, queries.live().version), kwargs=changes,
            )  # fmt: skip
        if changes.get("write_both") is False:
            st.warning(_(LOCAL_ONLY), icon=":material/warning:")
        if snapshot.cloud is None:
            st.caption(_("There is nothing to choose while no cloud store is configured."))
    return facts


def _choice(label: str, words: dict[Any, str], current: Any, key: str, disabled: bool) -> Any:
    return st.segmented_control(
        label, list(words), default=current, required=True, format_func=lambda value: _(words[value]),
        key=f"{key}-{current}", disabled=disabled, wrap=True,
    )  # fmt: skip


def routing_facts(snapshot: Overview) -> None:
    """Where reads and writes go at this moment, whatever is preferred."""
    reads, writes = reading_store(snapshot), writing_store(snapshot)
    states = {facts.status.state for facts in (snapshot.local, snapshot.cloud) if facts}
    nowhere = _("a store not known yet") if StoreState.UNKNOWN in states else _("no store now")
    then = ""
    if writes is not None and snapshot.settings.replicated:
        if stranger(snapshot) is not None:
            later = _(", {store} is left alone until they are one pair")
        elif StoreState.DOWN in states:
            later = _(", {store} follows when it is back")
        else:
            later = _(", nobody ships them to {store}") if snapshot.status.is_unshipped else _(", {store} follows")
        then = later.format(store=named(writes.other))
    read = _("Reads go to {store}").format(store=named(reads) if reads else nowhere)
    written = _("Writes go to {store}").format(store=named(writes) if writes else nowhere)
    st.caption(f":material/call_split: {read}  \n:material/edit_note: {written}{then}")
