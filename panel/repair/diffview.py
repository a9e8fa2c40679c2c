"""What a comparison found on the page Diff: by cause, the differences page by page, files of them, history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from io import BytesIO

import pandas as pd
import streamlit as st

from panel import actions, format
from panel.i18n import N_, _, ngettext
from panel.links import from_address, has_gone_back, several_from_address, text_from_address, was_in_address
from panel.queries import Store
from panel.repair import actions as repair
from panel.repair import queries
from panel.repair.agreement import outdated
from panel.repair.links import key_text, link, linked, linked_page
from panel.repair.pieces import CAUSES, cost_text, facts_text, price_text, store_name, tinted
from panel.repair.queries import Cause, Difference, DiffFile, DiffResult, Ending, Selection
from panel.said import said
from panel.tables import ONE_CLICK, clicked, csv_of, numbered, table_height
from panel.verdict import Tone, Verdict
from panel.widgets import perform, zone

__all__ = [
    "KEY",
    "answer",
    "chooser",
    "chosen_key",
    "differences_table",
    "downloads",
    "history_table",
    "selection_form",
    "sums",
]

PAGE_ROWS = 100
DOWNLOADED_ROWS = 200_000
ENDINGS = {
    Ending.FINISHED: N_("finished"), Ending.CANCELLED: N_("cancelled"), Ending.BUDGET: N_("budget used up"),
    Ending.FAILED: N_("failed"),
}  # fmt: skip
KEY, ENTRY, FOLLOWED, PAGE = "diff-key", "diff-entry", "diff-followed", "diff-page"


def answer(latest: DiffResult | None) -> Verdict:
    """Whether the stores agree, as far as it was looked at."""
    if latest is None:
        return Verdict(Tone.NOTE, _("Not compared yet"), _(FIRST))
    facts = {
        "what": said(queries.scope_text(latest.scope)),
        "time": format.clock(latest.ended_at_s, zone()),
        "n": format.number(latest.compared),
        "ending": _(ENDINGS[latest.ending]),
    }
    finished = latest.ending is Ending.FINISHED
    if (latest.different or finished) and outdated(latest.ended_at_s):
        differed = ngettext("{n} key differed", "{n} keys differed", latest.different)
        word = differed.format(n=format.number(latest.different)) if latest.different else _("All were equal")
        sentence = _(
            "Compared: {what}, {n} keys, at {time}. Something was synced or undone since: compare again to see how it "
            "is now."
        )
        return Verdict(Tone.NOTE, word, sentence.format(**facts))
    if latest.different:
        word = ngettext("{n} key differs", "{n} keys differ", latest.different).format(
            n=format.number(latest.different)
        )
        sentence = _("Compared: {what}, {n} keys, at {time}. Choose a key to see where, and to make it equal.")
        return Verdict(Tone.NOTE, word, sentence.format(**facts))
    if not finished:
        sentence = _("The comparison of {what} at {time} did not finish: {ending}.")
        return Verdict(Tone.NOTE, _("Not finished"), sentence.format(**facts))
    sentence = _("Compared: {what}, {n} keys, at {time}. All of them are equal.")
    return Verdict(Tone.FINE, _("Equal"), sentence.format(**facts))


FIRST = N_(
    "Nothing was compared on this machine yet. A comparison only reads: names and digests, or values where a store "
    "cannot make digests. Estimate tells first what it costs; what differs is listed by cause, and can be made equal."
)


def chooser(results: Sequence[DiffResult], *, blocked: bool) -> DiffResult:
    """The comparison to show: the one of the address, else the newest."""
    ids = [result.id for result in results]
    words = {result.id: title_of(result) for result in results}
    key = f"diff-chosen-{words[ids[0]]}"
    from_address("diff", key, ids, ids[0])
    with st.container(horizontal=True, vertical_alignment="bottom", key="diff-head"):
        chosen = st.selectbox(_("Comparison"), ids, format_func=words.__getitem__, key=key, width=420)
        result = results[ids.index(chosen)]
        if result.ending is not Ending.FINISHED:
            st.button(
                _("Resume"), icon=":material/play_arrow:", key="diff-resume",
                disabled=blocked or not actions.is_operator(),
                on_click=perform, args=(repair.start_diff, result.scope), kwargs={"resume": result.id},
            )  # fmt: skip
    link(diff="" if chosen == ids[0] else str(chosen))
    was_in_address("diff", chosen)
    return result


def title_of(result: DiffResult) -> str:
    when = format.clock(result.started_at_s, zone())
    differ = _("{n} differ").format(n=format.number(result.different))
    unfinished = "" if result.ending is Ending.FINISHED else f" · {_(ENDINGS[result.ending])}"
    return f"{when} · {said(queries.scope_text(result.scope))} · {differ}{unfinished}"


def sums(result: DiffResult) -> None:
    """The sums of a comparison, with what it cost and what it was said to cost."""
    actual, estimated = result.actual, result.estimated
    with st.grid(5, min_column_width=150):
        differ = format.count(result.different)
        st.metric(_("Differ"), _("{n} so far").format(n=differ) if result.suspected else differ)
        st.metric(_("Compared"), format.count(result.compared))
        st.metric(_("Being written"), format.count(result.in_flight), help=_(FLIGHT_HELP))
        guess = _("Estimated: {cost}").format(cost=cost_text(estimated))
        st.metric(_("Cloud commands"), format.count(actual.cloud_commands), help=guess)
        wire = _("{size} over the wire").format(size=format.size(actual.cloud_bytes))
        st.metric(_("Cost"), price_text(actual), help=wire)
    if result.suspected:
        open_ = _("{n} keys are suspected, and not confirmed: resume it.").format(n=format.number(result.suspected))
        st.caption(f":material/help: {open_}")
    if result.ttl_share < 1:
        sample = format.number(result.ttl_share, ".1%")
        st.caption(_("Expiries: of what differs, and of a sample of {share} that rotates.").format(share=sample))


FLIGHT_HELP = N_("They differed, but writes to them were on their way: no drift, and in no count.")


def selection_form(result: DiffResult) -> Selection:
    """Which of the differences are shown, and made equal in bulk."""
    named = [cause for cause in Cause if result.counts.get(cause)]
    key = f"diff-causes-{result.id}"
    several_from_address("cause", key, named)
    text_from_address("containing", "containing")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.pills(
            _("Cause"), named, selection_mode="multi", key=key,
            format_func=lambda cause: f"{_(CAUSES[cause])} · {format.number(result.counts[cause])}",
        )  # fmt: skip
        containing = st.text_input(
            _("Key contains"), key="containing", width=240, placeholder=_("any"), icon=":material/search:"
        )  # fmt: skip
    return Selection(result.id, tuple(chosen), containing.strip().encode())


def differences_table(file: DiffFile, selection: Selection, *, just_opened: bool) -> int:
    """A page of the differences; choosing one opens it. How many there are of these in all."""
    total = file.count(*selection.causes, containing=selection.containing)
    pages = max(1, -(-total // PAGE_ROWS))
    page = page_shown(selection, pages, just_opened=just_opened)
    if not total:
        st.caption(_("None of the differences is like that."))
        return 0
    some = {"offset": (page - 1) * PAGE_ROWS, "limit": PAGE_ROWS}
    found = list(file.differences(*selection.causes, containing=selection.containing, **some))
    grid = f"diff-grid-{selection}-{page}"
    st.dataframe(
        tinted(pd.DataFrame([row_of(difference) for difference in found])),
        hide_index=True, key=grid, selection_mode=ONE_CLICK, on_select=partial(choose, grid, found),
        height=table_height(len(found), 12),
        column_config={_("Key"): st.column_config.TextColumn(width="medium"),
                       _("Detail"): st.column_config.TextColumn(width="large")},
        alt=_("Keys that differ"),
    )  # fmt: skip
    if pages > 1:
        st.pagination(pages, key=f"diff-page-{selection}")
    return total


def page_shown(selection: Selection, pages: int, *, just_opened: bool) -> int:
    """The page chosen, from 1: the first one of another selection, else the one of a link, or that the browser went
    back to."""
    state, key = st.session_state, f"diff-page-{selection}"
    is_led = just_opened or has_gone_back("page", state.get(PAGE))
    page = min(pages, linked_page() if is_led else int(state.get(key, 1)))
    state[key] = state[PAGE] = page
    containing = st.session_state["containing"]
    link(cause=",".join(selection.causes), containing=containing, page=str(page) if page > 1 else "")
    for name, chosen in (("cause", list(selection.causes)), ("containing", containing), ("page", page)):
        was_in_address(name, chosen)
    return page


def row_of(difference: Difference) -> dict[str, str]:
    return {
        _("Key"): key_text(difference.key),
        _("Cause"): ", ".join(_(CAUSES[cause]) for cause in difference.causes),
        store_name(Store.LOCAL): facts_text(difference.local),
        store_name(Store.CLOUD): facts_text(difference.cloud),
        _("Detail"): said(difference.detail),
    }


def chosen_key(*, just_opened: bool) -> str:
    """The key that is open: the one of a link that was followed just now, or that the browser went back to; else
    the one selected last, also when the page is opened again from the menu."""
    asked, state = linked("key"), st.session_state
    kept = str(state.get(KEY) or "")
    if (asked and asked != state.get(FOLLOWED)) or (not just_opened and has_gone_back("key", kept)):
        state[KEY], state[ENTRY] = asked, None
    key = str(state.get(KEY) or "")
    state[FOLLOWED] = key
    link(key=key)
    was_in_address("key", key)
    return key


def choose(grid: str, found: Sequence[Difference]) -> None:
    """Open the key that was clicked in the table."""
    row = clicked(st.session_state[grid]["selection"], len(found))
    chosen = found[row] if row is not None else None
    st.session_state[KEY] = key_text(chosen.key) if chosen else ""
    st.session_state[ENTRY] = chosen


def downloads(result: DiffResult, selection: Selection, total: int) -> None:
    """The differences that are shown, all pages of them, as files."""
    if total > DOWNLOADED_ROWS:
        st.caption(
            _("{n} rows are too many for a browser. Narrow them down, or write them to a file: {command}").format(
                n=format.number(total), command=f"`python -m hybrid diff --resume {result.id} --csv differences.csv`"
            )
        )
        return
    with st.container(horizontal=True):
        for label, form, mime in (
            ("CSV", "csv", "text/csv"),
            ("JSON", "jsonl", "application/x-ndjson"),
            ("Parquet", "parquet", "application/vnd.apache.parquet"),
        ):
            st.download_button(
                label, partial(exported, selection, form), f"diff-{result.id}.{form}", mime,
                key=f"diff-download-{form}", icon=":material/download:", on_click="ignore",
            )  # fmt: skip


def exported(selection: Selection, form: str) -> bytes:
    """The selected differences in this format."""
    with queries.existing_diff(selection.diff_id) as file:
        found = list(queries.rows(file.differences(*selection.causes, containing=selection.containing)))
    if form == "csv":
        return csv_of(found).encode()
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found).encode()
    buffer = BytesIO()
    pd.DataFrame(found).convert_dtypes().to_parquet(buffer, index=False)  # numbers stay whole where some are missing
    return buffer.getvalue()


def history_table(results: Sequence[DiffResult]) -> None:
    """All comparisons on this machine, newest first."""
    st.subheader(_("History"), anchor=False)
    rows = [
        {
            _("When"): format.clock(result.started_at_s, zone()),
            _("What"): said(queries.scope_text(result.scope)),
            _("Ending"): _(ENDINGS[result.ending]),
            _("Keys"): result.compared,
            _("Differ"): result.different,
            _("Cloud commands"): result.actual.cloud_commands,
            _("Cost"): price_text(result.actual),
            _("Took"): format.seconds(result.actual.seconds),
        }
        for result in results
    ]
    counts = dict.fromkeys((_("Keys"), _("Differ"), _("Cloud commands")), (",", ""))
    st.dataframe(numbered(rows, counts), hide_index=True, key="diff-history", alt=_("Comparisons"))
