"""Search indexes that are made and dropped on both stores, through the client as any write of the application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis

from hybrid.client import HybridRedis
from hybrid.core.search_draft import DOCUMENT_KINDS, Draft, create_words
from hybrid.core.shell import line_of
from hybrid.errors import HybridError, StoreUnavailable
from hybrid.ops.keys import Lines
from hybrid.ops.keys.abilities import refuse_impossible
from hybrid.ops.keys.edit import Reached, reached
from hybrid.ops.search import IndexInfo, read_infos
from hybrid.types import Store

__all__ = ["DOCUMENT_KINDS", "Draft", "create_index", "create_words", "drop_index", "line_of"]


def create_index(lines: Lines, draft: Draft) -> Mapping[Store, Reached]:
    """Each store indexes its own keys, from now on and those that it has. Where it is now.

    Raises ConfigurationError for a draft that is none; HybridError, with nothing changed, where a store has no search
    or an index of this name already, and when the server refuses; AllStoresDown, OutcomeUnknown as any write.
    """
    command, client = create_words(draft), lines.client
    refuse_impossible(client, [command])
    for store in Store if client.settings.replicated else (Store.LOCAL,):
        if _has(lines, store, draft.name):
            raise HybridError(f"nothing was changed: the {store} store has an index of this name already")
    _run(client, command)
    return reached(client)


def drop_index(client: HybridRedis, name: bytes) -> Mapping[Store, Reached]:
    """The index alone: the documents stay. Raises as `create_index`."""
    _run(client, (b"FT.DROPINDEX", name))
    return reached(client)


def _has(lines: Lines, store: Store, name: bytes) -> bool:
    try:
        return isinstance(read_infos(lines, store, [name])[name], IndexInfo)
    except StoreUnavailable:
        return False


def _run(client: HybridRedis, command: Sequence[Any]) -> None:
    try:
        client.execute_command(*command)
    except redis.ResponseError as error:
        raise HybridError(f"nothing was changed: the server refuses: {error}") from None
