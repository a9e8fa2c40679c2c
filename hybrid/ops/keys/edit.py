"""Edits of one key, through the client as any write of the application: guarded, on both stores, to be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis
from redis.client import NEVER_DECODE

from hybrid.client import HybridRedis
from hybrid.core.names import refuse_own
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.state import Absent, KeyState
from hybrid.errors import HybridError
from hybrid.ops.keys.abilities import refuse_impossible
from hybrid.ops.keys.rewrite import KeyUndo, states_of, undo_of
from hybrid.types import Store

__all__ = ["Edit", "Edited", "Reached", "apply_edit", "reached"]

WAIT_S: Final = 1.0
NOTICED_S: Final = 3.0

Command = tuple[Any, ...]


class Reached(StrEnum):
    """Whether an edit is on a store."""

    WRITTEN = "written"
    WAITING = "on its way"
    DOWN = "down: it gets this when it is back"
    OFF = "not copied: writes go to the local store alone"


@dataclass(frozen=True, slots=True)
class Edit:
    """Commands that run in one transaction, if `expects` holds: a read and the reply that the editor saw; and if there
    is no key of the name `free`. `keys` are those that are changed, `words` say what is done. `elsewhere`: only the
    store that takes no writes has them. `whole`: the key gets a whole value, and with it, on both stores, the expiry of
    the one that takes writes. `source`: the key gets what this one holds there, for a COPY that is replayed would copy
    what the other store holds."""

    keys: tuple[bytes, ...]
    commands: tuple[Command, ...]
    words: str
    expects: tuple[Command, Any] | None = None
    elsewhere: bool = False
    whole: bool = False
    free: bytes | None = None
    source: bytes | None = None

    @property
    def watched(self) -> set[bytes]:
        """The keys that nobody may write while it is looked whether this edit is still to be made."""
        return {*self.keys, *(() if self.expects is None else (self.expects[0][1],))}


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of an edit: for each store, and how to take it back (None when the key is too big for that, or of a
    type whose content is not compared)."""

    words: str
    stores: Mapping[Store, Reached]
    undo: KeyUndo | None


def apply_edit(client: HybridRedis, edit: Edit) -> Edited:
    """Run an edit through the client.

    Raises HybridError, with nothing changed, when the key is no longer what the editor saw, when the server refuses,
    and when a store that is up could never hold it; ConfigurationError for hybrid's own keys; AllStoresDown,
    OutcomeUnknown as any write.
    """
    refuse_own(edit.keys)
    refuse_impossible(client, edit.commands)
    before = _before(client, edit)
    try:
        with client.pipeline(transaction=True) as pipeline:
            pipeline.watch(*edit.watched)
            if edit.free is not None and pipeline.immediate_execute_command("EXISTS", edit.free):
                raise HybridError("nothing was changed: there is a key of this name already")
            if edit.expects is not None:
                command, seen = edit.expects
                now = pipeline.immediate_execute_command(*command, **{NEVER_DECODE: True})
                if not is_same(now, seen):
                    raise HybridError("nothing was changed: the key is another one by now; look again")
            commands = edit.commands
            if edit.whole:
                commands += tuple(_expiry(key, pipeline.immediate_execute_command("PTTL", key)) for key in edit.keys)
            if edit.source is not None:
                held = pipeline.immediate_execute_command("DUMP", edit.source, **{NEVER_DECODE: True})
                left_ms = pipeline.immediate_execute_command("PTTL", edit.source)
                commands += tuple(("RESTORE", key, max(left_ms, 0), held) for key in edit.keys)
            pipeline.multi()
            for command in commands:
                pipeline.execute_command(*command, **{NEVER_DECODE: True})
            replies = pipeline.execute(raise_on_error=False)
    except redis.WatchError:
        raise HybridError("nothing was changed: the key was written at the same moment; look again") from None
    except redis.ResponseError as error:
        raise HybridError(f"nothing was changed: the server refuses: {error}") from None
    refusal = next((reply for reply in replies if isinstance(reply, redis.ResponseError)), None)
    if refusal is not None:
        if edit.free is not None:  # the commands before that one have run: a transaction does not end with an error
            client.unlink(edit.free)
        raise HybridError(f"nothing was changed: the server refuses: {refusal}")
    return Edited(edit.words, reached(client), undo_of(client, edit.words, before))


def _before(client: HybridRedis, edit: Edit) -> dict[bytes, KeyState | Absent] | None:
    """What the keys hold. A store that is lost only now is asked no more: the other one has taken over by then."""
    board, asked = client._engine.board, client.status().authority
    try:
        return states_of(client, edit.keys, elsewhere=edit.elsewhere)
    except (NotSent, ReplyLost):
        board.wait_for(lambda: board.state(asked).is_lost, NOTICED_S)
    try:
        return states_of(client, edit.keys, elsewhere=edit.elsewhere)
    except (NotSent, ReplyLost) as error:
        raise HybridError(f"nothing was changed: the store that takes writes does not answer ({error})") from None


def is_same(now: Any, seen: Any) -> bool:
    """Whether a reply is what was seen; numbers may be written in more than one way."""
    if isinstance(seen, float):
        return now is not None and float(now) == seen
    if isinstance(seen, list):
        return isinstance(now, list) and len(now) == len(seen) and all(map(is_same, now, seen))
    as_bytes = [value.encode() if isinstance(value, str) else value for value in (now, seen)]
    return as_bytes[0] == as_bytes[1]


def _expiry(key: bytes, left_ms: int) -> Command:
    """What has a key expire on both stores when it does on this one."""
    return ("PEXPIRE", key, left_ms) if left_ms > 0 else ("PERSIST", key)


def reached(client: HybridRedis) -> dict[Store, Reached]:
    """Where the write that was just confirmed is."""
    status = client.status()
    found = {status.authority: Reached.WRITTEN}
    other = status.authority.other
    facts = status.cloud if other is Store.CLOUD else status.local
    if facts is None:
        return found
    if not client.settings.replicated:
        found[other] = Reached.OFF
    elif facts.state.is_lost:
        found[other] = Reached.DOWN
    else:
        found[other] = Reached.WRITTEN if client.wait_in_sync(WAIT_S) else Reached.WAITING
    return {store: found[store] for store in Store}
