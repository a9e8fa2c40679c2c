"""The forms of the page Keys for what a key holds: its text, a field, an item, a member, a score, an entry."""

from __future__ import annotations

import json

import streamlit as st

from panel import format
from panel.format import code
from panel.i18n import N_, _
from panel.keys.entries import (
    checked,
    expiry_input,
    file_input,
    left_s,
    moment_ms,
    numbers,
    parts,
    score,
    score_input,
    value_input,
)
from panel.keys.queries import ConfigurationError, Edit, Element, Store, about_vectors, attributes_in, edits
from panel.keys.saving import buttons
from panel.repair.links import key_from, key_text
from panel.repair.pieces import missing, store_name

__all__ = ["HINTS", "add_form", "element_form", "field_expiry_form", "file_form", "remove_form", "text_form"]

HINTS = {
    "string": N_("The text."),
    "json": N_("A JSON document."),
    "list": N_("One item on each line."),
    "set": N_("One member on each line."),
    "hash": N_("One field on each line: name, a tab or =, value."),
    "zset": N_("One member on each line: member, a tab or =, score."),
    "stream": N_("The fields of the first entry, one on each line: name, a tab or =, value."),
    "TSDB-TYPE": N_("One sample on each line: Unix milliseconds, a tab or =, value."),
    "vectorset": N_("One element on each line: name, a tab or =, numbers with commas between."),
}
SCORE_HELP = N_("A number; also inf and -inf.")
ATTRIBUTES_HELP = N_('JSON, as `{"year": 1990}`; empty for none.')


def text_form(key: bytes, kind: str, values: dict[Store, bytes], authority: Store) -> None:
    """A string or a document as a whole; where the stores differ, from either value."""
    st.markdown(f"**{_('New value on both stores')}**")
    base = next(iter(values))  # where all hold the same: what was typed stays when the other store takes over
    if len(set(values.values())) > 1:
        base = authority if authority in values else base
        base = st.segmented_control(
            _("Start from the value of"), list(values), default=base, required=True, format_func=store_name,
            key="keys-form-base",
        )  # fmt: skip
    start = values[base]
    if kind == "json":
        start = json.dumps(json.loads(start), indent=2, ensure_ascii=False).encode()
    read = value_input(_("Value"), start, f"keys-form-value-{base}")
    seen = values.get(authority, values[base])
    st.caption(_("Its expiry is kept."))

    def build() -> Edit:
        value = read()
        if kind == "json":
            checked(value.decode())
            return edits.set_document(key, seen, value)
        return edits.set_text(key, seen, value)

    buttons(_("Save on both stores"), build)


def file_form(key: bytes, seen: bytes | int | None) -> None:
    """A file as the whole value of a string, byte for byte. `seen`: as for `edits.set_text`."""
    st.markdown(f"**{_('New value on both stores')}**")
    read = file_input(_("File"))
    st.caption(_("It becomes the value byte for byte. Its expiry is kept."))

    def build() -> Edit:
        value = read()
        if value is None:
            raise ConfigurationError(_("Choose a file first."))
        return edits.set_text(key, seen, value)

    buttons(_("Save on both stores"), build)


def element_form(key: bytes, kind: str, one: Element, authority: Store) -> None:
    """A field, an item or a score."""
    seen = one.local if authority is Store.LOCAL else one.cloud
    moment = one.local_expires_at_ms if authority is Store.LOCAL else one.cloud_expires_at_ms
    start = seen if seen is not None else one.cloud if one.local is None else one.local
    titles = {
        "hash": _("Field"), "list": _("Item"), "zset": _("Score of"), "TSDB-TYPE": _("Sample at"),
        "vectorset": _("Attributes of"),
    }  # fmt: skip
    st.markdown(f"**{titles.get(kind, kind)}** {code(key_text(one.name))}")
    if kind == "zset":
        read_score = score_input((start or b"0").decode(), _("Score"), _(SCORE_HELP))
        buttons(_("Save on both stores"), lambda: edits.set_score(key, one.name, number(seen), read_score()))
        return
    if kind == "TSDB-TYPE":
        read_score = score_input((start or b"0").decode(), _("Value"))
        buttons(_("Save on both stores"), lambda: edits.set_sample(key, int(one.name), number(seen), read_score()))
        return
    if kind == "vectorset":
        if seen is None:
            st.caption(_("The store that takes the writes lacks this element: add it first."))
            return
        attributes_form(key, one.name, attributes_in(seen))
        return
    read = value_input(_("Value"), start or b"")
    if kind == "list":
        buttons(_("Save on both stores"), lambda: edits.set_item(key, int(one.name), seen, read()))
        return
    if moment is not None:
        st.caption(_("Its expiry is kept."))
    buttons(_("Save on both stores"), lambda: edits.set_field(key, one.name, seen, read(), moment))


def number(seen: bytes | None) -> float | None:
    return None if seen is None else float(seen)


