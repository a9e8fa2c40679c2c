"""What can be done with a key of the page Keys: create, expire, rename, delete it; and which form is open below it."""

from __future__ import annotations

import time
from collections.abc import Callable

import streamlit as st

from panel import actions as panel_actions
from panel.i18n import N_, _
from panel.keys import groupforms, state, valueforms
from panel.keys.entries import expiry_input, file_input, left_s, parts
from panel.keys.queries import Edit, KeyInfo, Store, edits
from panel.keys.saving import buttons
from panel.keys.valueforms import HINTS
from panel.repair.links import key_from, key_text
from panel.repair.pieces import type_word
from panel.verdict import named
from panel.widgets import slot

__all__ = ["create_form", "draw", "toolbar"]


ELSEWHERE = N_(
    "Only the {store} store has this key, and writes go to the {other} store first: copy the key on the page Diff, or "
    "delete it."
)


def toolbar(elsewhere: Store | None, *, gone: bool, unreachable: bool) -> None:
    """What can be done with the whole key. `elsewhere`: only this store has it, and it takes no writes. `gone`: none
    has. `unreachable`: none answers."""
    nothing = gone or unreachable
    fixed = nothing or not panel_actions.is_operator()
    with slot():
        if unreachable:
            st.caption(f":material/info: {_('Nothing can be changed while no store answers.')}")
        elif elsewhere:
            text = _(ELSEWHERE).format(store=named(elsewhere), other=named(elsewhere.other))
            st.caption(f":material/info: {text}")
    with st.container(horizontal=True, key="keys-toolbar"):
        for name, label, icon in (
            ("expire", _("Expiry"), ":material/timer:"),
            ("rename", _("Rename"), ":material/drive_file_rename_outline:"),
            ("copy", _("Copy"), ":material/content_copy:"),
            ("delete", _("Delete"), ":material/delete:"),
        ):
            st.button(
                label, icon=icon, key=f"keys-do-{name}", disabled=fixed or (elsewhere is not None and name != "delete"),
                on_click=state.open_form, args=(name,),
            )  # fmt: skip
        st.button(
            _("As commands"), icon=":material/terminal:", key="keys-do-commands", on_click=state.open_form,
            args=("commands",), disabled=nothing,
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


def draw(key: bytes, kind: str, infos: dict[Store, KeyInfo], authority: Store, *, elsewhere: bool) -> None:
    """The form that is open for this key, if any. `elsewhere`: only the store that takes no writes has it."""
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
            case "copy":
                copy_form(key, kind)
            case "delete":
                delete_form(key, None if elsewhere else kind)
            case "text":
                valueforms.text_form(key, kind, about, authority)
            case "file":
                valueforms.file_form(key, about)
            case "element":
                valueforms.element_form(key, kind, about, authority)
            case "remove":
                valueforms.remove_form(key, kind, about, authority)
            case "acknowledge":
                groupforms.acknowledge_form(key, *about)
            case "claim":
                groupforms.claim_form(key, *about)
            case "group-create":
                groupforms.group_create_form(key)
            case "group-move":
                groupforms.group_move_form(key, about)
            case "group-delete":
                groupforms.group_delete_form(key, about)
            case "consumer-delete":
                groupforms.consumer_delete_form(key, about)
            case "field-expiry":
                valueforms.field_expiry_form(key, about, authority)
            case _:
                valueforms.add_form(key, kind, authority)


def expire_form(key: bytes, kind: str, infos: dict[Store, KeyInfo]) -> None:
    st.markdown(f"**{_('Expiry on both stores')}**")
    now = next(iter(infos.values())).expires_at_ms if infos else None
    read = expiry_input("keys-form-expiry", left_s(now))
    buttons(_("Save"), lambda: edits.expire_key(key, kind, read()))


def rename_form(key: bytes, kind: str) -> None:
    st.markdown(f"**{_('Rename on both stores')}**")
    read = name_input(key)
    buttons(_("Rename"), lambda: edits.rename_key(key, read(), kind), opens=lambda edit: edit.keys[-1])


def copy_form(key: bytes, kind: str) -> None:
    st.markdown(f"**{_('Copy on both stores')}**")
    read = name_input(key)
    st.caption(_("With its expiry."))
    buttons(_("Copy"), lambda: edits.copy_key(key, read(), kind), opens=lambda edit: edit.keys[-1])


def name_input(key: bytes) -> Callable[[], bytes]:
    st.session_state.setdefault("keys-form-name", key_text(key))
    st.text_input(_("New name"), key="keys-form-name", help=_("Nothing is overwritten: the name must be free."))
    return lambda: key_from(str(st.session_state["keys-form-name"]))


def delete_form(key: bytes, kind: str | None) -> None:
    st.warning(
        _("The key is deleted on both stores. It can be had back with Undo if it is not larger than 8 MB."),
        icon=":material/delete:",
    )
    buttons(_("Delete"), lambda: edits.delete_key(key, kind), opens=lambda _edit: None)


def create_form() -> None:
    """A new key on both stores."""
    opened, place = state.form(), slot()
    if opened is None or opened[0] != "create":
        return
    with place, st.container(border=True, key="keys-form-box"):
        st.markdown(f":material/add: **{_('New key on both stores')}**")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input(_("Name"), key="keys-form-name", placeholder="user:42", width=320)
            kind = st.selectbox(_("Type"), list(HINTS), key="keys-form-kind", format_func=type_word, width=140)
        st.text_area(_("Value"), key="keys-form-value", help=_(HINTS[kind]), placeholder=_(HINTS[kind]), height=120)
        read_file = file_input(_("or from a file")) if kind == "string" else lambda: None
        read = expiry_input("keys-form-expiry", None)

        def build() -> Edit:
            moment, content = read(), read_file()
            in_ms = None if moment is None else moment - int(time.time() * 1000)
            name = key_from(str(st.session_state.get("keys-form-name") or "").strip())
            value = parts(str(st.session_state.get("keys-form-value") or ""), str(st.session_state["keys-form-kind"]))
            return edits.create_key(
                name, str(st.session_state["keys-form-kind"]), value if content is None else [content], in_ms
            )

        buttons(_("Create"), build, opens=lambda edit: edit.keys[0])
