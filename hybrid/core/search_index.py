"""What FT.INFO says of a search index: its definition, how full it is, and the command that makes another like it.

Takes the replies of RESP2, which are flat lists with flags among them, and of RESP3, which are maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hybrid.core.shell import line_of
from hybrid.core.state_replies import pairs

__all__ = ["Apart", "Definition", "IndexField", "IndexInfo", "apart", "create_command", "index_info"]

DEFAULTS: Final = {"WEIGHT": "1", "SCORE": "1"}
_VALUED: Final = ("WEIGHT", "SEPARATOR", "PHONETIC", "M")
"""What has a value behind it in a field's flat list, besides all that is written small."""

_NAMES: Final = {
    "coord_system": "COORD_SYSTEM",
    "algorithm": "ALGORITHM",
    "data_type": "TYPE",
    "dim": "DIM",
    "distance_metric": "DISTANCE_METRIC",
    "ef_construction": "EF_CONSTRUCTION",
}
"""As FT.CREATE has them; the first two stand there without their names."""

_FLAGS_LAST: Final = ("INDEXEMPTY", "INDEXMISSING", "SORTABLE", "UNF", "NOINDEX")
"""FT.CREATE wants them in this order, after the flags that belong to the type."""

_SETTINGS: Final = {
    "filter": "FILTER",
    "default_language": "LANGUAGE",
    "language_field": "LANGUAGE_FIELD",
    "default_score": "SCORE",
    "score_field": "SCORE_FIELD",
    "payload_field": "PAYLOAD_FIELD",
}


@dataclass(frozen=True, slots=True)
class IndexField:
    """One field of a schema. `path`: the hash field or JSON path that it is read from; `arguments`: what has a value,
    such as WEIGHT, SEPARATOR or DIM, without what is usual; `flags`: SORTABLE and the like."""

    name: str
    path: str
    kind: str
    arguments: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Definition:
    """What FT.CREATE was told. `settings`: FILTER, LANGUAGE and the like; `stopwords` None: the usual ones."""

    on: str
    prefixes: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    options: tuple[str, ...]
    stopwords: tuple[str, ...] | None
    fields: tuple[IndexField, ...]


@dataclass(frozen=True, slots=True)
class IndexInfo:
    """One index on one store; None is what the server does not say. `indexed` is a share, below 1 while it is being
    filled; `error` and `error_key` are of the document that failed last."""

    name: bytes
    definition: Definition
    documents: int
    terms: int | None
    records: int | None
    memory_bytes: int | None
    took_ms: float | None
    is_indexing: bool
    indexed: float | None
    failures: int
    error: str
    error_key: str


@dataclass(frozen=True, slots=True)
class Apart:
    """One place where two definitions differ, as FT.CREATE has it; empty where a store has nothing there."""

    what: str
    local: str
    cloud: str


def index_info(reply: Any) -> IndexInfo:
    """Out of a reply to FT.INFO."""
    told = _texts(reply)
    errors = _texts(told.get("Index Errors") or [])
    error, error_key = _text(errors.get("last indexing error", "")), _text(errors.get("last indexing error key", ""))
    failures = _number(errors.get("indexing failures", told.get("hash_indexing_failures")))
    return IndexInfo(
        name=told["index_name"],
        definition=_definition(told),
        documents=int(_number(told.get("num_docs")) or 0),
        terms=_whole(told.get("num_terms")),
        records=_whole(told.get("num_records")),
        memory_bytes=_memory_bytes(told),
        took_ms=_number(told.get("total_indexing_time")),
        is_indexing=bool(_number(told.get("indexing"))),
        indexed=_number(told.get("percent_indexed")),
        failures=int(failures or 0),
        error="" if error == "N/A" else error,
        error_key="" if error_key == "N/A" else error_key,
    )


def _definition(told: Mapping[str, Any]) -> Definition:
    said = _texts(told.get("index_definition") or [])
    settings = [(word, _plain(said[name])) for name, word in _SETTINGS.items() if name in said]
    prefixes = tuple(text for text in map(_text, said.get("prefixes", ())) if text not in ("", "*"))
    stopwords = told.get("stopwords_list")
    on = _text(said.get("key_type", b"HASH")).upper()
    return Definition(
        on=on,
        prefixes=prefixes,
        settings=tuple((word, value) for word, value in settings if value and DEFAULTS.get(word) != value),
        options=tuple(sorted(map(_text, told.get("index_options", ())))),
        stopwords=None if stopwords is None else tuple(sorted(map(_text, stopwords))),
        fields=tuple(_field(field, on) for field in told.get("attributes", ())),
    )


