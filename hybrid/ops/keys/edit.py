"""Edits of one key, through the client as any write of the application: guarded, on both stores, to be taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import redis
from redis.client import NEVER_DECODE

from hybrid.client import HybridRedis
from hybrid.core.names import refuse_own
from hybrid.core.outcomes import NotSent, ReplyLost
from hybrid.core.state import Absent, KeyState
from hybrid.errors import ConfigurationError, HybridError
from hybrid.ops.keys.abilities import refuse_impossible
from hybrid.ops.keys.rewrite import KeyUndo, states_of, undo_of
from hybrid.ops.keys.rows import kind_word
from hybrid.ops.keys.vectors import VectorsInfo
from hybrid.types import Store

__all__ = [
    "Edit",
    "Edited",
    "Reached",
    "acknowledge_entries",
    "add_entry",
    "add_member",
    "add_vector",
    "apply_edit",
    "claim_entries",
    "copy_key",
    "create_key",
    "delete_entry",
    "delete_field",
    "delete_item",
    "delete_key",
    "delete_sample",
    "expire_field",
    "expire_key",
    "push_item",
    "reached",
    "remove_member",
    "rename_key",
    "set_attributes",
    "set_document",
    "set_field",
    "set_item",
    "set_sample",
    "set_score",
    "set_text",
]

WAIT_S: Final = 1.0
NOTICED_S: Final = 3.0
TOMBSTONE: Final = b"\x00hybrid deletes this item\x00"

QUANTISATIONS: Final = {"f32": "NOQUANT", "int8": "Q8", "bin": "BIN"}

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


# -- the key itself


def _exists(key: bytes, kind: str) -> tuple[Command, Any]:
    return ("TYPE", key), b"ReJSON-RL" if kind == "json" else kind.encode()


def create_key(key: bytes, kind: str, value: Sequence[bytes], expires_in_ms: int | None = None) -> Edit:
    """A key that must not exist yet. `value`: of a string or document its text; items or members; field and value,
    member and score, time and sample, or element and vector (numbers with blanks between), by turns; of a stream the
    fields of one entry. Raises ConfigurationError for a wrong value."""
    commands: dict[str, tuple[Command, ...]] = {
        "string": (("SET", key, *value),),
        "hash": (("HSET", key, *value),),
        "list": (("RPUSH", key, *value),),
        "set": (("SADD", key, *value),),
        "zset": (("ZADD", key, *(part for member, score in _two(value) for part in (score, member))),),
        "stream": (("XADD", key, "*", *value),),
        "json": (("JSON.SET", key, "$", *value),),
        "TSDB-TYPE": tuple(("TS.ADD", key, *sample) for sample in _two(value)),
        "vectorset": tuple(_vadd(key, name, vector.split()) for name, vector in _two(value)),
    }  # fmt: skip
    if kind in ("hash", "stream") and len(value) % 2:
        raise ConfigurationError("every field needs a value")
    if kind not in commands or not key or not value:
        raise ConfigurationError("a key needs a name, one of the known types and a value")
    expiry: tuple[Command, ...] = () if expires_in_ms is None else (("PEXPIRE", key, expires_in_ms),)
    return Edit((key,), (*commands[kind], *expiry), f"create a {kind_word(kind)}", free=key)


def _two(value: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(value[::2], value[1::2], strict=False))


def delete_key(key: bytes, kind: str | None) -> Edit:
    """On both stores; `kind` None: the store that takes writes was seen to lack it, only the other one has it."""
    expects = _exists(key, kind or "none")
    return Edit((key,), (("UNLINK", key),), "delete the key", expects, elsewhere=kind is None)


def rename_key(key: bytes, new: bytes, kind: str) -> Edit:
    """To a name that nothing has yet: the server refuses to overwrite."""
    if not new or new == key:
        raise ConfigurationError("give the key another name")
    return Edit((key, new), (("RENAMENX", key, new),), "rename", _exists(key, kind), free=new)


def copy_key(key: bytes, new: bytes, kind: str) -> Edit:
    """To a name that nothing has yet: what the store that takes writes holds of it, with its expiry."""
    if not new or new == key:
        raise ConfigurationError("give the key another name")
    return Edit((new,), (), "copy the key", _exists(key, kind), free=new, source=key)


def expire_key(key: bytes, kind: str, expires_at_ms: int | None) -> Edit:
    """Expire at a moment in Unix milliseconds; None: never."""
    command = ("PERSIST", key) if expires_at_ms is None else ("PEXPIREAT", key, expires_at_ms)
    words = "keep the key for ever" if expires_at_ms is None else "set the expiry"
    return Edit((key,), (command,), words, _exists(key, kind))


# -- what it holds; None for a value that was seen as absent


def set_text(key: bytes, seen: bytes | int | None, value: bytes) -> Edit:
    """A string's whole value; it expires when it did before. Of a long one, `seen` is its length."""
    read = "STRLEN" if isinstance(seen, int) else "GET"
    return Edit((key,), (("SET", key, value, "KEEPTTL"),), "change the value", ((read, key), seen), whole=True)


