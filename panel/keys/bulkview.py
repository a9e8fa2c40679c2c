"""Many keys at once: expiry, deletion, export and import. What is done is shown before, counted, and confirmed."""

from __future__ import annotations

from typing import Any

import streamlit as st

from panel import actions as panel_actions
from panel import confirm, format, jobview, queries
from panel.i18n import N_, _, ngettext
from panel.jobs import Job, JobState
from panel.keys import bulkactions, state
from panel.keys.bulkactions import BULK_JOB, COLLECT_JOB, EXPORT_JOB, IMPORT_JOB, Collected, Exported
from panel.keys.queries import Conflict, Format, Store, leading, stores_up
from panel.repair.links import key_from, key_text
from panel.repair.pieces import store_name
from panel.said import said
from panel.verdict import named, writes_first
from panel.widgets import perform, zone

__all__ = ["draw"]

SAMPLE = 12
RENAMED = 4
EXPIRIES = {
    3600: N_("In an hour"), 86_400: N_("In a day"), 7 * 86_400: N_("In a week"), 30 * 86_400: N_("In 30 days"),
    0: N_("Never"),
}  # fmt: skip
CONFLICTS = {
    Conflict.SKIP: N_("Leave what is there"),
    Conflict.OVERWRITE: N_("Overwrite"),
    Conflict.LONGER_TTL: N_("The one that lives longer"),
    Conflict.FAIL: N_("Stop at the first"),
}
FORMATS = {Format.JSON: N_("JSON lines"), Format.RESP: N_("Commands (RESP)")}
FILES = {Format.JSON: ("jsonl", "application/jsonl"), Format.RESP: ("resp", "application/octet-stream")}


def draw(marked: tuple[bytes, ...]) -> None:
    """What can be done with the marked keys, or with all that match; running and finished jobs of it."""
    look_anew()
    jobview.running_jobs(COLLECT_JOB, BULK_JOB, EXPORT_JOB, IMPORT_JOB)
    with st.expander(
        many_title(marked), icon=":material/checklist:", key=f"keys-many-{bool(marked)}", expanded=bool(marked)
    ):
        if marked:
            with_keys(marked, "marked")
        else:
            if panel_actions.is_operator():
                st.caption(_("Mark keys in the list, or take all that match the filters."))
            matching()
        st.divider()
        bring_in()
    latest()


def many_title(marked: tuple[bytes, ...]) -> str:
    if not marked:
        return _("Many keys, export and import")
    return ngettext("{n} key marked", "{n} keys marked", len(marked)).format(n=len(marked))


def matching() -> None:
    """All keys under the filters: found in the background first, so that what is confirmed is known."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            _("Find all that match"), icon=":material/search:", key="keys-collect",
            disabled=not panel_actions.is_operator(), on_click=perform,
            args=(bulkactions.collect, state.filter_of_session()),
        )  # fmt: skip
    job = next(iter(queries.jobs(COLLECT_JOB, BULK_JOB)), None)  # what was changed since is to be looked for again
    wanted = state.filter_of_session()
    if job is None or job.running or job.noted("filter") != wanted or not isinstance(job.result, Collected):
        return
    found: Collected = job.result
    if not found.names:
        st.caption(_("No key matches."))
        return
    st.caption(_("Looked for at {time}.").format(time=format.clock(job.started_at_s, zone(), with_seconds=True)))
    if not found.complete:
        st.caption(_("Not all were found: do these first, then look again."))
    for store in found.missing:
        st.caption(
            _("Without the keys that only the {store} store has: it could not be asked.").format(store=named(store))
        )
    with_keys(found.names, "matching")


def with_keys(names: tuple[bytes, ...], name: str) -> None:
    """The preview, and what can be done."""
    count = len(names)
    st.markdown(ngettext("**{n} key**", "**{n} keys**", count).format(n=format.number(count)))
    more = f" … +{format.number(count - SAMPLE)}" if count > SAMPLE else ""
    st.code("\n".join(map(key_text, names[:SAMPLE])) + more, language=None)
    fixed = not panel_actions.is_operator()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        after_s = st.selectbox(
            _("Expires"), list(EXPIRIES), format_func=lambda s: _(EXPIRIES[s]), key=f"keys-expire-{name}", width=160
        )
        st.button(
            _("Set expiry"), icon=":material/timer:", key=f"keys-expire-go-{name}", disabled=fixed,
            on_click=perform, args=(bulkactions.start_expire, names, after_s or None),
        )  # fmt: skip
        confirm.confirmed_button(
            _("Delete"), bulkactions.delete_phrase(count),
            _("Deletes {n} keys on both stores. An undo is kept for a week, up to 64 MB of it.").format(
                n=format.number(count)
            ),
            bulkactions.start_delete, names, key=f"keys-delete-go-{name}",
        )  # fmt: skip
        form = st.selectbox(
            _("Format"), list(FORMATS), format_func=lambda f: _(FORMATS[f]), key=f"keys-as-{name}", width=180
        )
        store = export_source(name)
        st.button(
            _("Export"), icon=":material/download:", key=f"keys-export-go-{name}", disabled=fixed or store is None,
            on_click=perform, args=(bulkactions.start_export, names, store, form),
        )  # fmt: skip
    rename(names, name)


def export_source(name: str) -> Store | None:
    """The store whose values are exported: at first the one of the filter, else the one that takes the writes. None
    while no store can be asked."""
    stores = leading(stores_up(), state.filter_of_session().store or writes_first(queries.overview()))
    if len(stores) < 2:
        return next(iter(stores), None)
    return st.selectbox(
        _("Values of"), stores, format_func=store_name, key=f"keys-export-from-{name}-{stores[0]}", width=120,
        help=_("A key that this store does not have is left out, and counted."),
    )  # fmt: skip


def rename(names: tuple[bytes, ...], name: str) -> None:
    """Other names for all of them, shown before."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        old = st.text_input(
            _("Replace in the names"), key=f"keys-rename-old-{name}", placeholder="user:", width=220,
            help=_("The first place where it stands in a name. Empty: the other text is put in front."),
        )  # fmt: skip
        new = st.text_input(_("by"), key=f"keys-rename-new-{name}", placeholder="customer:", width=220)
        wanted = bulkactions.new_names(names, key_from(old), key_from(new)) if old or new else []
        st.button(
            _("Rename"), icon=":material/drive_file_rename_outline:", key=f"keys-rename-go-{name}",
            disabled=not wanted or not panel_actions.is_operator(), on_click=perform,
            args=(bulkactions.start_rename, names, old, new),
        )  # fmt: skip
    if old or new:
        shown = [f"{key_text(key)} → {key_text(found)}" for key, found in wanted[:RENAMED]]
        count = ngettext("{n} key gets another name", "{n} keys get another name", len(wanted))
        st.caption(count.format(n=format.number(len(wanted))) + "; " + _("names that are taken are not overwritten"))
        if shown:
            st.code("\n".join([*shown, *["…"] * (len(wanted) > RENAMED)]), language=None)


