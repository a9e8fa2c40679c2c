"""The page Sync: what waits, how far the stores agree, a sync now, the periodic one, and the history with its undo."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import actions, backlog, format, jobview
from panel import queries as panel_queries
from panel.i18n import N_, _, ngettext
from panel.queries import Overview
from panel.repair import actions as repair
from panel.repair import planview, queries
from panel.repair.agreement import agreement as found_agreement
from panel.repair.agreement import share_and_note
from panel.repair.diffstart import pattern_input
from panel.repair.diffview import title_of
from panel.repair.pieces import missing, obstacle_line
from panel.repair.queries import Divergence, Ending, Known, Selection, SyncEnding, SyncResult
from panel.repair.weather import repair_obstacle
from panel.said import said
from panel.tables import ONE_CLICK, clicked
from panel.verdict import Tone, Verdict, facts_of, named, unshipped, writes_first
from panel.widgets import EVERYWHERE, answer_line, headline, metric, perform, zone

__all__ = ["answer", "history", "now", "schedule", "standing"]

INTERVALS_S = {
    60: N_("1 minute"),
    300: N_("5 minutes"),
    900: N_("15 minutes"),
    3600: N_("1 hour"),
    21600: N_("6 hours"),
}
PERIODIC = N_(
    "The process that ships compares the next keys at each turn, and repairs what differs: a value written directly to "
    "the cloud store wins, unless the application has written a newer one; a key that one store lacks is copied to it; "
    "nothing is deleted. On a store that bills commands it takes at most {n} of them a day, and goes slower instead."
)


def answer(snapshot: Overview | None, obstacle: Verdict | None) -> Verdict:
    """Whether anything waits."""
    if obstacle is not None:
        return obstacle
    assert snapshot is not None
    waiting, folded = snapshot.status.lag_entries, snapshot.status.folded_keys
    if waiting is None:
        return Verdict(Tone.NOTE, _("Unknown"), _("How much waits to be shipped is not known now."))
    found = unshipped(snapshot)
    if found is not None:
        return found
    if waiting or folded:
        return Verdict(
            Tone.NOTE, _("Backlog"), _("Writes are on their way: they follow by themselves, without a sync.")
        )
    return Verdict(Tone.FINE, _("Nothing waits"), _("Every write is on both stores, as far as the log knows."))


def standing() -> None:
    """The page's title with its answer, the backlog of the log, and how far the stores agree. Reads what is known; asks
    no store on a tick."""
    snapshot = panel_queries.overview()
    obstacle = repair_obstacle(snapshot, zone())
    found = answer(snapshot, obstacle)
    headline(_("Sync"), found)
    obstacle_line(obstacle)
    if obstacle is None:
        answer_line(found)
    if snapshot is None or snapshot.cloud is None:
        return
    status = snapshot.status
    measured = found_agreement() if not snapshot_blocks(snapshot) else None
    known = measured.value if isinstance(measured, Known) else None
    with st.grid(4, min_column_width=150):
        waits = _("Waits for {store}").format(store=named(status.authority.other))
        metric(waits, format.count(status.lag_entries), backlog.note(snapshot))
        unread = _("not to be read now") if snapshot.settings.replicated else _("writes stay local")
        folded = {None: unread, 0: _("no long outage")}.get(status.folded_keys, _("from a long outage, sent by key"))
        metric(_("Folded keys"), format.count(status.folded_keys), folded, help=_(FOLDED))
        equal_share(known, _("not measured yet") if isinstance(measured, Known) else _("not to be read now"))
        conflicts = status.conflicts
        kept = {None: _("not to be read now"), 0: _("none in the archive")}.get(conflicts, _("kept for 30 days"))
        metric(_("Conflicts"), format.count(conflicts), kept)


FOLDED = N_(
    "After a long outage the log is folded: of each key only the last state is sent. So many keys still wait for that."
)


def snapshot_blocks(snapshot: Overview) -> bool:
    """Whether asking for what was measured is idle now: the store that keeps it does not answer."""
    facts = facts_of(snapshot, writes_first(snapshot))
    return facts is None or facts.status.state in (panel_queries.StoreState.DOWN, panel_queries.StoreState.UNKNOWN)


def equal_share(measured: Divergence | None, none: str) -> None:
    metric(_("Keys equal"), *(share_and_note(measured) or (_(format.UNKNOWN), none)))


# -- now


def now(obstacle: Verdict | None) -> None:
    """A sync in two steps: compare, which changes nothing and is the dry run; then the plan, and the word to run it."""
    found = queries.diffs()
    results = found.value if isinstance(found, Known) else []
    with st.container(border=True, key="sync-compare"):
        st.markdown(_("**1. Compare** :gray[changes nothing]"))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            scope = pattern_input("sync")
            st.button(
                _("Compare"), icon=":material/difference:", key="sync-start", type="primary",
                disabled=obstacle is not None or not actions.is_operator(),
                on_click=perform, args=(repair.start_diff, scope),
            )  # fmt: skip
    jobview.running_jobs("diff", "sync")
    if not results:
        if not any(job.running for job in panel_queries.jobs("diff")):
            st.caption(
                _("Nothing was compared yet. Compare first: what differs is then planned and shown before it is done.")
                if actions.is_operator()
                else _("Nothing was compared yet.")
            )
        return
    with st.container(border=True, key="sync-plan"):
        st.markdown(_("**2. Look at the plan, and run it** :gray[the dry run: nothing is changed before the button]"))
        ids = [result.id for result in results]
        words = {result.id: title_of(result) for result in results}
        chosen = st.selectbox(_("Comparison"), ids, format_func=words.__getitem__, key=f"sync-diff-{ids[0]}", width=420)
        result = results[ids.index(chosen)]
        if not result.different and result.ending is not Ending.FINISHED:
            st.caption(
                _("It did not finish, so nothing can be said of it: compare again, or resume it on the page Diff.")
            )
            return
        if not result.different:
            st.caption(_("Nothing differs in it: there is nothing to do."))
            return
        if result.ending is not Ending.FINISHED:
            st.caption(_("It did not finish: the plan has only what was found until then."))
        planview.plan_form(Selection(result.id), result.ended_at_s, obstacle, "sync")


# -- periodic


def schedule(snapshot: Overview | None) -> None:
    """The periodic sync: on or off, how often; what it does, and what it did."""
    if snapshot is None or snapshot.cloud is None:
        st.caption(_("There is nothing to keep in sync: no cloud store is configured."))
        return
    settings = snapshot.settings
    fixed = not actions.is_operator()
    with st.container(border=True, key="sync-schedule"):
        st.caption(_(PERIODIC).format(n=format.number(queries.DAILY_COMMANDS)))
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            enabled = st.toggle(
                _("Periodic sync"), value=settings.sync_enabled, key=f"sync-on-{settings.sync_enabled}", disabled=fixed
            )
            current = round(settings.sync_interval_s)
            choices = sorted({*INTERVALS_S, current})
            interval = st.selectbox(
                _("A turn every"), choices, index=choices.index(current), key=f"sync-every-{current}", width=180,
                format_func=lambda s: _(INTERVALS_S[s]) if s in INTERVALS_S else f"{s} s",
                disabled=fixed or not enabled,
            )  # fmt: skip
            changes: dict[str, object] = {}
            if enabled != settings.sync_enabled:
                changes["sync_enabled"] = enabled
            if interval != current:
                changes["sync_interval_s"] = float(interval)
            st.button(
                _("Apply"), icon=":material/check:", type="primary" if changes else "secondary", key="sync-apply",
                disabled=fixed or not changes, help=_(EVERYWHERE),
                on_click=perform, args=(actions.change_settings, panel_queries.live().version), kwargs=changes,
            )  # fmt: skip
    if snapshot_blocks(snapshot):
        st.caption(_("What it did is not known while the store that takes writes does not answer."))
        return
    measured = queries.divergence()
    if not isinstance(measured, Known):
        return missing(measured, _("What it did"))
    if measured.value is None:
        st.caption(_("It has not had its first turn yet."))
        return
    with st.grid(4, min_column_width=150):
        done = measured.value
        rounds = ngettext("{n} whole round", "{n} whole rounds", done.rounds).format(n=format.number(done.rounds))
        metric(_("Last turn"), format.clock(done.checked_at_s, zone()), rounds)
        sampled = done.sampled + done.sampled_before
        metric(_("Compared"), format.count(sampled), _("keys, this round and the last"))
        metric(_("Repaired today"), format.count(done.repaired_today), _("UTC day {day}").format(day=done.day))
        metric(_("Cloud commands today"), format.count(done.cloud_commands_today), _("for the periodic sync"))


# -- history


def history(obstacle: Verdict | None) -> None:
    """All syncs of all processes, newest first; one that overwrote something can be undone."""
    found = queries.syncs()
    results = found.last.value if found.last else None
    if obstacle is None:
        missing(found, _("History"), "syncs")
    elif results is None:
        st.caption(_("What was synced is not known until both stores answer."))
    if results is None:
        return
    if not results:
        st.caption(_("Nothing was synced yet."))
        return
    rows = [row_of(result) for result in results]
    picked = st.dataframe(
        pd.DataFrame(rows), hide_index=True, key=f"sync-history-{results[0].id}", on_select="rerun",
        selection_mode=ONE_CLICK, height=420 if len(rows) > 10 else "auto", alt=_("Syncs"),
    )  # fmt: skip
    row = clicked(picked["selection"], len(results))
    if row is not None:
        undo_form(results[row], obstacle)
    else:
        st.caption(_("Select one to see what it did, or to undo it."))


def row_of(result: SyncResult) -> dict[str, str]:
    ending = said(result.ending.value) + "!" * (result.ending is not SyncEnding.FINISHED)
    copied, deleted, commands = (
        format.count(None if result.ending is SyncEnding.OPEN else count)
        for count in (result.copied, result.deleted, result.cloud_commands)
    )
    return {
        _("When"): format.clock(result.started_at_s, zone()),
        _("Direction"): said(result.direction),
        _("Keys"): result.pattern,
        _("Copied"): copied,
        _("Deleted"): deleted,
        _("Ending"): ending,
        _("Cloud commands"): commands,
        _("By"): said(result.author) or _("unknown"),
    }


def undo_form(result: SyncResult, obstacle: Verdict | None) -> None:
    with st.container(border=True, key="sync-undo"):
        st.caption(f"`{result.id}` · {said(repair.sync_summary(result))}")
        if result.reason:
            st.caption(said(result.reason))
        if result.undo_until_s is None:
            st.caption(_("It overwrote nothing, so there is nothing to undo."))
            return
        until = format.clock(result.undo_until_s, zone())
        st.caption(
            _("What it overwrote is kept until {time}. A key that was written since is left alone.").format(time=until)
        )
        with st.container(horizontal=True, vertical_alignment="bottom"):
            everywhere = st.toggle(_("Bring it back on both stores"), key=f"sync-both-{result.id}", help=_(BOTH))
            st.button(
                _("Undo"), icon=":material/undo:", key="sync-undo-run",
                disabled=obstacle is not None or not actions.is_operator(),
                on_click=perform, args=(repair.start_undo, result.id), kwargs={"everywhere": everywhere},
            )  # fmt: skip


BOTH = N_(
    "Off: what was on the store that the sync wrote to is put back there, so the stores differ again as they did. "
    "On: the old values are written to both stores, and keys that the sync created stay."
)
