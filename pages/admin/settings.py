"""Steering every process: who answers reads and who gets writes; presets; who runs which version; `.env`; history."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from panel import actions, format, queries, routing, widgets
from panel.i18n import N_, _
from panel.said import said
from panel.tables import csv_button
from panel.weatherline import follow_weather, weather_line

PRESETS = {
    "development": (N_("Development"), ":material/code:", N_("Writes stay local: the fastest, while code changes.")),
    "production": (
        N_("Production"),
        ":material/verified:",
        N_("Both stores, confirmed when both have it; reads are local."),
    ),
    "remote": (N_("Remote, no Docker"), ":material/cloud:", N_("Both stores; reads come from the cloud.")),
}

# Beside the value, not in a third column: on a phone that one would lie outside the screen.
SOURCE = ":gray-badge[{}]"
SOURCES = {
    "argument": N_("argument"), "live": N_("live"), "environment": N_("environment"), "default": N_("default"),
    "embedded": N_("embedded"),
}  # fmt: skip
PRESENCES = {"connected": N_("connected"), "gone": N_("gone")}
ROLES = {"ships": N_("ships"), "stands by": N_("stands by"), "local only": N_("local only")}
WAYS = {
    "link": N_("with a one-time link, on this machine only"),
    "password": N_("with the password"),
    "provider": N_("by the OpenID Connect provider"),
}
UNITS = {
    "cloud_price": N_("{value} USD per 100,000 commands"),
    "cloud_budget": N_("{value} USD a month"),
}
MINUTES = {10: N_("10 minutes"), 30: N_("30 minutes"), 60: N_("1 hour"), 240: N_("4 hours")}


def draw_presets(settings: queries.Settings, fixed: bool) -> None:
    st.subheader(_("Presets"), anchor=False)
    with st.grid(3, min_column_width=260):
        for name, changes in queries.PRESETS.items():
            title, icon, text = PRESETS.get(name, (name.title(), ":material/tune:", ""))
            in_use = all(getattr(settings, setting) == value for setting, value in changes.items())
            with st.container(border=True, height="stretch", key=f"preset-{name}"):
                with st.container(horizontal=True, vertical_alignment="center"):
                    st.markdown(f"{icon} **{_(title)}**", width="content")
                    if in_use:
                        st.badge(_("in use"), icon=":material/check:", color="green")
                st.caption(_(text))
                st.button(
                    _("Use"),
                    key=f"use-{name}",
                    disabled=fixed or in_use,
                    on_click=widgets.perform,
                    args=(actions.change_settings, queries.live().version),
                    kwargs=dict(changes),
                )


def draw_values(snapshot: queries.Overview) -> None:
    st.subheader(_("Values in force"), anchor=False)
    rows = [
        {
            _("Setting"): f"`{row.variable}`",
            _(
                "Value and source"
            ): f"{format.escaped(shown(row.value, row.name))} {SOURCE.format(_(SOURCES.get(row.source, row.source)))}",
        }
        for row in queries.setting_rows(snapshot)
    ]
    st.table(pd.DataFrame(rows), border="horizontal", hide_index=True)
    st.caption(_("Precedence: argument, override, live, environment, `.env`, default. Credentials are never shown."))


def draw_version(live: queries.Live) -> None:
    """Which version is in force, by whom; and what is overridden for a while."""
    if live.version == 0:
        state = _("Nothing was changed live yet.")
    else:
        state = _("Version {version}, by {author} at {time}.").format(
            version=live.version, author=said(live.author), time=format.clock(live.at_s, widgets.zone())
        )
    st.caption(f":material/info: {state} {_(widgets.EVERYWHERE)}")
    if live.override is None:
        return
    values = ", ".join(
        f"`{name}` = {format.escaped(shown(value, name))}" for name, value in live.override.values.items()
    )
    until = format.clock(live.override.until_s, widgets.zone())
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="override"):
        words = _(":material/timer: {values} until {time}, by {author}")
        st.markdown(words.format(values=values, time=until, author=live.override.author), width="stretch")
        st.button(
            _("Revert now"),
            key="end-override",
            disabled=not actions.is_operator(),
            on_click=widgets.perform,
            args=(actions.end_override,),
        )


def draw_override(live: queries.Live, fixed: bool) -> None:
    with st.expander(_("For a limited time"), icon=":material/timer:"):
        st.caption(_("Reverts by itself in every process, whether or not this panel still runs."))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            reads = st.segmented_control(
                _("Read preference"),
                list(queries.ReadPreference),
                format_func=lambda value: _(routing.READ_WORDS[value]),
                key="override-read",
                wrap=True,
            )
            minutes = st.selectbox(
                _("For"), list(MINUTES), index=1, format_func=lambda value: _(MINUTES[value]), key="override-for"
            )
            st.button(
                _("Override"),
                key="override-apply",
                disabled=fixed or reads is None,
                on_click=widgets.perform,
                args=(actions.override_settings, live.version, minutes * 60.0),
                kwargs={"read_preference": reads},
            )


@st.fragment(run_every=5)
def draw_processes() -> None:
    st.subheader(_("Processes"), anchor=False)
    rows = [process_row(process, presence) for process, presence in queries.processes()]
    if rows:
        st.dataframe(pd.DataFrame(rows), hide_index=True, key="processes")
    else:
        st.caption(_("No store can be asked who is connected."))


def process_row(process: queries.Process, presence: queries.Presence) -> dict[str, str]:
    version = queries.live().version
    running = str(process.config_version)
    zone = widgets.zone()
    return {
        _("Process"): process.name,
        _("State"): _("gone, last seen {time}").format(time=format.clock(process.seen_s, zone))
        if presence == "gone"
        else _(PRESENCES.get(str(presence), str(presence))),
        _("Configuration"): running
        if process.config_version >= version
        else _("{version} (older)").format(version=running),
        _("Fixed in its code"): ", ".join(process.pinned) or _("nothing"),
        _("Log"): "" if presence == "gone" else _(ROLES.get(str(process.role), str(process.role))),
        _("Host"): f"{process.host}, {process.pid}",
        _("Since"): format.clock(process.started_s, zone),
        _("Version"): process.hybrid_version,
    }


def draw_env(fixed: bool) -> None:
    plan = queries.env_plan()
    if plan is None:
        return
    st.subheader(_("Keep it for the next start"), anchor=False)
    st.caption(_("`{path}` says otherwise than what is live. Only these lines would change:").format(path=plan.path))
    st.code(plan.diff, language="diff")
    st.button(
        _("Write to .env"),
        icon=":material/save:",
        key="write-env",
        disabled=fixed,
        on_click=widgets.perform,
        args=(actions.write_env, plan),
    )


def draw_history() -> None:
    entries = queries.audit()
    if entries == ():
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(_("History"), anchor=False, width="stretch")
        csv_button([audit_row(entry) for entry in entries or ()], "history", _("History"))
    if entries is None:
        st.caption(_("No store can be asked who changed what."))
        return
    rows = [
        {
            _("When"): format.clock(entry.at_s, widgets.zone()),
            _("Who"): said(entry.author),
            _("Version"): entry.version,
            _("What"): deed(entry.what),
            _("From, to"): "; ".join(
                f"{said(name)}: {said(shown(a, name))} → {said(shown(b, name))}"
                for name, (a, b) in entry.changes.items()
            ),
        }
        for entry in entries
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="history")


def deed(what: str) -> str:
    """What was done, in the reader's language; on what, as it is called."""
    done, mark, names = what.partition(": ")
    return said(what) if said(what) != what else f"{said(done)}{mark}{names}"