def bring_in() -> None:
    """Import JSON lines: first counted, then written."""
    fixed = not panel_actions.is_operator()
    file = st.file_uploader(_("Import JSON lines"), type=["jsonl", "json", "txt"], key="keys-file", disabled=fixed)
    if file is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        rule = st.selectbox(
            _("A key that is there already"), list(CONFLICTS), format_func=lambda c: _(CONFLICTS[c]), key="keys-rule",
            width=240,
        )  # fmt: skip
        for label, preview, icon in (
            (_("Preview"), True, ":material/visibility:"),
            (_("Import"), False, ":material/upload:"),
        ):
            st.button(
                label, icon=icon, key=f"keys-import-{preview}", disabled=fixed, on_click=perform,
                args=(bulkactions.start_import, file.getvalue(), rule), kwargs={"preview": preview},
            )  # fmt: skip


def look_anew() -> None:
    """Once a change of many keys has ended: the list was made before it."""
    newest = max((job.number for job in queries.jobs(BULK_JOB, IMPORT_JOB) if not job.running), default=0)
    seen = st.session_state.setdefault("keys-job-seen", newest)
    if newest != seen:
        st.session_state["keys-job-seen"] = newest
        state.restart()
        st.rerun()


def latest() -> None:
    """What came of the latest of them, with what belongs to it: the file, the undo."""
    ended = [job for job in queries.jobs(BULK_JOB, EXPORT_JOB, IMPORT_JOB) if not job.running]
    if not ended:
        return
    result(ended[0])
    if len(ended) > 1:
        with st.expander(_("Earlier"), type="compact"):
            jobview.finished_jobs(ended[1:], _("Bulk changes"))


MARKS = {
    JobState.FINISHED: ":green[:material/check_circle:]",
    JobState.CANCELLED: ":gray[:material/stop_circle:]",
    JobState.BROKEN: ":red[:material/error:]",
}


def result(job: Job) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="keys-job-result"):
        text = format.escaped(said(job.problem or job.summary or ""))
        st.markdown(f"{MARKS[job.state]} **{format.escaped(said(job.title))}** {text}", width="stretch")
        done: Any = job.result
        if isinstance(done, Exported):
            ending, mime = FILES[done.form]
            st.download_button(
                _("Download"), done.content, f"keys-{done.store}.{ending}", mime, icon=":material/download:",
                key="keys-download", on_click="ignore",
            )  # fmt: skip
        elif (bundle := job.noted("undo")) and not job.noted("preview"):
            st.button(
                _("Undo"), icon=":material/undo:", key="keys-undo-job", disabled=not panel_actions.is_operator(),
                on_click=perform, args=(bulkactions.start_undo, bundle),
            )  # fmt: skip
