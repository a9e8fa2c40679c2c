"""What the view Search changes: an index is made or dropped, on both stores, by operators only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hybrid.client import HybridRedis
from hybrid.ops.keys.edit import Reached
from hybrid.ops.search_indexes import Draft, create_index, drop_index
from hybrid.types import Store
from panel.actions import Outcome, record, require_operator
from panel.format import sentence
from panel.i18n import _
from panel.keys.actions import EditOutcome, by_store
from panel.keys.queries import lines
from panel.search import queries
from panel.work import FAILURES, NO_CLIENT, client

__all__ = ["create", "drop"]


def create(draft: Draft) -> Outcome:
    return _changed(lambda _found: create_index(lines(), draft), f"search index created: {queries.shown(draft.name)}")


def drop(name: bytes) -> Outcome:
    return _changed(lambda found: drop_index(found, name), f"search index dropped: {queries.shown(name)}")


def _changed(change: Callable[[HybridRedis], Mapping[Store, Reached]], deed: str) -> Outcome:
    author, found = require_operator(), client()
    if found is None:
        return Outcome(False, _(NO_CLIENT))
    try:
        stores = change(found)
    except FAILURES as error:
        return Outcome(False, sentence(error))
    finally:
        queries.forget()
    record(author, deed)
    return Outcome(True, by_store(EditOutcome(True, "", stores=stores)))