def attributes_form(key: bytes, name: bytes, seen: bytes | None) -> None:
    """What is said of an element of a vector set. Its vector is replaced by deleting it and adding it anew."""
    read = value_input(_("Attributes"), seen or b"")
    st.caption(_(ATTRIBUTES_HELP))

    def build() -> Edit:
        return edits.set_attributes(key, name, seen, attributes(read().decode()))

    buttons(_("Save on both stores"), build)


def attributes(text: str) -> bytes:
    """What was entered as attributes. Raises ConfigurationError."""
    if text.strip():
        checked(text)
    return text.strip().encode()


def remove_form(key: bytes, kind: str, one: Element, authority: Store) -> None:
    seen = one.local if authority is Store.LOCAL else one.cloud
    name = key_text(one.name)
    st.markdown(_("Delete {name} on both stores?").format(name=code(name)))

    def build() -> Edit:
        match kind:
            case "hash":
                return edits.delete_field(key, one.name, seen)
            case "list":
                return edits.delete_item(key, int(one.name), seen)
            case "stream":
                return edits.delete_entry(key, one.name)
            case "TSDB-TYPE":
                return edits.delete_sample(key, int(one.name), number(seen))
            case _:
                return edits.remove_member(key, kind, one.name)

    buttons(_("Delete"), build)


def field_expiry_form(key: bytes, one: Element, authority: Store) -> None:
    seen = one.local if authority is Store.LOCAL else one.cloud
    moment = one.local_expires_at_ms if authority is Store.LOCAL else one.cloud_expires_at_ms
    st.markdown(f"**{_('Expiry of field')}** {code(key_text(one.name))}")
    read = expiry_input("keys-form-expiry", left_s(moment))
    buttons(_("Save on both stores"), lambda: edits.expire_field(key, one.name, seen, read()))


def add_form(key: bytes, kind: str, authority: Store) -> None:
    """One more field, item, member, entry, sample or element."""
    st.markdown(f"**{_('Add on both stores')}**")
    if kind == "TSDB-TYPE":
        sample_form(key)
        return
    if kind == "vectorset":
        vector_form(key, authority)
        return
    if kind == "stream":
        st.text_area(_("Fields"), key="keys-form-value", placeholder="name=value", help=_(HINTS["stream"]))
        buttons(_("Add"), lambda: edits.add_entry(key, parts(str(st.session_state["keys-form-value"]), "stream")))
        return
    if kind in ("hash", "zset", "set"):
        st.text_input(_("Field") if kind == "hash" else _("Member"), key="keys-form-name")
    if kind == "zset":
        score_input("0", _("Score"), _(SCORE_HELP))
    if kind in ("hash", "list"):
        st.text_area(_("Value"), key="keys-form-value")
    if kind == "list":
        st.segmented_control(
            _("Where"), ["last", "first"], default="last", required=True, key="keys-form-where",
            format_func=lambda w: _("At the end") if w == "last" else _("At the beginning"),
        )  # fmt: skip
    buttons(_("Add"), lambda: addition(key, kind))


def sample_form(key: bytes) -> None:
    st.text_input(_("Unix ms"), key="keys-form-name", placeholder=_("now"), help=_("When; empty for now."))
    read = score_input("", _("Value"))

    def build() -> Edit:
        return edits.set_sample(key, moment_ms(str(st.session_state.get("keys-form-name") or "")), None, read())

    buttons(_("Add"), build)


def vector_form(key: bytes, authority: Store) -> None:
    """A new element is kept as the others are, so it must be known how."""
    answer = about_vectors(authority, key)
    found = answer.last
    if found is None or found.value is None:
        missing(answer, _("The vector set"))
        return
    set_of = found.value
    length = format.number(set_of.projected_from or set_of.dimension)
    st.text_input(_("Element"), key="keys-form-name")
    st.text_area(_("Vector: {n} numbers").format(n=length), key="keys-form-value", placeholder="0.12, -0.5, 1e-3")
    st.text_area(_("Attributes"), key="keys-form-attributes", help=_(ATTRIBUTES_HELP), height=90)

    def build() -> Edit:
        values = st.session_state
        name = key_from(str(values.get("keys-form-name") or ""))
        if not name:
            raise ConfigurationError(_("Write a name first."))
        told = attributes(str(values.get("keys-form-attributes") or ""))
        return edits.add_vector(key, name, numbers(str(values.get("keys-form-value") or "")), set_of, told or None)

    buttons(_("Add"), build)


def addition(key: bytes, kind: str) -> Edit:
    values = st.session_state
    name = key_from(str(values.get("keys-form-name") or ""))
    value = str(values.get("keys-form-value") or "").encode()
    if not name and kind != "list":
        raise ConfigurationError(_("Write a name first."))
    match kind:
        case "hash":
            return edits.set_field(key, name, None, value)
        case "list":
            return edits.push_item(key, value, first=values["keys-form-where"] == "first")
        case "zset":
            return edits.set_score(key, name, None, score(str(values.get("keys-form-score") or "")))
        case _:
            return edits.add_member(key, name)
