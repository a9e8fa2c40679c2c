"""What is around every page: language, who is signed in, keyboard. In the sidebar, on a phone the menu's drawer too."""

from __future__ import annotations

import streamlit as st

from panel import actions
from panel.i18n import LANGUAGE_KEY, LANGUAGES, N_, _, language, preferred
from panel.keyboard import keyboard

__all__ = ["frame", "notice", "shortcuts"]

KEYS = {
    "/": N_("Search: jumps into the page's search field, or to the keys"),
    "r": N_("Refresh this page"),
    "?": N_("This help"),
}
HELP = {
    N_("local, cloud"): N_("The two stores. Blue is local, violet is cloud, everywhere."),
    N_("authority"): N_("The store that takes the writes now. The other one follows."),
    N_("replication log"): N_("The writes in their order, on their way to the other store. An entry is one of them."),
    N_("lag"): N_("How far the other store is behind: entries that wait, and for how long."),
    N_("catching up"): N_("A store that is back gets what it missed. Until it has everything, it serves nothing."),
    N_("conflict"): N_("A key that was written on both stores while they were apart. Neither value is lost."),
    N_("unknown"): N_("Nobody could ask lately. It is never shown as zero, or as empty."),
}


def frame() -> None:
    """Draw the sidebar; before the page, so that the language chosen here is already that of the page."""
    with st.sidebar:
        language_switch()
        person()
        if st.button(_("Keyboard and words"), icon=":material/help:", key="help", type="tertiary"):
            help_dialog()


def shortcuts() -> None:
    """Listen to the keyboard; after the page, because even what is not seen would leave a gap above it."""
    if keyboard(language(), str(st.session_state.get("keys-open-key") or "")):
        help_dialog()


def language_switch() -> None:
    """Kept for the session, and in a cookie for the next one; an address may ask for it (`?lang=pt_BR`)."""
    codes = list(LANGUAGES)
    st.selectbox(
        _("Language"), codes, index=codes.index(preferred()), format_func=LANGUAGES.__getitem__,
        key=LANGUAGE_KEY, icon=":material/translate:",
    )  # fmt: skip


def person() -> None:
    """Who is signed in, what they may do, and the way out."""
    st.caption(standing())
    st.link_button(_("Sign out"), "/logout", icon=":material/logout:", type="tertiary")


def standing() -> str:
    name = str(st.user.get("name") or _("nobody"))
    if actions.is_read_only():
        return _(":material/lock: {name}. This panel is read-only.").format(name=name)
    if actions.is_operator():
        return _(":material/person: {name}: you may change things").format(name=name)
    return _(":material/visibility: {name}: you may look, and change nothing").format(name=name)


def notice() -> None:
    """Above the page, for those who may not change things: why its buttons are grey. The sidebar may be closed."""
    if not actions.is_operator():
        st.caption(standing())


def help_dialog() -> None:
    @st.dialog(_("Keyboard and words"), icon=":material/help:")
    def dialog() -> None:
        for key, text in KEYS.items():
            st.markdown(f"`{key}` {_(text)}")
        st.divider()
        for word, text in HELP.items():
            st.markdown(f"**{_(word)}** {_(text)}")

    dialog()
