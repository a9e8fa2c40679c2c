"""The forms of the page Keys: create, edit, expire, rename, delete. Each shows what will change before it is saved."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from panel import actions as panel_actions
from panel.i18n import N_, _
from panel.keys import actions, state
from panel.keys.entries import checked, expiry_input, left_s, parts, value_input
from panel.keys.queries import ConfigurationError, Edit, Element, KeyInfo, KeyUndo, Store, edits
from panel.repair.links import key_from, key_text

__all__ = ["create_form", "draw", "said", "toolbar"]

DAY_S = 86_400
HINTS = {
    "string": N_("The text."),
    "json": N_("A JSON document."),
    "list": N_("One item on each line."),
    "set": N_("One member on each line."),
    "hash": N_("One field on each line: name, a tab or =, value."),
    "zset": N_("One member on each line: member, a tab or =, score."),
    "stream": N_("The fields of the first entry, one on each line: name, a tab or =, value."),
}


def said() -> None:
    """What came of the last edit, store by store, with a way to take it back."""
    last = st.session_state.get("keys-said")
    if last is None:
        return
    outcome, words = last
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="keys-said-box"):
        icon = ":material/check_circle:" if outcome.done else ":material/error:"
        color = "green" if outcome.done else "red"
        st.markdown(f":{color}[{icon}] **{words}** {outcome.sentence}", width="stretch")
        undo = getattr(outcome, "undo", None)
        if undo is not None:
            st.button(
                _("Undo"), icon=":material/undo:", key="keys-undo", disabled=not panel_actions.is_operator(),
                on_click=take_back, args=(undo,),
            )  # fmt: skip
        elif outcome.done and words != _("Undo"):
            st.caption(_("Too big to be taken back."))
        st.button(
            "", icon=":material/close:", type="tertiary", key="keys-said-close", on_click=forget_said, help=_("Close")
        )


def forget_said() -> None:
    st.session_state.pop("keys-said", None)


def take_back(undo: KeyUndo) -> None:
    attempt(lambda: actions.take_back(undo), _("Undo"))


def attempt(act: Callable[[], Any], words: str) -> bool:
    """Do something and keep what came of it for the next drawing."""
    try:
        outcome = act()
    except (panel_actions.NotAllowed, ConfigurationError, ValueError) as refusal:
        text = str(refusal)
        outcome = panel_actions.Outcome(False, text[:1].upper() + text[1:])
    st.session_state["keys-said"] = (outcome, words)
    return bool(outcome.done)


def save(build: Callable[[], Edit], opens: bytes | None = None, *, closes_key: bool = False) -> None:
    """The callback of every form: build the edit from what was entered, run it, close the form."""
    found: list[Edit] = []

    def act() -> Any:
        found.append(build())
        return actions.apply(found[0])

    if not attempt(act, ""):
        return
    outcome, _words = st.session_state["keys-said"]
    words = found[0].words
    st.session_state["keys-said"] = (outcome, words[:1].upper() + words[1:] + ".")
    state.close_form()
    if opens is not None or closes_key:
        state.open_key(opens)
        state.restart()


def toolbar(key: bytes, infos: dict[Store, KeyInfo]) -> None:
    """What can be done with the whole key."""
    fixed = not panel_actions.is_operator()
    with st.container(horizontal=True, key="keys-toolbar"):
        for name, label, icon in (
            ("expire", _("Expiry"), ":material/timer:"),
            ("rename", _("Rename"), ":material/drive_file_rename_outline:"),
            ("delete", _("Delete"), ":material/delete:"),
        ):
            st.button(label, icon=icon, key=f"keys-do-{name}", disabled=fixed, on_click=state.open_form, args=(name,))
        st.button(
            _("As commands"), icon=":material/terminal:", key="keys-do-commands", on_click=state.open_form,
            args=("commands",),
        )  # fmt: skip
        st.space("stretch")
        st.button(
            _("Close"),
            icon=":material/close:",
            type="tertiary",
            key="keys-close",
            on_click=state.open_key,
            args=(None,),
        )


def draw(key: bytes, kind: str, infos: dict[Store, KeyInfo], authority: Store) -> None:
    """The form that is open for this key, if any."""
    opened = state.form()
    if opened is None or opened[0] in ("create", "commands"):
        return
    name, about = opened
    with st.container(border=True, key="keys-form-box"):
        match name:
            case "expire":
                expire_form(key, kind, infos)
            case "rename":
                rename_form(key, kind)
            case "delete":
                delete_form(key, kind)
            case "text":
                text_form(key, kind, about, authority)
            case "element":
                element_form(key, kind, about, authority)
            case "remove":
                remove_form(key, kind, about, authority)
            case "field-expiry":
                field_expiry_form(key, about, authority)
            case _:
                add_form(key, kind)


def buttons(label: str, build: Callable[[], Edit], **options: Any) -> None:
    with st.container(horizontal=True):
        st.button(
            label, type="primary", icon=":material/check:", key="keys-form-save", on_click=save, args=(build,),
            kwargs=options, disabled=not panel_actions.is_operator(),
        )  # fmt: skip
        st.button(_("Cancel"), key="keys-form-cancel", on_click=state.close_form)


# -- the key itself


def expire_form(key: bytes, kind: str, infos: dict[Store, KeyInfo]) -> None:
    st.markdown(f"**{_('Expiry on both stores')}**")
    now = next(iter(infos.values())).expires_at_ms if infos else None
    read = expiry_input("keys-form-expiry", left_s(now))
    buttons(_("Save"), lambda: edits.expire_key(key, kind, read()))


def rename_form(key: bytes, kind: str) -> None:
    st.markdown(f"**{_('Rename on both stores')}**")
    st.session_state.setdefault("keys-form-name", key_text(key))
    st.text_input(_("New name"), key="keys-form-name", help=_("Nothing is overwritten: the name must be free."))

    def build() -> Edit:
        return edits.rename_key(key, key_from(str(st.session_state["keys-form-name"])), kind)

    buttons(_("Rename"), build, closes_key=True)


def delete_form(key: bytes, kind: str) -> None:
    st.warning(
        _("The key is deleted on both stores. It can be had back with Undo if it is not larger than 8 MB."),
        icon=":material/delete:",
    )
    buttons(_("Delete"), lambda: edits.delete_key(key, kind), closes_key=True)


def create_form() -> None:
    """A new key on both stores."""
    opened = state.form()
    if opened is None or opened[0] != "create":
        return
    with st.container(border=True, key="keys-form-box"):
        st.markdown(f":material/add: **{_('New key on both stores')}**")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(_("Name"), key="keys-form-name", placeholder="user:42", width=320)
            kind = st.selectbox(_("Type"), list(HINTS), key="keys-form-kind", width=140)
        st.text_area(_("Value"), key="keys-form-value", help=_(HINTS[kind]), placeholder=_(HINTS[kind]), height=120)
        read = expiry_input("keys-form-expiry", None)

        def build() -> Edit:
            moment = read()
            in_ms = None if moment is None else moment - int(time.time() * 1000)
            name = key_from(str(st.session_state.get("keys-form-name") or "").strip())
            value = parts(str(st.session_state.get("keys-form-value") or ""), str(st.session_state["keys-form-kind"]))
            return edits.create_key(name, str(st.session_state["keys-form-kind"]), value, in_ms)

        with st.container(horizontal=True):
            st.button(
                _("Create"), type="primary", icon=":material/check:", key="keys-form-save", on_click=create,
                args=(build,), disabled=not panel_actions.is_operator(),
            )  # fmt: skip
            st.button(_("Cancel"), key="keys-form-cancel", on_click=state.close_form)


def create(build: Callable[[], Edit]) -> None:
    name = key_from(str(st.session_state.get("keys-form-name") or "").strip())
    save(build, name)


# -- what it holds


def text_form(key: bytes, kind: str, values: dict[Store, bytes], authority: Store) -> None:
    """A string or a document as a whole; where the stores differ, from either value."""
    st.markdown(f"**{_('New value on both stores')}**")
    base = authority if authority in values else next(iter(values))
    if len(set(values.values())) > 1:
        base = st.segmented_control(
            _("Start from the value of"), list(values), default=base, required=True, format_func=str.title,
            key="keys-form-base",
        )  # fmt: skip
    start = values[base]
    if kind == "json":
        start = json.dumps(json.loads(start), indent=2, ensure_ascii=False).encode()
    read = value_input(_("Value"), start, f"keys-form-value-{base}")
    seen = values.get(authority)
    st.caption(_("Its expiry is kept."))

    def build() -> Edit:
        value = read()
        if kind == "json":
            checked(value.decode())
            return edits.set_document(key, seen, value)
        return edits.set_text(key, seen, value)

    buttons(_("Save on both stores"), build)


def element_form(key: bytes, kind: str, one: Element, authority: Store) -> None:
    """A field, an item or a score."""
    seen = one.local if authority is Store.LOCAL else one.cloud
    moment = one.local_expires_at_ms if authority is Store.LOCAL else one.cloud_expires_at_ms
    start = seen if seen is not None else one.cloud if one.local is None else one.local
    titles = {"hash": _("Field"), "list": _("Item"), "zset": _("Score of")}
    st.markdown(f"**{titles.get(kind, kind)}** `{key_text(one.name)}`")
    if kind == "zset":
        st.session_state.setdefault("keys-form-score", float(start or 0))
        st.number_input(_("Score"), key="keys-form-score", format="%.17g", step=1.0)
        was = None if seen is None else float(seen)
        buttons(
            _("Save on both stores"), lambda: edits.set_score(key, one.name, was, st.session_state["keys-form-score"])
        )
        return
    read = value_input(_("Value"), start or b"")
    if kind == "list":
        buttons(_("Save on both stores"), lambda: edits.set_item(key, int(one.name), seen, read()))
        return
    if moment is not None:
        st.caption(_("Its expiry is kept."))
    buttons(_("Save on both stores"), lambda: edits.set_field(key, one.name, seen, read(), moment))


def remove_form(key: bytes, kind: str, one: Element, authority: Store) -> None:
    seen = one.local if authority is Store.LOCAL else one.cloud
    name = key_text(one.name)
    st.markdown(_("Delete {name} on both stores?").format(name=f"`{name}`"))

    def build() -> Edit:
        match kind:
            case "hash":
                return edits.delete_field(key, one.name, seen)
            case "list":
                return edits.delete_item(key, int(one.name), seen)
            case "stream":
                return edits.delete_entry(key, one.name)
            case _:
                return edits.remove_member(key, kind, one.name)

    buttons(_("Delete"), build)


def field_expiry_form(key: bytes, one: Element, authority: Store) -> None:
    seen = one.local if authority is Store.LOCAL else one.cloud
    moment = one.local_expires_at_ms if authority is Store.LOCAL else one.cloud_expires_at_ms
    st.markdown(f"**{_('Expiry of field')}** `{key_text(one.name)}`")
    read = expiry_input("keys-form-expiry", left_s(moment))
    buttons(_("Save on both stores"), lambda: edits.expire_field(key, one.name, seen, read()))


def add_form(key: bytes, kind: str) -> None:
    """One more field, item, member or entry."""
    st.markdown(f"**{_('Add on both stores')}**")
    if kind == "stream":
        st.text_area(_("Fields"), key="keys-form-value", placeholder="name=value", help=_(HINTS["stream"]))
        buttons(_("Add"), lambda: edits.add_entry(key, parts(str(st.session_state["keys-form-value"]), "stream")))
        return
    if kind in ("hash", "zset", "set"):
        st.text_input(_("Field") if kind == "hash" else _("Member"), key="keys-form-name")
    if kind == "zset":
        st.number_input(_("Score"), key="keys-form-score", value=0.0, step=1.0, format="%.17g")
    if kind in ("hash", "list"):
        st.text_area(_("Value"), key="keys-form-value")
    if kind == "list":
        st.segmented_control(
            _("Where"), ["last", "first"], default="last", required=True, key="keys-form-where",
            format_func=lambda w: _("At the end") if w == "last" else _("At the beginning"),
        )  # fmt: skip
    buttons(_("Add"), lambda: addition(key, kind))


def addition(key: bytes, kind: str) -> Edit:
    values = st.session_state
    name = key_from(str(values.get("keys-form-name") or ""))
    value = str(values.get("keys-form-value") or "").encode()
    match kind:
        case "hash":
            return edits.set_field(key, name, None, value)
        case "list":
            return edits.push_item(key, value, first=values["keys-form-where"] == "first")
        case "zset":
            return edits.set_score(key, name, None, float(values["keys-form-score"]))
        case _:
            return edits.add_member(key, name)
