"""What a store must be able to do for an edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from hybrid.client import HybridRedis
from hybrid.core.refusals import is_unknown_command
from hybrid.core.resp import pack
from hybrid.errors import HybridError
from hybrid.ops.sync.pair import Pair
from hybrid.stores.capabilities import MISSING_KEY
from hybrid.types import Store, StoreState

__all__ = ["refuse_impossible"]

NO_FIELD_TTL: Final = "cannot let single fields of a hash expire (Redis 7.4, Valkey 9 and newer can)"


def _unable(ability: str) -> Callable[[Pair, Store], bool]:
    return lambda pair, store: not getattr(pair.can(store), ability)


def _lacking(command: str) -> Callable[[Pair, Store], bool]:
    return lambda pair, store: is_unknown_command(pair.wire(store).exchange(pack((command, MISSING_KEY)), 1)[0])


LACKS: Final[Mapping[str, tuple[Callable[[Pair, Store], bool], str]]] = {
    "HPEXPIREAT": (_unable("has_field_ttl"), NO_FIELD_TTL),
    "HPERSIST": (_unable("has_field_ttl"), NO_FIELD_TTL),
    "JSON.SET": (_unable("has_json"), "keeps no JSON documents"),
    "TS.ADD": (_lacking("TS.GET"), "keeps no time series"),
    "VADD": (_lacking("VCARD"), "keeps no vector sets"),
    "FT.CREATE": (_lacking("FT.INFO"), "has no search"),
}
"""By the first command of an edit, whether a store cannot run it, and the words for that."""


def _name(word: bytes | str) -> str:
    return word.decode() if isinstance(word, bytes) else word


def refuse_impossible(client: HybridRedis, commands: Sequence[tuple[Any, ...]]) -> None:
    """Raises HybridError where one of the stores lacks what the edit is about: it would wait there for ever."""
    first = _name(commands[0][0]) if commands else ""
    if first not in LACKS:
        return
    lacks, words = LACKS[first]
    with Pair.of(client, both=False) as pair:
        board = pair.engine.board
        for store in Store if board.settings.replicated else (pair.authority,):
            if board.state(store) is StoreState.UP and lacks(pair, store):
                raise HybridError(f"nothing was changed: the {store} store {words}")
