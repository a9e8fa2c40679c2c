"""How the page Connect your stores is drawn."""

from __future__ import annotations

import streamlit as st

from panel import actions, confirm, format, widgets
from panel.i18n import N_, _, ngettext
from panel.jobs import Job
from panel.nav import page
from panel.queries import PRESETS, Store
from panel.said import said
from panel.setup import actions as setup
from panel.setup.queries import CHECK_COMMANDS, EXAMPLES, EnvPlan, Origin, Paired, Preview, UrlCheck, overruled

__all__ = ["check_card", "paired", "pairing", "urls_form", "what_happens", "write_form"]

PRESET_NAMES = {
    None: N_("Keep as it is"),
    "development": N_("Development"),
    "production": N_("Production"),
    "remote": N_("Remote, no Docker"),
}
PRESET_TEXTS = {
    None: N_("Only the addresses are written."),
    "development": N_("Writes stay local: the fastest, while code changes."),
    "production": N_("Both stores, confirmed when both have it; reads are local."),
    "remote": N_("Both stores; reads come from the cloud."),
}
ORIGINS = {
    Origin.MERGE: N_("Keep both"),
    Origin.LOCAL: N_("Local counts"),
    Origin.CLOUD: N_("Cloud counts"),
}


def urls_form() -> tuple[str, str]:
    """The two addresses, and the button that tries them."""
    with st.form("setup", border=True):
        local = st.text_input(
            _("Local store (REDIS_URL)"), key="setup-local", placeholder=EXAMPLES[Store.LOCAL], autocomplete="off",
            type="password", help=_("The fast store near the application. A password goes into the URL."),
        )  # fmt: skip
        cloud = st.text_input(
            _("Cloud store (UPSTASH_REDIS_URL)"), key="setup-cloud", placeholder=EXAMPLES[Store.CLOUD],
            autocomplete="off", type="password",
            help=_("The second copy, elsewhere. Leave it empty to run on the local store alone."),
        )  # fmt: skip
        st.caption(
            _(
                "Trying them changes nothing, and costs up to {n} commands on the cloud store. "
                "Addresses stay on this machine."
            ).format(n=CHECK_COMMANDS)
        )
        sent = st.form_submit_button(
            _("Try them"), icon=":material/cable:", type="primary", disabled=not actions.is_operator()
        )
    if sent:
        with st.spinner(_("Asking both stores")):
            widgets.perform(setup.check, st.session_state, local or "", cloud or "")
    return local or "", cloud or ""