def _field(reply: Any, on: str) -> IndexField:
    named, flags = _map_of_field(reply)
    name, path, kind = (_text(named.pop(word, b"")) for word in ("attribute", "identifier", "type"))
    usual = {**DEFAULTS, "SEPARATOR": "," if on == "HASH" else ""}
    arguments = [(_NAMES.get(word, word.upper()), _plain(value)) for word, value in named.items()]
    return IndexField(
        name or path,
        path,
        kind.upper(),
        tuple((word, value) for word, value in arguments if value and usual.get(word) != value),
        tuple(sorted(flags, key=lambda flag: (_FLAGS_LAST.index(flag) + 1 if flag in _FLAGS_LAST else 0, flag))),
    )


def _map_of_field(reply: Any) -> tuple[dict[str, Any], list[str]]:
    if isinstance(reply, Mapping):
        named = _texts(reply)
        return named, [_text(flag) for flag in named.pop("flags", ())]
    named, flags, rest = {}, [], list(reply)
    while rest:
        word = _text(rest.pop(0))
        if rest and (word in _VALUED or word.islower()):
            named[word] = rest.pop(0)
        else:
            flags.append(word)
    return named, flags


def _memory_bytes(told: Mapping[str, Any]) -> int | None:
    """All of it; older servers name its parts alone."""
    whole = _number(told.get("total_index_memory_sz_mb"))
    if whole is None:
        parts = [_number(value) for name, value in told.items() if name.endswith(("_sz_mb", "_size_mb"))]
        known = [part for part in parts if part is not None]
        whole = sum(known) if known else None
    return None if whole is None else round(whole * 1024 * 1024)


def create_command(name: bytes, made: Definition) -> str:
    """The FT.CREATE that makes such an index, as a line for redis-cli or the Console."""
    words = [b"FT.CREATE", name, b"ON", made.on.encode()]
    if made.prefixes:
        words += _counted("PREFIX", made.prefixes)
    for word, value in made.settings:
        words += [word.encode(), value.encode()]
    words += [option.encode() for option in made.options]
    if made.stopwords is not None:
        words += _counted("STOPWORDS", made.stopwords)
    words.append(b"SCHEMA")
    for field in made.fields:
        words += [word.encode() for word in (field.path, *_alias(field), field.kind, *_options(field))]
    return line_of(words)


def _counted(word: str, values: Sequence[str]) -> list[bytes]:
    return [word.encode(), b"%d" % len(values), *(value.encode() for value in values)]


def _alias(field: IndexField) -> tuple[str, ...]:
    return () if field.name == field.path else ("AS", field.name)


def _options(field: IndexField) -> list[str]:
    known = dict(field.arguments)
    words = [value for name in ("COORD_SYSTEM", "ALGORITHM") if (value := known.pop(name, ""))]
    if field.kind == "VECTOR":
        words.append(str(2 * len(known)))
    for name, value in known.items():
        words += [name, value]
    return [*words, *field.flags]


def apart(local: Definition, cloud: Definition) -> tuple[Apart, ...]:
    """Where two definitions differ; the order of fields does not count."""
    found = [
        Apart(what, mine, theirs)
        for what, mine, theirs in (
            ("ON", local.on, cloud.on),
            ("PREFIX", _joined(sorted(local.prefixes)), _joined(sorted(cloud.prefixes))),
            *((word, dict(local.settings).get(word, ""), dict(cloud.settings).get(word, ""))
              for word in _SETTINGS.values()),
            ("", _joined(local.options), _joined(cloud.options)),
            ("STOPWORDS", _stopwords(local), _stopwords(cloud)),
        )
        if mine != theirs
    ]  # fmt: skip
    mine, theirs = ({field.name: _line(field) for field in made.fields} for made in (local, cloud))
    found += [
        Apart(name, mine.get(name, ""), theirs.get(name, ""))
        for name in {**mine, **theirs}
        if mine.get(name) != theirs.get(name)
    ]
    return tuple(found)


def _line(field: IndexField) -> str:
    return _joined([field.path, field.kind, *_options(field)])


def _stopwords(made: Definition) -> str:
    return "" if made.stopwords is None else f"{len(made.stopwords)} {_joined(made.stopwords)}".strip()


def _joined(words: Sequence[str]) -> str:
    return line_of(word.encode() for word in words)


# -- values of both protocols


def _texts(reply: Any) -> dict[str, Any]:
    return {_text(name): value for name, value in pairs(reply).items()}


def _text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> str:
    """RESP2 sends numbers as texts (2), RESP3 as numbers (2.0)."""
    return f"{value:g}" if isinstance(value, float) else _text(value)


def _number(value: Any) -> float | None:
    """None for what is not there, and for what is no number: a mean of nothing is sent as `nan`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