def set_document(key: bytes, seen: bytes | None, value: bytes) -> Edit:
    """A whole JSON document."""
    command = ("JSON.SET", key, "$", value)
    return Edit((key,), (command,), "change the document", (("JSON.GET", key), seen), whole=True)


def set_field(key: bytes, field: bytes, seen: bytes | None, value: bytes, expires_at_ms: int | None = None) -> Edit:
    """A field of a hash. HSET takes a field's expiry away, so it is set again."""
    commands: tuple[Command, ...] = (("HSET", key, field, value),)
    if expires_at_ms is not None:
        commands += (("HPEXPIREAT", key, expires_at_ms, "FIELDS", 1, field),)
    return Edit((key,), commands, f"set field {_short(field)}", (("HGET", key, field), seen))


def delete_field(key: bytes, field: bytes, seen: bytes | None) -> Edit:
    return Edit((key,), (("HDEL", key, field),), f"delete field {_short(field)}", (("HGET", key, field), seen))


def expire_field(key: bytes, field: bytes, seen: bytes | None, expires_at_ms: int | None) -> Edit:
    """When a field of a hash expires, in Unix milliseconds; None: never."""
    rest = ("FIELDS", 1, field)
    command: Command = ("HPERSIST", key, *rest)
    if expires_at_ms is not None:
        command = ("HPEXPIREAT", key, expires_at_ms, *rest)
    return Edit((key,), (command,), f"set the expiry of field {_short(field)}", (("HGET", key, field), seen))


def set_item(key: bytes, index: int, seen: bytes | None, value: bytes) -> Edit:
    return Edit((key,), (("LSET", key, index, value),), f"change item {index}", (("LINDEX", key, index), seen))


def push_item(key: bytes, value: bytes, *, first: bool = False) -> Edit:
    command = "LPUSH" if first else "RPUSH"
    return Edit((key,), ((command, key, value),), "add an item", _exists(key, "list"))


def delete_item(key: bytes, index: int, seen: bytes | None) -> Edit:
    """Lists only delete by value, so the item is given one that no other has."""
    commands = (("LSET", key, index, TOMBSTONE), ("LREM", key, 1, TOMBSTONE))
    return Edit((key,), commands, f"delete item {index}", (("LINDEX", key, index), seen))


def add_member(key: bytes, member: bytes) -> Edit:
    return Edit((key,), (("SADD", key, member),), "add a member", _exists(key, "set"))


def remove_member(key: bytes, kind: str, member: bytes) -> Edit:
    """Of a set, a sorted set or a vector set."""
    name = {"zset": "ZREM", "vectorset": "VREM"}.get(kind, "SREM")
    return Edit((key,), ((name, key, member),), f"remove member {_short(member)}", _exists(key, kind))