def audit_row(entry: queries.AuditEntry) -> dict[str, Any]:
    """A line of the audit trail as it is kept."""
    changes = {name: [before, after] for name, (before, after) in entry.changes.items()}
    return {
        "at_s": entry.at_s, "author": entry.author, "version": entry.version, "what": entry.what,
        "changes": json.dumps(changes, ensure_ascii=False, default=str),
    }  # fmt: skip


def shown(value: object, name: str = "") -> str:
    if value is None or value == ():
        return _("not set")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        unit = "{value} s" if name.endswith("_s") else _(UNITS.get(name, "{value}"))
        return unit.format(value=format.number(value, "g"))
    return str(value)


widgets.title(_("Settings"))
weather_line()
snapshot, live = queries.overview(), queries.live()
if snapshot is None:
    st.info(_("The panel is still starting; nothing is known yet."), icon=":material/info:")
else:
    with widgets.slot():
        draw_version(live)
    facts = routing.routing_form(snapshot, "settings")
    with facts:
        routing.routing_facts(snapshot)
    with widgets.slot():
        if not snapshot.settings.write_both and snapshot.cloud is not None:
            st.warning(_(routing.LOCAL_ONLY), icon=":material/warning:")
    fixed = snapshot.cloud is None or not actions.is_operator()
    draw_override(live, fixed)
    draw_presets(snapshot.settings, fixed)
    draw_env(not actions.is_operator())
    draw_processes()
    draw_values(snapshot)
    draw_history()
st.subheader(_("Access"), anchor=False)
who = str(st.user.get("name") or _("nobody"))
way = _(WAYS[queries.sign_in_way(who)])
role = _("operator") if actions.is_operator() else _("viewer")
if actions.is_read_only():
    role = _("viewer, while the panel is read-only")
st.caption(_("Signed in as {name} ({role}), {way}.").format(name=who, role=role, way=way))
st.link_button(_("Sign out"), "/logout", icon=":material/logout:")
follow_weather(snapshot, live)
