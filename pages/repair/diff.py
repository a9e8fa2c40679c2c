"""Do the stores agree? What differs, why, field by field; and making it equal, one key or many."""

from __future__ import annotations

import streamlit as st

from panel import format, jobview, queries, widgets
from panel.i18n import _, ngettext
from panel.repair import diffstart, diffview, keyview, pieces, planview, weather
from panel.repair import queries as repair
from panel.repair.links import key_from
from panel.weatherline import follow_weather

snapshot = queries.overview()
zone = widgets.zone()
obstacle = weather.obstacle(snapshot, zone)
found = repair.diffs()
results = found.value if isinstance(found, repair.Known) else []
answer = diffview.answer(results[0] if results else None)
widgets.headline(_("Diff"), obstacle or answer)
st.caption(answer.sentence)
pieces.obstacle_line(obstacle)
pieces.missing(found, _("Comparisons"), "diffs")
just_opened = not diffstart.is_drawn()
diffstart.scope_form(obstacle is not None)
jobview.running_jobs("diff", "sync", "merge of a key")

repairable = weather.repair_obstacle(snapshot, zone)
key = diffview.chosen_key(just_opened=just_opened)
shown = None
if results:
    shown = diffview.chooser(results, blocked=obstacle is not None)
    diffview.sums(shown)
    file = repair.opened_diff(shown.id) if shown.different else None
    if file is not None:
        with file:
            selection = diffview.selection_form(shown)
            total = diffview.differences_table(file, selection, just_opened=just_opened)
        if total:
            diffview.downloads(shown, selection, total)
if key:
    keyview.key_view(key_from(key), st.session_state.get(diffview.ENTRY), repairable)
if shown is not None and shown.different and file is not None and total:
    words = ngettext("Make this key equal", "Make these {n} keys equal", total).format(n=format.number(total))
    with st.expander(words, icon=":material/sync:"):
        if repairable != obstacle:
            pieces.obstacle_line(repairable)
        planview.plan_form(selection, shown.ended_at_s, repairable, "diff")
if results:
    diffview.history_table(results)
jobview.finished_jobs(queries.jobs("diff", "sync", "merge of a key"))
follow_weather(snapshot)
