"""Values as people read them: in a format that is guessed or chosen, both stores side by side, and as a file."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import streamlit as st

from panel.i18n import N_, _
from panel.keys import queries
from panel.keys.queries import Form, NotInThisForm, Packing, Store
from panel.repair.links import key_text
from panel.repair.pieces import store_heading
from panel.said import said
from panel.widgets import titled

__all__ = ["CUT", "download_buttons", "format_input", "side_by_side"]

FORMS = {
    "": N_("Auto"), Form.TEXT: N_("Text"), Form.JSON: "JSON", Form.HEX: "Hex", Form.BITS: N_("Bits"),
    Form.MSGPACK: "MessagePack", Form.PICKLE: "Pickle", Form.PHP: "PHP", Form.JAVA: "Java", Form.PROTOBUF: "Protobuf",
    Packing.BROTLI: "Brotli", Packing.SNAPPY: "Snappy",
}  # fmt: skip
"""Of what is compressed only what does not show it has to be chosen."""

AS_STORED = (Form.HEX, Form.BITS)
UNRUN = (Form.PICKLE, Form.JAVA)
CUT = 2000
HEIGHT_PX = 420
FEW_LINES = 16
LINE = 80
LONGEST_NAME = 80


def format_input(key: str) -> Form | Packing | None:
    """How values are shown, or decompressed before; None: as it suits each."""
    chosen = st.selectbox(_("Format"), list(FORMS), format_func=lambda form: _(FORMS[form]), key=key, width=160)
    return chosen if isinstance(chosen, Form | Packing) else None


def side_by_side(values: dict[Store, bytes], form: Form | Packing | None, *, whole: bool) -> None:
    """Once where both stores have the same, else one beside the other."""
    if len(values) == 2 and len(set(values.values())) == 1:
        with st.container(key="keys-value-both"):
            st.caption(_("The same on both stores"))
            _show(next(iter(values.values())), form, whole)
        return
    for column, (store, found) in zip(st.columns(max(1, len(values))), values.items(), strict=True):
        with column:
            store_heading(store)
            _show(found, form, whole)


def _show(found: bytes, form: Form | Packing | None, whole: bool) -> None:
    """One value, decompressed when it is compressed. Pickles and the like are taken apart, never loaded."""
    notes = []
    packing = form if isinstance(form, Packing) else queries.packing_of(found)
    try:
        if packing is not None and whole and form not in AS_STORED:
            found, complete = queries.unpacked(found, packing)
            notes.append(_("decompressed from {packing}").format(packing=packing))
            if not complete:
                notes.append(_("its beginning"))
        chosen = form if isinstance(form, Form) else queries.guessed_form(found)
        text = queries.rendered(found, chosen)
    except NotInThisForm as error:
        notes.append(said(str(error)))
        chosen = Form.TEXT if isinstance(form, Form) else Form.HEX
        text = queries.rendered(found, chosen)
    if chosen in UNRUN:
        notes.append(_("taken apart, not run"))
    if not found:
        st.caption(_("empty"))
        return
    shown = text[: 100 * CUT]
    language = None if chosen in (Form.TEXT, *AS_STORED) else "json"
    wraps = chosen is Form.TEXT
    lines = shown.count("\n") + (len(shown) // LINE if wraps else 0)
    st.code(shown, language=language, wrap_lines=wraps, height=HEIGHT_PX if lines > FEW_LINES else "content")
    notes = [_(FORMS[chosen]), *notes, *([_("cut")] if len(text) > len(shown) else [])]
    st.caption(" · ".join(notes))


def download_buttons(key: bytes, values: dict[Store, bytes], read: Callable[[Store], bytes] | None = None) -> None:
    """The value as a file, byte for byte; one for each store where they differ. Where `values` are only their
    beginnings, `read` gets the whole of one when it is asked for."""
    same = len(set(values.values())) == 1 and read is None
    for store, found in list(values.items())[: 1 if same else None]:
        ending, mime = _kind_of_file(found)
        name = re.sub(r"[^\w.-]+", "_", key_text(key))[:LONGEST_NAME]
        st.download_button(
            _("Download") if same or len(values) == 1 else _("Download: {title}").format(title=titled(store)),
            partial(read, store) if read else partial(bytes, found),
            f"{name}{ending}" if same else f"{name}.{store}{ending}",
            mime, icon=":material/download:", key=f"keys-value-download-{store}", on_click="ignore",
            help=_("The value as it is stored, byte for byte."),
        )  # fmt: skip


def _kind_of_file(found: bytes) -> tuple[str, str]:
    match queries.guessed_form(found):
        case Form.JSON:
            return ".json", "application/json"
        case Form.TEXT:
            return ".txt", "text/plain"
        case _:
            return ".bin", "application/octet-stream"
