"""The form that begins a comparison on the page Diff: what to compare, within which limits, and what it would cost."""

from __future__ import annotations

import streamlit as st

from panel import actions, format
from panel.i18n import N_, _
from panel.links import from_address, text_from_address, was_in_address
from panel.repair import actions as repair
from panel.repair import queries
from panel.repair.links import link
from panel.repair.pieces import cost_text, missing
from panel.repair.queries import Known, Scope
from panel.widgets import perform

__all__ = ["is_drawn", "pattern_input", "scope_form"]

KINDS = ("string", "hash", "list", "set", "zset", "stream", "json")


def is_drawn() -> bool:
    """Whether the form was on the page before this drawing: nobody has just come to the page."""
    return "diff-by" in st.session_state


def scope_form(blocked: bool) -> None:
    """What to compare; the estimate of it on request; and the button that begins."""
    with st.container(border=True, key="diff-form"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            listed = st.segmented_control(
                _("Compare"), list(WAYS), default="pattern", required=True, key="diff-by",
                format_func=lambda way: _(WAYS[way]), wrap=True,
            )  # fmt: skip
            if listed == "keys":
                names = st.text_area(
                    _("Keys, one on each line"), key="diff-keys", height=120, placeholder="user:1\nuser:2"
                ) or ""  # fmt: skip
                keys = tuple(line.strip().encode() for line in names.splitlines() if line.strip())
                scope = Scope(keys=keys)
            else:
                scope = pattern_input("diff")
            with st.popover(_("Limits"), icon=":material/tune:"):
                all_ttls = st.toggle(_("Compare every expiry"), key="diff-ttls", help=_(TTLS_HELP))
                most = st.number_input(
                    _("Most cloud commands"), min_value=0, value=0, step=1000, key="diff-most", help=_(MOST_HELP)
                )
            wanted = st.button(
                _("Estimate"),
                icon=":material/calculate:",
                key="diff-estimate",
                disabled=blocked or not something(scope),
            )
            st.button(
                _("Compare"), icon=":material/difference:", type="primary", key="diff-start",
                disabled=blocked or not actions.is_operator() or not something(scope),
                on_click=perform, args=(repair.start_diff, scope),
                kwargs={"all_ttls": all_ttls, "max_commands": int(most) or None},
            )  # fmt: skip
        question = (scope, all_ttls)
        if wanted:
            st.session_state["diff-asked"] = question
        if st.session_state.get("diff-asked") == question and not blocked:
            estimate_line(scope, all_ttls)


def pattern_input(page: str) -> Scope:
    """Which keys to compare, by pattern and type; part of the address of the `page`."""
    text_from_address("pattern", f"{page}-pattern", "*")
    typed = st.text_input(_("Pattern"), key=f"{page}-pattern", width=280, help=_(PATTERN_HELP))
    pattern = typed.strip() or "*"
    from_address("type", f"{page}-type", ["any", *KINDS], "any")
    kind = st.selectbox(
        _("Type"), ["any", *KINDS], key=f"{page}-type", width=130,
        format_func=lambda kind: _("any") if kind == "any" else kind,
    )  # fmt: skip
    link(pattern="" if pattern == "*" else pattern, type="" if kind == "any" else str(kind))
    was_in_address("pattern", typed)
    was_in_address("type", kind)
    return Scope(pattern.encode(), None if kind == "any" else kind)


def something(scope: Scope) -> bool:
    return scope.keys is None or len(scope.keys) > 0


def estimate_line(scope: Scope, all_ttls: bool) -> None:
    """What comparing would cost."""
    found = queries.estimate(scope, all_ttls=all_ttls)
    if not isinstance(found, Known):
        return missing(found, _("Estimate"), "estimate")
    value = found.value
    said = _("About {n} keys: {cost}. How: {how}. What differs costs a few commands more.")
    text = said.format(n=format.number(value.keys), cost=cost_text(value.cost), how=_(HOW.get(value.how, value.how)))
    st.caption(f":material/calculate: {text}")


PATTERN_HELP = N_("Which keys: * for any text, ? for one character, [ab] for one of these.")
TTLS_HELP = N_(
    "Where every command is billed, the expiries of what differs and of a sample that rotates are compared. "
    "With this, all of them: one command more for each key."
)
MOST_HELP = N_("The comparison stops before it takes more, and can be resumed. 0: no limit.")
WAYS = {"pattern": N_("Pattern"), "keys": N_("Key list")}
HOW = {
    "digests on both servers": N_("digests on both servers"),
    "values read from the cloud": N_("values read from the cloud"),
    "fewest commands on the cloud": N_("fewest commands on the cloud"),
}
