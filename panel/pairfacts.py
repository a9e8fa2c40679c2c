"""What is so of both stores together: what waits for the other one, and whether they hold the same."""

from __future__ import annotations

import streamlit as st

from panel import backlog, format
from panel.i18n import _, ngettext
from panel.queries import Overview
from panel.reads import Answer, Known
from panel.repair.queries import Divergence
from panel.verdict import named
from panel.widgets import zone

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
    found = answer if isinstance(answer, Known) else answer.last
    measured = found.value if found is not None else None
    share = measured.equal_share if measured is not None else None
    if measured is None or share is None:
        shown, note = _(":gray[unknown]"), _("not compared yet") if isinstance(answer, Known) else ""
    else:
        shown = "100%" if share == 1.0 else f"{format.number(100 * min(share, 0.9999), '.2f')}%"
        checked, open_ = format.clock(measured.checked_at_s, zone()), measured.open_differences
        if open_:  # beside it there is room for a few words only
            note = (
                ngettext("{n} key differs", "{n} keys differ", open_).format(n=format.number(open_)) + f" · {checked}"
            )
        else:
            note = _("{n} looked at · {time}").format(n=format.number(measured.seen), time=checked)
    _fact(_("Equal on both stores"), ":material/balance:", shown, note)


def _fact(title: str, icon: str, shown: str, note: str) -> None:
    st.metric(title, shown, icon=icon, delta=" ", delta_color="gray", delta_arrow="off", delta_description=note or None)
