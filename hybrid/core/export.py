"""Keys as lines of JSON: every type, expiries, and bytes that are no text. What is written is read back the same."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any, Final

from hybrid.core.key_state import Body, Group, Hash, Json, KeyState, List, Pending, Set, Stream, String, ZSet
from hybrid.core.state import plan_put
from hybrid.errors import ConfigurationError

__all__ = ["json_line", "parsed_line", "resp_commands"]

UNDIVIDED: Final = 2**62


def json_line(key: bytes, state: KeyState) -> str:
    """One key as one line. Bytes that are no UTF-8 stand as {"base64": ...}. Raises ConfigurationError for a type that
    has no typed copy."""
    document = {
        "key": _text(key),
        "type": state.kind,
        "expires_at_ms": state.expires_at_ms,
        "value": _value(key, state),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def parsed_line(line: str) -> tuple[bytes, KeyState]:
    """A line read back. Raises ConfigurationError when it is none."""
    try:
        document = json.loads(line)
        expiry = document["expires_at_ms"]
        if expiry is not None and (isinstance(expiry, bool) or not isinstance(expiry, int)):
            raise ValueError("expires_at_ms must be a whole number or null")
        kind = str(document["type"])
        return _bytes(document["key"]), KeyState(kind, expiry, _body(kind, document["value"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # JSON's own words count lines, and this is one of a file.
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else f"{error}"
        raise ConfigurationError(f"not a key as `keys export` writes it ({reason}): {line[:60]!r}") from None


def resp_commands(key: bytes, state: KeyState) -> list[list[bytes]]:
    """Commands that create the key on any server, in order: first whatever is there is deleted. Raises CommandRefused
    for a type that has no typed copy."""
    return [command for group in plan_put(key, state, key, UNDIVIDED) for command in group]


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(value).decode()}


def _bytes(value: Any) -> bytes:
    return b64decode(value["base64"], validate=True) if isinstance(value, dict) else str.encode(value)


def _texts(values: Iterable[bytes]) -> list[Any]:
    return [_text(value) for value in values]


def _value(key: bytes, state: KeyState) -> Any:
    match state.body:
        case String(value=value) | Json(text=value):
            return _text(value)
        case Hash() as body:
            return [[_text(f), _text(v), body.field_expires_at_ms.get(f)] for f, v in body.fields.items()]
        case List(items=items):
            return _texts(items)
        case Set(members=members):
            return _texts(sorted(members))
        case ZSet(scores=scores):
            return [[_text(member), score.decode()] for member, score in scores.items()]
        case Stream() as stream:
            return _stream(stream)
        case _:
            raise ConfigurationError(f"{key!r} is of type {state.kind}, which cannot be exported")


def _stream(stream: Stream) -> dict[str, Any]:
    return {
        "entries": [[entry_id.decode(), _texts(fields)] for entry_id, fields in stream.entries],
        "last_id": stream.last_id.decode(),
        "entries_added": stream.entries_added,
        "max_deleted_id": stream.max_deleted_id.decode() if stream.max_deleted_id else None,
        "groups": [[_text(name), _group(group)] for name, group in stream.groups.items()],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "last_delivered_id": group.last_delivered_id.decode(),
        "entries_read": group.entries_read,
        "consumers": _texts(sorted(group.consumers)),
        "pending": [
            [entry.entry_id.decode(), _text(entry.consumer), entry.delivered_at_ms, entry.delivery_count]
            for entry in group.pending
        ],
    }


def _body(kind: str, value: Any) -> Body:
    match kind:
        case "string":
            return String(_bytes(value))
        case "json":
            return Json(_bytes(value))
        case "hash":
            fields = {_bytes(field): _bytes(text) for field, text, _ in value}
            return Hash(fields, {_bytes(field): int(moment) for field, _, moment in value if moment is not None})
        case "list":
            return List(tuple(map(_bytes, value)))
        case "set":
            return Set(frozenset(map(_bytes, value)))
        case "zset":
            return ZSet({_bytes(member): b"%.17g" % float(score) for member, score in value})
        case "stream":
            return _parsed_stream(value)
        case _:
            raise ValueError(f"unknown type {kind!r}")


def _parsed_stream(value: dict[str, Any]) -> Stream:
    deleted = value["max_deleted_id"]
    return Stream(
        entries=tuple((str.encode(entry_id), tuple(map(_bytes, fields))) for entry_id, fields in value["entries"]),
        last_id=str.encode(value["last_id"]),
        entries_added=value["entries_added"],
        max_deleted_id=str.encode(deleted) if deleted is not None else None,
        groups={_bytes(name): _parsed_group(group) for name, group in value["groups"]},
    )


def _parsed_group(value: dict[str, Any]) -> Group:
    pending = (
        Pending(str.encode(entry_id), _bytes(consumer), int(at_ms), int(count))
        for entry_id, consumer, at_ms, count in value["pending"]
    )
    consumers = frozenset(map(_bytes, value["consumers"]))
    return Group(str.encode(value["last_delivered_id"]), value["entries_read"], consumers, tuple(pending))
