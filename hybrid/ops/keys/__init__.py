"""The keys of both stores in one browser: lists, one key and its elements, edits, bulk changes."""

from __future__ import annotations

from hybrid.ops.keys.bulk import Rewritten
from hybrid.ops.keys.coding import Coding, decoded
from hybrid.ops.keys.detail import GroupInfo, KeyInfo, PendingInfo, read_groups, read_info
from hybrid.ops.keys.elements import TEXT_PAGE_BYTES, Scores, read_document, read_elements, read_text
from hybrid.ops.keys.formats import Form, guessed_form, rendered
from hybrid.ops.keys.lines import Lines
from hybrid.ops.keys.packing import NotInThisForm, Packing, packing_of, unpacked
from hybrid.ops.keys.paging import Element, ElementPage, Place
from hybrid.ops.keys.rename import Renaming, new_names, rename_keys
from hybrid.ops.keys.rewrite import KeyUndo, delete_keys, expire_keys, put_back
from hybrid.ops.keys.rows import Badge, KeyRow, Side, badge_rows, kind_word, quick_rows
from hybrid.ops.keys.series import Rule, SeriesInfo, read_last_samples, read_series_info
from hybrid.ops.keys.vectors import VectorsInfo, attributes_in, read_nearest, read_vectors_info
from hybrid.ops.keys.walk import MOST_NAMES, Filter, Walk

__all__ = [
    "MOST_NAMES",
    "TEXT_PAGE_BYTES",
    "Badge",
    "Coding",
    "Element",
    "ElementPage",
    "Filter",
    "Form",
    "GroupInfo",
    "KeyInfo",
    "KeyRow",
    "KeyUndo",
    "Lines",
    "NotInThisForm",
    "Packing",
    "PendingInfo",
    "Place",
    "Renaming",
    "Rewritten",
    "Rule",
    "Scores",
    "SeriesInfo",
    "Side",
    "VectorsInfo",
    "Walk",
    "attributes_in",
    "badge_rows",
    "decoded",
    "delete_keys",
    "expire_keys",
    "guessed_form",
    "kind_word",
    "new_names",
    "packing_of",
    "put_back",
    "quick_rows",
    "read_document",
    "read_elements",
    "read_groups",
    "read_info",
    "read_last_samples",
    "read_nearest",
    "read_series_info",
    "read_text",
    "read_vectors_info",
    "rename_keys",
    "rendered",
    "unpacked",
]
