"""What waits, what differs, and making it equal: now, periodically, and one conflict at a time; with undo."""

from __future__ import annotations

import streamlit as st

from panel import jobview, queries, widgets
from panel.i18n import N_, _
from panel.links import from_address, to_address
from panel.repair import conflictview, syncview, weather
from panel.weatherline import follow_weather

TICK_S = 2.0
SECTIONS = {
    "now": N_("Sync now"),
    "schedule": N_("Periodic"),
    "conflicts": N_("Conflicts"),
    "history": N_("History and undo"),
}

snapshot = queries.overview()
obstacle = weather.repair_obstacle(snapshot, widgets.zone())
st.fragment(syncview.standing, run_every=TICK_S, key="standing")()
count = snapshot.status.conflicts if snapshot is not None else None
from_address("section", "sync-section", list(SECTIONS), "now")
section = st.segmented_control(
    _("Section"), list(SECTIONS), required=True, key="sync-section",
    format_func=lambda name: _(SECTIONS[name]) + (f" · {count}" if name == "conflicts" and count else ""),
    label_visibility="collapsed",
)  # fmt: skip
to_address("section", str(section), "now")
if section == "now":
    syncview.now(obstacle)
elif section == "schedule":
    syncview.schedule(snapshot)
elif section == "conflicts":
    conflictview.conflicts(snapshot)
else:
    jobview.running_jobs("sync")
    syncview.history(obstacle)
jobview.finished_jobs(queries.jobs("diff", "sync", "merge of a key"))
follow_weather(snapshot)
