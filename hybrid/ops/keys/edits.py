"""The edits there are: of a key, and of what it holds. None stands for a value that was seen as absent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from hybrid.errors import ConfigurationError
from hybrid.ops.keys.edit import Command, Edit
from hybrid.ops.keys.rows import kind_word
from hybrid.ops.keys.vectors import VectorsInfo

__all__ = [
    "acknowledge_entries",
    "add_entry",
    "add_member",
    "add_vector",
    "claim_entries",
    "copy_key",
    "create_group",
    "create_key",
    "delete_consumer",
    "delete_entry",
    "delete_field",
    "delete_group",
    "delete_item",
    "delete_key",
    "delete_sample",
    "expire_field",
    "expire_key",
    "move_group",
    "push_item",
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

TOMBSTONE: Final = b"\x00hybrid deletes this item\x00"

ENTRY_ID: Final = re.compile(r"[0-9]{1,20}(-[0-9]{1,20})?")

QUANTISATIONS: Final = {"f32": "NOQUANT", "int8": "Q8", "bin": "BIN"}


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


# -- what it holds


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


def create_group(key: bytes, group: bytes, after: str) -> Edit:
    """A consumer group that gets the entries behind `after`: an entry's id, 0 for all that there are, $ for those to
    come. Raises ConfigurationError for what is none of them."""
    if not group:
        raise ConfigurationError("a group needs a name")
    command = ("XGROUP", "CREATE", key, group, _position(after))
    return Edit((key,), (command,), f"create group {_short(group)}", _exists(key, "stream"))


def move_group(key: bytes, group: bytes, after: str) -> Edit:
    """The group goes on behind `after` (as for `create_group`); what is pending stays so."""
    command = ("XGROUP", "SETID", key, group, _position(after))
    return Edit((key,), (command,), f"move group {_short(group)}", _exists(key, "stream"))


def delete_group(key: bytes, group: bytes) -> Edit:
    """With what is pending in it; the entries stay in the stream."""
    command = ("XGROUP", "DESTROY", key, group)
    return Edit((key,), (command,), f"delete group {_short(group)}", _exists(key, "stream"))


def delete_consumer(key: bytes, group: bytes, consumer: bytes) -> Edit:
    """What it has pending is nobody's then: claim it for another one before."""
    command = ("XGROUP", "DELCONSUMER", key, group, consumer)
    return Edit((key,), (command,), f"delete consumer {_short(consumer)}", _exists(key, "stream"))


def _position(after: str) -> str:
    if after != "$" and not ENTRY_ID.fullmatch(after):
        raise ConfigurationError("the id of an entry is a number, or two with a dash between")
    return after


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