def set_score(key: bytes, member: bytes, seen: float | None, score: float) -> Edit:
    """The score of a member of a sorted set; with `seen` None it is added."""
    score_text = b"%.17g" % score
    return Edit(
        (key,), (("ZADD", key, score_text, member),), f"score {_short(member)}", (("ZSCORE", key, member), seen)
    )


def add_entry(key: bytes, fields: Sequence[bytes], entry_id: bytes = b"*") -> Edit:
    if not fields or len(fields) % 2:
        raise ConfigurationError("an entry needs fields, each with a value")
    return Edit((key,), (("XADD", key, entry_id, *fields),), "add an entry", _exists(key, "stream"))


def delete_entry(key: bytes, entry_id: bytes) -> Edit:
    return Edit((key,), (("XDEL", key, entry_id),), f"delete entry {_short(entry_id)}", _exists(key, "stream"))


def acknowledge_entries(key: bytes, group: bytes, entry_ids: Sequence[bytes]) -> Edit:
    """Pending entries of a consumer group are done with, whoever got them."""
    words = f"acknowledge entries of group {_short(group)}"
    return Edit((key,), (("XACK", key, group, *entry_ids),), words, _exists(key, "stream"))


def claim_entries(key: bytes, group: bytes, consumer: bytes, entry_ids: Sequence[bytes], idle_ms: int) -> Edit:
    """Pending entries are delivered to this consumer instead. Those that were delivered anew since the editor saw them,
    and so are not idle for `idle_ms` any more, stay where they are."""
    if not consumer:
        raise ConfigurationError("name the consumer who is to get them")
    words = f"claim entries of group {_short(group)}"
    return Edit((key,), (("XCLAIM", key, group, consumer, idle_ms, *entry_ids),), words, _exists(key, "stream"))


def set_sample(key: bytes, at_ms: int, seen: float | None, value: float) -> Edit:
    """The sample of a time series at a moment in Unix milliseconds; with `seen` None it is added."""
    command = ("TS.ADD", key, at_ms, repr(value), "ON_DUPLICATE", "LAST")
    return Edit((key,), (command,), f"set the sample at {at_ms}", _sample(key, at_ms, seen))


def delete_sample(key: bytes, at_ms: int, seen: float | None) -> Edit:
    words = f"delete the sample at {at_ms}"
    return Edit((key,), (("TS.DEL", key, at_ms, at_ms),), words, _sample(key, at_ms, seen))


def _sample(key: bytes, at_ms: int, seen: float | None) -> tuple[Command, Any]:
    return ("TS.RANGE", key, at_ms, at_ms), [] if seen is None else [[at_ms, seen]]


def add_vector(
    key: bytes, name: bytes, vector: Sequence[float], set_of: VectorsInfo, attributes: bytes | None = None
) -> Edit:
    """An element that the vector set does not have yet, kept as the others of `set_of` are."""
    options: list[Any] = [QUANTISATIONS.get(set_of.quantisation, "Q8"), "M", set_of.links]
    if attributes is not None:
        options += ["SETATTR", attributes]
    command = _vadd(key, name, vector, *options, reduce_to=set_of.dimension if set_of.projected_from else None)
    return Edit((key,), (command,), f"add element {_short(name)}", (("VISMEMBER", key, name), 0))


def _vadd(key: bytes, name: bytes, vector: Sequence[Any], *options: Any, reduce_to: int | None = None) -> Command:
    reduce = () if reduce_to is None else ("REDUCE", reduce_to)
    return ("VADD", key, *reduce, "VALUES", len(vector), *vector, name, *options)


def set_attributes(key: bytes, name: bytes, seen: bytes | None, attributes: bytes) -> Edit:
    """What is said of an element of a vector set, as JSON; empty takes it away."""
    words = f"set the attributes of element {_short(name)}"
    return Edit((key,), (("VSETATTR", key, name, attributes),), words, (("VGETATTR", key, name), seen))


def _short(name: bytes) -> str:
    text = name.decode(errors="backslashreplace")
    return text if len(text) <= 40 else f"{text[:40]}..."