def check_card(found: UrlCheck) -> None:
    """How one address fared, and what the store there can do."""
    name = _("Local") if found.store is Store.LOCAL else _("Cloud")
    with st.container(border=True, key=f"check-{found.store}", height="stretch"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{widgets.STORE_ICONS[found.store]} **{name}**", width="content")
            st.space("stretch")
            if found.usable:
                st.badge(_("Usable"), icon=":material/check_circle:", color="green")
            else:
                st.badge(_("Not usable"), icon=":material/cancel:", color="red")
        if found.problem:
            problem = said(found.problem)
            address = format.escaped(found.address)
            st.error(f"{address}  \n{problem}" if address else problem, icon=":material/error:")
            return
        keys = _("number of keys unknown") if found.keys is None else ngettext("{n} key", "{n} keys", found.keys)
        facts = [format.escaped(found.address), found.software, format.latency(found.round_trip_ms)]
        st.caption(" · ".join([*facts, keys.format(n=format.count(found.keys))]))
        for warning in found.warnings:
            st.warning(said(warning), icon=":material/warning:")
        for ability in found.abilities:
            icon = ":green[:material/check:]" if ability.there else ":gray[:material/close:]"
            word = _("yes · {meaning}") if ability.there else _("no; with it, {meaning}")
            st.markdown(f"{icon} {said(ability.name)} :gray[{word.format(meaning=said(ability.meaning))}]")


def what_happens(found: list[UrlCheck]) -> None:
    """What the two stores will do when they are connected, in one sentence."""
    if len(found) < 2:
        st.info(
            _("The application will run on the local store alone: there is no second copy."), icon=":material/info:"
        )
        return
    local, cloud = (check.keys for check in found)
    if all(check.paired for check in found):
        sentence = _("Both stores are known already: what one of them missed is brought over.")
    elif local and cloud:
        sentence = _(
            "Both stores hold data and are no pair yet. Nothing is overwritten: once connected, this page compares "
            "them and asks whose data counts."
        )
    elif local or cloud:
        sentence = _("One store holds data and the other is empty: the empty one is filled from it.")
    else:
        sentence = _("Both stores are empty: they begin as one pair.")
    st.info(sentence, icon=":material/info:")


def preset_choice() -> str | None:
    names = [None, *(name for name in PRESET_NAMES if name in PRESETS)]
    words = {name or "": _(PRESET_NAMES[name]) for name in names}
    chosen = st.segmented_control(
        _("How they are used"), list(words), default="production", required=True, key="setup-preset",
        format_func=words.__getitem__,
    )  # fmt: skip
    preset = chosen or None
    st.caption(_(PRESET_TEXTS[preset]))
    return preset


def write_form(plan: EnvPlan | str) -> None:
    """The lines of `.env` that change, and the button that writes them."""
    if isinstance(plan, str):
        st.error(said(plan), icon=":material/error:")
        return
    hidden = overruled(plan)
    if hidden:
        st.error(
            _("The environment sets {names}, and counts more than the file: remove it there first.").format(
                names=", ".join(f"`{name}`" for name in hidden)
            ),
            icon=":material/error:",
        )
    if not plan.diff:
        st.success(_("`{path}` says so already.").format(path=plan.path), icon=":material/check_circle:")
        return
    st.caption(_("Only these lines of `{path}` change; comments and the rest stay:").format(path=plan.path))
    st.code(plan.diff, language="diff")
    st.button(
        _("Write and use these stores"), icon=":material/save:", type="primary", key="setup-write",
        disabled=not actions.is_operator() or bool(hidden), on_click=widgets.perform, args=(setup.connect, plan),
        help=_("Applications take it at their next start. The panel starts on these stores at once."),
    )  # fmt: skip


def pairing(jobs: tuple[Job, ...]) -> None:
    """Two stores with data that were never paired: compare, choose, confirm."""
    st.subheader(_("Whose data counts?"), anchor=False)
    st.caption(
        _(
            "Both stores hold data and were never one pair. Until you choose, the local store serves and the cloud "
            "store is left alone."
        )
    )
    running = any(job.running for job in jobs)
    st.button(
        _("Compare them"), icon=":material/compare_arrows:", key="setup-compare",
        disabled=running or not actions.is_operator(), on_click=widgets.perform, args=(setup.compare,),
        help=_("Reads both stores whole: about four commands for each key of the cloud store. Changes nothing."),
    )  # fmt: skip
    compared = next((job.result for job in jobs if isinstance(job.result, Preview)), None)
    if compared is None:
        return
    with st.grid(4, min_column_width=130):
        st.metric(_("Equal"), format.count(compared.equal))
        st.metric(_("Different"), format.count(compared.different))
        st.metric(_("Only local"), format.count(compared.only_local))
        st.metric(_("Only cloud"), format.count(compared.only_cloud))
    with st.grid(3, min_column_width=260):
        for origin in ORIGINS:
            _way(origin, compared, running)


def paired(jobs: tuple[Job, ...]) -> None:
    """What came of the choice, as long as this process remembers it."""
    done = next((job.result for job in jobs if isinstance(job.result, Paired)), None)
    if done is None:
        return
    with st.container(key="setup-paired"):
        st.success(
            _("Both stores are one pair now.") if done.in_sync else _("Both stores are one pair; the rest follows."),
            icon=":material/check_circle:",
        )
        with st.container(horizontal=True):
            st.page_link(page("overview"), label=_("Overview"), icon=":material/arrow_forward:")
            if done.merged is not None and done.merged.different:
                st.page_link(
                    page("sync"), label=_("Values that gave way"), icon=":material/call_merge:",
                    query_params={"section": "conflicts"},
                )  # fmt: skip


def _way(origin: Origin, compared: Preview, running: bool) -> None:
    title, effect = _(ORIGINS[origin]), _effect(origin, compared)
    with st.container(border=True, height="stretch", key=f"way-{origin}"):
        st.markdown(f"**{title}**")
        st.caption(effect)
        confirm.confirmed_button(
            title, title, effect, setup.make_pair, origin,
            key=f"pair-{origin}", icon=":material/link:", disabled=running,
        )  # fmt: skip


def _effect(origin: Origin, found: Preview) -> str:
    numbers = {"different": found.different, "local": found.only_local, "cloud": found.only_cloud}
    texts = {
        Origin.MERGE: _(
            "Copied to the cloud store: {local}; to the local store: {cloud}. Different: {different}; there the local "
            "value stays, and the other goes to the conflict archive. Nothing is deleted."
        ),
        Origin.LOCAL: _(
            "Copied to the cloud store: {local}. Overwritten there: {different}. DELETED there, because the local "
            "store does not have them: {cloud}."
        ),
        Origin.CLOUD: _(
            "Copied to the local store: {cloud}. Overwritten there: {different}. DELETED there, because the cloud "
            "store does not have them: {local}."
        ),
    }
    return texts[origin].format(**{name: format.count(number) for name, number in numbers.items()})
