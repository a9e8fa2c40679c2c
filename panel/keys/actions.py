"""What the page Keys changes on one key. Each action checks the role itself, is audited, and says by store what came of
it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hybrid.client import HybridRedis
from hybrid.ops.keys import KeyUndo, put_back
from hybrid.ops.keys.edit import Edit, Edited, Reached, apply_edit, reached
from hybrid.types import Store
from panel import queries as panel_queries
from panel.actions import Outcome, record, require_operator
from panel.format import sentence
from panel.i18n import N_, _, ngettext
from panel.keys import queries
from panel.queries import StoreState
from panel.work import FAILURES, NO_CLIENT, client

__all__ = ["UNDER_WAY", "EditOutcome", "apply", "by_now", "by_store", "take_back"]

REACHED = {
    Reached.WRITTEN: N_("written"),
    Reached.WAITING: N_("on its way"),
    Reached.DOWN: N_("down, gets it when it is back"),
    Reached.OFF: N_("not copied, writes go to the local store alone"),
}

UNDER_WAY = (Reached.WAITING, Reached.DOWN)


@dataclass(frozen=True, slots=True)
class EditOutcome(Outcome):
    """An outcome with what takes the edit back, if anything does, and where the edit was then."""

    undo: KeyUndo | None = None
    stores: Mapping[Store, Reached] = field(default_factory=dict)
    at_s: float = field(default_factory=time.time)


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
    return EditOutcome(True, "", edited.undo, edited.stores)


def by_store(outcome: EditOutcome) -> str:
    """Where an edit is by now: "Local: written. Cloud: on its way."."""
    parts = [f"{_(store.title())}: {_(REACHED[how])}." for store, how in by_now(outcome).items()]
    return " ".join(parts)


def by_now(outcome: EditOutcome) -> Mapping[Store, Reached]:
    """Where an edit is by what is known since: a store that is up has all that was written before."""
    snapshot = panel_queries.overview()
    if snapshot is None or snapshot.status.taken_at_s <= outcome.at_s:
        return outcome.stores
    status = snapshot.status
    sides = {Store.LOCAL: status.local, Store.CLOUD: status.cloud}
    found = dict(outcome.stores)
    for store, how in outcome.stores.items():
        facts = sides[store]
        if how not in UNDER_WAY or facts is None:
            continue
        if facts.state.is_lost:
            found[store] = Reached.DOWN
        elif facts.state is StoreState.UP and status.lag_entries == 0 and not status.folded_keys:
            found[store] = Reached.WRITTEN
        else:
            found[store] = Reached.WAITING
    return found


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
    return EditOutcome(True, _("Taken back."), stores=reached(found))


def _shown(keys: Sequence[bytes]) -> str:
    text = ", ".join(key.decode(errors="backslashreplace") for key in keys)
    return text if len(text) <= 200 else ngettext("{n} key", "{n} keys", len(keys)).format(n=len(keys))
