"""Making many keys equal: whose values win, what that would do, the words that confirm it, and the button."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import actions, format
from panel.i18n import N_, _, ngettext
from panel.links import from_address, was_in_address
from panel.queries import Store
from panel.repair import actions as repair
from panel.repair import queries
from panel.repair.agreement import outdated
from panel.repair.links import key_text, link
from panel.repair.pieces import facts_text, missing
from panel.repair.queries import Action, Direction, Known, PlanPreview, Prefer, Selection, Verb
from panel.verdict import Verdict, named
from panel.widgets import perform

__all__ = ["plan_form"]

DIRECTIONS = {
    Direction.LOCAL_TO_CLOUD: N_("Local → cloud"),
    Direction.CLOUD_TO_LOCAL: N_("Cloud → local"),
    Direction.MERGE: N_("Both ways"),
}
PREFERS = {
    Prefer.ASK: N_("Leave undecided"),
    Prefer.LOCAL: N_("The local value"),
    Prefer.CLOUD: N_("The cloud value"),
    Prefer.LONGER_TTL: N_("The one that lives longer"),
}
VERBS = {Verb.COPY: N_("copy"), Verb.DELETE: N_("delete"), Verb.KEEP: N_("keep"), Verb.ASK: N_("undecided")}
EXTRAS_HELP = N_("Off: keys that only the other store has are kept there. On: they are deleted.")
GUARD_HELP = N_("A key that is another one by then is left alone. What is overwritten can be had back for 7 days.")


def plan_form(selection: Selection, ended_at_s: float, obstacle: Verdict | None, key: str) -> None:
    """Choose, see the plan, confirm, run. `ended_at_s` is when the comparison ended. Nothing is chosen before:
    whose values win is a person's decision. The page has said the `obstacle`."""
    if outdated(ended_at_s):
        st.info(
            _("Something was synced or undone since this comparison: compare again to see how it is now."),
            icon=":material/info:",
        )
    blocked = obstacle is not None or not actions.is_operator()
    from_address("direction", f"{key}-direction", list(DIRECTIONS), None)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        direction = st.segmented_control(
            _("Whose values win"), list(DIRECTIONS), format_func=lambda way: _(DIRECTIONS[way]),
            key=f"{key}-direction", disabled=obstacle is not None, wrap=True,
        )  # fmt: skip
        prefer, extras = Prefer.ASK, False
        if direction is Direction.MERGE:
            prefer = st.selectbox(
                _("Where both have a value"), list(PREFERS), format_func=lambda way: _(PREFERS[way]), width=240,
                key=f"{key}-prefer",
            )  # fmt: skip
        elif direction is not None:
            extras = st.toggle(_("Delete extra keys"), key=f"{key}-extras", help=_(EXTRAS_HELP))
    link(direction=direction.value if direction else "")
    was_in_address("direction", direction)
    if direction is None or obstacle is not None:
        return
    found = queries.plan_preview(selection, direction, prefer, extras)
    if not isinstance(found, Known):
        return missing(found, _("Plan"), "plan")
    preview = found.value
    st.caption(plan_text(preview))
    if not preview.plan.sums.changes:
        return
    actions_table(preview.first, preview.plan.sums.changes)
    run_form(preview, selection, direction, prefer, extras, blocked, key)


def plan_text(preview: PlanPreview) -> str:
    """What the plan would do, in sentences."""
    sums = preview.plan.sums
    said = []
    for store in Store:
        if copies := sums.copies[store]:
            text = ngettext(
                "{n} key is copied to the {store} store", "{n} keys are copied to the {store} store", copies
            )
            said.append(text.format(n=format.number(copies), store=named(store)))
        if deletes := sums.deletes[store]:
            text = ngettext(
                "{n} key is **deleted** on the {store} store", "{n} keys are **deleted** on the {store} store", deletes
            )
            said.append(text.format(n=format.number(deletes), store=named(store)))
    if sums.kept:
        said.append(
            ngettext("{n} extra key is kept", "{n} extra keys are kept", sums.kept).format(n=format.number(sums.kept))
        )
    if sums.asked:
        text = ngettext("{n} key stays undecided", "{n} keys stay undecided", sums.asked)
        said.append(text.format(n=format.number(sums.asked)))
    if not said:
        return _("There is nothing to do.")
    cost = _("About {n} cloud commands, {size}.").format(
        n=format.number(sums.cloud_commands), size=format.size(sums.size_bytes)
    )
    lost = ngettext(
        "{n} value is overwritten or deleted, and can be had back for 7 days.",
        "{n} values are overwritten or deleted, and can be had back for 7 days.",
        sums.overwritten,
    ).format(n=format.number(sums.overwritten))
    return f":material/preview: {'; '.join(said)}. {cost} {lost if sums.overwritten else ''}".rstrip()


def actions_table(first: tuple[Action, ...], total: int) -> None:
    rows = [
        {
            _("Key"): key_text(action.key),
            _("What"): _(VERBS[action.verb]),
            _("Where"): named(action.target),
            _("Gets"): facts_text(action.facts(action.target.other)) if action.verb is Verb.COPY else "",
            _("Has"): facts_text(action.facts(action.target)),
        }
        for action in first
    ]
    left = total - len(first)
    title = _("The first {n} of them").format(n=len(first)) if left > 0 else _("Key by key")
    with st.expander(title, icon=":material/list:"):
        st.dataframe(pd.DataFrame(rows), hide_index=True, height=320 if len(rows) > 10 else "auto", alt=title)


def run_form(
    preview: PlanPreview, selection: Selection, direction: Direction, prefer: Prefer, extras: bool, blocked: bool,
    key: str,
) -> None:  # fmt: skip
    """The last word: typed out where keys are deleted."""
    typed = ""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if preview.phrase is not None:
            label = _("Type “{phrase}” to confirm").format(phrase=preview.phrase)
            typed = st.text_input(label, key=f"{key}-typed", width=340, autocomplete="off", live=True)
        most = st.number_input(
            _("Most cloud commands"), min_value=0, value=0, step=1000, key=f"{key}-run-most", width=190,
            help=_("The sync stops before it takes more. 0: no limit."),
        )  # fmt: skip
        st.button(
            _("Run sync"), icon=":material/sync:", type="primary", key=f"{key}-run", help=_(GUARD_HELP),
            disabled=blocked or (preview.phrase is not None and not actions.is_phrase(typed, preview.phrase)),
            on_click=perform, args=(repair.start_sync, selection, direction),
            kwargs={"prefer": prefer, "delete_extras": extras, "max_commands": int(most) or None, "typed": typed},
        )  # fmt: skip
