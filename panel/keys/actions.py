"""What the page Keys changes on one key. Each action checks the role itself, is audited, and says by store what came of
it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hybrid.client import HybridRedis
from hybrid.ops.keys import KeyUndo, put_back
from hybrid.ops.keys.edit import Edit, Edited, Reached, apply_edit, reached
from hybrid.types import Store
from panel.actions import Outcome, record, require_operator
from panel.format import sentence
from panel.i18n import N_, _, ngettext
from panel.keys import queries
from panel.work import FAILURES, NO_CLIENT, client

__all__ = ["EditOutcome", "apply", "take_back"]

REACHED = {
    Reached.WRITTEN: N_("written"),
    Reached.WAITING: N_("on its way"),
    Reached.DOWN: N_("down, gets it when it is back"),
    Reached.OFF: N_("not copied, writes go to the local store alone"),
}


@dataclass(frozen=True, slots=True)
class EditOutcome(Outcome):
    """An outcome with what takes the edit back, if anything does."""

    undo: KeyUndo | None = None


def apply(edit: Edit) -> EditOutcome:
    """Run one edit on both stores, through the client."""
    return _edited(lambda on: apply_edit(on, edit), edit.words, edit.keys)


def _edited(act: Callable[[HybridRedis], Edited], words: str, keys: Sequence[bytes]) -> EditOutcome:
    author, found = require_operator(), client()
    if found is None:
        return EditOutcome(False, _(NO_CLIENT))
    try:
        edited = act(found)
    except FAILURES as error:
        queries.forget()
        return EditOutcome(False, sentence(error))
    queries.forget()
    record(author, f"{words}: {_shown(keys)}")
    return EditOutcome(True, by_store(edited.stores), edited.undo)


def by_store(stores: Mapping[Store, Reached]) -> str:
    """Where an edit is now: "Local: written. Cloud: on its way."."""
    parts = [f"{_(store.title())}: {_(REACHED[how])}." for store, how in stores.items()]
    return " ".join(parts)


def take_back(undo: KeyUndo) -> EditOutcome:
    """Undo one edit, if nobody changed the key since. What failed can be tried again."""
    author, found = require_operator(), client()
    if found is None:
        return EditOutcome(False, _(NO_CLIENT), undo)
    try:
        put_back(found, undo)
    except FAILURES as error:
        return EditOutcome(False, sentence(error), undo)
    finally:
        queries.forget()
    record(author, f"undo of {undo.words}: {_shown(list(undo.before))}")
    return EditOutcome(True, " ".join((_("Taken back."), by_store(reached(found)))))


def _shown(keys: Sequence[bytes]) -> str:
    text = ", ".join(key.decode(errors="backslashreplace") for key in keys)
    return text if len(text) <= 200 else ngettext("{n} key", "{n} keys", len(keys)).format(n=len(keys))
