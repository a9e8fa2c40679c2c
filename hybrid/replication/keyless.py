"""Commands that change something other than keys (scripts, functions, search indexes): they have no state to copy, and
are run again instead, more than once if need be."""

from __future__ import annotations

from hybrid import events
from hybrid.core.commands import lookup
from hybrid.core.refusals import Refusal, is_unknown_command, refusal_of
from hybrid.core.resp import unpack
from hybrid.errors import HybridError
from hybrid.replication.board import Board
from hybrid.types import Store

__all__ = ["judge_run_again"]


def judge_run_again(packed: bytes, error: Exception | None, store: Store, board: Board) -> None:
    """Heed the error that `store` gave when this packed command was run there again. Most are as they should be: it had
    arrived before, or the other store refused it as well. Raises HybridError for one that concerns the whole store."""
    if error is None:
        return
    if refusal_of(error) is not Refusal.THIS_KEY:
        raise HybridError(str(error))
    if is_unknown_command(error):
        board.events.emit(events.CommandUnknown(store=store, command=lookup(unpack(packed)).name))
