"""How the page Console is drawn: the line, its help, and the answers, one column per store."""

from __future__ import annotations

from typing import Any

import streamlit as st

from panel import format, jobview, widgets
from panel.console import actions as console
from panel.console.queries import COMMANDS, Answer, Command, Policy, Run, Target, earlier_lines, syntax
from panel.i18n import N_, _, ngettext
from panel.links import from_address, to_address
from panel.queries import Store
from panel.reads import Unknown
from panel.said import said

__all__ = ["LINE", "PAST", "TARGET", "finder", "help_of", "run_card", "target_choice"]

LINE = "console-line"
TARGET = "target"
PAST = "console-past"
PAGE_LINES = 200

TARGETS = {
    Target.CLIENT: N_("Replicated"),
    Target.LOCAL: N_("Local"),
    Target.CLOUD: N_("Cloud"),
    Target.EACH: N_("Side by side"),
}
"""Short enough for one row on a phone."""
TARGET_HELP = {
    Target.CLIENT: N_("As an application does: a write reaches both stores, in order."),
    Target.LOCAL: N_("Asks the local store itself, past hybrid."),
    Target.CLOUD: N_("Asks the cloud store itself, past hybrid. Each line costs a command there."),
    Target.EACH: N_("Asks both stores themselves, and shows both answers."),
}
POLICIES = {
    Policy.READ: N_("changes nothing; any one store answers"),
    Policy.VERBATIM: N_("reaches the other store as it was sent"),
    Policy.TIMED: N_("reaches the other store with its relative time made absolute"),
    Policy.EFFECT: N_("its result is what reaches the other store"),
    Policy.STATE: N_("the state of its keys is copied to the other store"),
    Policy.BLOCKING: N_("waits, then reaches the other store in its form that does not block"),
    Policy.FLUSH: N_("deletes your keys on both stores, and keeps hybrid's own"),
    Policy.ONE_STORE: N_("runs on one store, and is not replicated"),
    Policy.REFUSED: N_("refused through hybrid: the two stores could not be kept equal"),
}


def target_choice(cloud: bool) -> Target:
    """Where lines go; in the address, so that a link keeps it."""
    choices = list(Target) if cloud else [Target.CLIENT, Target.LOCAL]
    from_address(TARGET, "console-target", choices, Target.CLIENT)
    chosen = st.segmented_control(
        _("Send to"), choices, required=True, key="console-target", format_func=lambda target: _(TARGETS[target])
    )
    target = Target(chosen or Target.CLIENT)
    to_address(TARGET, target, Target.CLIENT)
    st.caption(_(TARGET_HELP[target]))
    return target


def finder() -> None:
    """Completion and history in one searchable list: what is chosen is put into the line."""
    earlier = [("line", line) for line in earlier_lines(console.person())]
    commands = [("command", name) for name in COMMANDS]
    st.selectbox(
        _("Find a command or an earlier line"), [*earlier, *commands], index=None, key="console-find",
        placeholder=_("Type a part of it"), format_func=_option, on_change=_put_found,
    )  # fmt: skip


def _option(option: tuple[str, str]) -> str:
    kind, text = option
    if kind == "line":
        return _("{line} (earlier)").format(line=text)
    return f"{text} · {said(COMMANDS[text].group)}"


def _put_found() -> None:
    found = st.session_state.get("console-find")
    if found is not None:
        put(found[1] + (" " if found[0] == "command" else ""))
        st.session_state["console-find"] = None


def put(text: str) -> None:
    """Put a text into the line, to be edited or run."""
    st.session_state[LINE] = text


def help_of(command: Command) -> None:
    """How a command is written, and what hybrid's command table says of it."""
    written = syntax(command.name)
    if isinstance(written, Unknown):
        jobview.follow(written.pending, "console-syntax")
    elif written.value:
        st.markdown(format.code(written.value))
    parts = [f"**{command.name}**", said(command.group), _(POLICIES[command.policy])]
    if command.note:
        parts.append(said(command.note))
    st.caption(":material/help: " + " · ".join(parts))


def run_card(run: Run) -> None:
    """One line and its answers."""
    with st.container(border=True, key=f"run-{run.number}"):
        _head(run)
        if run.refused:
            st.warning(format.sentence(said(run.refused)), icon=":material/block:")
            return
        if run.reordered:
            st.badge(_("The same lines in another order"), icon=":material/swap_vert:", color="gray")
        elif run.agree is False and run.cut:
            why = _("Only the first lines were compared, and the members of a set may come in any order.")
            st.badge(_("What is shown differs"), icon=":material/difference:", color="gray", help=why)
        elif run.agree is False:
            st.badge(_("The answers differ"), icon=":material/difference:", color="orange")
        with st.grid(2 if len(run.answers) == 2 else 1, min_column_width=300):
            for answer in run.answers:
                _answer(run, answer)


def _head(run: Run) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.code(run.shown, language=None, wrap_lines=True, width="stretch")
        st.caption(format.clock(run.at_s, widgets.zone(), with_seconds=True), width="content")
        disabled = not run.text
        st.button(
            _("Again"), icon=":material/replay:", key=f"again-{run.number}", type="tertiary", disabled=disabled,
            help=_("Run it again, where the choice above says"), on_click=_again, args=(run.text,),
        )  # fmt: skip
        st.button(
            _("Edit"), icon=":material/edit:", key=f"edit-{run.number}", type="tertiary", disabled=disabled,
            help=_("Put it into the line"), on_click=put, args=(run.text,),
        )  # fmt: skip


def _again(text: str) -> None:
    st.session_state["console-again"] = text


def _answer(run: Run, answer: Answer) -> None:
    with st.container(key=f"answer-{run.number}-{answer.store}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            _badge(answer)
            st.caption(f"{format.latency(answer.took_ms)} · {_count(answer)}")
        shown = _page_of(run, answer)
        st.code("\n".join(shown), language=None, wrap_lines=True, height=400 if len(shown) > 18 else "content")
        if answer.missed is not None:
            told = _("The {store} store was down then: it gets this when it is back.").format(store=_(answer.missed))
            st.caption(f":material/schedule: {told}")
        if answer.cut:
            st.caption(_("There is more than is shown: narrow the command, or use its SCAN form."))
        if len(answer.lines) > PAGE_LINES:
            st.download_button(
                _("Download all lines"), "\n".join(answer.lines) + "\n", f"console-{run.number}.txt", "text/plain",
                icon=":material/download:", key=f"download-{run.number}-{answer.store}", on_click="ignore",
            )  # fmt: skip


def _badge(answer: Answer) -> None:
    if answer.store is None:
        st.badge(_("Through hybrid"), icon=":material/sync_alt:", color="gray")
    else:
        name = _("Local") if answer.store is Store.LOCAL else _("Cloud")
        st.badge(name, icon=widgets.STORE_ICONS[answer.store], color=widgets.COLORS[answer.store])  # type: ignore[arg-type]
    if answer.failed:
        st.badge(_("Error"), icon=":material/error:", color="red")


def _count(answer: Answer) -> str:
    more = _("more than {n} lines") if answer.cut else ngettext("{n} line", "{n} lines", len(answer.lines))
    return more.format(n=format.number(len(answer.lines)))


def _page_of(run: Run, answer: Answer) -> tuple[str, ...]:
    pages = -(-len(answer.lines) // PAGE_LINES)
    if pages <= 1:
        return answer.lines
    page: Any = st.pagination(pages, key=f"page-{run.number}-{answer.store}")
    first = (int(page or 1) - 1) * PAGE_LINES
    return answer.lines[first : first + PAGE_LINES]
