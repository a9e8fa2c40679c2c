"""Small pieces that the pages Diff and Sync share: two columns, one per store; facts in words; answers that lack."""

from __future__ import annotations

import time
from typing import Any

import pandas as pd
import streamlit as st

from panel import format
from panel.charts import STORE_COLORS
from panel.i18n import N_, _, ngettext
from panel.jobview import follow
from panel.queries import Store
from panel.reads import Answer, Known
from panel.repair.queries import Cause, Cost, Facts, kind_word
from panel.said import said
from panel.verdict import Tone, Verdict
from panel.widgets import COLORS, STORE_ICONS, answer_line, slot, zone

__all__ = [
    "CAUSES",
    "cost_text",
    "facts_text",
    "missing",
    "obstacle_line",
    "price_text",
    "store_heading",
    "store_name",
    "tinted",
    "type_word",
]

CAUSES = {
    Cause.ONLY_LOCAL: N_("only local"),
    Cause.ONLY_CLOUD: N_("only cloud"),
    Cause.TYPE: N_("type"),
    Cause.VALUE: N_("value"),
    Cause.STREAM_GROUP: N_("stream group"),
    Cause.TTL: N_("expiry"),
}
TINT = "22"
"""The alpha of a store's colour behind text: seen in both themes, and the text stays as readable as before."""


def tinted(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns Local and Cloud in their stores' colours."""
    styler = frame.style
    for store in Store:
        if (name := store_name(store)) in frame.columns:
            styler = styler.set_properties(subset=[name], **{"background-color": f"{STORE_COLORS[store]}{TINT}"})
    return styler


def store_name(store: Store) -> str:
    return _("Local") if store is Store.LOCAL else _("Cloud")


def store_heading(store: Store) -> None:
    st.markdown(f"{STORE_ICONS[store]} :{COLORS[store]}[**{store_name(store)}**]")


def type_word(kind: str) -> str:
    """A type as people call it; those of the server's own have one name in every language."""
    word = kind_word(kind)
    return kind if word == kind else _(word)


def facts_text(facts: Facts | None) -> str:
    """hash · 120 B · expires 14:02; what one store has of a key."""
    if facts is None:
        return _("not there")
    kind = _("value not read") if facts.kind == "?" else type_word(facts.kind)
    parts = [kind, format.size(facts.size_bytes)]
    if facts.expires_at_ms is not None:
        at_s = facts.expires_at_ms / 1000
        left = at_s - time.time()
        in_ = _("expires in {time}").format(time=format.duration(left))
        parts.append(in_ if left > 0 else _("is expiring"))
    return " · ".join(parts)


def cost_text(cost: Cost) -> str:
    """1,204 cloud commands · 3.2 MB · 12 s · $0.0024."""
    count = cost.cloud_commands
    commands = ngettext("{n} cloud command", "{n} cloud commands", count).format(n=format.number(count))
    took = format.seconds(cost.seconds) if cost.seconds >= 0.1 else _("under 0.1 s")
    return " · ".join([commands, format.size(cost.cloud_bytes), took, price_text(cost)])


def price_text(cost: Cost) -> str:
    """$0.0024; that a store asks nothing for its commands is said in words, as $0 looks like a mistake."""
    return _("not billed") if cost.cloud_commands and not cost.usd else format.money(cost.usd)


def missing(answer: Answer[Any], what: str, follow_as: str = "") -> None:
    """What is said where an answer lacks; with a name, the page follows while it is awaited."""
    if isinstance(answer, Known):
        return
    if answer.pending:
        awaited = _("asking the stores…")
        st.caption(f":material/hourglass_empty: {what}: {awaited}")
        return follow(bool(follow_as), follow_as)
    since = format.clock(answer.since_s, zone(), with_seconds=True)
    st.caption(f":material/help: {what}: {_('unknown since {time}').format(time=since)}. {said(answer.why)}")


def obstacle_line(found: Verdict | None) -> None:
    """Why something cannot be done now, and what to do; nothing when it can."""
    with slot():
        if found is not None and found.tone is Tone.NOTE:
            st.info(f"{found.sentence} {found.advice}".strip(), icon=":material/info:")
        elif found is not None:
            answer_line(found)
