"""What is so of both stores together: what waits for the other one, and whether they hold the same."""

from __future__ import annotations

import streamlit as st

from panel import backlog, format
from panel.i18n import _, ngettext
from panel.queries import Overview
from panel.reads import Answer, Known
from panel.repair.agreement import share_and_note
from panel.repair.queries import Divergence
from panel.verdict import named

__all__ = ["agreement", "lag"]


def lag(snapshot: Overview) -> None:
    """How much of the replication log the other store has not got yet."""
    if snapshot.cloud is None or not snapshot.settings.replicated:
        return
    entries, target = snapshot.status.lag_entries, snapshot.status.authority.other
    if entries is None:
        shown = _(":gray[unknown]")
    else:
        shown = ngettext("{n} entry", "{n} entries", entries).format(n=format.number(entries))
    title = _("Waits for {store}").format(store=named(target))
    _fact(title, ":material/schedule_send:", shown, backlog.note(snapshot))


def agreement(snapshot: Overview, answer: Answer[Divergence | None]) -> None:
    """How much of what was compared lately is equal on both stores, and when that was."""
    if snapshot.cloud is None or not snapshot.settings.replicated:
        return
    found = answer.last
    unknown = _(":gray[unknown]"), _("not compared yet") if isinstance(answer, Known) else ""
    shown, note = share_and_note(found.value if found is not None else None) or unknown
    _fact(_("Equal on both stores"), ":material/balance:", shown, note)


def _fact(title: str, icon: str, shown: str, note: str) -> None:
    st.metric(title, shown, icon=icon, delta=" ", delta_color="gray", delta_arrow="off", delta_description=note or None)
