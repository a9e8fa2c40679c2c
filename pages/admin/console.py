"""A command line to one store, to both for two answers side by side, or through the replicating client."""

from __future__ import annotations

import streamlit as st

from panel import actions, confirm, queries, widgets
from panel.console import actions as console
from panel.console import view
from panel.console.queries import Target, completions, runs
from panel.i18n import _
from panel.said import said
from panel.weatherline import weather_line


def run(text: str, target: Target, past_hybrid: bool) -> None:
    """Run a line now, or ask first where it is dangerous."""
    line = console.planned(st.session_state, text, target, past_hybrid)
    if line is None:
        return
    found = line.judgement
    if found.phrase:
        confirm.ask(
            "console", _("Run {command}").format(command=found.name), found.phrase, said(found.effect),
            console.run_line, st.session_state, line, text,
        )  # fmt: skip
    else:
        with st.spinner(_("Waiting for the answer"), show_time=True):
            widgets.perform(console.run_line, st.session_state, line, text)


def draw_line(target: Target) -> str:
    """The line; what was just sent, "" otherwise."""
    with st.form("console", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            _("Command"), key=view.LINE, placeholder=_("For example: GET user:1"), autocomplete="off",
            help=_("Words as in redis-cli: put quotes around spaces; \\n and \\xff mean what they do there."),
        )  # fmt: skip
        sent = st.form_submit_button(_("Run"), icon=":material/play_arrow:", type="primary")
    if sent:
        return (text or "").strip()
    return str(st.session_state.pop("console-again", ""))


widgets.title(_("Console"))
weather_line()
snapshot = queries.overview()
if snapshot is None:
    st.info(_("The panel is still starting; nothing is known yet."), icon=":material/info:")
    st.stop()
assert snapshot is not None
target = view.target_choice(cloud=snapshot.cloud is not None)
past_hybrid = False
if actions.is_read_only():
    st.caption(_(":material/lock: You may read here. What changes data or a server is off: this panel is read-only."))
elif not actions.is_operator():
    st.caption(_(":material/visibility: You may read here. What changes data or a server takes an operator."))
elif target in (Target.LOCAL, Target.CLOUD):
    past_hybrid = st.toggle(
        _("Allow writes to this store only"), key=view.PAST,
        help=_("They are not replicated: the other store does not learn of them."),
    )  # fmt: skip
    if past_hybrid:
        st.warning(
            _(
                "What you write now goes past hybrid. The other store does not learn of it, and the two differ from "
                "then on: Diff finds it, and Sync may overwrite it."
            ),
            icon=":material/warning:",
        )
text = draw_line(target)
if text:
    run(text, target, past_hybrid)
found = completions((text or str(st.session_state.get(view.LINE) or "")).strip())
view.finder()
if found:
    view.help_of(found[0])
ran = runs(st.session_state)
if ran:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(_("Answers"), anchor=False, width="stretch")
        st.button(_("Clear"), icon=":material/clear_all:", key="console-clear", type="tertiary",
                  on_click=console.clear, args=(st.session_state,))  # fmt: skip
for each in ran:
    view.run_card(each)
if not ran:
    st.caption(_("Nothing was run yet. Answers are kept here until you leave; lines you ran stay in the list above."))
