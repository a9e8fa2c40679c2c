"""Every effective value with its source; presets; who answers reads and who gets writes."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from panel import actions, queries, widgets

PRESETS = {
    "development": ("Development", ":material/code:", "Writes stay local: the fastest, while code changes."),
    "production": ("Production", ":material/verified:", "Both stores, confirmed when both have it; reads are local."),
    "remote": ("Remote, no Docker", ":material/cloud:", "Both stores; reads come from the cloud."),
}

# Beside the value, not in a third column: on a phone that one would lie outside the screen.
SOURCE = ":gray-badge[{}]"


def draw_presets(settings: queries.Settings, fixed: bool) -> None:
    st.subheader("Presets", anchor=False)
    with st.grid(3, min_column_width=260):
        for name, changes in queries.PRESETS.items():
            title, icon, text = PRESETS.get(name, (name.title(), ":material/tune:", ""))
            in_use = all(getattr(settings, setting) == value for setting, value in changes.items())
            with st.container(border=True, height="stretch", key=f"preset-{name}"):
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(f"{icon} **{title}**", width="content")
                    if in_use:
                        st.badge("in use", icon=":material/check:", color="green")
                st.caption(text)
                st.button(
                    "Use",
                    key=f"use-{name}",
                    disabled=fixed or in_use,
                    on_click=widgets.perform,
                    args=(actions.change_settings,),
                    kwargs=dict(changes),
                )


def draw_values(snapshot: queries.Overview) -> None:
    st.subheader("Values in force", anchor=False)
    rows = [
        {"Setting": f"`{row.variable}`", "Value and source": f"{shown(row.value)} {SOURCE.format(row.source)}"}
        for row in queries.setting_rows(snapshot)
    ]
    st.table(pd.DataFrame(rows), border="horizontal", hide_index=True)
    st.caption("Precedence: changed here, argument, environment, `.env`, default. Credentials are never shown.")


def shown(value: object) -> str:
    if value is None or value == ():
        return ":gray[not set]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g} s" if isinstance(value, float) else str(value)


st.title("Settings", anchor=False)
snapshot = queries.overview()
if snapshot is None:
    st.info("The panel is still starting; nothing is known yet.", icon=":material/info:")
else:
    st.caption(f":material/info: {widgets.HERE_ONLY} To keep a change for the next start, write it to `.env`.")
    facts = widgets.routing_form(snapshot, "settings")
    with facts:
        widgets.routing_facts(snapshot)
    if not snapshot.settings.write_both and snapshot.cloud is not None:
        st.warning(widgets.LOCAL_ONLY, icon=":material/warning:")
    draw_presets(snapshot.settings, snapshot.cloud is None or not actions.is_operator())
    draw_values(snapshot)
st.subheader("Access", anchor=False)
way = "with the password" if queries.password_set() else "with a one-time link, on this machine only"
st.caption(f"Signed in as {st.user.get('name') or 'nobody'} ({st.user.get('role') or 'viewer'}), {way}.")
st.link_button("Sign out", "/logout", icon=":material/logout:")
